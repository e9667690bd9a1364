"""Functions that take arrays and return figures or tables."""
