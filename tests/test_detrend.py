"""Gaps, trends, outliers and uneven noise: each is taken out, and nothing else is touched."""

import numpy as np
import pytest

from exoplanets.lightcurves import detrend

N = 1000


@pytest.fixture
def noise():
    return np.random.default_rng(0).normal(size=(20, N)).astype(np.float32)


def test_medians_and_spreads_are_numpys(noise):
    for curves in (noise, noise[:, 1:]):
        expected = np.median(curves, axis=1, keepdims=True)
        np.testing.assert_allclose(detrend.find_median(curves), expected, rtol=1e-6)
        expected = 1.4826 * np.median(np.abs(curves), axis=1, keepdims=True)
        np.testing.assert_allclose(detrend.find_spread(curves), expected, rtol=1e-6)
    assert detrend.find_spread(np.zeros((1, 9)))[0, 0] > 0


@pytest.mark.parametrize("missing", [0, 300])
def test_absurd_is_what_no_star_can_have_and_no_dip_is(missing, noise):
    noise[:, :missing] = np.nan
    noise[:, 500:505] -= 1e5  # an eclipse of a bright star
    noise[0] *= 1e9
    assert not detrend.find_absurd(noise + 7e3).any()
    noise[3, 400], noise[4, missing::100] = 1e7, -1e12
    expected = np.zeros(noise.shape, bool)
    expected[3, 400], expected[4, missing::100] = True, True
    np.testing.assert_array_equal(detrend.find_absurd(noise)[3:], expected[3:])
    np.testing.assert_array_equal(detrend.find_absurd(noise[4]), expected[4])
    assert not detrend.find_absurd(np.full((2, 9), np.nan)).any()
    assert not detrend.find_absurd(np.eye(3)).any()  # half the values are alike


def test_blocks_come_back_in_order():
    n_stars = 3 * detrend.BLOCK + 7
    blocks = detrend.map_blocks(lambda rows: np.arange(n_stars)[rows], n_stars)
    assert max(map(len, blocks)) == detrend.BLOCK
    np.testing.assert_array_equal(np.concatenate(blocks), np.arange(n_stars))
    assert detrend.map_blocks(lambda rows: rows, 0) == []


def test_one_cadence_alone_is_an_outlier_and_a_transit_of_any_depth_is_not(noise):
    noise *= 0.5
    gaps = np.zeros(noise.shape, bool)
    for height in (30.0, -30.0, 3e4):
        lone = noise.copy()
        lone[:, 500] += height
        found = detrend.find_lone_outliers(lone, gaps)
        assert found[:, 500].all()
        assert found.sum() < len(noise) + 10
    hour_and_half = np.array([0.45, 1.0, 0.45])
    for depth in (10.0, 100.0, 1e4):
        dipped = noise.copy()
        dipped[:, 499:502] -= depth * hour_and_half
        assert not detrend.find_lone_outliers(dipped, gaps)[:, 499:502].any()


def test_outliers_and_gaps_are_filled_by_the_mean_of_what_is_known_around_them():
    curves = np.zeros((1, 40))
    curves[0, ::2], curves[0, 1::2] = 0.1, -0.1
    curves[0, 20] = 50
    gaps = np.zeros((1, 40), bool)
    gaps[0, 21] = True
    curves[0, 21] = 24.95  # the line from the outlier
    replaced = detrend.replace_lone_outliers(curves, gaps)
    kept = np.delete(np.arange(40), [20, 21])
    np.testing.assert_array_equal(replaced[0, kept], curves[0, kept])
    for place in (20, 21):
        weights = np.array([5 - abs(k - place) for k in kept]).clip(0)
        mean = np.average(curves[0, kept], weights=weights)
        assert replaced[0, place] == pytest.approx(mean, abs=1e-6)
    curves, gaps[0, 10:30] = np.arange(40.0)[None], True
    assert detrend.replace_lone_outliers(curves, gaps)[0, 19] == pytest.approx(19, abs=1)  # a line


def test_the_trend_is_a_running_median(noise):
    slow = 50 * np.sin(2 * np.pi * np.arange(N) / 800).astype(np.float32)
    trend = detrend.find_trend(noise + slow)
    assert np.abs(trend - slow)[:, 100:-100].max() < 8  # of 50
    dipped = noise + slow
    dipped[:, 400:412] -= 1000
    assert np.abs(detrend.find_trend(dipped) - trend).max() < 8  # of 1000
    np.testing.assert_array_equal(detrend.find_trend(-noise), -detrend.find_trend(noise))


def test_detrended_noise_has_spread_1_whatever_its_unit_level_and_gaps(noise):
    curves = 1e5 + 300 * noise.astype(np.float64)
    curves[3, 200:300] = np.nan
    found = detrend.detrend(curves)
    assert found.dtype == np.float32
    assert detrend.find_spread(found) == pytest.approx(np.ones((20, 1)), abs=1e-3)
    assert np.isfinite(found).all()
    assert np.isnan(curves[3, 250])  # the input stays as it was
    rest = np.delete(found, 3, axis=0)
    plain = np.delete(noise - detrend.find_trend(noise), 3, axis=0)
    np.testing.assert_allclose(rest, plain / detrend.find_spread(plain), atol=1e-3)


def test_noise_is_evened_out_and_a_dip_stays_a_dip(noise):
    uneven = noise.copy()
    uneven[:, 500:] *= 5
    even = detrend.even_out(uneven)
    for part in (slice(50, 420), slice(580, 950)):
        assert 1.4826 * np.median(np.abs(even[:, part])) == pytest.approx(1, abs=0.1)
    dipped = noise.copy()
    dipped[:, 300:306] -= 40
    drop = detrend.even_out(dipped)[:, 300:306] - detrend.even_out(noise)[:, 300:306]
    assert drop.mean() == pytest.approx(-40, rel=0.15)


def test_a_long_flat_stretch_is_not_blown_up(noise):
    noise[:, 300:600] *= 1e-6
    assert np.abs(detrend.even_out(noise)[:, 300:600]).max() < 1e-4
