"""lightcurves/injection.py: what is asked for goes in, before any cleaning, and no label does."""

import inspect

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exoplanets.classifiers.transit import train_transit
from exoplanets.lightcurves import injection
from exoplanets.lightcurves.campaign import Campaign
from exoplanets.stars import CADENCE_DAYS

N = 900
TIMES = np.arange(N) * CADENCE_DAYS
SEEDS = st.integers(0, 10**6)


@pytest.fixture(scope="module")
def non_hosts():
    """Raw flux of quiet stars, e-/s: noise and a slow drift."""
    rng = np.random.default_rng(8)
    slow = np.sin(TIMES / rng.uniform(2, 6, (40, 1)) + rng.uniform(0, 6, (40, 1)))
    return rng.normal(0, 10, (40, N)) + 60 * slow


@pytest.fixture(scope="module")
def sample(non_hosts):
    return make_sample(non_hosts)


@pytest.fixture(scope="module")
def campaign():
    """A campaign that lost every seventeenth cadence."""
    lost = np.arange(N) % 17 == 5
    nothing = np.zeros((0, N), np.float32), np.ones(N, np.float32)
    return Campaign(lost, lost, *nothing, n_stars=40)


def make_sample(flux, seed=3, n_curves=400, snr_range=(60.0, 90.0), campaign=None):
    rng = np.random.default_rng(seed)
    return list(injection.make_training_sample(flux, n_curves, rng, snr_range, campaign))


def runs(inside):
    """How many stretches of True."""
    return np.count_nonzero(np.diff(np.r_[False, inside].astype(int)) == 1)


# ---------------------------------------------------------------------------- one injection
def test_scatter_is_that_of_white_noise_whatever_lies_beneath():
    noise = np.random.default_rng(0).normal(0, 7, (30, 3197))
    slow = 1e4 + 90 * np.sin(np.arange(3197) / 800)
    assert np.mean([injection.find_scatter(star) for star in noise]) == pytest.approx(7, rel=0.01)
    found = np.mean([injection.find_scatter(star + slow) for star in noise])
    assert found == pytest.approx(7, rel=0.1)
    dipped = noise - 1e4 * (np.arange(3197) % 200 < 8)  # dips are no scatter
    assert np.mean([injection.find_scatter(s) for s in dipped]) == pytest.approx(7, rel=0.1)


def find_snr(flux, dip, depth):
    """Matched-filter signal-to-noise ratio of dips of a given depth."""
    return depth * np.sqrt(np.sum(dip**2)) / injection.find_scatter(flux)


@settings(max_examples=25)
@given(SEEDS, st.floats(0.5, 500))
def test_injected_dips_have_the_snr_asked_for(seed, snr):
    rng = np.random.default_rng(seed)
    flux = rng.normal(0, 12, 3197)
    dip = injection.draw_transits(rng, np.arange(3197) * CADENCE_DAYS)
    injected, _ = injection.inject(flux, dip, snr)
    # The matched filter as a textbook has it, with the scatter that was put in.
    response = np.sum((flux - injected) * dip) / np.sqrt(np.sum(dip**2)) / 12
    assert response == pytest.approx(snr, rel=0.08)


@given(SEEDS, st.floats(1, 100))
def test_injection_is_linear(seed, snr):
    rng = np.random.default_rng(seed)
    flux, dip = rng.normal(0, 5, 730), rng.random(730)
    before = flux.copy()
    injected, depth = injection.inject(flux, dip, snr)
    np.testing.assert_array_equal(flux, before)
    np.testing.assert_array_equal(injected, flux - depth * dip)
    assert depth > 0
    twice, double = injection.inject(flux, dip, 2 * snr)
    assert double == pytest.approx(2 * depth)
    np.testing.assert_allclose(twice - flux, 2 * (injected - flux), atol=1e-9)
    up, same = injection.inject(flux, -dip, snr)
    assert same == depth
    np.testing.assert_allclose(up - flux, flux - injected, atol=1e-9)


def test_level_follows_from_photon_noise():
    rng = np.random.default_rng(1)
    for level in (50.0, 5000.0):
        photons = (
            rng.poisson(level * injection.EXPOSURE_SECONDS, 20_000) / injection.EXPOSURE_SECONDS
        )
        assert injection.estimate_level(photons - level) == pytest.approx(level, rel=0.05)


# -------------------------------------------------------------------------------- the planets
def test_a_dip_has_the_shape_asked_for():
    times = np.arange(4000) * 1e-3  # finer than an exposure
    dip = injection.make_dips(times, 2.0, 1.0, 0.4, 0.25, 0.3)
    np.testing.assert_allclose(dip[:2000], dip[2000:], atol=1e-9)  # the period
    assert dip.argmax() in range(995, 1006) and dip.max() == pytest.approx(1, abs=1e-3)
    half = (0.4 + CADENCE_DAYS) / 2
    away = np.abs((times - 1 + 1) % 2 - 1)
    assert (dip[away > half] == 0).all() and (dip[away < 0.19] > 0).all()
    # Before ingress, at three quarters of the half duration: darker by its square.
    at = np.abs(away - 0.14).argmin()
    assert dip[at] == pytest.approx(1 - 0.3 * 0.7**2, abs=0.02)
    sharp = injection.make_dips(times, 2.0, 1.0, 0.4, 1.0, 0.0)  # a V
    assert sharp[np.abs(away - 0.1).argmin()] == pytest.approx(0.5, abs=0.02)


def test_an_exposure_smooths_a_dip_and_keeps_its_area():
    coarse = injection.make_dips(TIMES, 3.0, 1.0, 0.1, 0.1, 0.0)
    fine_times = np.arange(20 * N) * CADENCE_DAYS / 20
    fine = injection.make_dips(fine_times, 3.0, 1.0, 0.1, 0.1, 0.0)
    assert coarse.sum() == pytest.approx(fine.sum() / 20, rel=0.05)


@settings(max_examples=50)
@given(SEEDS)
def test_drawn_planets_transit_at_least_twice_at_a_period(seed):
    dip = injection.draw_transits(np.random.default_rng(seed), TIMES)
    assert dip.shape == (N,)
    assert (dip.min(), dip.max()) == (0, 1)
    assert runs(dip > 0.5) == injection.count_dips(dip) >= 2
    starts = np.flatnonzero(np.diff((dip > 0.5).astype(int)) == 1)
    steps = np.diff(starts)
    assert np.ptp(steps) <= 2  # periodic, but for where cadences fall
    assert np.mean(dip > 0) < 0.35


def test_durations_follow_from_periods():
    drawn = [injection.draw_transits(np.random.default_rng(seed), TIMES) for seed in range(300)]
    starts = [np.flatnonzero(np.diff((dip > 0.5).astype(int)) == 1) for dip in drawn]
    drawn = [dip for dip, first in zip(drawn, starts, strict=True) if len(first) > 1]
    periods = np.array([np.mean(np.diff(first)) for first in starts if len(first) > 1])
    widths = np.array([np.mean(d > 0) for d in drawn]) * periods * CADENCE_DAYS
    days = periods * CADENCE_DAYS
    assert days.min() < 0.75 and days.max() > 8  # two transits in 18 days
    likely = widths / (injection.SUN_LIKE * days ** (1 / 3))
    assert 0.7 < np.median(likely) < 1.6


# ------------------------------------------------------------------------ what a curve may be
def make(flux, kind, seed=0, snr_range=(20.0, 40.0)):
    rng = np.random.default_rng(seed)
    return injection.make_training_curve(flux, TIMES, kind, rng, snr_range)


@pytest.mark.parametrize("seed", range(5))
def test_every_kind_is_what_it_says(non_hosts, seed):
    flux = non_hosts[seed]
    change = {kind: make(flux, kind, seed) - flux for kind in injection.KINDS}
    assert not change["nothing"].any()
    np.testing.assert_array_equal(make(flux, "inverted", seed), -flux)
    tiny = 1e-9 * np.abs(flux).max()
    for kind in ("transits", "eclipses", "dips"):
        assert change[kind].max() <= tiny and change[kind].min() < -tiny, kind
    for kind in ("bumps", "flares"):
        assert change[kind].min() >= -tiny and change[kind].max() > tiny, kind
    assert np.ptp(np.sign(change["saw"][np.abs(change["saw"]) > tiny])) == 0  # teeth one way
    assert change["waves"].min() < 0 < change["waves"].max()
    # Bumps are transits upside down: the same draw gives the same planet.
    np.testing.assert_allclose(change["bumps"], -change["transits"], atol=10 * tiny)
    dip = -change["transits"] / -change["transits"].min()
    assert 20 <= find_snr(flux, dip, -change["transits"].min()) <= 40


def test_lookalikes_look_like_what_they_are_named_after():
    for seed in range(20):
        drawn = {
            name: draw(np.random.default_rng(seed), TIMES)
            for name, draw in injection.LOOKALIKES.items()
        }
        assert all(np.isfinite(dip).all() and dip.shape == (N,) for dip in drawn.values())
        assert runs(drawn["dips"] > 0) <= injection.MOST_DIPS
        assert runs(drawn["flares"] < 0) <= 11
        assert np.abs(drawn["saw"]).max() < 2
        # A wave has no quiet level: a transit's light curve has little else.
        wave = drawn["waves"] / np.abs(drawn["waves"]).max()
        assert np.mean(np.abs(wave) < 0.02) < 0.2
    # Every other eclipse is shallower: two levels of minima, of the same period.
    unequal = 0
    for seed in range(20):
        dip = injection.LOOKALIKES["eclipses"](np.random.default_rng(seed), TIMES)
        inner = (dip[1:-1] >= dip[:-2]) & (dip[1:-1] > dip[2:]) & (dip[1:-1] > 0)
        peaks = dip[1:-1][inner]
        if len(peaks) >= 4:
            even, odd = peaks[::2], peaks[1::2]
            unequal += abs(np.median(even) - np.median(odd)) > 0.2 * peaks.max()
    assert unequal >= 10


def test_three_quarters_of_the_planets_are_faint():
    rng = np.random.default_rng(0)
    snr = np.array([injection.draw_snr(rng, (6.0, 1000.0)) for _ in range(2000)])
    assert snr.min() >= 6 and snr.max() <= 1000
    assert np.mean(snr < injection.FAINT_SNR) == pytest.approx(injection.FAINT, abs=0.03)
    few = [injection.draw_snr(rng, (50.0, 60.0)) for _ in range(99)]
    assert min(few) >= 50 and max(few) <= 60


# ------------------------------------------------------------------------------- the sample
def test_a_sample_comes_a_few_blocks_at_a_time(non_hosts, monkeypatch):
    """Few light curves are in memory at once, and they are the same as together."""
    whole = make_sample(non_hosts)
    monkeypatch.setattr(injection, "AT_ONCE", 1)
    parts = make_sample(non_hosts)
    assert len(parts) > len(whole)
    assert max(len(pairs.kinds) for pairs in parts) == injection.BLOCK // 2
    for read in (lambda pairs: pairs.kinds, lambda pairs: pairs.curves[:, :, :99]):
        both = [np.concatenate([read(pairs) for pairs in some]) for some in (whole, parts)]
        np.testing.assert_array_equal(*both)


def test_shares_shapes_and_what_every_curve_is(sample):
    assert len(sample) == len(injection.VARIANTS)
    assert sum(injection.KINDS.values()) == pytest.approx(1)
    assert sum(variant.share for variant in injection.VARIANTS) == pytest.approx(1)
    assert next(iter(injection.KINDS.items())) == ("transits", 0.46)
    for pairs, variant in zip(sample, injection.VARIANTS, strict=True):
        n_pairs = 200 * variant.share
        kinds, counts = np.unique(pairs.kinds, return_counts=True)
        expected = {k: round(s * n_pairs) for k, s in injection.KINDS.items() if round(s * n_pairs)}
        assert dict(zip(kinds.tolist(), counts.tolist(), strict=True)) == expected
        length = max(round(N * variant.length), injection.SHORTEST)
        assert pairs.curves.shape == (len(pairs.kinds), 2, length)
        assert pairs.curves.dtype == np.float32
        assert np.abs(np.median(pairs.curves, axis=2)).max() < 1e-3
        spread = 1.4826 * np.median(np.abs(pairs.curves), axis=2)
        assert spread == pytest.approx(1, abs=1e-3)
    # Kinds are mixed: a batch of neighbours holds both classes.
    assert runs(sample[0].kinds == "transits") > 20


def test_missing_values_cost_no_kind_of_curve(non_hosts, sample):
    """Depths are measured on what is there: one NaN makes no curve, and no planet, of NaN."""
    flux = non_hosts.copy()
    flux[np.random.default_rng(8).random(flux.shape) < 0.01] = np.nan
    made = make_sample(flux)
    for pairs, whole in zip(made, sample, strict=True):
        assert np.isfinite(pairs.curves).all()
        np.testing.assert_array_equal(np.sort(pairs.kinds), np.sort(whole.kinds))
    star = flux[0]
    dip = injection.draw_transits(np.random.default_rng(1), TIMES, np.isfinite(star))
    deeper, depth = injection.inject(star, dip, 30.0)
    np.testing.assert_array_equal(np.isnan(deeper), np.isnan(star))
    known = np.isfinite(star)
    scatter = injection.find_scatter(star[known])
    assert depth * np.sqrt(np.sum(dip[known] ** 2)) / scatter == pytest.approx(30)


def test_no_label_can_get_in():
    functions = (injection.make_training_sample, injection.make_training_curve, injection.inject)
    for function in functions:
        names = set(inspect.signature(function).parameters)
        assert not [name for name in names if "host" in name or "label" in name or name == "y"]
    assert list(inspect.signature(train_transit).parameters) == [
        "flux", "settings", "seed", "campaign",
    ]  # fmt: skip


def test_a_pair_is_one_planet_with_shallow_and_with_deep_transits(non_hosts, sample):
    rng = np.random.default_rng(2)
    for _ in range(20):
        pair = injection.make_pair(non_hosts[:2], np.stack([TIMES] * 2), "transits", rng, (6, 50))
        shallow, deep = (non_hosts[0] - flux for flux in pair)
        ratio = deep.max() / shallow.max()
        assert injection.DEEPER[0] <= ratio <= injection.DEEPER[1]
        np.testing.assert_allclose(deep, ratio * shallow, atol=1e-8)
    other = injection.make_pair(non_hosts[:2], np.stack([TIMES] * 2), "inverted", rng, (6, 50))
    np.testing.assert_array_equal(other, -non_hosts[:2])
    pairs = sample[0]
    minima = pairs.curves[pairs.kinds == "transits"].min(axis=2)
    assert np.mean(minima[:, 1] < minima[:, 0]) > 0.9


def test_injection_comes_before_cleaning_and_is_periodic_in_true_time(
    non_hosts, campaign, monkeypatch
):
    """What is equalised is the raw star, changed; its times are those of the campaign's clock."""
    made, equalised = [], []
    original, path = injection.make_pair, injection.equalise_table

    def recorded(flux, times, *args):
        made.append((flux, times, original(flux, times, *args)))
        return made[-1][2]

    def watched(flux, known, cadences):
        equalised.append((flux, known, cadences))
        return path(flux, known, cadences)

    monkeypatch.setattr(injection, "make_pair", recorded)
    monkeypatch.setattr(injection, "equalise_table", watched)
    make_sample(non_hosts, n_curves=100, campaign=campaign)
    flux = np.concatenate([raw for raw, *_ in equalised if raw.shape[1] == N])
    whole = [row for row in made if row[0].shape[1] == N]
    np.testing.assert_array_equal(flux, np.concatenate([pair for *_, pair in whole]))
    raw = {star.tobytes() for star in non_hosts}
    true_time = np.flatnonzero(~np.append(campaign.lost, np.zeros(N, bool)))[:N] * CADENCE_DAYS
    is_real = [{star.tobytes() for star in stars} <= raw for stars, *_ in whole]
    # Some are white noise instead: what is known of a quiet star has to be known of them.
    white = np.concatenate([w[0] for w, real in zip(whole, is_real, strict=True) if not real])
    assert 0.2 < 1 - np.mean(is_real) < 0.5
    assert np.std(white) == pytest.approx(1, abs=0.02)
    steps = np.corrcoef(white[:, 1:].ravel(), white[:, :-1].ravel())[0, 1]
    assert abs(steps) < 0.02
    for _, times, _ in whole:
        np.testing.assert_allclose(times, np.stack([true_time] * 2))
    # Some are equalised without the campaign, as light curves of other origin are.
    used = [known is campaign for _, known, _ in equalised]
    assert 0 < sum(used) < len(used)
    for raw, _, cadences in equalised:
        assert raw.shape == cadences.shape and (cadences[:, 0] == 0).all()


def test_rows_without_enough_cadences_are_left_out(non_hosts):
    flux = non_hosts.copy()
    flux[:10, : N // 2] = np.nan
    sample = make_sample(flux)
    assert len(sample[0].kinds) < 200 * injection.VARIANTS[0].share
    assert all(np.isfinite(pairs.curves).all() for pairs in sample)
    assert all(pairs.curves.any(axis=2).all() for pairs in sample)


def test_white_noise_is_missing_where_the_star_is():
    flux = np.random.default_rng(0).normal(50, 9, (2, 2, N))
    flux[0, 1, 100:200] = np.nan
    white = injection.draw_white(flux, np.random.default_rng(1))
    np.testing.assert_array_equal(np.isnan(white), np.isnan(flux))
    assert np.nanstd(white) == pytest.approx(1, abs=0.05) and abs(np.nanmean(white)) < 0.05


def test_a_sample_follows_its_generator(non_hosts, sample):
    again, other = make_sample(non_hosts), make_sample(non_hosts, seed=4)
    for one, two, three in zip(sample, again, other, strict=True):
        assert one.curves.tobytes() == two.curves.tobytes()
        np.testing.assert_array_equal(one.kinds, two.kinds)
        assert one.curves.tobytes() != three.curves.tobytes()
