"""evaluation/comparison.py: a score is tuned on its own split, and a row is of its own stars."""

import numpy as np
import pytest
from sklearn import metrics as reference

from exoplanets.evaluation import metrics
from exoplanets.evaluation.comparison import SPLITS, Contender, evaluate_split
from exoplanets.stars import TABLES


def make_contender(tuned_on="validation", seed=0):
    rng = np.random.default_rng(seed)
    view, scored = {}, {}
    for split, n_stars in zip(SPLITS, (60, 30, 40), strict=True):
        y = (np.arange(n_stars) % 6 == 0).astype(np.int8)
        view |= {f"y_{split}": y, f"row_{split}": rng.permutation(n_stars)}
        scored[split] = rng.normal(y, 0.8)
    return Contender("transit", "equalised", view, scored, tuned_on)


COLOURS = {name: np.random.default_rng(1).normal(size=(60, 2)) for name in TABLES}


@pytest.mark.parametrize("tuned_on", ["validation", "train"])
def test_threshold_is_tuned_on_its_split_only(tuned_on):
    contender = make_contender(tuned_on)
    expected = metrics.tune_threshold(contender.view[f"y_{tuned_on}"], contender.scored[tuned_on])
    for split in SPLITS:
        assert evaluate_split(contender, split, COLOURS, 0)["threshold"] == expected
    for split in set(SPLITS) - {tuned_on}:  # no other label has a say
        contender.view[f"y_{split}"][:] = 1 - contender.view[f"y_{split}"]
    assert contender.threshold == expected


def test_a_result_row_is_of_its_stars():
    contender = make_contender()
    y, score = contender.view["y_test"], contender.scored["test"]
    colour = COLOURS["test"][contender.view["row_test"]]
    row = evaluate_split(contender, "test", COLOURS, seed=3)
    names = {"network": "transit", "light_curves": "equalised", "split": "test"}
    assert row.items() >= (names | metrics.evaluate(y, score, contender.threshold, 3)).items()
    assert row["recall_at_precision_0.9"] == metrics.recall_at_precision(y, score)
    assert row["noise_matched_auc"] == metrics.noise_matched_auc(y, score, colour)
    kept = np.arange(40) != 1
    fewer = evaluate_split(contender, "test", COLOURS, seed=3, kept=kept)
    assert fewer["threshold"] == row["threshold"]
    assert fewer["roc_auc"] == reference.roc_auc_score(y[kept], score[kept])
    assert fewer["noise_matched_auc"] == metrics.noise_matched_auc(
        y[kept], score[kept], colour[kept]
    )


def test_a_host_that_smote_made_has_no_noise_to_match():
    contender = make_contender()
    before = evaluate_split(contender, "train", COLOURS, 0)
    view, scored = dict(contender.view), dict(contender.scored)
    view["y_train"] = np.append(view["y_train"], [1, 1])
    view["row_train"] = np.append(view["row_train"], [-1, -1])
    scored["train"] = np.append(scored["train"], [9.0, 9.0])
    after = evaluate_split(contender._replace(view=view, scored=scored), "train", COLOURS, 0)
    assert after["noise_matched_auc"] == before["noise_matched_auc"]
    assert after["roc_auc"] > before["roc_auc"]


def test_scores_go_to_the_rows_they_belong_to():
    contender = make_contender()
    rows = contender.view["row_test"]
    found = contender.of_rows([*rows[:5], 99])
    np.testing.assert_array_equal(found[:5], contender.scored["test"][:5])
    assert np.isnan(found[5])
