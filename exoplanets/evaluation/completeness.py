"""Completeness: planets injected into raw light curves, and the share that is recovered.

Transits go into the raw flux of held-out non-hosts, as the Kepler catalogue did [1]_.

References
----------
.. [1] Thompson et al. 2018, ApJS 235, 38.
"""

from typing import NamedTuple

import numpy as np

from exoplanets.evaluation import metrics
from exoplanets.lightcurves import equalise, injection
from exoplanets.stars import CADENCE_DAYS
from exoplanets.transits import transit_flux

PERIODS = (0.7, 20.0)  # days, of the injected planets
SNR_EDGES = (6.0, 8.0, 12.0, 20.0, 40.0, 150.0)  # of the matched filter in the raw flux
HIGH_SNR = 20.0  # above it a survey has to find nine in ten
PERIOD_EDGES = (0.7, 1.5, 3.0, 6.0, 12.0, 20.0)  # days
RATIO_EDGES = (0.0, 0.01, 0.02, 0.04, 0.08, np.inf)  # planet-to-star radius, lower limits
FALSE_POSITIVE_RATE = 0.01


class Injections(NamedTuple):
    """Planets injected into raw light curves; ndarrays with a row per injection.

    Attributes
    ----------
    flux, curves : e-/s, and equalised
    star : index of the non-host
    period, snr : days, and of the matched filter; see `injection.inject`
    radius_ratio : planet-to-star radius, a lower limit; see `injection.estimate_level`
    """

    flux: np.ndarray
    curves: np.ndarray
    star: np.ndarray
    period: np.ndarray
    snr: np.ndarray
    radius_ratio: np.ndarray


def draw_injections(stars, n_injections, rng):
    """Inject a planet into raw light curves, each star in turn, and equalise them.

    Period and signal-to-noise ratio are log-uniform, the rest as `transits.draw_planet`; at least
    two transits; strictly periodic in the index of the file. The depth is scaled to the ratio
    drawn.

    Parameters
    ----------
    stars : Sample
    n_injections : int
    rng : numpy.random.Generator

    Returns
    -------
    Injections
    """
    n_stars, n_cadences = stars.flux.shape
    times = np.arange(n_cadences) * CADENCE_DAYS
    star = np.resize(rng.permutation(n_stars), n_injections)
    flux = np.empty((n_injections, n_cadences))
    truth = np.empty((3, n_injections))
    for i in range(n_injections):
        dip, planet = injection.draw_transits(rng, times, PERIODS)
        snr = np.exp(rng.uniform(np.log(SNR_EDGES[0]), np.log(SNR_EDGES[-1])))
        flux[i], depth = injection.inject(stars.flux[star[i]].astype(np.float64), dip, snr)
        of_planet = np.max(1 - transit_flux(times, **planet))
        relative = depth / injection.estimate_level(stars.flux[star[i]])
        # A planet's depth goes as the square of its radius.
        ratio = planet["radius_ratio"] * np.sqrt(relative / of_planet)
        truth[:, i] = planet["period"], snr, ratio
    if stars.filled is not None:
        flux[stars.filled[star]] = np.nan
    curves, kept, _ = equalise.equalise_table(flux)
    return Injections(flux[kept], curves, star[kept], *truth[:, kept])


def find_false_positive_threshold(score, rate=FALSE_POSITIVE_RATE):
    """The lowest threshold at which at most so many non-hosts are called.

    Of n non-hosts, k = max(1, floor(rate * n)) may be called: the threshold is just above the score
    of the next, the (k + 1)-th highest. With ties fewer are called.

    Returns
    -------
    dict
        `threshold`, and the counts `false_positives` of `non_hosts`.
    """
    score = np.sort(np.asarray(score, np.float64))[::-1]
    allowed = max(1, int(rate * len(score)))
    threshold = np.nextafter(score[allowed], np.inf) if allowed < len(score) else score[-1]
    return {
        "threshold": float(threshold),
        "false_positives": int(np.sum(score >= threshold)),
        "non_hosts": len(score),
    }


def count_recovered(recovered):
    """`n`, `recovered`, `fraction` and its Wilson interval of some injections."""
    n, found = len(recovered), int(np.sum(recovered))
    return {
        "n": n,
        "recovered": found,
        "fraction": metrics.ratio(found, n),
        "interval": metrics.wilson(found, n),
    }


def measure_completeness(threshold, score, found, injections, suspect):
    """Recovery of injected planets at the tuned threshold and at a 1 % false-positive rate.

    Parameters
    ----------
    threshold : float
        The tuned one.
    score : ndarray of shape (n_stars,)
        Of the non-hosts before injection: it sets the false-positive rate.
    found : ndarray of shape (n_injections,)
        Score of the injections.
    injections : Injections
    suspect : ndarray of bool of shape (n_stars,)
        Non-hosts whose label is suspect; a third threshold is set without them.

    Returns
    -------
    dict
        Per threshold (`tuned`, `false_positives_1_percent` and the same `_without_suspects`):
        threshold, false positives of how many non-hosts; `bins` of SNR, `all`, and `above_20`;
        and `grid`, rows of cells of period and radius ratio.
    """
    tuned = {
        "threshold": float(threshold),
        "false_positives": int(np.sum(score >= threshold)),
        "non_hosts": len(score),
    }
    thresholds = {
        "tuned": tuned,
        "false_positives_1_percent": find_false_positive_threshold(score),
        "false_positives_1_percent_without_suspects": find_false_positive_threshold(
            score[~suspect]
        ),
    }
    snr_bin = np.digitize(injections.snr, SNR_EDGES[1:-1])
    period_bin = np.digitize(injections.period, PERIOD_EDGES[1:-1])
    ratio_bin = np.digitize(injections.radius_ratio, RATIO_EDGES[1:-1])
    for row in thresholds.values():
        recovered = found >= row["threshold"]
        row["bins"] = [
            {"snr": [SNR_EDGES[i], SNR_EDGES[i + 1]]} | count_recovered(recovered[snr_bin == i])
            for i in range(len(SNR_EDGES) - 1)
        ]
        row["all"] = count_recovered(recovered)
        row["above_20"] = count_recovered(recovered[injections.snr > HIGH_SNR])
        row["grid"] = [
            [
                count_recovered(recovered[(ratio_bin == i) & (period_bin == j)])
                for j in range(len(PERIOD_EDGES) - 1)
            ]
            for i in range(len(RATIO_EDGES) - 1)
        ]
    return thresholds
