"""The parts that can fill a slot of a variant, one file each."""
