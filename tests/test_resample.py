"""scoring/resample.py: any sampling to the long cadence, and parts of one star joined."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from exoplanets.files import DataError
from exoplanets.scoring.resample import Resampled, join, sort_samples, to_long_cadence
from exoplanets.stars import CADENCE_DAYS
from exoplanets.transits import transit_flux

N = 600  # cadences
MINUTE = 1 / 1440  # days


def sampled(step_minutes, days=30.0, **planet):
    """Times, and the truth at them: a planet's transits, averaged over each exposure."""
    time = np.arange(0, days, step_minutes * MINUTE)
    planet = {"period": 3.3, "epoch": 1.7, "radius_ratio": 0.1} | planet
    return time, transit_flux(time, exposure_days=step_minutes * MINUTE, **planet)


@pytest.mark.parametrize("step_minutes", [20 / 60, 58.85 / 60, 2, 10, 20])
def test_finer_sampling_is_averaged_where_it_belongs(step_minutes):
    fine_time, fine = sampled(step_minutes)
    time, flux, cadence, note, _ = to_long_cadence(
        fine_time + 2454833, fine, np.arange(fine.size, dtype=float)
    )
    assert note == f"resampled from {step_minutes:.1f} min"
    assert cadence is None  # the numbers were those of short cadences
    assert np.allclose(np.diff(time), CADENCE_DAYS, rtol=0, atol=1e-8)
    assert (time.size - 1) * CADENCE_DAYS <= np.ptp(fine_time) + step_minutes * MINUTE
    truth = transit_flux(time - 2454833, period=3.3, epoch=1.7, radius_ratio=0.1)
    steepest = np.abs(np.diff(truth)).max() / CADENCE_DAYS  # per day
    # A bin holds a sample more or less than it should.
    assert np.nanmax(np.abs(flux - truth)) < steepest * step_minutes * MINUTE
    assert not np.isnan(flux[:-1]).any()  # the last is cut short
    assert truth.min() < 0.99  # there are transits to be displaced
    late = transit_flux(time - 2454833 - CADENCE_DAYS, period=3.3, epoch=1.7, radius_ratio=0.1)
    assert np.nansum((flux - truth) ** 2) < 0.05 * np.nansum((flux - late) ** 2)


def test_bins_are_means_and_conserve_what_they_average():
    fine = np.random.default_rng(0).normal(size=30 * 50)
    time = np.arange(fine.size) * CADENCE_DAYS / 30
    curve = to_long_cadence(time, fine)
    assert np.allclose(curve.flux, fine.reshape(50, 30).mean(axis=1), rtol=0, atol=1e-14)
    assert np.allclose(curve.time, time.reshape(50, 30).mean(axis=1), rtol=0, atol=1e-12)


def test_a_bin_needs_half_of_its_samples():
    time = np.arange(30 * 50) * CADENCE_DAYS / 30
    fine = np.ones(time.size)
    fine[30 * 7 : 30 * 7 + 15] = np.nan  # half is left
    fine[30 * 9 : 30 * 9 + 16] = np.nan  # one less
    kept = np.ones(time.size, bool)
    kept[30 * 20 + 10 : 30 * 30] = False  # rows that are not there at all
    long_time, flux, *_ = to_long_cadence(time[kept], fine[kept])
    assert np.flatnonzero(np.isnan(flux)).tolist() == [9, *range(20, 30)]
    assert np.allclose(long_time, (np.arange(50) + 0.5) * CADENCE_DAYS - CADENCE_DAYS / 60)
    assert (flux[~np.isnan(flux)] == 1).all()


@pytest.mark.parametrize("numbered", [False, True])
@pytest.mark.parametrize("step_minutes", [29.4244, 29.4244 * 0.975, 30.0])
def test_long_cadence_is_kept_bit_for_bit_with_its_gaps_and_times(step_minutes, numbered):
    rng = np.random.default_rng(0)
    whole = 1e3 + np.arange(4000) * step_minutes * MINUTE
    whole += 0.1 * CADENCE_DAYS * np.sin(2 * np.pi * whole / 372)  # the barycentre's ripple
    values = rng.normal(size=whole.size)
    kept = rng.random(whole.size) > 0.1
    kept[1000:2500] = False
    kept[[0, -1]] = True
    number = np.arange(4000.0)[kept] + 7000 if numbered else None
    time, flux, cadence, note, _ = to_long_cadence(whole[kept], values[kept], number)
    assert np.array_equal(flux, np.where(kept, values, np.nan), equal_nan=True)
    assert np.array_equal(time[kept], whole[kept])
    assert np.abs(time - whole).max() < 0.2 * CADENCE_DAYS
    assert note == ("" if step_minutes == 29.4244 else f"sampled every {step_minutes:.1f} min")
    if numbered:
        assert np.array_equal(cadence, np.arange(4000) + 7000)
        assert cadence.dtype == np.int64
    else:
        assert cadence is None


@given(st.floats(0.972, 1.028), st.integers(0, 2**32 - 1))
def test_placing_changes_no_value_order_or_time(ratio, seed):
    rng = np.random.default_rng(seed)
    time = np.cumsum(rng.geometric(0.8, 300)) * CADENCE_DAYS * ratio
    values = rng.normal(size=time.size)
    long_time, flux, *_ = to_long_cadence(time, values)
    known = ~np.isnan(flux)
    assert np.array_equal(flux[known], values) and np.array_equal(long_time[known], time)
    assert (np.diff(long_time) > 0).all()
    assert flux.size == round(np.ptp(time) / CADENCE_DAYS / ratio) + 1


@pytest.mark.parametrize(
    "wrong",
    [
        lambda number: number[::-1],
        lambda number: number * 0,
        lambda number: np.where(number == 5, np.nan, number),
        lambda number: number**2,  # increasing, but not with the clock
        lambda number: number * 15,  # of short cadences
        lambda number: number * 1e12,
        lambda number: np.where(number == N - 1, 1e300, number),
        lambda number: np.where(number == N - 1, np.inf, number),
        lambda number: np.where(number > 5, number + 1e12, number),
    ],
)
def test_cadence_numbers_that_contradict_the_times_are_not_believed(wrong):
    time = np.arange(N) * CADENCE_DAYS
    curve = to_long_cadence(time, time, wrong(np.arange(N, dtype=float)))
    assert curve.cadence is None
    assert np.array_equal(curve.flux, time) and np.array_equal(curve.time, time)


@pytest.mark.parametrize("step_minutes", [35, 40, 72, 144, 179])
def test_coarser_sampling_is_interpolated_but_not_over_gaps(step_minutes):
    coarse_time, values = sampled(step_minutes, days=40)
    kept = np.ones(values.size, bool)
    kept[[50, 100, 101]] = False  # bridged
    kept[150:153] = False  # not
    values[200:203] = np.nan  # nor this
    time, flux, cadence, note, _ = to_long_cadence(2000 + coarse_time[kept], values[kept])
    assert cadence is None and note.startswith(f"sampled every {step_minutes:.1f} min")
    assert note.endswith("shapes of short transits are smeared") == (step_minutes > 45)
    assert np.allclose(np.diff(time), CADENCE_DAYS, rtol=0, atol=1e-8)
    gap = np.zeros(time.size, bool)
    for first, last in ((149, 153), (199, 203)):
        ends = 2000 + coarse_time[[first, last]]
        gap |= (time > ends[0]) & (time < ends[1])
    assert np.array_equal(np.isnan(flux), gap) and gap.any()
    # Between two samples lie their values; the mean is that of the samples.
    here = np.searchsorted(2000 + coarse_time, time[~gap], "right").clip(1, values.size - 1)
    known = np.where(kept, values, np.nan)
    low, high = np.fmin(known[here - 1], known[here]), np.fmax(known[here - 1], known[here])
    inside = np.isfinite(known[here - 1]) & np.isfinite(known[here])
    assert (flux[~gap] >= low - 1e-12)[inside].all() and (flux[~gap] <= high + 1e-12)[inside].all()
    assert np.nanmean(1 - flux) == pytest.approx(np.nanmean(1 - values[kept]), rel=0.1)


def test_a_coarse_star_without_flux_is_all_missing():
    curve = to_long_cadence(np.arange(N) * 72 * MINUTE, np.full(N, np.nan))
    assert np.isnan(curve.flux).all() and curve.flux.size == curve.time.size


@pytest.mark.parametrize("digits", [2, 3])
def test_rounded_times_are_the_same_clock_and_raise_no_note(digits):
    """Steps of 0.020 d and 0.021 d are 29.4 min on the mean, and not 28.8."""
    whole = 130 + np.arange(4000) * CADENCE_DAYS
    kept = np.random.default_rng(0).random(4000) > 0.1
    kept[[0, -1]] = True
    kept[1000:2500] = False
    time, flux, _, note, _ = to_long_cadence(np.round(whole[kept], digits), whole[kept])
    assert note == "" and np.array_equal(flux, np.where(kept, whole, np.nan), equal_nan=True)
    assert np.abs(time - whole).max() < 10.0**-digits


def test_uneven_sampling_goes_to_the_nearest_cell():
    # Steps that count as one each but are longer, and steps that count as none.
    rng = np.random.default_rng(0)
    longer = np.cumsum(rng.choice([1, 1, 1, 1.4], 2000) - 0.08)
    for time in (longer, np.arange(2000) + rng.uniform(-0.45, 0.45, 2000)):
        time = time * CADENCE_DAYS
        long_time, flux, *_ = to_long_cadence(time, time)
        known = ~np.isnan(flux)
        assert np.array_equal(flux[known], long_time[known])
        assert known.sum() > 0.7 * time.size  # few fall into one cell
        clock = time[0] + np.arange(flux.size) * CADENCE_DAYS
        assert np.abs(long_time - clock).max() < 0.51 * CADENCE_DAYS


@pytest.mark.parametrize("missing", [[100, 200], [100.2, 199.8]])
def test_of_two_values_in_a_cell_the_known_one_stays(missing):
    number = np.sort(np.append(np.arange(N), [100.2, 199.8]))
    values = np.where(np.isin(number, missing), np.nan, 1.0)
    time, flux, *_ = to_long_cadence(number * CADENCE_DAYS, values)
    assert flux.size == N and not np.isnan(flux).any()
    kept = number[~np.isin(number, missing)]
    assert np.array_equal(time, kept * CADENCE_DAYS)


@pytest.mark.parametrize(
    ("times", "words"),
    [
        (np.arange(N) * 1765.5, "years if they are in days"),  # seconds
        (np.arange(N) * 29.4244, "years if they are in days"),  # minutes
        (np.arange(N) * 29.4244 / 60, "0.4904 apart, which is 706.2 min if they are in days"),
        (np.arange(N) * 1.0, "1 apart, which is 1440.0 min if they are in days"),  # daily
        (np.arange(N) * 181 * MINUTE, "a value at least every 180 min"),
        (np.arange(N) * 1e-6, "0.086 s if they are in days: give them in days"),
        (np.append(0, 2454833 + np.arange(N) * CADENCE_DAYS), "from 0 to 2454845.2"),  # one stray
        (np.array([1.0]), "fewer than 2 cadences with a time"),
    ],
)
def test_times_that_cannot_be_used_are_refused_by_what_is_true(times, words):
    with pytest.raises(DataError) as error:
        to_long_cadence(times, np.ones(times.size))
    assert words in str(error.value) and len(str(error.value)) < 200


def test_samples_are_sorted_and_what_is_dropped_is_counted():
    time, flux = np.arange(N) * CADENCE_DAYS, np.random.default_rng(1).normal(size=N)
    order = np.append(np.random.default_rng(2).permutation(N), [5, 7])
    times = np.append(time[order], [np.nan, np.inf, np.nan])
    times[N : N + 2] = time[[5, 7]]
    values = np.append(flux[order], [1.0, 2.0, np.nan])
    flagged = np.zeros(times.size, bool)
    flagged[[0, N + 2]] = True
    got_time, got, number, dropped = sort_samples(times, values, flagged, np.arange(times.size))
    kept = np.arange(N) != order[0]
    if order[0] in (5, 7):
        kept[order[0]] = True
    assert np.array_equal(got_time, time[kept]) and np.array_equal(got, flux[kept])
    assert np.array_equal(time[order][number], got_time)
    assert dropped == {"rows without a time": 2, "flagged cadences": 1, "repeated times": 2}
    assert sort_samples(time, flux)[3] == {}


def test_of_a_repeated_time_a_known_value_is_kept():
    flux = np.array([np.nan, 5, 6, np.nan, 3, 4, np.nan, np.nan])
    time = np.array([1.0, 1, 1, 0, 2, 2, 3, 3])
    got_time, got, number, dropped = sort_samples(time, flux, cadence=np.arange(8.0))
    assert got_time.tolist() == [0, 1, 2, 3] and number.tolist() == [3, 1, 4, 6]
    np.testing.assert_array_equal(got, [np.nan, 5, 3, np.nan])
    assert dropped == {"repeated times": 4}


def part(start, stop, level, relative, number=True):
    cells = np.arange(start, stop)
    time = 100 + cells * CADENCE_DAYS
    return Resampled(time, level * relative[cells], cells + 50 if number else None)


def test_parts_are_joined_in_time_at_a_common_level():
    relative = 1 + np.random.default_rng(0).normal(0, 1e-4, 3 * N)
    parts = [part(1300, 1800, 0.8e4, relative), part(0, N, 1e4, relative)]
    parts += [part(N + 20, 1200, 1.1e4, relative)]
    curve, used = join(parts)
    assert used == [1, 2, 0]
    known = ~np.isnan(curve.flux)
    assert np.flatnonzero(~known).tolist() == [*range(N, N + 20), *range(1200, 1300)]
    assert np.allclose(curve.flux[known], 1e4 * relative[:1800][known], rtol=2e-5)
    assert np.array_equal(curve.cadence, np.arange(1800) + 50)
    parts[2] = parts[2]._replace(cadence=None)
    assert join(parts)[0].cadence is None


def test_a_part_that_is_there_twice_counts_once_and_an_overlap_too():
    relative = 1 + np.random.default_rng(0).normal(0, 1e-4, 3 * N)
    whole, inside = part(0, 1000, 100, relative), part(200, 700, 300, relative)
    later = part(900, 1500, 50, relative)
    empty = Resampled(whole.time, np.full(1000, np.nan), whole.cadence)
    curve, used = join([inside, whole, empty, whole, later])
    assert used == [1, 4]
    assert np.array_equal(curve.cadence, np.arange(1500) + 50)
    assert np.allclose(curve.flux, 100 * relative[:1500], rtol=2e-5)
    early = part(0, 300, 70, relative)
    assert join([early, whole])[1] == join([empty, whole, early])[1] == [1]
    assert join([empty, empty]) == (empty, [0])


def test_levels_below_zero_are_subtracted():
    values = np.random.default_rng(0).normal(0, 1, 2 * N)
    first = Resampled(np.arange(N) * CADENCE_DAYS, values[:N] - 500)
    second = Resampled(np.arange(N, 2 * N) * CADENCE_DAYS, values[N:] + 900)
    curve, _ = join([first, second])
    assert np.allclose(curve.flux, values, rtol=0, atol=0.2)  # each less its own median


def test_memory_is_linear_in_the_length_and_a_stray_time_makes_no_gigabytes():
    time = np.append(np.arange(N) * CADENCE_DAYS, 29 * 365.25)
    curve = to_long_cadence(time, np.ones(time.size))
    assert curve.flux.size == round(29 * 365.25 / CADENCE_DAYS) + 1
    assert np.isfinite(curve.flux).sum() == time.size
