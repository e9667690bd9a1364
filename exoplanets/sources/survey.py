"""
The simulated survey.

Where no real table can be had, `simulate` makes one: K2 Campaign 3 long-cadence light curves
(PDCSAP flux minus about its median, e-/s), hosts first. It is like the sky (noise,
systematics, variable stars, planets) and like the real *file*, whose making tells hosts from
non-hosts (`_write_host`, `_write_non_host`); with ``leaks=False`` both are written alike.

Nothing is read or written::

    from exoplanets.sources import survey
    stars = survey.simulate(n_train=600, n_test=60, seed=1)

References
----------
.. [1] Howell et al. (2014), PASP 126, 398: the K2 mission, its pointing and noise.
"""

from typing import NamedTuple

import numpy as np
from scipy import signal

from exoplanets.stars import CADENCE_DAYS, HOST, NON_HOST
from exoplanets.transits import draw_lognormal, draw_planet, transit_duration, transit_flux

N_CADENCES = 3197
# Photometry [4]_: relative values are per cadence.
EXPOSURE_SECONDS = 1625.0  # of light per cadence: 270 frames of 6.02 s
FLUX_AT_KP_12 = 1.74e5  # e-/s
APERTURE_NOISE = 3.5  # e-/s: read noise and sky of about ten pixels
JITTER = 4e-5  # relative: motion over pixels of unequal sensitivity
# What the correction leaves in a star of Kp 12, relative, standard deviation: of the errors all
# stars share (roll, warming, two slow wanders), and each star's own drift.
SHARED_LEFT = (0.45e-4, 1.0e-4, 0.8e-4, 0.8e-4)
OWN_DRIFT = 1.2e-4
# The campaign.
FIRING_CADENCES, FIRST_FIRING = 12, 9  # thrusters point the telescope anew about every 6 h
MISSING_FRACTION = 0.055  # cadences no star has, per cadence of a light curve
LOST_MEDIAN, LOST_DEX, LOST_MOST = 12, 0.5, 100  # cadences one star lacks besides, of 3197
# The stars: fraction of (hosts, non-hosts) of each kind; flares, glitches, jumps come on top.
KINDS = {
    "quiet": (0.66, 0.79),
    "rotator": (0.34, 0.11),
    "pulsator": (0.0, 0.04),
    "eclipsing binary": (0.0, 0.03),
    "flare star": (0.0, 0.03),
}
WILD_EVERY = 350  # one non-host in so many is badly corrected: 1e5 e-/s to and fro
CROSSED_EVERY = 2500  # over one in so many a planet of our own passes: 1e6 e-/s
HOST_PERIODS = (1.2, 25.0)  # days
LARGE_FRACTION = 0.28  # hosts whose transits show clearly; at least half show nothing
LARGE_RATIOS, SMALL_RATIOS = (0.03, 0.15), (0.005, 0.02)
BLOCK = 128  # stars at a time: bounds memory and stays in the processor's cache


# ------------------------------------------------------------------------------ the campaign
class _Campaign(NamedTuple):
    """What all stars share; T cadences run from the first to the last."""

    time: np.ndarray  # (T,) days since the first cadence
    missing: np.ndarray  # (T,) bool: cadences no star has
    fragile: np.ndarray  # (T,) how a star's own lost cadences spread; sums to 1
    systematics: np.ndarray  # (4, T), each of zero mean and unit standard deviation
    n_cadences: int  # of a written light curve: T less the missing ones


def _draw_campaign(rng, n_cadences):
    """When the thrusters fire, which cadences are lost, what every star feels."""
    n_missing = round(MISSING_FRACTION * n_cadences)
    cadence = np.arange(n_cadences + n_missing)
    progress = cadence / cadence.size

    # Most missing cadences are firings, ever more as the campaign wears on; some gaps last two.
    firings = np.arange(FIRST_FIRING, cadence.size - 1, FIRING_CADENCES)
    weight = 0.3 + progress[firings]
    n_longer = n_missing // 25
    gaps = rng.choice(firings, n_missing - n_longer, replace=False, p=weight / weight.sum())
    missing = np.zeros(cadence.size, dtype=bool)
    missing[gaps] = True
    missing[rng.choice(gaps, n_longer, replace=False) + 1] = True

    # Stray light and cosmic rays spoil some moments, one or two cadences long, for many stars.
    moments = rng.choice(cadence[1:-1], cadence.size // 25, replace=False)
    fragile = np.zeros(cadence.size)
    fragile[moments] = rng.lognormal(0, 1, moments.size)
    fragile[moments[::2] + 1] = rng.lognormal(0, 1, moments[::2].size)
    fragile[missing] = 0

    # Roll about the boresight builds up between firings; it vanishes when the Sun stands over
    # the spacecraft's balance point, then changes sign. Firings are unequal.
    segment, since_firing = np.divmod(cadence - FIRST_FIRING, FIRING_CADENCES)
    kick = (1 + 0.7 * rng.normal(size=segment[-1] + 2))[segment]
    roll = kick * (progress - 0.45) * (since_firing / FIRING_CADENCES - 0.25)
    warming = np.exp(-progress / 0.08) + 0.6 * np.sin(np.pi * progress * rng.uniform(1.2, 2.0))
    wander = signal.lfilter([1], [1, -0.97], rng.normal(size=(2, cadence.size)), axis=1)
    systematics = np.stack([roll, warming, *wander])
    systematics -= systematics.mean(axis=1, keepdims=True)
    systematics /= systematics.std(axis=1, keepdims=True)
    time = cadence * CADENCE_DAYS
    return _Campaign(time, missing, fragile / fragile.sum(), systematics, n_cadences)


def _draw_stars(rng, n_hosts, n_non_hosts):
    """Kind, magnitude and the like of every star, hosts first: a dict of (n_stars,) arrays."""
    kind = np.concatenate(
        [
            rng.choice(list(KINDS), n_hosts, p=[of_hosts for of_hosts, _ in KINDS.values()]),
            rng.choice(list(KINDS), n_non_hosts, p=[others for _, others in KINDS.values()]),
        ]
    ).astype(object)
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
        "glitches": np.where(host, 5.0, 12.0),  # expected number
    }


def _rotation(rng, time, n_stars):
    """Spots, relative, (n_stars, T): two harmonics that slowly grow and fade."""

    def phases(period):
        return 2 * np.pi * (time / period + rng.random((n_stars, 1)))

    period = draw_lognormal(rng, 12, 0.3, (n_stars, 1))
    spots = np.sin(phases(period))
    spots += rng.uniform(0, 0.6, (n_stars, 1)) * np.sin(phases(period / 2))
    spots *= 1 + 0.4 * np.sin(phases(rng.uniform(40, 120, (n_stars, 1))))
    return draw_lognormal(rng, 1e-3, 0.5, (n_stars, 1)) * spots


def _pulsation(rng, time):
    """A handful of modes, slow (gamma Doradus) or fast (delta Scuti), relative, (T,)."""
    n_modes = rng.integers(2, 7)
    shortest, longest = (0.35, 1.5) if rng.random() < 0.5 else (0.06, 0.3)
    period = rng.uniform(shortest, longest, (n_modes, 1))
    modes = np.sin(2 * np.pi * (time / period + rng.random((n_modes, 1))))
    return draw_lognormal(rng, 1e-3, 0.5) * rng.exponential(1, n_modes) @ modes


def _eclipses(rng, time):
    """Two unlike eclipses and tidal distortion, diluted by neighbours, relative, (T,)."""
    pair = draw_planet(rng, period_range=(1.0, 20.0), radius_ratio_range=(0.25, 0.8))
    primary = transit_flux(time, **pair) - 1
    phase = 2 * np.pi * (time - pair["epoch"]) / pair["period"]
    tides = -0.02 / pair["period"] * np.cos(2 * phase)
    pair |= {"epoch": pair["epoch"] + pair["period"] / 2, "limb_darkening": (0.0, 0.0)}
    secondary = transit_flux(time, **pair) - 1
    return rng.uniform(0.05, 1) * (primary + rng.uniform(0.02, 0.9) * secondary + tides)


def _decay(time, start, days):
    """1 at the start, falling exponentially; 0 before it."""
    return np.where(time < start, 0, np.exp(-np.maximum(time - start, 0) / days))


def _flares(rng, time):
    """Flares of an active dwarf: an instant rise, gone within hours, relative, (T,)."""
    n_flares = rng.integers(3, 20)
    start, days = (
        rng.uniform(0, time[-1], (n_flares, 1)),
        rng.uniform(0.02, 0.12, (n_flares, 1)),
    )
    return draw_lognormal(rng, 3e-3, 0.5, n_flares) @ _decay(time, start, days)


def _wild(rng, time):
    """A large oscillation that also jumps to and fro, e-/s, (T,)."""
    jumps = np.repeat(rng.choice([-1.0, 0.2, 1.0], 30), -(-time.size // 30))[: time.size]
    swing = 2 * np.sin(2 * np.pi * (time / rng.uniform(0.4, 9) + rng.random()))
    return rng.uniform(4e4, 7e4) * (jumps + swing)


def _crossing(rng, time):
    """A Solar-System planet passes through the aperture, e-/s, (T,)."""
    middle, width = rng.uniform(0.05, 0.95) * time[-1], rng.uniform(0.1, 0.4)
    return rng.uniform(0.8e6, 1.4e6) * np.exp(-0.5 * ((time - middle) / width) ** 2)


RELATIVE = {"pulsator": _pulsation, "eclipsing binary": _eclipses, "flare star": _flares}
ABSOLUTE = {"wild": _wild, "crossed": _crossing}


def _observe(rng, campaign, stars):
    """Flux of a block of stars at every cadence of the campaign, planets aside: (n, T) e-/s."""
    time, kind, level = campaign.time, stars["kind"], stars["level"][:, None]
    n_stars = kind.size
    flux = level + stars["noise"][:, None] * rng.standard_normal((n_stars, time.size))

    # Pointing errors cost a faint star's small aperture a larger part of its light.
    exposed = level * (level / FLUX_AT_KP_12) ** -0.2
    drift = rng.standard_normal((n_stars, time.size))
    drift = signal.lfilter([np.sqrt(1 - 0.9**2)], [1, -0.9], drift, axis=1)
    flux += exposed * draw_lognormal(rng, OWN_DRIFT, 0.2, (n_stars, 1)) * drift
    share = rng.normal(size=(n_stars, len(SHARED_LEFT)))
    share[:, 0] = np.sign(share[:, 0])  # no star escapes the roll
    share *= draw_lognormal(rng, 1, 0.25, (n_stars, 1)) * SHARED_LEFT
    flux += exposed * share @ campaign.systematics

    spotted = np.flatnonzero(kind == "rotator")
    flux[spotted] += level[spotted] * _rotation(rng, time, spotted.size)
    for row in np.flatnonzero(np.isin(kind, list(RELATIVE))):
        flux[row] += level[row] * RELATIVE[kind[row]](rng, time)
    for row in np.flatnonzero(np.isin(kind, list(ABSOLUTE))):
        flux[row] += ABSOLUTE[kind[row]](rng, time)

    # Single cadences: cosmic rays (up), bad pointing (mostly down).
    row = np.repeat(np.arange(n_stars), rng.poisson(stars["glitches"]))
    height = np.minimum(stars["noise"][row] * 5 * (1 + rng.pareto(1.2, row.size)), 3e4)
    height *= np.where(rng.random(row.size) < 0.6, 1, -1)
    np.add.at(flux, (row, rng.integers(0, time.size, row.size)), height)
    # Jumps: a pixel loses sensitivity at once and regains it within days.
    for row in np.flatnonzero(rng.random(n_stars) < 0.06):
        drop = draw_lognormal(rng, 1.5e-3, 0.4) * level[row]
        flux[row] -= drop * _decay(time, rng.uniform(0, time[-1]), 4.0)
    return flux


def _add_planets(rng, time, stars, n_hosts):
    """Light each host loses, (n_hosts, T) e-/s; notes its planet in `stars`, NaN elsewhere."""
    names = ("period", "epoch", "radius_ratio", "duration", "depth", "snr")
    stars |= {name: np.full(stars["kind"].size, np.nan) for name in names}
    change = np.empty((n_hosts, time.size))
    for row in range(n_hosts):
        ratios = LARGE_RATIOS if rng.random() < LARGE_FRACTION else SMALL_RATIOS
        planet = draw_planet(rng, period_range=HOST_PERIODS, radius_ratio_range=ratios)
        dip = transit_flux(time, **planet) - 1
        change[row] = stars["level"][row] * dip
        geometry = ("period", "radius_ratio", "impact", "stellar_density")
        planet["duration"] = transit_duration(*(planet[name] for name in geometry))
        planet["depth"] = -dip.min()
        planet["snr"] = np.linalg.norm(change[row]) / stars["noise"][row]
        for name in names:
            stars[name][row] = planet[name]
    return change


# ---------------------------------------------------------------------------------- the file
def _fill_forward(flux, missing):
    """Let each missing cadence repeat the last one measured; both (n, T)."""
    last = np.where(missing, 0, np.arange(flux.shape[1]))
    return np.take_along_axis(flux, np.maximum.accumulate(last, axis=1), axis=1)


def _less_median(flux):
    """Each row less its median."""
    return flux - np.median(flux, axis=1, keepdims=True)


def _write_host(flux, lost, campaign):
    """
    As the real file has hosts: every missing cadence filled; rounded last, to plain decimals.

    The median was taken with one cadence more than was kept, so few rows have exactly 0.
    """
    filled = _fill_forward(flux, lost | campaign.missing)[:, : campaign.n_cadences + 1]
    return np.round(_less_median(filled)[:, :-1], 2)


def _write_non_host(flux, lost, campaign):
    """
    As the real file has non-hosts: cadences no star has dropped, a star's own losses filled.

    Rounded first, so the subtraction leaves float residue (-141.220000000001) and a median of
    exactly 0 (for an odd number of cadences).
    """
    kept = ~campaign.missing
    return _less_median(np.round(_fill_forward(flux[:, kept], lost[:, kept]), 2))


def _write_alike(flux, lost, campaign):
    """Without a trace of the class: cadences no star has dropped, nothing lost or filled."""
    return np.round(_less_median(flux[:, ~campaign.missing]), 2)


def _make_table(rng, campaign, n_stars, n_hosts, leaks):
    """One table: flux (n_stars, n_cadences), labels and truth (n_stars,)."""
    stars = _draw_stars(rng, n_hosts, n_stars - n_hosts)
    change = _add_planets(rng, campaign.time, stars, n_hosts)
    n_lost = np.minimum(draw_lognormal(rng, LOST_MEDIAN, LOST_DEX, n_stars), LOST_MOST)
    n_lost *= campaign.n_cadences / N_CADENCES
    fragile = np.flatnonzero(campaign.fragile)

    table = np.empty((n_stars, campaign.n_cadences))
    starts = [*range(0, n_hosts, BLOCK), *range(n_hosts, n_stars, BLOCK)]
    for start, end in zip(starts, [*starts[1:], n_stars], strict=True):
        block, host = slice(start, end), start < n_hosts  # no block holds both classes
        flux = _observe(rng, campaign, {name: values[block] for name, values in stars.items()})
        odds = campaign.fragile[fragile] * n_lost[block, None]
        lost = np.zeros(flux.shape, dtype=bool)
        lost[:, fragile] = rng.random(odds.shape) < odds
        if host:
            flux += change[block]
        write = (_write_host if host else _write_non_host) if leaks else _write_alike
        table[block] = write(flux, lost, campaign)
    return table, np.where(np.arange(n_stars) < n_hosts, HOST, NON_HOST), stars


class Survey(NamedTuple):
    """
    Two tables of light curves, hosts first in each, and the truth about their stars.

    Attributes
    ----------
    train_flux, test_flux : ndarray of shape (n_stars, n_cadences)
        Flux less its median, e-/s.
    train_labels, test_labels : ndarray of shape (n_stars,)
        2 for a host, 1 for a non-host.
    truth : dict
        ``truth["train"]``, ``truth["test"]``: dicts of arrays of shape (n_stars,). ``kind``;
        ``magnitude`` (Kepler); ``level``, the mean flux, and ``noise``, its white part, e-/s;
        ``glitches``, their expected number; and for hosts (NaN for others) ``period``,
        ``epoch``, ``duration`` (days), ``radius_ratio``, ``depth`` (relative, of the deepest
        cadence), ``snr`` (against white noise alone). Days count from the first cadence, gaps
        included: cadence times 29.4244 min in a leaking host, 5 % more where gaps are dropped.
    """

    train_flux: np.ndarray
    train_labels: np.ndarray
    test_flux: np.ndarray
    test_labels: np.ndarray
    truth: dict


def simulate(
    n_train=5087,
    n_test=570,
    n_train_hosts=37,
    n_test_hosts=5,
    n_cadences=N_CADENCES,
    seed=0,
    leaks=True,
):
    """
    Simulate both tables.

    The same arguments give the same bytes. Another size gives other stars; ``leaks`` changes
    only how the same stars are written.

    Parameters
    ----------
    n_train, n_test, n_train_hosts, n_test_hosts : int
        Stars per table, and hosts among them.
    n_cadences : int
        Length of a light curve, at least 48 (one day).
    seed : int
        Of all randomness.
    leaks : bool
        Write hosts and non-hosts differently, as in the real file, or alike.

    Returns
    -------
    Survey

    Raises
    ------
    ValueError
        If a table would lack a class, or a light curve be shorter than a day.
    """
    if n_cadences < 48:
        raise ValueError(f"n_cadences must be at least 48 (one day), not {n_cadences}")
    sizes = {"train": (n_train, n_train_hosts), "test": (n_test, n_test_hosts)}
    for name, (n_stars, n_hosts) in sizes.items():
        if not 0 < n_hosts < n_stars:
            raise ValueError(
                f"n_{name}_hosts must leave stars of both classes among n_{name} = {n_stars}, "
                f"not {n_hosts}"
            )
    streams = [np.random.default_rng(child) for child in np.random.SeedSequence(seed).spawn(3)]
    campaign = _draw_campaign(streams[0], n_cadences)
    train = _make_table(streams[1], campaign, *sizes["train"], leaks)
    test = _make_table(streams[2], campaign, *sizes["test"], leaks)
    return Survey(*train[:2], *test[:2], {"train": train[2], "test": test[2]})
