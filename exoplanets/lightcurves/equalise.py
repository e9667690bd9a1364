"""Equalised light curves: one path for every star, no label looked at.

Per star: delete what the maker of the file filled in, crop to a common length, replace lone
outliers, detrend, and give the noise one common colour. The steps and their reasons:

* hosts were filled and non-hosts were not, so exact repeats go from every star alike;
* hosts are brighter, quieter stars, so the noise itself tells the label: dividing by each star's
  own noise spectrum (as the Kepler pipeline whitens before its matched filter [1]_) and multiplying
  by one common spectrum makes all noise alike. A flat common spectrum would leave of a transit
  little but its edges; that of a typical detrended K2 star leaves it a box.

Every step is odd, `equalise(-flux) == -equalise(flux)`: an inverted curve is treated exactly as the
upright one. Deleting cadences costs strict periodicity: after it, index is only about proportional
to time.

References
----------
.. [1] Jenkins 2002, ApJ 575, 493.
"""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
from scipy.fft import dct, idct

from exoplanets.stars import CADENCE_DAYS

# Of 3197 cadences: 3197 less the 314 repeats of the most filled star of the set, rounded down.
LENGTH, OF_CADENCES = 2880, 3197
SHORTEST = 500  # cadences (10 d): below this the noise spectrum cannot be measured
LONE = 5.0  # robust standard deviations of the differences; a lone cadence beyond is replaced
WINDOW = 96  # cadences (47 h), window of the trend's medians; neighbours overlap by half
BAND = 0.012  # cycles per cadence, widest band of the noise spectrum
BAND_RATIO = 1.35  # upper over lower edge of the narrower bands at low frequency
CLIP = 4.0  # robust standard deviations; cuts only the copy that the noise is measured on
PASSES = 2  # times the noise is measured: the second clips what the first whitened
REDNESS = 20.0  # red over white noise power of the common colour at frequency 0 ...
CORNER = 0.05  # ... and the frequency, cycles per cadence, at which it has halved
BLOCK = 128  # stars treated at a time: 128 x 2880 float64 = 3 MB, about a processor's cache


def common_length(n_cadences):
    """Cadences that every equalised star of a table keeps: 2880 of 3197, in proportion."""
    return n_cadences * LENGTH // OF_CADENCES


def find_measured(flux, filled=None):
    """True for the cadences of one light curve that were measured, not missing or filled in.

    Parameters
    ----------
    flux : ndarray of shape (n_cadences,)
        NaN, infinity and exact repeats of the cadence before count as not measured.
    filled : ndarray of bool of shape (n_cadences,), optional
        Cadences known to be missing or filled in.

    Returns
    -------
    ndarray of bool of shape (n_cadences,)
    """
    measured = np.isfinite(flux)
    measured[1:] &= flux[1:] != flux[:-1]
    if filled is not None:
        measured &= ~filled
    return measured


def find_times(flux, length):
    """When the cadences that are kept of each light curve were taken, as its file counts time.

    Parameters
    ----------
    flux : ndarray of shape (n_stars, n_cadences)
        As `equalise_table` gets it.
    length : int
        Cadences kept.

    Returns
    -------
    ndarray of shape (n_stars, length)
        Days since the first cadence of the file. In hosts of the public set this is true time; in
        non-hosts, whose missing cadences were dropped before, it runs slow by about 5 %.
    """
    return np.array([np.flatnonzero(find_measured(star))[:length] for star in flux]) * CADENCE_DAYS


def replace_lone_outliers(curves):
    """Put the neighbours' mean where one cadence alone stands out from both.

    Cosmic rays and thruster firings last one cadence; a transit of 1.5 h lasts three. Above and
    below are treated alike.
    """
    left, middle, right = curves[:, :-2], curves[:, 1:-1], curves[:, 2:]
    margin = LONE * _spread(np.diff(curves, axis=1))
    lone = (middle > np.maximum(left, right) + margin) | (middle < np.minimum(left, right) - margin)
    cleaned = curves.copy()
    cleaned[:, 1:-1] = np.where(lone, (left + right) / 2, middle)
    return cleaned


def find_trend(curves):
    """Running median of each light curve: medians of overlapping windows, joined by lines.

    Parameters
    ----------
    curves : ndarray of shape (n_stars, n_cadences)

    Returns
    -------
    ndarray of shape (n_stars, n_cadences)
        In the unit of `curves`.
    """
    n_cadences = curves.shape[1]
    last = n_cadences - WINDOW
    starts = np.unique(np.r_[0 : last : WINDOW // 2, last])
    windows = np.lib.stride_tricks.sliding_window_view(curves, WINDOW, axis=1)
    medians = np.median(windows[:, starts], axis=2)
    return medians @ _lines(starts + (WINDOW - 1) / 2, np.arange(n_cadences))


def common_colour(frequency, redness=REDNESS):
    """Noise power that every equalised light curve has, dimensionless.

    White noise plus red noise of a correlation time of a few hours: about the median spectrum of
    detrended K2 Campaign 3 stars, without the lines of the thrusters.

    Parameters
    ----------
    frequency : ndarray
        Cycles per cadence. Below one cycle per `WINDOW`, where the trend was taken out, the power
        is held constant.
    redness : float
        Red over white noise power; 0 whitens.
    """
    frequency = np.maximum(frequency, 1 / WINDOW)
    return 1 + redness / (1 + (frequency / CORNER) ** 2)


def recolour(curves, redness=REDNESS):
    """Filter each light curve so that its noise has the common colour.

    The noise power is the mean, in each of some forty bands, of the squared cosine transform of the
    curve clipped at `CLIP`; bands are wide and dips clipped so that a transit and its harmonics are
    not taken for noise. The filter is linear, without phase, and mirrors the curve at its ends.

    Parameters
    ----------
    curves : ndarray of shape (n_stars, n_cadences)
        Detrended light curves, any unit.
    redness : float
        See `common_colour`.

    Returns
    -------
    ndarray of shape (n_stars, n_cadences)
        Dimensionless, median 0, robust standard deviation 1.
    """
    n_cadences = curves.shape[1]
    frequency = np.arange(n_cadences) / (2 * n_cadences)
    edges = [1 / WINDOW]
    while edges[-1] < 0.5:
        edges.append(edges[-1] + min(BAND, (BAND_RATIO - 1) * edges[-1]))
    edges = np.round(2 * n_cadences * np.array([*edges[:-2], 0.5])).astype(int)
    centres = (edges[:-1] + edges[1:] - 1) / 2
    between = _lines(centres, np.arange(n_cadences))

    transform = dct(curves, norm="ortho", axis=1)
    noise, gain = transform, np.ones_like(transform)
    for _ in range(PASSES):
        white = idct(noise * gain, norm="ortho", axis=1)
        limit = CLIP * _spread(white)
        noise = dct(np.clip(white, -limit, limit), norm="ortho", axis=1) / gain
        power = np.add.reduceat(noise[:, : edges[-1]] ** 2, edges[:-1], axis=1)
        power = np.maximum(power / np.diff(edges), np.finfo(np.float64).tiny)
        gain = np.exp(-0.5 * np.log(power) @ between)
    gain *= np.sqrt(common_colour(frequency, redness))
    coloured = idct(transform * gain, norm="ortho", axis=1)
    coloured -= np.median(coloured, axis=1, keepdims=True)
    return coloured / _spread(coloured)


def equalise(curves):
    """Equalise light curves of measured cadences only, all of one length.

    Parameters
    ----------
    curves : ndarray of shape (n_stars, n_measured)
        Any unit; at least `SHORTEST` cadences.

    Returns
    -------
    ndarray of shape (n_stars, n_measured), float32
        Dimensionless: median 0, robust standard deviation 1, `common_colour`.
    """
    curves = replace_lone_outliers(curves)
    return recolour(curves - find_trend(curves)).astype(np.float32)


def spread_order(n_stars):
    """Order in which no run of neighbouring rows stays together, ndarray of shape (n_stars,).

    Hosts come first in the files. Multiples of the golden ratio, modulo 1, fill the interval evenly
    from any start (Weyl 1916), so a row's place in this order tells nothing about where in the file
    it was: more evenly than a random order, and without a seed.
    """
    return np.argsort(np.arange(n_stars) * ((5**0.5 - 1) / 2) % 1)


def equalise_table(flux, filled=None):
    """Equalise all light curves of a table, cropped to its common length.

    Parameters
    ----------
    flux : ndarray of shape (n_stars, n_cadences)
        e-/s, or any unit: the scale is divided out.
    filled : ndarray of bool of shape (n_stars, n_cadences), optional
        Cadences known to be missing or filled in; see `find_measured`.

    Returns
    -------
    curves : ndarray of shape (n_kept, common_length(n_cadences)), float32
        See `equalise`.
    rows : ndarray of shape (n_kept,)
        Rows of `flux` they come from.
    dropped : list of (int, str)
        Rows that have too few measured cadences, and the sentence that says so.

    Raises
    ------
    ValueError
        If the table is too short to be equalised at all.
    """
    n_stars, n_cadences = flux.shape
    length = common_length(n_cadences)
    if length < SHORTEST:
        raise ValueError(
            f"light curves of {n_cadences} cadences cannot be equalised: {SHORTEST} must be left "
            f"after filled ones are dropped, which takes {-(-SHORTEST * OF_CADENCES // LENGTH)}"
        )
    dropped = []

    def treat(start):
        stars, rows = [], []
        for row in range(start, min(start + BLOCK, n_stars)):
            star = np.array(flux[row], dtype=np.float64)
            star = star[find_measured(star, None if filled is None else filled[row])]
            if len(star) < length:
                dropped.append((row, f"only {len(star)} of {n_cadences} cadences were measured"))
            else:
                stars.append(star[:length])
                rows.append(row)
        curves = np.empty((len(stars), length), np.float32)
        if stars:
            curves[:] = equalise(np.stack(stars))
        return curves, rows

    with ThreadPoolExecutor() as pool:  # NumPy and SciPy release the interpreter while they work
        done = list(pool.map(treat, range(0, n_stars, BLOCK)))
    curves = np.concatenate([curves for curves, _ in done])
    rows = np.array([row for _, rows in done for row in rows], dtype=int)
    return curves, rows, sorted(dropped)


def _lines(knots, positions):
    """Matrix of linear interpolation, (n_knots, n_positions), flat beyond the ends."""
    return np.array([np.interp(positions, knots, row) for row in np.eye(len(knots))])


def _spread(curves):
    """Robust standard deviation of each row about 0, as a column; never 0."""
    spread = 1.4826 * np.median(np.abs(curves), axis=1, keepdims=True)
    return np.maximum(spread, 1e-100)
