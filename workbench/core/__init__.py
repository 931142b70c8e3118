"""What everything stands on: specs, errors, files, processes, and where a number comes from."""
