"""The tables held against the live signatures of the frameworks that are installed."""
