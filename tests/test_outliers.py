"""lightcurves/outliers.py: the outlier rule of the published study, and its limit."""

import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exoplanets.files import DataError
from exoplanets.lightcurves.outliers import OutlierRule, read_rule


def brute_force(flux, sigmas, min_cadences):
    """The rule as a reader would write it."""
    frame = pd.DataFrame(flux)
    deviant = (frame - frame.mean()).abs() > sigmas * frame.std()
    return np.flatnonzero(deviant.sum(axis=1) >= min_cadences)


@settings(max_examples=60)
@given(
    seed=st.integers(0, 10**6),
    n_stars=st.integers(3, 60),
    n_cadences=st.integers(1, 12),
    sigmas=st.sampled_from([0.7, 1.3, 2.1, 3.3]),
    min_cadences=st.integers(1, 4),
    missing=st.sampled_from([0, 0.2]),
)
def test_rule_equals_pandas(seed, n_stars, n_cadences, sigmas, min_cadences, missing):
    rng = np.random.default_rng(seed)
    flux = rng.standard_t(1.5, (n_stars, n_cadences))  # heavy tails: some do deviate
    flux[rng.random(flux.shape) < missing] = np.nan
    found = OutlierRule(sigmas, min_cadences).find(flux)
    np.testing.assert_array_equal(np.flatnonzero(found), brute_force(flux, sigmas, min_cadences))


def test_deviant_cadences_count_across_the_whole_light_curve():
    flux = np.random.default_rng(1).normal(size=(50, 700))
    flux[7, [3, 690]] = 1e4  # far apart
    flux[9, 300] = 1e4  # one only
    before = flux.copy()
    assert np.flatnonzero(OutlierRule(6, 2).find(flux)).tolist() == [7]
    assert np.flatnonzero(OutlierRule(6, 1).find(flux)).tolist() == [7, 9]
    np.testing.assert_array_equal(flux, before)  # tables are shared: not changed


@settings(max_examples=60)
@given(st.lists(st.floats(-1e6, 1e6), min_size=3, max_size=40).filter(lambda v: np.ptp(v) > 1))
def test_no_value_deviates_more_than_the_limit_and_a_single_one_reaches_it(values):
    n = len(values)
    limit = (n - 1) / np.sqrt(n)  # Shiffler 1988
    flux = np.array(values)[:, np.newaxis]
    assert not OutlierRule(limit * (1 + 1e-9), 1).find(flux).any()
    spike = (np.arange(n) == 0)[:, np.newaxis] * 1.0
    assert OutlierRule(limit * (1 - 1e-9), 1).find(spike).tolist() == [True] + [False] * (n - 1)
    assert f"at most {limit:.1f} standard deviations" in OutlierRule(60, 2).describe_reach(n)


def test_sixty_sigma_reaches_only_one_dominating_star_among_at_least_3602():
    def flagged(n_stars, n_wild):
        flux = np.zeros((n_stars, 2))
        flux[:n_wild] = 1e6
        return np.flatnonzero(OutlierRule(60, 2).find(flux)).tolist()

    assert "at most 71.3 standard deviations" in OutlierRule(60, 2).describe_reach(5087)
    assert flagged(5087, 1) == [0]
    assert flagged(5087, 2) == []  # two equal ones reach 50.4
    assert flagged(3602, 1) == [0]
    assert flagged(3601, 1) == []


def test_a_cadence_that_no_star_has_flags_nobody():
    flux = np.random.default_rng(0).normal(size=(20, 5))
    flux[:, 2] = np.nan
    flux[3] = np.nan
    assert not OutlierRule(2.0, 4).find(flux).any()


@pytest.mark.parametrize(
    ("sigmas", "reach"),
    [
        (60, "can flag none"),
        (9.9, "can flag none"),
        (9.8, "can flag only a single star that dominates its cadence"),
        (7.0, "can flag only a single star that dominates its cadence"),
        (6.9, "can flag several at once"),
    ],
)
def test_the_rule_says_how_far_it_reaches_and_keeps_its_word(sigmas, reach):
    rule = OutlierRule(sigmas, 2)
    assert rule.describe_reach(100).endswith(f": this rule {reach}")
    flagged = []
    for n_wild in (1, 2):
        flux = np.zeros((100, 2))
        flux[:n_wild] = 1e6  # the most that so many stars can deviate
        flagged.append(int(rule.find(flux).sum()))
    expected = {"can flag none": [0, 0], "can flag several at once": [1, 2]}
    assert flagged == expected.get(reach, [1, 0])


def test_only_training_stars_are_outliers(labelled):
    stars = labelled[0]
    flux = stars.flux.copy()
    flux[[30, 110]] *= 1e4  # the second is a test star
    stars = stars.replace(flux=flux)
    rule = OutlierRule(7, 2)
    is_outlier = rule.find_in_training(stars)
    assert is_outlier[30]
    assert set(stars.table[is_outlier]) == {"train"}
    first, *others, last = rule.describe(stars, is_outlier)
    assert first.endswith(f"mean over stars): {is_outlier.sum()}")
    assert "  train row 30 (non-host)" in others
    assert last.startswith("  among 100 stars")


PROVENANCE = {"train": {"sha256": "a"}, "test": {"sha256": "b"}}


def test_the_rule_of_step_2_is_read_of_the_same_stars_alone(tmp_path):
    path = tmp_path / "leaks.json"
    assert read_rule(path, PROVENANCE) is None
    noted = {"sigmas": 7.0, "min_cadences": 3}
    path.write_text(json.dumps({"provenance": PROVENANCE, "outlier_rule": noted}))
    assert read_rule(path, PROVENANCE) == (7.0, 3)
    assert read_rule(path, PROVENANCE | {"test": {"sha256": "c"}}) is None


@pytest.mark.parametrize(
    "rule",
    [
        '{"sigmas": 1}',
        '{"sigmas": "x", "min_cadences": 1}',
        "7",
        "[" * 200_000,
        '{"sigmas": NaN, "min_cadences": 1}',
        '{"sigmas": 1, "min_cadences": 1.5}',
    ],
)
def test_a_damaged_rule_is_one_line(rule, tmp_path):
    path = tmp_path / "leaks.json"
    path.write_text(f'{{"provenance": {json.dumps(PROVENANCE)}, "outlier_rule": {rule}}}')
    with pytest.raises(DataError, match="is damaged, .*: run `python data_analysis.py` again"):
        read_rule(path, PROVENANCE)
