"""Calibration: the two numbers that make a score a probability, and how well that works.

The calibration that is measured and drawn here is the one that is saved with the network.
"""

import numpy as np
from sklearn.metrics import brier_score_loss
from sklearn.model_selection import StratifiedKFold

from exoplanets.evaluation.metrics import calibrate, fit_calibration, wilson

N_FOLDS, N_BINS = 5, 10


def bin_probabilities(y, probability, weight_of_others):
    """Reliability diagram: how many stars of about equal probability are hosts.

    A dict per bin that has a star: `low`, `high`, mean `probability`, `hosts`, `non_hosts`, and the
    `fraction` of hosts with its Wilson `interval`, both with non-hosts weighted.
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
                "interval": [float(weigh(share)) for share in wilson(hosts, n)],
            }
        )
    return rows


def measure_calibration(y, score, prevalence, seed):
    """Calibrate scores of stars that were not trained on, and say how well that works.

    Non-hosts are weighted so that the share of hosts is `prevalence`, as among all labelled stars.
    The bins and the Brier score "after" are cross-validated: no star's own label calibrates it.
    Scores lie between 0 and 1.

    Returns a dict and each star's cross-validated probability, ndarray of shape (n_stars,). In the
    dict `slope` and `offset` are fitted to all stars, and `brier_of_prevalence` is the Brier score
    of one probability for all, the prevalence. With too few stars to cross-validate, what is
    "after" is None or empty, and the probabilities are NaN.
    """
    y = np.asarray(y)
    hosts, others = int(np.sum(y == 1)), int(np.sum(y == 0))
    weight_of_others = hosts * (1 - prevalence) / prevalence / others
    weight = np.where(y == 1, 1.0, weight_of_others)
    slope, offset = fit_calibration(y, score, prevalence)
    probability = np.full(len(y), np.nan)
    n_folds = min(N_FOLDS, hosts, others)
    known = n_folds >= 2
    if known:
        folds = StratifiedKFold(n_folds, shuffle=True, random_state=seed)
        for fit, held_out in folds.split(y, y):
            calibration = fit_calibration(y[fit], score[fit], prevalence)
            probability[held_out] = calibrate(score[held_out], *calibration)

    def weigh_brier(probability):
        return float(brier_score_loss(y, probability, sample_weight=weight))

    measured = {
        "slope": slope,
        "offset": offset,
        "hosts": hosts,
        "non_hosts": others,
        "prevalence": float(prevalence),
        "brier_before": weigh_brier(score),
        "brier_after": weigh_brier(probability) if known else None,
        "brier_of_prevalence": weigh_brier(np.full(len(y), prevalence)),
        "bins_before": bin_probabilities(y, score, weight_of_others),
        "bins_after": bin_probabilities(y, probability, weight_of_others) if known else [],
    }
    return measured, probability
