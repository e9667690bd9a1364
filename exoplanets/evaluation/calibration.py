"""Calibration: whether a score is a probability, and the two numbers that make it one [1]_.

References
----------
.. [1] Platt 1999, in Advances in Large Margin Classifiers, 61.
"""

import numpy as np
from sklearn.model_selection import StratifiedKFold

from exoplanets.evaluation import metrics

N_FOLDS, N_BINS = 5, 10  # of the calibration


def fit_to_prevalence(y, score, prevalence):
    """`metrics.fit_calibration`, for another share of hosts than that of the stars given.

    A logistic regression on stars chosen by label has the right slope; its offset is off by the
    difference of the log-odds of a host (King & Zeng 2001, Political Analysis 9, 137).

    Returns
    -------
    slope, offset : float
    """
    slope, offset = metrics.fit_calibration(y, score)
    return slope, float(offset + metrics.logit(prevalence) - metrics.logit(np.mean(y)))


def find_brier(y, probability, weight):
    """Brier score: weighted mean squared difference of probability and label (Brier 1950)."""
    return float(np.average((probability - y) ** 2, weights=weight))


def bin_probabilities(y, probability, weight_of_others):
    """Reliability diagram: how many stars of about equal probability are hosts.

    Returns
    -------
    list of dict
        Per bin that has a star: `low`, `high`, mean `probability`, `hosts`, `non_hosts`, and the
        `fraction` of hosts with its Wilson interval, both with non-hosts weighted.
    """

    def weigh(share):
        return share / (share + weight_of_others * (1 - share))

    place = np.minimum((probability * N_BINS).astype(int), N_BINS - 1)
    rows = []
    for i in np.unique(place):
        inside = place == i
        hosts, n = int(np.sum(y[inside] == 1)), int(inside.sum())
        weight = np.where(y[inside] == 1, 1.0, weight_of_others)
        rows.append(
            {
                "low": i / N_BINS,
                "high": (i + 1) / N_BINS,
                "probability": float(np.average(probability[inside], weights=weight)),
                "hosts": hosts,
                "non_hosts": n - hosts,
                "fraction": float(weigh(hosts / n)),
                "interval": [float(weigh(share)) for share in metrics.wilson(hosts, n)],
            }
        )
    return rows


def measure_calibration(y, score, prevalence, seed):
    """Calibrate scores of stars that were not trained on, and say how well that works.

    Non-hosts stand for all of their kind, so that the share of hosts is `prevalence`. The bins and
    the Brier score "after" are cross-validated: no star's own label calibrates it.

    Returns
    -------
    dict
        `slope` and `offset` (of all stars), `hosts`, `non_hosts`, `prevalence`, `brier_before`,
        `brier_after`, `brier_of_prevalence` (which knows nothing), `bins_before`, `bins_after`.
    """
    y = np.asarray(y)
    hosts, others = int(np.sum(y == 1)), int(np.sum(y == 0))
    weight_of_others = hosts * (1 - prevalence) / prevalence / others
    weight = np.where(y == 1, 1.0, weight_of_others)
    slope, offset = fit_to_prevalence(y, score, prevalence)
    probability = np.full(len(y), np.nan)
    n_folds = min(N_FOLDS, hosts, others)
    if n_folds >= 2:
        folds = StratifiedKFold(n_folds, shuffle=True, random_state=seed)
        for fit, held_out in folds.split(y, y):
            found = fit_to_prevalence(y[fit], score[fit], prevalence)
            probability[held_out] = metrics.calibrate(score[held_out], *found)
    known = n_folds >= 2
    return {
        "slope": slope,
        "offset": offset,
        "hosts": hosts,
        "non_hosts": others,
        "prevalence": float(prevalence),
        "brier_before": find_brier(y, score, weight),
        "brier_after": find_brier(y, probability, weight) if known else None,
        "brier_of_prevalence": find_brier(y, np.full(len(y), prevalence), weight),
        "bins_before": bin_probabilities(y, score, weight_of_others),
        "bins_after": bin_probabilities(y, probability, weight_of_others) if known else [],
    }
