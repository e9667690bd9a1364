"""Searches for repeating dips: events, folds, features of candidates, box least squares."""
