"""Stars that deviate wildly from all others."""

import numpy as np


def find_outlier_stars(flux, sigmas=60.0, min_cadences=2):
    """Rows of the stars that deviate wildly from all others.

    A star is an outlier if at least `min_cadences` of its cadences lie more than `sigmas`
    standard deviations from that cadence's mean over all stars.

    The rule is the published study's, and narrower than it looks: outliers inflate the very
    standard deviation they are measured by. Among n values the largest possible deviation of one
    is (n - 1) / sqrt(n) standard deviations, 71.3 for n = 5087, and of two equal ones 50.4
    (Shiffler 1988). So 60 sigma can only ever flag a single star that dominates a cadence, and
    with fewer than 3602 stars it flags none.

    Parameters
    ----------
    flux : ndarray of shape (n_stars, n_cadences)
        e-/s; missing values (NaN) deviate from nothing.
    sigmas : float
    min_cadences : int

    Returns
    -------
    ndarray of shape (n_outliers,)

    References
    ----------
    Shiffler 1988, The American Statistician 42, 79.
    """
    n_deviant = np.zeros(len(flux), int)
    for start in range(0, flux.shape[1], 256):  # by blocks of cadences: memory stays flat
        block = np.array(flux[:, start : start + 256])
        n_known = np.sum(~np.isnan(block), axis=0)
        block -= np.nansum(block, axis=0) / np.maximum(n_known, 1)
        scatter = np.sqrt(np.nansum(block**2, axis=0) / np.maximum(n_known - 1, 1))
        n_deviant += np.sum(np.abs(block) > sigmas * scatter, axis=1)
    return np.flatnonzero(n_deviant >= min_cadences)


def largest_deviation(n_stars):
    """The most standard deviations that one of n values can lie from their mean."""
    return (n_stars - 1) / np.sqrt(n_stars)


def print_outliers(rows, is_host, sigmas, min_cadences):
    """Print how many stars the rule flags, and which, with the rule's own limit."""
    print(
        f"outlier stars (at least {min_cadences} cadences more than {sigmas:g} standard deviations "
        f"from the cadence's mean over stars): {len(rows)}"
    )
    for row in rows:
        print(f"  row {row} ({'host' if is_host[row] else 'non-host'})")
    n, one = len(is_host), largest_deviation(len(is_host))
    two = np.sqrt((n - 1) * (n - 2) / (2 * n))
    if sigmas >= one:
        reach = "can flag none"
    elif sigmas >= two:
        reach = "can flag only a single star that dominates its cadence"
    else:
        reach = "can flag several at once"
    print(
        f"  among {n} stars one value can deviate by at most {one:.1f} standard deviations, two "
        f"equal ones by {two:.1f}: this rule {reach}"
    )
