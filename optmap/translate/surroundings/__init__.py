"""What stands around an optimizer, and what replaces it."""
