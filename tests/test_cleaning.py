"""scoring/cleaning.py: what no star can have is left out, and what a star can have is not."""

import numpy as np
import pytest
from conftest import REAL

from exoplanets.files import DataError
from exoplanets.scoring.cleaning import (
    clean_flux,
    find_flares,
    find_impossible,
    find_stray,
    to_flux,
)
from exoplanets.scoring.own_stars import read_stars
from exoplanets.scoring.samples import Samples
from exoplanets.stars import CADENCE_DAYS

N = 3000
RNG = np.random.default_rng(0)
NOISE = RNG.normal(size=N)
STARS = {  # level, scatter
    "bright": 2e5 + 20 * NOISE,
    "faint": 1e3 + 100 * NOISE,
    "normalised": 1 + 1e-7 * NOISE,
    "median subtracted": 50 * NOISE,
    "oversubtracted": -500 + 5 * NOISE,
}


@pytest.mark.parametrize("star", ["bright", "faint"])
@pytest.mark.parametrize("value", [1e9, 1e10, 1e12, 9e14, 1e300, -1e12, np.inf, -np.inf])
def test_impossible_values_are_found_and_no_other(star, value):
    flux = STARS[star].copy()
    flux[[7, 900, 2000]] = value
    assert np.flatnonzero(find_impossible(flux)).tolist() == [7, 900, 2000]
    cleaned, n_left_out, note = clean_flux(flux)
    assert (n_left_out, note) == (3, "")
    assert np.isnan(cleaned[[7, 900, 2000]]).all()
    assert np.array_equal(np.delete(cleaned, [7, 900, 2000]), np.delete(flux, [7, 900, 2000]))


@pytest.mark.parametrize("fill", [0.0, -0.0, -99.0, -9999.0])
def test_values_that_stand_for_missing_are_found(fill):
    flux = STARS["bright"].copy()
    flux[::100] = fill
    assert np.flatnonzero(find_impossible(flux)).tolist() == list(range(0, N, 100))
    flux[::100] = STARS["bright"][::100]
    flux[5] = 0  # once is enough
    assert np.flatnonzero(find_impossible(flux)).tolist() == [5]
    flux = STARS["median subtracted"].copy()
    flux[::100] = 0  # a value like others
    assert not find_impossible(flux).any()


def flare(flux):
    level = np.median(flux) if abs(np.median(flux)) > 5 or flux.std() < 1 else 5e5
    flux[700:706] += abs(level) * np.array([9, 5, 3, 2, 1, 0.4])


@pytest.mark.parametrize("star", STARS)
def test_flares_are_found_and_neither_dips_nor_noise_nor_what_a_star_does_often(star):
    flux = STARS[star].copy()
    assert not find_flares(flux).any()
    flux[900:1000] = np.nan
    flux[2000:2006] += 60 * flux[~np.isnan(flux)].std()
    assert np.flatnonzero(find_flares(flux)).tolist() == list(range(2000, 2006))
    assert np.array_equal(find_flares(3e-5 * flux + 7e-5), find_flares(flux))
    flux[np.arange(N) % 120 < 5] += 60 * STARS[star].std()  # as pulses do
    assert not find_flares(flux).any()
    for change in (eclipse, total_eclipse, drift):
        flux = STARS[star].copy()
        change(flux)
        assert not find_flares(flux).any()


def eclipse(flux):
    flux[np.arange(N) % 120 < 8] *= 0.1


def total_eclipse(flux):
    flux[np.arange(N) % 120 < 8] = 1e-4 * flux[np.arange(N) % 120 < 8] * NOISE[: 8 * N // 120]


def drift(flux):
    flux += 0.3 * np.abs(np.median(flux)) * np.sin(np.arange(N) / 200)
    flux[::12] -= 0.05 * np.abs(np.median(flux))  # the thrusters fire


@pytest.mark.parametrize("change", [flare, eclipse, total_eclipse, drift])
@pytest.mark.parametrize("star", STARS)
def test_what_a_star_can_do_stays(star, change):
    flux = STARS[star].copy()
    change(flux)
    assert not find_impossible(flux).any()
    assert np.array_equal(clean_flux(flux)[0], flux)


def test_real_stars_lose_nothing():
    if not REAL.is_dir():
        pytest.skip("no real stars beside this checkout")
    stars = list(read_stars(REAL / "exoTest.csv"))
    assert len(stars) > 50
    assert not [star.name for star in stars if "left out" in " ".join(star.notes)]


@pytest.mark.parametrize("factor", [1e-300, 1e-320, 1e-30, 1e30, 1e290])
def test_any_unit_is_brought_where_float32_loses_nothing(factor):
    flux = STARS["bright"] * factor
    scaled, n_left_out, note = clean_flux(flux)
    assert n_left_out == 0 and note.startswith("flux multiplied by 2^")
    assert 0.25 <= scaled.max() <= 1
    ratio = scaled / STARS["bright"]
    # A denormal number has few digits.
    assert np.allclose(ratio, ratio[0], rtol=1e-3 if factor == 1e-320 else 1e-12, atol=0)
    for flux in STARS.values():
        assert clean_flux(flux)[0] is not flux and np.array_equal(clean_flux(flux)[0], flux)


def test_flux_that_is_missing_or_constant_is_left_alone():
    for flux in (np.full(9, np.nan), np.zeros(9), np.ones(9), np.array([1.0]), np.array([])):
        assert not find_impossible(flux).any()
        assert np.array_equal(clean_flux(flux)[0], flux, equal_nan=True)


@pytest.mark.parametrize("far", [0.0, 2000 + N * CADENCE_DAYS + 100])
@pytest.mark.parametrize("n_stray", [1, 3])
def test_a_few_times_far_from_all_others_are_stray(far, n_stray):
    time = np.sort(np.append(2000 + np.arange(N) * CADENCE_DAYS, far + np.arange(n_stray)))
    stray = find_stray(time)
    assert stray.sum() == n_stray and np.ptp(time[~stray]) < N * CADENCE_DAYS


def test_quarters_and_gaps_are_not_stray():
    quarter = np.arange(400) * CADENCE_DAYS
    time = np.concatenate([quarter, 90 + quarter, 500 + quarter[:20]])
    assert not find_stray(time).any()
    assert not find_stray(np.arange(50) * 30.0).any()  # all are lone: these are no strays
    assert find_stray(np.array([])).size == 0


MAGNITUDE = 12 + 1e-3 * NOISE


def read(values, kind="", magnitudes=None):
    return to_flux(Samples(values, kind=kind), magnitudes)


@pytest.mark.parametrize("kind", ["", "unnamed"])
@pytest.mark.parametrize("fill", [0.0, -99.0, 99.99, 1e30])
@pytest.mark.parametrize("noise", [1, 300, 500])
def test_magnitudes_with_fill_values_or_noise_are_asked_about(kind, fill, noise):
    values = 12 + (MAGNITUDE - 12) * noise
    values[::100] = fill
    with pytest.raises(DataError, match=r"may be magnitudes: add --magnitudes .* --flux"):
        read(values, kind)
    assert np.array_equal(read(values, kind, False).flux, values)
    flux = read(values, kind, True).flux
    assert np.flatnonzero(find_impossible(flux)).tolist() == list(range(0, N, 100))
    rest = np.arange(N) % 100 > 0
    assert np.allclose(flux[rest], 10 ** (-0.4 * (values[rest] - np.median(values))))


def test_differential_magnitudes_are_asked_about_where_there_is_no_name():
    differential = MAGNITUDE - 12
    with pytest.raises(DataError, match="may be magnitudes"):
        read(differential, "unnamed")
    assert np.array_equal(read(differential, "").flux, differential)  # its column is called flux
    assert np.array_equal(read(50 * NOISE, "unnamed").flux, 50 * NOISE)  # flux less its median
    dimmest = differential.argmax()
    assert read(differential, "unnamed", True).flux.argmin() == dimmest
