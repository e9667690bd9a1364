"""How well a score tells hosts from non-hosts: counts, ratios, intervals, probabilities.

Throughout, `y`, `score` and `called` are ndarrays of shape (n_stars,). `y` is 1 for a host and 0
for a non-host. A star is called a host if `score >= threshold`. An undefined value is None.
"""

import numpy as np
from scipy import optimize, special, stats

N_RESAMPLES = 1000
CONFIDENCE = 0.95
METRICS = ("accuracy", "precision", "recall", "f1", "average_precision", "roc_auc")
PRECISION = 0.9  # at which recall is given
SLOPE_PENALTY = 3.0  # squared errors (stars wholly wrong) that a slope of e or 1/e costs
N_NEAREST = 10  # non-hosts that a host is ranked among in `matched_auc`


def count(y, called):
    """Numbers of true positives, false positives, false negatives and true negatives."""
    y, called = np.asarray(y) == 1, np.asarray(called, bool)
    return {
        "tp": int(np.sum(y & called)),
        "fp": int(np.sum(~y & called)),
        "fn": int(np.sum(y & ~called)),
        "tn": int(np.sum(~y & ~called)),
    }


def ratio(part, whole):
    """Part / whole, or None where the whole is nothing."""
    return float(part / whole) if whole else None


def f1(tp, fp, fn):
    """F1 = 2 TP / (2 TP + FP + FN), the harmonic mean of precision and recall.

    The published study computed it from a row-normalised confusion matrix, with FP and FN
    exchanged. For TP 4, FP 1 and FN 1 that gives 0.888 instead of 0.80.
    """
    return ratio(2 * tp, 2 * tp + fp + fn)


def wilson(part, whole):
    """95 % Wilson score interval [low, high] of a proportion, or None (Wilson 1927)."""
    if not whole:
        return None
    interval = stats.binomtest(int(part), int(whole)).proportion_ci(CONFIDENCE, method="wilson")
    return [float(interval.low), float(interval.high)]


def rank_statistics(y, score, weights=None):
    """ROC AUC and average precision, for one or many weightings of the stars.

    `weights`, ndarray of shape (n_weightings, n_stars), says how often each star counts; once if
    not given. Both results are of shape (n_weightings,), NaN where a class has no weight.
    """
    y = np.asarray(y) == 1
    order = np.argsort(-np.asarray(score, float), kind="stable")
    value, y = np.asarray(score, float)[order], y[order]
    weights = np.ones((1, len(y))) if weights is None else weights[:, order]
    last = np.append(np.flatnonzero(np.diff(value)), len(value) - 1)  # of each run of ties
    tp = np.cumsum(weights * y, axis=1)[:, last]
    fp = np.cumsum(weights * ~y, axis=1)[:, last]
    with np.errstate(invalid="ignore", divide="ignore"):
        new_tp = np.diff(tp, axis=1, prepend=0)
        new_fp = np.diff(fp, axis=1, prepend=0)
        roc_auc = np.sum(new_fp * (tp - new_tp / 2), axis=1) / (tp[:, -1] * fp[:, -1])
        precision = np.where(tp > 0, tp / (tp + fp), 0)
        average_precision = np.sum(new_tp * precision, axis=1) / tp[:, -1]
    return roc_auc, average_precision


def find_roc_auc(y, score):
    """ROC AUC of a score, float."""
    return float(rank_statistics(y, score)[0][0])


def bootstrap(y, score, seed, called=None, n_resamples=N_RESAMPLES):
    """95 % intervals of F1, average precision and ROC AUC: stars drawn anew within their class.

    The intervals show how much other stars would change the metrics; another training may change
    them more. Where hosts are few, the lower ends of these percentile intervals are too high. With
    Gaussian scores the truth lies below 4 to 8 % of them for 37 hosts, and below 5 to 20 % for 7,
    instead of 2.5 %.

    Only two things about a non-host matter to the three metrics: which hosts score higher, and
    whether it is called. Non-hosts that agree in both are drawn together, as one count. The
    distribution is the same, in a hundredth of the time.

    Returns a dict of `f1_interval` (only if `called` is given), `average_precision_interval` and
    `roc_auc_interval`: [low, high] or None. `seed` may be a numpy.random.Generator.
    """
    rng, y, score = np.random.default_rng(seed), np.asarray(y) == 1, np.asarray(score, float)
    calls = np.zeros(len(y), bool) if called is None else np.asarray(called, bool)
    hosts = np.sort(score[y])
    place = [np.searchsorted(hosts, score[~y], side) for side in ("left", "right")]
    _, first, counts = np.unique(
        np.column_stack([*place, calls[~y]]), axis=0, return_index=True, return_counts=True
    )
    kept = np.concatenate([np.flatnonzero(y), np.flatnonzero(~y)[first]])
    weights = [
        rng.multinomial(int(share.sum()), share / share.sum(), size=n_resamples)
        for share in (np.ones(len(hosts)), counts)
        if len(share)
    ]
    weights = np.concatenate(weights, axis=1).astype(float)
    roc_auc, average_precision = rank_statistics(y[kept], score[kept], weights)
    values = {"average_precision": average_precision, "roc_auc": roc_auc}
    if called is not None:
        tp, n_called = weights @ (y & calls)[kept], weights @ calls[kept]
        with np.errstate(invalid="ignore"):
            values = {"f1": 2 * tp / (n_called + y.sum())} | values
    return {f"{name}_interval": percentiles(value) for name, value in values.items()}


def roc_auc_interval(y, score, rng, n_resamples=N_RESAMPLES):
    """95 % interval [low, high] of the ROC AUC; see `bootstrap`."""
    return bootstrap(y, score, rng, n_resamples=n_resamples)["roc_auc_interval"]


def percentiles(values):
    """95 % percentile interval [low, high] of resampled values, or None if none is defined."""
    values = values[np.isfinite(values)]
    if not len(values):
        return None
    tail = 50 * (1 - CONFIDENCE)
    return [float(v) for v in np.percentile(values, [tail, 100 - tail])]


def evaluate(y, score, threshold, seed, called=None):
    """Counts, metrics and 95 % intervals of one score on one set of stars.

    Proportions (accuracy, precision, recall) have Wilson intervals, the others those of a
    stratified bootstrap. In cross-validation every fold has a threshold of its own: then `called`
    is given, and the threshold is None. Returns a JSON-ready dict: the counts, each of METRICS and
    its `<metric>_interval`, `recall_at_precision_0.9` and `threshold`; None where undefined.
    """
    y, score = np.asarray(y), np.asarray(score, float)
    called = score >= threshold if called is None else called
    counts = count(y, called)
    tp, fp, fn, tn = counts.values()
    proportions = {
        "accuracy": (tp + tn, tp + fp + fn + tn),
        "precision": (tp, tp + fp),
        "recall": (tp, tp + fn),
    }
    roc_auc, average_precision = (float(v[0]) for v in rank_statistics(y, score))
    values = {name: ratio(*pair) for name, pair in proportions.items()}
    values["f1"] = f1(tp, fp, fn)
    values["average_precision"] = average_precision if tp + fn else None
    values["roc_auc"] = roc_auc if tp + fn > 0 and fp + tn > 0 else None
    intervals = {f"{name}_interval": wilson(*pair) for name, pair in proportions.items()}
    intervals |= bootstrap(y, score, seed, called)
    recall = recall_at_precision(y, score) if tp + fn else None
    cut = {f"recall_at_precision_{PRECISION}": recall}
    cut["threshold"] = None if threshold is None else float(threshold)
    return counts | values | cut | intervals


def recall_at_precision(y, score, least=PRECISION):
    """The highest recall of any cut whose precision is at least `least`; 0 if none is."""
    from sklearn.metrics import precision_recall_curve  # here: it takes a second to import

    precision, recall, _ = precision_recall_curve(y, score)
    return float(recall[precision >= least].max())


def matched_auc(y, score, propensity, n_nearest=N_NEAREST):
    """ROC AUC of each host against the non-hosts that are most like it apart from transits.

    Hosts and non-hosts are matched by a propensity score (Rosenbaum & Rubin 1983, Biometrika 70,
    41): that of `adversary.score_alike`, the log-odds of being a host without any dip. A star whose
    propensity is NaN is left out. For each host, the share of its nearest non-hosts with a lower
    score is taken, ties half. The result is the mean of these shares, or None. A classifier that
    knows no more than the adversary is near 0.5. With few non-hosts it is a little above, since the
    nearest ones are then not very near.
    """
    known = np.isfinite(propensity)
    y, score = np.asarray(y)[known] == 1, np.asarray(score, float)[known]
    if not y.any() or y.all():
        return None
    odds = np.asarray(propensity)[known]
    distance = np.abs(odds[y][:, np.newaxis] - odds[~y])
    nearest = np.argsort(distance, axis=1, kind="stable")[:, :n_nearest]
    others, hosts = score[~y][nearest], score[y][:, np.newaxis]
    return float(np.mean((hosts > others) + 0.5 * (hosts == others)))


def fit_calibration(y, score, prevalence=None):
    """Slope and offset of the log-odds of a score, which make it a probability: a list of both.

    They minimise the sum of squared errors, as the Brier score [1]_ does, of stars that the network
    was not trained on. A squared error is bounded, so that one star with a wrong label moves them
    little; maximum likelihood, as in Platt's calibration, follows such a star. A penalty keeps the
    slope near 1 where stars are few: the score is meant to be a probability.

    The scores lie between 0 and 1. `prevalence` is the share of hosts that the probabilities are
    for; that of `y` unless given. It shifts the offset by the difference of log-odds [2]_.

    References
    ----------
    .. [1] Brier 1950, Monthly Weather Review 78, 1.
    .. [2] King & Zeng 2001, Political Analysis 9, 137.
    """
    odds, y = logit(score), np.asarray(y)

    def find_loss(numbers):
        slope, offset = np.exp(numbers[0]), numbers[1]
        errors = special.expit(slope * odds + offset) - y
        return np.sum(errors**2) + SLOPE_PENALTY * numbers[0] ** 2

    # Scores near 0 or 1 have no slope to descend: also start where their mean is the prevalence.
    starts = (0.0, logit(np.mean(y)) - np.mean(odds))
    fits = [optimize.minimize(find_loss, [0.0, offset]) for offset in starts]
    log_slope, offset = min(fits, key=lambda fit: fit.fun).x
    shift = 0.0 if prevalence is None else logit(prevalence) - logit(np.mean(y))
    return [float(np.exp(log_slope)), float(offset + shift)]


def calibrate(score, slope, offset):
    """Calibrated probability of scores, dimensionless; see `fit_calibration`."""
    return special.expit(slope * logit(score) + offset)


def logit(score):
    """Logarithm of the odds of scores, which are kept a hair within 0 and 1."""
    return special.logit(np.clip(np.asarray(score, float), 1e-7, 1 - 1e-7))
