"""The library behind the four scripts; its layers import downwards only."""
