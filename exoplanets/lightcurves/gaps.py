"""Missing values: filled in where numbers are needed, and only there."""

import numpy as np


def fill_gaps(flux):
    """Fill the missing values of each star by linear interpolation in time.

    Before its first and after its last known value a star keeps that value; a star without any
    stays NaN. The flux, (n_stars, n_cadences), is not changed, and returned itself where nothing
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
