"""The fit of one ephemeris: injected truth comes back, with errors that hold."""

import numpy as np
import pytest

from exoplanets.search.ephemeris import Ephemeris
from exoplanets.search.fit import measure_transits
from exoplanets.search.local_trend import average_dips, cut_windows, measure_dips
from exoplanets.search.transit_shape import UNSMEARED
from exoplanets.stars import CADENCE_DAYS
from exoplanets.transits import transit_duration, transit_flux

LEVEL = 2e4
PLANET = {"period": 3.3, "epoch": 1.234, "radius_ratio": 0.06, "impact": 0.4}
DURATION = transit_duration(3.3, 0.06, 0.4)
DEPTH = 1 - transit_flux(np.array([1.234]), exposure_days=UNSMEARED, **PLANET)[0]
# Off by a cadence in epoch, by a quarter of a transit at the end, and too short.
GUESS = Ephemeris(3.3 * (1 + 0.25 * DURATION / 65), 1.234 + CADENCE_DAYS, 0.6 * DURATION)
TIMES = np.arange(0, 65, CADENCE_DAYS)


def make_flux(times=TIMES, noise=3e-4, seed=0, spots=0.01, secondary=0.0, offset=0.5, **changes):
    """Flux of a spotted star with a planet, and eclipses of it a part of the period later."""
    planet = PLANET | changes
    flux = transit_flux(times, **planet)
    late = planet | {"epoch": planet["epoch"] + offset * planet["period"]}
    flux = flux + secondary * (transit_flux(times, **late) - 1)
    noise = np.random.default_rng(seed).normal(0, noise, len(times))
    return LEVEL * (flux * (1 + spots * np.sin(2 * np.pi * times / 5.7)) + noise)


def test_a_planet_of_a_spotted_star_comes_back():
    fit = measure_transits(TIMES, make_flux(), GUESS, level=LEVEL)
    assert fit.notes == ""
    assert fit.period_days == pytest.approx(3.3, abs=4 * fit.period_error_days)
    assert fit.epoch_days == pytest.approx(1.234, abs=4 * fit.epoch_error_days)
    assert fit.period_error_days < 2e-4 and fit.epoch_error_days < 2e-3
    assert fit.depth_ppm == pytest.approx(1e6 * DEPTH, abs=4 * fit.depth_error_ppm)
    assert fit.depth_ppm == pytest.approx(1e6 * DEPTH, rel=0.05)
    assert fit.radius_ratio == pytest.approx(0.06, abs=0.006)
    assert fit.duration_hours == pytest.approx(24 * DURATION, rel=0.1)
    assert fit.n_transits == 20
    assert fit.snr > 60
    assert fit.odd_even_sigma < 3 and fit.secondary_sigma < 3


def test_pulls_are_those_of_honest_errors():
    pulls = []
    rng = np.random.default_rng(4)
    for seed in range(25):
        red = np.convolve(rng.normal(0, 1e-4, len(TIMES) + 24), np.ones(25) / 5, "valid")
        flux = make_flux(seed=seed) * (1 + red)
        fit = measure_transits(TIMES, flux, GUESS, level=LEVEL)
        pulls.append(
            [
                (fit.period_days - 3.3) / fit.period_error_days,
                (fit.epoch_days - 1.234) / fit.epoch_error_days,
                (fit.depth - DEPTH) / fit.depth_error,
            ]
        )
    assert np.all((np.std(pulls, axis=0) > 0.6) & (np.std(pulls, axis=0) < 1.5))


def test_red_noise_makes_errors_larger():
    slow = np.random.default_rng(4).normal(0, 1e-3, len(TIMES) + 11)
    red = np.convolve(slow, np.ones(12) / 3.5, "valid")
    quiet = measure_transits(TIMES, make_flux(), GUESS, level=LEVEL)
    noisy = measure_transits(TIMES, make_flux() * (1 + red), GUESS, level=LEVEL)
    step = np.std(np.diff(make_flux() * (1 + red))) / np.std(np.diff(make_flux(spots=0)))
    for name in ("depth_error", "epoch_error_days", "period_error_days"):
        assert getattr(noisy, name) > 1.5 * step * getattr(quiet, name), name
    ratio = np.nanmedian(noisy.transit_times.error) / np.nanmedian(quiet.transit_times.error)
    assert ratio > 1.5 * step


def test_without_a_level_the_depth_is_in_the_unit_of_the_file():
    flux = make_flux()
    relative = measure_transits(TIMES, flux, GUESS, level=LEVEL)
    plain = measure_transits(TIMES, flux - np.median(flux), GUESS)
    assert plain.depth == pytest.approx(LEVEL * relative.depth, rel=0.02)
    assert np.isnan([plain.depth_ppm, plain.radius_ratio, plain.secondary_ppm]).all()
    assert plain.period_days == pytest.approx(relative.period_days, abs=1e-4)
    difference = plain.detrended / LEVEL - relative.detrended
    assert np.median(np.abs(difference)) < 1e-3 * DEPTH


@pytest.mark.parametrize("scale", [1e-300, 1e-3, 1e295])
def test_the_unit_of_the_flux_changes_nothing(scale):
    flux = make_flux()
    fit = measure_transits(TIMES, flux, GUESS, level=LEVEL)
    other = measure_transits(TIMES, scale * flux, GUESS, level=scale * LEVEL)
    for name in ("period_days", "depth_ppm", "radius_ratio", "secondary_phase"):
        assert getattr(other, name) == pytest.approx(getattr(fit, name), rel=5e-3), name
    assert other.snr == pytest.approx(fit.snr, rel=0.05)


def test_gaps_and_a_distant_zero_of_time_change_little():
    days = 2454833.0
    kept = (np.random.default_rng(1).random(len(TIMES)) < 0.9) & ~((TIMES > 20) & (TIMES < 27.5))
    flux = make_flux()
    flux[::50] = np.nan
    late = Ephemeris(GUESS.period, GUESS.epoch + days, GUESS.duration)
    fit = measure_transits(days + TIMES[kept], flux[kept], late, level=LEVEL)
    assert fit.period_days == pytest.approx(3.3, abs=4 * fit.period_error_days)
    assert fit.epoch_days - days == pytest.approx(1.234, abs=4 * fit.epoch_error_days)
    assert fit.depth == pytest.approx(DEPTH, rel=0.05)
    assert 16 <= fit.n_transits <= 18
    assert np.isnan(fit.detrended).tolist() == np.isnan(flux[kept]).tolist()


def test_gaps_that_were_filled_are_gaps():
    """Kaggle's hosts repeat the value before where a cadence was lost, also within transits."""
    flux, lost = make_flux(), np.random.default_rng(1).random(len(TIMES)) < 0.07
    lost[0] = False
    before = np.maximum.accumulate(np.where(lost, 0, np.arange(len(TIMES))))
    filled = measure_transits(TIMES, flux[before], GUESS, level=LEVEL)
    missing = measure_transits(TIMES, np.where(lost, np.nan, flux), GUESS, level=LEVEL)
    for name in ("period_days", "epoch_days", "depth_ppm", "duration_hours", "snr"):
        assert getattr(filled, name) == getattr(missing, name)
    assert np.isnan(filled.detrended[lost]).all()


def test_wild_cadences_change_little():
    flux = make_flux()
    wild = np.random.default_rng(2).integers(0, len(TIMES), 30)
    flux[wild] += LEVEL * np.random.default_rng(3).choice([-0.3, 0.3], 30)
    in_transit = np.argmin(np.abs(TIMES - 1.234 - 2 * 3.3))
    flux[in_transit] -= 0.5 * LEVEL
    fit = measure_transits(TIMES, flux, GUESS, level=LEVEL)
    assert fit.period_days == pytest.approx(3.3, abs=5 * fit.period_error_days)
    assert fit.depth == pytest.approx(DEPTH, rel=0.08)


def test_one_transit_has_no_period():
    times = TIMES[TIMES < 12]
    flux = make_flux(times, epoch=6.0, period=30.0)
    duration = transit_duration(30.0, 0.06, 0.4)
    fit = measure_transits(times, flux, Ephemeris(30.0, 6.02, duration), level=LEVEL)
    assert fit.n_transits == 1 and fit.period_days == 30 and np.isnan(fit.period_error_days)
    assert fit.epoch_days == pytest.approx(6.0, abs=4 * fit.epoch_error_days)
    assert fit.depth == pytest.approx(DEPTH, rel=0.15)
    assert np.isnan(fit.odd_even_sigma)


def test_four_years_are_as_good():
    times = np.arange(0, 1400, CADENCE_DAYS)
    guess = Ephemeris(3.3 * (1 + 0.25 * DURATION / 1400), GUESS.epoch, GUESS.duration)
    fit = measure_transits(times, make_flux(times), guess, level=LEVEL)
    assert fit.n_transits > 410
    assert fit.period_days == pytest.approx(3.3, abs=4 * fit.period_error_days)
    assert fit.period_error_days < 2e-6
    assert fit.depth == pytest.approx(DEPTH, rel=0.01)


@pytest.mark.parametrize(
    ("factor", "share"), [(0.5, 0.0), (1 / 3, 0.0), (2, 0.0), (3, 0.0), (5, 0.0)]
)
def test_other_periods_are_settled(factor, share):
    guess = Ephemeris(3.3 * factor, PLANET["epoch"], DURATION)
    fit = measure_transits(TIMES, make_flux(secondary=share), guess, level=LEVEL)
    assert fit.period_days == pytest.approx(3.3, rel=1e-3)
    assert fit.epoch_days == pytest.approx(1.234, abs=0.01)


def test_a_binary_at_half_its_period_has_odd_and_even_eclipses():
    guess = Ephemeris(1.65, PLANET["epoch"], DURATION)
    fit = measure_transits(TIMES, make_flux(secondary=0.6), guess, level=LEVEL)
    assert fit.period_days == pytest.approx(1.65, rel=1e-3)
    assert fit.odd_even_sigma > 8
    number, depth = fit.transit_times.number, fit.transit_times.depth
    odd, even = (np.median(depth[number % 2 == parity]) for parity in (1, 0))
    assert min(odd, even) / max(odd, even) == pytest.approx(0.6, abs=0.08)


@pytest.mark.parametrize("phase", [0.5, 0.37])
def test_a_secondary_is_found_where_it_is(phase):
    flux = make_flux(secondary=0.2, offset=phase)
    fit = measure_transits(TIMES, flux, GUESS, level=LEVEL)
    assert fit.period_days == pytest.approx(3.3, rel=1e-3)
    assert fit.secondary_phase == pytest.approx(phase, abs=0.25 * DURATION / 3.3)
    assert fit.secondary_ppm == pytest.approx(0.2e6 * DEPTH, rel=0.25)
    assert fit.secondary_sigma > 6 and fit.odd_even_sigma < 3


def test_the_times_of_single_transits_follow_a_wave():
    late = 0.02 * np.sin(2 * np.pi * np.arange(20) / 7)
    flux = make_flux()
    shifted = np.concatenate(
        [
            make_flux(TIMES[part], spots=0, noise=0, epoch=1.234 + late[n])
            for n in range(20)
            for part in [np.rint((TIMES - 1.234) / 3.3) == n]
        ]
    )
    flux += shifted - make_flux(spots=0, noise=0)
    fit = measure_transits(TIMES, flux, GUESS, level=LEVEL)
    number, time, error, depth = fit.transit_times
    assert number.tolist() == list(range(20))
    miss = time - 1.234 - 3.3 * number - late
    assert np.abs(miss / error).max() < 5 and np.abs(miss).max() < 0.01
    assert fit.epoch_error_days > 0.004  # the wave is no line
    assert np.median(depth) == pytest.approx(fit.depth, rel=0.1)


def test_the_model_lies_on_the_detrended_flux():
    fit = measure_transits(TIMES, make_flux(noise=1e-5), GUESS, level=LEVEL)
    hours = 24 * fit.ephemeris.since_transit(TIMES)
    near = np.abs(hours) < 6
    rest = fit.detrended[near] - fit.model(hours[near])
    assert np.std(rest) < 0.02 * DEPTH
    assert fit.model(0.0) == pytest.approx(-DEPTH, rel=0.1)
    days = np.linspace(-0.1, 0.1, 2001)
    deep = 1 - transit_flux(days, **PLANET | {"epoch": 0.0}) > DEPTH / 2
    assert fit.ephemeris.duration == pytest.approx(np.ptp(days[deep]), rel=0.03)


def test_coarse_samples_need_their_exposure():
    times = np.arange(0, 65, 0.0511)
    flux = LEVEL * transit_flux(times, exposure_days=0.0511, **PLANET)
    flux += np.random.default_rng(0).normal(0, 2e-4 * LEVEL, len(times))
    fit = measure_transits(times, flux, GUESS, level=LEVEL, exposure_days=0.0511)
    assert fit.depth == pytest.approx(DEPTH, rel=0.08)
    assert fit.duration_hours == pytest.approx(24 * DURATION, rel=0.15)
    assert measure_transits(times, flux, GUESS, level=LEVEL).duration_hours > fit.duration_hours


@pytest.mark.parametrize(
    ("flux", "guess", "note"),
    [
        (np.where(np.arange(3000) % 2, np.nan, 5.0), GUESS, "does not vary"),
        (np.full(3000, 5.0), GUESS, "fewer than"),  # each repeats the one before: none is measured
        (np.full(3000, np.nan), GUESS, "fewer than"),
        (np.arange(5.0), GUESS, "fewer than"),
        (np.random.default_rng(0).normal(size=3000), Ephemeris(np.nan, 1, 0.1), "cannot be fitted"),
        (np.random.default_rng(0).normal(size=3000), Ephemeris(3, 1, -0.1), "cannot be fitted"),
        (np.random.default_rng(0).normal(size=3000), Ephemeris(1e300, 1, 0.1), "cannot be fitted"),
        (np.random.default_rng(0).normal(size=200), Ephemeris(9, 8, 0.1), "no transit falls"),
    ],
)
def test_what_cannot_be_measured_is_nan_and_says_why(flux, guess, note):
    times = np.arange(len(flux)) * CADENCE_DAYS
    fit = measure_transits(times, flux, guess, level=LEVEL)
    assert note in fit.notes
    assert np.isnan([fit.depth, fit.depth_ppm, fit.snr, fit.period_error_days]).all()
    assert fit.period_days == guess.period or np.isnan(guess.period)
    assert fit.n_transits == 0 and np.isnan(fit.model([0.0, 1.0])).all()
    assert len(fit.transit_times.time) == 0


@pytest.mark.parametrize("level", [0.0, -3.0, np.nan, np.inf, 1e300, 1e-300])
def test_a_level_that_cannot_be_is_not_used_and_named(level):
    fit = measure_transits(TIMES, make_flux(), GUESS, level=level)
    assert "level" in fit.notes and np.isnan(fit.depth_ppm)
    assert fit.depth == pytest.approx(LEVEL * DEPTH, rel=0.1)


def test_the_local_trend_leaves_the_depth_as_it_is():
    times = np.arange(0, 10, 0.02)
    parabola = 5 + 3 * (times - 5) - 40 * (times - 5) ** 2
    dip = (np.abs(times - 5) < 0.1).astype(float)
    flux = parabola - 2 * dip
    flux[[200, 300]] += 1e4  # one in the window, one beyond it
    windows = cut_windows(times, flux, np.array([5.0, -3.0]), 0.15, 1.2, dip > 0)
    assert set(windows.window) == {0}  # there is nothing around the other
    depths, weight = measure_dips(windows, dip[windows.sample])
    assert depths[0] == pytest.approx(2, abs=1e-6) and np.isnan(depths[1])
    assert weight.tolist() == [dip.sum(), 0]


def test_other_transits_are_no_trend():
    times = np.arange(0, 10, 0.02)
    here, others = np.abs(times - 5) < 0.1, np.abs(np.abs(times - 5) - 0.8) < 0.4
    flux = -2.0 * (here | others)
    windows = cut_windows(times, flux, np.array([5.0]), 0.15, 1.5, here | others)
    assert measure_dips(windows, here[windows.sample].astype(float))[0] == pytest.approx(2)


def test_wild_depths_are_left_out_of_the_mean():
    mean, count = average_dips(np.array([1.0, 1.1, 0.9, 50.0, np.nan]), 0.1)
    assert mean == pytest.approx(1) and count == 3
    mean, count = average_dips(np.full((2, 3), np.nan), np.nan)
    assert np.isnan(mean).all() and count.tolist() == [0, 0]
