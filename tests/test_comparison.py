"""evaluation/comparison.py: what taught a classifier does not tune it; a row is of its stars."""

import numpy as np
import pytest
from sklearn import metrics as reference
from toys import Deepest, Memory, make_stars

from exoplanets.classifiers.base import tune_stable_threshold
from exoplanets.evaluation import comparison, metrics
from exoplanets.evaluation.completeness import draw_systems
from exoplanets.stars import SPLITS


@pytest.fixture(scope="module")
def stars():
    return make_stars()


class Learner(Deepest):
    """The same, said to learn from hosts."""

    learns_from_hosts = True


def fit(classifiers, stars, **options):
    views = {"equalised": stars, "distributed": stars}
    return comparison.fit_classifiers(classifiers, views, 7, **options)


@pytest.mark.parametrize("kind", [Deepest, Memory])
def test_stars_that_taught_by_their_label_and_test_stars_tune_nothing(kind, stars):
    rows, weight = comparison.choose_tuning(kind(), stars)
    held_out = stars.split == "validation"
    expected = held_out if kind.learns_from_hosts else held_out | stars.is_host
    np.testing.assert_array_equal(rows, np.flatnonzero(expected & (stars.split != "test")))
    # 16 non-hosts of 32 are held out; 8 hosts are those of 1080 other stars.
    assert weight == 135 * 8 / 16
    # Where the table has more non-hosts than that, their number counts: each stands for two.
    is_host = np.zeros(len(stars), bool)
    assert comparison.choose_tuning(kind(), stars.replace(is_host=is_host))[1] == 2
    made = stars.replace(row=np.where(stars.is_host, -1, stars.row))  # hosts that SMOTE made
    assert not stars.is_host[comparison.choose_tuning(kind(), made)[0]].any()
    alone = stars.select(stars.is_host)
    assert np.isfinite(comparison.choose_tuning(kind(), alone)[1])  # of no non-host


@pytest.mark.parametrize("kind", [Deepest, Learner])
def test_no_other_label_has_a_say_in_the_threshold(kind, stars):
    (fitted,) = fit([kind()], stars)
    rows, weight = comparison.choose_tuning(fitted.classifier, stars)
    expected = kind().tune(stars.y[rows], fitted.score[rows], weight).threshold
    assert fitted.classifier.threshold == expected
    is_test = stars.split == "test"
    (again,) = fit(
        [kind()], stars.replace(is_host=np.where(is_test, ~stars.is_host, stars.is_host))
    )
    assert again.classifier.threshold == expected
    if kind.learns_from_hosts:
        other = np.where(stars.split == "validation", stars.is_host, ~stars.is_host)
        (again,) = fit([kind()], stars.replace(is_host=other))
        assert again.classifier.threshold == expected


def test_a_classifier_is_fitted_on_train_stars_and_watches_the_validation_stars(stars):
    (memory,) = fit([Memory()], stars)
    np.testing.assert_array_equal(memory.score, stars.split != "test")
    ((fitted, watched, seed),) = memory.classifier.fitted
    assert set(fitted.split) == {"train"} and set(watched.split) == {"validation"}
    assert seed == 7


def test_a_result_row_is_of_its_stars(stars):
    (deepest,) = fit([Deepest()], stars)
    propensity = np.random.default_rng(1).uniform(size=len(stars))
    for split in SPLITS:
        kept = stars.split == split
        row = comparison.evaluate_split(deepest, split, propensity, seed=3)
        names = {"network": "deepest", "light_curves": "equalised", "split": split}
        y, score = stars.y[kept], deepest.score[kept]
        expected = metrics.evaluate(y, score, deepest.classifier.threshold, 3)
        matched = metrics.matched_auc(y, score, propensity[kept])
        assert row == names | expected | {"matched_auc": matched}
    left_out = np.arange(len(stars)) == np.flatnonzero(kept & ~stars.is_host)[0]
    fewer = comparison.evaluate_split(deepest, "test", propensity, 3, left_out)
    kept &= ~left_out
    assert fewer["roc_auc"] == reference.roc_auc_score(stars.y[kept], deepest.score[kept])
    assert fewer["fp"] + fewer["tn"] == row["fp"] + row["tn"] - 1


def test_values_go_to_the_stars_they_belong_to(stars):
    order = np.random.default_rng(0).permutation(len(stars))[:20]
    values = np.arange(len(stars)) / 7
    np.testing.assert_array_equal(
        comparison.select_values(stars, values, stars.select(order)), values[order]
    )
    unknown = stars.select([5, 5]).replace(row=np.array([-1, 999]))
    assert np.isnan(comparison.select_values(stars, values, unknown)).all()
    # A host that SMOTE made has no row; it must not lend its value to another one.
    made = stars.replace(row=np.where(np.arange(len(stars)) == 5, -1, stars.row))
    assert np.isnan(comparison.select_values(made, values, unknown)).all()


@pytest.mark.parametrize(("kind", "n_unseen"), [(Deepest, 40 + 4), (Memory, 40)])
def test_unseen_are_the_held_out_stars_and_the_hosts_that_taught_nothing(kind, n_unseen, stars):
    (fitted,) = fit([kind()], stars)
    unseen = fitted.is_unseen()
    assert unseen[stars.split != "train"].all()
    assert unseen.sum() == n_unseen


class Slow(Deepest):
    is_slow = True

    def score(self, stars):
        self.scored = [*getattr(self, "scored", []), stars]
        return super().score(stars)


@pytest.mark.parametrize(
    ("choice", "n_stars", "expected"),
    [("auto", 1000, True), ("auto", 1001, False), ("always", 5657, True), ("never", 10, False)],
)
def test_slow_classifiers_score_all_stars_only_where_they_are_few(choice, n_stars, expected):
    assert comparison.wants_slow(choice, n_stars) == expected


def test_a_slow_classifier_that_is_left_out_is_tuned_on_hosts_and_on_some_others(
    stars, monkeypatch, capsys
):
    monkeypatch.setattr(comparison, "MOST_TUNED", 5)
    (slow,) = fit([Slow()], stars, slow="never")
    assert slow.score is None
    (tuned_on,) = slow.classifier.scored
    assert set(tuned_on.split[~tuned_on.is_host]) == {"validation"}
    assert set(tuned_on.split) == {"train", "validation"}
    assert (tuned_on.is_host.sum(), (~tuned_on.is_host).sum()) == (8, 5)
    # The five stand for all non-hosts of a survey with eight hosts.
    expected = tune_stable_threshold(tuned_on.y, Deepest().score(tuned_on), 135 * 8 / 5)
    assert (slow.classifier.threshold, *slow.classifier.threshold_interval) == expected
    told = "deepest is too slow for 60 stars: it is vetted on some, and has no row in the results"
    assert told in capsys.readouterr().err


class Twofold(Slow):
    """Tells planets from binaries, as it says."""

    columns = ("score", "transit_score", "planet_score")


def test_simulated_binaries_are_among_the_non_hosts_that_tune_who_tells_them(stars, monkeypatch):
    """As many as nature has, in other light curves than those of hosts and of test stars."""
    twofold, seen = Twofold(), {}
    tune = Twofold.tune

    def watched(self, y, score, weights):
        seen.update(y=y, score=score, weights=weights)
        return tune(self, y, score, weights)

    def drawn(*given):
        seen["systems"] = draw_systems(*given)
        return seen["systems"]

    monkeypatch.setattr(Twofold, "tune", watched)
    monkeypatch.setattr(comparison, "draw_systems", drawn)
    rows, weight = comparison.choose_tuning(twofold, stars)
    score = Deepest().score(stars)[rows]
    comparison.tune_classifier(twofold, stars, rows, score, weight)
    (binaries,) = twofold.scored
    assert not seen["systems"].is_planet.any() and seen["systems"].stars is binaries
    n, n_rows = len(binaries), len(rows)
    assert n == comparison.N_BINARIES and len(seen["y"]) == n_rows + n
    np.testing.assert_array_equal(seen["y"], np.append(stars.y[rows], np.zeros(n)))
    np.testing.assert_array_equal(seen["score"], np.append(score, Deepest().score(binaries)))
    others = stars.select(rows[~stars.is_host[rows]])
    assert set(binaries.names) == set(others.names)
    # Each of them is another light curve than that of its star: eclipses are in it.
    own = others.select([others.names.index(name) for name in binaries.names])
    assert ((own.flux - binaries.flux).max(axis=1) > 1).all()
    assert (seen["weights"][:n_rows] == weight).all()
    total = comparison.BINARIES * weight * len(others)
    assert seen["weights"][n_rows:].sum() == pytest.approx(total)
    # Binaries that look like planets make it more cautious.
    plain = Deepest().tune(stars.y[rows], score, weight)
    assert twofold.threshold > plain.threshold
    (again,) = fit([Twofold()], stars)
    assert again.classifier.threshold == twofold.threshold  # what is drawn is always the same
