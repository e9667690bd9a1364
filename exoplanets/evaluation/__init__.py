"""How well classifiers do: metrics, cross-validation, vetting, and the scores of new stars."""
