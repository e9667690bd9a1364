"""lightcurves/prepared.py: what step 2 computes is kept, and is only taken where it belongs."""

import json
import os

import matplotlib.pyplot as plt
import numpy as np
import pytest
from conftest import write_table

import data_analysis
from exoplanets.evaluation.clock_example import find_example, refine_period
from exoplanets.figures.clock import draw_clock
from exoplanets.files import DataError
from exoplanets.lightcurves import prepared as room
from exoplanets.lightcurves.campaign import Campaign
from exoplanets.lightcurves.clock import find_cadences, find_clock
from exoplanets.lightcurves.equalise import Equalised
from exoplanets.lightcurves.prepared import prepare
from exoplanets.sources import kaggle, survey
from exoplanets.sources.copies import write_copy
from exoplanets.stars import CADENCE_DAYS

N = 1500  # cadences, 31 days: enough for a clock


@pytest.fixture(scope="module")
def clocked(tmp_path_factory):
    """A directory of stars that tell their time: 16 or more filled rows agree on it."""
    folder = tmp_path_factory.mktemp("clocked")
    stars = survey.simulate(150, 30, 30, 5, n_cadences=N, seed=4)
    write_table(folder / "exoTrain.csv", stars.train_labels, stars.train_flux)
    write_table(folder / "exoTest.csv", stars.test_labels, stars.test_flux)
    return folder


@pytest.fixture(scope="module")
def ready(clocked, tmp_path_factory):
    return prepare(*kaggle.load(clocked), tmp_path_factory.mktemp("ready"))


@pytest.fixture
def equalisations(monkeypatch):
    """In place of equalisation something quick; the numbers of stars, one per call."""
    calls = []

    def learn_nothing(flux, clock):
        n = flux.shape[1]
        return Campaign(clock.lost, clock.missing, np.ones((1, n), "f4"), np.ones(n, "f4"), 0)

    def shorten(flux, campaign):
        calls.append(len(flux))
        rows = np.flatnonzero(np.ptp(flux, axis=1) > 0)
        dropped = [(i, "only 1 of") for i in np.setdiff1d(np.arange(len(flux)), rows)]
        return Equalised(flux[rows].astype(np.float32), rows, dropped)

    monkeypatch.setattr(room, "learn_campaign", learn_nothing)
    monkeypatch.setattr(room, "equalise_table", shorten)
    return calls


def same(one, two):
    for name in ("row", "is_host", "flux", "curves"):
        np.testing.assert_array_equal(getattr(one.stars, name), getattr(two.stars, name))
    for a, b in zip(one.clock.alignment, two.clock.alignment, strict=True):
        np.testing.assert_array_equal(a, b)
    for name in ("lost", "missing"):
        np.testing.assert_array_equal(getattr(one.clock, name), getattr(two.clock, name))
    assert one.clock[2:4] == two.clock[2:4]
    for name, array in one.campaign.to_arrays().items():
        np.testing.assert_array_equal(array, two.campaign.to_arrays()[name])
    assert one.describe() == two.describe()


def test_what_was_computed_once_is_taken_from_then_on(clocked, tmp_path, equalisations):
    stars, provenance = kaggle.load(clocked)
    first = prepare(stars, provenance, tmp_path)
    for _ in range(2):
        same(prepare(stars, provenance, tmp_path), first)
    assert equalisations == [180]


def test_what_belongs_to_other_stars_or_other_code_is_not_taken(
    labelled, tmp_path, equalisations, monkeypatch
):
    stars, provenance = labelled
    prepare(stars, provenance, tmp_path)
    other = provenance | {"test": provenance["test"] | {"sha256": "0" * 64}}
    prepare(stars, other, tmp_path)
    prepare(stars, other, tmp_path)
    assert equalisations == [140, 140]
    monkeypatch.setattr(room, "digest_code", lambda module: "of another version")
    prepare(stars, other, tmp_path)
    assert equalisations == [140] * 3


def test_damage_of_what_was_kept_is_said_and_made_good(labelled, tmp_path, equalisations, capsys):
    expected = prepare(*labelled, tmp_path).stars.curves
    path = tmp_path / "equalised.npz"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    for _ in range(2):
        np.testing.assert_array_equal(prepare(*labelled, tmp_path).stars.curves, expected)
    assert equalisations == [140, 140]
    assert capsys.readouterr().err.count("is damaged") == 1


def test_a_directory_that_takes_no_file_costs_the_copy_only(
    labelled, tmp_path, capsys, equalisations
):
    assert len(prepare(*labelled, tmp_path / "nowhere").stars) == 140
    assert "cannot be kept for the next step (No such file" in capsys.readouterr().err


FORGED = {
    "curves of float64": lambda a: a | {"curves": a["curves"].astype(float)},
    "no number": lambda a: a | {"curves": a["curves"] * np.float32(np.nan)},
    "curves too short": lambda a: a | {"curves": a["curves"][:, 1:]},
    "rows of other stars": lambda a: a | {"rows": a["rows"] + 1000},
    "rows too few": lambda a: a | {"rows": a["rows"][1:]},
    "no campaign": lambda a: {k: v for k, v in a.items() if not k.startswith("campaign")},
    "clock too short": lambda a: a | {"clock_missing": a["clock_missing"][1:]},
    "no clock": lambda a: {k: v for k, v in a.items() if k != "clock_rows"},
    "half an alignment": lambda a: a | {"alignment_profiles": np.zeros((3, 9))},
}


@pytest.mark.parametrize("name", FORGED)
def test_forged_curves_with_a_right_digest_are_made_anew(name, labelled, tmp_path, capsys):
    expected = prepare(*labelled, tmp_path).stars.curves
    with np.load(tmp_path / "equalised.npz") as stored:
        arrays = dict(stored)
    note = json.loads(arrays.pop("note").tobytes())
    write_copy(tmp_path / "equalised.npz", FORGED[name](arrays), note)
    np.testing.assert_array_equal(prepare(*labelled, tmp_path).stars.curves, expected)
    assert capsys.readouterr().err.count("is damaged, or not of this project") == 1


def test_a_pipe_in_its_place_is_not_waited_for(labelled, tmp_path, equalisations):
    os.mkfifo(tmp_path / "equalised.npz")
    assert len(prepare(*labelled, tmp_path).stars) == 140


@pytest.mark.parametrize(("table", "host"), [("train", True), ("test", True), ("test", False)])
def test_a_class_without_a_star_that_can_be_used_is_one_line(
    table, host, labelled, tmp_path, equalisations
):
    stars, provenance = labelled
    flux = stars.flux.copy()
    gone = np.flatnonzero((stars.table == table) & (stars.is_host == host))
    flux[gone] = 3.0
    name = "host" if host else "non-host"
    first = f"{table} row {stars.row[gone[0]]}: only 1 of"
    with pytest.raises(DataError, match=f"no {name} of the {table} table .* is {first}"):
        prepare(stars.replace(flux=flux), provenance, tmp_path)


# ------------------------------------------------------------------------------------ the clock
def test_the_clock_is_said_and_proved(ready):
    line = ready.describe()[0]
    assert line.startswith(f"clock: {ready.clock.n_agreeing} of 30 filled rows agree on ")
    assert f"{ready.clock.lost.sum()} lost cadences" in line
    assert np.median(ready.clock.alignment.by_clock) > np.median(ready.clock.alignment.by_column)


def test_crowded_cadences_are_told_from_lost_ones(ready, clocked):
    stars, _ = kaggle.load(clocked)
    train = stars.flux[stars.table == "train"]
    np.testing.assert_array_equal(ready.clock.missing, find_clock(train).missing)
    n_crowded = np.sum(ready.campaign.missing) - np.sum(ready.clock.missing)
    assert n_crowded > 0
    assert f"and {n_crowded} cadences at which many stars" in ready.describe()[1]


def test_no_clock_is_said(labelled, tmp_path, equalisations):
    assert prepare(*labelled, tmp_path).describe()[0] == (
        "clock: none found (of 8 filled rows too few agree, or no other rows follow their noise): "
        "a star's columns count as its cadences"
    )


@pytest.fixture(scope="module")
def eclipsing(ready):
    """The stars, one of which has eclipses every 1.7 days of true time."""
    stars = ready.stars
    cadences = find_cadences(stars.flux, ready.campaign)
    moved = np.flatnonzero((cadences != np.arange(N)).any(axis=1))
    star = moved[20]
    flux, curves = stars.flux.copy(), stars.curves.copy()
    spread = np.median(np.abs(np.diff(flux[star])))
    flux[star] -= 60 * spread * (cadences[star] * CADENCE_DAYS % 1.7 < 0.15)
    curves[star] -= 40 * (np.arange(N) * CADENCE_DAYS % 1.7 < 0.15)
    return star, stars.replace(flux=flux, curves=curves)


def test_the_star_with_the_clearest_dips_is_folded_sharper_on_the_clock(eclipsing, ready):
    star, stars = eclipsing
    name, folds = find_example(stars, ready.campaign)
    assert name == stars.names[star]
    (by_column, *_), (on_clock, phase, flux) = folds
    assert on_clock == pytest.approx(1.7, rel=1e-3)
    assert abs(by_column / 1.7 - 1) > 0.01
    inside = np.abs(phase) * 1.7 < 0.05
    assert np.median(flux[inside]) < -5
    assert np.median(flux[np.abs(phase) * 1.7 > 0.2]) == pytest.approx(0, abs=0.5)


def test_refining_finds_the_period_to_a_fraction_of_the_duration():
    times = np.arange(3000) * CADENCE_DAYS
    flux = -1.0 * (np.abs((times - 30) / 2.2 - np.round((times - 30) / 2.2)) * 2.2 < 0.06)
    found = refine_period(flux, times, 2.2 * 1.0013, 30.0, 0.12)
    assert found == pytest.approx(2.2, rel=3e-4)


def test_the_figure_of_the_clock_shows_both_times(eclipsing, ready):
    name, folds = find_example(eclipsing[1], ready.campaign)
    figure = draw_clock(ready.clock.alignment, folds, name)
    titles = [axis.get_title(loc="left") for axis in figure.axes]
    for title, correlation in zip(titles, ready.clock.alignment[:2], strict=False):
        assert f"correlation of the two {np.median(correlation):.2f}" in title
    assert titles[2].startswith(f"{name}, by column: period ")
    assert titles[3] == f"{name}, on the clock: period {folds[1][0]:.4f} days"
    assert all("(days)" in a.get_xlabel() or "(hours)" in a.get_xlabel() for a in figure.axes[1:])
    assert len(draw_clock(ready.clock.alignment, [], "").axes) == 2


TOLD = {"auc": 0.5, "interval": [0.4, 0.6], "best_f1": 0.1}
LEAKS = {
    "n_hosts": 35,
    "n_non_hosts": 145,
    "probes": [
        {"name": "a", "leak": "L1", "of_file": True, "distributed": TOLD, "equalised": TOLD}
    ],
    "adversary": None,
    "without_learning": {"probe": "a", "cut": 1.0, "tp": 1, "fp": 0, "fn": 0, "tn": 1, "f1": 1.0},
}


def test_step_2_proves_the_clock_and_takes_the_figure_of_other_stars_away(
    clocked, data_dir, tmp_path, capsys, monkeypatch, equalisations
):
    monkeypatch.setattr(data_analysis, "audit", lambda stars, seed: LEAKS)  # it takes its time
    for name in ("draw_pairs", "draw_density", "draw_leaks"):  # and so do these
        monkeypatch.setattr(data_analysis, name, lambda *args: plt.figure(layout="constrained"))
    plots = tmp_path / "plots"
    for folder, found in ((clocked, True), (data_dir, False)):
        data_analysis.main(["--data-dir", str(folder), "--plots-dir", str(plots)])
        clock = json.loads((folder / "leaks.json").read_text())["clock"]
        assert (clock is not None) == found
        assert (plots / "clock.png").exists() == found
        assert (f"figure: {plots / 'clock.png'}" in capsys.readouterr().out) == found
        if found:
            assert clock["n_filled_rows"] == 30
            assert len(clock["correlation_by_clock"]) == len(clock["correlation_by_column"]) == 4
