"""The door for Python: what is accepted, what comes out, and that it is what the files hold."""

import ast
import doctest
import functools
import json
import pickle
import subprocess
import sys
import tomllib
import zipfile
from types import SimpleNamespace

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from astropy import units
from astropy.time import Time
from conftest import ROOT
from toys import Deepest, find_depth

import exoplanets
from exoplanets.files import DataError
from exoplanets.scoring import command, door
from exoplanets.scoring.result import COLUMNS
from exoplanets.stars import CADENCE_DAYS

N = 900


@functools.cache
def make_arrays(n_cadences=N, level=1000.0, second=False):
    """Days and flux of white noise with clear dips every 60 cadences."""
    days = 100 + np.arange(n_cadences) * CADENCE_DAYS
    flux = level + np.random.default_rng(1).normal(size=n_cadences)
    flux[np.arange(n_cadences) % 60 < 5] -= 15
    if second:
        flux[np.arange(n_cadences) % 137 < 5] -= 10
    return days, flux


def as_row(result):
    """All columns of a result, comparable also where they are NaN."""
    return [str(getattr(result, name)) for name in COLUMNS if name not in ("name", "notes")]


@pytest.fixture(scope="module")
def scored():
    return exoplanets.score(*make_arrays())


def test_every_example_in_the_docstrings_is_true():
    for module in (exoplanets, door):
        failed, tried = doctest.testmod(module)
        assert tried >= 4 and not failed


def test_a_result_holds_numbers(scored):
    assert scored.called is True
    assert scored.period_days == pytest.approx(60 * CADENCE_DAYS, rel=1e-3)
    assert isinstance(scored.n_cadences, int) and isinstance(scored.depth_ppm, float)
    assert np.isnan(scored.radius_ratio) or scored.radius_ratio > 0
    assert scored.verdict == "planet candidate" and scored.name == "star"
    assert scored.called == (scored.score >= scored.threshold)
    with pytest.raises(AttributeError):
        scored.score = 1.0


def test_the_command_line_writes_the_same_numbers(tmp_path):
    days, flux = make_arrays()
    np.savez(tmp_path / "star.npz", time=days, flux=flux)
    output = tmp_path / "scores.csv"
    options = ["--output", str(output), "--data-dir", str(tmp_path), "--search-all"]
    assert command.main(["--predict", str(tmp_path / "star.npz"), *options]) == 0
    written = pd.read_csv(output)
    result = exoplanets.score(days, flux)
    table = exoplanets.score_many(exoplanets.read(tmp_path / "star.npz"))
    for name in COLUMNS:
        value = getattr(result, name)
        if isinstance(value, float):
            np.testing.assert_array_equal(written[name], value, name)
            np.testing.assert_array_equal(table[name], value, name)
    assert written["light_curve"][0] == result.light_curve == table["light_curve"][0]
    assert list(table.columns) == list(COLUMNS) == list(written.columns[:-1])


@pytest.mark.parametrize(
    "change",
    [
        lambda days, flux: (list(days), list(flux)),
        lambda days, flux: (days * units.day, flux * units.electron / units.s),
        lambda days, flux: (days * 24 * units.hour, flux),
        lambda days, flux: (pd.Series(days), pd.Series(flux)),
        lambda days, flux: (days, np.ma.masked_array(flux, np.zeros(len(flux), bool))),
        lambda days, flux: (days[::-1], flux[::-1]),
        lambda days, flux: (SimpleNamespace(time=days, flux=flux),),
        lambda days, flux: (pd.DataFrame({"time": days, "flux": flux}),),
        lambda days, flux: (SimpleNamespace(time=Time(days, format="jd"), flux=flux * units.ct),),
    ],
)
def test_times_and_flux_of_any_kind_give_the_same_result(change, scored):
    result = exoplanets.score(*change(*make_arrays()))
    for name in ("score", "called", "verdict", "n_cadences"):
        assert getattr(result, name) == pytest.approx(getattr(scored, name), abs=2e-6), name
    assert result.period_days == pytest.approx(scored.period_days, abs=2e-6)
    assert result.epoch_days == pytest.approx(scored.epoch_days, abs=2e-5)


def test_magnitudes_are_known_by_their_unit_or_asked_for(scored):
    days, flux = make_arrays()
    magnitudes = 12 - 2.5 * np.log10(flux / 1000)
    for given, told in ((magnitudes * units.mag, None), (magnitudes, True)):
        result = exoplanets.score(days, given, magnitudes=told)
        assert result.called and result.notes == "magnitudes turned into relative flux"
    with pytest.raises(DataError, match="may be magnitudes"):
        exoplanets.score(days, magnitudes)


def test_masked_values_are_missing():
    days, flux = make_arrays()
    mask = np.arange(N) == 500
    result = exoplanets.score(days, np.ma.masked_array(flux, mask))
    assert result.n_cadences == N - 1


@pytest.mark.parametrize(
    ("arguments", "options", "reason"),
    [
        ((np.zeros(3), np.zeros(4)), {}, r"of one length, \(n_samples,\), not \(3,\) and \(4,\)"),
        ((np.zeros((3, 2)), np.zeros((3, 2))), {}, "of one length"),
        ((np.zeros(3),), {}, "a light curve has a time and a flux, a ndarray has not"),
        ((["a"] * 600, np.zeros(600)), {}, "the time is no array of numbers"),
        ((np.arange(600) * units.m, np.zeros(600)), {}, "the unit of time, 'm', is none of time"),
        (make_arrays(), {"planets": 0}, "planets must be a whole number of at least 1, not 0"),
        (make_arrays(), {"planets": 1.5}, "planets must be a whole number"),
        (make_arrays(), {"model": 3}, "a model is a file, a function or has a method"),
    ],
)
def test_an_argument_that_cannot_be_used_is_one_sentence(arguments, options, reason):
    with pytest.raises(ValueError, match=reason) as caught:
        exoplanets.score(*arguments, **options)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("flux", "reason"),
    [
        (np.ones(900), "has the same flux, 1, at every cadence"),
        (np.arange(300.0), "has 300 cadences that are not missing"),
        (np.full(900, np.nan), "has 0 cadences that are not missing"),
    ],
)
def test_a_light_curve_that_cannot_be_scored_is_a_data_error(flux, reason):
    with pytest.raises(exoplanets.DataError, match=reason) as caught:
        exoplanets.score(np.arange(len(flux)) * CADENCE_DAYS, flux)
    assert "\n" not in str(caught.value)


def test_a_missing_model_is_named():
    with pytest.raises(DataError, match=r"'no\.keras' is missing"):
        exoplanets.score(*make_arrays(), model="no.keras")


# ------------------------------------------------------------------------------ folds and pages
def test_a_fold_shows_the_dips(scored):
    hours, ppm = scored.fold()
    assert hours.shape == ppm.shape == (N,)
    assert np.all(np.diff(hours) >= 0)
    assert np.abs(hours).max() <= 12 * scored.period_days + 1e-9
    assert np.median(ppm[np.abs(hours) < 0.8]) == pytest.approx(-15_000, rel=0.1)
    assert abs(np.median(ppm[np.abs(hours) > 4])) < 300
    with pytest.raises(ValueError, match="has 1 signals: there is no 2"):
        scored.fold(2)


def test_a_plot_is_an_open_figure(scored):
    figure = scored.plot()
    assert figure.get_suptitle().startswith("star: planet candidate")
    (model,) = (
        line for axis in figure.axes for line in axis.lines if line.get_color() == "#CC79A7"
    )
    hours, ppm = model.get_data()
    assert -ppm.min() == pytest.approx(scored.depth_ppm, rel=0.02)
    assert np.ptp(hours[ppm < -1]) == pytest.approx(scored.duration_hours, abs=0.7)
    assert figure.number in plt.get_fignums()


def test_a_result_can_be_sent_to_another_process(scored):
    again = pickle.loads(pickle.dumps(scored))
    assert as_row(again) == as_row(scored)
    assert again.fit.ephemeris == scored.fit.ephemeris and again.star.name == scored.star.name
    np.testing.assert_array_equal(again.fold(), scored.fold())
    with pytest.raises(ValueError, match="score it again"):
        again.plot()


def test_a_model_file_that_was_replaced_is_loaded_anew(tmp_path):
    path, other = tmp_path / "m.keras", tmp_path / "other.keras"
    path.write_bytes(command.SHIPPED_MODEL.read_bytes())
    first = exoplanets.score(*make_arrays(), model=path)
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(other, "w") as new:
        for name in old.namelist():
            content = old.read(name)
            if name == "scoring.json":
                content = json.dumps(json.loads(content) | {"threshold": 0.999})
            new.writestr(name, content)
    other.replace(path)
    second = exoplanets.score(*make_arrays(), model=path)
    assert (first.called, second.called, second.threshold) == (True, False, 0.999)
    assert first.network != second.network and first.score == second.score


def test_the_users_backend_of_matplotlib_stays():
    code = """
import matplotlib
from exoplanets.scoring import door
{}
door._import_pages()
print(matplotlib.get_backend())
"""
    for chosen in ("matplotlib.use('svg'); import matplotlib.pyplot", "matplotlib.use('svg')"):
        command = [sys.executable, "-c", code.format(chosen)]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
        assert done.stdout == "svg\n", done.stderr


def test_a_second_planet_is_found_behind_the_first():
    days, flux = make_arrays(3000, second=True)
    one = exoplanets.score(days, flux)
    assert len(one.signals) == 1
    both = exoplanets.score(days, flux, planets=3)
    assert as_row(both) == as_row(one)
    periods = sorted(signal.period_days / CADENCE_DAYS for signal in both.signals[:2])
    assert periods == pytest.approx([60, 137], rel=2e-3)
    assert all(signal.called for signal in both.signals)
    hours, ppm = both.fold(2)
    assert np.median(ppm[np.abs(hours) < 0.5]) < -5000


# ---------------------------------------------------------------------------------- many stars
def test_many_stars_are_a_table_and_a_bad_one_costs_the_others_nothing():
    days, flux = make_arrays()
    noise = 1000 + np.random.default_rng(2).normal(size=N)
    curves = [(days, flux), (days, np.ones(N)), (days, noise)]
    stars = [SimpleNamespace(time=t, flux=f, label=f"s{i}") for i, (t, f) in enumerate(curves)]
    with pytest.warns(UserWarning, match="'s1' has the same flux"):
        table = exoplanets.score_many(stars)
    assert list(table["name"]) == ["s0", "s2"] and len(table.attrs["unreadable"]) == 1
    assert table["called"].tolist() == [True, False] and table["called"].dtype == bool
    assert table["score"].dtype == table["period_days"].dtype == np.float64
    assert table["score"][0] == exoplanets.score(days, flux).score


def test_reading_tells_of_what_cannot_be_read(tmp_path):
    days, flux = make_arrays()
    np.savez(tmp_path / "star.npz", time=days, flux=flux)
    (tmp_path / "bad.csv").write_text("a,b\n")
    with pytest.warns(UserWarning, match=r"bad\.csv' has no column of time and flux"):
        (star,) = exoplanets.read(tmp_path)
    assert star.name.endswith("star.npz") and len(star.flux) == N
    with pytest.raises(DataError, match="'nowhere' matches no file"):
        exoplanets.read(["nowhere"])


# --------------------------------------------------------------------------- other classifiers
def test_a_toy_classifier_scores():
    days, flux = make_arrays()
    for model in (Deepest(), find_depth):
        result = exoplanets.score(days, flux, model=model)
        assert result.threshold == 0.5 and result.called and np.isnan(result.probability)
    assert exoplanets.score(days, flux, model=Deepest()).network == "deepest"
    quiet = 1000 + np.random.default_rng(2).normal(size=N)
    assert not exoplanets.score(days, quiet, model=Deepest()).called
    toy = Deepest()
    toy.threshold = 1.5
    assert not exoplanets.score(days, flux, model=toy).called


@pytest.mark.parametrize(
    ("model", "reason"),
    [
        (lambda curves: np.full(len(curves), np.nan), "gets a score that is not finite"),
        (lambda curves: np.zeros((2, 2)), r"gets scores of shape \(2, 2\)"),
        (lambda curves: 1 / 0, "cannot be scored: ZeroDivisionError: division by zero"),
    ],
)
def test_a_classifier_that_fails_is_one_sentence(model, reason):
    with pytest.raises(DataError, match=reason):
        exoplanets.score(*make_arrays(), model=model)


# ----------------------------------------------------------------------------------- the package
def test_importing_is_quick_and_imports_nothing_slow():
    code = "import sys, exoplanets; print(sorted(sys.modules)); exoplanets.nothing"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    loaded = {name.partition(".")[0] for name in ast.literal_eval(done.stdout)}
    assert not loaded & {"numpy", "tensorflow", "keras", "matplotlib", "astropy", "pandas"}
    assert done.stderr.endswith("module 'exoplanets' has no attribute 'nothing'\n")


def test_the_door_lists_what_it_offers():
    assert set(exoplanets.__all__) <= set(dir(exoplanets))
    for name in exoplanets.__all__:
        assert getattr(exoplanets, name) is not None


def read_requirements(name):
    """Names and versions of the packages in a file of requirements."""
    lines = (ROOT / name).read_text().splitlines()
    lines = (line.partition("#")[0].strip() for line in lines)
    return dict(line.split("==") for line in lines if line)


def test_the_package_needs_what_the_scripts_need_from_the_lowest_tested_versions():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    lowest = read_requirements("tests/requirements-lowest.txt")
    expected = {f"{name}>={lowest[name]}" for name in read_requirements("requirements.txt")}
    assert set(project["dependencies"]) == expected
    assert project["scripts"] == {"exoplanets": "exoplanets.scoring.command:main_installed"}


def test_all_files_that_are_no_code_are_in_the_package():
    """By the patterns of pyproject.toml: those that git knows below the package."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
    package = ROOT / "exoplanets"
    given = {
        path
        for folder, patterns in settings["package-data"].items()
        for pattern in patterns
        for path in ROOT.joinpath(*folder.split(".")).glob(pattern)
    }
    there = {
        path for path in package.rglob("*") if path.is_file() and path.suffix not in (".py", ".pyc")
    }
    assert there <= given


def test_the_version_is_the_same_everywhere():
    version = exoplanets.__version__
    assert f"\nversion: {version}\n" in (ROOT / "CITATION.cff").read_text()
    assert f"version = {{{version}}}" in (ROOT / "README.md").read_text()
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert project["project"]["dynamic"] == ["version"]
    assert project["tool"]["setuptools"]["dynamic"]["version"] == {"attr": "exoplanets.__version__"}
