"""cnn_classifier.py: the published network layer by layer, and what the step writes."""

import argparse
import dataclasses
import json
import shutil

import keras
import numpy as np
import pandas as pd
import pytest
from keras import layers
from sklearn import metrics

import cnn_classifier as step
import data_preprocessing
from data import kepler, scores

SMALL = ["--epochs", "2", "--filters", "3", "2", "--dense", "4", "3", "--batch-size", "16"]
NETWORKS = {"published", "transit", "box_least_squares", "repeat_count"}
DEFAULTS = step.PublishedSettings()


# --------------------------------------------------------------------------------- settings
def test_every_setting_is_a_flag_with_its_published_default():
    parser = step.make_command_line()
    assert step.read_settings(parser.parse_args([]), step.PublishedSettings) == DEFAULTS
    assert dataclasses.asdict(DEFAULTS) == {
        "filters": (11, 7), "kernel_size": 2, "l2": 0.01, "pool_dropout": 0.4,
        "dense": (50, 30, 12), "dense_dropout": 0.3, "learning_rate": 1e-2,
        "decay_steps": 10_000, "decay_rate": 0.8, "host_weight": 2.5, "batch_size": 128,
        "epochs": 40, "patience": 8, "normalization": "adapted",
    }  # fmt: skip
    for field in dataclasses.fields(step.PublishedSettings):
        if field.name == "normalization":
            value, text = "identity", ["identity"]
        elif isinstance(field.default, tuple):
            value, text = (4, 5, 6), ["4", "5", "6"]
        else:
            value = type(field.default)(field.default * 2)
            text = [str(value)]
        args = parser.parse_args([f"--{field.name.replace('_', '-')}", *text])
        changed = step.read_settings(args, step.PublishedSettings)
        assert changed == dataclasses.replace(DEFAULTS, **{field.name: value}), field.name
        assert hash(changed)  # frozen all through


def test_bad_normalisation_is_refused(capsys):
    with pytest.raises(SystemExit):
        step.make_command_line().parse_args(["--normalization", "none"])
    assert "adapted" in capsys.readouterr().err


# --------------------------------------------------------------------------------- training
def test_threshold_is_tuned_on_validation_stars_only(trained):
    view = dict(trained[0])
    scored = {name: step.predict(trained[2], view[f"x_{name}"]) for name in step.SPLITS}
    names = ("published", "distributed")
    rows = step.evaluate_splits(*names, view, scored, "validation", seed=0)
    expected = scores.tune_threshold(view["y_validation"], scored["validation"])
    assert [row["threshold"] for row in rows] == [expected] * 3
    view["y_train"], view["y_test"] = 1 - view["y_train"], 1 - view["y_test"]
    others = step.evaluate_splits(*names, view, scored, "validation", seed=0)
    assert [row["threshold"] for row in others] == [expected] * 3
    assert others[1] == rows[1]


# ------------------------------------------------------------------------- the whole step
@pytest.fixture(scope="module")
def finished(_written, tmp_path_factory):
    """Steps 3 and 4 run on the small survey, with a tiny network."""
    folder = tmp_path_factory.mktemp("finished")
    shutil.copytree(_written, folder / "data")
    dirs = ["--data-dir", str(folder / "data"), "--plots-dir", str(folder / "plots")]
    data_preprocessing.main(dirs)
    step.main([*dirs, *SMALL, "--seed", "5"])
    return folder


@pytest.fixture
def results(finished):
    def no_constant(name):
        raise AssertionError(f"{name} in metrics.json")

    return json.loads((finished / "data/metrics.json").read_text(), parse_constant=no_constant)


def row_of(results, network="published", light_curves="distributed", split="test"):
    key = (network, light_curves, split)
    (row,) = (r for r in results["results"] if (r["network"], r["light_curves"], r["split"]) == key)
    return row


def test_metrics_have_the_agreed_schema(results):
    assert {"provenance", "results"} <= set(results)
    found = [(row["network"], row["light_curves"], row["split"]) for row in results["results"]]
    assert len(found) == len(set(found))
    assert {("published", "distributed", split) for split in step.SPLITS} <= set(found)
    assert {network for network, *_ in found} <= NETWORKS
    assert {kind for _, kind, _ in found} == {"distributed", "equalised"}
    names = {"network", "light_curves", "split", "tp", "fp", "fn", "tn", "threshold"}
    names |= set(scores.METRICS) | {f"{name}_interval" for name in scores.METRICS}
    for result in results["results"]:
        assert set(result) == names
        for name in scores.METRICS:
            interval = result[f"{name}_interval"]
            assert interval is None or (len(interval) == 2 and interval[0] <= interval[1])
    test = row_of(results)
    assert (test["tp"] + test["fn"], test["fp"] + test["tn"]) == (5, 35)


def test_results_carry_their_provenance(results, finished):
    provenance = results["provenance"]
    assert provenance["data"] == kepler.load(finished / "data").provenance
    assert provenance["seed"] == 5
    assert provenance["preprocessing"] == {"seed": 0, "sigmas": 60, "min_cadences": 2}
    settings = provenance["settings"]["published"]
    assert set(settings) == {f.name for f in dataclasses.fields(step.PublishedSettings)}
    assert (settings["epochs"], settings["filters"]) == (2, [3, 2])
    assert provenance["versions"]["tensorflow"].count(".") == 2


def test_results_can_be_recomputed_from_the_predictions(results, finished, stars):
    predictions = pd.read_csv(finished / "data/test_predictions.csv")
    assert list(predictions)[:2] == ["row", "label"]
    assert {"published_distributed", "published_equalised"} <= set(predictions)
    np.testing.assert_array_equal(predictions["row"], np.arange(40))
    np.testing.assert_array_equal(predictions["label"], stars.test_labels == 2)
    y, score = predictions["label"], predictions["published_distributed"].astype(np.float32)
    test = row_of(results)
    called = score >= test["threshold"]
    ((tn, fp), (fn, tp)) = metrics.confusion_matrix(y, called)
    assert (test["tp"], test["fp"], test["fn"], test["tn"]) == (tp, fp, fn, tn)
    assert test["f1"] == pytest.approx(metrics.f1_score(y, called))
    assert test["roc_auc"] == pytest.approx(metrics.roc_auc_score(y, score))
    assert test["average_precision"] == pytest.approx(metrics.average_precision_score(y, score))


def test_the_saved_model_gives_the_same_scores(finished, stars):
    model = keras.models.load_model(finished / "data/published.keras")
    found = step.predict(model, stars.test_flux.astype(np.float32))
    saved = pd.read_csv(finished / "data/test_predictions.csv")["published_distributed"]
    np.testing.assert_allclose(found, saved, rtol=1e-5, atol=1e-7)


def test_history_has_a_row_per_epoch(finished):
    history = pd.read_csv(finished / "data/training_history.csv")
    published = history[history["network"] == "published"]
    for kind in ("distributed", "equalised"):
        assert published[published["light_curves"] == kind]["epoch"].tolist() == [0, 1]
    assert {"loss", "val_loss", "recall", "val_recall", "val_average_precision"} <= set(history)


def test_nothing_else_is_left_behind(finished):
    made = {path.name for path in (finished / "data").iterdir()}
    made -= {name for name in made if name.startswith("exoT")}
    assert made == {
        "preprocessed_data.pkl", "metrics.json", "test_predictions.csv",
        "training_history.csv", "published.keras",
    }  # fmt: skip
    plots = {path.name for path in (finished / "plots").iterdir()}
    assert plots == {"spectra_gausSS.png", "CMtrain.png", "CMtest.png", "Trainevo.png"}


def test_step_4_without_step_3_says_what_to_run(tmp_path):
    with pytest.raises(kepler.DataError, match=r"preprocessed_data.pkl' is missing: run `python"):
        step.main(["--data-dir", str(tmp_path), "--plots-dir", str(tmp_path / "plots")])
    assert list(tmp_path.iterdir()) == []


def test_simulated_is_refused_on_a_split_of_real_stars(finished):
    dirs = ["--data-dir", str(finished / "data"), "--plots-dir", str(finished / "plots")]
    with pytest.raises(kepler.DataError, match=r"data_preprocessing.py --simulated` first"):
        step.main([*dirs, "--simulated"])
