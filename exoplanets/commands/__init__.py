"""Options that the scripts share, and the program that scores the stars of users."""
