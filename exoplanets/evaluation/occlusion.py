"""Occlusion: which stretches of time a score rests on, and how many of them lie within transits.

Each stretch of a light curve is hidden in turn, and the fall in score is measured [1]_.

References
----------
.. [1] Shallue & Vanderburg 2018, AJ 155, 94 (occlusion along a light curve).
"""

import numpy as np

from exoplanets.evaluation.candidates import CLEAR_SNR
from exoplanets.evaluation.metrics import logit, ratio
from exoplanets.stars import CADENCE_DAYS

HIDDEN = 13  # cadences, 6.4 h: a whole transit of most planets
TAPER = 2  # cadences over which the light curve goes to 0 at either end of a hidden stretch
ORDINARY = 3.0  # robust spreads; a stretch without transits seldom changes the score by more


def hide_stretches(curve, centres, width=HIDDEN):
    """Copies of a light curve, each with one stretch put to its median, 0.

    The `width` cadences around each of the `centres` (cadences) are hidden. Over `TAPER` more on
    either side the curve fades. Returns ndarray of shape (n_stretches, n_cadences).
    """
    away = np.abs(np.arange(len(curve)) - np.asarray(centres)[:, None]) - (width - 1) / 2
    kept = np.clip(away / (TAPER + 1), 0, 1).astype(curve.dtype)
    return curve * kept


def find_transits(times, ephemeris):
    """Indices of the cadences nearest to the middle of each transit, ndarray of int.

    A transit that overlaps with no cadence is left out. Without a period (NaN) there is none. The
    `times`, days, increase.
    """
    if not np.isfinite(ephemeris.period):
        return np.zeros(0, int)
    middles = ephemeris.transit_times(times[0], times[-1])
    nearest = np.searchsorted((times[1:] + times[:-1]) / 2, middles)
    return nearest[np.abs(times[nearest] - middles) <= (ephemeris.duration + CADENCE_DAYS) / 2]


def measure_occlusion(score, curve, times, ephemeris, step=4, width=HIDDEN):
    """How far the log-odds fall when each stretch of a light curve is hidden, and where.

    Hiding any stretch changes a score a little, up or down, and the sum of many small falls is
    large. So only the part of a fall counts that exceeds an ordinary one: the median of all
    stretches plus three times their spread. The spread uses only falls below the median, so that
    transits cannot inflate it. Neither number depends on where the transits are. The share
    `share_of_any_fall` is computed without that subtraction; `share_by_chance` is the share of the
    stretches that are in transit.

    Parameters
    ----------
    score : callable
        From light curves, ndarray of shape (n, n_cadences), to scores between 0 and 1.
    curve, times : ndarray of shape (n_cadences,)
        Dimensionless, and days.
    ephemeris : Ephemeris
        Of its transits; NaN if it has none. A stretch is in transit if any of its hidden cadences
        is.
    step, width : int
        Cadences from one stretch to the next, and cadences that are hidden at a time: an odd
        number, so that a stretch has a middle.

    Returns
    -------
    result : dict
        Numbers; the shares are None if no stretch matters, `ordinary_fall` is in log-odds.
    panel : dict
        What is drawn: `curve`, the `days` of its cadences, `centres` (cadences) and `falls`
        (log-odds) of the stretches, and `middles` of the transits (cadences).
    """
    middles = find_transits(times, ephemeris)
    centres = np.arange(width // 2, len(curve) - width // 2, step)
    hidden = hide_stretches(curve, centres, width)
    scored = np.asarray(score(np.concatenate([curve[None], hidden])), np.float64)
    falls = logit(scored[0]) - logit(scored[1:])
    reach = (width - 1) / 2 + TAPER + ephemeris.duration / CADENCE_DAYS / 2
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
    where = {"centres": centres, "falls": falls, "middles": middles}
    return result, {"curve": curve, "days": times} | where


def occlude_clearest(classifier, stars, score, fits, n_hosts, n_others, step):
    """`measure_occlusion` of the clearest hosts and of the highest-scored non-hosts.

    A host is clear if the SNR of its fit is at least `CLEAR_SNR`. The highest-scored come first.
    The scores lie between 0 and 1; `fits` is a list of `TransitFit`, None for a star that was not
    measured. Hidden is the light curve in which dips are looked for. Returns two lists: the
    results, with `star`, `label`, and the period and SNR of the fit, and the panels.
    """
    kind = classifier.light_curves
    rows, drawn = [], []
    order = np.argsort(-score, kind="stable")
    hosts = [i for i in order if stars.is_host[i] and fits[i] and fits[i].snr >= CLEAR_SNR]
    others = [i for i in order if not stars.is_host[i] and fits[i]]
    for star in hosts[:n_hosts] + others[:n_others]:

        def ask(curves, star=star):
            if hasattr(classifier, "score_curves"):
                return classifier.score_curves(curves)
            given = {"curves": curves} if kind == "equalised" else {"flux": curves}
            return classifier.score(stars.select(np.full(len(curves), star)).replace(**given))

        curve, fit = stars.light_curves(kind)[star], fits[star]
        cadence = np.arange(len(curve)) if kind == "equalised" else stars.cadence[star]
        row, panel = measure_occlusion(ask, curve, cadence * CADENCE_DAYS, fit.ephemeris, step)
        numbers = {"period": fit.period_days, "snr": fit.snr}
        numbers = {name: value if np.isfinite(value) else None for name, value in numbers.items()}
        rows.append({"star": stars.names[star], "label": int(stars.y[star])} | row | numbers)
        drawn.append(panel)
    return rows, drawn
