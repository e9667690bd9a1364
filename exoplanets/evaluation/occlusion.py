"""Occlusion: which stretches of time a score rests on, and how much of that lies within transits.

Each stretch of a light curve is hidden in turn, and the fall in score noted [1]_.

References
----------
.. [1] Shallue & Vanderburg 2018, AJ 155, 94 (occlusion along a light curve).
"""

import numpy as np

from exoplanets.evaluation.metrics import logit, ratio
from exoplanets.stars import CADENCE_DAYS

HIDDEN = 13  # cadences, 6.4 h: a whole transit of most planets
TAPER = 2  # cadences over which the light curve goes to 0 at either end of a hidden stretch
ORDINARY = 3.0  # robust spreads by which hiding an ordinary stretch may change the score
VISIBLE_STATISTIC = 6.0  # of the box search; one real non-host in seventy reaches it


def hide_stretches(curve, centres, width=HIDDEN):
    """Copies of a light curve, each with one stretch put to its median, 0.

    Parameters
    ----------
    curve : ndarray of shape (n_cadences,)
    centres : ndarray of shape (n_stretches,)
        Cadences.
    width : int
        Cadences that are hidden wholly; over `TAPER` more on either side the curve fades.

    Returns
    -------
    ndarray of shape (n_stretches, n_cadences)
    """
    away = np.abs(np.arange(len(curve)) - np.asarray(centres)[:, None]) - (width - 1) / 2
    kept = np.clip(away / (TAPER + 1), 0, 1).astype(curve.dtype)
    return curve * kept


def find_transits(times, period, epoch, duration):
    """Indices of the cadences nearest to the middle of each transit, ndarray of int.

    A transit without a cadence within half its duration is left out; without a period all are.

    Parameters
    ----------
    times : ndarray of shape (n_cadences,)
        Days, increasing.
    period, epoch, duration : float
        Days.
    """
    if not np.isfinite(period):
        return np.zeros(0, int)
    first = epoch - np.floor((epoch - times[0]) / period) * period
    middles = np.arange(first, times[-1], period)
    nearest = np.searchsorted((times[1:] + times[:-1]) / 2, middles)
    return nearest[np.abs(times[nearest] - middles) <= (duration + CADENCE_DAYS) / 2]


def measure_occlusion(score, curve, middles, duration, step=4, width=HIDDEN):
    """How far the log-odds fall when each stretch of a light curve is hidden, and where.

    Hiding any stretch changes a score a little, up or down, and the sum of many small falls is
    large. A fall counts by what it exceeds that of an ordinary stretch: the median over all
    stretches and three times their spread, which is measured below the median, where what the
    score rests on does not enter. Neither knows where the transits are. `share_of_any_fall` is the
    share without that subtraction; `share_by_chance` is what falls anywhere at random would give.

    Parameters
    ----------
    score : callable
        From light curves, ndarray of shape (n, n_cadences), to scores between 0 and 1.
    curve : ndarray of shape (n_cadences,)
    middles : ndarray of int
        Indices of the middles of the transits.
    duration : float
        Days. A stretch is in transit if any of its hidden cadences is.
    step : int
        Cadences from one stretch to the next.
    width : int
        Cadences that are hidden at a time.

    Returns
    -------
    result : dict
        `score`, `transits`, `share_in_transit` (None if no stretch matters),
        `share_of_any_fall`, `share_by_chance`, `ordinary_fall` (log-odds).
    arrays : dict
        `centres` (cadences) and `falls` (log-odds) of the stretches, `middles` of the transits
        (cadences) and `in_transit`.
    """
    centres = np.arange(width // 2, len(curve) - width // 2 + 1, step)
    hidden = hide_stretches(curve, centres, width)
    scored = np.asarray(score(np.concatenate([curve[None], hidden])), np.float64)
    falls = logit(scored[0]) - logit(scored[1:])
    reach = (width - 1) / 2 + TAPER + duration / CADENCE_DAYS / 2
    in_transit = np.abs(centres[:, None] - middles).min(axis=1, initial=len(curve)) <= reach
    median = np.median(falls)
    below = falls[falls < median]
    spread = 1.4826 * np.median(median - below) if len(below) else 0.0
    ordinary = median + ORDINARY * spread
    excess, positive = np.maximum(falls - ordinary, 0), np.maximum(falls, 0)
    result = {
        "score": float(scored[0]),
        "transits": len(middles),
        "share_in_transit": ratio(excess[in_transit].sum(), excess.sum()),
        "share_of_any_fall": ratio(positive[in_transit].sum(), positive.sum()),
        "share_by_chance": float(in_transit.mean()),
        "ordinary_fall": float(ordinary),
    }
    arrays = {"centres": centres, "falls": falls, "middles": middles, "in_transit": in_transit}
    return result, arrays


def occlude_star(score, curve, times, found, step=4, width=HIDDEN):
    """`measure_occlusion` at the transits of what a box search found in a star.

    Parameters
    ----------
    score, curve, step, width
        See `measure_occlusion`.
    times : ndarray of shape (n_cadences,)
        Days since the zero of the search's epoch.
    found : exoplanets.classifiers.box.Search
        Of this one star: numbers, not arrays.

    Returns
    -------
    result : dict
        See `measure_occlusion`.
    panel : dict
        What is drawn: `curve`, the `days` of its cadences, and the arrays of `measure_occlusion`.
    """
    middles = find_transits(times, found.period, found.epoch, found.duration)
    result, arrays = measure_occlusion(score, curve, middles, found.duration, step, width)
    return result, {"curve": curve, "days": times} | arrays


def occlude_clearest(classifier, stars, score, found, n_hosts, n_others, step):
    """`measure_occlusion` of the clearest hosts and of the highest-scored non-hosts.

    Clear: hosts in which a box search sees the transits too (its statistic is at least
    `VISIBLE_STATISTIC`), in the order of the score.

    Parameters
    ----------
    classifier : exoplanets.classifiers.base.Classifier
        Its scores lie between 0 and 1.
    stars : Stars
    score : ndarray of shape (n_stars,)
    found : exoplanets.classifiers.box.Search
        Of all these stars; NaN where none was searched.
    n_hosts, n_others, step : int
        Stars of each class, and cadences from one hidden stretch to the next.

    Returns
    -------
    rows : list of dict
        See `measure_occlusion`; and `star`, `label`, and what the box search found.
    drawn : list of dict
        See `occlude_star`.
    """
    kind = classifier.light_curves
    rows, drawn = [], []
    order = np.argsort(-score, kind="stable")
    hosts = order[(stars.y[order] == 1) & (found.statistic[order] >= VISIBLE_STATISTIC)]
    others = order[(stars.y[order] == 0) & np.isfinite(found.period[order])]
    for star in np.concatenate([hosts[:n_hosts], others[:n_others]]):

        def ask(curves, star=star):
            given = {"curves": curves} if kind == "equalised" else {"flux": curves}
            return classifier.score(stars.select(np.full(len(curves), star)).replace(**given))

        curve = stars.light_curves(kind)[star]
        cadence = np.arange(len(curve)) if kind == "equalised" else stars.cadence[star]
        search = found.select(star)
        row, panel = occlude_star(ask, curve, cadence * CADENCE_DAYS, search, step)
        numbers = {name: float(value) for name, value in search._asdict().items()}
        rows.append({"star": stars.names[star], "label": int(stars.y[star])} | row | numbers)
        drawn.append(panel)
    return rows, drawn
