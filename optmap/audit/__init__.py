"""Compares the tables with the live signatures of the installed frameworks."""
