"""Python files made at random, with optimizer calls wherever Python allows an expression, and mutilated input for every reader."""
