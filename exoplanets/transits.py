"""The transit model of every simulated planet, and of those that measure completeness.

References
----------
.. [1] Mandel & Agol (2002), ApJ 580, L171: limb-darkened transit light curves.
.. [2] Kreidberg (2015), PASP 127, 1161: batman, their implementation.
.. [3] Winn (2010), arXiv:1001.2010: transit geometry.
"""

import batman
import numpy as np

from exoplanets.stars import CADENCE_DAYS

TEMPLATE_POINTS = 801  # over half a transit: good to 1e-4 of its depth


def scaled_separation(period, stellar_density):
    """Orbital separation in stellar radii, a/R*, from days and g/cm3 (Kepler's third law)."""
    gravity = 6.6743e-11 * 1e3  # m3 kg-1 s-2, times g/cm3 in kg/m3
    return np.cbrt(gravity * stellar_density * (np.asarray(period) * 86400) ** 2 / (3 * np.pi))


def transit_duration(period, radius_ratio, impact=0.0, stellar_density=1.41):
    """Days from first to last contact (T14) of a circular orbit [3]_, equation 14.

    The arguments, numbers or arrays, are those of `transit_flux`. 0 if the planet misses the star.
    """
    half_chord = np.sqrt(np.maximum((1 + radius_ratio) ** 2 - np.square(impact), 0))
    orbit = np.sqrt(scaled_separation(period, stellar_density) ** 2 - np.square(impact))
    return period / np.pi * np.arcsin(half_chord / orbit)


def _check_transit(period, epoch, radius_ratio, impact, stellar_density, limb_darkening, exposure):
    """Raise ValueError naming the first value that no transiting planet can have."""

    def require(holds, name, value, rule):
        if not holds:
            raise ValueError(f"{name} must {rule}, not {value}")

    u1, u2 = limb_darkening
    positive = {"period": period, "stellar_density": stellar_density, "exposure_days": exposure}
    for name, value in positive.items():
        require(0 < value < np.inf, name, value, "be positive and finite")
    require(np.isfinite(epoch), "epoch", epoch, "be finite")
    require(0 < radius_ratio < 1, "radius_ratio", radius_ratio, "lie between 0 and 1")
    require(0 <= impact < 1 + radius_ratio, "impact", impact, "lie in [0, 1 + radius_ratio)")
    bright = u1 >= 0 and u1 + u2 <= 1 and u1 + 2 * u2 >= 0
    require(bright, "limb_darkening", limb_darkening, "dim the star outwards, nowhere below 0")
    separation = scaled_separation(period, stellar_density)
    reason = f"exceed 1 + radius_ratio = {1 + radius_ratio:.4g} for the period {period} d"
    require(separation > 1 + radius_ratio, "a/R*", f"{separation:.4g}", reason)


def transit_flux(
    time,
    *,
    period,
    epoch,
    radius_ratio,
    impact=0.0,
    stellar_density=1.41,
    limb_darkening=(0.45, 0.2),
    exposure_days=CADENCE_DAYS,
):
    """Relative flux of a star transited by a planet on a circular orbit [1]_.

    batman [2]_ computes half a transit once; its running integral over time is interpolated, so
    that the mean over an exposure, however long, is one difference.

    Parameters
    ----------
    time : ndarray of shape (n_cadences,)
        Middle of each exposure, days.
    period, epoch : float
        Orbital period and the middle of any one transit, days.
    radius_ratio, impact : float
        Planet radius and impact parameter, in stellar radii.
    stellar_density : float
        g/cm3; the Sun's by default.
    limb_darkening : (float, float)
        Quadratic coefficients u1, u2.
    exposure_days : float
        Length of an exposure.

    Returns
    -------
    ndarray of shape (n_cadences,)
        Dimensionless; 1 out of transit. ValueError if no transiting planet has these values.
    """
    shape = radius_ratio, impact, stellar_density
    _check_transit(period, epoch, *shape, limb_darkening, exposure_days)
    separation = float(scaled_separation(period, stellar_density))
    return 1 - occult(
        time,
        period=period,
        epoch=epoch,
        radius_ratio=radius_ratio,
        impact=impact,
        separation=separation,
        limb_darkening=limb_darkening,
        exposure_days=exposure_days,
    )


def occult(
    time,
    *,
    period,
    epoch,
    radius_ratio,
    impact,
    separation,
    limb_darkening=(0.45, 0.2),
    exposure_days=CADENCE_DAYS,
):
    """Share of a star's light that another body hides, on a circular orbit: (n_cadences,).

    The body in front may be larger than the star: a `radius_ratio` above 1 makes total eclipses.
    All lengths, `separation` too, are in radii of the star behind. For the rest, and how the mean
    over an exposure is taken, see `transit_flux`.
    """
    body = batman.TransitParams()
    body.t0, body.per, body.rp = 0.0, period, radius_ratio
    body.a = separation
    body.inc = np.degrees(np.arccos(impact / separation))
    body.ecc, body.w = 0.0, 90.0
    body.u, body.limb_dark = list(limb_darkening), "quadratic"

    half_chord = np.sqrt(max((1 + radius_ratio) ** 2 - impact**2, 0))
    sine = min(half_chord / np.sqrt(separation**2 - impact**2), 1.0)
    since_middle = np.linspace(0, period / (2 * np.pi) * np.arcsin(sine), TEMPLATE_POINTS)
    loss = 1 - batman.TransitModel(body, since_middle).light_curve(body)
    integral = np.append(0, np.cumsum(loss[1:] + loss[:-1])) * since_middle[1] / 2

    def lost_until(day):
        """Integral of the loss from the epoch to so many days after it, all orbits included."""
        orbits = np.rint(day / period)
        phase = day - orbits * period
        within = np.interp(np.abs(phase), since_middle, integral)
        return 2 * integral[-1] * orbits + np.copysign(within, phase)

    opened = np.asarray(time, dtype=float) - epoch - exposure_days / 2
    return (lost_until(opened + exposure_days) - lost_until(opened)) / exposure_days


def draw_planet(rng, *, period_range=(0.6, 25.0), radius_ratio_range=(0.01, 0.15)):
    """Draw a K2-like planet: a dict of keyword arguments of `transit_flux`.

    Period and radius ratio are log-uniform, the impact parameter uniform in 0-0.9, the epoch
    uniform over one period; the star is a main-sequence dwarf (density lognormal, median
    1.6 g/cm3, 0.2 dex) with the limb darkening of such stars in the Kepler band.
    """
    period = np.exp(rng.uniform(*np.log(period_range)))
    return {
        "period": period,
        "epoch": rng.uniform(0, period),
        "radius_ratio": np.exp(rng.uniform(*np.log(radius_ratio_range))),
        "impact": rng.uniform(0, 0.9),
        "stellar_density": np.clip(draw_lognormal(rng, 1.6, 0.2), 0.4, 6.0),
        "limb_darkening": (
            np.clip(rng.normal(0.45, 0.08), 0.2, 0.65),
            np.clip(rng.normal(0.2, 0.06), 0.05, 0.35),
        ),
    }


def draw_lognormal(rng, median, dex, size=None):
    """Lognormal numbers of the given median and scatter in decades."""
    return median * 10 ** rng.normal(0, dex, size)
