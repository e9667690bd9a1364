"""Transits injected into real light curves, and what only looks like transits.

A network taught by injections sees no host label, so it cannot learn how the files were made or
what stars hosts are. A transit goes into the raw flux, so that cleaning treats it as it treats a
real one; and it repeats in true time, which a table's columns are only after its clock is known
(`clock.py`).
"""

import itertools
from typing import NamedTuple

import numpy as np

from exoplanets.files import track
from exoplanets.lightcurves.clock import find_cadences
from exoplanets.lightcurves.detrend import find_median
from exoplanets.lightcurves.equalise import equalise_table
from exoplanets.stars import CADENCE_DAYS, EXPOSURE_SECONDS, SHORTEST

SCATTER_WINDOW = 73  # cadences (36 h), blocks whose median is taken out before the scatter
BLOCK = 128  # light curves equalised at a time
AT_ONCE = 8  # such blocks, of which a sample yields its curves
EXPOSURES = 5  # times at which a dip is taken within a cadence, and averaged
SUN_LIKE = 0.075  # days, of a transit of a Sun-like star over the cube root of the period, days
PERIODS = (0.6, 32.0)  # days
DURATIONS = (0.35, 1.7)  # over that of a Sun-like star: dwarfs and grazing transits, giants
FAINT = 0.75  # share of the injections whose signal-to-noise ratio is below `FAINT_SNR`
FAINT_SNR = 40.0
MOST_DIPS = 12  # of a star whose dips do not repeat
DEEPER = (1.2, 8.0)  # ratio of the depths of the two curves of a pair
# Shares of the training sample. All but the first are labelled 0. Weak planets have to be told from
# stars as they are: there are many of these.
KINDS = {
    "transits": 0.46,
    "nothing": 0.30,
    "inverted": 0.04,
    "bumps": 0.035,  # transits that brighten
    "eclipses": 0.04,
    "dips": 0.055,
    "flares": 0.02,
    "saw": 0.02,
    "waves": 0.03,
}


class Variant(NamedTuple):
    """How some of the training curves are made."""

    share: float  # of the sample
    length: float  # share of the table's cadences
    # Whether what the stars of the campaign share is taken out: the network has to be as good on
    # light curves of other origin, which come in any length and bring no campaign.
    with_campaign: bool
    # White noise in place of the stars: what an ideal search finds in a quiet star, the network has
    # to find as well, and among a few hundred real stars few are that quiet.
    is_white: bool = False


VARIANTS = (
    Variant(0.51, 1.0, True),
    Variant(0.08, 1.0, False),
    Variant(0.08, 0.5, False),
    Variant(0.08, 0.25, False),
    Variant(0.25, 1.0, True, is_white=True),
)


def draw_white(flux, rng):
    """White noise where a light curve was measured, of any shape; NaN elsewhere."""
    return np.where(np.isfinite(flux), rng.normal(size=flux.shape), np.nan)


def find_scatter(flux):
    """Robust standard deviation of a light curve about the medians of its blocks, in its unit."""
    n_blocks = len(flux) // SCATTER_WINDOW
    blocks = np.reshape(flux[: n_blocks * SCATTER_WINDOW], (n_blocks, SCATTER_WINDOW))
    rest = blocks - find_median(blocks)
    spread = 1.4826 * find_median(np.abs(rest).ravel())[0]
    # A median takes out about 1.5 of the degrees of freedom of its block.
    return spread * np.sqrt(SCATTER_WINDOW / (SCATTER_WINDOW - 1.5))


def inject(flux, dip, snr):
    """Put dips into a raw light curve at a given matched-filter signal-to-noise ratio.

    `dip` is their shape: 0 outside, about 1 at the deepest; negative values brighten. The ratio is
    ``depth * sqrt(sum(dip**2)) / find_scatter(flux)``, of what was measured: missing flux, NaN,
    stays so. Returns the flux and the depth, e-/s.
    """
    known = np.isfinite(flux)
    depth = snr * find_scatter(flux[known]) / np.sqrt(np.sum(dip[known] ** 2))
    return flux - depth * dip, depth


def estimate_level(flux):
    """Mean flux of a star from its noise, e-/s: the files hold flux minus its median.

    Photon noise of a cadence is sqrt(level / 1625 s). Other noise makes the estimate, and with it
    the depth of a planet of given radius, too large: radius ratios are lower limits.
    """
    steps = np.diff(flux)
    noise = 1.4826 * np.median(np.abs(steps)) / np.sqrt(2)
    return EXPOSURE_SECONDS * noise**2


# ------------------------------------------------------------------------------------- shapes
def make_dips(times, period, epoch, duration, ingress, darkening):
    """Transits as rounded trapeziums, averaged over each exposure.

    Simpler than the model of `transits.py` on purpose: completeness is measured with that one,
    and what is measured with the shapes that were trained on proves little.

    Times are the middles of the exposures, (n_cadences,), the epoch that of any one transit, the
    duration from first to last contact, all in days. `ingress` is the share of half the duration in
    which the dip deepens, 1 for a V; `darkening` by how much less the dip is deep at its ends than
    in its middle, before ingress. Returns 0 outside, at most 1 in the middle, (n_cadences,).
    """
    dip = np.zeros(len(times))
    for offset in (np.arange(EXPOSURES) - (EXPOSURES - 1) / 2) / EXPOSURES * CADENCE_DAYS:
        phase = times + offset - epoch
        away = np.abs(phase - period * np.rint(phase / period)) / (duration / 2)
        dip += np.clip((1 - away) / ingress, 0, 1) * (1 - darkening * np.minimum(away, 1) ** 2)
    return dip / EXPOSURES


def count_dips(dip):
    """Number of stretches in which a dip is deeper than half its depth."""
    inside = dip > 0.5 * dip.max()
    return np.count_nonzero(inside & ~np.append(False, inside[:-1]))


def draw_transits(rng, times, known=slice(None)):
    """Transits of a planet drawn at random, between 0 and 1: ndarray of shape (n_cadences,).

    Periods, from `PERIODS`, and durations, about that of a Sun-like star's transit, are
    log-uniform. At least two transits are in the `known` cadences (ndarray of bool; all unless
    given).
    """
    while True:
        period = np.exp(rng.uniform(*np.log(PERIODS)))
        duration = SUN_LIKE * period ** (1 / 3) * np.exp(rng.uniform(*np.log(DURATIONS)))
        duration = min(duration, period / 5)
        epoch, ingress, darkening = rng.uniform((0, 0.08, 0.1), (period, 1.0, 0.5))
        dip = make_dips(times, period, times[0] + epoch, duration, ingress, darkening)
        # A transit shorter than a cadence leaves little.
        if dip.max() > 0.2 and count_dips(dip[known]) >= 2:
            return dip / dip.max()


def _eclipse_dips(rng, times):
    """V-shaped eclipses of two stars, every other one shallower."""
    period = np.exp(rng.uniform(np.log(0.8), np.log(20.0)))
    width = rng.uniform(0.06, 0.24) * min(period, 6.0)
    epoch = rng.uniform(0, period)
    primary = make_dips(times, period, epoch, width, 1.0, 0.0)
    secondary = make_dips(times, period, epoch + period / 2, width, 1.0, 0.0)
    return primary + rng.uniform(0.1, 0.7) * secondary


def _lone_dips(rng, times):
    """One dip or several, up to `MOST_DIPS`, that do not repeat."""
    cadence, dip = np.arange(len(times)), np.zeros(len(times))
    for _ in range(int((MOST_DIPS + 1) ** rng.random())):  # few more often than many
        middle, half_width = rng.uniform(0, len(times)), rng.uniform(1.5, 12)
        dip += rng.uniform(0.3, 1) * (np.abs(cadence - middle) < half_width)
    return dip


def _flare_dips(rng, times):
    """Fast rises and exponential decays."""
    dip, length = np.zeros(len(times)), 20
    for start in rng.integers(0, len(times) - length, rng.integers(2, 12)):
        decay = np.exp(-np.arange(length) / rng.uniform(0.7, 5))
        dip[start : start + length] -= rng.uniform(0.2, 1) * decay
    return dip


def _saw_teeth(rng, times):
    """Teeth of the thrusters, up or down, in a stretch."""
    cadence = np.arange(len(times))
    first = rng.integers(0, len(times) // 2)
    last = first + rng.integers(len(times) // 8, len(times))
    tooth = cadence % int(rng.choice([6, 11, 12, 24])) / 12
    return tooth * ((cadence > first) & (cadence < last)) * rng.choice([-1, 1])


def _waves(rng, times):
    """Pulsation or rotation: a wave with overtones, some beating, its strength changing slowly."""
    period = np.exp(rng.uniform(np.log(0.25), np.log(6.0)))
    strengths = (1.0, rng.uniform(0, 0.8), rng.uniform(0, 0.4))
    phase = 2 * np.pi * times / period
    wave = sum(
        strength * np.cos((k + 1) * phase + rng.uniform(0, 2 * np.pi))
        for k, strength in enumerate(strengths)
    )
    if rng.random() < 0.4:
        wave = wave + rng.uniform(0.3, 1) * np.cos(phase / rng.uniform(0.85, 0.99))
    slow = np.sin(2 * np.pi * times / rng.uniform(20, 150) + rng.uniform(0, 2 * np.pi))
    return wave * (1 + rng.uniform(0, 0.8) * slow)


LOOKALIKES = {
    "eclipses": _eclipse_dips,
    "dips": _lone_dips,
    "flares": _flare_dips,
    "saw": _saw_teeth,
    "waves": _waves,
}


# ------------------------------------------------------------------------------------- sample
def draw_snr(rng, snr_range):
    """A signal-to-noise ratio, log-uniform below and above `FAINT_SNR`, more often below."""
    low, high = snr_range
    if low < FAINT_SNR < high:
        low, high = (low, FAINT_SNR) if rng.random() < FAINT else (FAINT_SNR, high)
    return np.exp(rng.uniform(np.log(low), np.log(high)))


def make_training_curve(flux, times, kind, rng, snr_range):
    """A raw light curve of one of `KINDS`, made from a non-host's; see `make_pair`."""
    if kind == "nothing":
        return flux
    if kind == "inverted":
        return -flux
    snr = draw_snr(rng, snr_range)
    draw = LOOKALIKES.get(kind, draw_transits)
    dip = draw(rng, times)
    if not dip[np.isfinite(flux)].any():  # a dip between two cadences, or in a gap
        return flux
    dip = dip / np.abs(dip).max()
    return inject(flux, -dip if kind == "bumps" else dip, snr)[0]


class Pairs(NamedTuple):
    """Equalised training curves of one length, two by two.

    Two curves with transits are of one star and one planet, whose transits are deeper in the
    second; any other two are of different stars.
    """

    curves: np.ndarray  # (n_pairs, 2, n_cadences), float32
    kinds: np.ndarray  # (n_pairs,), str, of `KINDS`


def make_pair(flux, times, kind, rng, snr_range):
    """The two raw light curves of a pair of one of `KINDS`: two ndarrays of shape (n_cadences,).

    They are made of the raw flux of two non-hosts, e-/s, and its true times, days: (2, n_cadences).
    """
    if kind != "transits":
        stars = zip(flux, times, strict=True)
        return [make_training_curve(*star, kind, rng, snr_range) for star in stars]
    dip, snr = draw_transits(rng, times[0], np.isfinite(flux[0])), draw_snr(rng, snr_range)
    deeper = snr * np.exp(rng.uniform(*np.log(DEEPER)))
    return [inject(flux[0], dip, snr)[0], inject(flux[0], dip, deeper)[0]]


def _make_block(flux, cadences, kinds, length, rng, snr_range, campaign):
    """A few pairs: curves and kinds of those that have enough cadences to be equalised."""
    first = rng.integers(flux.shape[2] - length + 1)
    flux, cadences = (values[:, :, first : first + length] for values in (flux, cadences))
    cadences = cadences - cadences[:, :, :1]
    times = cadences * CADENCE_DAYS
    pairs = zip(flux, times, kinds, strict=True)
    raw = np.concatenate([make_pair(*pair, rng, snr_range) for pair in pairs])
    clocks = np.where((kinds == "transits")[:, None, None], cadences[:, :1], cadences)
    curves, rows, _ = equalise_table(raw, campaign, clocks.reshape(-1, length))
    whole = np.isin(np.arange(len(raw)), rows).reshape(-1, 2).all(axis=1)
    return curves[whole[rows // 2]].reshape(-1, 2, length), kinds[whole]


def make_training_sample(flux, n_curves, rng, snr_range, campaign=None):
    """Draw about `n_curves` training curves: yields `Pairs`, some of one of `VARIANTS` each.

    They are made of the raw flux of non-hosts, e-/s, (n_stars, n_cadences), NaN where missing; of
    fewer stars than curves each is used several times. `snr_range` holds the least and the greatest
    ratio of `inject`; `campaign` is that of the table that the stars are from.
    """
    n_cadences = flux.shape[1]
    cadences = find_cadences(flux, campaign)
    for variant in VARIANTS:
        counts = [round(share * variant.share * n_curves / 2) for share in KINDS.values()]
        kinds = rng.permutation(np.repeat(list(KINDS), counts))
        rows = np.resize(rng.permutation(len(flux)), 2 * len(kinds)).reshape(-1, 2)
        length = max(round(variant.length * n_cadences), min(SHORTEST, n_cadences))
        used = campaign if variant.with_campaign else None
        ends = range(BLOCK // 2, len(kinds), BLOCK // 2)
        parts = list(zip(np.split(rows, ends), np.split(kinds, ends), strict=True))
        parts = track(parts, f"blocks of training curves of {length} cadences")
        # A few blocks at a time: all curves together would take more memory than all else.
        while some := list(itertools.islice(parts, AT_ONCE)):
            blocks = []
            for stars, of_kind in some:
                raw = draw_white(flux[stars], rng) if variant.is_white else flux[stars]
                block = raw, cadences[stars], of_kind, length, rng, snr_range, used
                blocks.append(_make_block(*block))
            pairs = Pairs(*map(np.concatenate, zip(*blocks, strict=True)))
            if len(pairs.kinds):
                yield pairs
