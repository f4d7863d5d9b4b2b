"""Runs an optimizer and its translation side by side, and judges whether they agree."""
