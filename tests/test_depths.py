"""Depths in the flux as read: of injected dips, with errors that hold."""

import dataclasses

import numpy as np
import pytest

from exoplanets.scoring.depths import compare_depths, find_depths
from exoplanets.scoring.own_stars import Star
from exoplanets.search.ephemeris import Ephemeris
from exoplanets.stars import CADENCE_DAYS

PERIOD, EPOCH, WIDTH = 100, 40, 7  # cadences
EPHEMERIS = Ephemeris(*(n * CADENCE_DAYS for n in (PERIOD, EPOCH, WIDTH)))


def make_star(depths, n_cadences=3000, noise=1.0, level=1e4, time=None, seed=0):
    """Noise around a level with dips, whose depths repeat in this order."""
    flux = level + np.random.default_rng(seed).normal(0, noise, n_cadences)
    number = np.round((np.arange(n_cadences) - EPOCH) / PERIOD).astype(int)
    inside = np.abs(np.arange(n_cadences) - EPOCH - number * PERIOD) <= WIDTH // 2
    flux[inside] -= np.array(depths)[number[inside] % len(depths)]
    return Star("star", flux, time, level=level)


def test_each_dip_is_measured_against_its_own_surroundings():
    star = make_star([3.0, 5.0], noise=0)
    star.flux[:] += np.linspace(0, 500, len(star.flux))  # a drift is no dip
    numbers, depths = find_depths(star, EPHEMERIS)
    assert numbers.tolist() == list(range(30))
    assert depths == pytest.approx(np.resize([3.0, 5.0], 30), abs=0.1)


def test_a_dip_in_a_gap_or_at_the_end_is_left_out():
    star = make_star([3.0], noise=0)
    star.flux[EPOCH + 2 * PERIOD - 20 : EPOCH + 2 * PERIOD + 20] = np.nan
    star.flux[EPOCH + 5 * PERIOD + 3 : EPOCH + 5 * PERIOD + 30] = np.nan  # nothing after it
    numbers, depths = find_depths(star, EPHEMERIS)
    assert set(range(30)) - set(numbers) == {2, 5}
    assert depths == pytest.approx(3.0, abs=1e-6)


def test_times_count_and_not_places_in_the_file():
    whole = make_star([3.0], noise=0)
    kept = np.random.default_rng(0).random(len(whole.flux)) < 0.9
    time = 2454833 + np.arange(len(whole.flux)) * CADENCE_DAYS
    star = Star("star", whole.flux[kept], time[kept], level=1e4)
    late = dataclasses.replace(EPHEMERIS, epoch=2454833 + EPHEMERIS.epoch)
    _, depths = find_depths(star, late)
    assert len(depths) > 25
    assert depths == pytest.approx(3.0, abs=1e-6)


@pytest.mark.parametrize("level", [1e4, None])
def test_depths_are_in_ppm_where_there_is_a_level(level):
    star = make_star([30.0])
    depths = compare_depths(Star("star", star.flux, level=level), EPHEMERIS)
    unit = 100 if level else 1
    for name in ("transits", "odd", "even"):
        assert depths[name].median == pytest.approx(30 * unit, abs=4 * depths[name].error)
    assert depths["transits"].n_dips == depths["odd"].n_dips + depths["even"].n_dips == 30
    assert abs(depths["between"].median) < 4 * depths["between"].error


def test_errors_are_those_of_repeated_measurements():
    found = [
        compare_depths(make_star([10.0], seed=seed), EPHEMERIS)["transits"] for seed in range(60)
    ]
    scatter = np.std([depth.median for depth in found])
    assert np.median([depth.error for depth in found]) == pytest.approx(scatter, rel=0.35)


def test_one_wild_cadence_is_no_dip():
    star = make_star([0.0])
    star.flux[EPOCH + 3 * PERIOD] -= 5000
    star.flux[EPOCH + PERIOD // 2] -= 5000
    depths = compare_depths(star, EPHEMERIS)
    assert abs(depths["transits"].median) < 4 * depths["transits"].error < 400
    assert abs(depths["between"].median) < 4 * depths["between"].error < 400


def test_what_was_never_seen_has_no_depth():
    star = make_star([10.0], n_cadences=EPOCH + 60)
    depths = compare_depths(star, EPHEMERIS)
    assert depths["transits"].n_dips == 1 and np.isfinite(depths["transits"].error)
    assert depths["even"].n_dips == 0 and np.isnan(depths["even"].median)
