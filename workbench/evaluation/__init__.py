"""What detections are worth: average precision, resampling, intervals and verdicts."""
