"""What mimics planets, and planets as they are: the two kinds that the network has to tell apart.

Two stars that eclipse each other dim as regularly as a star with a planet does. What differs is
physics: the star behind shines, so there is a second eclipse; two stars are never as small as a
planet, so eclipses are V-shaped and long; and close stars pull each other out of shape and heat
each other, so the light changes between eclipses too. `draw_binary` draws such pairs, `draw_system`
planets. Nothing here knows a label.

References
----------
.. [1] Kreidberg 2015, PASP 127, 1161 (batman), which computes each eclipse.
.. [2] Morris & Naftilan 1993, ApJ 419, 344: ellipsoidal and reflected light of close pairs.
.. [3] Kirk et al. 2016, AJ 151, 68: the eclipsing binaries of Kepler.
.. [4] Winn 2010, arXiv:1001.2010: eclipses on eccentric orbits, equations 14 to 16.
"""

from typing import NamedTuple

import numpy as np
from scipy.ndimage import uniform_filter1d

from exoplanets.lightcurves.clock import LEAST_MEASURED, find_cadences, place
from exoplanets.lightcurves.equalise import BOTH, finish, flatten
from exoplanets.lightcurves.gaps import fill_gaps
from exoplanets.lightcurves.injection import count_dips, draw_snr, find_scatter
from exoplanets.stars import CADENCE_DAYS, SHORTEST
from exoplanets.transits import draw_lognormal, draw_planet, occult, scaled_separation, transit_flux

PERIODS = (0.5, 32.0)  # days
RADIUS_RATIOS = (0.2, 1.0)  # smaller over larger star
BRIGHTNESS = (0.002, 1.0)  # surface brightness of the smaller star over that of the larger
CONTACT_SHARE, TWIN_SHARE = 0.12, 0.15  # of all pairs; twins are found at half their period
ECCENTRIC_SHARE = 0.4  # of pairs with a period above `CIRCULAR`
CIRCULAR = 3.0  # days: tides make shorter orbits circular
LEAST_SEPARATION = 1.1  # of two stars that do not touch, over the sum of their radii
PLANET_PERIODS, PLANET_RATIOS = (0.4, 25.0), (0.008, 0.17)
HOT = 5.0  # days; planets inside it may be seen to vanish behind their star
DAYSIDE = (0.002, 0.06)  # depth of that over the transit's
DILUTED_SHARE, DILUTION = 0.5, (0.005, 1.0)  # of pairs with a third star; their share of the light
NOTHING_SHARE = 0.1  # of the sample: stars as they are, of which nothing can be told
SAMPLINGS = (1.0, 2.45, 4.9)  # cadences from one sample to the next: 29, 72 and 144 minutes ...
SAMPLING_SHARES = (0.75, 0.13, 0.12)  # ... and how often
BLOCK = 128  # light curves at a time
KINDS = ("planet", "binary", "nothing")


def draw_darkening(rng):
    """Quadratic limb darkening of a star in the Kepler band."""
    return np.clip(rng.normal(0.45, 0.08), 0.2, 0.65), np.clip(rng.normal(0.2, 0.06), 0.05, 0.35)


def draw_log_uniform(rng, low, high):
    """A number between two limits, uniform in its logarithm."""
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))


def draw_planet_loss(rng, times):
    """Light lost by a star with a planet: its dips, and what is seen of a hot planet itself.

    `times` are days, (n_cadences,). Returns the loss relative to the star's light, (n_cadences,),
    and the part of it that is due to transits.
    """
    planet = draw_planet(rng, period_range=PLANET_PERIODS, radius_ratio_range=PLANET_RATIOS)
    # Grazing as often as geometry has it.
    planet["impact"] = rng.uniform(0, 1 + planet["radius_ratio"])
    transits = 1 - transit_flux(times, **planet)
    loss = transits.copy()
    if planet["period"] < HOT and rng.random() < 0.5:
        dayside = draw_log_uniform(rng, *DAYSIDE) * planet["radius_ratio"] ** 2
        behind = planet | {"epoch": planet["epoch"] + planet["period"] / 2}
        hidden = 1 - transit_flux(times, **behind)
        phase = 2 * np.pi * (times - planet["epoch"]) / planet["period"]
        loss += dayside * (hidden / max(hidden.max(), 1e-12) - (1 - np.cos(phase)) / 2)
    return loss, transits


def draw_binary_loss(rng, times):
    """Light lost by two stars that eclipse each other, as `draw_planet_loss`."""
    if rng.random() < CONTACT_SHARE:
        return _draw_contact(rng, times)
    if rng.random() < TWIN_SHARE:
        ratio, brightness = rng.uniform(0.9, 1.0), rng.uniform(0.9, 1.0)
    else:
        ratio = draw_log_uniform(rng, *RADIUS_RATIOS)
        brightness = draw_log_uniform(rng, *BRIGHTNESS)
    mass_ratio = ratio**1.25  # on the main sequence
    density = float(np.clip(draw_lognormal(rng, 1.2, 0.4), 0.05, 6.0))
    while True:
        period = draw_log_uniform(rng, *PERIODS)
        separation = float(scaled_separation(period, density)) * (1 + mass_ratio) ** (1 / 3)
        if separation > LEAST_SEPARATION * (1 + ratio):
            break
    eccentricity, angle = 0.0, rng.uniform(0, 2 * np.pi)
    if period > CIRCULAR and rng.random() < ECCENTRIC_SHARE:
        eccentricity = rng.beta(1.0, 3.0)
    sine, cosine = eccentricity * np.sin(angle), eccentricity * np.cos(angle)
    epoch, impact = rng.uniform(0, period), rng.uniform(0, 1 + ratio)
    lights = np.array([1.0, brightness * ratio**2])
    lights /= lights.sum()
    darkening = draw_darkening(rng)
    eclipses = np.zeros(len(times))
    for light, size, at, sign in (
        (lights[0], 1.0, 0.0, 1),
        (lights[1], ratio, 0.5 + 2 / np.pi * cosine, -1),
    ):
        # On an eccentric orbit one eclipse is nearer, and faster, than the other [4]_.
        near = (1 - eccentricity**2) / (1 + sign * sine)
        apart = separation * near / size
        across = min(impact * near / size, 0.999 * apart)
        other = (1 + ratio - size) / size
        if across < 1 + other and apart > 1 + other:
            eclipses += light * occult(
                times,
                period=period,
                epoch=epoch + at * period,
                radius_ratio=other,
                impact=across,
                separation=apart,
                limb_darkening=darkening,
            )
    inclined = 1 - (impact / separation) ** 2
    phase = 2 * np.pi * (times - epoch) / period
    # The larger star is drawn out towards the other; each heats the side that faces it [2]_.
    pulled = 1.3 * mass_ratio * separation**-3 * inclined * lights[0]
    heated = rng.uniform(0, 1) * (ratio / separation) ** 2 * lights[0]
    beamed = rng.uniform(0, 2e-3) * separation**-0.5
    waves = pulled * np.cos(2 * phase) + heated * np.cos(phase) + beamed * np.sin(phase)
    return eclipses + waves, eclipses


def _draw_contact(rng, times):
    """Two stars that touch: the light never rests, and both minima are nearly alike."""
    period, epoch = draw_log_uniform(rng, 0.25, 1.5), rng.uniform(0, 1.5)
    phase = 2 * np.pi * (times - epoch) / period
    sharpness, unlike = rng.uniform(0.9, 2.5), rng.uniform(0, 0.15)
    loss = ((1 + np.cos(2 * phase)) / 2) ** sharpness + unlike * np.cos(phase)
    loss -= loss.min()
    return loss, loss


class Systems(NamedTuple):
    """Simulated planets and binaries in real light curves; a row per light curve."""

    flux: np.ndarray  # (n, n_cadences), e-/s: raw
    cadences: np.ndarray  # (n, n_cadences), int: the true ones, from 0
    campaign: object  # the `Campaign` whose shared light curves are to be taken out, or None
    kinds: np.ndarray  # (n,), str: one of `KINDS`
    level: np.ndarray  # (n,): the light of each star, e-/s; NaN if it is not to be known
    sampling: np.ndarray  # (n,): cadences from one sample to the next, of `SAMPLINGS`

    def flatten(self):
        """Light curves without trends and what stars share, (n, n_cadences), and equalised ones.

        The former are NaN where nothing was measured.
        """
        placed, _ = place(self.flux, self.campaign, self.cadences)
        flat = flatten(placed, self.campaign)
        both = finish(flat, np.isnan(placed), self.campaign, BOTH)
        return both[:, 1], both[:, 0]


def coarsen(flux, cadences, sampling):
    """Flux as a survey with longer exposures would give it, brought back to the same cadences."""
    if sampling <= 1:
        return flux
    mean = uniform_filter1d(fill_gaps(flux[None])[0], round(sampling))
    times = np.arange(cadences[0], cadences[-1] + sampling, sampling)
    return np.interp(cadences, times, np.interp(times, cadences, mean))


def make_system(flux, cadences, kind, rng, snr_range):
    """A raw light curve with a system of one of `KINDS`, and the light of its star, e-/s.

    Flux (e-/s) and true cadences have the shape (n_cadences,). The light is what makes the depth
    in e-/s that of the system; NaN for half of them, as if the file did not tell it.
    """
    if kind == "nothing":
        return flux, np.nan
    draw = draw_planet_loss if kind == "planet" else draw_binary_loss
    known = np.isfinite(flux)
    while True:
        loss, eclipses = draw(rng, cadences * CADENCE_DAYS)
        if eclipses[known].max() > 0 and count_dips(eclipses[known]) >= 2:
            break
    snr = draw_snr(rng, snr_range)
    scale = snr * find_scatter(flux[known]) / np.sqrt(np.sum(eclipses[known] ** 2))
    depth = eclipses[known].max()
    if kind == "binary" and rng.random() < DILUTED_SHARE:
        depth *= draw_log_uniform(rng, *DILUTION)
    level = scale * eclipses[known].max() / depth
    return flux - scale * loss, level if rng.random() < 0.5 else np.nan


def make_systems(flux, n_curves, rng, snr_range, campaign=None):
    """Yield `Systems`, a few at a time: about `n_curves` planets and binaries in non-hosts.

    The arguments are those of `injection.make_training_sample`. Most have the length of the table
    and are freed of what its stars share; others are shorter and are not, as a user's own are.
    """
    n_stars, n_cadences = flux.shape
    cadences = find_cadences(flux, campaign)
    half = max(n_cadences // 2, min(SHORTEST, n_cadences))
    ways = ((n_cadences, campaign), (n_cadences, None), (half, None))
    for start in range(0, n_curves, BLOCK):
        length, used = ways[rng.choice(3, p=(0.6, 0.2, 0.2))]
        n = min(BLOCK, n_curves - start)
        share = (1 - NOTHING_SHARE) / 2
        kinds = rng.choice(KINDS, n, p=(share, share, NOTHING_SHARE))
        stars, first = rng.integers(n_stars, size=n), rng.integers(n_cadences - length + 1)
        # A star has to have been measured in that stretch; another one takes its place.
        n_measured = np.isfinite(flux[:, first : first + length]).sum(axis=1)
        usable = np.flatnonzero(n_measured >= LEAST_MEASURED * length)
        if not len(usable):
            continue
        stars = usable[stars % len(usable)]
        raw, times = (values[stars, first : first + length] for values in (flux, cadences))
        times = times - times[:, :1]
        raw, level, sampling = raw.astype(np.float64), np.empty(n), np.empty(n)
        for i, kind in enumerate(kinds):
            raw[i], level[i] = make_system(raw[i], times[i], kind, rng, snr_range)
            sampling[i] = rng.choice(SAMPLINGS, p=SAMPLING_SHARES)
            raw[i] = coarsen(raw[i], times[i], sampling[i])
        yield Systems(raw, times, used, kinds, level, sampling)
