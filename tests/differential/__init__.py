"""Programs are generated, translated and trained on both sides; see `__main__.py` for the long run."""
