"""cnn_classifier.py: what is compared, what the step writes, and what it refuses."""

import json
import re

import numpy as np
import pandas as pd
import pytest
from toys import N_CADENCES, Deepest, make_stars

import cnn_classifier as step
from exoplanets.classifiers import registry
from exoplanets.classifiers.base import Classifier
from exoplanets.classifiers.box import BoxLeastSquares
from exoplanets.classifiers.repeats import RepeatCount
from exoplanets.classifiers.transit import Transit
from exoplanets.evaluation import evaluate, runs, vetting
from exoplanets.evaluation.calibration import measure_calibration
from exoplanets.evaluation.comparison import choose_tuning
from exoplanets.evaluation.metrics import calibrate
from exoplanets.figures import style
from exoplanets.files import DataError
from exoplanets.lightcurves.campaign import learn_campaign
from exoplanets.lightcurves.split import (
    SPLIT_FILE,
    load_split,
    make_distributed,
    save_split,
    split_stars,
    to_stars,
)
from exoplanets.search.box import search
from exoplanets.stars import SPLITS


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (["--cross-validate", "1"], "'1' is no number of folds, 2 or more"),
        (["--cross-validate", "x"], "no number of folds"),
        (["--repetitions", "0"], "no whole number of at least 1"),
        (["--box-least-squares", "maybe"], "never"),
        (["--seed", "-1"], "--seed"),
        (["--snr-low", "100", "--snr-high", "10"], "snr"),
        (["--curves", "1"], "--curves"),
        (["--kernel-size", "5000"], "--kernel-size"),
    ],
)
def test_options_that_make_no_sense_are_refused(options, reason, capsys):
    with pytest.raises(SystemExit) as exit_:
        step.main(options)
    assert exit_.value.code == 2
    assert reason in capsys.readouterr().err.splitlines()[-1]


def test_files_to_score_go_to_the_program_that_scores_them(capsys):
    for command in (["--predict"], ["--predict", "--simulated", "x.csv"]):  # none; not its option
        with pytest.raises(SystemExit) as exit_:
            step.main(command)
        assert exit_.value.code == 2
    assert "argument --predict: expected at least one argument" in capsys.readouterr().err
    with pytest.raises(SystemExit) as exit_:
        step.main(["--predict", "--help"])
    assert exit_.value.code == 0
    assert "--search-all" in capsys.readouterr().out


# -------------------------------------------------------------------- a classifier that is new
class Toy(Classifier):
    """All that a new classifier takes: this, and a line in the registry."""

    name = "toy"

    def score(self, stars):
        return np.abs(stars.curves).max(axis=1).astype(float)


class Main(Deepest):
    """In place of the transit network, which takes its time; it takes all dips for planets'."""

    name = "main"
    file = "main.keras"
    columns = Transit.columns

    def judge(self, stars):
        found, score = search(stars.curves), self.score(stars)
        return np.column_stack([score, score, np.ones(len(stars)), *found[1:4]])

    def save(self, path, scoring):
        path.write_text(json.dumps(scoring))


def write_split(folder):
    """What step 3 passes on, of small stars."""
    stars = make_stars(n_hosts=20, n_others=100)
    order = np.argsort(stars.table == "test", kind="stable")
    stars = stars.select(order)
    stars = stars.replace(row=np.r_[:80, :40])
    campaign = learn_campaign(stars.flux[:80].astype(float))
    stars = split_stars(stars, np.zeros(120, bool), 0)
    provenance = {"source": "user"}
    for name in ("train", "test"):
        counts = {"n_stars": 9, "n_hosts": 2, "n_cadences": N_CADENCES, "n_missing": 0}
        provenance[name] = {"file": f"{name}.csv", "sha256": "0" * 64} | counts
    settings = {"seed": 0, "sigmas": 60, "min_cadences": 2}
    settings["balancing"] = {"smote": 0.1, "undersampling": 0.2}
    distributed = make_distributed(stars)
    save_split(folder / SPLIT_FILE, provenance, settings, campaign, stars, distributed)


def build_only(self, stars, validation, seed):
    """In place of the training of the published network, which other tests are about."""
    self.model = step.make_published_network(self._read(stars), self.settings)
    measures = [f"{kind}{name}" for kind in ("", "val_") for name in MEASURES]
    self.history = pd.DataFrame({"epoch": [0]} | {name: [0.5] for name in measures})
    return self


MEASURES = ("loss", "recall", "average_precision")
QUICK = ["--epochs", "1", "--filters", "3", "2", "--dense", "4", "3", "--batch-size", "16"]


DRAWN = {}  # the figures of `with_toy`, by name


@pytest.fixture(scope="module")
def with_toy(tmp_path_factory):
    """A whole run with a registry that has one more line."""
    folder = tmp_path_factory.mktemp("toy")
    write_split(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(registry, "CLASSIFIERS", [Toy, RepeatCount, BoxLeastSquares, Main])
        patch.setattr(registry, "MAIN", "main")
        patch.setitem(vetting.LEVELS, "quick", vetting.Level(40, 30, 8, 10, False, 1, 1, 40, 50))
        save = step.save_figure

        def keep(figure, path, *about):
            DRAWN[path.stem] = figure
            save(figure, path, *about)

        patch.setattr(step, "save_figure", keep)
        patch.setattr(style, "write_figure", lambda *_: None)  # they are signed, and that is enough
        patch.setattr(step.Published, "fit", build_only)
        dirs = ["--data-dir", str(folder), "--plots-dir", str(folder / "plots")]
        options = ["--cross-validate", "2", "--repetitions", "1", "--seed", "3"]
        step.main([*dirs, *QUICK, *options])
    return folder


def test_a_new_classifier_is_in_the_table_the_cross_validation_and_the_vetting(with_toy):
    content = json.loads((with_toy / "metrics.json").read_text())
    splits = {row["split"] for row in content["results"] if row["network"] == "toy"}
    assert splits == {*SPLITS, "cross-validation"}
    assert "toy" in {row["network"] for row in content["suspects"]["results_without"]}
    assert "toy" in {row["network"] for row in content["cross_validation"]["results"]}
    for part in ("completeness", "reliability", "verdicts"):
        assert "toy" in {row["network"] for row in content["vetting"][part]}, part
    assert "toy_equalised" in pd.read_csv(with_toy / "test_predictions.csv")
    assert "| toy | equalised | test |" in (with_toy / "plots/results.md").read_text()


def test_a_new_classifier_is_in_the_figures(with_toy):
    for name in ("precision_recall", "injection_recovery", "reliability"):
        legends = [axis.get_legend() for axis in DRAWN[name].axes if axis.get_legend()]
        texts = [text.get_text() for legend in legends for text in legend.get_texts()]
        assert any(text.startswith("toy, equalised flux") for text in texts), name
    assert set(DRAWN) >= {"CMtrain", "CMtest", "Trainevo", "CMtest_main", "verdicts"}
    # The fit that is drawn is that of the star in the title.
    listed = pd.read_csv(with_toy / "stars.csv").query("table == 'test'").set_index("row")
    drawn = [axis.get_title(loc="left") for axis in DRAWN["top_candidates"].axes]
    for title in drawn:
        star = listed.loc[int(title.removeprefix("row ").partition(",")[0])]
        assert f"{star['verdict']}, score {star['score']:.2f}" in title
        known = pd.notna(star["snr"])
        assert (f"{star['period_days']:.4f} d, SNR" if known else "not measured") in title
    assert len(drawn) == 9
    run = json.loads((with_toy / "metrics.json").read_text())["provenance"]["run"]
    assert all(f"run {run}" in figure.get_supxlabel() for figure in DRAWN.values())


def test_the_run_is_named_in_all_its_results(with_toy):
    found = runs.find_runs(with_toy)
    assert len(found) == 6  # main.keras only looks like a Keras file
    assert found.pop("main.keras") == "unknown"
    assert set(found.values()) == {
        json.loads((with_toy / "main.keras").read_text())["provenance"]["run"]
    }
    assert f"run {found['metrics.json']}" in (with_toy / "plots/results.md").read_text()


def test_the_calibration_that_is_saved_is_the_one_that_is_drawn_and_used(with_toy):
    content = json.loads((with_toy / "metrics.json").read_text())
    measured = content["calibration"]["main on equalised"]
    saved = json.loads((with_toy / "main.keras").read_text())
    assert saved["calibration"] == [measured["slope"], measured["offset"]]
    assert saved["prevalence"] == measured["prevalence"] == pytest.approx(20 / 120)
    predicted = pd.read_csv(with_toy / "test_predictions.csv")
    # Stars of the training table set it, those that set the threshold; no test star does.
    stars = to_stars(load_split(with_toy / SPLIT_FILE), "equalised")
    known = stars.select(choose_tuning(Main(), stars)[0])
    assert set(known.table) == {"train"}
    again, _ = measure_calibration(known.y, Main().score(known), stars.is_host.mean(), seed=3)
    assert saved["calibration"] == [again["slope"], again["offset"]]
    expected = calibrate(predicted["main_equalised"], *saved["calibration"])
    np.testing.assert_allclose(predicted["main_equalised_probability"], expected)
    thresholds = [r["threshold"] for r in content["results"] if r["network"] == "main"]
    assert thresholds[:3] == [saved["threshold"]] * 3


def test_a_cross_validated_star_is_called_by_the_fold_that_scored_it(tmp_path, monkeypatch):
    asked = {}

    def turn(*args):
        rows, summary, out_of_fold = cross_validate(*args)
        for key, (judged, threshold) in out_of_fold.items():
            # Every other star is called: no single threshold gives these calls.
            threshold = judged[:, 0] + np.where(np.arange(len(threshold)) % 2, 0.01, -0.01)
            asked[key] = judged, threshold
        return rows, summary, asked

    write_split(tmp_path)
    cross_validate = evaluate.cross_validate
    monkeypatch.setattr(evaluate, "cross_validate", turn)
    monkeypatch.setattr(registry, "CLASSIFIERS", [Main, BoxLeastSquares, RepeatCount])
    monkeypatch.setattr(registry, "MAIN", "main")
    monkeypatch.setattr(style, "write_figure", lambda *_: None)
    monkeypatch.setattr(step.Published, "fit", build_only)
    dirs = ["--data-dir", str(tmp_path), "--plots-dir", str(tmp_path / "plots")]
    step.main([*dirs, *QUICK, "--cross-validate", "2", "--repetitions", "1", "--vet", "none"])
    listed = pd.read_csv(tmp_path / "stars.csv")
    judged, threshold = asked["main", "equalised"]
    score, called = judged[:, 0], judged[:, 0] >= threshold
    order = np.argsort(score, kind="stable")
    listed = listed.sort_values("score", kind="stable")
    np.testing.assert_allclose(listed["score"], score[order])
    assert listed["called"].sum() == called.sum()
    np.testing.assert_array_equal(listed["called"], called[order])


def test_suspects_are_the_same_in_every_result(with_toy):
    content = json.loads((with_toy / "metrics.json").read_text())
    listed = pd.read_csv(with_toy / "stars.csv")
    suspect = listed[listed["suspect_label"]]
    assert content["suspects"]["test_rows"] == suspect["row"][suspect["table"] == "test"].tolist()
    names = set(suspect["table"] + " row " + suspect["row"].astype(str))
    assert set(content["vetting"]["suspects"]) <= names
    assert (suspect["label"] == 0).all()


def test_an_interrupted_writer_leaves_no_stamp_behind(with_toy, tmp_path, monkeypatch):
    """`make` takes metrics.json for the sign that the step is done: it goes first, comes last."""
    write_split(tmp_path)
    (tmp_path / "metrics.json").write_text('{"provenance": {"run": "old"}}')
    (tmp_path / "stars.csv").write_text("row,run\n1,older\n")
    monkeypatch.setattr(registry, "CLASSIFIERS", [Main, BoxLeastSquares, RepeatCount])
    monkeypatch.setattr(registry, "MAIN", "main")
    monkeypatch.setattr(step.Published, "fit", build_only)
    said = []
    monkeypatch.setattr(step, "say", said.append)

    def fail(*_):
        assert (tmp_path / "stars.csv").read_text().count("\n") == 121
        raise KeyboardInterrupt

    monkeypatch.setattr(step, "save_figure", fail)
    dirs = ["--data-dir", str(tmp_path), "--plots-dir", str(tmp_path)]
    with pytest.raises(KeyboardInterrupt):
        step.main([*dirs, *QUICK, "--vet", "none", "--box-least-squares", "never"])
    assert not (tmp_path / "metrics.json").exists()
    assert any(
        "of several runs (metrics.json of run old, stars.csv of run older)" in s for s in said
    )


def test_results_that_cannot_be_written_are_refused_before_the_training(tmp_path, monkeypatch):
    write_split(tmp_path)
    (tmp_path / "a file").write_text("")
    monkeypatch.setattr(step, "fit_classifiers", lambda *_: pytest.fail("it was trained"))
    with pytest.raises(DataError, match="'.*a file' is a file"):
        step.main(["--data-dir", str(tmp_path), "--plots-dir", str(tmp_path / "a file" / "plots")])


def test_step_4_without_step_3_says_what_to_run(tmp_path):
    with pytest.raises(DataError, match=r"preprocessed_data.pkl' is missing: run `python"):
        step.main(["--data-dir", str(tmp_path), "--plots-dir", str(tmp_path / "plots")])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("option", "message"),
    [
        (["--cross-validate", "100"], "too few for 100 folds: use --cross-validate 10 or less"),
        (["--units", "1"], "must lie between 2 and inf, not 1"),
    ],
)
def test_what_cannot_be_is_refused_before_any_training(
    option, message, tmp_path, monkeypatch, capsys
):
    write_split(tmp_path)
    monkeypatch.setattr(step, "fit_classifiers", lambda *_: pytest.fail("it was trained"))
    dirs = ["--data-dir", str(tmp_path), "--plots-dir", str(tmp_path / "plots")]
    with pytest.raises((DataError, SystemExit)) as error:
        step.main([*dirs, *option])
    assert re.search(message, f"{error.value} {capsys.readouterr().err}")
