"""evaluation/reliability.py: what the treatments take out of a light curve, and what they leave."""

import numpy as np
import pytest
from sklearn import metrics as reference
from toys import find_depth, make_stars

from exoplanets.evaluation import metrics
from exoplanets.evaluation.reliability import (
    TREATMENTS,
    find_dips,
    mask_dips,
    mask_raw_dips,
    measure_reliability,
    scramble,
    treat_stars,
)
from exoplanets.lightcurves import probes


@pytest.fixture(scope="module")
def stars():
    return make_stars()


def test_masking_takes_transits_out_and_leaves_the_noise(stars):
    hosts = stars.curves[stars.is_host]
    masked = mask_dips(hosts, np.random.default_rng(0))
    dips = find_dips(hosts)
    np.testing.assert_array_equal(masked[~dips], hosts[~dips])
    assert np.median(find_depth(hosts)) > 0.9
    assert np.median(find_depth(masked)) < 0.2
    quiet = stars.curves[~stars.is_host]
    masked = mask_dips(quiet, np.random.default_rng(0))
    before, after = probes.find_lag_one(quiet), probes.find_lag_one(masked)
    assert abs(np.median(after - before)) < 0.05  # the colour stays


def test_masked_stretches_join_what_is_kept():
    curve = np.repeat([2.0, -1.0], 1000)
    for first in range(100, 2000, 190):
        curve[first : first + 20] = -9
    masked = mask_dips(curve[None], np.random.default_rng(0))[0]
    first = np.flatnonzero(np.diff(find_dips(curve[None])[0].astype(int)) == 1)
    # Noise from the other half would step by 3.
    assert np.abs(masked[first + 1] - masked[first]).max() < 1


def test_masking_raw_flux_changes_only_dips_and_keeps_leaks_and_gaps(stars):
    flux = stars.flux.astype(float)
    flux[:, 50:400:7] = flux[:, 49:399:7]  # exact repeats, as the public file has in hosts
    flux[:, 300:320] = np.nan
    masked = mask_raw_dips(flux, np.random.default_rng(0))
    np.testing.assert_array_equal(np.isnan(masked), np.isnan(flux))
    changed = np.mean((masked != flux) & np.isfinite(flux), axis=1)
    assert np.all(changed[stars.is_host] > 0) and np.median(changed) < 0.3
    assert np.all(probes.count_repeats(masked) > 0.5 * probes.count_repeats(flux))
    deepest = np.nanmin(masked - np.nanmedian(masked, axis=1, keepdims=True), axis=1)
    assert deepest[stars.is_host].min() > -8  # of transits 12 deep


@pytest.mark.parametrize("curve", [np.full(200, -9.0), np.zeros(200)], ids=["all dip", "flat"])
def test_masking_bears_stars_without_anything_to_keep(curve):
    assert np.isfinite(mask_dips(curve[None], np.random.default_rng(0))).all()


def test_scrambling_moves_whole_blocks():
    curves = np.arange(2 * 100.0).reshape(2, 100)
    scrambled = scramble(curves, np.random.default_rng(0))
    np.testing.assert_array_equal(np.sort(scrambled, axis=1), curves)
    np.testing.assert_array_equal(scrambled[:, 96:], curves[:, 96:])  # the rest stays
    assert np.sum(np.diff(scrambled[0]) != 1) <= 4
    assert np.any(scrambled != curves)


def test_both_kinds_of_light_curves_are_treated_and_labels_stay(stars):
    treated = treat_stars(stars, seed=0)
    assert tuple(treated) == TREATMENTS
    assert treated["original"] is stars
    for name in TREATMENTS[1:]:
        assert np.any(treated[name].flux != stars.flux)
        assert np.any(treated[name].curves != stars.curves)
        assert treated[name].flux.dtype == treated[name].curves.dtype == np.float32
        np.testing.assert_array_equal(treated[name].is_host, stars.is_host)
    np.testing.assert_array_equal(treated["inverted"].curves, -stars.curves)
    np.testing.assert_array_equal(treated["inverted"].flux, -stars.flux)


def test_surviving_share_is_relative_to_the_skill():
    y = np.repeat([0, 1], 50)
    rng = np.random.default_rng(0)
    noise, perfect = rng.random(100), y + 0.5 * rng.random(100)
    scored = {"original": perfect, "inverted": -perfect, "masked": noise, "scrambled": perfect}
    row = measure_reliability(y, scored, seed=0, n_resamples=200)
    assert row["original"]["surviving_share"] == row["scrambled"]["surviving_share"] == 1
    assert row["inverted"]["surviving_share"] == 0
    auc = reference.roc_auc_score(y, noise)
    assert row["masked"]["surviving_share"] == pytest.approx(max(0, 2 * auc - 1))
    assert row["masked"]["interval"][0] < auc < row["masked"]["interval"][1]


def test_what_has_no_skill_has_none_to_lose():
    y = np.tile([0, 1], 50)
    score = np.arange(100) // 2 * 1.0  # hosts and non-hosts alike
    row = measure_reliability(y, {"original": score, "masked": y * 1.0}, 0, n_resamples=50)
    assert metrics.find_roc_auc(y, score) == 0.5
    assert row["original"]["surviving_share"] is None
    assert row["masked"]["surviving_share"] is None
