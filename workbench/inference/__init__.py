"""What a trained network gives and costs: deployed forms, runtimes, multiply-adds and latency."""
