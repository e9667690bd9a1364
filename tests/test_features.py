"""search/features.py: the numbers and views of a candidate say what they are named after."""

import numpy as np
import pytest

from exoplanets.search import features, fold
from exoplanets.search.events import DURATIONS, compress_events
from exoplanets.search.features import NUMBERS, POINTS, VIEWS
from exoplanets.stars import CADENCE_DAYS

N, PERIOD, EPOCH = 3197, 200.0, 100.0


def make_events(values):
    """Events of one star, 0 but at the transits, and the candidate that they make."""
    events = np.zeros((1, len(DURATIONS), N), np.float32)
    middles = np.arange(EPOCH, N, PERIOD).astype(int)
    events[0, :, middles] = np.asarray(values, np.float32)[:, None]
    candidate = fold.Candidates(
        np.array([0]),
        np.array([PERIOD]),
        np.array([EPOCH]),
        np.array([1]),
        np.array([[1.0, 2.0, 3.0, 4.0]]),
    )
    return events, candidate


def describe(values, curve=None):
    events, candidate = make_events(values)
    curve = np.zeros((1, N)) if curve is None else curve
    numbers, views = features.describe_candidates(
        curve, events, np.ones((1, N), bool), candidate, np.array([[5.0, 6.0, 7.0]])
    )
    assert numbers.shape == (1, len(NUMBERS)) and views.shape == (1, POINTS, len(VIEWS))
    return dict(zip(NUMBERS, numbers[0].tolist(), strict=True)), views[0]


def test_numbers_of_equal_events():
    each = float(compress_events(np.array(3.0)))
    found, _ = describe(np.full(16, 3.0))
    assert found["snr"] == pytest.approx(each * 4, rel=1e-5)
    assert found["without_best"] == pytest.approx(each * np.sqrt(15), rel=1e-5)
    assert found["without_two"] == pytest.approx(each * np.sqrt(14), rel=1e-5)
    assert found["without_quarter"] == pytest.approx(each * np.sqrt(12), rel=1e-5)
    assert found["median_snr"] == pytest.approx(each * 4, rel=1e-5)
    assert found["weakest"] == pytest.approx(each, rel=1e-5)
    assert found["chi_square"] == pytest.approx(np.log(0.1), abs=1e-4)
    assert found["odd_even"] == pytest.approx(0, abs=1e-5)
    assert (
        found["weaker_parity"] == found["weaker_half"] == pytest.approx(each * np.sqrt(8), rel=1e-5)
    )
    assert found["log_events"] == pytest.approx(np.log(16))
    assert found["log_period"] == pytest.approx(np.log(2))
    assert [found[name] for name in NUMBERS[13:20]] == [1, 2, 3, 4, 5, 6, 7]


def test_numbers_tell_what_is_no_planet():
    planet, _ = describe(np.full(16, 3.0))
    lone, _ = describe([0.0] * 5 + [60.0] + [0.0] * 10)
    assert lone["without_best"] == pytest.approx(0, abs=1e-4)
    assert lone["chi_square"] > planet["chi_square"] + 2
    eclipses, _ = describe([3.0, 1.0] * 8)
    assert eclipses["odd_even"] > 2.5
    assert eclipses["weaker_parity"] < 0.5 * planet["weaker_parity"]
    brief, _ = describe([4.0] * 8 + [0.0] * 8)
    assert brief["weaker_half"] == pytest.approx(0, abs=1e-4)
    assert brief["weakest"] == pytest.approx(0, abs=1e-4)
    one = describe([9.0] + [2.0] * 15)[0]
    assert one["without_quarter"] < one["without_two"] < one["without_best"] < one["snr"]


def test_what_was_not_measured_is_no_event():
    events, candidate = make_events([3.0] * 8 + [0.0] * 8)
    known = np.ones((1, N), bool)
    known[:, N // 2 :] = False
    rest = np.zeros((1, N)), events, known, candidate, np.zeros((1, 3))
    numbers = dict(zip(NUMBERS, features.describe_candidates(*rest)[0][0].tolist(), strict=True))
    each = float(compress_events(np.array(3.0)))
    assert numbers["log_events"] == pytest.approx(np.log(8))
    assert numbers["snr"] == pytest.approx(each * np.sqrt(8), rel=1e-5)
    assert numbers["weakest"] == pytest.approx(each, rel=1e-5)
    known[:] = False  # of nothing but gaps: numbers all the same
    assert all(np.isfinite(part).all() for part in features.describe_candidates(*rest))


def test_events_of_others_are_counted_and_the_candidates_are_not():
    events, candidate = make_events(np.full(16, 9.0))
    # An event is about as long as the transit.
    events = np.max([np.roll(events, shift, axis=2) for shift in range(-2, 3)], axis=0)
    curve, noise, known = np.zeros((1, N)), np.zeros((1, 3)), np.ones((1, N), bool)
    places = NUMBERS.index("other_dips"), NUMBERS.index("other_bumps")
    quiet = features.describe_candidates(curve, events, known, candidate, noise)[0][0, places]
    assert quiet == pytest.approx(np.log(1e-3), abs=1e-5)
    events[:, :, 250:280] = 5
    events[:, :, 650:660] = -5
    found = features.describe_candidates(curve, events, known, candidate, noise)[0][0, places]
    assert found == pytest.approx(np.log(1e-3 + np.array([30, 10]) / N), abs=1e-4)


def test_views_show_the_dip_in_the_middle_and_its_parities():
    curve = np.zeros((1, N))
    for k, middle in enumerate(np.arange(EPOCH, N, PERIOD).astype(int)):
        curve[0, middle - 2 : middle + 3] = -1 if k % 2 == 0 else -2
        curve[0, middle + 98 : middle + 103] = -0.5
    _, views = describe(np.full(16, 3.0), curve)
    middle = slice(POINTS // 2 - 1, POINTS // 2 + 1)
    depths = dict(zip(VIEWS, views[middle].mean(axis=0), strict=True))
    assert depths["even"] == pytest.approx(-1 * np.sqrt(8), rel=1e-5)
    assert depths["odd"] == pytest.approx(-2 * np.sqrt(8), rel=1e-5)
    assert depths["all"] == pytest.approx(-1.5 * np.sqrt(16), rel=1e-5)
    assert -0.5 * np.sqrt(16) <= depths["half"] < -1.5
    np.testing.assert_array_equal(views[[0, -1]], 0)


def test_features_are_finite_and_each_star_stands_for_itself():
    rng = np.random.default_rng(0)
    curves = rng.normal(size=(features.BLOCK // 700 + 3, 700)).astype(np.float32)
    curves[1] = 0  # a star without any noise
    curves[2, 300] = 1e6
    numbers, views, ephemerides = features.find_features(curves, 3)
    assert numbers.shape == (len(curves), 3, len(NUMBERS))
    assert views.shape == (len(curves), 3, POINTS, len(VIEWS))
    assert np.isfinite(numbers).all() and np.isfinite(views).all()
    # Alone, in a small company, and in the rest beside a whole block.
    for some in (slice(5, 6), slice(100), slice(len(curves) - 2, len(curves) - 1)):
        again = features.find_features(curves[some], 3)
        np.testing.assert_array_equal(numbers[some], again[0])
        np.testing.assert_array_equal(views[some], again[1])
        np.testing.assert_array_equal(ephemerides[some], again[2])


@pytest.mark.parametrize("n", [500, 3197])
def test_features_of_a_star_do_not_depend_on_its_company(n):
    curves = np.random.default_rng(3).normal(size=(37, n)).astype(np.float32)
    for n_best in (1, 6):
        together = features.find_features(curves, n_best)
        for some in (slice(1), slice(7, 9), slice(20, 37)):
            alone = features.find_features(curves[some], n_best)
            for part, again in zip(together, alone, strict=True):
                assert (part[some] == again).all()


def test_a_period_of_a_year_counts_as_the_longest_that_was_taught():
    events = np.zeros((1, len(DURATIONS), 70_000), np.float32)
    rows = []
    for period in (1700.0, 20_000.0):
        candidate = fold.Candidates(*(np.array([v]) for v in (0, period, 900.0, 3, np.zeros(4))))
        numbers, _ = features.describe_candidates(
            np.zeros((1, 70_000)), events, np.ones((1, 70_000), bool), candidate, np.zeros((1, 3))
        )
        rows.append(dict(zip(NUMBERS, numbers[0].tolist(), strict=True)))
    longest = fold.SEARCHES[-1].longest / CADENCE_DAYS
    for row in rows:
        assert row["log_period"] == pytest.approx(np.log(longest / 100))
        assert row["log_duration"] == pytest.approx(np.log(DURATIONS[3]) - np.log(longest) / 3)


def test_ephemerides_are_in_days():
    curves = np.random.default_rng(1).normal(size=(2, 1500))
    days = np.arange(1500) * CADENCE_DAYS
    curves[1, np.abs((days - 1.5 + 1) % 2.0 - 1) < 0.08] -= 6
    period, epoch, duration = features.find_features(curves, 3)[2][1, 0]
    assert period == pytest.approx(2.0, rel=1e-3)
    assert epoch % period == pytest.approx(1.5, abs=0.03)
    assert duration == pytest.approx(0.16, abs=0.08)
