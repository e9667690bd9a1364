"""Stars that deviate wildly from all others."""

from typing import NamedTuple

import numpy as np

BLOCK = 256  # cadences at a time: memory stays flat


class OutlierRule(NamedTuple):
    """The published study's rule: a star with `min_cadences` values beyond `sigmas` is an outlier.

    It is narrower than it looks: outliers inflate the very standard deviation they are measured
    by. Among n values the largest possible deviation of one is (n - 1) / sqrt(n) standard
    deviations, 71.3 for n = 5087, and of two equal ones 50.4 (Shiffler 1988). So 60 sigma can only
    ever flag a single star that dominates a cadence, and with fewer than 3602 stars it flags none.

    References
    ----------
    Shiffler 1988, The American Statistician 42, 79.
    """

    sigmas: float = 60.0  # standard deviations from the mean of a cadence over all stars
    min_cadences: int = 2  # values beyond that make a star an outlier

    def find(self, flux):
        """True for outliers, ndarray of shape (n_stars,); missing flux deviates from nothing."""
        n_deviant = np.zeros(len(flux), int)
        for start in range(0, flux.shape[1], BLOCK):
            block = np.array(flux[:, start : start + BLOCK])
            n_known = np.sum(~np.isnan(block), axis=0)
            block -= np.nansum(block, axis=0) / np.maximum(n_known, 1)
            scatter = np.sqrt(np.nansum(block**2, axis=0) / np.maximum(n_known - 1, 1))
            n_deviant += np.sum(np.abs(block) > self.sigmas * scatter, axis=1)
        return n_deviant >= self.min_cadences

    def describe_reach(self, n_stars):
        """The rule's own limit among so many stars, a sentence."""
        one = (n_stars - 1) / np.sqrt(n_stars)
        two = np.sqrt((n_stars - 1) * (n_stars - 2) / (2 * n_stars))
        if self.sigmas >= one:
            reach = "can flag none"
        elif self.sigmas >= two:
            reach = "can flag only a single star that dominates its cadence"
        else:
            reach = "can flag several at once"
        return (
            f"among {n_stars} stars one value can deviate by at most {one:.1f} standard "
            f"deviations, two equal ones by {two:.1f}: this rule {reach}"
        )
