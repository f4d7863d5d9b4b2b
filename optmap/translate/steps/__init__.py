"""Training steps: read as values, written in the target's words."""
