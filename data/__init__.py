"""The code that gets the light curves; the light curves themselves are not in git."""
