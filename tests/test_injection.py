"""lightcurves/injection.py: what is asked for goes in, before any cleaning, and no label does."""

import inspect

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exoplanets.classifiers.transit import train_transit
from exoplanets.lightcurves import equalise, injection
from exoplanets.sources import survey
from exoplanets.stars import CADENCE_DAYS
from exoplanets.transits import transit_duration

N = 900
TIMES = np.arange(N) * CADENCE_DAYS
SEEDS = st.integers(0, 10**6)


@pytest.fixture(scope="module")
def non_hosts():
    """Raw flux of simulated non-hosts, e-/s, written as the real file has them."""
    made = survey.simulate(62, 4, 2, 2, n_cadences=N, seed=8)
    return made.train_flux[2:]


@pytest.fixture(scope="module")
def sample(non_hosts):
    return make_sample(non_hosts)


def make_sample(flux, seed=3, n_curves=200, snr_range=(60.0, 90.0)):
    return injection.TrainingSample(flux, n_curves, np.random.default_rng(seed), snr_range)


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


@settings(max_examples=25)
@given(SEEDS, st.floats(0.5, 500))
def test_injected_dips_have_the_snr_asked_for(seed, snr):
    rng = np.random.default_rng(seed)
    flux = rng.normal(0, 12, 3197)
    dip, _ = injection.draw_transits(rng, np.arange(3197) * CADENCE_DAYS)
    injected, depth = injection.inject(flux, dip, snr)
    assert injection.find_snr(flux, dip, depth) == pytest.approx(snr)
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
        photons = rng.poisson(level * survey.EXPOSURE_SECONDS, 20_000) / survey.EXPOSURE_SECONDS
        assert injection.estimate_level(photons - level) == pytest.approx(level, rel=0.05)


# -------------------------------------------------------------------------------- the planets
@settings(max_examples=50)
@given(SEEDS, st.integers(2, 4))
def test_drawn_planets_transit_at_least_so_often_at_their_period(seed, fewest):
    rng = np.random.default_rng(seed)
    times = np.arange(N) * CADENCE_DAYS
    dip, planet = injection.draw_transits(rng, times, fewest=fewest)
    assert dip.shape == (N,)
    assert (dip.min(), dip.max()) == (pytest.approx(0, abs=1e-9), 1)
    assert runs(dip > 0.5) >= fewest
    assert 0.7 * (1 - 1e-9) <= planet["period"] <= 30
    away = (times - planet["epoch"]) / planet["period"]
    away = np.abs(away - np.rint(away)) * planet["period"]
    geometry = ("period", "radius_ratio", "impact", "stellar_density")
    duration = transit_duration(*(planet[name] for name in geometry))
    assert np.all(away[dip > 1e-9] <= (duration + CADENCE_DAYS) / 2 + 1e-9)


# ------------------------------------------------------------------------ what a curve may be
def make(flux, kind, seed=0, snr_range=(20.0, 40.0)):
    return injection.make_training_curve(flux, kind, np.random.default_rng(seed), snr_range)


@pytest.mark.parametrize("seed", range(5))
def test_every_kind_is_what_it_says(non_hosts, seed):
    flux = non_hosts[seed]
    change = {kind: make(flux, kind, seed)[0] - flux for kind in injection.KINDS}
    dips = {kind: make(flux, kind, seed)[1] for kind in injection.KINDS}
    assert all(not dip.any() for kind, dip in dips.items() if kind != "transits")
    assert not change["nothing"].any()
    np.testing.assert_array_equal(make(flux, "inverted", seed)[0], -flux)
    tiny = 1e-9 * np.abs(flux).max()
    for kind in ("transits", "eclipses", "dips"):
        assert change[kind].max() <= tiny and change[kind].min() < -tiny, kind
    for kind in ("bumps", "flares"):
        assert change[kind].min() >= -tiny and change[kind].max() > tiny, kind
    assert np.ptp(np.sign(change["saw"][np.abs(change["saw"]) > tiny])) == 0  # teeth one way
    # Bumps are transits upside down: the same draw gives the same planet.
    np.testing.assert_allclose(change["bumps"], -change["transits"], atol=10 * tiny)
    depth = -change["transits"].min()
    np.testing.assert_allclose(change["transits"], -depth * dips["transits"], atol=10 * tiny)
    assert 20 <= injection.find_snr(flux, dips["transits"], depth) <= 40


def test_lookalikes_look_like_what_they_are_named_after():
    for seed in range(20):
        drawn = {
            name: draw(np.random.default_rng(seed), TIMES)
            for name, draw in injection.LOOKALIKES.items()
        }
        assert all(np.isfinite(dip).all() and dip.shape == (N,) for dip in drawn.values())
        assert runs(drawn["dips"] > 0) <= 3
        assert runs(drawn["flares"] < 0) <= 11
        last = np.flatnonzero(drawn["saw"])
        if len(last):
            assert np.abs(drawn["saw"]).max() < 2
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


# ------------------------------------------------------------------------------- the sample
def test_shares_shapes_and_what_every_curve_is(sample):
    kinds, counts = np.unique(sample.kinds, return_counts=True)
    expected = {kind: round(share * 200) for kind, share in injection.KINDS.items()}
    assert dict(zip(kinds.tolist(), counts.tolist(), strict=True)) == expected
    assert sum(injection.KINDS.values()) == pytest.approx(1)
    assert next(iter(injection.KINDS.items())) == ("transits", 0.5)
    for array in (sample.curves, sample.dips):
        assert (array.shape, array.dtype) == ((200, N), np.float32)
    np.testing.assert_array_equal(sample.dips.any(axis=1), sample.kinds == "transits")
    assert (sample.dips.min(), sample.dips.max()) == (pytest.approx(0, abs=1e-6), 1)
    assert np.abs(np.median(sample.curves, axis=1)).max() < 1e-3
    assert 1.4826 * np.median(np.abs(sample.curves), axis=1) == pytest.approx(1, abs=1e-3)
    # Kinds are mixed: a batch of neighbours holds both classes.
    assert runs(sample.kinds == "transits") > 40


def test_no_label_can_get_in():
    for function in (injection.TrainingSample, injection.make_training_curve, injection.inject):
        names = set(inspect.signature(function).parameters)
        assert not [name for name in names if "host" in name or "label" in name or name == "y"]
    assert list(inspect.signature(train_transit).parameters) == [
        "flux", "settings", "seed", "was_missing",
    ]  # fmt: skip


def test_curves_dip_where_the_sample_says_and_nowhere_else_on_average(sample):
    has = sample.kinds == "transits"
    curves, dips = sample.curves[has], sample.dips[has]
    deep = [curve[dip > 0.9].mean() for curve, dip in zip(curves, dips, strict=True)]
    out = [curve[dip == 0].mean() for curve, dip in zip(curves, dips, strict=True)]
    assert np.median(deep) < -3
    assert np.mean(np.array(deep) < np.array(out) - 1) > 0.95
    assert abs(np.mean(out)) < 0.3
    for lag in (-40, 40):  # a shift of the truth by a day loses the dips
        moved = np.roll(dips, lag, axis=1)
        assert abs(np.mean(curves[(moved > 0.9) & (dips == 0)])) < 0.3


def test_injection_comes_before_cleaning(non_hosts, monkeypatch):
    """Each curve is the raw star, changed and only then taken through the path of all stars."""
    made = []
    original = injection.make_training_curve

    def recorded(flux, *args):
        made.append((flux, *original(flux, *args)))
        return made[-1][1:]

    monkeypatch.setattr(injection, "make_training_curve", recorded)
    sample = make_sample(non_hosts, n_curves=100)
    assert len(made) == len(sample.curves)
    raw = {star.tobytes() for star in non_hosts}
    for (flux, changed, dip), curve, kept in zip(made, sample.curves, sample.dips, strict=True):
        assert flux.tobytes() in raw
        np.testing.assert_array_equal(equalise.equalise_table(changed[None])[0][0], curve)
        np.testing.assert_array_equal(dip.astype(np.float32), kept)


def test_every_star_is_used_and_none_more_often_than_needed(non_hosts, monkeypatch):
    used = []
    original = injection.make_training_curve
    monkeypatch.setattr(
        injection, "make_training_curve", lambda f, *a: used.append(f.tobytes()) or original(f, *a)
    )
    make_sample(non_hosts, n_curves=200)
    counts = [used.count(star.tobytes()) for star in non_hosts]
    assert (min(counts), max(counts)) == (3, 4)


def test_a_sample_follows_its_generator(non_hosts, sample):
    again, other = make_sample(non_hosts), make_sample(non_hosts, seed=4)
    assert again.curves.tobytes() == sample.curves.tobytes()
    assert again.dips.tobytes() == sample.dips.tobytes()
    np.testing.assert_array_equal(again.kinds, sample.kinds)
    assert other.curves.tobytes() != sample.curves.tobytes()
