"""How deep transits are in the flux as it was read, and by how much that is uncertain."""

import dataclasses
from typing import NamedTuple

import numpy as np
from astropy.stats import mad_std

from exoplanets.stars import CADENCE_DAYS

SIDES = (1.0, 2.0)  # durations from the middle of a transit: what its depth is measured against
OTHER_PHASES = (0.125, 0.25, 0.375, 0.625, 0.75, 0.875)  # at which no transit is expected
MEDIAN = 1.25  # error of a median over that of a mean


class Depth(NamedTuple):
    """Median depth of some dips, its standard error (NaN for none) and their number.

    In parts per million of the star's level, or in the unit of the file where it has none.
    """

    median: float
    error: float
    n_dips: int


def find_days(star):
    """Times of all cadences of a star as its file counts them, ndarray of shape (n_cadences,)."""
    return np.arange(len(star.flux)) * CADENCE_DAYS if star.time is None else star.time


def find_depths(star, ephemeris):
    """How far the flux as read lies below that on either side, at times a period apart.

    Returns, of all dips with cadences inside and on both sides, their number of periods since the
    epoch and their depth in the unit of the file.
    """
    time = find_days(star)
    away = ephemeris.since_transit(time) / ephemeris.duration
    near = np.isfinite(star.flux) & (np.abs(away) < SIDES[1])
    number, away, flux = ephemeris.count(time[near]), away[near], star.flux[near]
    numbers, place = np.unique(number, return_inverse=True)
    means = []
    for part in (np.abs(away) < 0.5, away < -SIDES[0], away > SIDES[0]):
        count = np.bincount(place[part], minlength=len(numbers))
        total = np.bincount(place[part], flux[part], minlength=len(numbers))
        means.append(np.divide(total, count, out=np.full(len(numbers), np.nan), where=count > 0))
    depth = (means[1] + means[2]) / 2 - means[0]
    seen = np.isfinite(depth)
    return numbers[seen], depth[seen]


def compare_depths(star, ephemeris):
    """`Depth` of all `transits`, of the `odd` and the `even` ones, and `between` them, in a dict.

    `between` is half a period on. The error rests on the scatter of depths at other phases, where
    no transit is, or on that of the dips themselves if it is larger. Both are robust: one wild
    cadence is no dip.
    """
    period, duration = ephemeris.period, ephemeris.duration
    scale = 1 if star.level is None else 1e6 / star.level

    def find(phase):
        later = dataclasses.replace(ephemeris, epoch=ephemeris.epoch + phase * period)
        number, depths = find_depths(star, later)
        return number, scale * depths

    def spread(depths):
        return mad_std(depths) if len(depths) > 1 else np.nan

    clear = [p for p in OTHER_PHASES if min(p, 1 - p) * period > (SIDES[1] + 0.5) * duration]
    elsewhere = spread(np.concatenate([np.empty(0), *(find(phase)[1] for phase in clear)]))

    def describe(depths):
        if not len(depths):
            return Depth(np.nan, np.nan, 0)
        error = np.fmax(elsewhere, spread(depths)) / np.sqrt(len(depths))
        return Depth(float(np.median(depths)), float(error * MEDIAN), len(depths))

    number, depths = find(0)
    return {
        "transits": describe(depths),
        "odd": describe(depths[number % 2 == 0]),
        "even": describe(depths[number % 2 == 1]),
        "between": describe(find(0.5)[1]),
    }
