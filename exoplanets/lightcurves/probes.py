"""Probes: one number per star that has nothing to do with a transit.

A probe whose ROC AUC differs from 0.5 tells hosts from non-hosts without a planet, and so can any
network. Each is signed so that a host of the public set has the larger value: a leak has an AUC
near 1. L1 to L5 are traces of how the files were made, L6 is the colour of a star's noise.
"""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import numpy as np
from scipy.fft import next_fast_len, rfft

from exoplanets.lightcurves.detrend import find_median, find_spread, map_blocks
from exoplanets.lightcurves.equalise import LINE, THRUSTERS

BLOCK = 64  # stars measured at a time: 64 x 3197 float64 = 1.6 MB, about a processor's cache
CUT = 4.0  # robust standard deviations of the differences beyond which a spectrum's input is cut
AROUND = 0.012  # cycles per cadence, half width of the surroundings a line is held against
# The same lines in a row that lacks what the campaign lost: 6 h are 11.2 of its columns.
SHORTENED = tuple(k / 11.2 for k in range(1, 5))
LESS_REMOVED = "What stars share was taken out, and in one class less of it."
HOWELL = "Howell et al. 2014, PASP 126, 398: K2 fires its thrusters about every 6 h"


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


def find_spectrum(flux):
    """Frequencies (cycles per cadence), and the power of the differences, (n_stars, n_bins)."""
    n = next_fast_len(flux.shape[1], real=True)
    steps = np.diff(flux, axis=1).astype(np.float32)
    steps /= find_spread(steps)
    power = np.abs(rfft(steps.clip(-CUT, CUT), n, axis=1)) ** 2 + 1e-30
    return np.arange(n // 2 + 1) / n, power


def measure_line(spectrum, lines):
    """Log power at lines (cycles per cadence) less that of their surroundings, mean over lines.

    `spectrum` is what `find_spectrum` returns.
    """
    frequency, power = spectrum
    width = max(LINE, 0.5 * frequency[1])  # short curves: at least the bin next to the line
    excess = np.zeros(len(power))
    for line_frequency in lines:
        away = np.abs(frequency - line_frequency)
        line = power[:, away <= width].mean(axis=1)
        around = power[:, (away > width) & (away <= width + AROUND)].mean(axis=1)
        excess += np.log(line / around) / len(lines)
    return excess


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


class Probe(NamedTuple):
    """A number per star, and what it would mean if it told the label."""

    name: str
    leak: str  # class of leak that it measures, such as "L1"
    find: Callable  # from light curves (n_stars, n_cadences), or their spectrum, to (n_stars,)
    meaning: str
    reference: str = ""
    of_file: bool = True  # a trace of how the file was made, not a property of the stars themselves
    of_one_star: bool = True  # the light curve of one star is enough to measure it
    of_spectrum: bool = False  # `find` takes what `find_spectrum` returns


PROBES = (
    Probe("exact repeats", "L1", count_repeats,
          "Missing cadences were filled with the value before them in one class only."),
    Probe("zero second differences", "L1", count_straight_steps,
          "Gaps were filled, or interpolated, in one class only."),
    Probe("indistinct values", "L1", count_indistinct_values,
          "Fills and rounding leave fewer different values in one class."),
    Probe("line at 1/12", "L2", partial(measure_line, lines=THRUSTERS),
          "The time axis is whole: the thrusters' 6 h are 12 cadences in one class only.",
          HOWELL, of_spectrum=True),
    Probe("line at 2/12", "L2", partial(measure_line, lines=THRUSTERS[1:2]), LESS_REMOVED, HOWELL,
          of_spectrum=True),
    Probe("line at 3/12", "L2", partial(measure_line, lines=THRUSTERS[2:3]), LESS_REMOVED, HOWELL,
          of_spectrum=True),
    Probe("no line at 1/11.2", "L2", lambda found: -measure_line(found, SHORTENED),
          "Cadences were dropped: the thrusters' 6 h are 11.2 cadences in one class only.",
          HOWELL, of_spectrum=True),
    Probe("row median", "L3", find_median_offset,
          "The median was subtracted before gaps were treated in one class, after it in the "
          "other."),
    Probe("clean decimals", "L4", find_clean_decimals,
          "One class went through an arithmetic that the other did not."),
    Probe("row position", "L5", lambda flux: -np.arange(len(flux), dtype=float),
          "Hosts stand together in the file: a filter across rows blurs them into each other.",
          of_one_star=False),
    Probe("lag-1 autocorrelation", "L6", find_lag_one,
          "Hosts are other stars: brighter, with less white noise.", of_file=False),
    Probe("smoothness", "L6", find_smoothness, "Hosts are other stars: their noise is redder.",
          "von Neumann 1941, Ann. Math. Stat. 12, 367", of_file=False),
)  # fmt: skip


def measure_table(flux):
    """A dict of the values of each probe, ndarray of shape (n_stars,), of one table."""
    alone = [probe for probe in PROBES if probe.of_one_star]

    def measure(rows):
        block = flux[rows]
        spectrum = find_spectrum(block)
        return [probe.find(spectrum if probe.of_spectrum else block) for probe in alone]

    columns = map(np.concatenate, zip(*map_blocks(measure, len(flux), BLOCK), strict=True))
    found = {probe.name: column for probe, column in zip(alone, columns, strict=True)}
    return found | {probe.name: probe.find(flux) for probe in PROBES if not probe.of_one_star}


def measure_all(flux_tables):
    """A dict of the values of each probe: one per star, table after table."""
    found = [measure_table(flux) for flux in flux_tables]
    return {probe.name: np.concatenate([each[probe.name] for each in found]) for probe in PROBES}
