"""Reliability: how much of a classifier's skill is left where no transit is left.

Flux turned upside down and dips replaced by noise hold no transit; shuffled blocks of time hold the
transits but not their period [1]_. Hosts and non-hosts are treated alike, so what still tells them
apart is no planet.

References
----------
.. [1] Thompson et al. 2018, ApJS 235, 38 (Kepler DR25: inversion and scrambling).
"""

import numpy as np
from astropy.stats import mad_std
from scipy.ndimage import binary_dilation, uniform_filter1d

from exoplanets.evaluation import metrics
from exoplanets.lightcurves.detrend import find_trend
from exoplanets.lightcurves.gaps import fill_gaps

TREATMENTS = ("original", "inverted", "masked", "scrambled")
DIP_DEPTH = 3.5  # standard deviations, of a cadence or (white) of the mean of DIP_WIDTH cadences
DIP_WIDTH, DIP_MARGIN = 5, 4  # cadences: of the mean; masked on either side of a dip
JOIN = 3.0  # cadences over which replaced noise is joined to what is kept: its correlation time
SCRAMBLED_BLOCK = 24  # cadences, 12 h: longer than a transit, shorter than a period
LEAST_SKILL = 0.05  # ROC AUC above 0.5 below which there is no skill to lose a share of


def find_dips(curves):
    """Cadences of dips and their neighbours, whatever made the dips, ndarray of bool.

    A cadence below -3.5 standard deviations, or any of five whose mean is below -3.5 / sqrt(5)
    (about -1.6: in red noise that is no rare event, and a part of every star's noise goes too), and
    four more on either side. The light curves have median 0 and robust standard deviation 1.
    """
    means = uniform_filter1d(curves, DIP_WIDTH, axis=1, mode="nearest")
    wide = binary_dilation(means < -DIP_DEPTH / np.sqrt(DIP_WIDTH), np.ones((1, DIP_WIDTH)))
    return binary_dilation((curves < -DIP_DEPTH) | wide, np.ones((1, 2 * DIP_MARGIN + 1)))


def mask_dips(curves, rng):
    """Put the star's own noise in the place of its dips.

    Each masked stretch is replaced by a run of as many kept cadences of the same star, from a
    random place: noise of its own colour. At both ends the difference to what is kept fades over
    the noise's correlation time, so that there is no step. The light curves are as in `find_dips`.
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
    """`mask_dips` for raw flux, e-/s: only the dips change, not what is between them.

    What is missing stays missing.
    """
    filled = fill_gaps(flux)
    trend = find_trend(filled)
    rest = filled - trend
    spread = np.maximum(mad_std(rest, axis=1)[:, np.newaxis], 1e-100)
    scaled = rest / spread
    masked = np.where(find_dips(scaled), trend + spread * mask_dips(scaled, rng), flux)
    return np.where(np.isnan(flux), np.nan, masked)


def scramble(curves, rng):
    """Shuffle half-day blocks of each light curve in time; what is left over stays at the end."""
    scrambled = np.array(curves)
    n_blocks = curves.shape[1] // SCRAMBLED_BLOCK
    for star in scrambled:
        blocks = star[: n_blocks * SCRAMBLED_BLOCK].reshape(n_blocks, SCRAMBLED_BLOCK)
        blocks[:] = blocks[rng.permutation(n_blocks)]
    return scrambled


def treat_stars(stars, seed):
    """Every treatment of every star, of both kinds of light curves: a dict of `Stars`."""
    rng = np.random.default_rng([seed, 2])
    flux, curves = stars.flux, stars.curves
    masked = mask_raw_dips(flux, rng).astype(flux.dtype)
    return {
        "original": stars,
        "inverted": stars.replace(flux=-flux, curves=-curves),  # equalisation is odd
        "masked": stars.replace(flux=masked, curves=mask_dips(curves, rng)),
        "scrambled": stars.replace(flux=scramble(flux, rng), curves=scramble(curves, rng)),
    }


def measure_reliability(y, scored, seed, n_resamples=metrics.N_RESAMPLES):
    """ROC AUC of hosts against equally treated non-hosts, and what share of the skill it is.

    `scored` holds the stars' scores per treatment, `original` among them. Returns a dict, in which
    each treatment has its `roc_auc`, bootstrapped `interval` and `surviving_share`: (AUC - 0.5) /
    (AUC of the original - 0.5), at least 0; None if there was no skill.
    """
    rng = np.random.default_rng([seed, 3])
    auc = {name: metrics.find_roc_auc(y, score) for name, score in scored.items()}
    skill = auc["original"] - 0.5
    rows = {}
    for name, score in scored.items():
        interval = metrics.roc_auc_interval(y, score, rng, n_resamples)
        share = max(0.0, (auc[name] - 0.5) / skill) if skill > LEAST_SKILL else None
        rows[name] = {"roc_auc": auc[name], "interval": interval, "surviving_share": share}
    return {"hosts": int(np.sum(y == 1)), "non_hosts": int(np.sum(y == 0))} | rows
