"""What the telescope sees in the simulated survey: the spacecraft, the stars and their planets.

The pressure of sunlight rolls the K2 telescope slowly, and thrusters turn it back, at most every
six hours. A star then moves over pixels that are not alike. What the correction leaves in its light
curve is a polynomial of the roll angle. The roll is the same for all stars of a campaign; the
coefficients, which change over days, are each star's own.

Flux is in e-/s. How the file is written is not known here: see `survey`.

References
----------
.. [1] Howell et al. (2014), PASP 126, 398: the K2 mission, its pointing and noise.
.. [2] Vanderburg & Johnson (2014), PASP 126, 948: K2 flux as a function of the roll angle.
"""

from typing import NamedTuple

import numpy as np
from scipy import ndimage, signal
from scipy.stats import zscore

from exoplanets.stars import CADENCE_DAYS, EXPOSURE_SECONDS
from exoplanets.transits import draw_lognormal, draw_planet, transit_duration, transit_flux

# Photometry [1]_: relative values are per cadence.
FLUX_AT_KP_12 = 1.74e5  # e-/s
APERTURE_NOISE = 3.5  # e-/s: read noise and sky of about ten pixels
JITTER = 4e-5  # relative: motion over pixels of unequal sensitivity

# What the correction leaves in a star of Kp 12, relative, standard deviation. Fainter stars have
# smaller apertures and lose a larger part of their light: flux to the power FAINTER.
SHARED_ROLL = 2.4e-4  # functions of the roll angle that all stars share, together
SHARED_SLOW = 0.8e-4  # warming and two slow drifts that all stars share, each
OWN_ROLL = 0.4e-4  # noise that grows with the roll angle, each star's own
OWN_DRIFT = 0.8e-4  # a slower drift, each star's own
FAINTER = -0.35

# The spacecraft.
FIRING_CADENCES, FIRST_FIRING = 12, 9  # thrusters may fire about every 6 h
BALANCE = 0.66  # of the campaign: the torque of sunlight changes sign there
ROLL_LIMIT = 4.0  # thrusters fire beyond about this angle; the unit is the torque of a cadence
ROLL_POWERS = 4  # degree of the polynomial of the roll angle
ROLL_CHANGES = 12, 0.045  # shapes in which a coefficient changes; their scale, of the campaign
ROLL_WINDOW = 97  # cadences (2 d): the correction has taken out what is slower
FINE_POINTING = 0.4  # effect of errors of one or two cadences, relative to that of the roll
MOST_FRAGILE = 0.012  # largest share of a star's own lost cadences that one cadence has

# The stars: fraction of (hosts, non-hosts) of each kind; glitches and jumps come on top.
KINDS = {
    "quiet": (0.66, 0.823),
    "rotator": (0.34, 0.11),
    "pulsator": (0.0, 0.03),
    "eclipsing binary": (0.0, 0.007),
    "flare star": (0.0, 0.03),
}
WILD_EVERY = 350  # one non-host in so many is badly corrected: 1e5 e-/s to and fro
CROSSED_EVERY = 2500  # over one in so many a planet of our own passes: 1e6 e-/s
HOST_PERIODS = (2.0, 28.0)  # days
LARGE_FRACTION = 0.15  # hosts whose transits show at first sight
LARGE_RATIOS, SMALL_RATIOS = (0.03, 0.15), (0.012, 0.026)
GEOMETRY = "period", "radius_ratio", "impact", "stellar_density"  # what sets the duration
FAINTEST_BLEND = 0.01  # smallest share of the light in an aperture that an eclipsing binary has


class SimulatedCampaign(NamedTuple):
    """What all stars of a campaign share; T cadences run from the first to the last."""

    time: np.ndarray  # (T,) days since the first cadence
    missing: np.ndarray  # (T,) bool: cadences no star has
    fragile: np.ndarray  # (T,) how a star's own lost cadences spread; sums to 1
    roll: np.ndarray  # (n_functions, T) functions of the roll angle; their variances sum to 1
    slow: np.ndarray  # (3, T) warming and slow drifts, each of mean 0 and standard deviation 1
    unrest: np.ndarray  # (T,) how each star's own noise follows the roll; mean square 1


def _smooth_noise(rng, n_curves, n_cadences, scale):
    """Noise smooth over the fraction `scale` of the campaign, standardised: (n_curves, T)."""
    noise = rng.normal(size=(n_curves, n_cadences))
    return zscore(ndimage.gaussian_filter1d(noise, scale * n_cadences, axis=1), axis=1)


def _draw_roll(rng, n_cadences):
    """Roll angle, in torques of a cadence, and where the thrusters fired (bool); both (T,)."""
    progress = np.arange(n_cadences) / n_cadences
    torque = np.sin(np.pi * (progress + rng.uniform(0, 0.04)) / BALANCE)
    torque *= 1 + 0.3 * _smooth_noise(rng, 1, n_cadences, 0.03)[0]
    roll, fired = np.empty(n_cadences), np.zeros(n_cadences, dtype=bool)
    angle = rng.normal()
    for cadence in range(n_cadences):
        angle += torque[cadence]
        roll[cadence] = angle
        may_fire = cadence % FIRING_CADENCES == FIRST_FIRING
        if may_fire and abs(angle) > draw_lognormal(rng, ROLL_LIMIT, 0.25):
            fired[cadence] = True
            angle *= -draw_lognormal(rng, 0.35, 0.2)  # the telescope is turned too far
    return roll, fired


def _draw_missing(rng, fired, n_cadences, n_missing):
    """Cadences no star has, bool (T,): most are firings; one gap in eight lasts two cadences."""
    possible = np.arange(FIRST_FIRING, n_cadences - 1, FIRING_CADENCES)
    odds = np.where(fired[possible], 1, 0.02)
    n_longer = n_missing // 9
    gaps = rng.choice(possible, n_missing - n_longer, replace=False, p=odds / odds.sum())
    missing = np.zeros(fired.size, dtype=bool)
    missing[gaps] = True
    missing[rng.choice(gaps, n_longer, replace=False) + 1] = True
    return missing


def draw_campaign(rng, n_cadences, n_missing, n_total):
    """Draw when the thrusters fire, which cadences are lost, and what every star feels.

    A written light curve has `n_cadences` cadences. The `n_missing` ones that no star has lie all
    among the first so many, so that a filled light curve shows them all. T is `n_total`, at least
    ``n_cadences + n_missing``.
    """
    cadence = np.arange(n_total)
    angle, fired = _draw_roll(rng, n_total)
    missing = _draw_missing(rng, fired, n_cadences, n_missing)

    # Stray light and cosmic rays spoil some moments, one or two cadences long, for many stars.
    moments = rng.choice(cadence[1:-1], n_total // 25, replace=False)
    fragile = np.zeros(n_total)
    fragile[moments] = rng.lognormal(0, 1, moments.size)
    fragile[moments[::2] + 1] = rng.lognormal(0, 1, moments[::2].size)
    # Cadences of possible firings are lost to all stars of a campaign or to none.
    fragile[missing | np.isin(cadence % FIRING_CADENCES - FIRST_FIRING, (0, 1))] = 0
    fragile = np.minimum(fragile / fragile.sum(), MOST_FRAGILE)

    # Higher powers count less. Large angles count more in them: those cadences are bad for many.
    n_changes, scale = ROLL_CHANGES
    powers = [zscore(angle**power) / power**0.5 for power in range(1, ROLL_POWERS + 1)]
    fine = signal.lfilter([1], [1, -0.6], rng.standard_t(4, size=n_total))
    functions = [*powers, FINE_POINTING * zscore(fine)]
    roll = np.concatenate([f * _smooth_noise(rng, n_changes, n_total, scale) for f in functions])
    roll -= ndimage.uniform_filter1d(roll, ROLL_WINDOW, axis=1)
    roll /= np.sqrt(np.square(roll).mean(axis=1).sum())
    unrest = np.square(zscore(angle - ndimage.uniform_filter1d(angle, ROLL_WINDOW)))
    unrest /= np.sqrt(np.square(unrest).mean())

    progress = cadence / n_total
    warming = np.exp(-progress / 0.08) + 0.6 * np.sin(np.pi * progress * rng.uniform(1.2, 2.0))
    drifts = signal.lfilter([1], [1, -0.97], rng.normal(size=(2, n_total)), axis=1)
    slow = zscore([warming, *drifts], axis=1)
    days = cadence * CADENCE_DAYS
    return SimulatedCampaign(days, missing, fragile / fragile.sum(), roll, slow, unrest)


def draw_stars(rng, n_hosts, n_non_hosts):
    """Draw every star, hosts first: a dict of arrays of shape (n_stars,).

    `kind`; `magnitude` (Kepler); `level`, the mean flux, and `noise`, its white part, e-/s;
    `glitches`, their expected number.
    """
    shares = zip((n_hosts, n_non_hosts), zip(*KINDS.values(), strict=True), strict=True)
    kind = np.concatenate([rng.choice(list(KINDS), n, p=share) for n, share in shares])
    kind = kind.astype(object)
    n_wild, n_crossed = n_non_hosts // WILD_EVERY, n_non_hosts // CROSSED_EVERY
    odd = n_hosts + rng.choice(n_non_hosts, n_wild + n_crossed, replace=False)
    kind[odd] = np.repeat(["wild", "crossed"], [n_wild, n_crossed])

    # Planets are confirmed around bright, quiet stars: a true difference, not a leak.
    host = np.arange(kind.size) < n_hosts
    magnitude = rng.normal(np.where(host, 12.0, 13.1), np.where(host, 1.2, 1.8))
    # Deep eclipses of the brightest stars would outshine the wild ones.
    magnitude = np.clip(magnitude, np.where(kind == "eclipsing binary", 11.0, 9.5), 17.0)
    level = FLUX_AT_KP_12 * 10 ** (-0.4 * (magnitude - 12))
    return {
        "kind": kind.astype(str),
        "magnitude": magnitude,
        "level": level,
        "noise": np.sqrt(level / EXPOSURE_SECONDS + APERTURE_NOISE**2 + (JITTER * level) ** 2),
        "glitches": np.where(host, 5.0, 12.0),
    }


def _wave(rng, time, period, drift=0.0):
    """Sine waves of unit amplitude at random phases: (n, T) of periods of shape (n, 1), days."""
    return np.sin(2 * np.pi * (time / period + rng.random(np.shape(period))) + drift)


def _rotate(rng, time, level):
    """Spots of some stars, (n, T): two harmonics that grow, fade and drift in phase."""
    period = draw_lognormal(rng, 12, 0.3, level.shape)
    spots = np.zeros((len(level), time.size))
    for harmonic, least, most in ((1, 1.0, 1.0), (2, 0.0, 0.6)):
        # Spots come and go at other longitudes: a rotator keeps no strict period.
        drift = 2 * harmonic * _wave(rng, time, rng.uniform(20, 60, level.shape))
        wave = _wave(rng, time, period / harmonic, drift)
        wave *= 1 + 0.4 * _wave(rng, time, rng.uniform(40, 120, level.shape))
        spots += rng.uniform(least, most, level.shape) * wave
    return level * draw_lognormal(rng, 1e-3, 0.5, level.shape) * spots


def _pulsate(rng, time, level):
    """A handful of modes, slow (gamma Doradus) or fast (delta Scuti)."""
    n_modes = rng.integers(2, 7)
    shortest, longest = (0.35, 1.5) if rng.random() < 0.5 else (0.06, 0.3)
    modes = _wave(rng, time, rng.uniform(shortest, longest, (n_modes, 1)))
    return level * draw_lognormal(rng, 1e-3, 0.5) * rng.exponential(1, n_modes) @ modes


def _eclipse(rng, time, level):
    """Two unlike eclipses and tidal distortion, diluted by neighbours."""
    pair = draw_planet(rng, period_range=(1.0, 20.0), radius_ratio_range=(0.25, 0.8))
    primary = transit_flux(time, **pair) - 1
    tides = np.cos(4 * np.pi * (time - pair["epoch"]) / pair["period"]) * -0.02 / pair["period"]
    pair |= {"epoch": pair["epoch"] + pair["period"] / 2, "limb_darkening": (0.0, 0.0)}
    secondary = transit_flux(time, **pair) - 1
    share = np.exp(rng.uniform(np.log(FAINTEST_BLEND), 0))
    return level * share * (primary + rng.uniform(0.02, 0.9) * secondary + tides)


def _fade(since, days):
    """1 at once, then falling exponentially over so many days; 0 before."""
    return np.where(since < 0, 0, np.exp(-np.maximum(since, 0) / days))


def _flare(rng, time, level):
    """Flares of an active dwarf: they rise at once and are gone within hours."""
    n_flares = rng.integers(3, 20)
    since = time - rng.uniform(0, time[-1], (n_flares, 1))
    fading = _fade(since, rng.uniform(0.02, 0.12, (n_flares, 1)))
    return level * draw_lognormal(rng, 3e-3, 0.5, n_flares) @ fading


def _go_wild(rng, time, level):
    """A large oscillation that also jumps to and fro, whatever the star's flux."""
    jumps = np.repeat(rng.choice([-1.0, 0.2, 1.0], 30), -(-time.size // 30))[: time.size]
    swing = 2 * _wave(rng, time, rng.uniform(0.4, 9))
    return rng.uniform(4e4, 7e4) * (jumps + swing)


def _cross(rng, time, level):
    """A Solar-System planet passes through the aperture."""
    middle, width = rng.uniform(0.05, 0.95) * time[-1], rng.uniform(0.1, 0.4)
    return rng.uniform(0.8e6, 1.4e6) * np.exp(-0.5 * ((time - middle) / width) ** 2)


CHANGES = {  # of one star: what its kind adds, from the generator, the time and the level
    "pulsator": _pulsate, "eclipsing binary": _eclipse, "flare star": _flare, "wild": _go_wild,
    "crossed": _cross,
}  # fmt: skip


def observe(rng, campaign, stars):
    """Flux of a block of stars at every cadence of the campaign, planets aside: (n, T) e-/s."""
    time, kind, level = campaign.time, stars["kind"], stars["level"][:, None]
    n_stars = kind.size
    flux = level + stars["noise"][:, None] * rng.standard_normal((n_stars, time.size))

    exposed = level * (level / FLUX_AT_KP_12) ** FAINTER

    def spread(median, dex):
        """Light that each star loses for a relative error of the given median, e-/s, (n, 1)."""
        return exposed * draw_lognormal(rng, median, dex, (n_stars, 1))

    def red_noise(memory):
        """Noise of unit variance that keeps the part `memory` of itself each cadence, (n, T)."""
        white = rng.standard_normal((n_stars, time.size))
        return signal.lfilter([np.sqrt(1 - memory**2)], [1, -memory], white, axis=1)

    flux += spread(OWN_DRIFT, 0.2) * red_noise(0.9)
    flux += spread(OWN_ROLL, 0.25) * campaign.unrest * red_noise(0.6)
    for relative, curves in ((SHARED_ROLL, campaign.roll), (SHARED_SLOW, campaign.slow)):
        flux += spread(relative, 0.25) * rng.normal(size=(n_stars, len(curves))) @ curves

    spotted = kind == "rotator"
    flux[spotted] += _rotate(rng, time, level[spotted])
    for row in np.flatnonzero(np.isin(kind, list(CHANGES))):
        flux[row] += CHANGES[kind[row]](rng, time, level[row, 0])

    # Single cadences: cosmic rays (up), bad pointing (mostly down).
    row = np.repeat(np.arange(n_stars), rng.poisson(stars["glitches"]))
    height = np.minimum(stars["noise"][row] * 5 * (1 + rng.pareto(1.2, row.size)), 3e4)
    height *= np.where(rng.random(row.size) < 0.6, 1, -1)
    np.add.at(flux, (row, rng.integers(0, time.size, row.size)), height)
    # Jumps: a pixel loses sensitivity at once and regains it within days.
    for row in np.flatnonzero(rng.random(n_stars) < 0.06):
        drop = draw_lognormal(rng, 1.5e-3, 0.4) * level[row]
        flux[row] -= drop * _fade(time - rng.uniform(0, time[-1]), 4.0)
    return flux


def draw_planets(rng, time, stars, n_hosts):
    """Light each host loses, (n_hosts, T) e-/s; notes its planet in `stars`, NaN elsewhere.

    `period`, `epoch` and `duration` are in days; `depth`, of the deepest cadence, is relative;
    `snr` counts white noise alone.
    """
    names = ("period", "epoch", "radius_ratio", "duration", "depth", "snr")
    stars |= {name: np.full(stars["kind"].size, np.nan) for name in names}
    change = np.empty((n_hosts, time.size))
    for row in range(n_hosts):
        ratios = LARGE_RATIOS if rng.random() < LARGE_FRACTION else SMALL_RATIOS
        planet = draw_planet(rng, period_range=HOST_PERIODS, radius_ratio_range=ratios)
        dip = transit_flux(time, **planet) - 1
        change[row] = stars["level"][row] * dip
        shape = {name: value for name, value in planet.items() if name in GEOMETRY}
        snr = np.linalg.norm(change[row]) / stars["noise"][row]
        planet |= {"duration": transit_duration(**shape), "depth": -dip.min(), "snr": snr}
        for name in names:
            stars[name][row] = planet[name]
    return change
