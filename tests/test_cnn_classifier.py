"""cnn_classifier.py: what is compared, on which stars, and what the step writes."""

import dataclasses
import json
import shutil

import keras
import numpy as np
import pandas as pd
import pytest
from conftest import SMALL
from sklearn import metrics as reference

import cnn_classifier as step
import data_preprocessing
from exoplanets.classifiers import keras_tools
from exoplanets.classifiers.transit import TransitSettings, load_transit
from exoplanets.commands.options import read_settings
from exoplanets.evaluation import comparison, crossvalidation, metrics
from exoplanets.evaluation.candidates import read_rows
from exoplanets.evaluation.comparison import (
    SPLITS,
    count_view_repeats,
    train_contenders,
    wants_search,
)
from exoplanets.files import DataError
from exoplanets.lightcurves import probes
from exoplanets.lightcurves.split import SPLIT_FILE, load_split, split_rows
from exoplanets.sources import kaggle
from exoplanets.stars import TABLES, as_tables

ROWS = {  # network, light curves
    ("repeat_count", "distributed"),
    ("published", "distributed"),
    ("published", "equalised"),
    ("transit", "equalised"),
    ("box_least_squares", "equalised"),
}
PUBLISHED, TRANSIT = step.PublishedSettings, TransitSettings


def arguments(*options):
    return step.make_command_line().parse_args([str(option) for option in options])


# --------------------------------------------------------------------------------- settings
@pytest.mark.parametrize("settings", [PUBLISHED, TRANSIT])
def test_every_setting_is_a_flag(settings):
    defaults = settings()
    assert read_settings(arguments(), settings) == defaults
    for field in dataclasses.fields(settings):
        if field.name == "normalization":
            value, text = "identity", ["identity"]
        elif isinstance(field.default, tuple):
            value, text = (4, 5, 6), ["4", "5", "6"]
        else:
            value = type(field.default)(field.default * 2)
            text = [str(value)]
        args = arguments(f"--{field.name.replace('_', '-')}", *text)
        changed = read_settings(args, settings)
        assert changed == dataclasses.replace(defaults, **{field.name: value}), field.name
        assert hash(changed)  # frozen all through


def test_defaults_of_the_published_network_are_the_studys():
    assert dataclasses.asdict(PUBLISHED()) == {
        "filters": (11, 7), "kernel_size": 2, "l2": 0.01, "pool_dropout": 0.4,
        "dense": (50, 30, 12), "dense_dropout": 0.3, "learning_rate": 1e-2,
        "decay_steps": 10_000, "decay_rate": 0.8, "host_weight": 2.5, "batch_size": 128,
        "epochs": 40, "patience": 8, "normalization": "adapted",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (["--normalization", "none"], "adapted"),
        (["--cross-validate", "1"], "'1' is no number of folds, 2 or more"),
        (["--cross-validate", "x"], "no number of folds"),
        (["--repetitions", "0"], "no whole number of at least 1"),
        (["--box-least-squares", "maybe"], "never"),
    ],
)
def test_options_that_make_no_sense_are_refused(options, reason, capsys):
    with pytest.raises(SystemExit) as exit_:
        arguments(*options)
    assert exit_.value.code == 2
    assert reason in capsys.readouterr().err


def test_files_to_score_go_to_the_program_that_scores_them(tmp_path, capsys):
    for command in (["--predict"], ["--predict", "--simulated", "x.csv"]):  # none; not its option
        with pytest.raises(SystemExit) as exit_:
            step.main(command)
        assert exit_.value.code == 2
    assert "argument --predict: expected at least one argument" in capsys.readouterr().err
    with pytest.raises(SystemExit) as exit_:
        step.main(["--predict", "--help"])
    assert exit_.value.code == 0
    assert "--search-all" in capsys.readouterr().out
    output = tmp_path / "scores.csv"
    assert step.main([f"--predict={tmp_path / 'no.csv'}", "--output", str(output)]) == 1
    assert output.read_text().count("\n") == 1  # the header alone


# ------------------------------------------------------------------------------- contenders
@pytest.mark.parametrize(
    ("choice", "n_stars", "expected"),
    [("auto", 1000, True), ("auto", 1001, False), ("always", 5657, True), ("never", 10, False)],
)
def test_box_search_of_every_star_is_left_out_aloud(choice, n_stars, expected, capsys):
    assert wants_search(choice, n_stars) == expected
    said = capsys.readouterr().err
    assert ("1001 stars would take about" in said) == (n_stars == 1001)


# ------------------------------------------------------- what the networks are taught, and by whom
@pytest.fixture(scope="module")
def prepared(_written, tmp_path_factory):
    """Step 3 on the small survey: its directories as options, its split and its tables."""
    folder = tmp_path_factory.mktemp("prepared")
    shutil.copytree(_written, folder / "data")
    dirs = ["--data-dir", folder / "data", "--plots-dir", folder / "plots"]
    data_preprocessing.main([str(option) for option in dirs])
    split = load_split(folder / "data" / SPLIT_FILE)
    return dirs, split, as_tables(*kaggle.load(folder / "data"))


class Memory:
    """In place of a network: a score of 1 for light curves it was shown, 0 for all others."""

    def __init__(self, *shown, name="published"):
        self.name = name
        self.known = {curve.tobytes() for curves in shown for curve in curves}


@pytest.fixture
def memories(monkeypatch, prepared):
    """Every training of `step` makes a `Memory`; the calls, by network."""
    calls = {"published": [], "transit": []}
    history = pd.DataFrame({"epoch": [0], "loss": [1.0]})
    _, split, tables = prepared
    raw = {}  # of each equalised curve
    view = split["equalised"]
    for name in SPLITS:
        flux = getattr(tables, "test" if name == "test" else "train").flux
        for curve, row in zip(view[f"x_{name}"], view[f"row_{name}"], strict=True):
            raw[curve.tobytes()] = flux[row].astype(np.float32).tobytes()

    def train_published(fit, held_out, settings, seed):
        calls["published"].append((fit, held_out, settings, seed))
        return Memory(fit[0], held_out[0]), history.copy()

    def train_transit(flux, settings, seed, was_missing=None):
        calls["transit"].append((flux, settings, seed))
        return Memory(flux.astype(np.float32), name="transit"), history.copy()

    def predict(model, x):
        keys = [curve.tobytes() for curve in x]
        keys = [raw[key] for key in keys] if model.name == "transit" else keys
        return np.array([key in model.known for key in keys], np.float32)

    monkeypatch.setattr(step, "train_published", train_published)
    monkeypatch.setattr(comparison, "train_transit", train_transit)
    monkeypatch.setattr(crossvalidation, "train_transit", train_transit)
    monkeypatch.setattr(keras_tools, "predict", predict)
    return calls


def test_the_transit_network_is_shown_raw_non_hosts_of_the_fit_stars_alone(prepared, memories):
    _, split, tables = prepared
    training = step.choose_training(arguments(*SMALL, "--box-least-squares", "never"))
    train_contenders(tables, split, *training, 0)
    ((flux, settings, seed),) = memories["transit"]
    view = split["equalised"]
    rows = view["row_train"][view["y_train"] == 0]
    assert len(rows) == 74
    np.testing.assert_array_equal(flux, tables.train.flux[rows])
    assert not tables.train.is_host[rows].any()
    assert not set(rows) & set(view["row_validation"])
    assert settings == read_settings(arguments(*SMALL), TRANSIT)
    assert seed == 0


def test_the_published_network_is_shown_each_view_balanced(prepared, memories):
    _, split, tables = prepared
    training = step.choose_training(arguments(*SMALL, "--box-least-squares", "never"))
    contenders, models, history = train_contenders(tables, split, *training, 0)
    for (fit, held_out, *_), kind in zip(
        memories["published"], ("distributed", "equalised"), strict=True
    ):
        view = split[kind]
        assert (np.sum(fit[1] == 1), np.sum(fit[1] == 0)) == (7, 35)  # SMOTE, then 1 per 5
        np.testing.assert_array_equal(held_out[0], view["x_validation"])
        np.testing.assert_array_equal(held_out[1], view["y_validation"])
        known = {curve.tobytes() for curve in view["x_train"]}
        assert sum(curve.tobytes() not in known for curve in fit[0]) == (kind == "equalised")
    assert {(c.network, c.light_curves) for c in contenders} == ROWS - {
        ("box_least_squares", "equalised")
    }
    assert set(models) == {"published_distributed", "published_equalised", "transit"}
    assert list(history["network"]) == ["published", "published", "transit"]
    for kind in ("distributed", "equalised"):
        assert split[kind]["x_validation"][0].tobytes() in models[f"published_{kind}"].known


def cross_validate(prepared, *options):
    _, split, tables = prepared
    repeats = count_view_repeats(tables, split["equalised"])
    colours = {n: probes.find_noise_colour(getattr(tables, n).flux) for n in TABLES}
    stars = crossvalidation.gather_stars(tables, split["equalised"], repeats, colours)
    args = arguments(*SMALL, "--box-least-squares", "never", *options)
    contenders = crossvalidation.make_contenders(stars, tables, *step.choose_training(args))
    seeds = range(args.seed, args.seed + args.repetitions)
    found = crossvalidation.cross_validate(
        stars.y, stars.colour, contenders, args.cross_validate, seeds, split_rows
    )
    return stars, *found


def test_cross_validation_scores_every_star_by_networks_that_never_saw_it(prepared, memories):
    options = ["--cross-validate", 3, "--repetitions", 2, "--seed", 7]
    stars, rows, summary, out_of_fold = cross_validate(prepared, *options)
    assert (len(stars.y), stars.y.sum()) == (140, 13)
    assert (summary["folds"], summary["seeds"]) == (3, [7, 8])
    found = {(row["network"], row["light_curves"]): row for row in rows}
    assert set(found) == ROWS - {("box_least_squares", "equalised")}
    for row in rows:
        assert row["split"] == "cross-validation"
        assert row["tp"] + row["fn"] == 13 and row["fp"] + row["tn"] == 127
    for key in found.keys() - {("repeat_count", "distributed")}:
        assert found[key]["roc_auc"] == 0.5, key  # a star in its own fit would score 1
    repeat = found["repeat_count", "distributed"]
    assert (repeat["tp"], repeat["fp"], repeat["f1"], repeat["roc_auc"]) == (13, 0, 1, 1)
    np.testing.assert_array_equal(out_of_fold["transit", "equalised"], np.zeros(140))
    # Two repetitions of three folds: the transit network saw raw non-hosts each time.
    assert len(memories["transit"]) == 6 and len(memories["published"]) == 12
    others = stars.y == 0
    raw = read_rows(prepared[2], stars.table[others], stars.row[others])
    others = {flux.astype(float).tobytes() for flux in raw}
    for flux, _, _ in memories["transit"]:
        assert 60 <= len(flux) <= 127 * 0.8 * 2 / 3 + 2
        assert {star.tobytes() for star in flux} <= others
    seen = [frozenset(star.tobytes() for star in flux) for flux, _, _ in memories["transit"]]
    assert len(set(seen)) == 6  # other folds every time


def test_cross_validation_is_summed_up_over_repetitions(prepared, memories):
    _, rows, summary, _ = cross_validate(prepared, "--cross-validate", 2, "--repetitions", 2)
    names = {*metrics.METRICS, "recall_at_precision_0.9", "noise_matched_auc"}
    for row, spread in zip(rows, summary["results"], strict=True):
        assert set(spread) == {"network", "light_curves", *names}
        assert spread["network"] == row["network"]
        for name in names:
            assert len(spread[name]["values"]) == 2
            assert spread[name]["values"][0] == row[name]
    json.dumps(summary, allow_nan=False)
    two = crossvalidation.summarise([0.2, 0.6])
    assert (two["mean"], two["sd"]) == pytest.approx((0.4, np.sqrt(0.08)))
    assert crossvalidation.summarise([0.3]) == {"mean": 0.3, "sd": None, "values": [0.3]}
    one_undefined = crossvalidation.summarise([0.3, None])
    assert one_undefined == {"mean": None, "sd": None, "values": [0.3, None]}


def test_more_folds_than_hosts_can_fill_are_refused(prepared, memories):
    with pytest.raises(DataError, match="13 stars .* for 7 folds: use --cross-validate 6"):
        cross_validate(prepared, "--cross-validate", 7)
    assert memories == {"published": [], "transit": []}


# ------------------------------------------------------------------------- the whole step
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
    assert set(results) == {
        "provenance", "results", "suspects", "cross_validation", "vetting",
    }  # fmt: skip
    assert results["vetting"]["level"] == "quick"
    found = [(row["network"], row["light_curves"], row["split"]) for row in results["results"]]
    assert len(found) == len(set(found))
    assert set(found) == {(*row, split) for row in ROWS for split in SPLITS}
    names = {"network", "light_curves", "split", "tp", "fp", "fn", "tn", "threshold"}
    names |= {"recall_at_precision_0.9", "noise_matched_auc", *metrics.METRICS}
    names |= {f"{name}_interval" for name in metrics.METRICS}
    for result in results["results"]:
        assert set(result) == names
        for name in metrics.METRICS:
            interval = result[f"{name}_interval"]
            assert interval is None or (len(interval) == 2 and interval[0] <= interval[1])
    for key in ROWS:
        test = row_of(results, *key)
        assert (test["tp"] + test["fn"], test["fp"] + test["tn"]) == (5, 35)
    assert results["cross_validation"] is None
    assert set(results["suspects"]) == {"rule", "test_rows", "results_without"}
    for result in results["suspects"]["results_without"]:
        assert set(result) == names
        assert result["tp"] + result["fn"] == 5  # a suspect is a non-host
        n_suspects = len(results["suspects"]["test_rows"])
        assert result["fp"] + result["tn"] == 35 - n_suspects


def test_counting_repeats_is_perfect_on_leaking_stars(results):
    for split, n_hosts in zip(SPLITS, (6, 2, 5), strict=True):
        row = row_of(results, "repeat_count", split=split)
        assert (row["tp"], row["fp"], row["fn"]) == (n_hosts, 0, 0)
        assert (row["f1"], row["average_precision"], row["roc_auc"]) == (1, 1, 1)


def test_results_carry_their_provenance(results, finished):
    provenance = results["provenance"]
    assert provenance["data"] == kaggle.load(finished / "data")[1]
    assert provenance["seed"] == 5
    assert provenance["preprocessing"] == {"seed": 0, "sigmas": 60, "min_cadences": 2}
    settings = provenance["settings"]["published"]
    for name, kind in {"published": PUBLISHED, "transit": TRANSIT}.items():
        assert set(provenance["settings"][name]) == {f.name for f in dataclasses.fields(kind)}
    assert provenance["settings"]["transit"]["curves"] == 64
    assert (settings["epochs"], settings["filters"]) == (2, [3, 2])
    assert provenance["versions"]["tensorflow"].count(".") == 2


def test_results_can_be_recomputed_from_the_predictions(results, finished, stars):
    predictions = pd.read_csv(finished / "data/test_predictions.csv")
    assert list(predictions)[:2] == ["row", "label"]
    assert {f"{network}_{kind}" for network, kind in ROWS} <= set(predictions)
    assert not predictions.isna().any().any()
    np.testing.assert_array_equal(predictions["row"], np.arange(40))
    np.testing.assert_array_equal(predictions["label"], stars.test_labels == 2)
    y = predictions["label"]
    for network, kind in ROWS:
        score = predictions[f"{network}_{kind}"]
        if network in ("published", "transit"):
            score = score.astype(np.float32)
        test = row_of(results, network, kind)
        called = score >= test["threshold"]
        ((tn, fp), (fn, tp)) = reference.confusion_matrix(y, called)
        assert (test["tp"], test["fp"], test["fn"], test["tn"]) == (tp, fp, fn, tn)
        assert test["f1"] == pytest.approx(reference.f1_score(y, called))
        assert test["roc_auc"] == pytest.approx(reference.roc_auc_score(y, score))
        area = reference.average_precision_score(y, score)
        assert test["average_precision"] == pytest.approx(area)
    repeats = np.sum(np.diff(stars.test_flux, axis=1) == 0, axis=1)
    np.testing.assert_array_equal(predictions["repeat_count_distributed"], repeats)


def test_saved_models_give_the_same_scores(finished, stars):
    saved = pd.read_csv(finished / "data/test_predictions.csv")
    model = keras.models.load_model(finished / "data/published.keras")
    found = keras_tools.predict(model, stars.test_flux.astype(np.float32))
    np.testing.assert_allclose(found, saved["published_distributed"], rtol=1e-5, atol=1e-7)
    split = load_split(finished / "data" / SPLIT_FILE)
    view = split["equalised"]
    model, _ = load_transit(finished / "data/transit.keras")
    found = keras_tools.predict(model, view["x_test"])
    expected = saved["transit_equalised"].to_numpy()[view["row_test"]]
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-7)


def test_probabilities_are_the_transit_scores_calibrated_on_validation_stars(finished):
    saved = pd.read_csv(finished / "data/test_predictions.csv")
    _, scoring = load_transit(finished / "data/transit.keras")
    score = saved["transit_equalised"].astype(np.float32)
    expected = metrics.calibrate(score, *scoring["calibration"])
    np.testing.assert_allclose(saved["transit_equalised_probability"], expected, rtol=1e-5)


def test_history_has_a_row_per_epoch(finished):
    history = pd.read_csv(finished / "data/training_history.csv")
    published = history[history["network"] == "published"]
    for kind in ("distributed", "equalised"):
        assert published[published["light_curves"] == kind]["epoch"].tolist() == [0, 1]
    assert {"loss", "val_loss", "recall", "val_recall", "val_average_precision"} <= set(history)
    transit = history[history["network"] == "transit"]
    assert transit["stage"].tolist() == ["events", "periods"]
    assert set(transit["light_curves"]) == {"equalised"}


def test_nothing_else_is_left_behind(finished):
    made = {path.name for path in (finished / "data").iterdir()}
    made -= {name for name in made if name.startswith("exoT")}
    assert made == {
        "preprocessed_data.pkl", "leaks.json", "metrics.json", "test_predictions.csv",
        "training_history.csv", "published.keras", "transit.keras", "stars.csv",
        "source.json", "parsed.npz", "equalised.npz",
    }  # fmt: skip


def test_every_labelled_star_is_listed_once_with_its_score(finished, stars):
    listed = pd.read_csv(finished / "data/stars.csv")
    labels = {"train": stars.train_labels, "test": stars.test_labels}
    assert listed["table"].tolist() == ["train"] * 100 + ["test"] * 40
    for name, expected in labels.items():
        part = listed[listed["table"] == name]
        assert part["row"].tolist() == list(range(len(expected)))
        np.testing.assert_array_equal(part["label"] == 1, expected == 2)
    saved = pd.read_csv(finished / "data/test_predictions.csv")["transit_equalised"]
    np.testing.assert_array_equal(listed["score"][100:], saved)
    split = load_split(finished / "data" / SPLIT_FILE)
    taught = split["equalised"]["row_train"][split["equalised"]["y_train"] == 0]
    assert set(listed["row"][~listed["out_of_fold"]]) == set(taught)  # non-hosts of the fit part
    assert not (listed["suspect_label"] & (listed["label"] == 1)).any()
    assert listed["period"].notna().equals((listed["label"] == 1) | listed["is_host"])


def test_step_4_without_step_3_says_what_to_run(tmp_path):
    with pytest.raises(DataError, match=r"preprocessed_data.pkl' is missing: run `python"):
        step.main(["--data-dir", str(tmp_path), "--plots-dir", str(tmp_path / "plots")])
    assert list(tmp_path.iterdir()) == []


def test_simulated_is_refused_on_a_split_of_real_stars(finished):
    dirs = ["--data-dir", str(finished / "data"), "--plots-dir", str(finished / "plots")]
    with pytest.raises(DataError, match=r"data_preprocessing.py --simulated` first"):
        step.main([*dirs, "--simulated"])
