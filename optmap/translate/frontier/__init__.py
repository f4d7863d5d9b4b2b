"""Where code that was translated meets what still is of the source framework."""
