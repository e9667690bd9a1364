"""evaluation/calibration.py: probabilities are shares of hosts."""

import numpy as np
import pytest
from sklearn import metrics as reference
from sklearn.model_selection import StratifiedKFold

from exoplanets.evaluation import metrics
from exoplanets.evaluation.calibration import bin_probabilities, measure_calibration
from exoplanets.evaluation.metrics import calibrate, fit_calibration


def test_calibration_recovers_slope_and_offset():
    rng = np.random.default_rng(0)
    z = rng.normal(0, 2, 20000)
    y = (rng.random(20000) < 1 / (1 + np.exp(-(0.7 * z - 1.5)))).astype(int)
    score = 1 / (1 + np.exp(-z))
    measured, _ = measure_calibration(y, score, y.mean(), seed=0)
    assert measured["slope"] == pytest.approx(0.7, abs=0.03)
    assert measured["offset"] == pytest.approx(-1.5, abs=0.05)
    assert measured["brier_before"] == pytest.approx(reference.brier_score_loss(y, score))
    assert measured["brier_after"] < measured["brier_before"]
    for row in measured["bins_after"]:
        assert row["interval"][0] - 0.02 <= row["probability"] <= row["interval"][1] + 0.02
    assert sum(row["hosts"] for row in measured["bins_after"]) == y.sum()


def test_one_wrong_label_moves_no_probability():
    rng = np.random.default_rng(0)
    z = np.concatenate([rng.normal(2, 1.5, 37), rng.normal(-3, 1.5, 100), [9]])
    y, score = np.arange(138) < 37, 1 / (1 + np.exp(-z))
    without = fit_calibration(y[:-1], score[:-1])
    assert fit_calibration(y, score) == pytest.approx(without, abs=0.02)  # Platt's slope: 0.6 less


def test_scores_that_are_all_alike_become_the_prevalence():
    y = np.arange(200) < 20
    for value in (1e-7, 0.3, 1.0):
        slope, offset = fit_calibration(y, np.full(200, value))
        assert calibrate(value, slope, offset) == pytest.approx(0.1, abs=0.001)


def test_calibration_of_noise_is_no_better_than_the_prevalence():
    rng = np.random.default_rng(1)
    y, score = (rng.random(400) < 0.2).astype(int), rng.random(400)
    measured, _ = measure_calibration(y, score, y.mean(), seed=0)
    # Fitted to the very labels it is judged by, it would come out below.
    assert (
        measured["brier_of_prevalence"] < measured["brier_after"] + 1e-3 < measured["brier_before"]
    )
    own = metrics.calibrate(score, measured["slope"], measured["offset"])
    assert measured["brier_after"] > reference.brier_score_loss(y, own) + 1e-6


def test_calibration_has_the_prevalence_it_is_told():
    rng = np.random.default_rng(2)
    y = np.repeat([1, 0], 500)
    score = np.clip(0.5 + 0.2 * (y - 0.5) + rng.normal(0, 0.15, 1000), 0.01, 0.99)
    measured, _ = measure_calibration(y, score, 0.02, seed=0)
    probability = metrics.calibrate(score, measured["slope"], measured["offset"])
    weight = np.where(y == 1, 1.0, 49.0)
    assert np.average(probability, weights=weight) == pytest.approx(0.02, abs=0.003)


def test_calibration_bears_a_perfect_score():
    y = np.repeat([1, 0], 20)
    measured, _ = measure_calibration(y, y.astype(float), 0.5, seed=0)
    assert np.isfinite([measured["slope"], measured["offset"], measured["brier_after"]]).all()


def test_bins_weigh_non_hosts_and_count_stars():
    y = np.array([1, 0, 0, 1])
    rows = bin_probabilities(y, np.array([0.95, 1.0, 0.05, 0.02]), 3.0)
    assert [(r["low"], r["high"], r["hosts"], r["non_hosts"]) for r in rows] == [
        (0.0, 0.1, 1, 1), (0.9, 1.0, 1, 1),
    ]  # fmt: skip
    assert rows[0]["fraction"] == rows[1]["fraction"] == 0.25  # one host to three non-hosts
    assert rows[1]["probability"] == pytest.approx((0.95 + 3 * 1.0) / 4)
    low, high = rows[0]["interval"]
    assert low == pytest.approx(0.034, abs=1e-3)  # of Wilson's 0.095 for 1 of 2
    assert high == pytest.approx(0.761, abs=1e-3)  # of 0.905


def test_too_few_stars_to_cross_validate_are_calibrated_all_the_same():
    measured, _ = measure_calibration([1, 0, 0], np.array([0.9, 0.2, 0.4]), 0.1, seed=0)
    assert (measured["brier_after"], measured["bins_after"]) == (None, [])
    assert np.isfinite([measured["slope"], measured["offset"]]).all()


def test_no_star_is_calibrated_by_its_own_label():
    rng = np.random.default_rng(5)
    y = np.arange(60) < 12
    score = 1 / (1 + np.exp(-rng.normal(2 * y - 1.0)))
    measured, probability = measure_calibration(y, score, 0.2, seed=0)
    folds = StratifiedKFold(5, shuffle=True, random_state=0).split(y, y)
    for fit, held_out in folds:
        expected = calibrate(score[held_out], *fit_calibration(y[fit], score[fit], 0.2))
        np.testing.assert_array_equal(probability[held_out], expected)
    by_all = calibrate(score, measured["slope"], measured["offset"])
    assert not np.isclose(probability, by_all, rtol=1e-6).any()
    assert np.isnan(measure_calibration([1, 0, 0], score[:3], 0.2, seed=0)[1]).all()
