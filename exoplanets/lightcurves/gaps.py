"""Missing values: filled in where numbers are needed, and only there."""

import numpy as np

MOSTLY_MISSING = 0.5  # a star with a larger share of missing values is left out of everything


def fill_gaps(flux):
    """Fill the missing values of each star by linear interpolation in time.

    Before its first and after its last known value a star keeps that value.

    Parameters
    ----------
    flux : ndarray of shape (n_stars, n_cadences)
        e-/s, NaN where missing; not changed.

    Returns
    -------
    ndarray of shape (n_stars, n_cadences)
        Without NaN, except in stars that have no known value at all. `flux` itself where nothing
        is missing.
    """
    missing = np.isnan(flux)
    if not missing.any():
        return flux
    filled = np.array(flux)
    cadences = np.arange(flux.shape[1])
    for star in np.flatnonzero(missing.any(axis=1) & ~missing.all(axis=1)):
        gone = missing[star]
        filled[star, gone] = np.interp(cadences[gone], cadences[~gone], flux[star, ~gone])
    return filled


def find_missing_share(flux):
    """Share of missing values of each star, ndarray of shape (n_stars,)."""
    return np.mean(np.isnan(flux), axis=1)
