"""data_analysis.py: the outliers by name, the audit of leaks, and what it hands on."""

import json
import re

import numpy as np
import pytest
from conftest import write_table

import data_analysis as step
from exoplanets.classifiers.base import tune_threshold
from exoplanets.evaluation import metrics
from exoplanets.figures.audit import draw_density, draw_leaks, draw_pairs
from exoplanets.lightcurves import probes
from exoplanets.lightcurves.outliers import OutlierRule
from exoplanets.lightcurves.prepared import prepare


def test_main_names_the_outliers_states_the_limit_and_draws_without_them(
    dirs, data_dir, stars, capsys, monkeypatch, tmp_path
):
    drawn = {}
    monkeypatch.setattr(step, "draw_pairs", lambda *a: drawn.setdefault(a[2], a) and draw_pairs(*a))
    monkeypatch.setattr(
        step, "draw_density", lambda *a: drawn.setdefault(a[2], a) and draw_density(*a)
    )
    flux = stars.train_flux.copy()
    flux[3, 100:104] = 9e6  # a host among them: what follows it must keep its class
    write_table(data_dir / "exoTrain.csv", stars.train_labels, flux)
    expected = np.flatnonzero(OutlierRule(6, 3).find(flux))
    assert 3 in expected
    assert len(expected) > 1
    step.main([*dirs, "--sigmas", "6", "--min-cadences", "3"])
    out = capsys.readouterr().out
    assert "(at least 3 values more than 6 standard deviations from " in out
    assert f"mean over stars): {len(expected)}\n" in out
    for row in expected:
        assert f"  train row {row} ({'host' if row < 8 else 'non-host'})\n" in out
    assert "among 100 stars one value can deviate by at most 9.9 standard deviations, two" in out
    assert "equal ones by 7.0: this rule can flag several at once\n" in out
    everyone, without, density = drawn.values()
    kept = np.setdiff1d(np.arange(100), expected)
    np.testing.assert_array_equal(everyone[0][:, :5], flux[:, :5])
    np.testing.assert_array_equal(without[0][:, :5], flux[kept, :5])
    np.testing.assert_array_equal(density[0], flux[kept, 0])
    for args in (without, density):
        np.testing.assert_array_equal(args[1], kept < 8)
    figures = {path.name for path in (tmp_path / "plots").iterdir()}
    assert figures == {"pairplot.png", "pairplot_out.png", "kde1plot.png", "leaks.png"}


# --------------------------------------------------------------------------------- the audit
@pytest.fixture(scope="module")
def ready(labelled, tmp_path_factory):
    """The small survey's stars, equalised."""
    return prepare(*labelled, tmp_path_factory.mktemp("ready")).stars


@pytest.fixture(scope="module")
def leaks(ready):
    """The small survey's audit."""
    return step.audit(ready, seed=0)


def test_the_audit_finds_the_leak_before_and_not_after(leaks):
    repeats = leaks["probes"][0]
    assert repeats["name"] == "exact repeats"
    assert repeats["distributed"] == {"auc": 1, "interval": [1, 1], "best_f1": 1}
    assert repeats["equalised"]["auc"] == 0.5  # none left: every star ties
    assert repeats["equalised"]["best_f1"] == pytest.approx(2 * 13 / (13 + 140))  # call all
    position = next(probe for probe in leaks["probes"] if probe["name"] == "row position")
    assert position["distributed"]["auc"] > 0.9
    low, high = position["equalised"]["interval"]
    assert low <= 0.5 <= high


def test_best_f1_is_that_of_the_best_single_cut():
    rng = np.random.default_rng(0)
    y = np.arange(60) < 9
    value = np.round(rng.normal(1.0 * y), 1)
    found = step.describe_probe(y, value, rng)
    best = max(2 * np.sum(y & (value >= cut)) / (9 + np.sum(value >= cut)) for cut in value)
    assert found["best_f1"] == pytest.approx(best)
    assert found["auc"] == metrics.rank_statistics(y, value)[0][0]


def test_the_summary_says_what_the_worst_leak_alone_would_score(leaks, ready, capsys):
    step.print_leaks(leaks)
    out = capsys.readouterr().out
    assert "leak audit: 13 hosts against 127 non-hosts" in out
    train = ready.select(ready.table == "train")
    cut = tune_threshold(train.y, probes.count_repeats(train.flux))  # of these alone
    assert (
        f"without any learning, 'exact repeats >= {cut:g}', a cut chosen on training stars, finds "
        "5 of 5 hosts of the test table with 0 false alarms: F1 1.00\n"
    ) in out
    for probe in leaks["probes"]:
        auc = probe["equalised"]["auc"]
        assert any(
            line.split("  ")[1].startswith(f"{probe['leak']} {probe['name']}")
            and f"equalised {auc:.3f} [" in line
            for line in out.splitlines()[1:-1]
        ), probe["name"]
    assert "fewer than" not in out
    step.print_leaks(leaks | {"n_hosts": 9})
    assert "fewer than 10 hosts: the intervals are too coarse" in capsys.readouterr().out


def test_the_cut_of_the_worst_leak_is_not_chosen_on_test_stars(ready):
    value = np.where(ready.is_host, 9.0, 1.0)
    test = np.flatnonzero(ready.table == "test")
    hosts, others = test[ready.is_host[test]], test[~ready.is_host[test]]
    value[hosts[:2]], value[others[0]] = 4.0, 9.0  # a lower cut would find them
    told = step.score_leak(ready, "a probe", value)
    assert (told["probe"], told["cut"], told["tp"], told["fn"], told["fp"]) == (
        "a probe", 5, 3, 2, 1
    )  # fmt: skip
    assert told["f1"] == pytest.approx(2 / 3)
    assert tune_threshold(ready.y[test], value[test]) < 4


def test_the_worst_leak_is_not_chosen_on_test_stars(ready, monkeypatch):
    """One number is perfect in the test table, another one is better in the training table."""
    train = ready.table == "train"

    def make_probe(name, noise_train, noise_test):
        noise = np.random.default_rng(0).normal(size=len(ready))
        value = ready.is_host + noise * np.where(train, noise_train, noise_test)
        tables = {len(some): some for some in (value[train], value[~train])}
        return probes.Probe(name, "L7", lambda flux: tables[len(flux)], "")

    chosen = make_probe("chosen", 0.6, 5.0), make_probe("perfect in the test", 0.7, 0.0)
    monkeypatch.setattr(probes, "BLOCK", len(ready))  # a table at a time
    monkeypatch.setattr(probes, "PROBES", chosen)
    found = step.audit(ready, seed=0)
    both = [probe["distributed"]["auc"] for probe in found["probes"]]
    assert found["without_learning"]["probe"] == "chosen" and both[0] < both[1]


def test_a_new_leak_is_one_entry(ready, monkeypatch, capsys):
    """A probe of a class of its own is in the file, on the console and in the figure."""

    def count_sevens(flux):
        return np.count_nonzero(flux == -777.5, axis=1).astype(float)

    probe = probes.Probe("sevens", "L7", count_sevens, "Somebody wrote sevens into one class.")
    monkeypatch.setattr(probes, "PROBES", (*probes.PROBES, probe))
    flux = ready.flux.copy()
    flux[ready.is_host, 5] = -777.5
    flux[ready.is_host, 1:4] = 1.5  # so that no other leak is worse
    found = step.audit(ready.replace(flux=flux), seed=0)
    told = found["probes"][-1]
    assert (told["name"], told["leak"], told["distributed"]["auc"]) == ("sevens", "L7", 1)
    step.print_leaks(found)
    assert "  L7 sevens " in capsys.readouterr().out
    (axis,) = draw_leaks(found).axes
    assert "sevens (L7)" in [label.get_text() for label in axis.get_yticklabels()]
    assert "L5, L7: how the file was made" in axis.get_title(loc="left")


def test_missing_values_are_part_of_the_schema(data_dir, dirs, stars, capsys):
    """An empty cell, a column without any value, dead and constant stars: the step goes on."""
    flux = stars.train_flux.copy()
    flux[:, 2] = np.nan
    flux[9, 0] = np.nan
    flux[30] = np.nan
    flux[31] = 4.0
    flux[32, 100:300] = 7.0  # 199 repeats of 640: too few cadences are left
    write_table(data_dir / "exoTrain.csv", stars.train_labels, flux)
    step.main(dirs)
    out = capsys.readouterr().out
    assert "left out: train row 30: 100% of its values are missing" in out
    assert "left out: train row 31: only 1 of 640" in out
    assert re.search(r"left out: train row 32: only 4\d\d of 640", out)
    leaks = json.loads((data_dir / "leaks.json").read_text())
    assert (leaks["n_hosts"], leaks["n_non_hosts"]) == (13, 124)


def test_leak_figure_shows_every_probe_with_its_interval(leaks):
    (axis,) = draw_leaks(leaks).axes
    names = [label.get_text() for label in axis.get_yticklabels()]
    listed = leaks["probes"][::-1]  # the first on top
    expected = [f"{probe['name']} ({probe['leak']})" for probe in listed]
    assert names == ["all but dips, together", *expected]
    drawn = [line.get_xdata() for line in axis.lines if line.get_marker() in ("s", "o")]
    expected = [[probe[kind]["auc"] for probe in listed] for kind in ("distributed", "equalised")]
    expected[1].insert(0, leaks["adversary"]["auc"])  # below all others, and of equalised curves
    for found, auc in zip(drawn, expected, strict=True):
        np.testing.assert_array_equal(found, auc)
    assert axis.lines[0].get_xdata()[0] == 0.5
