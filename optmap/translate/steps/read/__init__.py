"""A training step of each kind, read as one value."""
