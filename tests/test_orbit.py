"""search/orbit.py: an ephemeris is sharpened, and its orbit described, whatever the light curve."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exoplanets.search.ephemeris import Ephemeris
from exoplanets.search.orbit import N_FEATURES, NUMBERS, describe_orbit, sharpen
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


def test_a_v_is_told_from_a_u():
    long = dataclasses.replace(TRUE, duration=0.3)
    assert describe(draw_dips(long, ingress=1.0))[1]["ingress"] >= 0.6
    assert describe(draw_dips(long, ingress=0.1))[1]["ingress"] <= 0.3


def test_a_second_eclipse_and_unlike_eclipses_are_found():
    plain, twice = describe(draw_dips())[1], describe(draw_dips(secondary=3.0))[1]
    assert twice["secondary"] == pytest.approx(3 / 8, rel=0.15)
    assert twice["secondary_sigma"] > 2 * plain["secondary_sigma"]
    assert plain["secondary"] < 0.25
    names = describe(draw_dips())[0], describe(draw_dips(odd=0.5))[0]
    odd_less_even = [np.abs(features[84:96]).max() for features in names]  # relative to the depth
    assert odd_less_even[0] < 0.25 and odd_less_even[1] == pytest.approx(0.5 / 0.75, abs=0.2)


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
    """Without noise, all that is relative stays when the flux is scaled."""
    one, two = (describe(scale * draw_dips(noise=0.0))[0] for scale in (1.0, 3.0))
    n_bins = (N_FEATURES - len(NUMBERS)) // 2
    np.testing.assert_allclose(one[:n_bins], two[:n_bins], atol=1e-5)
    numbers = [dict(zip(NUMBERS, each[-len(NUMBERS) :], strict=True)) for each in (one, two)]
    assert numbers[1]["log_depth"] - numbers[0]["log_depth"] == pytest.approx(np.log(3), abs=1e-5)
    for name in ("secondary", "ingress", "log_period", "log_duration", "log_transits"):
        assert numbers[1][name] == pytest.approx(numbers[0][name], abs=1e-5)


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
