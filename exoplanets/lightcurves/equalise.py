"""Equalised light curves: one path for every star, no label looked at.

Per star: put on the grid of true time, fill gaps, detrend, take out what all stars of the campaign
share, replace lone outliers, even out the noise, and give it one common colour. The reasons:

* Hosts were filled and non-hosts were not. So exact repeats are gaps in every star, and what the
  campaign lost is a gap in every star (`lightcurves/clock.py`).
* What stars share is no transit (`lightcurves/modes.py`).
* Hosts are brighter, quieter stars, so the noise itself tells the label. Each star is divided by
  its own noise spectrum, as the Kepler pipeline whitens before its matched filter [1]_, and
  multiplied by one spectrum that is common to all. A flat common spectrum would leave little of a
  transit but its edges; that of a typical detrended K2 star leaves a box. The lines of the
  thrusters, every 12 cadences, are levelled to the noise around them.

Every step is odd: `equalise(-flux) == -equalise(flux)`. Column k of an equalised light curve is
k * `stars.CADENCE_DAYS` days.

References
----------
.. [1] Jenkins 2002, ApJ 575, 493.
"""

import itertools
from collections import defaultdict
from functools import partial
from typing import NamedTuple

import numpy as np
from scipy.fft import dct, idct, next_fast_len

from exoplanets.lightcurves.clock import LEAST_MEASURED, find_used, place
from exoplanets.lightcurves.detrend import (
    WINDOW,
    check_length,
    detrend,
    even_out,
    find_median,
    find_spread,
    join_lines,
    map_blocks,
    map_rows,
    replace_lone_outliers,
)
from exoplanets.lightcurves.modes import find_shared
from exoplanets.stars import SHORTEST

LONGEST_GAP = 48  # cadences (1 d): a longer gap parts a light curve
# Cadences (8 h) beside such a gap: the trend is known from one side only, and a telescope that was
# turned warms or cools. Dips there come as regularly as the gaps do.
EDGE = 16
AT_A_TIME = 410_000  # cadences of stars that are treated side by side
LONGEST = 4800  # cadences (98 d) that one noise spectrum may describe: about a Kepler quarter
BAND = 0.012  # cycles per cadence, widest band of the noise spectrum
BAND_RATIO = 1.35  # upper over lower edge of the narrower bands at low frequency
# Lines of the thrusters, cycles per cadence: they fire every 6 h, which are 12 cadences.
THRUSTERS = tuple(k / 12 for k in range(1, 6))
LINE = 0.0012  # cycles per cadence, half width of a line: that of its smear
CLIP = 4.0  # robust standard deviations; cuts only the copy that the noise is measured on
NO_NOISE = 12.0  # robust standard deviations; what is deeper or higher is left out of that copy
PASSES = 2  # times the noise is measured: the second clips what the first whitened
BOTH = "both"  # of `whiten`: equalised curves, and flattened ones beside them
REDNESS = 2.0  # red over white noise power of the common colour at frequency 0 ...
CORNER = 0.05  # ... and the frequency, cycles per cadence, at which it has halved


class Equalised(NamedTuple):
    """Equalised light curves of a table."""

    curves: np.ndarray  # (n_kept, n_cadences), float32; see `equalise`
    rows: np.ndarray  # (n_kept,), rows of the table they come from
    dropped: list  # of (int, str): rows with too few measured cadences, and the sentence on it


def common_colour(frequency):
    """Noise power that every equalised light curve has, at frequencies in cycles per cadence.

    About the median spectrum of detrended K2 Campaign 3 stars, without the lines of the thrusters
    and without what stars share: in most of them a transit stays nearly a box. It is constant below
    one cycle per `WINDOW`, where the trend was taken out.
    """
    frequency = np.maximum(frequency, 1 / WINDOW)
    return 1 + REDNESS / (1 + (frequency / CORNER) ** 2)


def find_bands(n_cadences):
    """Edges of the bands in which the noise power is measured, as indices of a cosine transform."""
    edges = [1 / WINDOW]
    while edges[-1] < 0.5:
        edges.append(edges[-1] + min(BAND, (BAND_RATIO - 1) * edges[-1]))
    return np.round(2 * n_cadences * np.array([*edges[:-2], 0.5])).astype(int)


_transform = partial(dct, norm="ortho", axis=1)
_invert = partial(idct, norm="ortho", axis=1)


def recolour(curves):
    """Filter each light curve so that its noise has the common colour.

    The noise power is the mean, in each of some forty bands, of the squared cosine transform of the
    curve clipped at `CLIP`; bands are wide, and dips clipped or left out, so that a transit and its
    harmonics are not taken for noise. The filter is linear, without phase, and mirrors the curve
    at its ends. Curves (n_stars, n_cadences) are detrended, in any unit; see `equalise`.
    """
    n_cadences = curves.shape[1]
    n = next_fast_len(n_cadences, real=True)
    curves = np.pad(curves, ((0, 0), (0, n - n_cadences)), mode="symmetric")
    frequency = np.arange(n) / (2 * n)
    edges = find_bands(n)
    centres = (edges[:-1] + edges[1:] - 1) / 2
    lines = [slice(*np.searchsorted(frequency, (line - LINE, line + LINE))) for line in THRUSTERS]
    plain = np.ones(n, bool)
    for line in lines:
        plain[line] = False
    n_plain = np.add.reduceat(plain[: edges[-1]], edges[:-1], dtype=int)

    transform = map_rows(_transform, curves)
    noise, gain = transform, np.ones_like(transform)
    for _ in range(PASSES):
        white = map_rows(_invert, noise * gain)
        limit = CLIP * find_spread(white)
        calm = np.where(np.abs(white) < NO_NOISE / CLIP * limit, white.clip(-limit, limit), 0)
        noise = map_rows(_transform, calm) / gain
        power = np.add.reduceat((noise**2 * plain)[:, : edges[-1]], edges[:-1], axis=1)
        power = np.maximum(power / n_plain, np.finfo(power.dtype).tiny)
        gain = np.exp(-0.5 * join_lines(np.log(power).astype(curves.dtype), centres, n))
    for line in lines:
        level = np.mean((noise[:, line] * gain[:, line]) ** 2, axis=1, keepdims=True)
        gain[:, line] /= np.sqrt(np.maximum(level, 1e-12))
    gain *= np.sqrt(common_colour(frequency)).astype(gain.dtype)
    coloured = map_rows(_invert, transform * gain)[:, :n_cadences]
    coloured -= find_median(coloured)
    return coloured / find_spread(coloured)


def equalise(curves, campaign=None):
    """Equalise light curves on the grid of true time.

    Curves (n_stars, n_cadences), at least `SHORTEST` cadences, are in any unit, NaN where nothing
    was measured, and in what `campaign.missing` names. Without a campaign, nothing that stars share
    is taken out. Returns float32, dimensionless: median 0, robust standard deviation 1,
    `common_colour`.
    """
    return recolour(even_noise(flatten(curves, campaign), campaign))


def flatten(curves, campaign=None):
    """Take out trends, what stars share, and lone outliers: what is left is noise, and dips.

    Dimensionless, robust standard deviation about 1. Nothing here bends a dip: what evens out noise
    comes after, in `even_noise`, and makes dips of one star, and both sides of one dip, unlike.
    """
    gaps = np.isnan(curves)
    curves = detrend(curves)
    if campaign is not None and len(campaign.modes):
        curves -= find_shared(curves, campaign.modes)
    return replace_lone_outliers(curves, gaps)


def even_noise(flat, campaign=None):
    """Give the noise of flattened light curves one height: that of a cadence, and that of a day."""
    return even_out(flat if campaign is None else flat / campaign.scatter)


def finish(flat, gaps, campaign=None, whiten=True):
    """Light curves of `flatten` as `whiten` wants them; see `equalise_table`."""
    white = recolour(even_noise(flat, campaign)) if whiten else None
    if whiten is True:
        return white
    plain = np.where(gaps, np.float32(np.nan), flat / find_spread(flat))
    return plain if white is None else np.stack([white, plain], axis=1)


def find_unit(flux, flat, level):
    """What one standard deviation of a flattened light curve is, over the light of the star.

    From the noise from one cadence to the next, which flattening only scales: `flux` is the light
    curve before, (n_cadences,), `flat` after it; `level` is the star's light in the unit of flux.
    """
    steps = (np.diff(values[np.isfinite(values)]) for values in (flux, flat))
    before, after = (find_spread(each[np.newaxis])[0, 0] for each in steps)
    return float(before / after / level)


def find_stretches(flux):
    """The stretches of a light curve of any length that can be equalised.

    Gaps of more than `LONGEST_GAP` cadences part them, and what is no longer than a trend's window
    is left out. Neighbouring ones make groups of `SHORTEST` cadences, enough to measure noise.
    Returns a tuple of groups, tuples of pairs: the first cadence of a stretch, and the first after
    it. ValueError if there are fewer than `SHORTEST` cadences to equalise.
    """
    used = find_used(flux)
    measured, stretches = np.flatnonzero(used), []
    for run in np.split(measured, np.flatnonzero(np.diff(measured) > LONGEST_GAP + 1) + 1):
        length = run[-1] + 1 - run[0] if len(run) else 0
        if length > WINDOW:  # two windows make a trend
            parts = np.array_split(np.arange(run[0], run[0] + length), -(-length // LONGEST))
            stretches += [(int(part[0]), int(part[-1]) + 1) for part in parts]
    n_used = sum(np.count_nonzero(used[first:end]) for first, end in stretches)
    if n_used < SHORTEST:
        raise ValueError(
            f"has {n_used} cadences in stretches of more than {WINDOW} without a long gap: "
            f"{SHORTEST} are needed"
        )
    groups, group = [], []
    for stretch in stretches:
        group.append(stretch)
        if sum(end - first for first, end in group) >= SHORTEST:
            groups.append(group)
            group = []
    groups[-1] += group  # what is left over at the end
    return tuple(map(tuple, groups))


def equalise_stars(stars, whiten=True):
    """Equalise light curves of any lengths, with gaps of any length, each by itself.

    `stars` is a list of ndarray of shape (n_cadences,): flux in any unit, a value per cadence, NaN
    where nothing was measured. Returns a list of the like, see `equalise`; in place of a star with
    less than `SHORTEST` cadences a ValueError, not raised. What is in no stretch stays NaN, and so
    do `EDGE` cadences where one stretch ends and another begins. Each stretch is detrended by
    itself, and a group has one noise spectrum; see `find_stretches`. Light curves with the same
    stretches are treated side by side. For `whiten` see `equalise_table`.
    """
    equalised, alike = [None] * len(stars), defaultdict(list)
    for i, flux in enumerate(stars):
        try:
            alike[len(flux), find_stretches(flux)].append(i)
        except ValueError as error:
            equalised[i] = error
    for (n_cadences, groups), places in alike.items():
        together = max(AT_A_TIME // n_cadences, 1)
        for start in range(0, len(places), together):
            some = places[start : start + together]
            curves = _equalise_alike(np.stack([stars[i] for i in some]), groups, whiten)
            for i, curve in zip(some, curves, strict=True):
                equalised[i] = curve
    return equalised


def _equalise_alike(flux, groups, whiten):
    """Equalise light curves (n_stars, n_cadences) whose stretches are the same."""
    flux = np.where([find_used(star) for star in flux], flux, np.nan)
    gaps = np.isnan(flux)
    shape = (len(flux), 2, flux.shape[1]) if whiten == BOTH else flux.shape
    curves = np.full(shape, np.nan, np.float32)
    for group in groups:
        flat = np.concatenate([flatten(flux[:, first:end]) for first, end in group], axis=1)
        cadences = np.concatenate([np.arange(first, end) for first, end in group])
        curves[..., cadences] = finish(flat, gaps[:, cadences], None, whiten)
    stretches = list(itertools.chain(*groups))
    for (_, end), (first, _) in itertools.pairwise(stretches):
        curves[..., end - EDGE : first + EDGE] = np.nan
    return curves


def spread_order(n_stars):
    """Order in which no run of neighbouring rows stays together, ndarray of shape (n_stars,).

    Hosts come first in the files. Multiples of the golden ratio, modulo 1, fill the interval evenly
    from any start (Weyl 1916), so a row's place in this order tells nothing about where in the file
    it was: more evenly than a random order, and without a seed.
    """
    return np.argsort(np.arange(n_stars) * ((5**0.5 - 1) / 2) % 1)


def equalise_table(flux, campaign=None, cadences=None, whiten=True):
    """Equalise all light curves of a table, in any unit, perhaps of a campaign: an `Equalised`.

    The cadences are the true ones of every column, an ndarray of int of the shape of the flux,
    (n_stars, n_cadences); they are found from the flux unless given. Without `whiten` the curves
    are those of `flatten` in units of their robust standard deviation, NaN where nothing was
    measured; if it is `BOTH`, there are both of each star, the equalised one first:
    (n_kept, 2, n_cadences). ValueError if the table is too short to be equalised at all, or not as
    long as the campaign's.
    """
    n_stars, n_cadences = flux.shape
    check_length(n_cadences)
    if campaign is not None and campaign.n_cadences != n_cadences:
        raise ValueError(
            f"light curves of {n_cadences} cadences are not of a campaign of {campaign.n_cadences}"
        )
    n_known = n_cadences if campaign is None else np.count_nonzero(~campaign.missing)
    least = LEAST_MEASURED * n_known

    def treat(rows):
        times = None if cadences is None else cadences[rows]
        curves, n_measured = place(flux[rows], campaign, times)
        curves = curves[n_measured >= least]
        return finish(flatten(curves, campaign), np.isnan(curves), campaign, whiten), n_measured

    blocks = map_blocks(treat, n_stars, what="blocks of stars equalised")
    curves, n_measured = map(np.concatenate, zip(*blocks, strict=True))
    dropped = [
        (int(i), f"only {n_measured[i]} of {n_known} cadences were measured")
        for i in np.flatnonzero(n_measured < least)
    ]
    return Equalised(curves, np.flatnonzero(n_measured >= least), dropped)
