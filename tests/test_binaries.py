"""lightcurves/binaries.py and `transits.occult`: planets and binaries have their physics."""

import batman
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exoplanets.lightcurves import binaries
from exoplanets.lightcurves.injection import count_dips, find_scatter
from exoplanets.stars import CADENCE_DAYS
from exoplanets.transits import occult, transit_flux

N = 1469
TIMES = np.arange(N) * CADENCE_DAYS
FINE = np.linspace(0, 30, 40_001)
SEEDS = st.integers(0, 10**6)


@pytest.fixture(scope="module")
def flux():
    """Raw flux of quiet stars, e-/s."""
    return np.random.default_rng(0).normal(0, 10, (30, N))


# --------------------------------------------------------------------------- one eclipse
ECLIPSE = {"period": 4.0, "epoch": 1.0, "impact": 0.2, "separation": 9.0}


def test_behind_a_larger_body_a_star_vanishes():
    lost = occult(FINE, radius_ratio=1.5, exposure_days=1e-4, **ECLIPSE)
    near = np.abs((FINE - 1 + 2) % 4 - 2)
    assert lost[near < 0.03].min() == pytest.approx(1, abs=1e-6)
    assert lost.max() <= 1 + 1e-6 and lost.min() >= -1e-9
    # First contact: the distance of the middles is the sum of the radii.
    contact = 4 / (2 * np.pi) * np.arcsin(np.sqrt((2.5**2 - 0.04) / (81 - 0.04)))
    assert (np.abs(lost[near > contact + 1e-3]) < 1e-9).all() and (
        lost[near < contact - 0.01] > 0
    ).all()


def test_an_occultation_of_a_uniform_disk_is_its_area():
    lost = occult(FINE, radius_ratio=0.3, limb_darkening=(0.0, 0.0), exposure_days=1e-4, **ECLIPSE)
    assert lost.max() == pytest.approx(0.09, rel=1e-4)


@pytest.mark.parametrize("ratio", [0.05, 0.8, 1.2])
def test_an_occultation_is_that_of_batman(ratio):
    body = batman.TransitParams()
    body.t0, body.per, body.rp, body.a, body.ecc, body.w = 1.0, 4.0, ratio, 9.0, 0.0, 90.0
    body.inc = np.degrees(np.arccos(0.2 / 9))
    body.u, body.limb_dark = [0.45, 0.2], "quadratic"
    times = np.linspace(0.5, 1.5, 501)
    expected = 1 - batman.TransitModel(body, times).light_curve(body)
    lost = occult(times, radius_ratio=ratio, exposure_days=1e-3, **ECLIPSE)
    np.testing.assert_allclose(lost, expected, atol=0.02 * expected.max())


def test_a_transit_is_an_occultation_by_a_small_body():
    planet = {"period": 4.0, "epoch": 1.0, "radius_ratio": 0.1, "impact": 0.2}
    lost = occult(TIMES, separation=separation_of(4.0), **planet)
    np.testing.assert_array_equal(transit_flux(TIMES, **planet), 1 - lost)


def separation_of(period, density=1.41):
    return float(binaries.scaled_separation(period, density))


# ------------------------------------------------------------------------------ planets
@settings(max_examples=40, deadline=None)
@given(SEEDS)
def test_a_planet_dims_its_star_in_transit_and_a_hot_one_glows(seed):
    loss, transits = binaries.draw_planet_loss(np.random.default_rng(seed), TIMES)
    # Of a darkened disk no more than 1 / (1 - u1 / 3 - u2 / 6) of its mean is in the middle.
    assert transits.min() > -1e-12 and transits.max() <= 1.4 * binaries.PLANET_RATIOS[1] ** 2
    glow = transits - loss
    limit = binaries.DAYSIDE[1] * binaries.PLANET_RATIOS[1] ** 2
    assert glow.min() > -0.01 * limit and glow.max() <= limit + 1e-12


def test_only_hot_planets_are_seen_to_vanish_behind_their_star(monkeypatch):
    planet = {
        "period": 2.0, "epoch": 1.0, "radius_ratio": 0.1, "stellar_density": 1.41,
        "limb_darkening": (0.4, 0.2),
    }  # fmt: skip
    for period, n_seen in ((2.0, 1), (2 * binaries.HOT, 0)):
        monkeypatch.setattr(
            binaries, "draw_planet", lambda *_, p=period, **__: planet | {"period": p}
        )
        seen = 0
        for seed in range(20):
            loss, transits = binaries.draw_planet_loss(np.random.default_rng(seed), FINE)
            glow = transits - loss
            if not np.ptp(glow):
                continue
            seen += 1
            phase = (FINE - 1) / 2 % 1
            behind = np.abs(phase - 0.5) < 0.001  # grazing orbits too
            assert np.abs(glow[behind]).max() < 0.1 * glow.max()  # the planet is hidden
            assert glow[np.abs(phase - 0.4) < 0.01].min() > 0.8 * glow.max()
        assert (0 < seen < 20) == bool(n_seen)


# ----------------------------------------------------------------------------- binaries
class Given:
    """A generator that draws the numbers asked for by a test, in the middle of their range."""

    def __init__(self, **fixed):
        self.fixed = fixed

    def random(self):
        return 0.5  # neither in contact nor twins, and on a circular orbit

    def uniform(self, low=0.0, high=1.0):
        return (low + high) / 2

    def normal(self, mean=0.0, sd=1.0, size=None):
        return mean

    def beta(self, *_):
        return 0.0


def draw_pair(monkeypatch, period, ratio, brightness, impact_share=0.0, times=FINE, **more):
    """Light lost by a pair of these values: all else, waves too, as `Given` has it."""
    values = iter([ratio, brightness, period])
    monkeypatch.setattr(binaries, "draw_log_uniform", lambda *_: next(values))

    class Drawn(Given):
        def uniform(self, low=0.0, high=1.0):
            if high == 1 + ratio:
                return impact_share * (1 + ratio)
            return super().uniform(low, high)

    return binaries.draw_binary_loss(Drawn(), times)


def test_the_second_eclipse_is_as_deep_as_the_star_behind_shines(monkeypatch):
    """Both hide the same area, if limb darkening is left out: their depths are as brightness."""
    monkeypatch.setattr(binaries, "draw_darkening", lambda rng: (0.0, 0.0))
    for brightness in (0.1, 0.6):
        _, eclipses = draw_pair(monkeypatch, 8.0, 0.5, brightness)
        phase = (FINE - 4.0) / 8 % 1  # the epoch is in the middle of a period
        first = eclipses[(phase < 0.25) | (phase > 0.75)].max()
        second = eclipses[(phase > 0.25) & (phase < 0.75)].max()
        assert second / first == pytest.approx(brightness, rel=0.01)
        share = 1 / (1 + brightness * 0.25)
        assert first == pytest.approx(0.25 * share, rel=0.01)


def test_twins_are_found_at_half_their_period(monkeypatch):
    _, eclipses = draw_pair(monkeypatch, 6.0, 1.0, 1.0)
    later = np.interp(FINE[FINE < 24] + 3.0, FINE, eclipses)
    np.testing.assert_allclose(eclipses[FINE < 24], later, atol=2e-3)
    assert eclipses.max() == pytest.approx(0.5, abs=0.03)  # half of the light, smeared a little


def test_the_pull_has_half_the_period_and_falls_as_the_cube_of_the_separation(monkeypatch):
    powers = []
    for period in (1.0, 2.0):
        loss, eclipses = draw_pair(monkeypatch, period, 0.3, 0.01)
        cut = FINE < 28  # whole orbits
        waves = (loss - eclipses)[cut]
        phase = 2 * np.pi * (FINE[cut] - period / 2) / period
        powers.append([2 * np.mean(waves * np.cos(k * phase)) for k in (1, 2, 3)])
    for heated, pulled, none in powers:
        assert heated > 0 and pulled > 0 and abs(none) < 1e-3 * pulled
    # Separation goes as period**(2/3); a head-on orbit has no other factor.
    assert powers[0][1] / powers[1][1] == pytest.approx(4, rel=0.02)
    assert powers[0][0] / powers[1][0] == pytest.approx(2 ** (4 / 3), rel=0.02)


@settings(max_examples=60, deadline=None)
@given(SEEDS)
def test_no_eclipse_hides_more_light_than_there_is(seed):
    loss, eclipses = binaries.draw_binary_loss(np.random.default_rng(seed), TIMES)
    assert np.isfinite(loss).all()
    assert eclipses.min() >= -1e-9
    if np.array_equal(loss, eclipses):  # in contact: relative to its deepest minimum
        assert eclipses.min() == 0
    else:
        assert eclipses.max() <= 1 + 1e-9


def test_stars_that_touch_never_rest():
    for seed in range(20):
        rng = np.random.default_rng(seed)
        loss, eclipses = binaries._draw_contact(rng, FINE)
        np.testing.assert_array_equal(loss, eclipses)
        assert loss.min() == 0 and 0.8 < loss.max() < 1.4
        slope = np.abs(np.gradient(loss, FINE))
        assert np.mean(slope < 0.02 * slope.max()) < 0.4
        # Two minima per orbit, nearly alike: more than a planet of that period could make.
        inner = (loss[1:-1] > loss[:-2]) & (loss[1:-1] >= loss[2:]) & (loss[1:-1] > 0.5)
        peaks = loss[1:-1][inner]
        assert len(peaks) >= 2 * 30 / 1.5 - 2 and peaks.min() > 0.6 * peaks.max()


# ------------------------------------------------------------------------------- sample
@given(SEEDS, st.sampled_from(binaries.SAMPLINGS))
@settings(max_examples=25, deadline=None)
def test_coarse_samples_keep_the_mean_and_lose_the_noise(seed, sampling):
    flux = np.random.default_rng(seed).normal(5, 1, N)
    coarse = binaries.coarsen(flux, np.arange(N), sampling)
    assert coarse.mean() == pytest.approx(5, abs=0.15)
    if sampling == 1:
        assert coarse is flux
    else:
        assert coarse.std() < 1.1 / np.sqrt(round(sampling))
    constant = binaries.coarsen(np.full(N, 3.0), np.arange(N), sampling)
    np.testing.assert_allclose(constant, 3.0)


@pytest.mark.parametrize("kind", ["planet", "binary"])
def test_a_system_has_the_snr_and_the_depth_it_claims(flux, kind):
    levels = []
    for seed in range(12):
        rng = np.random.default_rng(seed)
        made, level = binaries.make_system(flux[seed], np.arange(N), kind, rng, (40, 40.001))
        change = flux[seed] - made
        response = np.linalg.norm(change - np.median(change)) / find_scatter(flux[seed])
        assert response > 0.5 * 40
        assert count_dips(np.maximum(change - np.median(change), 0)) >= 2
        levels.append(level)
        if kind == "planet" and np.isfinite(level):
            assert 0 < change.max() / level <= 1.5 * binaries.PLANET_RATIOS[1] ** 2
    assert 0 < np.isnan(levels).sum() < 12
    star = flux[0]
    assert binaries.make_system(star, np.arange(N), "nothing", rng, (9, 99))[0] is star


def test_a_sample_follows_its_generator_and_holds_all_kinds(flux):
    first, again, other = (
        list(binaries.make_systems(flux, 200, np.random.default_rng(seed), (9.0, 99.0)))
        for seed in (3, 3, 4)
    )
    assert sum(len(block.kinds) for block in first) == 200
    for one, two in zip(first, again, strict=True):
        for name in ("flux", "cadences", "kinds", "level", "sampling"):
            assert getattr(one, name).tobytes() == getattr(two, name).tobytes()
    assert first[0].flux.tobytes() != other[0].flux.tobytes()
    kinds = np.concatenate([block.kinds for block in first])
    assert {kind: np.mean(kinds == kind) for kind in binaries.KINDS} == pytest.approx(
        {"planet": 0.45, "binary": 0.45, "nothing": 0.1}, abs=0.12
    )
    for block in first:
        assert np.isfinite(block.flux).all() and (block.cadences[:, 0] == 0).all()
        assert set(block.sampling) <= set(binaries.SAMPLINGS)
        flat, curves = block.flatten()
        assert flat.shape == curves.shape == block.flux.shape
        assert flat.dtype == curves.dtype == np.float32


def test_stars_without_enough_cadences_cost_no_system(flux):
    """Half of a light curve may hold nothing: the systems go into the other stars."""
    gaps = flux.copy()
    gaps[:15, : N // 2 + 100] = np.nan
    gaps[3] = np.nan
    for block in binaries.make_systems(gaps, 300, np.random.default_rng(0), (9.0, 99.0)):
        assert np.isfinite(block.flux).mean(axis=1).min() > 0.7
