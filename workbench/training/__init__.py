"""How one job is trained from its data to its record."""
