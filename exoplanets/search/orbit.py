"""The whole orbit of a candidate: what tells a planet from two stars that eclipse each other.

A candidate's ephemeris is first sharpened until its dips lie on one another (`sharpen`), and a
trapezium is fitted to their fold. Then the light curve is folded in the units of that trapezium
(`describe_orbit`): the whole orbit, the transit, the moment half an orbit later, and odd less even
transits; each once relative to the depth, and once relative to its noise. An eclipsing binary shows
a second eclipse, unlike odd and even eclipses, or a V where a planet makes a U [1]_ [2]_.

The flux is flattened, not equalised: a filter that gives all noise one colour bends a transit's
shape.

References
----------
.. [1] Thompson et al. 2018, ApJS 235, 38 (Kepler's vetting).
.. [2] Shallue & Vanderburg 2018, AJ 155, 94 (global and local views).
"""

from dataclasses import replace

import numpy as np

from exoplanets.search.ephemeris import Ephemeris
from exoplanets.stars import CADENCE_DAYS

BRIGHTEST, DEEPEST = 6.0, -1e4  # of the flux, its standard deviations: flares tell nothing here
REACH = 2.0  # durations on either side of a transit within which it is sharpened
SHORTEST = 0.06  # days that a duration counts as, at least, for that reach
STEP = 0.5  # cadences, of the grids of ephemerides that are tried ...
DRIFTS = np.arange(-3, 4)  # ... steps from the middle of the light curve to an end ...
SHIFTS = np.arange(-2, 3)  # ... and steps of the epoch
SCALES = (2.0, 0.4)  # of these grids: the first round finds the dips, the second their shape
FINE = 48  # bins of the fold, from mid-transit to `REACH`, at least, that a trapezium is fitted to
WIDTHS = np.geomspace(0.35, 2.4, 24)  # of the trapezium at half depth, over the duration
MISFIT = 0.3  # of the depth: what a trapezium may miss a transit by
INGRESSES = np.linspace(0.1, 1.0, 10)  # share of it that deepens; 1 for a V
LEAST_PERIOD = 0.2  # days, and two durations: nothing with a shorter one is a planet
DIVISORS = (5, 3, 2)  # of a period that may be a multiple of the true one
ALIKE, SEEN = 0.7, 5.0  # dips that are the same: depth over the deepest, and over its error
LONGEST_TAUGHT = 25.0  # days
LEAST_DEPTH = 0.05  # standard deviations
FOLDS = {  # name: bins, and how far it reaches from its middle, in durations (None: whole orbit)
    "orbit": (48, None),
    "transit": (24, 1.5),
    "half-way": (12, 1.5),
    "odd less even": (12, 1.5),
}
N_BINS = sum(n for n, _ in FOLDS.values())
MOST_RELATIVE = 3.0  # of the depth: what a fold holds beyond counts as this
NUMBERS = (
    "secondary", "secondary_sigma", "ingress", "log_depth", "log_snr", "log_period",
    "log_duration", "log_whole_duration", "log_transits", "log_relative_depth",
    "depth_is_known", "log_sampling",
)  # fmt: skip
N_FEATURES = 2 * N_BINS + len(NUMBERS)


def sharpen(times, flux, ephemeris):
    """The ephemeris near a given one at which the dips lie best on one another.

    Parameters
    ----------
    times, flux : ndarray of shape (n_measured,)
        Days, and flux in its standard deviations; nothing missing.
    ephemeris : Ephemeris
        Good to about two cadences over the light curve.

    Returns
    -------
    ephemeris : Ephemeris
        With the duration and the depth of the trapezium that fits its fold.
    ingress : float
        Share of that duration in which the trapezium deepens.
    """
    for scale in SCALES:
        ephemeris, ingress = _sharpen_once(times, flux, ephemeris, scale)
    return ephemeris, ingress


def _sharpen_once(times, flux, ephemeris, scale):
    """One round of `sharpen`, on a grid `scale` times as wide and as coarse as that of `DRIFTS`."""
    period, duration = ephemeris.period, max(ephemeris.duration, SHORTEST)
    reach, step = REACH * duration, scale * STEP * CADENCE_DAYS
    # Counted from the middle of the light curve: a change of period moves both ends alike.
    middle = times[len(times) // 2]
    epoch = ephemeris.epoch + ephemeris.count(middle) * period
    number = np.rint((times - epoch) / period)
    away = times - epoch - number * period
    near = np.abs(away) < reach + (DRIFTS[-1] + SHIFTS[-1]) * step
    away, number, flux = away[near], number[near], flux[near]
    span = max(np.ptp(times), period)
    changes = step * DRIFTS / (span / 2) * period

    # The light curve is folded into bins of time once for each trial period. A shift is a whole
    # number of bins: both halves of the fold, seen from there, are one fold of |time|.
    per_step = int(np.ceil(step * FINE / reach))
    width = step / per_step
    n_bins = int(np.ceil(reach / width))
    centres = n_bins + per_step * (SHIFTS - SHIFTS[0])
    size = centres[-1] + n_bins + 2  # the first and the last hold what is farther away
    zero = 1 + centres[len(centres) // 2]  # the bin at which the given ephemeris has its transits
    place = (away - number * changes[:, None]) / width + zero
    place = np.clip(place, 0, size - 1).astype(int) + size * np.arange(len(changes))[:, None]

    def fold(weights):
        """The sums of all trials in bins of |time|, (n_trials, n_bins)."""
        sums = np.bincount(place.ravel(), weights, size * len(changes))
        sums = sums.reshape(-1, size)[:, 1:-1]
        both = [sums[:, c : c + n_bins] + sums[:, c - n_bins : c][:, ::-1] for c in centres]
        return np.stack(both, axis=1).reshape(-1, n_bins)

    count, total = fold(None), fold(np.tile(flux, len(changes)))
    changes, shifts = (grid.ravel() for grid in np.meshgrid(changes, step * SHIFTS, indexing="ij"))

    # Trapezia of all widths and ingresses are fitted to all folds. The mean, weighted by how likely
    # the flux makes each, changes little where the flux changes little; the likeliest would jump.
    apart = (np.arange(n_bins) + 0.5) * width
    long, ingress = (grid.ravel() for grid in np.meshgrid(WIDTHS * duration, INGRESSES))
    dips = (1 + ingress) * long / 2 - apart[:, None]
    dips = np.clip(dips / (ingress * long), 0, 1)
    weight = np.maximum(count @ dips**2, 1e-9)
    depth = -(total @ dips) / weight
    gain = np.maximum(depth, 0) ** 2 * weight / 2  # of the logarithm of the likelihood
    # No transit is a trapezium: what one misses by grows with the depth and is no noise.
    gain /= 1 + (MISFIT * depth.ravel()[gain.argmax()]) ** 2
    likely = np.exp(gain - gain.max())
    likely /= likely.sum()
    of_trial, of_shape = likely.sum(axis=1), likely.sum(axis=0)
    found = Ephemeris(
        float(period + of_trial @ changes),
        float(epoch + of_trial @ shifts),
        float(np.exp(of_shape @ np.log(long))),
        float(np.sum(likely * depth)),
    )
    return found, float(of_shape @ ingress)


def divide_period(times, flux, ephemeris):
    """The ephemeris at half, a third or a fifth of its period, if equal dips lie in between.

    A search prefers a multiple of the true period where a dip or two are spoilt. Returns None if
    none of the shorter periods fits. The arguments are those of `sharpen`.
    """
    for part in DIVISORS:
        shorter = replace(ephemeris, period=ephemeris.period / part)
        if shorter.period < max(LEAST_PERIOD, 2 * shorter.duration):
            continue
        inside = shorter.in_transit(times, 0.8)
        group = shorter.count(times[inside]) % part
        count = np.bincount(group, minlength=part)
        depth = -np.bincount(group, flux[inside], part) / np.maximum(count, 1)
        weakest = depth.argmin()
        alike = depth[weakest] > ALIKE * depth.max()
        if alike and depth[weakest] * np.sqrt(count[weakest]) > SEEN:
            return shorter
    return None


def _wrap(phase):
    """What `phase % 1` is of phases from -1 to 1, in a tenth of its time."""
    return phase + (phase < 0)


def _average(place, flux, n_bins):
    """Mean of the flux in each bin, 0 where there is none, and how many values it has."""
    inside = (place >= 0) & (place < n_bins)
    place = place[inside].astype(int)
    count = np.bincount(place, minlength=n_bins)
    return np.bincount(place, flux[inside], n_bins) / np.maximum(count, 1), count


def _find_second_dip(phase, flux, ephemeris):
    """Depth of the deepest dip away from the transits, and that over its noise."""
    n_bins = max(round(2 * ephemeris.period / ephemeris.duration), 6)
    away = np.abs(phase) * ephemeris.period > ephemeris.duration
    mean, count = _average(_wrap(phase[away]) * n_bins, flux[away], n_bins)
    strength = -mean * np.sqrt(count)
    return -mean[strength.argmax()], strength.max()


def describe_orbit(times, flux, ephemeris, unit=np.nan, sampling=1.0):
    """What tells a planet from an eclipsing binary, for one candidate of one star.

    Parameters
    ----------
    times : ndarray of shape (n_cadences,)
        Days.
    flux : ndarray of shape (n_cadences,)
        Flattened, robust standard deviation 1; NaN where nothing was measured.
    ephemeris : Ephemeris
        Of the candidate; it is sharpened first.
    unit : float
        What one standard deviation is, over the light of the star; NaN if that is not known.
    sampling : float
        Cadences from one sample of the original light curve to the next.

    Returns
    -------
    features : ndarray of shape (N_FEATURES,), float32
    ephemeris : Ephemeris
        Sharpened.
    """
    known = np.isfinite(flux)
    times, flux = times[known], flux[known].clip(DEEPEST, BRIGHTEST).astype(np.float64)
    ephemeris, ingress = sharpen(times, flux, ephemeris)
    while (shorter := divide_period(times, flux, ephemeris)) is not None:
        ephemeris, ingress = sharpen(times, flux, shorter)
    phase, number = ephemeris.phase(times), ephemeris.count(times)
    away = phase * ephemeris.period / ephemeris.duration
    half_way = (_wrap(phase) - 0.5) * ephemeris.period / ephemeris.duration
    is_odd = (number & 1).astype(bool)

    def fold(name, where, values):
        n_bins, reach = FOLDS[name]
        return _average((where + reach) / (2 * reach) * n_bins, values, n_bins)

    n_orbit = FOLDS["orbit"][0]
    folds = [
        _average(_wrap(phase + 0.25) * n_orbit, flux, n_orbit),
        fold("transit", away, flux),
        fold("half-way", half_way, flux),
    ]
    odd, n_odd = fold("odd less even", away[is_odd], flux[is_odd])
    even, n_even = fold("odd less even", away[~is_odd], flux[~is_odd])
    folds.append((odd - even, 1 / (1 / np.maximum(n_odd, 0.5) + 1 / np.maximum(n_even, 0.5))))
    means, counts = map(np.concatenate, zip(*folds, strict=True))

    depth = max(ephemeris.depth, LEAST_DEPTH)
    n_inside = max(np.count_nonzero(np.abs(away) < 0.5), 1)
    n_transits = len(np.unique(number[np.abs(away) < 0.5]))
    second, second_sigma = _find_second_dip(phase, flux, ephemeris)
    is_known = bool(np.isfinite(unit) and unit > 0)
    numbers = [
        np.clip(second / depth, -MOST_RELATIVE, MOST_RELATIVE),
        np.arcsinh(second_sigma / 4),
        ingress,
        np.log(depth),
        np.log(depth * np.sqrt(n_inside)),
        # Light curves of years have longer periods than any that taught the network.
        np.log(min(ephemeris.period, LONGEST_TAUGHT)),
        # A star's density, as Kepler's third law has it: long transits of short periods are rare.
        np.log(ephemeris.duration) - np.log(ephemeris.period) / 3,
        # From first to last contact: of a V that is twice as long as from half depth to half depth.
        np.log(ephemeris.duration * (1 + ingress)) - np.log(ephemeris.period) / 3,
        np.log(max(n_transits, 1)),
        np.log(depth * unit) if is_known else 0.0,
        is_known,
        np.log(sampling),
    ]
    relative = np.clip(means / depth, -MOST_RELATIVE, MOST_RELATIVE)
    in_noise = np.arcsinh(means * np.sqrt(counts) / 4)
    return np.concatenate([relative, in_noise, numbers]).astype(np.float32), ephemeris
