"""Simple parts for pose estimators: a neck and a coordinate stage."""
