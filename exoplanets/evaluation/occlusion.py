"""Occlusion: how far a score falls when a stretch of time is hidden [1]_, and where.

References
----------
.. [1] Shallue & Vanderburg 2018, AJ 155, 94 (occlusion along a light curve).
"""

import numpy as np
from scipy.ndimage import uniform_filter1d

from exoplanets.classifiers import box
from exoplanets.evaluation import metrics
from exoplanets.stars import CADENCE_DAYS

HIDDEN = 13  # cadences, 6.4 h: a whole transit of most planets
TAPER = 2  # cadences over which the light curve goes to 0 at either end of a hidden stretch
ORDINARY = 3.0  # robust spreads by which hiding an ordinary stretch may change the score
WANDER = 30  # cadences a transit may be early or late in all: index is not quite time
STRETCH = 1 / 16  # of a period, which index may gain or lose against time from one to the next
VISIBLE_STATISTIC = 4.0  # of the box search: a host whose transits show


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


def follow_transits(curve, times, period, epoch, duration, wander=WANDER):
    """Middle of every transit, followed from one to the next.

    From a file whose missing cadences were dropped, time is only about known: where one in twelve
    is missing transits come early, by up to some twenty over a campaign. Of all paths that
    stay within `wander` cadences (and a third of a period) of the strict period, and change by at
    most `STRETCH` of a period and a cadence between neighbours, the one with the lowest sum of box
    means is taken (dynamic programming). No dip counts more than two typical ones. A transit in a
    gap, which lies further than that and half its duration from any cadence, is left out.

    Parameters
    ----------
    curve, times : ndarray of shape (n_cadences,)
        Equalised, and days.
    period, epoch, duration : float
        Days; of the box search.
    wander : int
        Cadences; 0 where times are exact.

    Returns
    -------
    ndarray of int
        Indices into `curve`, one per transit that was seen.
    """
    if not np.isfinite(period):
        return np.zeros(0, int)
    width = max(3, round(duration / CADENCE_DAYS))
    means = uniform_filter1d(np.asarray(curve, np.float64), width, mode="nearest")
    predicted = np.arange(epoch % period, times[-1], period)
    nearest = np.searchsorted((times[1:] + times[:-1]) / 2, predicted)
    predicted = nearest[np.abs(times[nearest] - predicted) <= (wander + width / 2) * CADENCE_DAYS]
    reach = int(min(wander, period / CADENCE_DAYS / 3))
    offsets = np.arange(-reach, reach + 1)
    place = np.clip(predicted[:, None] + offsets, 0, len(curve) - 1)
    cost = means[place]
    typical = np.median(cost.min(axis=1))
    cost = np.maximum(cost, typical - abs(typical))
    step = 1 + round(STRETCH * period / CADENCE_DAYS)
    total, came_from = cost[0], np.zeros(cost.shape, int)
    far = np.abs(offsets[:, None] - offsets) > step
    # Between equal paths the one that changes least.
    change = np.where(far, np.inf, 1e-6 * np.abs(offsets[:, None] - offsets))
    for k in range(1, len(cost)):
        paths = total + change
        came_from[k] = paths.argmin(axis=1)
        total = cost[k] + paths.min(axis=1)
    path = [int(total.argmin())]
    for k in range(len(cost) - 1, 0, -1):
        path.append(came_from[k, path[-1]])
    return place[np.arange(len(place)), path[::-1]]


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
    falls = metrics.logit(scored[0]) - metrics.logit(scored[1:])
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
        "share_in_transit": metrics.ratio(excess[in_transit].sum(), excess.sum()),
        "share_of_any_fall": metrics.ratio(positive[in_transit].sum(), positive.sum()),
        "share_by_chance": float(in_transit.mean()),
        "ordinary_fall": float(ordinary),
    }
    return result, {
        "centres": centres,
        "falls": falls,
        "middles": middles,
        "in_transit": in_transit,
    }


def occlude_star(score, curve, times, found, step=4, width=HIDDEN, wander=WANDER):
    """`measure_occlusion` at the transits of what a box search found in a star.

    Parameters
    ----------
    score, curve, step, width
        See `measure_occlusion`.
    times : ndarray of shape (n_cadences,)
        Days since the zero of the search's epoch.
    found : box.Search
        Of this one star: numbers, not arrays.
    wander : int
        See `follow_transits`.

    Returns
    -------
    result : dict
        See `measure_occlusion`.
    panel : dict
        What is drawn: `curve`, the `days` of its cadences, and the arrays of `measure_occlusion`.
    """
    planet = found.period, found.epoch, found.duration
    middles = follow_transits(curve, times, *planet, wander)
    result, arrays = measure_occlusion(score, curve, middles, found.duration, step, width)
    return result, {"curve": curve, "days": times} | arrays


def occlude_clearest(scorer, stars, score, level):
    """`measure_occlusion` of the clearest hosts and of the highest-scored non-hosts.

    Clear: of the highest-scored hosts, those in which a box search sees the transits too (its
    statistic is at least `VISIBLE_STATISTIC`), in the order of the score.

    Returns
    -------
    rows : list of dict
        See `measure_occlusion`; and `star`, `label`, and what the box search found.
    drawn : list of dict
        See `occlude_star`.
    """
    rows, drawn = [], []
    for label, n_wanted in ((1, level.n_clear), (0, level.n_false)):
        order = np.flatnonzero(stars.y == label)
        order = order[np.argsort(-score[order], kind="stable")]
        order = order[: 3 * n_wanted if label else n_wanted]
        curves = stars.curves[order]
        times = np.arange(curves.shape[1]) * CADENCE_DAYS
        found = box.search(curves)
        clear = found.statistic >= (VISIBLE_STATISTIC if label else -np.inf)
        for k in np.flatnonzero(clear)[:n_wanted]:
            at = box.Search(*(float(values[k]) for values in found))
            row, panel = occlude_star(scorer.score, curves[k], times, at, level.step)
            names = {"star": str(stars.names[order[k]]), "label": label}
            rows.append(names | row | at._asdict())
            drawn.append(panel)
    return rows, drawn
