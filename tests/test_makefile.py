"""The Makefile: which stages run again after a change, a kill or another option."""

import os
import re
import shutil
import subprocess

import pytest
from conftest import ROOT, SCRIPTS

STAMPS = (  # in running order: what each stage writes last
    "plots/starfluxspectra.png",
    "data/leaks.json",
    "data/preprocessed_data.pkl",
    "data/metrics.json",
)
pytestmark = pytest.mark.skipif(not shutil.which("make"), reason="make is not installed")


@pytest.fixture
def finished_clone(tmp_path):
    """A copy of the code in which every stage is done, all files an hour old."""
    clone = tmp_path / "a clone"
    shutil.copytree(ROOT / "exoplanets", clone / "exoplanets")
    for name in ("Makefile", "requirements.txt", *(f"{name}.py" for name in SCRIPTS)):
        shutil.copy(ROOT / name, clone / name)
    for name in (".venv/.ready", "data/.options", *STAMPS):
        (clone / name).parent.mkdir(exist_ok=True)
        (clone / name).write_text("--data-dir data --plots-dir plots \n")
    files = [path for path in clone.rglob("*") if path.is_file()]
    start = (clone / "Makefile").stat().st_mtime - 3600
    for path in files:
        name = path.relative_to(clone).as_posix()
        age = 1 + STAMPS.index(name) if name in STAMPS else 0
        os.utime(path, (start + age, start + age))
    return clone


def run_make(clone, *options):
    """The scripts that `make` runs, in order; a stand-in for Python writes their stamps."""
    stamps = "".join(f"{s}.py) touch {t} ;;\n" for s, t in zip(SCRIPTS, STAMPS, strict=True))
    (clone / "python").write_text(f'#!/bin/sh\necho "ran $1"\ncase $1 in\n{stamps}esac\n')
    (clone / "python").chmod(0o755)
    command = ["make", "RUN=./python", "-o", ".venv/.ready", *options]
    done = subprocess.run(command, cwd=clone, capture_output=True, text=True, check=True)
    # A `make` that runs the tests makes this one say which folder it enters and leaves.
    lines = [line for line in done.stdout.splitlines() if not line.startswith("make[")]
    assert re.match(r"All four steps take about \d+ minutes on the \d+ cores here", lines[0])
    assert re.match(r"done after \d+ seconds: the results are in ", lines[-1])
    return [line.split()[1].removesuffix(".py") for line in lines if line.startswith("ran ")]


def test_nothing_runs_twice(finished_clone):
    assert run_make(finished_clone) == []


@pytest.mark.parametrize(
    ("changed", "stages"),
    [
        ("exoplanets/figures/report.py", (3,)),  # a table of step 4
        ("exoplanets/figures/templates/run.html", (3,)),
        ("exoplanets/figures/audit.py", (1, 2, 3)),
        ("exoplanets/files.py", (0, 1, 2, 3)),
        ("data_visualization.py", (0,)),
        ("data_preprocessing.py", (2, 3)),
        ("requirements.txt", (0, 1, 2, 3)),
    ],
)
def test_a_change_runs_the_stages_that_use_it(finished_clone, changed, stages):
    os.utime(finished_clone / changed)
    assert run_make(finished_clone) == [SCRIPTS[i] for i in stages]


@pytest.mark.parametrize("stage", range(len(STAMPS)))
def test_a_stage_that_was_killed_runs_again(finished_clone, stage):
    (finished_clone / STAMPS[stage]).unlink()
    assert SCRIPTS[stage] in run_make(finished_clone)


def test_another_option_runs_every_stage(finished_clone):
    assert run_make(finished_clone, "FLAGS=--seed 1") == list(SCRIPTS)


def test_new_light_curves_run_every_stage(finished_clone):
    (finished_clone / "data" / "exoTrain.csv").write_text("new\n")
    assert run_make(finished_clone) == list(SCRIPTS)
