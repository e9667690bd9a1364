"""Events: how well a single dip fits at each cadence of a light curve.

The single-event statistic of the Kepler pipeline [1]_: matched filters for noise of the common
colour (`lightcurves/equalise.py`).

References
----------
.. [1] Jenkins 2002, ApJ 575, 493.
"""

import functools
from itertools import pairwise

import numpy as np
from scipy import fft

from exoplanets.lightcurves.detrend import find_median, find_spread, join_lines
from exoplanets.lightcurves.equalise import common_colour

# Cadences (1.5 to 5.4 h) of the dips that are looked for; odd, so that each has one in its middle.
DURATIONS = np.array([3, 5, 7, 11])
REACH = 12  # cadences a matched filter reaches beyond its dip; the noise forgets within two
TALLEST, DEEPEST = 3.0, -30.0  # a bump makes filters answer beside it; a dip may be a planet's
QUIET = 480  # cadences (10 d), the stretches in which the scatter of events is measured
FEWEST_EVENTS = 12  # in a stretch, from which its scatter is measured
LEAST_SCATTER = 0.6  # of its median over the light curve: a quiet stretch is partly luck
LEAST = -3.0  # scatters, of an event: no flare outweighs a planet's transits


def find_place(duration):
    """The place of a duration, cadences, in `DURATIONS`."""
    return DURATIONS.tolist().index(duration)


def find_matched_filter(duration):
    """Filter that finds a dip best in noise of the common colour, of unit variance there.

    The dip, filtered twice by what whitens that noise.

    Parameters
    ----------
    duration : int
        Of the dip, a box, cadences.

    Returns
    -------
    ndarray of shape (max(DURATIONS) + 2 REACH,)
        Positive for a dip.
    """
    length = max(DURATIONS) + 2 * REACH
    box = np.zeros(512)
    box[(length - duration) // 2 :][:duration] = -1
    matched = fft.irfft(fft.rfft(box) / common_colour(fft.rfftfreq(len(box))))
    return (matched / np.sqrt(matched @ box))[:length]


@functools.lru_cache(maxsize=8)
def _transform_filters(n_fast):
    """Conjugate transforms of all matched filters, each centred on cadence 0, (n_durations, f)."""
    filters = np.stack([find_matched_filter(duration) for duration in DURATIONS])
    padded = np.zeros((len(filters), n_fast), np.float32)
    padded[:, : filters.shape[1]] = filters
    return fft.rfft(np.roll(padded, -(filters.shape[1] // 2), axis=1)).conj()


def find_events(curves, measured=None):
    """How well a dip of each duration fits at each cadence, in units of its scatter there.

    The scatter is that of the light curve around, in stretches of `QUIET` cadences joined by lines:
    pointing noise comes and goes.

    Parameters
    ----------
    curves : ndarray of shape (n_stars, n_cadences)
        Equalised light curves, 0 where nothing was measured.
    measured : ndarray of bool of shape (n_stars, n_cadences), optional
        All of it unless given.

    Returns
    -------
    ndarray of shape (n_stars, len(DURATIONS), n_cadences), float32
        0 where nothing was measured.
    """
    n = curves.shape[1]
    n_fast = fft.next_fast_len(n + max(DURATIONS) + 2 * REACH, real=True)
    clipped = np.clip(curves, DEEPEST, TALLEST).astype(np.float32)
    spectrum = fft.rfft(clipped, n_fast, axis=1)[:, None] * _transform_filters(n_fast)
    events = fft.irfft(spectrum, n_fast, axis=2)[:, :, :n]
    edges = np.linspace(0, n, max(n // QUIET, 2) + 1).astype(int)
    stretches = np.split(events, edges[1:-1], axis=2)
    # Every second event: neighbours are much alike.
    scatter = np.concatenate([find_spread(part[:, :, ::2]) for part in stretches], axis=2)
    if measured is not None:
        for star in np.flatnonzero(~measured.all(axis=1)):
            scatter[star] = _find_scatter_beside_gaps(events[star], measured[star], edges)
            events[star, :, ~measured[star]] = 0
    scatter = np.maximum(scatter, np.maximum(LEAST_SCATTER * find_median(scatter), 1e-6))
    middles = (edges[:-1] + edges[1:] - 1) / 2
    events /= join_lines(scatter.reshape(-1, scatter.shape[2]), middles, n).reshape(events.shape)
    return events


def _find_scatter_beside_gaps(events, measured, edges):
    """Scatter of one star's events in each stretch, (len(DURATIONS), n_stretches).

    Where next to nothing was measured it is the median of the other stretches.
    """
    scatter = np.full((len(events), len(edges) - 1), np.nan, events.dtype)
    for k, (first, end) in enumerate(pairwise(edges)):
        some = events[:, first:end][:, measured[first:end]][:, ::2]
        if some.shape[1] >= FEWEST_EVENTS:
            scatter[:, k] = find_spread(some)[:, 0]
    return np.where(np.isnan(scatter), np.nanmedian(scatter, axis=1, keepdims=True), scatter)


def compress_events(events):
    """Keep small events and take the logarithm of large ones: none outweighs all others.

    Strictly increasing above the lower limit, so that deeper transits always count for more.
    """
    half = np.maximum(events / 2, float(np.sinh(LEAST / 2)))
    return 2 * np.log(half + np.sqrt(half * half + 1))  # 2 arcsinh(events / 2), five times as fast
