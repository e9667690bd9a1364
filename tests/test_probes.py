"""Probes: each sees what it is named after, and nothing else."""

import numpy as np
import pytest

from exoplanets.lightcurves import probes


@pytest.fixture
def noise():
    return np.random.default_rng(0).normal(0, 10, (40, 1200))


def find(name, flux):
    return probes.measure_table(flux)[name]


def test_repeats_are_counted_exactly(noise):
    assert np.all(find("exact repeats", noise) == 0)
    noise[3, 100:104] = noise[3, 99]
    assert find("exact repeats", noise)[3] == 4


def test_filling_by_lines_shows_in_second_differences_only(noise):
    gaps = np.arange(6, 1194, 6)
    noise[:20, gaps] = (noise[:20, gaps - 1] + noise[:20, gaps + 1]) / 2
    assert np.all(find("exact repeats", noise) == 0)
    found = find("zero second differences", noise)
    assert found[:20].min() >= len(gaps)
    assert found[20:].max() <= 2


def test_indistinct_values_are_cadences_less_values(noise):
    noise[0] = np.round(noise[0])
    expected = noise.shape[1] - len(np.unique(noise[0]))
    assert find("indistinct values", noise)[0] == expected
    assert np.all(find("indistinct values", noise[1:]) == 0)


def test_a_line_every_12_cadences_is_seen_by_its_probe(noise):
    noise[:20, ::12] += 30
    found = find("line at 1/12", noise)
    assert found[:20].min() > found[20:].max()
    assert abs(np.median(found[20:])) < 0.5


def test_a_line_every_11_2_cadences_lowers_its_probe(noise):
    marks = np.round(np.arange(0, 1199, 11.2)).astype(int)
    noise[:20, marks] += 30
    found = find("no line at 1/11.2", noise)
    assert np.median(found[:20]) < np.median(found[20:]) - 1


def test_the_median_offset_is_0_only_where_the_median_was_subtracted(noise):
    noise[:20] -= np.median(noise[:20], axis=1, keepdims=True)
    found = find("row median", noise)
    assert np.all(found[:20] == 0)
    assert np.all(found[20:] > 0)


def test_decimals_are_clean_until_an_arithmetic_touches_them(noise):
    written = np.round(noise, 2)
    assert np.all(find("clean decimals", written) == 1)
    assert find("clean decimals", written + 1e-9).max() == 0
    assert find("clean decimals", written - 141.1).max() < 1  # -141.220000000001 and the like


def test_position_counts_down_and_noise_colour_goes_up_with_redness(noise):
    assert find("row position", noise).tolist() == [-i for i in range(40)]
    red = np.cumsum(noise, axis=1)
    for name in ("lag-1 autocorrelation", "smoothness"):
        assert find(name, red).min() > find(name, noise).max()
    expected = np.corrcoef(noise[0, 1:], noise[0, :-1])[0, 1]
    assert find("lag-1 autocorrelation", noise)[0] == pytest.approx(expected, abs=2e-3)


def test_every_probe_says_what_it_would_mean():
    names = [probe.name for probe in probes.PROBES]
    assert len(set(names)) == len(names)
    assert {probe.leak for probe in probes.PROBES} == {f"L{i}" for i in range(1, 7)}
    assert all(probe.meaning.endswith(".") for probe in probes.PROBES)


def test_tables_are_measured_one_after_the_other(noise):
    found = probes.measure_all([noise[:30], noise[30:]])
    assert np.array_equal(found["smoothness"], find("smoothness", noise))
    assert found["row position"][30] == 0


# ------------------------------------------------------------------------------ noise colour
def test_noise_colour_of_autoregressive_noise_is_known():
    rng = np.random.default_rng(1)
    steps = rng.normal(size=(6, 30_000))
    for memory in (0.0, 0.5, 0.9):
        flux = steps.copy()
        for i in range(1, flux.shape[1]):
            flux[:, i] += memory * flux[:, i - 1]
        np.testing.assert_allclose(probes.find_lag_one(flux), memory, atol=0.03)
        # Differences scatter sqrt(2 (1 - memory)) times as much as values.
        ratio = -np.sqrt(2 * (1 - memory))
        np.testing.assert_allclose(probes.find_smoothness(flux), ratio, rtol=0.05)


def test_noise_colour_has_no_unit_and_is_finite_even_for_a_dead_star(noise):
    for find in (probes.find_lag_one, probes.find_smoothness):
        np.testing.assert_allclose(find(300 * noise + 1e4), find(noise), atol=1e-6)
        assert np.isfinite(find(np.zeros((2, 100)))).all()
