"""Vetting: what a classifier finds, what it finds where nothing is, and what it looks at.

A score on a handful of hosts proves little. As the Kepler catalogue did [1]_, `vet` measures

* completeness: transits injected into the raw flux of held-out non-hosts, and the share recovered;
* reliability: how much of the skill survives where no transit is left (flux upside down, dips
  masked), or where the transits are left but not their period (blocks of time shuffled);
* occlusion: how far the score falls when a stretch of time is hidden [2]_, and how much of that
  lies within transits;
* calibration: whether a score is a probability, and the two numbers that make it one [3]_.

Throughout, `y` is 1 for a host, and a star or an injected planet is called if `score >= threshold`.

References
----------
.. [1] Thompson et al. 2018, ApJS 235, 38 (Kepler DR25: injection, inversion, scrambling).
.. [2] Shallue & Vanderburg 2018, AJ 155, 94 (occlusion along a light curve).
.. [3] Platt 1999, in Advances in Large Margin Classifiers, 61.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from scipy.ndimage import binary_dilation, uniform_filter1d
from sklearn.model_selection import StratifiedKFold

from data import bls, equalise, injection, scores, survey
from data.kepler import CADENCE_DAYS

# ---- completeness
PERIODS = (0.7, 20.0)  # days, of the injected planets
SNR_EDGES = (6.0, 8.0, 12.0, 20.0, 40.0, 150.0)  # of the matched filter in the raw flux
HIGH_SNR = 20.0  # above it a survey has to find nine in ten
PERIOD_EDGES = (0.7, 1.5, 3.0, 6.0, 12.0, 20.0)  # days
RATIO_EDGES = (0.0, 0.01, 0.02, 0.04, 0.08, np.inf)  # planet-to-star radius, lower limits
FALSE_POSITIVE_RATE = 0.01
# A non-host with at least three equal dips far above its noise has a suspect label.
SUSPECT_STATISTIC, SUSPECT_SNR = 4.0, 20.0
SUSPECT_SHARE = 0.03  # of the non-hosts, the highest-scored, that are searched for such dips

# ---- reliability
TREATMENTS = ("original", "inverted", "masked", "scrambled")
DIP_DEPTH = 3.5  # standard deviations, of a cadence or (white) of the mean of DIP_WIDTH cadences
DIP_WIDTH, DIP_MARGIN = 5, 4  # cadences: of the mean; masked on either side of a dip
JOIN = 3.0  # cadences over which replaced noise is joined to what is kept: its correlation time
SCRAMBLED_BLOCK = 24  # cadences, 12 h: longer than a transit, shorter than a period
LEAST_SKILL = 0.05  # ROC AUC above 0.5 below which there is no skill to lose a share of

# ---- occlusion
HIDDEN = 13  # cadences, 6.4 h: a whole transit of most planets
TAPER = 2  # cadences over which the light curve goes to 0 at either end of a hidden stretch
ORDINARY = 3.0  # robust spreads by which hiding an ordinary stretch may change the score
WANDER = 30  # cadences a transit may be early or late in all: index is not quite time
STRETCH = 1 / 16  # of a period, which index may gain or lose against time from one to the next
VISIBLE_STATISTIC = 4.0  # of the box search: a host whose transits show

# ---- what must hold
MOST_WITHOUT_TRANSITS = 0.60  # ROC AUC on inverted and on masked light curves
LEAST_RECOVERED = 0.90  # of planets above HIGH_SNR, at FALSE_POSITIVE_RATE
LEAST_IN_TRANSIT = 0.70  # of the drop in score, on clear hosts

N_FOLDS, N_BINS = 5, 10  # of the calibration


class Level(NamedTuple):
    """How much is vetted: numbers of stars and of injections."""

    n_others: int  # held-out non-hosts at most
    n_injections: int
    n_slow: int  # injections, and non-hosts, that a slow scorer is given
    slow_reliability: bool  # whether a slow scorer's reliability is measured too
    n_clear: int  # hosts that are occluded
    n_false: int  # non-hosts that are occluded
    step: int  # cadences from one hidden stretch to the next
    n_resamples: int  # of the bootstrap


LEVELS = {
    "quick": Level(400, 600, 200, False, 4, 2, 8, 500),
    "full": Level(100_000, 4000, 1000, True, 10, 5, 4, 1000),
}


class Scorer(NamedTuple):
    """Something that scores light curves.

    Attributes
    ----------
    score : callable
        From light curves, ndarray of shape (n_stars, n_cadences), to (n_stars,) finite scores.
    threshold : float
        The tuned one.
    light_curves : {"equalised", "distributed"}
        What it is given: equalised curves, or the raw flux (treated or injected alike).
    knows_hosts : bool
        Whether labels of hosts in the fit part taught it: then those hosts are not used.
    slow : bool
        Whether a star takes so long that it is given fewer; see `Level`.
    """

    score: Callable
    threshold: float
    light_curves: str = "equalised"
    knows_hosts: bool = True
    slow: bool = False

    def of(self, flux, curves):
        """Score the same stars given both ways, ndarray of shape (n_stars,), float64."""
        given = curves if self.light_curves == "equalised" else flux
        return np.asarray(self.score(given), np.float64)


class Sample(NamedTuple):
    """Stars to vet with: every host, and the non-hosts held out of all training.

    Attributes
    ----------
    flux : ndarray of shape (n_stars, n_cadences)
        As distributed, e-/s, without NaN.
    curves : ndarray of shape (n_stars, n_measured)
        The same stars equalised.
    y : ndarray of shape (n_stars,)
        1 for a host.
    held_out : ndarray of bool of shape (n_stars,)
        Whether a star is of the validation or test part: True for every non-host.
    names : ndarray of str of shape (n_stars,)
        Such as "train row 7".
    prevalence : float
        Share of hosts among all labelled stars, of which these are a part.
    filled : ndarray of bool of shape (n_stars, n_cadences), optional
        Cadences that were missing.
    """

    flux: np.ndarray
    curves: np.ndarray
    y: np.ndarray
    held_out: np.ndarray
    names: np.ndarray
    prevalence: float
    filled: np.ndarray | None = None

    def of(self, index):
        """Some of the stars."""
        arrays = (self.flux, self.curves, self.y, self.held_out, self.names)
        filled = None if self.filled is None else self.filled[index]
        return Sample(*(a[index] for a in arrays), self.prevalence, filled)


# ------------------------------------------------------------------------------ completeness
class Injections(NamedTuple):
    """Planets injected into raw light curves; ndarrays with a row per injection.

    Attributes
    ----------
    flux, curves : e-/s, and equalised
    star : index of the non-host
    period, snr : days, and of the matched filter; see `injection.inject`
    radius_ratio : planet-to-star radius, a lower limit; see `injection.estimate_level`
    """

    flux: np.ndarray
    curves: np.ndarray
    star: np.ndarray
    period: np.ndarray
    snr: np.ndarray
    radius_ratio: np.ndarray


def draw_injections(stars, n_injections, rng):
    """Inject a planet into raw light curves, each star in turn, and equalise them.

    Period and signal-to-noise ratio are log-uniform, the rest as `survey.draw_planet`; at least two
    transits; strictly periodic in the index of the file. The depth is scaled to the ratio drawn.

    Parameters
    ----------
    stars : Sample
    n_injections : int
    rng : numpy.random.Generator

    Returns
    -------
    Injections
    """
    n_stars, n_cadences = stars.flux.shape
    times = np.arange(n_cadences) * CADENCE_DAYS
    star = np.resize(rng.permutation(n_stars), n_injections)
    flux = np.empty((n_injections, n_cadences))
    truth = np.empty((3, n_injections))
    for i in range(n_injections):
        dip, planet = injection.draw_transits(rng, times, PERIODS)
        snr = np.exp(rng.uniform(np.log(SNR_EDGES[0]), np.log(SNR_EDGES[-1])))
        flux[i], depth = injection.inject(stars.flux[star[i]].astype(np.float64), dip, snr)
        of_planet = np.max(1 - survey.transit_flux(times, **planet))
        relative = depth / injection.estimate_level(stars.flux[star[i]])
        # A planet's depth goes as the square of its radius.
        ratio = planet["radius_ratio"] * np.sqrt(relative / of_planet)
        truth[:, i] = planet["period"], snr, ratio
    filled = None if stars.filled is None else stars.filled[star]
    curves, kept, _ = equalise.equalise_table(flux, filled)
    return Injections(flux[kept], curves, star[kept], *truth[:, kept])


def find_false_positive_threshold(score, rate=FALSE_POSITIVE_RATE):
    """The lowest threshold at which at most so many non-hosts are called.

    Of n non-hosts, k = max(1, floor(rate * n)) may be called: the threshold is just above the score
    of the next, the (k + 1)-th highest. With ties fewer are called.

    Returns
    -------
    dict
        `threshold`, and the counts `false_positives` of `non_hosts`.
    """
    score = np.sort(np.asarray(score, np.float64))[::-1]
    allowed = max(1, int(rate * len(score)))
    threshold = np.nextafter(score[allowed], np.inf) if allowed < len(score) else score[-1]
    return {
        "threshold": float(threshold),
        "false_positives": int(np.sum(score >= threshold)),
        "non_hosts": len(score),
    }


def count_recovered(recovered):
    """`n`, `recovered`, `fraction` and its Wilson interval of some injections."""
    n, found = len(recovered), int(np.sum(recovered))
    return {
        "n": n,
        "recovered": found,
        "fraction": scores.ratio(found, n),
        "interval": scores.wilson(found, n),
    }


def measure_completeness(threshold, score, found, injections, suspect):
    """Recovery of injected planets at the tuned threshold and at a 1 % false-positive rate.

    Parameters
    ----------
    threshold : float
        The tuned one.
    score : ndarray of shape (n_stars,)
        Of the non-hosts before injection: it sets the false-positive rate.
    found : ndarray of shape (n_injections,)
        Score of the injections.
    injections : Injections
    suspect : ndarray of bool of shape (n_stars,)
        Non-hosts whose label is suspect; a third threshold is set without them.

    Returns
    -------
    dict
        Per threshold (`tuned`, `false_positives_1_percent` and the same `_without_suspects`):
        threshold, false positives of how many non-hosts; `bins` of SNR, `all`, and `above_20`;
        and `grid`, rows of cells of period and radius ratio.
    """
    tuned = {
        "threshold": float(threshold),
        "false_positives": int(np.sum(score >= threshold)),
        "non_hosts": len(score),
    }
    thresholds = {
        "tuned": tuned,
        "false_positives_1_percent": find_false_positive_threshold(score),
        "false_positives_1_percent_without_suspects": find_false_positive_threshold(
            score[~suspect]
        ),
    }
    snr_bin = np.digitize(injections.snr, SNR_EDGES[1:-1])
    period_bin = np.digitize(injections.period, PERIOD_EDGES[1:-1])
    ratio_bin = np.digitize(injections.radius_ratio, RATIO_EDGES[1:-1])
    for row in thresholds.values():
        recovered = found >= row["threshold"]
        row["bins"] = [
            {"snr": [SNR_EDGES[i], SNR_EDGES[i + 1]]} | count_recovered(recovered[snr_bin == i])
            for i in range(len(SNR_EDGES) - 1)
        ]
        row["all"] = count_recovered(recovered)
        row["above_20"] = count_recovered(recovered[injections.snr > HIGH_SNR])
        row["grid"] = [
            [
                count_recovered(recovered[(ratio_bin == i) & (period_bin == j)])
                for j in range(len(PERIOD_EDGES) - 1)
            ]
            for i in range(len(RATIO_EDGES) - 1)
        ]
    return thresholds


def find_suspects(score, curves):
    """Non-hosts among the highest-scored in which a box search sees strong periodic dips.

    Parameters
    ----------
    score : ndarray of shape (n_stars,)
    curves : ndarray of shape (n_stars, n_cadences)
        Equalised.

    Returns
    -------
    ndarray of bool of shape (n_stars,)
    """
    n_searched = max(5, round(SUSPECT_SHARE * len(score)))
    highest = np.argsort(-score, kind="stable")[:n_searched]
    found = bls.search(curves[highest])
    dips = (found.statistic >= SUSPECT_STATISTIC) & (found.snr >= SUSPECT_SNR)
    suspect = np.zeros(len(score), bool)
    suspect[highest[dips]] = True
    return suspect


# ------------------------------------------------------------------------------- reliability
def find_dips(curves):
    """Cadences of dips and their neighbours, whatever made the dips.

    A cadence below -3.5 standard deviations, or any of five whose mean is below -3.5 / sqrt(5)
    (about -1.6: in red noise that is no rare event, and a part of every star's noise goes too), and
    four more on either side.

    Parameters
    ----------
    curves : ndarray of shape (n_stars, n_cadences)
        Median 0, robust standard deviation 1.

    Returns
    -------
    ndarray of bool of shape (n_stars, n_cadences)
    """
    means = uniform_filter1d(curves, DIP_WIDTH, axis=1, mode="nearest")
    wide = binary_dilation(means < -DIP_DEPTH / np.sqrt(DIP_WIDTH), np.ones((1, DIP_WIDTH)))
    return binary_dilation((curves < -DIP_DEPTH) | wide, np.ones((1, 2 * DIP_MARGIN + 1)))


def mask_dips(curves, rng):
    """Put the star's own noise in the place of its dips.

    Each masked stretch is replaced by a run of as many kept cadences of the same star, from a
    random place: noise of its own colour. At both ends the difference to what is kept fades over
    the noise's correlation time, so that there is no step.

    Parameters
    ----------
    curves : ndarray of shape (n_stars, n_cadences)
        Median 0, robust standard deviation 1; not changed.
    rng : numpy.random.Generator

    Returns
    -------
    ndarray of shape (n_stars, n_cadences)
    """
    masked = np.array(curves)
    for star, dips in zip(masked, find_dips(curves), strict=True):
        if not dips.any():
            continue
        kept = star[~dips]
        if len(kept) < 2:  # nothing but dips
            star[:] = 0
            continue
        edges = np.flatnonzero(np.diff(dips, prepend=False, append=False))
        for first, end in edges.reshape(-1, 2):
            length = end - first
            start = rng.integers(len(kept))
            noise = np.take(kept, np.arange(start - 1, start + length + 1), mode="wrap")
            away = np.arange(1, length + 1)
            new = noise[1:-1].copy()
            if first > 0:
                new += (star[first - 1] - noise[0]) * np.exp(-away / JOIN)
            if end < len(star):
                new += (star[end] - noise[-1]) * np.exp(-away[::-1] / JOIN)
            star[first:end] = new
    return masked


def mask_raw_dips(flux, rng):
    """`mask_dips` for raw flux, e-/s: only the dips change, not what is between them."""
    trend = equalise.find_trend(flux)
    rest = flux - trend
    spread = 1.4826 * np.median(np.abs(rest), axis=1, keepdims=True)
    scaled = rest / np.maximum(spread, 1e-100)
    return np.where(find_dips(scaled), trend + spread * mask_dips(scaled, rng), flux)


def scramble(curves, rng):
    """Shuffle half-day blocks of each light curve in time; what is left over stays at the end."""
    scrambled = np.array(curves)
    n_blocks = curves.shape[1] // SCRAMBLED_BLOCK
    for star in scrambled:
        blocks = star[: n_blocks * SCRAMBLED_BLOCK].reshape(n_blocks, SCRAMBLED_BLOCK)
        blocks[:] = blocks[rng.permutation(n_blocks)]
    return scrambled


def treat_stars(stars, seed):
    """Every treatment of every star, hosts and non-hosts alike.

    Returns
    -------
    dict of (flux, curves)
        Per treatment, both kinds of light curves.
    """
    rng = np.random.default_rng([seed, 2])
    flux, curves = stars.flux, stars.curves
    return {
        "original": (flux, curves),
        "inverted": (-flux, -curves),  # equalisation is odd
        "masked": (mask_raw_dips(flux, rng), mask_dips(curves, rng)),
        "scrambled": (scramble(flux, rng), scramble(curves, rng)),
    }


def measure_reliability(y, scored, seed, n_resamples=scores.N_RESAMPLES):
    """ROC AUC of hosts against equally treated non-hosts, and what share of the skill it is.

    Parameters
    ----------
    y : ndarray of shape (n_stars,)
    scored : dict of ndarray of shape (n_stars,)
        Score per treatment; `original` among them.
    seed, n_resamples : int
        Of the stratified bootstrap.

    Returns
    -------
    dict
        `hosts`, `non_hosts`, and per treatment `roc_auc`, `interval` and `surviving_share`:
        (AUC - 0.5) / (AUC of the original - 0.5), at least 0; None if there was no skill.
    """
    rng = np.random.default_rng([seed, 3])
    auc = {name: float(scores.rank_statistics(y, s)[0][0]) for name, s in scored.items()}
    skill = auc["original"] - 0.5
    rows = {
        name: {
            "roc_auc": auc[name],
            "interval": scores.roc_auc_interval(y, s, rng, n_resamples),
            "surviving_share": max(0.0, (auc[name] - 0.5) / skill) if skill > LEAST_SKILL else None,
        }
        for name, s in scored.items()
    }
    return {"hosts": int(np.sum(y == 1)), "non_hosts": int(np.sum(y == 0))} | rows


# --------------------------------------------------------------------------------- occlusion
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
        Equalised, and days; see `equalise.find_times`.
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
    falls = scores.logit(scored[0]) - scores.logit(scored[1:])
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
        "share_in_transit": scores.ratio(excess[in_transit].sum(), excess.sum()),
        "share_of_any_fall": scores.ratio(positive[in_transit].sum(), positive.sum()),
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
    found : bls.Search
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
        flux = stars.flux[order]
        if stars.filled is not None:
            flux = np.where(stars.filled[order], np.nan, flux)
        times = equalise.find_times(flux, curves.shape[1])
        found = bls.search(curves, times)
        clear = found.statistic >= (VISIBLE_STATISTIC if label else -np.inf)
        for k in np.flatnonzero(clear)[:n_wanted]:
            at = bls.Search(*(float(values[k]) for values in found))
            row, panel = occlude_star(scorer.score, curves[k], times[k], at, level.step)
            names = {"star": str(stars.names[order[k]]), "label": label}
            rows.append(names | row | at._asdict())
            drawn.append(panel)
    return rows, drawn


# ------------------------------------------------------------------------------- calibration
def fit_to_prevalence(y, score, prevalence):
    """`scores.fit_calibration`, for another share of hosts than that of the stars given.

    A logistic regression on stars chosen by label has the right slope; its offset is off by the
    difference of the log-odds of a host (King & Zeng 2001, Political Analysis 9, 137).

    Returns
    -------
    slope, offset : float
    """
    slope, offset = scores.fit_calibration(y, score)
    return slope, float(offset + scores.logit(prevalence) - scores.logit(np.mean(y)))


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
                "interval": [float(weigh(share)) for share in scores.wilson(hosts, n)],
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
            probability[held_out] = scores.calibrate(score[held_out], *found)
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


# ----------------------------------------------------------------------------------- verdict
def judge(content):
    """What was found, test by test and network by network.

    Parameters
    ----------
    content : dict
        `completeness`, `reliability`, `occlusion` and `network` of `vet`.

    Returns
    -------
    list of dict
        `network`, `test`, `value` (None where undefined), `limit`, `passed` (None where undefined)
        and `sentence`.
    """
    verdicts = []

    def add(network, test, value, limit, passed, sentence):
        verdicts.append(
            {
                "network": network,
                "test": test,
                "value": value,
                "limit": limit,
                "passed": None if value is None else bool(passed),
                "sentence": sentence,
            }
        )

    judged = set()
    what = {"inverted": "flux upside down", "masked": "the dips masked"}
    for row in content["reliability"]:
        if row["network"] in judged:  # by the larger of its samples, which comes first
            continue
        judged.add(row["network"])
        for treatment, words in what.items():
            auc = row[treatment]["roc_auc"]
            sentence = (
                f"with {words}, {row['hosts']} hosts are told from {row['non_hosts']} non-hosts "
                f"with ROC AUC {auc:.2f} (before: {row['original']['roc_auc']:.2f}; {row['stars']})"
            )
            passed = auc < MOST_WITHOUT_TRANSITS
            add(row["network"], treatment, auc, MOST_WITHOUT_TRANSITS, passed, sentence)
    for row in content["completeness"]:
        at = row["false_positives_1_percent"]
        value, n = at["above_20"]["fraction"], at["above_20"]["n"]
        sentence = (
            f"of {n} injected planets above SNR {HIGH_SNR:g}, {at['above_20']['recovered']} are "
            f"recovered where {at['false_positives']} of {at['non_hosts']} non-hosts are called"
        )
        passed = value is not None and value >= LEAST_RECOVERED
        add(row["network"], "recovery", value, LEAST_RECOVERED, passed, sentence)
    clear = [r["share_in_transit"] for r in content["occlusion"] if r["label"] == 1]
    known = [share for share in clear if share is not None]
    # Undefined where a score rests on many shallow transits and on none in particular: it is named.
    value = float(np.mean(known)) if known else None
    sentence = "no host is clear enough to be occluded"
    if clear:
        each = ", ".join("undefined" if s is None else f"{s:.2f}" for s in clear)
        sentence = f"share of the fall in score that lies within transits, clear hosts: {each}"
    passed = value is not None and value >= LEAST_IN_TRANSIT
    add(content["network"], "occlusion", value, LEAST_IN_TRANSIT, passed, sentence)
    return verdicts


def is_leaky(content, network):
    """Whether a network still tells hosts from non-hosts where no transit is left.

    Parameters
    ----------
    content : dict
        Of `vet`.
    network : str

    Raises
    ------
    ValueError
        If its reliability was not measured.
    """
    found = [v for v in content["verdicts"] if v["network"] == network]
    found = [v["passed"] for v in found if v["test"] in ("inverted", "masked")]
    if not found:
        raise ValueError(f"the reliability of '{network}' was not measured")
    return not all(found)


def vet(scorers, stars, network, level="quick", seed=0):
    """Vet a network, and others beside it.

    Parameters
    ----------
    scorers : dict of Scorer
        By name.
    stars : Sample
    network : str
        Name of the one whose occlusion and calibration are measured; its scores lie between 0
        and 1.
    level : {"quick", "full"}
    seed : int

    Returns
    -------
    content : dict
        JSON-ready; `metrics.json["vetting"]`. `level`, `seed`, `network`, `held_out_non_hosts`,
        `suspects`, and the lists and dicts of the parts; `verdicts` in words.
    drawn : dict
        Arrays that the figures need beside it.
    """
    settings = LEVELS[level]
    others = np.flatnonzero(stars.y == 0)
    if not np.all(stars.held_out[others]):
        raise ValueError("non-hosts that were trained on cannot be vetted with")
    rng = np.random.default_rng([seed, 0])
    if len(others) > settings.n_others:
        others = np.sort(rng.choice(others, settings.n_others, replace=False))
    # Non-hosts in random order, so that the first are a sample of all.
    stars = stars.of(np.concatenate([np.flatnonzero(stars.y == 1), rng.permutation(others)]))
    is_other = stars.y == 0
    quiet = stars.of(is_other)
    treated = treat_stars(stars, seed)
    scored = {}
    for name, scorer in scorers.items():
        if settings.slow_reliability or not scorer.slow:
            scored[name] = {t: scorer.of(*treated[t]) for t in TREATMENTS}

    injections = draw_injections(quiet, settings.n_injections, np.random.default_rng([seed, 1]))
    suspect = find_suspects(scored[network]["original"][is_other], quiet.curves)
    completeness = []
    for name, scorer in scorers.items():
        few = slice(settings.n_slow if scorer.slow else None)
        planets = Injections(*(a[few] for a in injections))
        if name in scored:
            score = scored[name]["original"][is_other][few]
        else:
            score = scorer.of(quiet.flux[few], quiet.curves[few])
        found = scorer.of(planets.flux, planets.curves)
        row = measure_completeness(scorer.threshold, score, found, planets, suspect[few])
        completeness.append({"network": name, "light_curves": scorer.light_curves} | row)

    reliability = []
    for name, of_treatment in scored.items():
        used = {"held-out stars": stars.held_out}
        if not scorers[name].knows_hosts:
            used = {"all hosts, held-out non-hosts": np.ones(len(stars.y), bool)} | used
        for which, kept in used.items():
            y = stars.y[kept]
            if not 0 < np.sum(y) < len(y):
                continue
            of_kept = {t: s[kept] for t, s in of_treatment.items()}
            row = measure_reliability(y, of_kept, seed, settings.n_resamples)
            names = {"network": name, "light_curves": scorers[name].light_curves, "stars": which}
            reliability.append(names | row)

    chosen = scorers[network]
    usable = stars.held_out if chosen.knows_hosts else np.ones(len(stars.y), bool)
    score = scored[network]["original"]
    occlusion, occluded = occlude_clearest(chosen, stars.of(usable), score[usable], settings)
    calibration = measure_calibration(stars.y[usable], score[usable], stars.prevalence, seed)
    content = {
        "level": level,
        "seed": seed,
        "network": network,
        "injections": len(injections.snr),
        "held_out_non_hosts": len(quiet.y),
        "suspects": sorted(str(name) for name in quiet.names[suspect]),
        "completeness": completeness,
        "reliability": reliability,
        "occlusion": occlusion,
        "calibration": calibration,
    }
    content["verdicts"] = judge(content)
    drawn = {
        "y": stars.y[usable],
        "treated": {t: s[usable] for t, s in scored[network].items()},
        "occluded": occluded,
    }
    return content, drawn
