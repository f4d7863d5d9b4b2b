"""One module per command: from its options to its report and exit code."""
