"""What each command of the command line does, between its options and its exit code."""
