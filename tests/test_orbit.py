"""search/orbit.py: an ephemeris is sharpened, and its orbit described, whatever the light curve."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exoplanets.search.ephemeris import Ephemeris
from exoplanets.search.orbit import (
    N_FEATURES,
    NUMBERS,
    describe_orbit,
    divide_period,
    sharpen,
)
from exoplanets.stars import CADENCE_DAYS

N = 3000
TIMES = np.arange(N) * CADENCE_DAYS
TRUE = Ephemeris(3.3, 1.1, 0.15, 8.0)


def draw_dips(ephemeris=TRUE, ingress=0.1, noise=1.0, seed=0, secondary=0.0, odd=1.0):
    """Noise of one standard deviation and trapeziums; odd ones so much deeper than even ones."""
    flux = np.random.default_rng(seed).normal(0, noise, N)
    width = ephemeris.duration
    away = np.abs(ephemeris.since_transit(TIMES))
    shape = np.clip(((1 + ingress) * width / 2 - away) / (ingress * width), 0, 1)
    flux -= ephemeris.depth * shape * np.where(ephemeris.count(TIMES) % 2, odd, 1.0)
    half = dataclasses.replace(ephemeris, epoch=ephemeris.epoch + ephemeris.period / 2)
    return flux - secondary * half.in_transit(TIMES)


def describe(flux, ephemeris=TRUE, **more):
    features, sharp = describe_orbit(TIMES, flux, ephemeris, **more)
    return features, dict(zip(NUMBERS, features[-len(NUMBERS) :].tolist(), strict=True)), sharp


@pytest.mark.parametrize("seed", range(6))
def test_a_guess_a_cadence_off_is_sharpened(seed):
    rng = np.random.default_rng(seed)
    true = Ephemeris(rng.uniform(1, 8), rng.uniform(0, 5), rng.uniform(0.1, 0.3), 10.0)
    n_periods = TIMES[-1] / 2 / true.period
    guess = Ephemeris(
        true.period + rng.choice([-1, 1]) * CADENCE_DAYS / n_periods,
        true.epoch + rng.choice([-1, 1]) * 0.5 * CADENCE_DAYS,
        true.duration * rng.uniform(0.6, 1.6),
    )
    sharp, ingress = sharpen(TIMES, draw_dips(true, seed=seed), guess)
    ends = np.array([true.transit_times(TIMES[0], TIMES[-1])[k] for k in (0, -1)])
    assert np.abs(sharp.since_transit(ends)).max() < 0.6 * CADENCE_DAYS
    assert sharp.duration == pytest.approx(true.duration, rel=0.25)
    assert sharp.depth == pytest.approx(10, rel=0.15)
    assert ingress <= 0.6


# ------------------------------------------------------------------------ how sharp it gets
MIDDLE = TIMES[N // 2]


def draw_off(seed, snr=60.0, shift=2.0, drift=1.5):
    """An ephemeris of dips of some SNR, and one that is off and drifts by so many cadences."""
    rng = np.random.default_rng(seed)
    period = rng.uniform(1, 8)
    true = Ephemeris(period, MIDDLE + rng.uniform(-0.5, 0.5) * period, 0.15, 1.0)
    shape = draw_dips(true, ingress=0.4, noise=0)
    true = dataclasses.replace(true, depth=snr / np.linalg.norm(shape))
    signs = rng.choice([-1, 1], 2) * CADENCE_DAYS
    guess = Ephemeris(
        period * (1 + signs[0] * drift / (TIMES[-1] / 2)),
        true.epoch + shift * signs[1],
        true.duration * rng.uniform(0.7, 1.4),
    )
    return true, guess


def find_offsets(true, found):
    """Cadences by which the middle of the light curve is off, and an end, less the middle."""
    middle = true.since_transit(found.epoch) / CADENCE_DAYS
    return middle, (found.period / true.period - 1) * TIMES[-1] / 2 / CADENCE_DAYS


def test_two_cadences_and_a_drift_of_one_and_a_half_are_brought_back():
    """At a signal-to-noise ratio of 60 noise alone leaves 0.04 cadences, and a drift of 0.1."""
    off = []
    for seed in range(12):
        true, guess = draw_off(seed)
        assert np.abs(find_offsets(true, guess)) == pytest.approx([2, 1.5], abs=1e-6)
        sharp, ingress = sharpen(TIMES, draw_dips(true, ingress=0.4, seed=seed), guess)
        off.append(find_offsets(true, sharp))
        assert sharp.duration == pytest.approx(true.duration, rel=0.12)
        assert sharp.depth == pytest.approx(true.depth, rel=0.12)
        assert ingress == pytest.approx(0.4, abs=0.3)
    assert np.abs(off)[:, 0].max() < 0.15
    assert np.sqrt(np.mean(np.square(off), axis=0)).max() < 0.15


def test_without_noise_the_truth_is_found_from_anywhere_near():
    """The last grid has steps of 0.13 cadences, and of 0.15 for the drift: about half of them."""
    rng, left = np.random.default_rng(0), []
    for seed in range(30):
        off = rng.uniform(0, 2), rng.uniform(0, 2.4)
        true, guess = draw_off(seed, 3000.0, *off)
        assert np.abs(find_offsets(true, guess)) == pytest.approx(off, abs=1e-6)
        sharp, _ = sharpen(TIMES, draw_dips(true, ingress=0.4, noise=0), guess)
        left.append(find_offsets(true, sharp))
        assert sharp.duration == pytest.approx(true.duration, rel=0.06)
    assert np.sqrt(np.mean(np.square(left), axis=0)).max() < 0.08
    assert np.abs(left).max() < 0.2


@pytest.mark.parametrize("seed", range(2))
def test_the_shape_of_a_deep_dip_does_not_jump_as_it_deepens(seed):
    """A transit is no trapezium: of ever deeper dips the likeliest one would hop over its grid."""
    rng, shapes = np.random.default_rng(seed), []
    true = Ephemeris(rng.uniform(3, 9), rng.uniform(0, 3), rng.uniform(0.07, 0.12))
    noise = rng.normal(size=N)
    away = 2 * true.since_transit(TIMES) / true.duration
    dip = np.clip(1.6 * (1 - away**2), 0, 1) ** 0.7  # round, as limb darkening makes it
    for depth in np.geomspace(10, 500, 16):
        shapes.append(sharpen(TIMES, noise - depth * dip, true)[1])
    assert np.abs(np.diff(shapes)).max() < 0.02


@pytest.mark.parametrize("seed", range(4))
def test_a_small_change_of_the_flux_changes_the_orbit_a_little(seed):
    """Other noise comes little by little; whoever took the likeliest of a grid would jump."""
    snr = 10 if seed % 2 else 20
    true, _ = draw_off(seed, snr)
    flux, more = draw_dips(true, ingress=0.4, seed=seed), draw_dips(true, seed=seed + 100)
    found = []
    for share in np.linspace(0, 0.3, 41):
        sharp, ingress = sharpen(TIMES, flux + share * more, true)
        _, drift = find_offsets(true, sharp)
        found.append([drift, np.log(sharp.duration), np.log(sharp.depth), ingress])
    steps = np.abs(np.diff(found, axis=0))
    # The steps of the grid are 0.15 cadences, 0.084, none and 0.15.
    assert (steps.max(axis=0) < [0.06, 0.02, 0.02, 0.04]).all()
    assert steps.max(axis=0)[1:3].min() > 0  # it does change


# ------------------------------------------------------------------- multiples of the period
@pytest.mark.parametrize("part", [2, 3, 5])
def test_a_part_of_the_period_is_found(part):
    flux = draw_dips()
    longer = dataclasses.replace(TRUE, period=part * TRUE.period)
    shorter = divide_period(TIMES, flux, longer)
    assert shorter == dataclasses.replace(longer, period=longer.period / part)
    _, numbers, sharp = describe(flux, longer)
    assert sharp.period == pytest.approx(TRUE.period, rel=1e-3)
    assert numbers["log_transits"] == pytest.approx(np.log(len(TRUE.transit_times(0, TIMES[-1]))))


@pytest.mark.parametrize("factor", [4, 6])
def test_a_part_of_a_part_is_found(factor):
    longer = dataclasses.replace(TRUE, period=factor * TRUE.period)
    assert describe(draw_dips(), longer)[2].period == pytest.approx(TRUE.period, rel=1e-3)


def test_a_true_period_is_not_divided():
    assert divide_period(TIMES, draw_dips(), TRUE) is None
    # Where one of five dips is missing, a fifth is not the period.
    longer = dataclasses.replace(TRUE, period=5 * TRUE.period)
    flux = draw_dips()
    gone = (TRUE.count(TIMES) % 5 == 3) & TRUE.in_transit(TIMES, 2.0)
    flux[gone] = np.random.default_rng(1).normal(size=gone.sum())
    assert divide_period(TIMES, flux, longer) is None
    # Nor is what two unlike eclipses have in common.
    twice = dataclasses.replace(TRUE, period=2 * TRUE.period)
    assert divide_period(TIMES, draw_dips(odd=0.5), twice) is None
    assert divide_period(TIMES, draw_dips(odd=0.9), twice) is not None


def test_no_part_is_shorter_than_two_durations():
    """A part that so long a dip would fill is none, even where the flux is low all the time."""
    low = np.full(N, -5.0)
    for factor, part in ((9.9, 3), (3.9, None)):  # durations per period
        long = Ephemeris(factor * 0.15, 1.1, 0.15)
        shorter = divide_period(TIMES, low, long)
        assert (shorter is None) if part is None else (shorter.period == long.period / part)


# -------------------------------------------------------------------------- what is told
def test_a_v_is_told_from_a_u():
    long = dataclasses.replace(TRUE, duration=0.3)
    assert describe(draw_dips(long, ingress=1.0))[1]["ingress"] >= 0.6
    assert describe(draw_dips(long, ingress=0.1))[1]["ingress"] <= 0.3


def test_a_second_eclipse_and_unlike_eclipses_are_found():
    plain, twice = describe(draw_dips())[1], describe(draw_dips(secondary=3.0))[1]
    assert twice["secondary"] == pytest.approx(3 / 8, rel=0.15)
    assert twice["secondary_sigma"] > 2 * plain["secondary_sigma"]
    assert plain["secondary"] < 0.25
    alike, unlike = (  # odd less even, relative to the depth
        [np.abs(describe(draw_dips(odd=odd, seed=seed))[0][84:96]).max() for seed in range(8)]
        for odd in (1.0, 0.5)
    )
    assert np.median(alike) < 0.25 and max(alike) < min(unlike) - 0.2
    assert unlike == pytest.approx([0.5 / 0.75] * 8, abs=0.2)


def test_the_numbers_are_what_they_are_named():
    _, numbers, sharp = describe(draw_dips(), unit=1e-4, sampling=4.9)
    assert numbers["log_depth"] == pytest.approx(np.log(sharp.depth), rel=1e-5)
    assert sharp.depth == pytest.approx(8, rel=0.1)
    assert numbers["log_period"] == pytest.approx(np.log(3.3), abs=1e-3)
    assert numbers["log_transits"] == pytest.approx(np.log(len(TRUE.transit_times(0, TIMES[-1]))))
    assert numbers["log_relative_depth"] == pytest.approx(np.log(1e-4 * sharp.depth), rel=1e-5)
    assert (numbers["depth_is_known"], numbers["log_sampling"]) == (1, pytest.approx(np.log(4.9)))
    n_inside = np.sum(TRUE.in_transit(TIMES))
    assert numbers["log_snr"] == pytest.approx(np.log(8 * np.sqrt(n_inside)), abs=0.15)
    for unit in (np.nan, 0.0, np.inf):
        _, unknown, _ = describe(draw_dips(), unit=unit)
        assert (unknown["log_relative_depth"], unknown["depth_is_known"]) == (0, 0)


def test_the_shape_does_not_depend_on_the_depth():
    """Without noise, all that is relative stays when the flux is scaled.

    About: the deeper the dips, the fewer trapezia of the grid are likely and count in the mean.
    """
    one, two = (describe(scale * draw_dips(noise=0.0))[0] for scale in (1.0, 3.0))
    n_bins = (N_FEATURES - len(NUMBERS)) // 2
    np.testing.assert_allclose(one[:n_bins], two[:n_bins], atol=1e-3)
    numbers = [dict(zip(NUMBERS, each[-len(NUMBERS) :], strict=True)) for each in (one, two)]
    assert numbers[1]["log_depth"] - numbers[0]["log_depth"] == pytest.approx(np.log(3), abs=1e-3)
    for name in ("secondary", "ingress", "log_period", "log_duration", "log_transits"):
        assert numbers[1][name] == pytest.approx(numbers[0][name], abs=2e-3)


def test_what_is_missing_is_left_out_and_a_flare_tells_nothing():
    flux = draw_dips()
    gaps = np.where(np.arange(N) % 7 == 3, np.nan, flux)
    gaps[1000:1300] = np.nan
    _, numbers, sharp = describe(gaps)
    assert sharp.period == pytest.approx(3.3, rel=1e-3)
    assert np.exp(numbers["log_depth"]) == pytest.approx(8, rel=0.12)
    flare = np.where(np.arange(N) == 1500, 1e6, flux)
    cut = np.where(np.arange(N) == 1500, 6.0, flux)
    np.testing.assert_array_equal(describe(flare)[0], describe(cut)[0])


@settings(max_examples=60, deadline=None)
@given(
    st.integers(0, 10**6), st.floats(0.3, 40), st.floats(-5, 50), st.floats(0.01, 3),
    st.sampled_from(["noise", "constant", "huge", "few", "one"]),
)  # fmt: skip
def test_features_are_finite_for_any_light_curve(seed, period, epoch, duration, kind):
    rng = np.random.default_rng(seed)
    flux = rng.normal(size=600)
    if kind == "constant":
        flux[:] = 0
    elif kind == "huge":
        flux *= 1e30
    elif kind in ("few", "one"):
        flux[rng.permutation(600)[(1 if kind == "one" else 9) :]] = np.nan
    candidate = Ephemeris(period, epoch, min(duration, period / 3))
    features, sharp = describe_orbit(TIMES[:600], flux, candidate)
    assert features.shape == (N_FEATURES,) and features.dtype == np.float32
    assert np.isfinite(features).all()
    numbers = sharp.period, sharp.epoch, sharp.duration, sharp.depth
    assert np.isfinite(numbers).all() and sharp.period > 0 and sharp.duration > 0
