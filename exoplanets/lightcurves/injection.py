"""Transits injected into real light curves, and what only looks like transits.

A network taught by injections sees no host label, so it cannot learn how the files were made or
what stars hosts are. *Where* the transit goes in decides everything: into the raw flux, before any
cleaning, so that cleaning treats it as it treats a real one.
"""

import numpy as np

from exoplanets.lightcurves import equalise
from exoplanets.lightcurves.clock import find_measured
from exoplanets.lightcurves.detrend import BLOCK
from exoplanets.sources import survey
from exoplanets.stars import CADENCE_DAYS
from exoplanets.transits import draw_planet, transit_flux

SCATTER_WINDOW = 73  # cadences (36 h), blocks whose median is taken out before the scatter
PHOTONS = survey.EXPOSURE_SECONDS  # s of light per cadence
# Shares of the training sample. All but the first are labelled 0.
KINDS = {
    "transits": 0.50,
    "nothing": 0.20,
    "inverted": 0.06,
    "bumps": 0.06,  # transits that brighten
    "eclipses": 0.05,
    "dips": 0.05,
    "flares": 0.04,
    "saw": 0.04,
}


def find_scatter(flux, window=SCATTER_WINDOW):
    """Robust standard deviation of a light curve about the medians of its blocks, in its unit."""
    n_blocks = len(flux) // window
    blocks = np.reshape(flux[: n_blocks * window], (n_blocks, window))
    rest = blocks - np.median(blocks, axis=1, keepdims=True)
    # A median takes out about 1.5 of the degrees of freedom of its block.
    return 1.4826 * np.median(np.abs(rest)) * np.sqrt(window / (window - 1.5))


def inject(flux, dip, snr):
    """Put dips into a raw light curve at a given matched-filter signal-to-noise ratio.

    Parameters
    ----------
    flux : ndarray of shape (n_cadences,)
        e-/s.
    dip : ndarray of shape (n_cadences,)
        Shape of the dips: 0 outside, about 1 at the deepest; negative values brighten.
    snr : float
        `depth * sqrt(sum(dip**2)) / find_scatter(flux)`.

    Returns
    -------
    flux : ndarray of shape (n_cadences,)
    depth : float
        e-/s.
    """
    depth = snr * find_scatter(flux) / np.sqrt(np.sum(dip**2))
    return flux - depth * dip, depth


def find_snr(flux, dip, depth):
    """Matched-filter signal-to-noise ratio of dips of a given depth, e-/s; see `inject`."""
    return depth * np.sqrt(np.sum(dip**2)) / find_scatter(flux)


def estimate_level(flux):
    """Mean flux of a star from its noise, e-/s: the files hold flux minus its median.

    Photon noise of a cadence is sqrt(level / 1625 s). Other noise makes the estimate, and with it
    the depth of a planet of given radius, too large: radius ratios are lower limits.
    """
    steps = np.diff(flux)
    noise = 1.4826 * np.median(np.abs(steps)) / np.sqrt(2)
    return PHOTONS * noise**2


def draw_transits(rng, times, period_range=(0.7, 30.0), fewest=2):
    """Dips of a planet drawn at random, with at least `fewest` transits within the times.

    Returns
    -------
    dip : ndarray of shape (n_cadences,)
        Between 0 and 1, the deepest value.
    planet : dict
        Keyword arguments of `transits.transit_flux`.
    """
    while True:
        planet = draw_planet(rng, period_range=period_range, radius_ratio_range=(0.015, 0.15))
        planet["epoch"] += times[0]
        dip = 1 - transit_flux(times, **planet)
        starts = np.count_nonzero(np.diff(dip > 0.5 * dip.max(), prepend=False)) / 2
        if dip.max() > 0 and starts >= fewest:
            return dip / dip.max(), planet


def _eclipse_dips(rng, times):
    """V-shaped eclipses of two stars, every other one shallower."""
    period = np.exp(rng.uniform(np.log(0.8), np.log(20.0)))
    width = rng.uniform(0.03, 0.12) * min(period, 6.0)
    phase = (times / period + rng.random()) % 1.0
    primary = np.maximum(1 - np.minimum(phase, 1 - phase) * period / width, 0)
    secondary = np.maximum(1 - np.abs(phase - 0.5) * period / width, 0)
    return 2 * (primary + rng.uniform(0.1, 0.7) * secondary)  # deeper than a planet's


def _lone_dips(rng, times):
    """One to three dips that do not repeat."""
    cadence, dip = np.arange(len(times)), np.zeros(len(times))
    for _ in range(rng.integers(1, 4)):
        middle, half_width = rng.uniform(0, len(times)), rng.uniform(1.5, 12)
        dip += rng.uniform(0.3, 1) * (np.abs(cadence - middle) < half_width)
    return dip


def _flare_dips(rng, times):
    """Fast rises and exponential decays."""
    dip, length = np.zeros(len(times)), 20
    for start in rng.integers(0, len(times) - length, rng.integers(2, 12)):
        decay = np.exp(-np.arange(length) / rng.uniform(0.7, 5))
        dip[start : start + length] -= rng.uniform(0.2, 1) * decay
    return dip


def _saw_teeth(rng, times):
    """Teeth of the thrusters, up or down, in a stretch."""
    cadence = np.arange(len(times))
    first = rng.integers(0, len(times) // 2)
    last = first + rng.integers(len(times) // 8, len(times))
    tooth = cadence % int(rng.choice([6, 11, 12, 24])) / 12
    return tooth * ((cadence > first) & (cadence < last)) * rng.choice([-1, 1])


LOOKALIKES = {
    "eclipses": _eclipse_dips,
    "dips": _lone_dips,
    "flares": _flare_dips,
    "saw": _saw_teeth,
}


def make_training_curve(flux, kind, rng, snr_range):
    """A raw light curve of one of `KINDS`, made from a non-host's.

    Returns
    -------
    flux : ndarray of shape (n_cadences,)
        e-/s.
    dip : ndarray of shape (n_cadences,)
        Shape of the injected transits; all 0 unless `kind` is "transits".
    """
    none = np.zeros(len(flux))
    times = np.arange(len(flux)) * CADENCE_DAYS
    snr = np.exp(rng.uniform(*np.log(snr_range)))
    if kind == "nothing":
        return flux, none
    if kind == "inverted":
        return -flux, none
    if kind in LOOKALIKES:
        dip = LOOKALIKES[kind](rng, times)
        if not dip.any():  # a dip between two cadences
            return flux, none
        return inject(flux, dip / np.abs(dip).max(), snr)[0], none
    dip, _ = draw_transits(rng, times)
    injected, _ = inject(flux, dip, snr)
    return (injected, dip) if kind == "transits" else (2 * flux - injected, none)


class TrainingSample:
    """Equalised light curves with and without injected transits, and where the transits are.

    Attributes
    ----------
    curves : ndarray of shape (n_curves, n_cadences), float32
    kinds : ndarray of shape (n_curves,), str
        Of `KINDS`.
    dips : ndarray of shape (n_curves, n_cadences), float32
        Shape of the injected transits, cadence by cadence.
    """

    def __init__(self, flux, n_curves, rng, snr_range=(6.0, 150.0), was_missing=None):
        """Draw a sample from the raw light curves of non-hosts.

        Parameters
        ----------
        flux : ndarray of shape (n_stars, n_cadences)
            e-/s. Of fewer stars than `n_curves` each is used several times, with another planet.
        n_curves : int
            About; shares are rounded.
        rng : numpy.random.Generator
        snr_range : (float, float)
            Of the matched filter, log-uniform.
        was_missing : ndarray of bool of shape (n_stars, n_cadences), optional
            Cadences that were filled in, to be dropped as equalisation drops them.
        """
        counts = [round(share * n_curves) for share in KINDS.values()]
        self.kinds = rng.permutation(np.repeat(list(KINDS), counts))
        stars = np.resize(rng.permutation(len(flux)), len(self.kinds))
        self.curves = np.zeros((len(stars), flux.shape[1]), np.float32)
        self.dips = np.zeros((len(stars), flux.shape[1]), np.float32)
        for start in range(0, len(stars), BLOCK):
            block = range(start, min(start + BLOCK, len(stars)))
            raw = []
            for i in block:
                made, self.dips[i] = make_training_curve(
                    flux[stars[i]], self.kinds[i], rng, snr_range
                )
                if was_missing is not None:
                    made = np.where(was_missing[stars[i]], np.nan, made)
                raw.append(np.where(find_measured(made), made, np.nan))
            self.curves[block.start : block.stop] = equalise.equalise(np.stack(raw))
