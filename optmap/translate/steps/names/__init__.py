"""Names of the source framework in models, losses and steps, and what they become."""
