"""Stars that deviate wildly from all others."""

from typing import NamedTuple

import numpy as np

from exoplanets.files import DataError, read_json
from exoplanets.stars import TABLES

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

    sigmas: float  # standard deviations from the mean of a cadence over all stars
    min_cadences: int  # values beyond that make a star an outlier

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

    def find_in_training(self, stars):
        """True for outliers among the training stars, (n_stars,); a test star is none."""
        is_outlier = stars.table == "train"
        is_outlier[is_outlier] = self.find(stars.flux[is_outlier])
        return is_outlier

    def describe(self, stars, is_outlier):
        """Lines for the console: the outliers by name, and the reach of the rule."""
        outliers = stars.select(is_outlier)
        return [
            f"outlier stars (at least {self.min_cadences} values more than {self.sigmas:g} "
            f"standard deviations from their cadence's mean over stars): {len(outliers)}",
            *(
                f"  {name} ({'host' if is_host else 'non-host'})"
                for name, is_host in zip(outliers.names, outliers.is_host, strict=True)
            ),
            f"  {self.describe_reach(np.sum(stars.table == 'train'))}",
        ]

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


def read_rule(path, provenance):
    """The `OutlierRule` that step 2 noted in `leaks.json`; None if it did not, of these stars.

    `provenance` is that of both tables, see `kaggle.load`. DataError if the file is damaged.
    """
    try:
        content = read_json(path)
        noted = content["provenance"]
        if any(noted[table]["sha256"] != provenance[table]["sha256"] for table in TABLES):
            return None
        rule = OutlierRule(**content["outlier_rule"])
        if not (0 < rule.sigmas < np.inf and isinstance(rule.min_cadences, int)):
            raise ValueError(rule)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError, LookupError) as error:
        again = "run `python data_analysis.py` again"
        raise DataError(f"'{path}' is damaged, or of another version: {again}") from error
    return rule
