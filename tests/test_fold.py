"""search/fold.py: the dips that repeat, at the period at which they do."""

import numpy as np
import pytest

from exoplanets.lightcurves import equalise
from exoplanets.search import fold
from exoplanets.search.events import DURATIONS, find_events
from exoplanets.stars import CADENCE_DAYS

YEAR = round(365.25 / CADENCE_DAYS)  # cadences


def make_coloured(rng, n_stars, n):
    """Noise as equalised light curves have it."""
    power = equalise.common_colour(np.abs(np.fft.fftfreq(n)))
    return np.fft.ifft(
        np.fft.fft(rng.normal(size=(n_stars, n))) * np.sqrt(power / power.mean())
    ).real


def dig(curve, period, epoch, duration=6, depth=4.0):
    """Put boxes of so many cadences into a light curve."""
    away = np.arange(len(curve)) - epoch
    away = away - period * np.rint(away / period)
    curve[np.abs(away) <= duration / 2] -= depth
    return curve


def whole(values):
    """Every cadence of some light curves was measured."""
    return np.ones((len(values), values.shape[-1]), bool)


# -------------------------------------------------------------------------------- the folding
def fold_plainly(series, period):
    """What `fold_series` says of one series and one period: cycles counted from groups of four."""
    two = round(2 * period)
    starts = [round(float(k * 4 * period)) for k in range(int(np.ceil(len(series) / 4 / period)))]
    starts = [s + lag for s in starts for lag in (0, two // 2, two, two + two // 2)]
    best = 0.0
    for phase in range(int(period) + 1):
        inside = [s + phase for s in starts if s + phase < len(series)]
        if len(inside) >= 2:
            best = max(best, sum(float(series[s]) for s in inside) / np.sqrt(len(inside)))
    return best


@pytest.mark.parametrize("n_steps", [160, 301])
def test_fold_equals_the_plain_one(n_steps, monkeypatch):
    monkeypatch.setattr(fold, "DRIFT", 11.0)  # few trial periods
    fold._plan.cache_clear()
    plan = fold._plan(n_steps, 9.0, 70.0)
    series = np.random.default_rng(n_steps).normal(size=(n_steps, 3)).astype(np.float32)
    found = fold.fold_series(series, plan)
    fold._plan.cache_clear()
    assert found.shape == (len(plan.periods), 3) and len(plan.periods) > 20
    for star in range(3):
        plain = [fold_plainly(series[:, star], period) for period in plan.periods]
        np.testing.assert_allclose(np.maximum(found[:, star], 0), plain, atol=1e-5)


def test_trial_periods_are_dense_and_need_two_transits():
    for n_steps in (200, 1000):
        periods = fold._plan(n_steps, 10.0, 10_000.0).periods
        assert periods[0] == 10 and n_steps / 2 / 1.02 < periods[-1] <= n_steps / 2 * 1.02
        drift = np.diff(periods) / periods[:-1] * n_steps
        np.testing.assert_allclose(drift, fold.DRIFT, rtol=1e-6)
    assert fold._plan(19, 10.0, 30.0) is None


def test_neither_a_lone_dip_nor_a_flare_makes_a_period():
    """A dip of a hundred scatters, or a flare, does not hide five dips of three."""
    events = np.zeros((2, len(DURATIONS), 3197), np.float32)
    events[:, :, 200::600] = 3
    events[0, :, 1000] = 100
    events[1, :, 1500] = -100
    period, epoch, noise = fold.search_periods(events, 1)
    np.testing.assert_allclose(period[:, 0], 600, rtol=0.003)
    np.testing.assert_allclose(epoch[:, 0] % period[:, 0], 200, atol=5)
    assert noise.shape == (2, 3) and (np.diff(noise, axis=1) >= 0).all()


# ----------------------------------------------------------------------------- the candidates
@pytest.mark.parametrize("n", [700, 1469, 3197, 5000, YEAR])
def test_a_planted_period_is_found_at_any_length(n):
    rng = np.random.default_rng(n)
    periods = np.array([31.7, 77.77, 201.3])
    curves = make_coloured(rng, len(periods), n)
    for curve, period in zip(curves, periods, strict=True):
        dig(curve, period, 0.4 * period, depth=3.0)
    candidates, noise = fold.find_ephemerides(find_events(curves), whole(curves), 4)
    assert candidates.star.tolist() == np.repeat([0, 1, 2], 4).tolist()
    assert noise.shape == (12, 3)
    found = candidates.period[::4]
    # Two or three cadences over the light curve, or 0.1 %.
    np.testing.assert_allclose(found, periods, rtol=max(0.001, 2.5 / n))
    late = (candidates.epoch[::4] - 0.4 * periods + found / 2) % found - found / 2
    assert np.abs(late).max() < 3
    assert (candidates.snr.max(axis=1).reshape(3, 4).argmax(axis=1) == 0).all()


def test_a_planet_too_weak_for_any_window_is_found_in_all_of_them():
    """More data make a planet stronger and noise weaker."""
    curve = make_coloured(np.random.default_rng(5), 2, 2 * YEAR)
    dig(curve[1], 251.7, 100, depth=1.0)
    events = find_events(curve)
    (short, _), (long, _) = (
        fold.find_ephemerides(some, whole(some), 6) for some in (events[:, :, :3197], events)
    )
    assert long.period[6] == pytest.approx(251.7, rel=2e-4)
    gain = long.snr.max(axis=1)[6] / short.snr.max(axis=1)[6]
    assert gain > 2
    both_search = long.period[:6] < fold.RARE[0].shortest / CADENCE_DAYS
    assert long.snr[:6][both_search].max() < 1.3 * short.snr[:6].max()


def test_weak_planets_are_mostly_among_the_candidates():
    """In the noise that the filters expect, a signal-to-noise ratio of about 6.5."""
    rng = np.random.default_rng(12)
    periods = np.exp(rng.uniform(np.log(40), np.log(900), 40))
    curves = make_coloured(rng, 40, 3197)
    for curve, period in zip(curves, periods, strict=True):
        dip = dig(np.zeros(3197), period, 0.7 * period, duration=6, depth=1.0)
        power = equalise.common_colour(np.abs(np.fft.fftfreq(3197)))
        snr = np.sqrt(np.mean(np.abs(np.fft.fft(dip)) ** 2 / (power / power.mean())))
        curve += 6.5 / snr * dip
    candidates, _ = fold.find_ephemerides(find_events(curves), whole(curves), 6)
    off = np.abs(candidates.period.reshape(40, 6) / periods[:, None] - 1)
    assert np.sum(off.min(axis=1) < 0.003) >= 33
    assert np.sum(off[:, 0] < 0.003) >= 27


def test_candidates_of_a_star_differ_in_period():
    curves = make_coloured(np.random.default_rng(1), 4, 9000)
    dig(curves[0], 99.0, 20)
    candidates, _ = fold.find_ephemerides(find_events(curves), whole(curves), 5)
    for period in np.log(candidates.period.reshape(4, 5))[1:]:
        assert np.diff(np.sort(period)).min() > 0.9 * fold.APART
    # All windows find the strong planet: it does not fill the places of all others.
    assert np.sum(np.abs(candidates.period[:5] / 99 - 1) < fold.APART) <= 2


def test_each_star_is_searched_by_itself():
    curves = make_coloured(np.random.default_rng(2), 6, 1500)
    events = find_events(curves)
    together, noise = fold.find_ephemerides(events, whole(events), 3)
    alone, noise_alone = fold.find_ephemerides(events[4:5], whole(events[4:5]), 3)
    for one, other in zip(together[1:], alone[1:], strict=True):
        np.testing.assert_array_equal(one[12:15], other)
    np.testing.assert_array_equal(noise[12:15], noise_alone)


@pytest.mark.parametrize("n_gap", [500, 2000, 2 * YEAR])
def test_a_gap_is_no_event_and_no_noise(n_gap):
    """A planet seen in two stretches has the events of both, however far apart they are."""
    rng, n = np.random.default_rng(4), 1500
    curves = np.zeros((2, 2 * n + n_gap))
    measured = np.ones(curves.shape, bool)
    measured[:, n : n + n_gap] = False
    curves[measured] = make_coloured(rng, 2, 2 * n).ravel()
    dig(curves[1], 151.3, 60, depth=3.0)
    curves[~measured] = 0
    found, noise = fold.find_ephemerides(find_events(curves, measured), measured, 3)
    assert found.period[3] == pytest.approx(151.3, rel=5e-4)
    together = np.concatenate([curves[:, :n], curves[:, n + n_gap :]], axis=1)
    _, usual = fold.find_ephemerides(find_events(together), whole(together), 3)
    np.testing.assert_allclose(noise, usual, rtol=0.35)
    alone = curves[:, :n]
    first, _ = fold.find_ephemerides(find_events(alone), whole(alone), 3)
    assert found.snr[3].max() == pytest.approx(np.sqrt(2) * first.snr[3].max(), rel=0.15)


@pytest.mark.parametrize("gap_days", [100, 400, 700, 1100])
def test_a_period_is_sharp_enough_to_bridge_a_gap(gap_days):
    """Each of two stretches of 40 days tells the period to a cadence; a gap makes that ten."""
    rng, n, n_gap = np.random.default_rng(11), 1960, round(gap_days / CADENCE_DAYS)
    measured = np.ones((5, 2 * n + n_gap), bool)
    measured[:, n : n + n_gap] = False
    periods = np.array([61.23, 97.7, 151.31, 211.47, 333.3])
    curves = np.zeros(measured.shape)
    curves[measured] = make_coloured(rng, 5, 2 * n).ravel()
    for curve, period in zip(curves, periods, strict=True):
        dig(curve, period, 0.6 * period, depth=3.0)
    curves[~measured] = 0
    found, _ = fold.find_ephemerides(find_events(curves, measured), measured, 6)
    # The true period is among the candidates that the network is shown.
    off = np.abs(found.period.reshape(5, 6) / periods[:, None] - 1).min(axis=1)
    np.testing.assert_array_less(off, 4 / measured.shape[1])


@pytest.mark.parametrize("days", [45.31, 140.2, 400.0])
def test_a_period_too_long_for_a_window_is_found_in_years(days):
    period = days / CADENCE_DAYS
    curve = make_coloured(np.random.default_rng(8), 1, 4 * YEAR)
    dig(curve[0], period, 0.3 * period, duration=10, depth=5.0)
    events = find_events(curve)
    found, noise = fold.find_ephemerides(events, whole(curve), 4)
    assert found.period[0] == pytest.approx(period, rel=2e-4)
    assert (np.abs(found.period[1:] / period - 1) > fold.APART).all()
    # A candidate is held against the noise of the search that found it.
    is_rare = found.period * CADENCE_DAYS > 1.1 * fold.RARE[0].shortest
    np.testing.assert_array_equal(noise[is_rare] - fold.search_periods(events, 4, fold.RARE)[2], 0)


def test_a_star_measured_for_weeks_is_not_searched_for_months_beside_one_of_years():
    curves = make_coloured(np.random.default_rng(9), 2, 2 * YEAR)
    measured = whole(curves)
    measured[0, 1300:-1300] = False
    curves[~measured] = 0
    events = find_events(curves, measured)
    together, alone = (fold.find_ephemerides(events[:k], measured[:k], 3)[0] for k in (2, 1))
    for one, other in zip(together, alone, strict=True):
        np.testing.assert_array_equal(one[:3], other)
