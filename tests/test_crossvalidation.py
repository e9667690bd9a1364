"""evaluation/crossvalidation.py: every star is scored once by a classifier that never saw it."""

import json

import numpy as np
import pytest
from toys import Deepest, Memory, make_stars

from exoplanets.evaluation import crossvalidation, metrics
from exoplanets.evaluation.comparison import STARS_PER_HOST
from exoplanets.files import DataError


@pytest.fixture(scope="module")
def stars():
    return make_stars(n_hosts=13, n_others=127)


def cross_validate(classifiers, stars, n_folds=3, seeds=(7, 8)):
    propensity = np.random.default_rng(0).uniform(size=len(stars))
    return crossvalidation.cross_validate(classifiers, stars, propensity, n_folds, seeds)


def test_every_star_is_scored_by_classifiers_that_never_saw_it(stars):
    memory = Memory()
    memory.fitted = []
    rows, summary, out_of_fold = cross_validate([Deepest(), memory], stars)
    assert (summary["folds"], summary["seeds"]) == (3, [7, 8])
    for row in rows:
        assert row["split"] == "cross-validation"
        assert row["tp"] + row["fn"] == 13 and row["fp"] + row["tn"] == 127
    # A star that was in its own fit, or stopped its own training, would have a score of 1.
    np.testing.assert_array_equal(out_of_fold["memory", "equalised"][0], np.zeros((140, 1)))
    judged = out_of_fold["deepest", "equalised"][0]
    np.testing.assert_array_equal(judged, Deepest().judge(stars))
    assert len(memory.fitted) == 6  # three folds, two repetitions, other stars every time
    seen = [frozenset(fit.names) for fit, _, _ in memory.fitted]
    assert len(set(seen)) == 6
    outside = [frozenset(f.names + v.names) for f, v, _ in memory.fitted]
    assert len(set(outside)) == 6  # not only what is held out of each fold: the folds themselves
    for fit, validation, seed in memory.fitted:
        assert seed in (7, 8)
        assert not set(fit.names) & set(validation.names)
        assert 1 <= validation.is_host.sum() < fit.is_host.sum()


class Tuned(Memory):
    """Remembers what its thresholds were tuned on."""

    name = "tuned"

    def tune(self, y, score, weight_of_others=1.0):
        self.tuned_on = getattr(self, "tuned_on", [])
        self.tuned_on.append((np.sum(y == 1), np.sum(y == 0), weight_of_others))
        return super().tune(y, score, weight_of_others)


@pytest.mark.parametrize("learns", [True, False])
def test_thresholds_are_tuned_on_stars_of_each_fold_that_taught_nothing(learns, stars):
    tuned = Tuned()
    tuned.learns_from_hosts, tuned.fitted, tuned.tuned_on = learns, [], []
    cross_validate([tuned], stars, seeds=(7,))
    assert len(tuned.tuned_on) == len(tuned.fitted) == 3
    for (n_hosts, n_others, weight), (fit, held_out, _) in zip(
        tuned.tuned_on, tuned.fitted, strict=True
    ):
        assert n_hosts == held_out.is_host.sum() + (0 if learns else fit.is_host.sum())
        assert n_others == np.sum(~held_out.is_host)
        # As many non-hosts as there are among so many stars: a few hosts of 127 are too many.
        n_known = fit.is_host.sum() + held_out.is_host.sum()
        np.testing.assert_array_equal(weight, STARS_PER_HOST * n_known / n_others)


class Twofold(Deepest):
    """Says two things of each star."""

    columns = ("score", "row")

    def judge(self, stars):
        return np.column_stack([self.score(stars), stars.row])


def test_all_that_is_said_of_a_star_comes_from_the_fold_that_did_not_see_it(stars):
    _, _, out_of_fold = cross_validate([Twofold()], stars, seeds=(7,))
    judged, threshold = out_of_fold["deepest", "equalised"]
    np.testing.assert_array_equal(judged, Twofold().judge(stars))
    assert threshold.shape == (140,) and 2 <= len(set(threshold)) <= 3


def test_the_classifier_that_was_passed_in_is_not_fitted_or_tuned(stars):
    deepest = Deepest()
    deepest.threshold = 0.25
    cross_validate([deepest], stars, seeds=(7,))
    assert deepest.threshold == 0.25


def test_repetitions_are_summed_up(stars):
    rows, summary, out_of_fold = cross_validate([Deepest(), Memory()], stars, n_folds=2)
    for row, spread in zip(rows, summary["results"], strict=True):
        assert set(spread) == {"network", "light_curves", *crossvalidation.METRICS}
        assert spread["network"] == row["network"]
        for name in crossvalidation.METRICS:
            assert len(spread[name]["values"]) == 2
            assert spread[name]["values"][0] == row[name]
    json.dumps([rows, summary], allow_nan=False)
    judged, threshold = out_of_fold["deepest", "equalised"]
    score = judged[:, 0]
    assert rows[0]["roc_auc"] == metrics.find_roc_auc(stars.y, score)
    # Each star is called by the threshold of the fold that scored it.
    assert metrics.count(stars.y, score >= threshold) == {
        name: rows[0][name] for name in ("tp", "fp", "fn", "tn")
    }
    two = crossvalidation.summarise([0.2, 0.6])
    assert (two["mean"], two["sd"]) == pytest.approx((0.4, np.sqrt(0.08)))
    assert crossvalidation.summarise([0.3]) == {"mean": 0.3, "sd": None, "values": [0.3]}
    one_undefined = crossvalidation.summarise([0.3, None])
    assert one_undefined == {"mean": None, "sd": None, "values": [0.3, None]}


def test_more_folds_than_hosts_can_fill_are_refused(stars):
    with pytest.raises(DataError, match="13 stars .* for 7 folds: use --cross-validate 6"):
        cross_validate([Deepest()], stars, n_folds=7)


def test_as_many_folds_as_hosts_can_fill_are_made(stars):
    _, summary, _ = cross_validate([Deepest()], stars, n_folds=6, seeds=(7,))
    assert summary["folds"] == 6
