"""Constructor calls: resolved against the tables, and rewritten."""
