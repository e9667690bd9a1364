"""The leak as a classifier: it counts exact repeats, and learns nothing about planets.

Missing cadences were filled with the value before in hosts and deleted in non-hosts, so in the
public file the count alone tells hosts from non-hosts. What reaches no more than this classifier
has shown nothing.
"""

from exoplanets.classifiers.base import Classifier
from exoplanets.lightcurves.probes import count_repeats


class RepeatCount(Classifier):
    """Number of cadences whose flux equals that of the cadence before."""

    name = "repeat_count"
    light_curves = "distributed"
    color = "#000000"

    def score(self, stars):
        """Count; see the class."""
        return count_repeats(stars.flux)
