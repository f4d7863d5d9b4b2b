"""Where a file constructs, holds or names optimizers."""
