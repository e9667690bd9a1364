"""How well a score tells hosts from non-hosts: counts, ratios, thresholds, intervals.

Throughout, `y` is 1 for a host and 0 for a non-host, a star is called a host if
`score >= threshold`, and an undefined ratio is None.
"""

import numpy as np
from scipy import special, stats

from exoplanets.classifiers.base import tune_threshold  # noqa: F401

N_RESAMPLES = 1000
CONFIDENCE = 0.95
METRICS = ("accuracy", "precision", "recall", "f1", "average_precision", "roc_auc")


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

    The published study took it from a row-normalised confusion matrix with FP and FN exchanged:
    that makes 0.888 of TP 4, FP 1, FN 1, whose F1 is 0.80.
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

    Parameters
    ----------
    y, score : ndarray of shape (n_stars,)
    weights : ndarray of shape (n_weightings, n_stars), optional
        How often each star counts; once if not given.

    Returns
    -------
    roc_auc, average_precision : ndarray of shape (n_weightings,)
        NaN where a class has no weight.
    """
    y = np.asarray(y) == 1
    order = np.argsort(-np.asarray(score, float), kind="stable")
    value, y = np.asarray(score, float)[order], y[order]
    weights = np.ones((1, len(y))) if weights is None else weights[:, order]
    last = np.append(np.flatnonzero(np.diff(value)), len(value) - 1)
    tp = np.cumsum(weights * y, axis=1)[:, last]
    fp = np.cumsum(weights * ~y, axis=1)[:, last]
    with np.errstate(invalid="ignore", divide="ignore"):
        new_tp = np.diff(tp, axis=1, prepend=0)
        new_fp = np.diff(fp, axis=1, prepend=0)
        roc_auc = np.sum(new_fp * (tp - new_tp / 2), axis=1) / (tp[:, -1] * fp[:, -1])
        precision = np.where(tp > 0, tp / (tp + fp), 0)
        average_precision = np.sum(new_tp * precision, axis=1) / tp[:, -1]
    return roc_auc, average_precision


def resample(y, n_resamples, rng):
    """Weights of a stratified bootstrap: stars drawn with replacement within their class.

    Returns
    -------
    ndarray of shape (n_resamples, n_stars)
    """
    y = np.asarray(y) == 1
    weights = np.empty((n_resamples, len(y)))
    for member in (y, ~y):
        n = int(member.sum())
        if n:
            weights[:, member] = rng.multinomial(n, np.full(n, 1 / n), size=n_resamples)
    return weights


def percentiles(values):
    """95 % percentile interval [low, high] of resampled values, or None if none is defined."""
    values = values[np.isfinite(values)]
    if not len(values):
        return None
    tail = 50 * (1 - CONFIDENCE)
    return [float(v) for v in np.percentile(values, [tail, 100 - tail])]


def bootstrap(y, score, called, seed, n_resamples=N_RESAMPLES):
    """95 % stratified bootstrap intervals of F1, average precision and ROC AUC.

    Parameters
    ----------
    y, score, called : ndarray of shape (n_stars,)
        Labels, scores, and whether each star is called a host.
    seed, n_resamples : int

    Returns
    -------
    dict
        `f1_interval`, `average_precision_interval`, `roc_auc_interval`: [low, high] or None.
    """
    rng = np.random.default_rng(seed)
    y, called = np.asarray(y) == 1, np.asarray(called, bool)
    kept = {"f1": [], "average_precision": [], "roc_auc": []}
    for start in range(0, n_resamples, 100):  # 100 at a time: memory stays small
        weights = resample(y, min(100, n_resamples - start), rng)
        tp, n_called = weights @ (y & called), weights @ called
        with np.errstate(invalid="ignore"):
            kept["f1"].append(2 * tp / (n_called + y.sum()))
        roc_auc, average_precision = rank_statistics(y, score, weights)
        kept["roc_auc"].append(roc_auc)
        kept["average_precision"].append(average_precision)
    return {f"{name}_interval": percentiles(np.concatenate(v)) for name, v in kept.items()}


def roc_auc_interval(y, score, rng, n_resamples=N_RESAMPLES):
    """95 % stratified bootstrap interval [low, high] of the ROC AUC.

    Quick for few hosts and many non-hosts: all that matters of the resampled non-hosts is how many
    fall between the scores of neighbouring hosts, and those counts are drawn at once.
    """
    y, score = np.asarray(y) == 1, np.asarray(score, float)
    hosts, others = score[y], np.sort(score[~y])
    below = np.searchsorted(others, hosts, side="left")
    up_to = np.searchsorted(others, hosts, side="right")
    edges, place = np.unique(np.concatenate([below, up_to]), return_inverse=True)
    shares = np.diff(edges, prepend=0, append=len(others)) / len(others)
    drawn = rng.multinomial(len(others), shares, size=n_resamples)
    total = np.cumsum(drawn, axis=1)[:, place]  # resampled non-hosts below each host, and up to it
    ranks = (total[:, : len(hosts)] + total[:, len(hosts) :]) / (2 * len(others))
    weights = rng.multinomial(len(hosts), np.full(len(hosts), 1 / len(hosts)), size=n_resamples)
    return percentiles(np.sum(weights * ranks, axis=1) / len(hosts))


def evaluate(y, score, threshold, seed, called=None):
    """Counts, metrics and 95 % intervals of one score on one set of stars.

    Proportions (accuracy, precision, recall) have Wilson intervals, the others those of a
    stratified bootstrap.

    Parameters
    ----------
    y, score : ndarray of shape (n_stars,)
    threshold : float or None
        None if `called` is given.
    seed : int
        Of the bootstrap.
    called : ndarray of bool of shape (n_stars,), optional
        Whether each star is called a host, where that is not `score >= threshold`: in
        cross-validation every fold has a threshold of its own.

    Returns
    -------
    dict
        JSON-ready: `tp`, `fp`, `fn`, `tn`, each of METRICS and its `<metric>_interval`, and
        `threshold`; None where undefined.
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
    both = tp + fn > 0 and fp + tn > 0
    roc_auc, average_precision = (float(v[0]) for v in rank_statistics(y, score))
    values = {name: ratio(*pair) for name, pair in proportions.items()}
    values["f1"] = f1(tp, fp, fn)
    values["average_precision"] = average_precision if tp + fn else None
    values["roc_auc"] = roc_auc if both else None
    intervals = {f"{name}_interval": wilson(*pair) for name, pair in proportions.items()}
    intervals |= bootstrap(y, score, called, seed)
    threshold = None if threshold is None else float(threshold)
    return counts | values | {"threshold": threshold} | intervals


def precision_recall(y, score):
    """Precision and recall of every distinct cut, from no recall to full recall.

    Returns
    -------
    recall, precision : ndarray of shape (n_cuts + 1,)
        The first pair is recall 0 with the precision of the highest cut.
    """
    y = np.asarray(y) == 1
    order = np.argsort(-np.asarray(score, float), kind="stable")
    value, hits = np.asarray(score, float)[order], np.cumsum(y[order])
    last = np.append(np.flatnonzero(np.diff(value)), len(value) - 1)
    precision = hits[last] / (last + 1)
    recall = hits[last] / y.sum()
    return np.append(0, recall), np.append(precision[0], precision)


def recall_at_precision(y, score, least=0.9):
    """The highest recall of any cut whose precision is at least `least`; 0 if none is."""
    recall, precision = precision_recall(y, score)
    return float(recall[1:][precision[1:] >= least].max(initial=0.0))


def noise_matched_auc(y, score, colour, n_nearest=10):
    """ROC AUC of each host against the non-hosts whose noise is most like its own.

    A score that only follows noise colour, by which hosts and non-hosts differ, is at 0.5.

    Parameters
    ----------
    y, score : ndarray of shape (n_stars,)
    colour : ndarray of shape (n_stars, n_probes)
        Noise colour of each star; each column is scaled by its standard deviation.
    n_nearest : int

    Returns
    -------
    float or None
        Mean over hosts of the share of their nearest non-hosts with a lower score, ties half.
    """
    y, score = np.asarray(y) == 1, np.asarray(score, float)
    if not y.any() or y.all():
        return None
    scaled = colour / np.maximum(colour.std(axis=0), 1e-12)
    shares = []
    for host in np.flatnonzero(y):
        distance = np.sum((scaled[~y] - scaled[host]) ** 2, axis=1)
        near = score[~y][np.argsort(distance, kind="stable")[:n_nearest]]
        shares.append(np.mean((score[host] > near) + 0.5 * (score[host] == near)))
    return float(np.mean(shares))


def fit_calibration(y, score):
    """Slope and offset of Platt's calibration: logistic regression on the logit of the score.

    Scikit-learn's default penalty keeps a handful of hosts from making it too sure of itself.

    Parameters
    ----------
    y, score : ndarray of shape (n_stars,)
        Of stars the network was not trained on; scores between 0 and 1.

    Returns
    -------
    list of float

    References
    ----------
    Platt 1999, Advances in Large Margin Classifiers, 61.
    """
    from sklearn.linear_model import LogisticRegression  # here: it takes a second to import

    model = LogisticRegression().fit(logit(score)[:, np.newaxis], np.asarray(y))
    return [float(model.coef_[0, 0]), float(model.intercept_[0])]


def calibrate(score, slope, offset):
    """Calibrated probability of scores, dimensionless; see `fit_calibration`."""
    return special.expit(slope * logit(score) + offset)


def logit(score):
    """Logarithm of the odds of scores, which are kept a hair within 0 and 1."""
    return special.logit(np.clip(np.asarray(score, float), 1e-7, 1 - 1e-7))
