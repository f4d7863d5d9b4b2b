"""From call sites and tables to edits, and from edits to files."""
