"""evaluation/metrics.py, with scikit-learn as the oracle."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as reference

from exoplanets.evaluation import metrics

# Few distinct values make ties; float32 is what a network returns.
SCORE = st.one_of(st.sampled_from([0.0, 0.25, 0.5, 1.0]), st.floats(0, 1, width=32))


@st.composite
def scored_stars(draw, n_min=2, n_max=40):
    """Labels with both classes, and a score per star."""
    n = draw(st.integers(n_min, n_max))
    y = draw(st.lists(st.integers(0, 1), min_size=n, max_size=n))
    y[0], y[-1] = 1, 0
    score = draw(st.lists(SCORE, min_size=n, max_size=n))
    order = draw(st.permutations(range(n)))
    return np.array(y)[order], np.array(score)[order]


@given(scored_stars())
def test_areas_equal_sklearn_with_ties(stars):
    y, score = stars
    roc_auc, average_precision = metrics.rank_statistics(y, score)
    assert roc_auc[0] == pytest.approx(reference.roc_auc_score(y, score), abs=1e-12)
    expected = reference.average_precision_score(y, score)
    assert average_precision[0] == pytest.approx(expected, abs=1e-12)


@given(scored_stars(), st.floats(0, 1))
def test_counts_and_ratios_equal_sklearn(stars, threshold):
    y, score = stars
    row = metrics.evaluate(y, score, threshold, seed=0)
    called = score >= threshold
    ((tn, fp), (fn, tp)) = reference.confusion_matrix(y, called)
    assert (row["tp"], row["fp"], row["fn"], row["tn"]) == (tp, fp, fn, tn)
    assert row["accuracy"] == pytest.approx(reference.accuracy_score(y, called))
    assert row["recall"] == pytest.approx(reference.recall_score(y, called))
    assert row["f1"] == pytest.approx(reference.f1_score(y, called))
    if called.any():
        assert row["precision"] == pytest.approx(reference.precision_score(y, called))
    else:
        assert row["precision"] is None
        assert row["precision_interval"] is None


def test_f1_is_not_the_published_slip():
    # TP 4, FN 1, FP 1: the study's formula made 0.888 of it.
    assert metrics.f1(tp=4, fp=1, fn=1) == pytest.approx(0.80)
    assert metrics.f1(tp=4, fp=3, fn=1) == pytest.approx(2 * 4 / (2 * 4 + 3 + 1))
    assert metrics.f1(0, 0, 0) is None


def test_wilson_interval_has_its_known_values():
    low, high = metrics.wilson(4, 5)
    assert (round(low, 2), round(high, 2)) == (0.38, 0.96)
    assert metrics.wilson(0, 10) == pytest.approx([0, 0.2775], abs=1e-4)  # Newcombe 1998
    assert metrics.wilson(0, 0) is None


@settings(max_examples=40)
@given(scored_stars(n_max=25), st.integers(0, 1000))
def test_weighted_statistics_are_those_of_the_repeated_stars(stars, seed):
    y, score = stars
    weights = np.random.default_rng(seed).integers(0, 3, (5, len(y)))
    weights[:, [np.argmax(y), np.argmin(y)]] += 1  # a star of each class at least
    roc_auc, average_precision = metrics.rank_statistics(y, score, weights)
    for k in range(5):
        drawn = np.repeat(np.arange(len(y)), weights[k])
        expected = reference.roc_auc_score(y[drawn], score[drawn])
        assert roc_auc[k] == pytest.approx(expected, abs=1e-12)
        expected = reference.average_precision_score(y[drawn], score[drawn])
        assert average_precision[k] == pytest.approx(expected, abs=1e-12)


def test_bootstrap_equals_the_plain_one_and_follows_its_seed():
    rng = np.random.default_rng(3)
    y = np.repeat([1, 0], [12, 60])
    score = np.round(rng.normal(y, 1.0), 1)
    calls = {"by threshold": score >= 0.7, "at random": rng.random(72) < 0.3}
    plain = {name: [] for name in ("average_precision", "roc_auc", *calls)}
    for _ in range(300):
        drawn = np.concatenate([rng.choice(12, 12), 12 + rng.choice(60, 60)])
        plain["average_precision"].append(reference.average_precision_score(y[drawn], score[drawn]))
        plain["roc_auc"].append(reference.roc_auc_score(y[drawn], score[drawn]))
        for name, called in calls.items():
            plain[name].append(reference.f1_score(y[drawn], called[drawn]))
    for which, called in calls.items():
        found = metrics.bootstrap(y, score, 4, called)
        assert found == metrics.bootstrap(y, score, 4, called)
        assert found != metrics.bootstrap(y, score, 5, called)
        for name in ("f1", "average_precision", "roc_auc"):
            # Two bootstraps of 1000 and 300 draws agree to a fraction of their width.
            expected = np.percentile(plain[which if name == "f1" else name], [2.5, 97.5])
            assert found[f"{name}_interval"] == pytest.approx(expected, abs=0.2 * np.ptp(expected))
    assert "f1_interval" not in metrics.bootstrap(y, score, 4)


def test_bootstrap_is_right_on_average_with_many_stars_and_ties():
    """Mean and spread of the resampled ROC AUC are those of the plain bootstrap."""
    rng = np.random.default_rng(6)
    y = np.repeat([1, 0], [9, 900])
    score = np.round(rng.normal(y, 1.0), 1)
    low, high = metrics.bootstrap(y, score, 0)["roc_auc_interval"]
    drawn = [np.r_[rng.choice(9, 9), 9 + rng.choice(900, 900)] for _ in range(400)]
    plain = np.percentile([reference.roc_auc_score(y[d], score[d]) for d in drawn], [2.5, 97.5])
    assert (low, high) == pytest.approx(plain, abs=0.15 * np.ptp(plain))


def test_calls_may_be_given_where_folds_have_thresholds_of_their_own():
    y, score = np.array([1, 1, 0, 0]), np.array([0.2, 0.9, 0.5, 0.1])
    called = np.array([True, False, False, True])
    row = metrics.evaluate(y, score, None, seed=0, called=called)
    assert [row[name] for name in ("tp", "fp", "fn", "tn")] == [1, 1, 1, 1]
    assert row["threshold"] is None
    assert row["roc_auc"] == reference.roc_auc_score(y, score)


@settings(max_examples=30)
@given(scored_stars(), st.floats(0, 1))
def test_intervals_are_ordered_and_hold_the_proportions(stars, threshold):
    row = metrics.evaluate(*stars, threshold, seed=1)
    for name in metrics.METRICS:
        interval = row[f"{name}_interval"]
        if interval:
            assert 0 <= interval[0] <= interval[1] <= 1 + 1e-12
        if interval and name in ("accuracy", "precision", "recall"):
            assert interval[0] - 1e-12 <= row[name] <= interval[1] + 1e-12


@pytest.mark.parametrize(
    ("y", "undefined"),
    [
        ([0, 0, 0], {"recall", "average_precision", "roc_auc"}),
        ([1, 1, 1], {"roc_auc"}),
    ],
)
def test_undefined_values_are_null_in_json_never_nan(y, undefined):
    row = metrics.evaluate(y, [0.9, 0.5, 0.1], 0.4, seed=0)
    read = json.loads(json.dumps(row, allow_nan=False))
    assert {name for name in metrics.METRICS if read[name] is None} == undefined
    assert all(read[f"{name}_interval"] is None for name in undefined)


def test_f1_and_precision_are_null_without_hosts_and_calls():
    row = metrics.evaluate([0, 0], [0.1, 0.2], 0.5, seed=0)
    assert row["f1"] is None and row["precision"] is None and row["f1_interval"] is None
    assert row["tn"] == 2 and row["accuracy"] == 1


def test_evaluate_is_plain_json_of_the_agreed_names():
    row = metrics.evaluate(np.array([1, 0], np.int8), np.array([0.9, 0.1], np.float32), 0.5, 0)
    names = {"tp", "fp", "fn", "tn", "threshold", *metrics.METRICS}
    names |= {f"{name}_interval" for name in metrics.METRICS} | {"recall_at_precision_0.9"}
    assert set(row) == names
    assert json.loads(json.dumps(row)) == row


# ----------------------------------------------------------------- what a user may choose from
@given(scored_stars(), st.sampled_from([0.5, 0.75, 0.9, 1.0]))
def test_recall_at_precision_is_the_best_of_all_cuts(stars, least):
    y, score = stars
    best = 0.0
    for cut in score:
        called = score >= cut
        if y[called].mean() >= least:
            best = max(best, y[called].sum() / y.sum())
    assert metrics.recall_at_precision(y, score, least) == pytest.approx(best)


def test_recall_at_precision_is_0_where_no_cut_is_precise_enough():
    assert metrics.recall_at_precision([0, 1, 1], [0.9, 0.8, 0.1]) == 0
    assert metrics.recall_at_precision([1, 0, 1], [0.9, 0.8, 0.1]) == 0.5
    assert metrics.recall_at_precision([1, 1, 0], [0.9, 0.8, 0.1]) == 1


@pytest.fixture(scope="module")
def matched():
    """Labels, and an adversary's log-odds that follow them: hosts are other stars."""
    rng = np.random.default_rng(2)
    y = (np.arange(4000) < 300).astype(int)
    return y, rng.normal(2.0 * y, 1.0)


def test_a_score_that_knows_what_the_adversary_knows_has_no_matched_auc(matched):
    y, propensity = matched
    for score in (propensity, propensity**3):
        assert reference.roc_auc_score(y, score) > 0.8  # it does tell the label
        assert metrics.matched_auc(y, score, propensity) == pytest.approx(0.5, abs=0.1)


def test_a_score_of_something_else_keeps_its_matched_auc(matched):
    y, propensity = matched
    assert metrics.matched_auc(y, y, propensity) == 1
    assert metrics.matched_auc(y, 1 - y, propensity) == 0
    assert metrics.matched_auc(y, 0 * y, propensity) == 0.5
    other = np.random.default_rng(3).normal(1.0 * y)
    expected = reference.roc_auc_score(y, other)
    assert metrics.matched_auc(y, other, propensity) == pytest.approx(expected, abs=0.03)


@settings(max_examples=40)
@given(scored_stars(), st.integers(0, 1000), st.integers(1, 12))
def test_matched_auc_is_the_mean_share_of_nearest_stars_below(stars, seed, n_nearest):
    y, score = stars
    odds = np.random.default_rng(seed).normal(0, 3, len(y))
    shares = []
    for host in np.flatnonzero(y == 1):
        others = sorted(np.flatnonzero(y == 0), key=lambda i: abs(odds[i] - odds[host]))[:n_nearest]
        shares.append(np.mean([(score[host] > score[i]) + (score[host] == score[i]) / 2
                               for i in others]))  # fmt: skip
    found = metrics.matched_auc(y, score, odds, n_nearest)
    assert found == pytest.approx(np.mean(shares))
    # A star of unknown odds, such as a host that SMOTE made, does not count.
    more = np.append(y, [1, 0]), np.append(score, [9, 9]), np.append(odds, [np.nan] * 2)
    assert metrics.matched_auc(*more, n_nearest) == found


def test_matched_auc_is_undefined_without_both_classes():
    half = np.full(3, 0.5)
    assert metrics.matched_auc([0, 0, 0], [0.1, 0.2, 0.3], half) is None
    assert metrics.matched_auc([1, 1, 1], [0.1, 0.2, 0.3], half) is None


# ----------------------------------------------------------------------------- probabilities
def test_calibration_for_another_share_of_hosts_moves_only_the_offset():
    rng = np.random.default_rng(1)
    truth = rng.normal(-2, 2, 60_000)  # log-odds
    y = rng.random(60_000) < 1 / (1 + np.exp(-truth))
    score, prevalence = 1 / (1 + np.exp(-truth)), np.mean(y)
    fewer = np.flatnonzero(y | (rng.random(60_000) < 0.2))  # a fifth of the non-hosts
    slope, offset = metrics.fit_calibration(y[fewer], score[fewer], prevalence)
    assert (slope, offset) == pytest.approx((1, 0), abs=0.06)
    assert metrics.fit_calibration(y[fewer], score[fewer])[1] > 1


def test_calibrated_scores_are_probabilities():
    rng = np.random.default_rng(4)
    truth = rng.uniform(-4, 4, 30_000)  # log-odds
    y = rng.random(30_000) < 1 / (1 + np.exp(-truth))
    score = 1 / (1 + np.exp(-(2.5 * truth + 1)))  # overconfident, and too generous
    slope, offset = metrics.fit_calibration(y, score)
    assert (slope, offset) == pytest.approx((1 / 2.5, -1 / 2.5), abs=0.06)
    found = metrics.calibrate(score, slope, offset)
    for low in (0.1, 0.4, 0.7):
        inside = (found >= low) & (found < low + 0.1)
        assert y[inside].mean() == pytest.approx(low + 0.05, abs=0.04)


@settings(max_examples=25)
@given(scored_stars())
def test_calibration_bears_any_score_and_keeps_their_order(stars):
    y, score = stars
    slope, offset = metrics.fit_calibration(y, score)
    found = metrics.calibrate(score, slope, offset)
    assert np.isfinite(found).all() and 0 <= found.min() <= found.max() <= 1
    order = np.argsort(score, kind="stable")
    assert np.all(np.diff(found[order]) * np.sign(slope) >= -1e-12)
