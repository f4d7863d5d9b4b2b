"""Wrong tables on purpose: every mutation of a table must be caught, or change nothing that a user gets."""
