"""search/box.py and its classifier: what a box search must find, and what it must not."""

import numpy as np
import pytest

from exoplanets.classifiers.box import BoxLeastSquares
from exoplanets.search import box
from exoplanets.stars import CADENCE_DAYS
from exoplanets.transits import transit_flux

N = 2880
TIME = np.arange(N) * CADENCE_DAYS
PER_SAMPLE = box.BIN * CADENCE_DAYS


def noise(n_stars, seed=0, n_cadences=N):
    return np.random.default_rng(seed).normal(size=(n_stars, n_cadences))


def make_dips(period, epoch, hours, depth, time=TIME):
    """Dips of a given depth, as a function of time in days."""
    away = np.abs((time - epoch + period / 2) % period - period / 2)
    return -depth * (away <= hours / 48)


@pytest.fixture(scope="module")
def of_noise():
    return box.search(noise(24, seed=1))


@pytest.mark.parametrize(
    ("period", "epoch", "hours"), [(0.81, 0.3, 2), (2.37, 1.9, 3), (7.9, 4.0, 5), (17.3, 9.0, 7)]
)
def test_a_strong_period_is_found(period, epoch, hours, of_noise):
    curves = noise(3, seed=2) + make_dips(period, epoch, hours, 3.0)
    found = box.search(curves)
    np.testing.assert_allclose(found.period, period, rtol=1e-3)
    off = (found.epoch - epoch + period / 2) % period - period / 2
    assert np.abs(off).max() < CADENCE_DAYS
    assert np.abs(found.depth / 3 - 1).max() < 1 / 3
    assert np.all((found.duration > hours / 48) & (found.duration < hours / 12))
    assert found.statistic.min() > of_noise.statistic.max()
    assert found.snr.min() > of_noise.snr.max()


def test_pure_noise_and_brightenings_have_a_low_statistic(of_noise):
    assert of_noise.statistic.max() < 6
    bumps = box.search(noise(4, seed=3) - make_dips(2.37, 1.0, 3, 3.0))
    dips = box.search(noise(4, seed=3) + make_dips(2.37, 1.0, 3, 3.0))
    assert bumps.statistic.max() < 0.5 * dips.statistic.min()


def test_a_single_deep_dip_is_no_period(of_noise):
    curves = noise(6, seed=4)
    curves[:, 1000:1010] -= 30
    found = box.search(curves)
    assert found.statistic.max() < 1.3 * of_noise.statistic.max()
    # The same depth in three places is one.
    repeated = noise(6, seed=4) + make_dips(15.0, 7.0, 5, 30.0)
    assert box.search(repeated).statistic.min() > 3 * found.statistic.max()


def test_red_noise_counts_as_noise():
    """A dip on a wandering star is worth less than the same dip on a quiet one."""
    white = noise(4, seed=5)
    kernel = np.exp(-0.5 * (np.arange(-20, 21) / 6) ** 2)
    red = np.array([np.convolve(star, kernel, "same") for star in noise(4, seed=6)])
    red = red / red.std() + 0.3 * white
    dips = make_dips(4.4, 2.0, 3, 1.5)
    assert np.all(box.search(red + dips).snr < 0.6 * box.search(white + dips).snr)


def test_side_by_side_as_one_by_one_and_each_light_curve_once(monkeypatch):
    curves = noise(5, seed=7) + make_dips(3.3, 1.0, 3, 2.0)
    expected = np.array([box.search_star(curve) for curve in curves]).T
    np.testing.assert_array_equal(np.array(box.search(curves)), expected)
    searched, search_star = [], box.search_star
    monkeypatch.setattr(box, "search_star", lambda c: searched.append(c) or search_star(c))
    classifier = BoxLeastSquares()
    first = classifier.search(curves[:3])
    again = classifier.copy().search(curves[[4, 2, 1, 4]])
    np.testing.assert_array_equal(np.array(first), expected[:, :3])
    np.testing.assert_array_equal(np.array(again), expected[:, [4, 2, 1, 4]])
    assert len(searched) == 4  # stars 0 to 2, and 4 once


@pytest.fixture(scope="module")
def planets():
    """Clear planets of a 65-day campaign, periodic in true time: truth, and what is found."""
    rng = np.random.default_rng(11)
    time = np.arange(3197) * CADENCE_DAYS
    truth, curves = [], noise(12, seed=11, n_cadences=len(time))
    for curve, period in zip(curves, np.geomspace(0.9, 14, 12), strict=True):
        planet = {"period": period, "epoch": rng.uniform(0, period), "radius_ratio": 0.08}
        dip = 1 - transit_flux(time, impact=0.3, **planet)
        curve -= 8 * dip / dip.max()
        truth.append(planet)
    return truth, box.search(curves)


def test_periods_of_clear_planets_are_right_to_a_part_in_5000(planets):
    truth, found = planets
    period = np.array([planet["period"] for planet in truth])
    np.testing.assert_allclose(found.period, period, rtol=2e-4)
    epoch = np.array([planet["epoch"] for planet in truth])
    assert np.abs((found.epoch - epoch + period / 2) % period - period / 2).max() < 0.01


@pytest.mark.parametrize("multiple", [2, 3])
def test_where_only_every_second_or_third_dip_is_there_the_period_is_longer(multiple):
    time = np.arange(3197) * CADENCE_DAYS
    curve = noise(1, seed=12, n_cadences=3197)[0] + make_dips(5.76 * multiple, 2.0, 5, 6.0, time)
    short = 5.76, 2.0 + 5.76 * (multiple - 1), 5 / 24
    period, epoch = box._find_multiple(time, curve, *short)
    assert period == 5.76 * multiple
    assert (epoch - 2.0) % period == pytest.approx(0, abs=1e-9)
    # Where all dips are there, or none is, nothing changes.
    assert box._find_multiple(time, curve, period, epoch, 5 / 24) == (period, epoch)
    quiet = noise(1, seed=13, n_cadences=3197)[0]
    assert box._find_multiple(time, quiet, *short) == short[:2]


def test_of_years_a_period_is_not_given_as_its_quarter():
    time = np.arange(12_000) * CADENCE_DAYS  # 245 d
    curve = noise(1, seed=15, n_cadences=12_000)[0] + make_dips(45.31, 9.0, 8, 6.0, time)
    near = 45.31 / np.array([4.0, 8.0])  # as candidates of the transit network may be
    found = box.search_star(curve, time, near)
    assert found.period == pytest.approx(45.31, rel=1e-3)
    assert found.depth == pytest.approx(6, rel=0.2)


def test_a_trial_period_at_which_no_box_fits_is_no_peak(monkeypatch):
    power = box.BoxLeastSquaresModel.power

    def leave_unset(self, periods, *args, **kwargs):
        found = power(self, periods, *args, **kwargs)
        found.depth[5], found.duration[5] = -np.inf, 1e300  # as Astropy leaves it
        return found

    time = np.arange(3197) * CADENCE_DAYS
    curve = noise(1, seed=17, n_cadences=3197)[0] + make_dips(4.3, 1.0, 4, 4.0, time)
    monkeypatch.setattr(box.BoxLeastSquaresModel, "power", leave_unset)
    assert box.search_star(curve).period == pytest.approx(4.3, rel=1e-3)


def test_each_depth_is_held_against_the_scatter_of_boxes_of_its_own_width(monkeypatch):
    """Astropy gives a width of 4 h as 4.17 h."""
    width = {hours: 10.0 + hours for _, _, widths in box.SEARCHES for hours in widths}
    monkeypatch.setattr(box, "_box_scatter", lambda flux, n: width[round(n * 24 * PER_SAMPLE, 6)])
    peaks = box._find_peaks(TIME[::2], noise(1)[0, ::2], near=None)
    hours = peaks[:, 3] * 24
    nearest = [min(width, key=lambda known, given=given: abs(known - given)) for given in hours]
    assert set(nearest) == {1.5, 2.5, 3.0, 4.0, 7.0}
    assert np.array_equal(peaks[:, 4], [width[known] for known in nearest])


def test_a_gap_is_no_transit_that_is_missing():
    """The statistic of a planet hardly depends on the gap between its two halves."""
    measured = [np.arange(1300), np.arange(1300) + 1300 + 34_000]  # 700 d apart
    statistic = []
    for second in measured:
        time = np.concatenate([measured[0], second if second[0] else second + 1300]) * CADENCE_DAYS
        curve = noise(1, seed=16, n_cadences=2600)[0] + make_dips(3.1, 1.0, 4, 2.5, time)
        statistic.append(box.search_star(curve, time).statistic)
    assert statistic[1] > 0.6 * statistic[0] > 5


@pytest.mark.parametrize(("month", "gap", "at_end"), [(840, 149, False), (824, 71, True)])
def test_no_transit_is_found_in_a_gap(month, gap, at_end):
    """Where something comes with every gap, what is found was measured on one side of it."""
    time = np.concatenate([np.arange(month - gap) + k * month for k in range(7)])
    for seed in range(6):
        curve = noise(1, seed, n_cadences=len(time))[0]
        curve[time % month == (month - gap - 1 if at_end else 0)] -= 12
        found = box.search_star(curve, time * CADENCE_DAYS)
        assert all(np.isfinite(value) for value in found)


def test_a_long_period_is_not_given_as_its_half():
    time = np.arange(3197) * CADENCE_DAYS
    curves = noise(4, seed=14, n_cadences=3197)
    curves += [make_dips(p, 1.5, 4, 5.0, time) for p in (7.0, 11.52, 14.1, 18.9)]
    np.testing.assert_allclose(box.search(curves).period, [7.0, 11.52, 14.1, 18.9], rtol=1e-3)


def test_periods_are_those_of_the_times_given():
    """A file without the thrusters' cadences: index runs slow, the given time does not."""
    kept = np.arange(3197) % 11 != 10
    time = np.arange(3197)[kept][:N] * CADENCE_DAYS
    curves = noise(3, seed=8)[:, : len(time)] + make_dips(4.7, 2.0, 4, 3.0, time)
    found = [box.search_star(curve, time).period for curve in curves]
    np.testing.assert_allclose(found, 4.7, rtol=1e-3)
    np.testing.assert_allclose(box.search(curves).period, 4.7 * 10 / 11, rtol=0.01)


@pytest.mark.parametrize("n_cadences", [500, 501, 900])
def test_short_curves_are_searched_up_to_a_third_of_their_length(n_cadences):
    curves = noise(2, seed=9, n_cadences=n_cadences)
    found = box.search(curves + make_dips(1.3, 0.5, 2.5, 4.0, TIME[:n_cadences]))
    assert all(np.isfinite(values).all() for values in found)
    np.testing.assert_allclose(found.period, 1.3, rtol=0.02)
    longest = box.search(curves).period.max()
    assert longest <= n_cadences * CADENCE_DAYS / 3


@pytest.mark.parametrize("curve", [np.zeros(N), np.where(np.arange(N) < 99, -50.0, 0.0)])
def test_a_light_curve_without_noise_has_numbers_too(curve):
    assert all(np.isfinite(value) for value in box.search_star(curve))


def test_no_star_no_result():
    found = box.search(np.empty((0, N)))
    assert all(values.shape == (0,) for values in found)


def test_trial_periods_are_dense_enough_that_no_transit_drifts_away():
    periods = np.sort(box.trial_periods(0.6, 20.0, 60.0))
    assert periods[0] >= 0.6 * (1 - 1e-6) and periods[-1] <= 20 * (1 + 1e-6)
    assert periods[0] < 0.61 and periods[-1] > 19.5
    # Half a step of period, over all orbits of the baseline, against a Sun-like star's transit.
    drift = np.diff(periods) / 2 * 60 / periods[:-1]
    assert np.all(drift < 0.076 * periods[:-1] ** (1 / 3))


@pytest.mark.parametrize("period", [0.81, 7.9])
def test_a_search_near_the_right_period_finds_what_a_whole_search_finds(period, of_noise):
    curve = noise(1, seed=2)[0] + make_dips(period, 0.3, 4, 3.0)
    whole, near = box.search_star(curve), box.search_star(curve, near=np.array([period * 1.001]))
    assert near[1:] == whole[1:]
    assert near.statistic == pytest.approx(whole.statistic, rel=0.2)
    away = box.search_star(curve, near=np.array([period * 1.09]))
    assert away.statistic < near.statistic
    blank = [box.search_star(star, near=np.array([period])) for star in noise(6, seed=1)]
    assert max(found.statistic for found in blank) <= 1.2 * of_noise.statistic.max()
