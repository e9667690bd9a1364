"""The shape of a transit: the model of a planet before its star, fitted to the folded flux.

References
----------
.. [1] Winn (2010), arXiv:1001.2010: transit geometry.
"""

from typing import NamedTuple

import numpy as np
from scipy.optimize import least_squares

from exoplanets.transits import scaled_separation, transit_flux

BINS = 160  # of the folded transit
RATIO = 0.1  # radius ratio where the file has no level: only the impact then tells the shape
CENTRAL = 0.4  # squared impact that is as unlikely, beforehand, as one standard error
UNSMEARED = 1e-5  # days, the exposure of a model that is not averaged
TOLERANCE = 5.0  # standard deviations; the loss of samples further off grows linearly
STEP = 1e-3  # of a parameter, for the slope of the depth


class Profile(NamedTuple):
    """A transit averaged over exposures, as a table; its deepest is 1."""

    days: np.ndarray  # (801,), from mid-transit
    lost: np.ndarray  # (801,), 0 at both ends
    slope: np.ndarray  # (801,), of `lost`, per day
    peak: float  # flux lost at the deepest, in the unit of the fit

    def read(self, days):
        """`lost` so many days from mid-transit: ndarray of the same shape."""
        return np.interp(days, self.days, self.lost)

    def read_slope(self, days):
        """`slope` so many days from mid-transit: ndarray of the same shape."""
        return np.interp(days, self.days, self.slope)

    def find_lateness(self, windows, late):
        """How much later than `late` (n_windows,) each transit is, days, and the weight of that.

        One step of Gauss and Newton. The weight is one over the variance for white noise of 1.
        """
        since = windows.days - late[windows.window]
        rest = windows.flux + self.peak * self.read(since)
        gradient = self.peak * self.read_slope(since)
        robust = (1 + (rest / TOLERANCE) ** 2) ** -0.5  # as of a soft L1 loss
        weight = windows.add_up(robust * gradient**2)
        return windows.add_up(robust * gradient * rest) / np.maximum(weight, 1e-300), weight


class Shape(NamedTuple):
    """What `transit_flux` needs beside period and epoch."""

    radius_ratio: float
    impact: float
    duration: float  # days, first to last contact
    scale: float  # flux that the star would lose if all of it were hidden, in the fit's unit

    def depth(self, period):
        """Flux lost at mid-transit, not averaged over an exposure."""
        return float(self.lost(np.zeros(1), period, UNSMEARED)[0])

    def lost(self, days, period, exposure):
        """Flux lost so many days from mid-transit; ValueError if no planet has this shape."""
        # The separation follows from the duration: [1]_, equation 14, solved for it.
        half_chord = np.sqrt((1 + self.radius_ratio) ** 2 - self.impact**2)
        separation = np.hypot(self.impact, half_chord / np.sin(np.pi * self.duration / period))
        planet = {
            "radius_ratio": self.radius_ratio,
            "impact": self.impact,
            "stellar_density": (separation / scaled_separation(period, 1.0)) ** 3,
        }
        flux = transit_flux(days, period=period, epoch=0.0, exposure_days=exposure, **planet)
        return self.scale * (1 - flux)

    def draw(self, period, exposure):
        """The `Profile` of one transit; ValueError if it has no depth."""
        half = self.duration / 2 + exposure
        days = np.linspace(-half, half, 801)
        lost = self.lost(days, period, exposure)
        peak = lost.max()
        if not peak > 0:
            raise ValueError("no depth is left")
        return Profile(days, lost / peak, np.gradient(lost / peak, days), float(peak))


def _bin_fold(days, flux):
    """Means of folded samples in bins of about as many each: days, flux, and how many."""
    order = np.argsort(days, kind="stable")
    edges = np.linspace(0, len(order), min(BINS, len(order)) + 1).astype(int)[:-1]
    count = np.diff(np.append(edges, len(order)))
    means = (np.add.reduceat(values[order], edges) / count for values in (days, flux))
    return *means, count


def fit_shape(days, flux, ephemeris, scale, exposure):
    """Fit the shape of the folded transits.

    Parameters
    ----------
    days, flux : ndarray of shape (n_points,)
        Days from mid-transit, and flux less its trend, in units of its noise.
    ephemeris : Ephemeris
        Its duration, from first to last contact, is good to a factor of two.
    scale : float or None
        The star's level in the unit of the flux; None if it is not known.
    exposure : float
        Days.

    Returns
    -------
    shape : Shape
    errors : ndarray of shape (3,)
        Relative errors of radius ratio, duration and depth, for white noise of 1.
    """
    period, about = ephemeris.period, ephemeris.duration
    days, flux, count = _bin_fold(days, flux)
    middle = np.abs(days) < max(about / 4, exposure / 2)
    depth = max(-np.median(flux[middle]) if middle.any() else -flux.min(), 1e-3)

    # The parameters: log of the radius ratio (of the scale, without a level), squared impact as a
    # share of its largest, log of the duration.
    def build(parameters):
        size, squared, duration = parameters
        ratio = RATIO if scale is None else np.exp(size)
        lost = np.exp(size) if scale is None else scale
        return Shape(float(ratio), float(np.sqrt(squared) * (1 + ratio)), np.exp(duration), lost)

    def miss(parameters):
        rest = (flux + build(parameters).lost(days, period, exposure)) * np.sqrt(count)
        # Where the flux cannot tell, the transit is rather central than grazing.
        return np.append(rest, parameters[1] / CENTRAL)

    if scale is None:
        size, smallest, largest = np.log(depth / RATIO**2), -np.inf, np.inf
    else:
        smallest, largest = np.log(1e-4), np.log(0.99)
        size = np.clip(np.log(depth / scale) / 2, smallest + 0.1, largest - 0.1)
    shortest, longest = max(0.4 * about, 0.01), min(3 * about + exposure, 0.48 * period)
    if not shortest < longest:
        raise ValueError(f"a transit of {24 * shortest:.2g} h for a period of {period:.3g} d")
    bounds = np.array([[smallest, 0.0, np.log(shortest)], [largest, 0.998, np.log(longest)]])
    # Central and grazing transits are two valleys: the fit starts in the deeper one.
    starts = [(size, impact, np.log(about)) for impact in (0.05, 0.35, 0.8)]
    starts = np.clip(starts, bounds[0] + 1e-3, bounds[1] - 1e-3)
    start = min(starts, key=lambda trial: np.sum(np.abs(miss(trial))))
    best = least_squares(
        miss, start, bounds=bounds, loss="soft_l1", f_scale=TOLERANCE, max_nfev=40,
        ftol=1e-4, xtol=1e-4,
    )  # fmt: skip
    shape, covariance = build(best.x), np.linalg.pinv(best.jac.T @ best.jac)
    # How the depth changes with each parameter, by a small step away from its limits.
    steps = np.where(best.x < 0.5, STEP, -STEP)
    depths = [build(best.x + step).depth(period) for step in np.diag(steps)]
    gradient = (np.array(depths) / shape.depth(period) - 1) / steps
    variance = np.append(np.diag(covariance)[[0, 2]], gradient @ covariance @ gradient)
    return shape, np.sqrt(variance.clip(0))
