"""Running optimizers side by side and judging whether they agree."""
