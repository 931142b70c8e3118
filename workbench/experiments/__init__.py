"""How studies run: protocols, the job queue, workers, claims, timing studies and tracking."""
