"""Bring light curves of any sampling to the long cadence, and join those of one star."""

from collections import Counter
from typing import NamedTuple

import numpy as np

from exoplanets.files import DataError
from exoplanets.lightcurves.detrend import find_median
from exoplanets.stars import CADENCE_DAYS

SAME_CADENCE = 0.03  # relative: TESS's 30.0 min full frames count as long cadence
COARSEST = 180  # minutes: beyond, most transits are a single point
UNEVEN_STEPS = 0.12  # relative: unevenness moves the mean step no further from the median
SMEARED = 45  # minutes: beyond, a note says so
BRIDGED = 3.5  # samples: over a longer gap, of more than two of them, nothing is interpolated
UNEVEN = 0.6  # of a step: steps that differ by more are gaps, or come from two clocks
LONG_GAP = 10  # samples
FINEST_DAYS = 0.5 / 86400  # no survey samples faster than once in half a second
LONGEST_YEARS = 30  # one stray time must not make a grid of gigabytes


class Resampled(NamedTuple):
    """A light curve at the long cadence, one value for every step of its clock: (n_cadences,)."""

    time: np.ndarray  # days: the middle of each bin, or the times as given
    flux: np.ndarray  # NaN in gaps
    cadence: np.ndarray | None = None  # the mission's number of each long cadence, int64
    note: str = ""  # what was done
    sampling: float = 1.0  # cadences from one sample to the next, if they are coarser


def sort_samples(time, flux, flagged=None, cadence=None):
    """Keep samples that have a time and no flag, in order of time, each time once.

    Of a time that is there twice the first value that is not NaN is kept.

    Arrays are as in `samples.Samples`. Returns time, flux and cadence (None if it was not given) of
    the samples kept, and a Counter of what was dropped.
    """
    known, dropped = np.isfinite(time), Counter()
    dropped["rows without a time"] = int((~known & np.isfinite(flux)).sum())
    if flagged is not None:
        dropped["flagged cadences"] = int((flagged & known).sum())
        known = known & ~flagged
    places = np.flatnonzero(known)
    places = places[np.argsort(np.isnan(flux[places]), kind="stable")]  # known values come first
    ordered, first = np.unique(time[places], return_index=True)
    dropped["repeated times"] = places.size - first.size
    places = places[first]
    kept = None if cadence is None else cadence[places]
    return ordered, flux[places], kept, +dropped  # those that are not 0


def to_long_cadence(time, flux, cadence=None):
    """Bring a light curve to one value every 29.4244 minutes.

    Finer sampling is averaged in bins on a regular grid; a bin with fewer than half of its
    samples is missing. Sampling within 3 % of the long cadence keeps its values bit for bit, each
    in the cell of its cadence number or, without numbers, in the cell that counting its steps
    gives, so no beat between two clocks makes gaps; uneven sampling goes to the nearest cell.
    Coarser sampling is interpolated linearly, but not over gaps. Of 192 Kepler stars with dips,
    sampled every 72 to 177 minutes, 93 are called, 94 with a cubic spline, which overshoots
    beside deep dips, and 74 to 77 with splines that conserve the mean of every sample.

    Arrays are those of `sort_samples`: times in days, finite and increasing. Returns a `Resampled`;
    DataError if the samples are too far apart for a transit to be seen, or the times are no days.
    """
    if time.size < 2:
        raise DataError("has fewer than 2 cadences with a time: a light curve is needed")
    step, span = find_step(time), time[-1] - time[0]
    _check_sampling(step, time)
    if step < (1 - SAME_CADENCE) * CADENCE_DAYS:
        return Resampled(*_bin(time, flux, step), note=f"resampled from {step * 1440:.1f} min")

    if step > (1 + SAME_CADENCE) * CADENCE_DAYS:
        return _interpolate(time, flux, step)
    off = abs(step / CADENCE_DAYS - 1)
    if cadence is not None and not _count_long_cadences(cadence):
        cadence = None
    steps = np.rint(np.diff(time) / step) if cadence is None else np.diff(cadence)
    cell = np.append(0, np.cumsum(steps))
    drift = np.abs((time - time[0]) / span * cell[-1] - cell).max()
    # Where steps are too uneven to be counted, the clock decides.
    if steps.min() < 1 or drift > 1 + 1e-3 * cell[-1]:
        cadence = None
        cell = np.rint((time - time[0]) / CADENCE_DAYS).astype(int)
        order = np.lexsort((np.isnan(flux), cell))  # of two in a cell, one that is known
        cell, first = np.unique(cell[order], return_index=True)
        time, flux = time[order][first], flux[order][first]
    cell = cell.astype(int)
    number = np.arange(cell[-1] + 1)
    placed = np.full(number.size, np.nan)
    placed[cell] = flux
    numbers = None if cadence is None else cadence[0].astype(np.int64) + number
    note = f"sampled every {step * 1440:.1f} min" if off > 1e-3 else ""
    return Resampled(np.interp(number, cell, time), placed, numbers, note)


def find_step(time):
    """Days from sample to sample, of times that increase.

    Rounded times are 0.020 or 0.021 apart and never 0.0204: the mean of such steps is the truth,
    not their median. It is good enough to count the samples that short gaps lack, and the days of
    all short steps over their number are better still.
    """
    steps = np.diff(time)
    median = find_median(steps)[0]
    count = np.rint(steps / steps[np.abs(steps - median) < UNEVEN * median].mean())
    short = count < LONG_GAP
    mean = steps[short].sum() / count[short].sum()
    # Where many gaps are no whole number of steps, that mean is not one of steps any more.
    return mean if abs(mean / median - 1) < UNEVEN_STEPS else median


def _count_long_cadences(number):
    """Whether numbers, (n_samples,), increase by 1 from cadence to cadence, but for gaps."""
    steps = np.diff(number[np.isfinite(number)])
    return steps.size == number.size - 1 and steps.min() >= 1 and np.median(steps) == 1


def _check_sampling(step, time):
    """Refuse times that cannot be days, or that are too far apart."""
    years = (time[-1] - time[0]) / 365.25
    if years > LONGEST_YEARS:
        raise DataError(
            f"has times from {time[0]:.10g} to {time[-1]:.10g}, {years:.4g} years if they are in "
            "days: give them in days, without stray ones"
        )
    if step > COARSEST / 1440:
        raise DataError(
            f"has times {step:.4g} apart, which is {step * 1440:.1f} min if they are in days: "
            f"transits are seen if there is a value at least every {COARSEST} min"
        )
    if step < FINEST_DAYS:
        raise DataError(
            f"has times {step:.4g} apart, which is {step * 86400:.2g} s if they are in days: give "
            "them in days"
        )


def _interpolate(time, flux, step):
    """The `Resampled` of samples that are farther apart than long cadences."""
    known = ~np.isnan(flux)
    minutes = f"sampled every {step * 1440:.1f} min"
    note = f"{minutes}: shapes of short transits are smeared" if step > SMEARED / 1440 else minutes
    grid = time[0] + np.arange(int((time[-1] - time[0]) / CADENCE_DAYS) + 1) * CADENCE_DAYS
    time, flux = time[known], flux[known]
    if time.size < 2:
        return Resampled(grid, np.full(grid.size, np.nan), None, note, step / CADENCE_DAYS)
    after = np.searchsorted(time, grid).clip(1, time.size - 1)
    gap = (np.diff(time) > BRIDGED * step)[after - 1] | (grid < time[0]) | (grid > time[-1])
    flux = np.where(gap, np.nan, np.interp(grid, time, flux))
    return Resampled(grid, flux, None, note, step / CADENCE_DAYS)


def _bin(time, flux, step):
    """Middles of long cadences, and the means over them."""
    start = time[0] - step / 2  # a sample's time is the middle of its exposure
    cell = ((time - start) / CADENCE_DAYS).astype(int)
    n_cadences, known = cell[-1] + 1, ~np.isnan(flux)
    count = np.bincount(cell[known], minlength=n_cadences)
    total = np.bincount(cell[known], flux[known], minlength=n_cadences)
    enough = count >= max(1, CADENCE_DAYS / step / 2)
    mean = np.divide(total, count, out=np.full(n_cadences, np.nan), where=enough)
    return start + (np.arange(n_cadences) + 0.5) * CADENCE_DAYS, mean


def join(curves):
    """Join the parts of one star in time; a part that is there twice counts once.

    A star falls on other pixels each quarter, so its level changes by percents though it did not:
    each part is divided by its median, and all are multiplied by the median of those. Levels
    that are not all positive (an over-subtracted sky) have no ratio; they are subtracted instead.

    Returns the joined one, and which of the `curves` are in it, in order of time. The others
    are empty or lie within these.
    """
    full = [i for i, curve in enumerate(curves) if not np.isnan(curve.flux).all()]
    if not full:
        return curves[0], [0]
    levels = {i: np.nanmedian(curves[i].flux) for i in full}
    common, have_ratio = np.median([*levels.values()]), min(levels.values()) > 0
    pieces, used, end = [], [], -np.inf
    # Of two parts that begin together the longer one is taken.
    for i in sorted(full, key=lambda i: (curves[i].time[0], -curves[i].time[-1])):
        time, flux, cadence, *_ = curves[i]
        later = time > end + CADENCE_DAYS / 2
        if later.sum() > 1:
            flux = flux * (common / levels[i]) if have_ratio else flux - levels[i]
            cadence = np.full(flux.size, np.nan) if cadence is None else cadence
            pieces.append((time[later], flux[later], cadence[later]))
            used.append(i)
            end = time[-1]
    joined = to_long_cadence(*map(np.concatenate, zip(*pieces, strict=True)))
    return joined._replace(note="", sampling=max(curves[i].sampling for i in used)), used
