"""Shared by all tests: small surveys on disk, the scripts as a user runs them."""

import functools
import os
import pickle
import shutil
import signal
import subprocess
import sys
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")  # byte-identical results are the CPU's
# The matrices are small: where other programs share the cores, threads that wait for each other
# take a hundred times as long as one. It is read when NumPy is imported. Scripts run without it.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pytest
import whole_run
from hypothesis import settings
from whole_run import ROOT

from exoplanets.sources import kaggle, survey

# The same examples on every run, and no deadline: a busy machine is no failure.
settings.register_profile("house", deadline=None, derandomize=True)
settings.load_profile("house")

REAL = ROOT.parent / "shared" / "real"  # a part of the real set, where a checkout has one
N_CADENCES = 640  # 13 days: fewer than 556 cannot be equalised


def write_table(path, labels, flux):
    """Write a table as the real CSVs are: labels 1 and 2, plain decimals, NaN as empty cell."""
    lines = [",".join(["LABEL", *(f"FLUX.{i + 1}" for i in range(flux.shape[1]))])]
    for label, star in zip(labels, flux, strict=True):
        cells = ("" if np.isnan(value) else repr(float(value)) for value in star)
        lines.append(",".join([str(int(label)), *cells]))
    path.write_text("\n".join(lines) + "\n")


@pytest.fixture(autouse=True)
def _tidy_up():
    """Close what a test drew; what `run` did to interrupts at the end of a script is undone."""
    yield
    plt.close("all")
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def stars():
    """A survey small enough for every test: 100 + 40 stars, 8 + 5 hosts, 640 cadences."""
    return survey.simulate(100, 40, 8, 5, n_cadences=N_CADENCES, seed=1)


@pytest.fixture(scope="session")
def _written(stars, tmp_path_factory):
    folder = tmp_path_factory.mktemp("written")
    write_table(folder / "exoTrain.csv", stars.train_labels, stars.train_flux)
    write_table(folder / "exoTest.csv", stars.test_labels, stars.test_flux)
    return folder


@pytest.fixture(scope="session")
def labelled(_written):
    """`stars` as step 2 gets them: the table of stars, and its provenance."""
    return kaggle.load(_written)


@pytest.fixture
def data_dir(_written, tmp_path):
    """A data directory of one test's own, holding `stars` as exoTrain.csv and exoTest.csv."""
    return Path(shutil.copytree(_written, tmp_path / "data"))


@pytest.fixture
def dirs(data_dir, tmp_path):
    """Command-line options that keep a script to this test's directories."""
    return ["--data-dir", str(data_dir), "--plots-dir", str(tmp_path / "plots")]


@pytest.fixture(scope="session")
def run_script(tmp_path_factory):
    """Run a script as its user does, from a directory that is not the repository."""
    return functools.partial(whole_run.run_script, cwd=tmp_path_factory.mktemp("foreign"))


def find_unfinished():
    """Files in the repository that were not written to their end."""
    return {path.name for path in ROOT.rglob("*") if ".partial" in path.name}


def wants_rounds(item):
    return "rounds" in item.fixturenames


def pytest_collection_modifyitems(items):
    """Tests of `rounds` come last: by then it is done, as its two minutes ran beside the others."""
    items.sort(key=wants_rounds)


@pytest.fixture(scope="session", autouse=True)
def _rounds_under_way(request, tmp_path_factory):
    """What `rounds` waits for, started before the first test if any test wants it."""
    if not any(map(wants_rounds, request.session.items)):
        yield None
        return
    folder = tmp_path_factory.mktemp("rounds")
    shutil.copytree(request.getfixturevalue("_written"), folder / "data")
    command = [sys.executable, whole_run.__file__, str(folder)]
    before = find_unfinished()
    with subprocess.Popen(command, start_new_session=True) as process:
        yield folder, process, before
        if process.poll() is None:  # the tests were stopped: so are the scripts
            os.killpg(process.pid, signal.SIGKILL)


@pytest.fixture(scope="session")
def rounds(_rounds_under_way):
    """Two runs of all four scripts in one directory: what each said, and what was there after."""
    folder, process, before = _rounds_under_way
    assert process.wait() == 0
    assert find_unfinished() == before
    return folder, pickle.loads((folder / whole_run.RESULT).read_bytes())


@pytest.fixture(scope="session")
def finished(rounds):
    """The directory in which all four scripts have run: its `data` and its `plots`."""
    return rounds[0]
