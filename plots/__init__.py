"""The looks of the figures, and those of step 4; the figures themselves are not in git."""
