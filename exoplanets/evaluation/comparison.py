"""The comparison: every classifier is fitted, tuned and scored on the same stars, and evaluated."""

from typing import NamedTuple

import numpy as np
import pandas as pd

from exoplanets.classifiers.base import Classifier
from exoplanets.evaluation import metrics
from exoplanets.evaluation.completeness import draw_systems
from exoplanets.files import say
from exoplanets.stars import SPLITS, Stars

MOST_SLOW = 1000  # stars; of more, a slow classifier would take most of the run's time
STARS_PER_HOST = 135  # of the whole Kaggle set
BINARIES = 0.013  # eclipsing binaries among stars, Kirk et al. 2016, AJ 151, 68
N_BINARIES = 200  # that stand for them
MOST_TUNED = 200  # non-hosts on which such a classifier is tuned


class Compared(NamedTuple):
    """A fitted classifier, the stars it is compared on, and what it says of each.

    That is None if the classifier is too slow for so many stars; its threshold is tuned all the
    same.
    """

    classifier: Classifier
    stars: Stars  # of all splits
    judged: np.ndarray | None  # (n_stars, n_columns); see `Classifier.judge`

    @property
    def score(self):
        """The score of each star, ndarray of shape (n_stars,), or None."""
        return None if self.judged is None else self.judged[:, 0]

    def at(self, stars):
        """Its scores of these stars, in their order; NaN for a star that it was not given."""
        return select_values(self.stars, self.score, stars)

    def is_unseen(self):
        """Ndarray of bool of shape (n_stars,): stars whose label taught the classifier nothing.

        All that were held out, and the hosts of the fit stars if it learns from non-hosts alone.
        """
        held_out = self.stars.split != "train"
        return held_out if self.classifier.learns_from_hosts else held_out | self.stars.is_host


def select_values(stars, values, wanted):
    """Values of some stars for others, by table and row; NaN for a star that has none."""
    known = stars.row >= 0  # a host that SMOTE made is no star of the table
    places = pd.MultiIndex.from_arrays([stars.table[known], stars.row[known]])
    asked = pd.MultiIndex.from_arrays([wanted.table, wanted.row])
    return pd.Series(np.asarray(values)[known], places).reindex(asked).to_numpy(float)


def wants_slow(choice, n_stars):
    """Whether a slow classifier scores so many stars: `choice` is "auto", "always" or "never"."""
    return choice == "always" or (choice == "auto" and n_stars <= MOST_SLOW)


def choose_tuning(classifier, stars):
    """Stars that set the threshold and the calibration of a classifier, and a non-host's weight.

    All of the training table that taught it nothing by their label; not the test stars. Non-hosts
    are weighted to their true number: those of the table, or more if it was cut out of the set with
    a larger share of hosts. Returns rows, ndarray of int, and a float.
    """
    known = (stars.split != "test") & (stars.row >= 0)  # no host that SMOTE made
    chosen = known & (stars.split == "validation")
    if not classifier.learns_from_hosts:
        chosen |= known & stars.is_host
    n_hosts = np.count_nonzero(known & stars.is_host)
    true_number = max(np.count_nonzero(known & ~stars.is_host), STARS_PER_HOST * n_hosts)
    return np.flatnonzero(chosen), true_number / max(np.count_nonzero(chosen & ~stars.is_host), 1)


def tune_classifier(classifier, stars, tuning, score, weight):
    """Set the threshold of a classifier by stars of `choose_tuning`, rows, their score and weight.

    One that tells planets from binaries has simulated binaries among the non-hosts too, as many as
    there are in nature: a table has too few to show what they cost.
    """
    y, weights = stars.y[tuning], np.full(len(tuning), float(weight))
    if "planet_score" in classifier.columns:
        others = stars.select(tuning[y == 0])
        rng = np.random.default_rng(0)
        binaries = draw_systems(others, N_BINARIES, classifier.campaign, rng, ("binary",)).stars
        share = BINARIES * weight * len(others) / max(len(binaries), 1)
        y = np.append(y, np.zeros(len(binaries), y.dtype))
        weights = np.append(weights, np.full(len(binaries), share))
        score = np.append(score, classifier.score(binaries))
    classifier.tune(y, score, weights)


def fit_classifiers(classifiers, views, seed, slow="auto"):
    """Fit, score and tune each classifier; see `choose_tuning` and `Classifier.tune`.

    `views` holds the stars of all splits, per kind of light curves; `slow` is as in `wants_slow`.
    Returns a list of `Compared`.
    """
    compared = []
    for classifier in classifiers:
        stars = views[classifier.light_curves]
        say(f"{' on '.join(classifier.key)} light curves ...")
        fit, validation = (stars.select(stars.split == name) for name in SPLITS[:2])
        classifier.fit(fit, validation, seed)
        judged, (tuning, weight) = None, choose_tuning(classifier, stars)
        if not classifier.is_slow or wants_slow(slow, len(stars)):
            judged = classifier.judge(stars)
            score = judged[tuning, 0]
        else:
            order = np.argsort(~stars.is_host[tuning], kind="stable")  # hosts first
            n_hosts, n_tuning = stars.is_host[tuning].sum(), len(tuning)
            tuning = tuning[order[: n_hosts + MOST_TUNED]]
            weight *= (n_tuning - n_hosts) / (len(tuning) - n_hosts)
            score = classifier.score(stars.select(tuning))
            say(
                f"{classifier.name} is too slow for {len(stars)} stars: it is vetted on some, and "
                "has no row in the results"
            )
        tune_classifier(classifier, stars, tuning, score, weight)
        compared.append(Compared(classifier, stars, judged))
    return compared


def evaluate_split(compared, split, propensity, seed, left_out=None):
    """A result row of one `Compared` on one of `stars.SPLITS`, dict.

    Of `compared.stars`, `propensity` is what the adversary gives each (see `metrics.matched_auc`),
    and `left_out`, ndarray of bool, are those that are not counted.
    """
    kept = compared.stars.split == split
    if left_out is not None:
        kept &= ~left_out
    y, score, classifier = compared.stars.y[kept], compared.score[kept], compared.classifier
    return (
        {"network": classifier.name, "light_curves": classifier.light_curves, "split": split}
        | metrics.evaluate(y, score, classifier.threshold, seed)
        | {"matched_auc": metrics.matched_auc(y, score, propensity[kept])}
    )
