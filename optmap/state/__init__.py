"""Saved states of optimizers, converted between frameworks."""
