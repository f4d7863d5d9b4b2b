"""Tests of optimizers in configuration files."""
