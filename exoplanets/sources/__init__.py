"""Where light curves come from: Kaggle, the simulated survey, and the files of users."""
