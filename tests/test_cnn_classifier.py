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


def fit_stars(n_stars=40, n_cadences=64, seed=0):
    rng = np.random.default_rng(seed)
    scale = rng.uniform(1, 1e4, n_cadences)
    return (rng.normal(3, 1, (n_stars, n_cadences)) * scale).astype(np.float32)


# ------------------------------------------------------------------------------ the network
def test_published_network_layer_by_layer():
    model = step.make_published_network(fit_stars(n_cadences=256), DEFAULTS)
    # n -> n - 1 -> n - 2 -> half of it: 256, 255, 254, 127; 127 x 7 = 889 inputs of Dense 50.
    expected = [
        (layers.InputLayer, (256, 1), 0),
        (layers.Normalization, (256, 1), 256 + 256 + 1),  # mean, variance, count
        (layers.Conv1D, (255, 11), (2 * 1 + 1) * 11),
        (layers.BatchNormalization, (255, 11), 4 * 11),
        (layers.Conv1D, (254, 7), (2 * 11 + 1) * 7),
        (layers.BatchNormalization, (254, 7), 4 * 7),
        (layers.MaxPooling1D, (127, 7), 0),
        (layers.Dropout, (127, 7), 0),
        (layers.Flatten, (889,), 0),
        (layers.Dense, (50,), (889 + 1) * 50),
        (layers.Dropout, (50,), 0),
        (layers.Dense, (30,), (50 + 1) * 30),
        (layers.Dropout, (30,), 0),
        (layers.Dense, (12,), (30 + 1) * 12),
        (layers.Dense, (1,), 12 + 1),
    ]
    found = [(type(layer), layer.output.shape[1:], layer.count_params()) for layer in model.layers]
    assert found == expected
    trainable = sum(int(np.prod(weight.shape)) for weight in model.trainable_weights)
    assert trainable == 33 + 22 + 161 + 14 + 44500 + 1530 + 372 + 13


def test_published_network_has_the_published_details():
    model = step.make_published_network(fit_stars(), DEFAULTS)
    by_type = {}
    for layer in model.layers:
        by_type.setdefault(type(layer).__name__, []).append(layer)
    assert [layer.rate for layer in by_type["Dropout"]] == [0.4, 0.3, 0.3]
    activations = [layer.activation.__name__ for layer in by_type["Dense"]]
    assert activations == ["relu", "relu", "relu", "sigmoid"]
    for convolution in by_type["Conv1D"]:
        assert convolution.kernel_size == (2,)
        assert convolution.activation.__name__ == "relu"
        penalty = convolution.kernel_regularizer(np.full((2, 1, 3), 2.0, np.float32))
        assert float(penalty) == pytest.approx(0.01 * 4 * 6)
    (pooling,) = by_type["MaxPooling1D"]
    assert (pooling.pool_size, pooling.strides) == ((2,), (2,))
    schedule = model.optimizer._learning_rate
    assert isinstance(model.optimizer, keras.optimizers.Adam)
    assert float(schedule(0)) == pytest.approx(1e-2)
    assert float(schedule(10_000)) == pytest.approx(0.8e-2)
    assert model.loss == "binary_crossentropy"


def test_adapted_normalisation_is_that_of_each_cadence_over_fit_stars():
    x = fit_stars()
    x[:, 5] = 7.0  # a constant cadence must not divide by 0
    model = step.make_published_network(x, DEFAULTS)
    normalised = keras.Model(model.inputs, model.layers[1].output).predict(
        x[..., np.newaxis], verbose=0
    )[..., 0]
    wide = x.astype(float)
    expected = (wide - wide.mean(axis=0)) / np.maximum(wide.std(axis=0), 1e-7)
    expected[:, 5] = 0
    np.testing.assert_allclose(normalised, expected, atol=2e-3)


def test_identity_normalisation_changes_nothing():
    x = fit_stars()
    settings = dataclasses.replace(DEFAULTS, normalization="identity")
    model = step.make_published_network(x, settings)
    normalised = keras.Model(model.inputs, model.layers[1].output).predict(
        x[..., np.newaxis], verbose=0
    )[..., 0]
    np.testing.assert_array_equal(normalised, x)


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


def test_every_setting_changes_the_network_or_its_training(monkeypatch):
    """Settings reach Keras: what `fit` and the network are given follows them."""
    settings = step.PublishedSettings(
        filters=(3, 2), kernel_size=3, l2=0.5, pool_dropout=0.1, dense=(5, 4), dense_dropout=0.2,
        learning_rate=0.5, decay_steps=10, decay_rate=0.5, host_weight=7.0, batch_size=9,
        epochs=4, patience=3,
    )  # fmt: skip
    model = step.make_published_network(fit_stars(), settings)
    convolutions = [layer for layer in model.layers if isinstance(layer, layers.Conv1D)]
    assert [layer.filters for layer in convolutions] == [3, 2]
    assert [layer.kernel_size for layer in convolutions] == [(3,), (3,)]
    assert float(convolutions[0].kernel_regularizer.l2) == 0.5
    dropouts = [layer.rate for layer in model.layers if isinstance(layer, layers.Dropout)]
    assert dropouts == [0.1, 0.2]
    dense = [layer.units for layer in model.layers if isinstance(layer, layers.Dense)]
    assert dense == [5, 4, 1]
    assert float(model.optimizer._learning_rate(20)) == pytest.approx(0.125)

    given = {}

    class Recorder:
        def fit(self, x, y, **options):
            given.update(options, x=x, y=y)
            return argparse.Namespace(history={"loss": [1.0], "val_loss": [1.0]})

    monkeypatch.setattr(step, "make_published_network", lambda *_: Recorder())
    fit, held_out = (fit_stars(160), np.arange(160) % 2), (fit_stars(4), np.arange(4) % 2)
    step.train_published(fit, held_out, settings, seed=1)
    assert given["class_weight"] == {0: 1.0, 1: 7.0}
    assert (given["batch_size"], given["epochs"]) == (9, 4)
    x, y = given["validation_data"]
    np.testing.assert_array_equal(x[..., 0], held_out[0])
    np.testing.assert_array_equal(y, held_out[1])
    np.testing.assert_array_equal(given["x"][..., 0], fit[0])
    np.testing.assert_array_equal(given["y"], fit[1])
    (stopping,) = [c for c in given["callbacks"] if isinstance(c, keras.callbacks.EarlyStopping)]
    assert (stopping.monitor, stopping.patience) == ("val_loss", 3)
    assert stopping.restore_best_weights


def test_bad_normalisation_is_refused(capsys):
    with pytest.raises(SystemExit):
        step.make_command_line().parse_args(["--normalization", "none"])
    assert "adapted" in capsys.readouterr().err


# --------------------------------------------------------------------------------- training
@pytest.fixture(scope="module")
def trained():
    """The published network on stars that are easy to tell apart: hosts have a deep dip."""
    rng = np.random.default_rng(7)

    def part(n_hosts, n_others):
        x = rng.normal(size=(n_hosts + n_others, 64))
        y = (np.arange(len(x)) < n_hosts).astype(np.int8)
        x[y == 1, 20:30] -= 4
        return x.astype(np.float32), y

    view = {}
    for name, sizes in {"train": (40, 200), "validation": (10, 50), "test": (10, 90)}.items():
        view[f"x_{name}"], view[f"y_{name}"] = part(*sizes)
    settings = dataclasses.replace(DEFAULTS, epochs=12, batch_size=32, patience=4)
    fit, held_out = ((view[f"x_{name}"], view[f"y_{name}"]) for name in step.SPLITS[:2])
    model, history = step.train_published(fit, held_out, settings, seed=3)
    return view, settings, model, history


def test_the_network_learns_what_can_be_learnt(trained):
    view, _, model, _ = trained
    score = step.predict(model, view["x_test"])
    assert score.shape == (100,)
    assert metrics.average_precision_score(view["y_test"], score) > 0.9


def test_the_best_epoch_is_kept(trained):
    view, _, model, history = trained
    assert history["epoch"].tolist() == list(range(len(history)))
    loss = model.evaluate(
        view["x_validation"][..., np.newaxis], view["y_validation"], verbose=0, return_dict=True
    )["loss"]
    assert loss == pytest.approx(history["val_loss"].min(), rel=1e-4)
    measures = ("loss", "recall", "average_precision")
    assert set(history) == {"epoch", *measures, *(f"val_{name}" for name in measures)}
    # A second network's measures have the same names: Keras would number unnamed ones.
    again = step.make_published_network(view["x_train"], DEFAULTS)
    found = again.evaluate(
        view["x_test"][..., np.newaxis], view["y_test"], verbose=0, return_dict=True
    )
    assert set(found) == set(measures)


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


def test_a_diverged_network_is_refused():
    class Diverged:
        name = "published"

        def predict(self, x, **options):
            return np.array([[0.5], [np.nan], [0.5]], np.float32)

    with pytest.raises(kepler.DataError, match="published network has diverged.*--learning-rate"):
        step.predict(Diverged(), np.zeros((3, 64)))


# ---------------------------------------------------------------------------------- figures
def row(tp, fp, fn, tn):
    y = [1] * (tp + fn) + [0] * (fp + tn)
    score = [0.9] * tp + [0.1] * fn + [0.9] * fp + [0.1] * tn
    return {"network": "n", "light_curves": "l", "split": "test"} | scores.evaluate(
        y, score, 0.5, seed=0
    )


def test_confusion_matrix_shows_counts_where_they_belong():
    figure = step.draw_confusion(row(tp=4, fp=7, fn=1, tn=558), "title")
    axis = figure.axes[0]
    at = {}
    for text in axis.texts:
        x, y = text.get_position()
        at.setdefault((round(y), round(x)), []).append(text.get_text())
    assert at == {
        (0, 0): ["558", "98.8% of non-hosts"],
        (0, 1): ["7", "1.2% of non-hosts"],
        (1, 0): ["1", "20.0% of hosts"],
        (1, 1): ["4", "80.0% of hosts"],
    }
    assert [t.get_text() for t in axis.get_xticklabels()] == ["called non-host", "called host"]
    assert [t.get_text() for t in axis.get_yticklabels()] == [
        "non-host\n(565 stars)", "host\n(5 stars)",
    ]  # fmt: skip


def test_history_marks_the_best_epoch(trained):
    history = trained[3]
    figure = step.draw_history(history, "title")
    best = int(np.argmin(history["val_loss"])) + 1
    assert f"(epoch {best})" in figure.axes[1].get_title(loc="left")
    for axis, name in zip(figure.axes, ("loss", "recall", "average_precision"), strict=True):
        fit, validation, marker = axis.lines
        np.testing.assert_array_equal(fit.get_ydata(), history[name])
        np.testing.assert_array_equal(validation.get_ydata(), history[f"val_{name}"])
        assert fit.get_xdata()[0] == 1
        assert marker.get_xdata()[0] == best


def test_table_prints_counts_intervals_and_what_is_undefined(capsys):
    step.print_table([row(4, 1, 1, 564), row(0, 0, 0, 5)])
    head, first, second, rule = capsys.readouterr().out.splitlines()
    assert head.split()[:8] == ["network", "light", "curves", "split", "TP", "FP", "FN", "TN"]
    assert first.split()[3:7] == ["4", "1", "1", "564"]
    assert first.count("0.800 [0.38, 0.96]") == 2
    assert second.count("undefined") == 5
    assert "score >= threshold" in rule


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
