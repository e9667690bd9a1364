"""What comes with the repository for the reader: the example star, and the list of real stars."""

import sys

import numpy as np
import pytest
from conftest import ROOT

sys.path.insert(0, str(ROOT / "tests" / "benchmarks"))

import cut_stars
import example_star

from exoplanets.files import DataError


def test_example_star_is_what_its_command_makes():
    star, planet = example_star.make_star()
    path = ROOT / "exoplanets" / "sources" / "example_star.csv"
    shipped = np.loadtxt(path, delimiter=",", skiprows=1)
    np.testing.assert_allclose(shipped[:, 0], star[:, 0], atol=1e-5)
    np.testing.assert_allclose(shipped[:, 1], star[:, 1], atol=0.01)
    assert 40 < planet["snr"] < 80


def write_like_kaggle(folder):
    """Two tables as long as Kaggle's, with the right labels and one flux that names the row."""
    folder.mkdir()
    for table, n_stars, n_hosts in (("exoTrain", 5087, 37), ("exoTest", 570, 5)):
        rows = [f"{2 if i < n_hosts else 1},{i}.5" for i in range(n_stars)]
        (folder / f"{table}.csv").write_text("\n".join(["LABEL,FLUX.1", *rows]) + "\n")


def test_the_list_cuts_its_stars_out_of_kaggles_files(tmp_path):
    write_like_kaggle(tmp_path / "data")
    paths = cut_stars.cut(tmp_path / "data", tmp_path / "cut")
    made = [np.loadtxt(path, delimiter=",", skiprows=1) for path in paths]
    assert [len(table) for table in made] == [178, 77]
    assert [int(np.sum(table[:, 0] == 2)) for table in made] == [30, 7]
    np.testing.assert_array_equal(made[0][:30, 1], np.arange(30) + 0.5)
    np.testing.assert_array_equal(made[1][:7, 1], np.arange(30, 37) + 0.5)
    assert made[1][7, 1] == 372.5  # the star of the README's fold


def test_a_file_that_is_not_kaggles_is_refused(tmp_path):
    write_like_kaggle(tmp_path / "data")
    short = tmp_path / "data" / "exoTest.csv"
    short.write_text("\n".join(short.read_text().splitlines()[:50]) + "\n")
    with pytest.raises(DataError, match=r"row \d+ of exoTest.csv has not the label"):
        cut_stars.cut(tmp_path / "data", tmp_path / "cut")
    short.unlink()
    with pytest.raises(DataError, match="'.*exoTest.csv' is missing"):
        cut_stars.cut(tmp_path / "data", tmp_path / "cut")
    assert not (tmp_path / "cut").exists()
