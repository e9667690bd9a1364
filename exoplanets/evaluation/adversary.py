"""An adversary: how well hosts are told from non-hosts without any dip.

Each single probe may be at chance, and all of them together may still tell the label. So a random
forest and a logistic regression learn the labels from sixty-six numbers of every light curve. These
numbers describe its brightenings and none of its dips. The score of both models shows how far hosts
and non-hosts differ in other ways than transits: in how the files were made, or in the stars
themselves. A classifier that sees transits must not need such differences: see
`metrics.matched_auc`.

The result is an upper bound. The noise is measured with the dips clipped, so that deep transits
leave a trace between them, and the models learn that trace too.
"""

from itertools import pairwise

import numpy as np
from scipy.fft import next_fast_len, rfft
from scipy.special import logit
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from exoplanets.lightcurves.detrend import find_median, find_spread, map_blocks
from exoplanets.lightcurves.equalise import THRUSTERS
from exoplanets.lightcurves.probes import SHORTENED, measure_line

HIGHEST = 5.0  # robust standard deviations; brighter cadences count as this bright
BANDS = np.geomspace(1 / 200, 0.5, 21)  # cycles per cadence, edges
LINES = (*THRUSTERS, *SHORTENED)  # cycles per cadence
LAGS = (1, 2, 3, 4, 6, 8, 11, 12, 24, 48)  # cadences
QUANTILES = (0.6, 0.7, 0.8, 0.9, 0.95, 0.99, 0.999)
N_STRETCHES = 10  # stretches of equal length; mean and spread are taken in each
N_FOLDS = 5
N_TREES = 100
MOST_OTHERS = 600  # non-hosts to learn from; with more the result hardly changes
LEAST = 0.005  # lowest probability, so that the log-odds of a sure forest stay finite


def describe_brightenings(curves):
    """Numbers that describe each light curve without its dips.

    All are measured on the part of the light curve above its median, in robust standard deviations:
    log power in bands and at lines of the spectrum, autocorrelation, quantiles, and mean and spread
    in stretches. From ndarray of shape (n_stars, n_cadences) to ndarray of shape (n_stars, 66).
    """
    return np.concatenate(map_blocks(lambda rows: _describe_block(curves[rows]), len(curves)))


def _describe_block(curves):
    curves = np.asarray(curves, np.float64)
    curves = curves - find_median(curves)
    bright = np.clip(curves / find_spread(curves), 0, HIGHEST)
    rest = bright - bright.mean(axis=1, keepdims=True)
    n_cadences = curves.shape[1]
    n = next_fast_len(n_cadences, real=True)
    power = np.abs(rfft(rest, n, axis=1)) ** 2 + 1e-300
    frequency = np.arange(power.shape[1]) / n

    def measure(chosen):
        return np.log(power[:, chosen].mean(axis=1))

    whole = measure(slice(1, None))
    numbers = []
    for low, high in pairwise(BANDS):
        inside = (frequency >= low) & (frequency <= high)
        inside[np.argmin(np.abs(frequency - low))] = True  # short curves: at least one
        numbers.append(measure(inside) - whole)
    for line in LINES:
        numbers.append(measure_line((frequency, power), [line]))
    variance = np.maximum(np.sum(rest**2, axis=1), 1e-300)
    for lag in LAGS:
        numbers.append(np.einsum("ij,ij->i", rest[:, lag:], rest[:, :-lag]) / variance)
    numbers += list(np.quantile(bright, QUANTILES, axis=1))
    for stretch in np.array_split(bright, N_STRETCHES, axis=1):
        numbers += [stretch.mean(axis=1), stretch.std(axis=1)]
    return np.column_stack(numbers)


def score_alike(curves, y, seed):
    """How much each star looks like a host to the adversary, without its dips: (n_stars,), or None.

    The score is the sum of the log-odds of both models. They never learn from the star itself. The
    result is None if a class has fewer than two stars. The light curves, (n_stars, n_cadences), are
    without NaN; `y` is 1 for a host.
    """
    y = np.asarray(y) == 1
    n_folds = min(N_FOLDS, np.sum(y), np.sum(~y))
    if n_folds < 2:
        return None
    numbers = describe_brightenings(curves)
    hosts, others = np.flatnonzero(y), np.flatnonzero(~y)
    chosen = np.random.default_rng(seed).permutation(others)[:MOST_OTHERS]
    learnt = np.sort(np.concatenate([hosts, chosen]))
    rest = np.setdiff1d(others, chosen)
    score = np.zeros(len(y))
    # Number of folds that score a star. Stars that teach none of them are scored by all.
    n_scores = np.ones(len(y))
    n_scores[rest] = n_folds
    folds = StratifiedKFold(n_folds, shuffle=True, random_state=seed)
    for fit, held_out in folds.split(numbers[learnt], y[learnt]):
        unseen = np.append(learnt[held_out], rest)
        for model in make_models(seed):
            model.fit(numbers[learnt[fit]], y[learnt[fit]])
            probability = np.clip(model.predict_proba(numbers[unseen])[:, 1], LEAST, 1 - LEAST)
            score[unseen] += logit(probability) / n_scores[unseen]
    return score


def make_models(seed):
    """The two models, untrained; both weigh the classes alike."""
    return (
        # In one thread: several would add up the trees in any order, and round differently.
        RandomForestClassifier(
            N_TREES, min_samples_leaf=3, class_weight="balanced", random_state=seed
        ),
        make_pipeline(
            StandardScaler(), LogisticRegression(C=0.03, class_weight="balanced", max_iter=2000)
        ),
    )
