"""The four scripts as a user runs them: by command, in order, from a foreign directory."""

import json
import shutil

import keras
import numpy as np
import pandas as pd
import pytest
from conftest import ROOT, SCRIPTS, listing, run_script
from sklearn import metrics as reference

import cnn_classifier
from data_analysis import audit
from exoplanets.classifiers import keras_tools
from exoplanets.evaluation import metrics, runs
from exoplanets.files import DataError
from exoplanets.lightcurves import probes
from exoplanets.lightcurves.prepared import prepare
from exoplanets.lightcurves.split import SPLIT_FILE, load_split, to_stars
from exoplanets.sources import kaggle
from exoplanets.stars import SPLITS

FIGURES = {
    "data_visualization": {"starfluxspectra.png"},
    # These stars are too few to tell their time: no clock.png.
    "data_analysis": {"pairplot.png", "pairplot_out.png", "kde1plot.png", "leaks.png"},
    "data_preprocessing": {"spectra_gausSS.png"},
    "cnn_classifier": {
        "CMtrain.png", "CMtest.png", "Trainevo.png", "CMtest_transit.png",
        "precision_recall.png", "top_candidates.png", "injection_recovery.png", "reliability.png",
        "occlusion.png", "calibration.png", "verdicts.png",
    },
}  # fmt: skip
SMALL = [  # both networks as small as they can be: seconds instead of minutes
    "--epochs", "2", "--filters", "3", "2", "--dense", "4", "3", "--batch-size", "16",
    "--curves", "64", "--candidates", "2", "--heads", "1", "--view-filters", "2", "--units", "4",
    "--transit-epochs", "1", "--systems", "64", "--judge-units", "4", "--judge-epochs", "1",
]  # fmt: skip
OPTIONS = {"cnn_classifier": [*SMALL, "--seed", "5"]}
ROWS = {  # network, light curves
    ("repeat_count", "distributed"),
    ("published", "distributed"),
    ("published", "equalised"),
    ("transit", "equalised"),
    ("box_least_squares", "equalised"),
}
KEY = ("published", "distributed", "test")


@pytest.fixture(scope="module")
def rounds(_written, tmp_path_factory):
    """Two runs of all four scripts in one directory: what each said, and what was there after."""
    folder, foreign = (tmp_path_factory.mktemp(name) for name in ("rounds", "foreign"))
    shutil.copytree(_written, folder / "data")
    dirs = ["--data-dir", folder / "data", "--plots-dir", folder / "plots"]
    before, made = find_unfinished(), []
    for _ in range(2):
        said = {n: run_script(n, *dirs, *OPTIONS.get(n, []), cwd=foreign) for n in SCRIPTS}
        files = listing(folder / "data", folder / "plots")
        made.append((said, {path.name: content for path, content in files.items()}))
    assert find_unfinished() == before
    return folder, made


@pytest.fixture(scope="module")
def finished(rounds):
    """The directory in which all four scripts have run: its `data` and its `plots`."""
    return rounds[0]


def find_unfinished():
    """Files in the repository that were not written to their end."""
    return {path.name for path in ROOT.rglob("*") if ".partial" in path.name}


@pytest.mark.parametrize("name", SCRIPTS)
def test_script_succeeds_and_says_what_it_made(name, rounds):
    said, files = rounds[1][0]
    done = said[name]
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr and "Warning" not in done.stderr
    assert done.stdout.startswith("data: user's light curves (exoTrain.csv ")
    figures = {line.rpartition("/")[2] for line in done.stdout.splitlines() if "figure: " in line}
    assert figures == FIGURES[name]
    for figure in figures:
        assert files[figure].startswith(b"\x89PNG")


def test_second_round_gives_the_same_bytes(rounds):
    (_, first), (_, second) = rounds[1]
    assert first.keys() == second.keys()
    # A Keras file is a zip archive with the time in it; everything else is the same.
    changed = {name for name in first if first[name] != second[name]}
    assert changed <= {"published.keras", "transit.keras"}
    assert {"results.md", "results.tex", "stars.csv", "test_predictions.csv"} <= set(first)
    assert "metrics.json" in first and "preprocessed_data.pkl" in first
    assert len([name for name in first if name.endswith(".png")]) == sum(map(len, FIGURES.values()))
    assert not [name for name in first if "partial" in name]


def test_second_round_says_the_same(rounds):
    (first, _), (second, _) = rounds[1]
    for name in SCRIPTS:
        assert first[name].stdout == second[name].stdout


def test_metrics_table_is_printed(rounds):
    said, files = rounds[1][0]
    (test,) = (
        row
        for row in json.loads(files["metrics.json"])["results"]
        if (row["network"], row["light_curves"], row["split"]) == KEY
    )
    counts = [str(test[name]) for name in ("tp", "fp", "fn", "tn")]
    lines = [line.split() for line in said["cnn_classifier"].stdout.splitlines()]
    assert [*KEY, *counts] in [line[:7] for line in lines]


# ---------------------------------------------------------------------------------- one script
def test_a_users_mistake_is_one_line_and_exit_code_2(dirs, data_dir, tmp_path):
    (data_dir / "exoTrain.csv").write_text("version https://git-lfs.github.com/spec/v1\n")
    done = run_script("data_visualization", *dirs, cwd=tmp_path)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith("data_visualization.py: ")
    assert done.stderr.count("\n") == 1
    assert "LFS pointer" in done.stderr
    assert not (tmp_path / "plots").exists()


def test_data_dir_may_be_relative_to_where_the_user_stands(data_dir, tmp_path):
    options = ["--data-dir", "data", "--plots-dir", "figures"]
    done = run_script("data_visualization", *options, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "figures" / "starfluxspectra.png").is_file()


# ---------------------------------------------------------------------------------- step 2
def test_leaks_have_the_agreed_schema(rounds, labelled, tmp_path):
    folder, ((said, files), _) = rounds
    content = json.loads(files["leaks.json"])
    assert set(content) == {
        "provenance", "clock", "n_hosts", "n_non_hosts", "probes", "adversary", "without_learning",
        "outlier_rule",
    }  # fmt: skip
    assert content["provenance"] == kaggle.load(folder / "data")[1] | {"seed": 0}
    assert (content["n_hosts"], content["n_non_hosts"]) == (13, 127)
    assert [probe["name"] for probe in content["probes"]] == [p.name for p in probes.PROBES]
    for probe in content["probes"]:
        assert set(probe) == {
            "name", "leak", "meaning", "reference", "of_file", "distributed", "equalised"
        }  # fmt: skip
        for kind in ("distributed", "equalised"):
            assert set(probe[kind]) == {"auc", "interval", "best_f1"}
            low, high = probe[kind]["interval"]
            assert 0 <= low <= probe[kind]["auc"] <= high <= 1
            assert 0 <= probe[kind]["best_f1"] <= 1
    leaks = audit(prepare(*labelled, tmp_path).stars, seed=0)
    assert content["probes"] == json.loads(json.dumps(leaks["probes"]))
    lines = said["data_analysis"].stdout.splitlines()
    assert lines[-1].startswith("results: ")  # its last file: all figures are there by then
    assert lines[-2].startswith("figure: ")


# ---------------------------------------------------------------------------------- step 4
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
        "provenance", "results", "thresholds", "suspects", "calibration", "cross_validation",
        "vetting",
    }  # fmt: skip
    assert set(results["thresholds"]) == {" on ".join(key) for key in ROWS}
    for key in ROWS:
        told = results["thresholds"][" on ".join(key)]
        assert told["threshold"] == row_of(results, *key)["threshold"]
        if key[0] == "published":  # it learns from hosts
            assert told["interval"] is None
        else:
            low, high = told["interval"]
            assert low <= told["threshold"] <= high
    assert results["vetting"]["level"] == "quick"
    found = [(row["network"], row["light_curves"], row["split"]) for row in results["results"]]
    assert len(found) == len(set(found))
    assert set(found) == {(*row, split) for row in ROWS for split in SPLITS}
    names = {"network", "light_curves", "split", "tp", "fp", "fn", "tn", "threshold"}
    names |= {"recall_at_precision_0.9", "matched_auc", *metrics.METRICS}
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
    for split, n_hosts in zip(SPLITS, (7, 2, 5), strict=True):
        row = row_of(results, "repeat_count", split=split)
        assert (row["tp"], row["fp"], row["fn"]) == (n_hosts, 0, 0)
        assert (row["f1"], row["average_precision"], row["roc_auc"]) == (1, 1, 1)


def test_results_carry_their_provenance(results, finished):
    provenance = results["provenance"]
    split = load_split(finished / "data" / SPLIT_FILE)
    assert provenance["data"] == split["provenance"]
    assert provenance["preprocessing"] == split["settings"]
    assert provenance["seed"] == 5
    assert provenance["settings"]["transit"]["curves"] == 64
    settings = provenance["settings"]["published"]
    assert (settings["epochs"], settings["filters"]) == (2, [3, 2])
    assert provenance["versions"]["tensorflow"].count(".") == 2
    assert set(runs.find_runs(finished / "data").values()) == {provenance["run"]}


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


def test_the_saved_network_gives_the_same_scores(finished):
    saved = pd.read_csv(finished / "data/test_predictions.csv")
    model = keras.models.load_model(finished / "data/published.keras")
    split = load_split(finished / "data" / SPLIT_FILE)
    stars = to_stars(split, "distributed")
    found = keras_tools.predict(model, stars.flux[stars.split == "test"])
    np.testing.assert_allclose(found, saved["published_distributed"], rtol=1e-5, atol=1e-7)


def test_history_has_a_row_per_epoch(finished):
    history = pd.read_csv(finished / "data/training_history.csv")
    published = history[history["network"] == "published"]
    for kind in ("distributed", "equalised"):
        assert published[published["light_curves"] == kind]["epoch"].tolist() == [0, 1]
    assert {"loss", "val_loss", "recall", "val_recall", "val_average_precision"} <= set(history)
    transit = history[history["network"] == "transit"]
    assert transit["epoch"].tolist() == list(range(len(transit)))
    assert len(transit) and transit["loss"].notna().all()
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
    assert listed["period_days"].notna()[(listed["label"] == 1) | listed["called"]].all()


def test_simulated_is_refused_on_a_split_of_real_stars(finished):
    dirs = ["--data-dir", str(finished / "data"), "--plots-dir", str(finished / "plots")]
    with pytest.raises(DataError, match=r"data_preprocessing.py --simulated` first"):
        cnn_classifier.main([*dirs, "--simulated"])
