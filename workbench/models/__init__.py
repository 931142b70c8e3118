"""From specs to networks: variants, jobs, the network, its losses, its detections, and the published models."""
