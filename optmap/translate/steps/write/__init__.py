"""A training step in the words of its target."""
