"""data_analysis.py: the outlier rule, its limit, and figures that stay readable."""

import json
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from conftest import write_table
from hypothesis import given, settings
from hypothesis import strategies as st

import data_analysis as step
from exoplanets.evaluation import metrics
from exoplanets.figures.audit import compress, draw_density, draw_leaks, draw_pairs
from exoplanets.lightcurves import probes
from exoplanets.lightcurves.outliers import find_outlier_stars, largest_deviation, print_outliers
from exoplanets.sources import kaggle


def brute_force(flux, sigmas, min_cadences):
    """The rule as a reader would write it."""
    frame = pd.DataFrame(flux)
    deviant = (frame - frame.mean()).abs() > sigmas * frame.std()
    return np.flatnonzero(deviant.sum(axis=1) >= min_cadences)


@settings(max_examples=60)
@given(
    seed=st.integers(0, 10**6),
    n_stars=st.integers(3, 60),
    n_cadences=st.integers(1, 12),
    sigmas=st.sampled_from([0.7, 1.3, 2.1, 3.3]),
    min_cadences=st.integers(1, 4),
    missing=st.sampled_from([0, 0.2]),
)
def test_rule_equals_pandas(seed, n_stars, n_cadences, sigmas, min_cadences, missing):
    rng = np.random.default_rng(seed)
    flux = rng.standard_t(1.5, (n_stars, n_cadences))  # heavy tails: some do deviate
    flux[rng.random(flux.shape) < missing] = np.nan
    found = find_outlier_stars(flux, sigmas, min_cadences)
    np.testing.assert_array_equal(found, brute_force(flux, sigmas, min_cadences))


def test_deviant_cadences_count_across_the_whole_light_curve():
    flux = np.random.default_rng(1).normal(size=(50, 700))
    flux[7, [3, 690]] = 1e4  # far apart
    flux[9, 300] = 1e4  # one only
    before = flux.copy()
    assert find_outlier_stars(flux, sigmas=6).tolist() == [7]
    assert find_outlier_stars(flux, sigmas=6, min_cadences=1).tolist() == [7, 9]
    np.testing.assert_array_equal(flux, before)  # tables are shared: not changed


@settings(max_examples=60)
@given(st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=40).filter(lambda v: np.ptp(v) > 1))
def test_no_value_deviates_more_than_the_limit_and_a_single_one_reaches_it(values):
    n = len(values)
    limit = largest_deviation(n)
    assert np.abs(values - np.mean(values)).max() / np.std(values, ddof=1) <= limit * (1 + 1e-9)
    spike = np.arange(n) == 0
    assert (spike - spike.mean()).max() / np.std(spike, ddof=1) == pytest.approx(limit)


def test_sixty_sigma_reaches_only_one_dominating_star_among_at_least_3602():
    def flagged(n_stars, n_wild):
        flux = np.zeros((n_stars, 2))
        flux[:n_wild] = 1e6
        return find_outlier_stars(flux).tolist()

    assert largest_deviation(5087) == pytest.approx(71.3, abs=0.05)
    assert flagged(5087, 1) == [0]
    assert flagged(5087, 2) == []  # two equal ones reach 50.4
    assert flagged(3602, 1) == [0]
    assert flagged(3601, 1) == []


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
    expected = brute_force(flux, 6, 3)
    assert 3 in expected
    assert len(expected) > 1
    step.main([*dirs, "--sigmas", "6", "--min-cadences", "3"])
    out = capsys.readouterr().out
    assert "(at least 3 cadences more than 6 standard deviations from" in out
    assert f"mean over stars): {len(expected)}\n" in out
    for row in expected:
        assert f"  row {row} ({'host' if row < 8 else 'non-host'})\n" in out
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


@pytest.mark.parametrize(
    ("sigmas", "reach"),
    [
        (60, "can flag none"),
        (9.9, "can flag none"),
        (9.8, "can flag only a single star that dominates its cadence"),
        (7.0, "can flag only a single star that dominates its cadence"),
        (6.9, "can flag several at once"),
    ],
)
def test_the_rule_says_how_far_it_reaches_and_keeps_its_word(sigmas, reach, capsys):
    print_outliers(np.array([], int), np.zeros(100, bool), sigmas, 2)
    assert f": this rule {reach}\n" in capsys.readouterr().out
    flagged = []
    for n_wild in (1, 2):
        flux = np.zeros((100, 2))
        flux[:n_wild] = 1e6  # the most that so many stars can deviate
        flagged.append(len(find_outlier_stars(flux, sigmas, 2)))
    expected = {"can flag none": [0, 0], "can flag several at once": [1, 2]}
    assert flagged == expected.get(reach, [1, 0])


@given(st.floats(-1e7, 1e7), st.floats(-1e7, 1e7))
def test_compressed_flux_keeps_order_and_sign(one, two):
    low, high = sorted([one, two])
    assert compress(low) <= compress(high)
    assert compress(-one) == -compress(one)
    assert compress(1e6) == pytest.approx(compress(1e5) + 1, abs=1e-6)  # a decade


def test_pair_plot_shows_every_star_hosts_on_top():
    flux = np.random.default_rng(2).normal(size=(60, 5)) * 10.0 ** np.arange(60)[:, None] / 1e50
    flux = np.clip(flux, -1e6, 1e6)
    is_host = np.arange(60) < 6
    figure = draw_pairs(flux, is_host, "title")
    below = [a for a in figure.axes if len(a.collections) == 2 and a.get_xlabel() != ""]
    assert len(below) >= 4
    others, hosts = below[0].collections
    assert (len(hosts.get_offsets()), len(others.get_offsets())) == (6, 54)
    assert hosts.get_zorder() > others.get_zorder()
    assert [t.get_text() for t in figure.legends[0].get_texts()] == ["6 hosts", "54 non-hosts"]
    labels = [a.get_xlabel() for a in figure.axes if a.xaxis.get_visible() and a.get_xlabel()]
    assert labels == [f"FLUX.{i} (e$^-$/s)" for i in range(1, 6)]
    ticks = [t.get_text() for t in below[0].get_xticklabels()]
    assert "0" in ticks
    assert len(ticks) <= 5  # readable although fluxes span many decades


@pytest.mark.parametrize("n_hosts", [1, 2])
def test_figures_bear_few_hosts_missing_values_and_constants(n_hosts):
    flux = np.random.default_rng(3).normal(0, 100, (30, 5))
    flux[4, 0] = np.nan
    flux[:n_hosts] = 7.0
    is_host = np.arange(30) < n_hosts
    draw_pairs(flux, is_host, "title")  # a warning would be an error here
    figure = draw_density(flux[:, 0], is_host, "title")
    labels = [text.get_text() for text in figure.axes[0].get_legend().get_texts()]
    assert labels[-1] == f"non-host ({29 - n_hosts} stars)"  # one has no first flux


def test_each_class_has_a_density_of_unit_area():
    rng = np.random.default_rng(4)
    flux = np.concatenate([rng.normal(0, 5, 10), rng.normal(50, 200, 90)])
    figure = draw_density(flux, np.arange(100) < 10, "title")
    axis = figure.axes[0]
    areas = []
    for fill in axis.collections:
        path = fill.get_paths()[0].vertices
        x, y = path[:, 0], path[:, 1]
        areas.append(abs(np.sum(x * np.roll(y, -1) - np.roll(x, -1) * y)) / 2)
    assert len(areas) == 2
    assert areas == pytest.approx([1, 1], abs=0.02)
    labels = [text.get_text() for text in axis.get_legend().get_texts()]
    assert labels == ["non-host (90 stars)", "host (10 stars)"]
    assert "e$^-$/s" in axis.get_xlabel()


# ---------------------------------------------------------------------------------- the audit
@pytest.fixture(scope="module")
def audited(_written, tmp_path_factory):
    """The small survey's tables and its audit."""
    tables = kaggle.load(_written)
    return tables, *step.audit(tables, seed=0)


def test_leaks_have_the_agreed_schema(rounds, audited):
    folder, ((said, files), _) = rounds
    leaks = json.loads(files["leaks.json"])
    assert set(leaks) == {"provenance", "n_hosts", "n_non_hosts", "probes"}
    assert leaks["provenance"] == kaggle.load(folder / "data").provenance | {"seed": 0}
    assert (leaks["n_hosts"], leaks["n_non_hosts"]) == (13, 127)
    assert [probe["name"] for probe in leaks["probes"]] == [p.name for p in probes.PROBES]
    for probe in leaks["probes"]:
        assert set(probe) == {"name", "leak", "meaning", "reference", "distributed", "equalised"}
        for kind in ("distributed", "equalised"):
            assert set(probe[kind]) == {"auc", "interval", "best_f1"}
            low, high = probe[kind]["interval"]
            assert 0 <= low <= probe[kind]["auc"] <= high <= 1
            assert 0 <= probe[kind]["best_f1"] <= 1
    _, content, notes = audited
    assert notes == []
    assert leaks["probes"] == json.loads(json.dumps(content["probes"]))
    assert "results: " in said["data_analysis"].stdout


def test_the_audit_finds_the_leak_before_and_not_after(audited):
    _, content, _ = audited
    repeats = content["probes"][0]
    assert repeats["name"] == "exact repeats"
    assert repeats["distributed"] == {"auc": 1, "interval": [1, 1], "best_f1": 1}
    assert repeats["equalised"]["auc"] == 0.5  # none left: every star ties
    assert repeats["equalised"]["best_f1"] == pytest.approx(2 * 13 / (13 + 140))  # call all
    position = next(probe for probe in content["probes"] if probe["name"] == "row position")
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


def test_the_summary_says_what_the_worst_leak_alone_would_score(audited, capsys):
    tables, content, _ = audited
    step.print_leaks(content, tables)
    out = capsys.readouterr().out
    assert "leak audit: 13 hosts against 127 non-hosts" in out
    cut = metrics.tune_threshold(
        tables.train.is_host, probes.count_repeats(tables.train.flux)
    )  # of training stars alone
    assert (
        f"without any learning, 'exact repeats >= {cut:g}', a cut chosen on training stars, finds "
        "5 of 5 hosts of the test table with 0 false alarms: F1 1.00\n"
    ) in out
    for probe in content["probes"]:
        auc = probe["equalised"]["auc"]
        assert any(
            line.split("  ")[1].startswith(probe["name"]) and f"equalised {auc:.3f} [" in line
            for line in out.splitlines()[1:-1]
        ), probe["name"]
    assert "fewer than" not in out
    step.print_leaks(content | {"n_hosts": 9}, tables)
    assert "fewer than 10 hosts: the intervals are too coarse" in capsys.readouterr().out


def test_the_cut_of_the_worst_leak_is_not_chosen_on_test_stars(audited, capsys):
    tables, content, _ = audited
    flux = np.array(tables.test.flux)
    flux[[0, 20]] = flux[[20, 0]]  # a host without repeats, and a non-host with them
    repeats = probes.count_repeats(flux)
    flux[1] = np.random.default_rng(0).normal(size=flux.shape[1])
    flux[1, : int(np.sort(repeats)[-8])] = 3.0  # a host that a lower cut would find
    test = SimpleNamespace(flux=flux, is_host=tables.test.is_host)
    step.print_leaks(content, SimpleNamespace(train=tables.train, test=test))
    cut = metrics.tune_threshold(tables.train.is_host, probes.count_repeats(tables.train.flux))
    assert probes.count_repeats(flux)[1] < cut
    assert metrics.tune_threshold(test.is_host, probes.count_repeats(flux)) != cut
    out = capsys.readouterr().out
    assert f">= {cut:g}', a cut" in out
    assert "finds 3 of 5 hosts of the test table with 1 false alarm: F1 0.67" in out


def test_stars_that_cannot_be_equalised_are_named(data_dir, dirs, stars, capsys):
    flux = stars.train_flux.copy()
    flux[30, 100:300] = 7.0  # 199 repeats of 640: too few cadences are left
    write_table(data_dir / "exoTrain.csv", stars.train_labels, flux)
    step.main(dirs)
    out = capsys.readouterr().out
    assert "not equalised: train row 30: only 44" in out


def test_leak_figure_shows_every_probe_with_its_interval(audited):
    _, content, _ = audited
    (axis,) = draw_leaks(content).axes
    names = [label.get_text() for label in axis.get_yticklabels()]
    listed = content["probes"][::-1]  # the first on top
    assert names == [f"{probe['name']} ({probe['leak']})" for probe in listed]
    drawn = [line for line in axis.lines if line.get_marker() in ("s", "o")]
    for line, kind in zip(drawn, ("distributed", "equalised"), strict=True):
        np.testing.assert_array_equal(line.get_xdata(), [probe[kind]["auc"] for probe in listed])
    assert axis.lines[0].get_xdata()[0] == 0.5
