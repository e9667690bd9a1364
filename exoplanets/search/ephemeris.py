"""The one ephemeris: when the dips of a star come, how long they last and how deep they are."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Ephemeris:
    """Dips that repeat, such as the transits of a planet; numbers, times in days.

    Times of a light curve and the epoch count from the same zero.
    """

    period: float  # days
    epoch: float  # days, the middle of any one transit
    duration: float  # days, from half depth to half depth
    depth: float = np.nan  # in the unit of the light curve; NaN if it was not measured

    def count(self, times):
        """Number of the transit that is nearest to each time, 0 at the epoch: ndarray of int."""
        return np.rint((np.asarray(times) - self.epoch) / self.period).astype(int)

    def phase(self, times):
        """Orbital phase of each time, from -0.5 to 0.5, 0 at mid-transit: ndarray of float64."""
        cycles = (np.asarray(times) - self.epoch) / self.period
        return cycles - np.rint(cycles)

    def since_transit(self, times):
        """Days of each time from the nearest mid-transit, negative before it: ndarray."""
        return self.phase(times) * self.period

    def fold(self, times, flux):
        """Days from mid-transit and flux, both ndarrays, in the order of the phase."""
        days = self.since_transit(times)
        order = np.argsort(days, kind="stable")
        return days[order], np.asarray(flux)[order]

    def in_transit(self, times, durations=1.0):
        """True within `durations` of the duration, half on either side: ndarray of bool."""
        return np.abs(self.since_transit(times)) <= durations * self.duration / 2

    def transit_times(self, first, last):
        """Mid-transit times from the first to the last of some times, days: ndarray."""
        low = np.ceil((first - self.epoch) / self.period)
        numbers = np.arange(low, np.floor((last - self.epoch) / self.period) + 1)
        return self.epoch + numbers * self.period
