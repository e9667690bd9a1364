"""The four scripts as a user runs them: by command, in order, from a foreign directory."""

import json

import pytest
from whole_run import SCRIPTS

FIGURES = {
    "data_visualization": {"starfluxspectra.png"},
    # These stars are too few to tell their time: no clock.png.
    "data_analysis": {"pairplot.png", "pairplot_out.png", "kde1plot.png", "leaks.png"},
    "data_preprocessing": {"spectra_gausSS.png"},
    "cnn_classifier": {
        "CMtrain.png", "CMtest.png", "Trainevo.png", "CMtest_transit.png",
        "precision_recall.png", "top_candidates.png", "injection_recovery.png", "reliability.png",
        "occlusion.png", "calibration.png",
    },
}  # fmt: skip
KEY = ("published", "distributed", "test")


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


def test_a_users_mistake_is_one_line_and_exit_code_2(data_dir, tmp_path, run_script):
    (data_dir / "exoTrain.csv").write_text("version https://git-lfs.github.com/spec/v1\n")
    done = run_script("data_visualization", "--data-dir", data_dir, "--plots-dir", tmp_path / "p")
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith("data_visualization.py: ")
    assert done.stderr.count("\n") == 1
    assert "LFS pointer" in done.stderr
    assert not (tmp_path / "p").exists()


def test_data_dir_may_be_relative_to_where_the_user_stands(data_dir, tmp_path, run_script):
    options = ["--data-dir", "data", "--plots-dir", "figures"]
    done = run_script("data_visualization", *options, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "figures" / "starfluxspectra.png").is_file()
