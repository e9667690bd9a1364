"""The trend around each transit, and what single dips measure once it is gone.

The trend is a parabola through both sides of a dip. The dip itself takes no part in it, so that
the depth of the dip is not changed.
"""

from typing import NamedTuple

import numpy as np
from astropy.stats import mad_std
from scipy.ndimage import median_filter

FEWEST_BESIDE = 3  # samples on each side of a dip, or there is no trend to draw through it
OUTLIER = 4.0  # robust standard deviations from the parabola; it is fitted again without them
SIDES = (1.5, 2.5, 4.0, 6.0)  # durations on either side of a dip that its trend may reach
TRIALS = 300  # places without a dip, at most, that tell which of them is best for a star
SHARE = 0.35  # of the period, the most that a transit may take on either side of its middle
SLOW = 1.0  # days, window of the running median far from transits
LEAST_COVERED = 0.4  # of the usual number of samples in a dip; with fewer it is not measured


class Windows(NamedTuple):
    """Samples around the middles of dips, less the local trend; a sample may lie in several."""

    window: np.ndarray  # (n_points,), int: which middle
    sample: np.ndarray  # (n_points,), int: which sample of the light curve
    days: np.ndarray  # (n_points,), since that middle
    flux: np.ndarray  # (n_points,), less the trend
    n_windows: int

    def add_up(self, values):
        """Sum of some values (n_points,) in each window: ndarray of shape (n_windows,)."""
        return np.bincount(self.window, values, minlength=self.n_windows)

    def keep(self, chosen):
        """The `Windows` with the chosen points (n_points,) only."""
        return Windows(*(values[chosen] for values in self[:4]), self.n_windows)


def cut_windows(times, flux, middles, hidden, reach, excluded=False):
    """Cut out the surroundings of dips and take the trend out of each.

    Parameters
    ----------
    times, flux : ndarray of shape (n_samples,)
        Days, increasing, and flux in any unit; finite.
    middles : ndarray of shape (n_windows,)
        Days.
    hidden, reach : float
        Days on either side of a middle that the trend does not see, and where the window ends.
    excluded : ndarray of bool of shape (n_samples,), optional
        Samples that no trend may see: those in transits.

    Returns
    -------
    Windows
        Of the windows with enough samples on both sides. Others have no points.
    """
    first = np.searchsorted(times, middles - reach)
    n_each = np.searchsorted(times, middles + reach, "right") - first
    window = np.repeat(np.arange(len(middles)), n_each)
    sample = np.arange(len(window)) + np.repeat(first - np.cumsum(n_each) + n_each, n_each)
    days = times[sample] - middles[window]
    beside = (np.abs(days) > hidden) & ~np.broadcast_to(excluded, len(times))[sample]
    right = np.bincount(window[beside & (days > 0)], minlength=len(middles))
    left = np.bincount(window[beside & (days < 0)], minlength=len(middles))
    usable = (np.minimum(left, right) >= FEWEST_BESIDE)[window]
    window, sample, days, beside = (values[usable] for values in (window, sample, days, beside))
    x, y = days / reach, flux[sample]
    found = Windows(window, sample, days, y, len(middles))
    seen, rest = np.flatnonzero(beside), y
    for _ in range(2 if len(y) else 0):
        # All parabolas at once: the normal equations hold sums of the powers of time.
        x1, y1 = x[seen], y[seen]
        x2, kept = x1 * x1, found._replace(window=window[seen])
        powers = [None, x1, x2, x2 * x1, x2 * x1 * x1]  # None: they are counted
        sums = np.stack([kept.add_up(power) for power in powers], axis=1)
        right_side = np.stack([kept.add_up(value) for value in (y1, x1 * y1, x2 * y1)], axis=1)
        matrix = sums[:, [[0, 1, 2], [1, 2, 3], [2, 3, 4]]] + 1e-9 * np.eye(3)
        c0, c1, c2 = np.linalg.solve(matrix, right_side[..., None])[..., 0].T
        rest = y - (c0[window] + x * (c1[window] + x * c2[window]))
        away = np.abs(rest)
        spread = 1.4826 * np.median(away[beside])
        seen = np.flatnonzero(beside & (away <= OUTLIER * spread))
    return found._replace(flux=rest)


def measure_dips(windows, shape):
    """Depth of each dip and the weight of its samples, two ndarrays of shape (n_windows,).

    `shape` (n_points,) is the expected dip, 1 at its deepest. The depth is that of least squares,
    in the unit of the flux, and NaN where too little of the dip was measured. The weight is the sum
    of the squares of the shape: the variance of white noise over it is that of the depth.
    """
    weight = windows.add_up(shape**2)
    usual = np.median(weight[weight > 0]) if (weight > 0).any() else np.inf
    covered = weight > LEAST_COVERED * usual
    total = windows.add_up(shape * windows.flux)
    depth = -np.divide(total, weight, out=np.full(len(weight), np.nan), where=covered)
    return depth, np.where(covered, weight, 0.0)


def find_robust_spread(values):
    """Robust standard deviation of the values that are numbers; NaN of fewer than two."""
    values = values[np.isfinite(values)]
    return float(mad_std(values)) if len(values) > 1 else np.nan


def average_dips(depths, spread, axis=-1):
    """Mean of single depths, and how many count: NaN where none was measured.

    Those further from the median than `OUTLIER` times the spread of a single depth are left out.
    """
    measured = np.isfinite(depths)
    if not measured.any():
        return np.full(measured.sum(axis=axis).shape, np.nan), measured.sum(axis=axis)
    known = np.where(measured.any(axis=axis, keepdims=True), depths, 0.0)
    away = np.abs(known - np.nanmedian(known, axis=axis, keepdims=True))
    used = measured & ~(away > OUTLIER * spread)
    n_used = used.sum(axis=axis)
    total = np.where(used, depths, 0.0).sum(axis=axis)
    return np.where(n_used > 0, total / np.maximum(n_used, 1), np.nan), n_used


def find_slow_trend(times, flux, hidden):
    """Running median of `SLOW` days that does not see the hidden samples: (n_samples,)."""
    if hidden.all():
        return np.full(len(flux), np.median(flux))
    step = np.median(np.diff(times)) if len(times) > 1 else SLOW
    seen = ~hidden
    width = min(max(round(SLOW / step), 3), np.count_nonzero(seen)) | 1
    return np.interp(times, times[seen], median_filter(flux[seen], width, mode="nearest"))


class ScaledCurve(NamedTuple):
    """A light curve ready to be fitted: its noise is about 1."""

    times: np.ndarray  # (n_samples,), days, increasing
    flux: np.ndarray  # (n_samples,)
    scale: float | None  # the level in units of the noise
    exposure: float  # days
    beside: float = np.nan  # days on either side of a transit that its trend is drawn through

    def find_hidden(self, ephemeris):
        """Days on either side of a transit that its trend does not see, and samples in there."""
        half = min(0.52 * ephemeris.duration + self.exposure / 2, SHARE * ephemeris.period)
        return half, np.abs(ephemeris.since_transit(self.times)) <= half

    def cut_transits(self, ephemeris):
        """`Windows` of all transits, and the number of each since the epoch."""
        half, inside = self.find_hidden(ephemeris)
        if not inside.any():
            raise ValueError("no transit falls into the light curve")
        numbers = np.unique(ephemeris.count(self.times[inside]))
        middles = ephemeris.epoch + numbers * ephemeris.period
        windows = cut_windows(self.times, self.flux, middles, half, half + self.beside, inside)
        # A sample belongs to the nearest transit, however far its window reaches.
        windows = windows.keep(np.abs(windows.days) <= ephemeris.period / 2)
        if not np.any(np.abs(windows.days) < half):
            raise ValueError("no transit has flux in it and on both sides")
        return windows, numbers

    def cut_elsewhere(self, ephemeris, middles):
        """`Windows` around other times, days, of the samples that are clear of the transits."""
        half, inside = self.find_hidden(ephemeris)
        clear = self.times[~inside], self.flux[~inside]
        return cut_windows(*clear, middles, half, half + self.beside)

    def choose_beside(self, guess):
        """The light curve with the length of the trend that suits it best.

        A quiet star asks for a long one, a spotted one for a short one: where there is no transit,
        a box of the transit's duration is to scatter least.
        """
        duration = min(guess.duration, SHARE * guess.period)
        middles = self.times[np.abs(guess.since_transit(self.times)) > duration]
        middles = middles[:: max(len(middles) // TRIALS, 1)]
        half = max(duration, self.exposure) / 2
        least = 4.5 * np.median(np.diff(self.times))
        scatter = {}
        for beside in np.maximum(np.array(SIDES) * duration, least):
            curve = self._replace(beside=beside)
            windows = curve.cut_elsewhere(guess, middles)
            depths, _ = measure_dips(windows, (np.abs(windows.days) <= half).astype(float))
            scatter[np.nan_to_num(find_robust_spread(depths), nan=np.inf)] = curve
        return scatter[min(scatter)]
