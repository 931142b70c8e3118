"""Engines: where the workers of a command that plans jobs run."""
