"""Learning-rate schedules, translated with the optimizers they belong to."""
