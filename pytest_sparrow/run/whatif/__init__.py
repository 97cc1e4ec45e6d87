"""A run fed from its events alone: the model's turns, what tools gave, and what of a new run can be compared."""
