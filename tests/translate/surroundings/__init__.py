"""Tests of what stands around an optimizer."""
