"""Shared by all tests: small surveys on disk, the scripts as a user runs them."""

import gc
import os
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
from hypothesis import settings

gc.disable()  # what is imported is no garbage; see `pytest_collection_finish`

# The same examples on every run, and no deadline: a busy machine is no failure.
settings.register_profile("house", deadline=None, derandomize=True)
settings.load_profile("house")

ROOT = Path(__file__).resolve().parent.parent
SCRIPTS = (  # in running order
    "data_visualization",
    "data_analysis",
    "data_preprocessing",
    "cnn_classifier",
)
REAL = ROOT.parent / "shared" / "real"  # a part of the real set, where a checkout has one
LONGEST = ("test_scripts", "test_transit")  # files of tests, see `pytest_collection_modifyitems`
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
    from exoplanets.sources import survey  # here: the process that shares out tests runs none

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
    from exoplanets.sources import kaggle

    return kaggle.load(_written)


@pytest.fixture
def data_dir(_written, tmp_path):
    """A data directory of one test's own, holding `stars` as exoTrain.csv and exoTest.csv."""
    return Path(shutil.copytree(_written, tmp_path / "data"))


@pytest.fixture
def dirs(data_dir, tmp_path):
    """Command-line options that keep a script to this test's directories."""
    return ["--data-dir", str(data_dir), "--plots-dir", str(tmp_path / "plots")]


def run_script(name, *args, cwd):
    """Run a script as its user does: with as many threads of BLAS as there are cores."""
    environment = {k: text for k, text in os.environ.items() if k != "OPENBLAS_NUM_THREADS"}
    return subprocess.run(
        [sys.executable, str(ROOT / f"{name}.py"), *map(str, args)],
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
        env=environment,
    )


def listing(*folders):
    """Every file below some folders, with its bytes."""
    return {
        path: path.read_bytes() for f in folders for path in Path(f).rglob("*") if path.is_file()
    }


def pytest_collection_modifyitems(items):
    """Put the files of tests first that take longest: no process ends long after the others."""
    items.sort(key=lambda item: item.path.stem not in LONGEST)


def pytest_collection_finish():
    """What was imported stays: Python need not look for garbage in it again and again."""
    gc.freeze()
    gc.enable()
