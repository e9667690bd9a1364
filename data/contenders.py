"""What is compared: scores of the stars of one view, and how well they do."""

from typing import NamedTuple

import pandas as pd

from data import kepler, probes, scores

SPLITS = ("train", "validation", "test")


def count_view_repeats(tables, view):
    """Exact repeats of every star of a view, counted in the flux as distributed.

    Returns
    -------
    dict of ndarray
        Per split, ndarray of shape (n_stars,).
    """
    of_table = {name: probes.count_repeats(getattr(tables, name).flux) for name in kepler.TABLES}
    return {
        split: of_table["test" if split == "test" else "train"][view[f"row_{split}"]]
        for split in SPLITS
    }


class Contender(NamedTuple):
    """A score of the stars of one view.

    Attributes
    ----------
    network, light_curves : str
        See `metrics.json`.
    view : dict of ndarray
    scored : dict of ndarray
        Per split, ndarray of shape (n_stars,).
    tuned_on : str
        Split on which its threshold is tuned.
    """

    network: str
    light_curves: str
    view: dict
    scored: dict
    tuned_on: str = "validation"

    @property
    def threshold(self):
        """Threshold that maximises F1 of `score >= threshold` on the split `tuned_on`."""
        return scores.tune_threshold(self.view[f"y_{self.tuned_on}"], self.scored[self.tuned_on])

    def of_rows(self, rows):
        """Scores of the test stars in these rows of their file; NaN for one not in the view."""
        score = pd.Series(self.scored["test"], index=self.view["row_test"])
        return score.reindex(rows).to_numpy()


def evaluate_split(contender, split, colours, seed, kept=None):
    """A result row of one contender on one split.

    Parameters
    ----------
    contender : Contender
    split : str
    colours : dict of ndarray
        Per table, the noise colour of every star; see `probes.find_noise_colour`.
    seed : int
        Of the bootstrap.
    kept : ndarray of bool, optional
        The stars to count; all unless given.

    Returns
    -------
    dict
    """
    kept = slice(None) if kept is None else kept
    y, score = contender.view[f"y_{split}"][kept], contender.scored[split][kept]
    rows = contender.view[f"row_{split}"][kept]
    # A host that SMOTE made has no row, and no noise of its own: it is left out of the matching.
    real = rows >= 0
    colour = colours["test" if split == "test" else "train"][rows[real]]
    return (
        {"network": contender.network, "light_curves": contender.light_curves, "split": split}
        | scores.evaluate(y, score, contender.threshold, seed)
        | {
            "recall_at_precision_0.9": scores.recall_at_precision(y, score),
            "noise_matched_auc": scores.noise_matched_auc(y[real], score[real], colour),
        }
    )
