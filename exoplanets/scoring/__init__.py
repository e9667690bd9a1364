"""The user's own stars: their files, their scores, their pages, the program of --predict."""
