"""Probes: one number per star that has nothing to do with a transit.

A probe whose ROC AUC differs from 0.5 tells hosts from non-hosts without a planet, and so can any
network. Each is signed so that a host of the public set has the larger value: a leak has an AUC
near 1. L1 to L5 are traces of how the files were made, L6 is the colour of a star's noise.
"""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np
from scipy.fft import next_fast_len, rfft

from exoplanets.lightcurves.clock import find_measured
from exoplanets.lightcurves.detrend import find_median, find_spread

BLOCK = 64  # stars measured at a time: 64 x 3197 float64 = 1.6 MB, about a processor's cache
CUT = 4.0  # robust standard deviations of the differences beyond which a spectrum's input is cut
LINE = 0.0012  # cycles per cadence, half width of a line (that of its smear)
AROUND = 0.012  # cycles per cadence, half width of the surroundings it is held against
THRUSTERS = "Howell et al. 2014, PASP 126, 398: K2 fires its thrusters about every 6 h"


def count_repeats(flux):
    """Count cadences exactly equal to the one before; as all probes, (n_stars, n) -> (n_stars,)."""
    return np.count_nonzero(flux[:, 1:] == flux[:, :-1], axis=1).astype(float)


def count_straight_steps(flux):
    """Count second differences that are zero, within the 4 last bits their rounding may touch."""
    ulp = np.spacing(np.abs(flux).max(axis=1, keepdims=True))
    second = flux[:, 2:] - 2 * flux[:, 1:-1] + flux[:, :-2]
    return np.count_nonzero(np.abs(second) <= 4 * ulp, axis=1).astype(float)


def find_median_offset(flux):
    """Absolute median in millionths of the typical absolute value: 0 where it was subtracted."""
    median, typical = np.abs(find_median(flux)), find_median(np.abs(flux))
    return np.round(1e6 * median / np.maximum(typical, 1e-100))[:, 0]


def find_clean_decimals(flux):
    """Share of values that are the nearest double to a number of six decimals."""
    return np.mean(np.round(flux.astype(np.float64), 6) == flux, axis=1)


def count_indistinct_values(flux):
    """Count cadences less distinct values."""
    ordered = np.sort(flux, axis=1)
    return np.count_nonzero(np.diff(ordered, axis=1) == 0, axis=1).astype(float)


def measure_line(flux, frequencies):
    """Log power at spectral lines less that of their surroundings, mean over the lines.

    Parameters
    ----------
    flux : ndarray of shape (n_stars, n_cadences)
    frequencies : sequence of float
        Cycles per cadence.

    Returns
    -------
    ndarray of shape (n_stars,)
    """
    n = next_fast_len(flux.shape[1], real=True)
    grid = np.arange(n // 2 + 1) / n
    width = max(LINE, 0.5 / n)  # short curves: at least the bin next to the line
    steps = np.diff(flux, axis=1).astype(np.float32)
    steps /= find_spread(steps)
    power = np.abs(rfft(steps.clip(-CUT, CUT), n, axis=1)) ** 2 + 1e-30
    excess = np.zeros(len(flux))
    for frequency in frequencies:
        away = np.abs(grid - frequency)
        line = power[:, away <= width].mean(axis=1)
        around = power[:, (away > width) & (away <= width + AROUND)].mean(axis=1)
        excess += np.log(line / around) / len(frequencies)
    return excess


def measure_12(flux):
    """Strength of the line at 1/12 cycles per cadence and its harmonics."""
    return measure_line(flux, np.arange(1, 6) / 12)


def measure_2_12(flux):
    """Strength of the line at 2/12 cycles per cadence."""
    return measure_line(flux, [2 / 12])


def measure_3_12(flux):
    """Strength of the line at 3/12 cycles per cadence."""
    return measure_line(flux, [3 / 12])


def measure_11(flux):
    """Weakness of the line at 1/11.2 cycles per cadence and its harmonics."""
    return -measure_line(flux, np.arange(1, 5) / 11.2)


def find_lag_one(flux):
    """Correlation of neighbouring cadences."""
    centred = flux - flux.mean(axis=1, keepdims=True, dtype=np.float64)
    variance = np.einsum("ij,ij->i", centred, centred)
    product = np.einsum("ij,ij->i", centred[:, 1:], centred[:, :-1])
    return product / np.maximum(variance, 1e-300)


def find_smoothness(flux):
    """Less the robust spread of the differences over that of the values."""
    spread = find_median(np.abs(flux - find_median(flux)))
    steps = find_median(np.abs(np.diff(flux, axis=1)))
    return (-steps / np.maximum(spread, 1e-100))[:, 0]


def find_position(flux):
    """Less the row's number in its table."""
    return -np.arange(len(flux), dtype=float)


def find_noise_colour(flux):
    """Noise colour of every star, filled cadences left out: lag-1 autocorrelation and spread ratio.

    Parameters
    ----------
    flux : ndarray of shape (n_stars, n_cadences)
        As distributed, e-/s.

    Returns
    -------
    ndarray of shape (n_stars, 2)
        Of the flux about its median, cut at five robust standard deviations so that dips do not
        count; the logarithm of the second.
    """
    colour = np.empty((len(flux), 2))
    for i, star in enumerate(flux):
        star = star[find_measured(star)]
        if len(star) < 2:  # a dead star
            colour[i] = 0
            continue
        star = star - np.median(star)
        spread = max(1.4826 * np.median(np.abs(star)), 1e-100)
        cut = np.clip(star / spread, -5, 5)[np.newaxis]
        colour[i] = find_lag_one(cut)[0], np.log(max(-find_smoothness(cut)[0], 1e-100))
    return colour


class Probe(NamedTuple):
    """A number per star, and what it would mean if it told the label.

    Attributes
    ----------
    name : str
    leak : str
        Class of leak that it measures, such as "L1".
    find : callable
        From light curves, ndarray of shape (n_stars, n_cadences), to ndarray of shape (n_stars,).
    meaning : str
    reference : str
    of_file : bool
        True for a trace of how the file was made, False for a property of the stars themselves.
    of_one_star : bool
        True if the light curve of one star is enough to measure it.
    """

    name: str
    leak: str
    find: Callable
    meaning: str
    reference: str = ""
    of_file: bool = True
    of_one_star: bool = True

    def measure(self, flux):
        """The probe of every star of one table, ndarray of shape (n_stars,)."""
        if not self.of_one_star:
            return self.find(flux)
        blocks = [flux[start : start + BLOCK] for start in range(0, len(flux), BLOCK)]
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            return np.concatenate(list(pool.map(self.find, blocks)))


PROBES = (
    Probe(
        "exact repeats",
        "L1",
        count_repeats,
        "Missing cadences were filled with the value before them in one class only.",
    ),
    Probe(
        "zero second differences",
        "L1",
        count_straight_steps,
        "Gaps were filled, or interpolated, in one class only.",
    ),
    Probe(
        "indistinct values",
        "L1",
        count_indistinct_values,
        "Fills and rounding leave fewer different values in one class.",
    ),
    Probe(
        "line at 1/12",
        "L2",
        measure_12,
        "The time axis is whole: the thrusters' 6 h are 12 cadences in one class only.",
        THRUSTERS,
    ),
    Probe(
        "line at 2/12",
        "L2",
        measure_2_12,
        "What stars share was taken out, and in one class less of it.",
        THRUSTERS,
    ),
    Probe(
        "line at 3/12",
        "L2",
        measure_3_12,
        "What stars share was taken out, and in one class less of it.",
        THRUSTERS,
    ),
    Probe(
        "no line at 1/11.2",
        "L2",
        measure_11,
        "Cadences were dropped: the thrusters' 6 h are 11.2 cadences in one class only.",
        THRUSTERS,
    ),
    Probe(
        "row median",
        "L3",
        find_median_offset,
        "The median was subtracted before gaps were treated in one class, after it in the other.",
    ),
    Probe(
        "clean decimals",
        "L4",
        find_clean_decimals,
        "One class went through an arithmetic that the other did not.",
    ),
    Probe(
        "row position",
        "L5",
        find_position,
        "Hosts stand together in the file: a filter across rows blurs them into each other.",
        of_one_star=False,
    ),
    Probe(
        "lag-1 autocorrelation",
        "L6",
        find_lag_one,
        "Hosts are other stars: brighter, with less white noise.",
        of_file=False,
    ),
    Probe(
        "smoothness",
        "L6",
        find_smoothness,
        "Hosts are other stars: their noise is redder.",
        "von Neumann 1941, Ann. Math. Stat. 12, 367",
        of_file=False,
    ),
)


def measure_all(flux_tables):
    """Every probe on every star of several tables.

    Parameters
    ----------
    flux_tables : list of ndarray of shape (n_stars, n_cadences)

    Returns
    -------
    dict of str to ndarray
        Per probe, one value per star, table after table.
    """
    return {
        probe.name: np.concatenate([probe.measure(flux) for flux in flux_tables])
        for probe in PROBES
    }
