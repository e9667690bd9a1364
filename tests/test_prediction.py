"""Scoring the user's own stars: the same scores as in training, whatever else lies around."""

import csv
import json
import os
import pickle
import re
import subprocess
import sys
import threading
import zipfile

import numpy as np
import pytest
from conftest import ROOT
from threadpoolctl import threadpool_info, threadpool_limits

import exoplanets
from exoplanets.classifiers import keras_tools, transit, verdict
from exoplanets.files import DataError
from exoplanets.lightcurves import equalise
from exoplanets.lightcurves.clock import find_cadences
from exoplanets.scoring import command as predict
from exoplanets.scoring import measure, network, prediction
from exoplanets.scoring.network import load_network
from exoplanets.scoring.own_campaign import FEWEST_STARS
from exoplanets.scoring.own_stars import Star, Target, read_stars
from exoplanets.scoring.result import SIGNAL_COLUMNS
from exoplanets.scoring.samples import COLUMNS_ONLY
from exoplanets.scoring.score_file import COLUMNS, format_result, write_cell
from exoplanets.search.ephemeris import Ephemeris
from exoplanets.sources import survey
from exoplanets.stars import CADENCE_DAYS, Stars
from exoplanets.transits import transit_duration, transit_flux

N = 800  # cadences


@pytest.fixture(scope="module")
def flux():
    made = survey.simulate(
        n_train=24, n_test=8, n_train_hosts=4, n_test_hosts=2, n_cadences=N, seed=5
    )
    return made.train_flux


def judge_table(network, flux):
    """What a transit network says of a table, as the study asks it; a column each of `columns`."""
    n_stars = len(flux)
    classifier = transit.Transit(transit.TransitSettings(heads=1))
    classifier.model = network
    return classifier.judge(
        Stars(
            table=np.full(n_stars, "train"),
            row=np.arange(n_stars),
            is_host=np.zeros(n_stars, bool),
            flux=flux,
            curves=equalise.equalise_table(flux).curves,
        )
    )


@pytest.fixture(scope="module")
def model(tmp_path_factory, flux):
    """A transit network as it is before training: scoring does not ask how good it is."""
    keras_tools.make_reproducible(3)
    settings = transit.TransitSettings(heads=1)
    network = transit.make_transit_network(settings)
    last = [layer for layer in network.get_layer("weigher").layers if layer.weights][-1]
    kernel, bias = last.get_weights()
    last.set_weights([4 * kernel, bias])  # scores that differ from star to star
    path = tmp_path_factory.mktemp("model") / "transit.keras"
    scoring = {
        "settings": settings.__dict__,
        "threshold": float(np.median(judge_table(network, flux)[:, 0])),
        "calibration": [1.0, -2.0],
        "prevalence": 0.01,
        "provenance": {},
    }
    transit.save_transit(network, path, scoring)
    return path


def write_stars(path, flux, labels=None):
    """Write a table in the Kaggle schema."""
    with open(path, "w", newline="") as stream:
        writer = csv.writer(stream)
        head = [f"FLUX.{i + 1}" for i in range(flux.shape[1])]
        writer.writerow(head if labels is None else ["LABEL", *head])
        for i, star in enumerate(flux):
            cells = [repr(float(value)) for value in star]
            writer.writerow(cells if labels is None else [labels[i], *cells])
    return path


def write_star(path, flux, start=100.0):
    """Write one star with times."""
    rows = (f"{start + i * CADENCE_DAYS:.6f},{value:.4f}\n" for i, value in enumerate(flux))
    path.write_text("time,flux\n" + "".join(rows))
    return path


def make_dips(n_cadences, middles, depth=12.0, seed=0):
    """White noise of deviation 1 around 1000, with dips of five cadences."""
    flux = 1000 + np.random.default_rng([n_cadences, seed]).normal(size=n_cadences)
    for middle in middles:
        flux[middle - 2 : middle + 3] -= depth
    return flux


def score(*patterns, model, output, options=()):
    """Run the program; returns its exit code and the rows of its output by name."""
    command = ["--predict", *map(str, patterns), "--model", str(model), "--output", str(output)]
    code = predict.main([*command, *map(str, options)])
    return code, read_scores(output)


def to_lines(rows):
    """The lines of a file of scores, and whether they are new."""
    return [(format_result(result), is_new) for result, is_new in rows]


def read_scores(path):
    if not path.exists():
        return {}
    with open(path, newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    assert all(tuple(row) == COLUMNS for row in rows)
    return {row["name"]: row for row in rows}


# ------------------------------------------------------------------------------------- scores
def test_rows_of_a_table_get_the_scores_of_the_equalised_table(tmp_path, model, flux):
    table, output = write_stars(tmp_path / "stars.csv", flux), tmp_path / "scores.csv"
    code, rows = score(table, model=model, output=output)
    assert code == 0
    network, scoring = transit.load_transit(model)
    expected = judge_table(network, flux)
    assert list(rows) == [f"{table}:{i}" for i in range(len(flux))]
    for column, name in enumerate(("score", "transit_score", "planet_score")):
        found = np.array([float(row[name]) for row in rows.values()])
        assert found == pytest.approx(expected[:, column], abs=2e-6), name
    called = np.array([row["called"] == "1" for row in rows.values()])
    assert np.array_equal(called, expected[:, 0] >= scoring["threshold"])
    assert 0 < called.sum() < len(called)


def test_verdicts_follow_from_both_judgements_and_only_dips_that_repeat_are_measured(
    tmp_path, model, flux
):
    table, output = write_stars(tmp_path / "stars.csv", flux), tmp_path / "scores.csv"
    _, rows = score(table, model=model, output=output)
    repeat = sorted(float(row["transit_score"]) for row in rows.values())
    # Between two of them: a printed score is a rounded one.
    middle = np.mean(repeat[len(repeat) // 2 - 1 :][:2])
    path = write_model(tmp_path / "m.keras", model, threshold=float(middle))
    _, some = score(table, model=path, output=output)
    seen = set()
    for row in [*rows.values(), *some.values()]:
        both, dips, planet, threshold = (
            float(row[name]) for name in ("score", "transit_score", "planet_score", "threshold")
        )
        assert both == pytest.approx(dips * planet, abs=2e-6)
        expected = "unclear" if planet >= verdict.MOST_OF_BINARY else "eclipsing binary"
        if both >= threshold:
            expected = "planet candidate"
        elif dips < threshold - 1e-6:
            expected = "nothing"
        assert row["verdict"] == expected
        assert (row["period_days"] == "") == (expected == "nothing")
        seen.add(expected)
    assert seen >= {"planet candidate", "unclear", "nothing"}


def test_a_row_says_what_an_astronomer_asks_for(tmp_path):
    """Period, epoch, duration and depth in units of the sky, of a planet that is known."""
    middles = np.arange(60, 1400, 110)
    path = write_star(tmp_path / "star.csv", make_dips(1400, middles), start=2144.1)
    _, rows = score(
        path, model=predict.SHIPPED_MODEL, output=tmp_path / "s.csv", options=["--search-all"]
    )
    (row,) = rows.values()
    period = 110 * CADENCE_DAYS
    assert float(row["period_days"]) == pytest.approx(period, rel=2e-4)
    late = (float(row["epoch_days"]) - 2144.1 - 60 * CADENCE_DAYS) / period
    assert abs(late - round(late)) < 0.005
    assert float(row["duration_hours"]) == pytest.approx(2.5, abs=1.1)
    assert float(row["depth_ppm"]) == pytest.approx(12_000, rel=0.15)
    assert float(row["snr"]) > 20
    assert (row["n_cadences"], row["campaign"]) == ("1400", "")
    prevalence = network.read_scoring(predict.SHIPPED_MODEL)["prevalence"]
    assert float(row["prevalence"]) == pytest.approx(prevalence, rel=1e-5)
    assert re.fullmatch(r"[0-9a-f]{12}\.\d+", row["network"])
    assert re.fullmatch("sha256:[0-9a-f]{16}", row["light_curve"])
    for column in ("score", "probability", "period_days", "epoch_days"):
        assert re.fullmatch(r"\d+\.\d{6}", row[column]), column


def test_a_depth_in_ppm_needs_a_level(tmp_path, model, flux):
    table = write_stars(tmp_path / "stars.csv", flux[:1])
    _, rows = score(table, model=model, output=tmp_path / "s.csv", options=["--search-all"])
    (row,) = rows.values()
    assert row["depth_ppm"] == "" and float(row["snr"]) > 0
    assert "no depth: the flux has no level" in row["notes"]


def test_another_prevalence_changes_the_odds_and_no_score(tmp_path, model, flux):
    table, output = write_stars(tmp_path / "stars.csv", flux[:4]), tmp_path / "scores.csv"
    _, before = score(table, model=model, output=output)
    _, after = score(table, model=model, output=output, options=["--prevalence", "0.2"])
    for name, row in before.items():
        assert after[name]["score"] == row["score"]
        assert (row["prevalence"], after[name]["prevalence"]) == ("0.01", "0.2")
        p, q = float(row["probability"]), float(after[name]["probability"])
        assert q / (1 - q) == pytest.approx(p / (1 - p) * (0.2 / 0.8) / (0.01 / 0.99), rel=1e-3)


# ------------------------------------------------------------------------- known by its content
def count_scored(monkeypatch):
    """Counts the light curves that a network is given from now on."""
    counted, whole = [], prediction.judge_curves
    monkeypatch.setattr(
        prediction,
        "judge_curves",
        lambda network, curves: counted.append(len(curves)) or whole(network, curves),
    )
    return lambda: [sum(counted), counted.clear()][0]


def test_a_star_is_known_by_its_light_curve_and_not_by_its_name(tmp_path, model, monkeypatch):
    n_scored = count_scored(monkeypatch)
    output = tmp_path / "scores.csv"
    star = write_star(tmp_path / "star.csv", make_dips(700, []))
    _, first = score(star, model=model, output=output)
    assert n_scored() == 1
    # The same star in another folder, under the same name and another.
    (tmp_path / "more").mkdir()
    copies = [tmp_path / "more" / name for name in ("star.csv", "other.csv")]
    for copy in copies:
        copy.write_bytes(star.read_bytes())
    _, rows = score(star, *copies, model=model, output=output)
    assert n_scored() == 0
    assert [row["score"] for row in rows.values()] == [first[str(star)]["score"]] * 3
    # Another star under the first one's name.
    write_star(star, make_dips(700, range(40, 700, 90), 30.0))
    _, rows = score(star, copies[0], model=model, output=output)
    assert n_scored() == 1
    assert rows[str(star)]["score"] != rows[str(copies[0])]["score"]


def test_search_all_adds_the_search_to_rows_that_are_there(tmp_path, model, flux, monkeypatch):
    table, output = write_stars(tmp_path / "stars.csv", flux[:6]), tmp_path / "scores.csv"
    fresh = tmp_path / "fresh.csv"
    _, rows = score(table, model=model, output=fresh, options=["--search-all"])
    middle = np.median([float(row["transit_score"]) for row in rows.values()])
    model = write_model(tmp_path / "m.keras", model, threshold=middle)
    score(table, model=model, output=fresh, options=["--search-all"])
    _, before = score(table, model=model, output=output)
    assert any(row["snr"] == "" for row in before.values())
    n_scored = count_scored(monkeypatch)
    _, after = score(table, model=model, output=output, options=["--search-all"])
    assert n_scored() == 3  # the others were searched before
    assert all(row["snr"] for row in after.values())
    assert output.read_bytes() == fresh.read_bytes()


def test_an_interrupted_run_goes_on_to_the_same_bytes(tmp_path, model, flux, monkeypatch):
    files = [write_stars(tmp_path / f"part{i}.csv", flux[4 * i : 4 * i + 4]) for i in range(5)]
    whole, cut = tmp_path / "whole.csv", tmp_path / "cut.csv"
    score(*files, model=model, output=whole)
    monkeypatch.setattr(prediction, "BYTES_PER_TASK", 1)  # a block per file
    score(*files, model=model, output=tmp_path / "small.csv")
    block, n_blocks = prediction.score_block, []

    def die(*args):
        n_blocks.append(1)
        if len(n_blocks) == 4:
            raise KeyboardInterrupt
        return block(*args)

    monkeypatch.setattr(prediction, "score_block", die)
    code, rows = score(*files, model=model, output=cut)
    assert (code, rows) == (130, {})
    kept = read_scores(tmp_path / "cut.unfinished.csv")
    assert 4 <= len(kept) < len(flux)
    monkeypatch.setattr(prediction, "score_block", block)
    code, _ = score(*files, model=model, output=cut)
    assert code == 0
    assert cut.read_bytes() == whole.read_bytes() == (tmp_path / "small.csv").read_bytes()


@pytest.fixture(scope="module")
def shipped():
    """The network that comes with the repository."""
    return load_network(predict.SHIPPED_MODEL)


@pytest.mark.parametrize("gap_days", [20, 350, 700])
def test_a_gap_takes_nothing_from_a_planet_and_gives_nothing_to_noise(shipped, gap_days):
    n, rows = 1300, []
    n_gap = round(gap_days / CADENCE_DAYS)
    for depth in (0.0, 6.0):
        flux = 1e4 + np.random.default_rng(5).normal(size=2 * n + n_gap)
        flux -= depth * (np.arange(len(flux)) * CADENCE_DAYS % 3.1 < 0.12)
        flux[n : n + n_gap] = np.nan
        rows += prediction.score_block([Star("x", flux)], shipped, prediction.Job(), {})
    noise, planet = (result for result, _ in rows)
    assert not noise.called and planet.called and planet.score > noise.score + 0.5
    assert planet.period_days == pytest.approx(3.1, rel=1e-3)
    assert planet.n_cadences == 2 * (n - equalise.EDGE)


@pytest.mark.parametrize("period", [80.3, 250.7])
def test_a_planet_of_months_is_called_in_four_years_and_noise_is_not(shipped, period):
    flux = 1e4 + np.random.default_rng(6).normal(size=round(4 * 365.25 / CADENCE_DAYS))
    in_transit = (np.arange(len(flux)) * CADENCE_DAYS - 30.0) % period < 0.3
    stars = [Star("noise", flux), Star("planet", flux - 8.0 * in_transit)]
    noise, planet = (
        result for result, _ in prediction.score_block(stars, shipped, prediction.Job(), {})
    )
    assert not noise.called
    assert planet.called and planet.score > noise.score + 0.3
    assert planet.period_days == pytest.approx(period, rel=1e-3)


def test_only_rows_of_a_table_are_put_on_the_clock_of_the_campaign(tmp_path, shipped):
    n = shipped.campaign.n_cadences
    flux = 1e4 + np.random.default_rng(7).normal(size=n)
    np.savez(tmp_path / "star.npz", flux=flux)
    table = write_stars(tmp_path / "table.csv", flux[np.newaxis])
    (star,), (row,) = map(read_stars, (tmp_path / "star.npz", table))
    assert prediction.give_time(star, shipped) is star
    timed = prediction.give_time(row, shipped)
    assert timed.time[-1] > (n - 1) * CADENCE_DAYS - 1e-9  # what the campaign lost is between
    assert timed.notes == ("on the clock of the network's campaign",)
    shorter = write_stars(tmp_path / "shorter.csv", flux[np.newaxis, :-1])
    (row,) = read_stars(shorter)
    assert prediction.give_time(row, shipped).time is None


def test_the_period_of_a_row_is_one_of_true_time(tmp_path, shipped):
    flux = np.random.default_rng(7).normal(size=shipped.campaign.n_cadences)
    cadences = find_cadences(flux[np.newaxis], shipped.campaign)[0]
    flux[cadences % 160.3 < 6] -= 12
    (row,) = read_stars(write_stars(tmp_path / "table.csv", flux[np.newaxis]))
    ((result, _),) = prediction.score_block([row], shipped, prediction.Job(search_all=True), {})
    assert result.period_days == pytest.approx(160.3 * CADENCE_DAYS, rel=1e-3)
    middle = result.epoch_days / CADENCE_DAYS % 160.3
    assert middle == pytest.approx(2.5, abs=1)


def test_a_short_gap_is_filled_and_not_counted(shipped):
    flux = 1e4 + np.random.default_rng(6).normal(size=1400)
    flux[::20] = np.nan
    ((result, _),) = prediction.score_block([Star("x", flux)], shipped, prediction.Job(), {})
    assert result.n_cadences == 1400 - 70


def test_a_score_does_not_depend_on_the_stars_around(model, flux):
    net, job = load_network(model), prediction.Job()
    stars = [
        Star(f"star {i}", star[:n], None, ())
        for i, (star, n) in enumerate(zip(flux, (600, 800, 700, 800, 600, 800), strict=False))
    ]
    together = prediction.score_block(stars, net, job, {})
    alone = [prediction.score_block([star], net, job, {})[0] for star in stars]
    assert to_lines(together) == to_lines(alone)


def test_a_score_does_not_depend_on_the_stars_around_on_the_clock_of_the_campaign(shipped):
    n = shipped.campaign.n_cadences
    flux = np.random.default_rng(3).normal(size=(5, n)).cumsum(axis=1) / 9
    flux += np.random.default_rng(4).normal(size=(5, n))
    flux[:, np.arange(n) % 160 < 6] -= 9
    flux[2, 1:600:3] = flux[2, 0:599:3]  # gaps that were filled
    stars = [Star(f"{i}", row, time_system=COLUMNS_ONLY) for i, row in enumerate(flux)]
    job = prediction.Job(search_all=True)
    together = prediction.score_block(stars, shipped, job, {})
    alone = [prediction.score_block([star], shipped, job, {})[0] for star in stars]
    assert to_lines(together) == to_lines(alone)
    assert all("clock of the network's campaign" in result.notes for result, _ in together)


@pytest.mark.parametrize("height", [0.05, 1.0, 50.0])
def test_a_flare_changes_no_score(tmp_path, shipped, height):
    """Of six cadences, so many times the star's flux high; it does not repeat."""
    days = 100 + np.arange(1400) * CADENCE_DAYS
    flux = 10 * make_dips(1400, range(40, 1390, 60), 4.0)
    flare = flux.copy()
    flare[700:706] += height * 1e4 * np.exp(-np.arange(6) / 2)
    results = []
    for name, values in (("without", flux), ("with", flare)):
        np.savez(tmp_path / f"{name}.npz", time=days, flux=values)
        (star,) = read_stars(tmp_path / f"{name}.npz")
        ((result, _),) = prediction.score_block([star], shipped, prediction.Job(), {})
        results.append(result)
    without, flared = results
    assert without.called and flared.called and abs(without.score - flared.score) < 0.1
    assert flared.notes == f"{without.n_cadences - flared.n_cadences} cadences of flares left out"
    assert without.notes == "" and flared.period_days == pytest.approx(
        without.period_days, rel=1e-4
    )


# ------------------------------------------------------------------------------- good and bad files
def write_bad_files(folder, flux):
    """Fifty files that cannot be scored, of ten kinds."""
    days = np.arange(N) * CADENCE_DAYS
    rows = "".join(f"{t:.5f},{f}\n" for t, f in zip(days, flux[0], strict=True))
    whole = write_stars(folder / "whole.csv", flux[:1]).read_text()
    for i in range(5):
        (folder / f"empty{i}.csv").write_text(" \n" * i)
        (folder / f"text{i}.csv").write_text(f"time,flux\n{rows[: 900 * i + 90]}a,b\n{rows}")
        (folder / f"columns{i}.csv").write_text("red,green\n" + "1,2\n" * 600 * i)
        (folder / f"pickle{i}.npz").write_bytes(pickle.dumps({"flux": flux[i]}, protocol=i))
        (folder / f"short{i}.csv").write_text("time,flux\n" + rows[: 300 * i])
        (folder / f"cut{i}.fits").write_bytes(b"SIMPLE  =                    T".ljust(2880 * i))
        (folder / f"pointer{i}.csv").write_text(
            f"version https://git-lfs.github.com/spec/v1\noid sha256:{i:064x}\nsize 99\n"
        )
        (folder / f"half{i}.csv").write_text(whole[: (i + 1) * len(whole) // 6])
        (folder / f"zip{i}.npz").write_bytes(b"PK\x03\x04" + bytes(range(40 * i)))
        write_stars(folder / f"nan{i}.csv", np.full((1, N + i), np.nan))
    (folder / "whole.csv").unlink()


def test_every_good_star_is_scored_and_every_reason_is_said_once(tmp_path, model, flux, capsys):
    folder = tmp_path / "stars"
    folder.mkdir()
    write_bad_files(folder, flux)
    assert len(list(folder.iterdir())) == 50
    good = write_stars(folder / "good.csv", flux[:3])
    np.savez(folder / "one.npz", time=np.arange(N) * CADENCE_DAYS, flux=flux[4])
    code, rows = score(folder, model=model, output=tmp_path / "scores.csv")
    assert code == 1
    assert set(rows) == {f"{good}:{i}" for i in range(3)} | {str(folder / "one.npz")}
    said = capsys.readouterr()
    lines = [line for line in said.err.splitlines() if str(folder) in line]
    assert all(re.match(rf"'{folder}/\w+\.\w+", line) for line in lines)
    counts = [int(n) for line in lines for n in re.findall(r"\((\d+) more like it\)", line)]
    assert len(lines) + sum(counts) == 50
    assert len(lines) <= 20
    assert "4 stars scored; 50 could not be" in said.out


def test_where_nothing_can_be_scored_the_output_stays(tmp_path, model, flux, capsys):
    table, output = write_stars(tmp_path / "stars.csv", flux[:2]), tmp_path / "scores.csv"
    score(table, model=model, output=output)
    before = output.read_bytes()
    with pytest.raises(DataError, match="'nowhere' matches no file"):
        score("nowhere", model=model, output=output)
    (tmp_path / "bad.csv").write_text("a,b\n")
    capsys.readouterr()
    assert score(tmp_path / "bad.csv", model=model, output=output)[0] == 1
    assert "results:" not in capsys.readouterr().out
    assert output.read_bytes() == before
    assert not (tmp_path / "scores.unfinished.csv").exists()


def test_the_scores_of_an_earlier_run_are_no_star(tmp_path, model):
    folder = tmp_path / "stars"
    folder.mkdir()
    write_star(folder / "star.csv", make_dips(700, []))
    for _ in range(3):
        code, rows = score(folder, model=model, output=folder / "scores.csv")
        assert (code, list(rows)) == (0, [str(folder / "star.csv")])

    with pytest.raises(DataError, match=r"scores\.csv' was written by --predict itself: give"):
        score(folder / "sc*.csv", model=model, output=folder / "scores.csv")


def test_a_link_to_itself_is_one_line(tmp_path, model, capsys):
    (tmp_path / "loop.csv").symlink_to(tmp_path / "loop.csv")
    star = write_star(tmp_path / "star.csv", make_dips(700, []))
    code, rows = score(tmp_path, model=model, output=tmp_path / "scores.csv")
    assert (code, list(rows)) == (1, [str(star)])
    assert f"'{tmp_path / 'loop.csv'}' cannot be read: Too many levels" in capsys.readouterr().err


def test_a_learnt_campaign_is_no_star_and_replaces_none(tmp_path, model, capsys):
    flux = 1000 + np.random.default_rng(0).normal(size=(50, 600))
    for i in range(49):
        write_star(tmp_path / f"{i}.csv", flux[i])
    options = ["--campaign", "learn", "--data-dir", tmp_path]
    own, time = tmp_path / "campaign.npz", 100 + np.arange(600) * CADENCE_DAYS
    np.savez(own, flux=flux[49], time=time)
    before = own.read_bytes()
    with pytest.raises(DataError, match=r"campaign\.npz' is no campaign, and --campaign learn w"):
        score(tmp_path, model=model, output=tmp_path / "scores.csv", options=options)
    assert own.read_bytes() == before
    own.rename(tmp_path / "49.npz")
    for _ in range(2):
        code, rows = score(tmp_path, model=model, output=tmp_path / "scores.csv", options=options)
        assert (code, len(rows)) == (0, 50) and str(own) not in rows
        assert ", 0 modes, and 0 cadences at which many stars dim or" in capsys.readouterr().err
    own = own.rename(tmp_path / "mine.npz")
    options[1] = own
    code, rows = score(tmp_path, model=model, output=tmp_path / "scores.csv", options=options)
    assert (code, len(rows)) == (0, 50) and str(own) not in rows


def break_some(monkeypatch, model, is_bad, error=None):
    """Lets the network fail at some light curves, or give them a score that is not finite."""
    whole = load_network(model)

    def score(curves):
        bad = is_bad(curves)
        if error and bad.any():
            raise error
        dips = whole.score(curves)
        return dips._replace(transit_score=np.where(bad, np.nan, dips.transit_score))

    monkeypatch.setattr(network, "load_network", lambda path: whole._replace(score=score))


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (None, "cannot be scored: gets a score that is not finite"),
        (DataError("the curve is odd"), "cannot be scored: the curve is odd"),
        (ZeroDivisionError("by zero"), "cannot be scored: ZeroDivisionError: by zero"),
    ],
)
def test_a_star_that_cannot_be_scored_costs_no_other(
    tmp_path, model, flux, monkeypatch, error, reason, capsys
):
    table, errors = write_stars(tmp_path / "stars.csv", flux[:5]), tmp_path / "errors.csv"
    _, expected = score(table, model=model, output=tmp_path / "whole.csv")
    curves, _, _ = equalise.equalise_table(flux[:5])
    worst = curves[2].max()
    break_some(monkeypatch, model, lambda c: np.nanmax(c, axis=1) == worst, error)
    options = ["--errors", errors]
    code, rows = score(table, model=model, output=tmp_path / "s.csv", options=options)
    assert code == 1
    del expected[f"{table}:2"]
    assert rows == expected
    said = capsys.readouterr()
    assert f"'{table}:2' {reason}" in said.err and "Traceback" not in said.err
    assert "4 stars scored; 1 could not be" in said.out
    with open(errors, newline="") as stream:
        assert list(csv.reader(stream)) == [["name", "reason"], [f"{table}:2", reason]]


def test_an_error_in_a_reader_costs_no_other_file(tmp_path, model, flux, monkeypatch, capsys):
    stars = [write_star(tmp_path / f"{i}.csv", make_dips(700, [], seed=i)) for i in range(3)]
    whole = prediction.own_stars.read_stars

    def read(target, magnitudes):
        if target.name.endswith("1.csv"):
            raise RuntimeError("a bug\nin a reader")
        return whole(target, magnitudes)

    monkeypatch.setattr(prediction.own_stars, "read_stars", read)
    code, rows = score(*stars, model=model, output=tmp_path / "scores.csv")
    assert code == 1 and list(rows) == [str(stars[0]), str(stars[2])]
    said = capsys.readouterr().err
    assert f"'{stars[1]}' cannot be read: RuntimeError: a bug in a reader" in said


def test_without_failures_the_file_of_errors_is_empty(tmp_path, model, flux):
    table, errors = write_stars(tmp_path / "stars.csv", flux[:1]), tmp_path / "new" / "errors.csv"
    score(table, model=model, output=tmp_path / "s.csv", options=["--errors", errors])
    assert errors.read_text() == "name,reason\n"


# ------------------------------------------------------------------------------- several signals
SYSTEMS = {  # period and epoch, days, and signal-to-noise ratio of each planet
    "two planets": [(2.713, 101.3, 35), (7.291, 103.9, 28)],
    "three planets": [(3.117, 102.2, 45), (1.877, 100.7, 35), (8.631, 105.1, 30)],
}


def make_transits(days, period, epoch, snr):
    """Flux that a planet hides, in noise of deviation 1."""
    dip = 1 - transit_flux(days, period=period, epoch=epoch, radius_ratio=0.02)
    return snr * dip / np.sqrt(np.sum(dip**2))


def write_system(path, planets):
    """Write a star of noise and planets, 61 days with a gap of two; returns its path."""
    days = 100 + np.arange(3000) * CADENCE_DAYS
    flux = 1e4 + np.random.default_rng(len(planets)).normal(size=days.size)
    for period, epoch, snr in planets:
        flux -= make_transits(days, period, epoch, snr)
    flux[1200:1300] = np.nan
    np.savez(path, time=days, flux=flux)
    return path


def find_clear(days, flux, planet, before):
    """Numbers of the transits, from the epoch, in no gap and under no transit of those before."""
    free = np.isfinite(flux)
    for period, epoch, _ in before:
        hidden = Ephemeris(period, epoch, transit_duration(period, 0.02))
        free &= ~hidden.in_transit(days, 3.3)  # 1.5 durations on either side are hidden
    period, epoch, _ = planet
    own = Ephemeris(period, epoch, transit_duration(period, 0.02))
    numbers = own.count(days)
    within = own.in_transit(days)
    return set(numbers[within].tolist()) - set(numbers[within & ~free].tolist())


@pytest.fixture
def two_planets(tmp_path):
    return write_system(tmp_path / "star.npz", SYSTEMS["two planets"])


def read_table(path):
    with open(path, newline="") as stream:
        return list(csv.DictReader(stream))


@pytest.mark.parametrize("system", SYSTEMS)
def test_planets_of_a_system_are_told_apart_and_measured(tmp_path, system):
    planets = SYSTEMS[system]
    star, output = write_system(tmp_path / "star.npz", planets), tmp_path / "scores.csv"
    options = ["--planets", str(len(planets)), "--folds"]
    for _ in range(2):  # the second run knows the star
        _, rows = score(star, model=predict.SHIPPED_MODEL, output=output, options=options)
    signals, times = (
        read_table(tmp_path / "signals.csv"),
        read_table(tmp_path / "transit_times.csv"),
    )
    (row,) = rows.values()
    assert {name: row[name] for name in SIGNAL_COLUMNS} == {
        name: signals[0][name] for name in SIGNAL_COLUMNS
    }
    assert all((row["called"], row["verdict"]) == ("1", "planet candidate") for row in signals)
    # The door measures the same.
    days, flux = (np.load(star)[name] for name in ("time", "flux"))
    result = exoplanets.score(days, flux, planets=len(planets))
    assert len(result.signals) == len(signals) == len(planets)
    in_order = sorted(
        zip(signals, result.signals, strict=True), key=lambda pair: pair[1].period_days
    )
    for (period, epoch, snr), (row, signal) in zip(sorted(planets), in_order, strict=True):
        assert signal.period_days == pytest.approx(period, abs=5 * signal.period_error_days)
        late = (signal.epoch_days - epoch + period / 2) % period - period / 2
        # The error of the epoch grows with that of the period.
        assert abs(late) < 5 * signal.epoch_error_days + 0.005
        assert 7 < signal.snr < 1.2 * snr  # the dips of other planets count as noise
        depth = 1e6 * make_transits(days, period, epoch, snr).max() / 1e4
        assert signal.depth_ppm == pytest.approx(depth, rel=0.2)
        for name in SIGNAL_COLUMNS:
            assert row[name] == write_cell(name, getattr(signal, name)), name
        own = [line for line in times if line["signal"] == row["signal"]]
        assert len(own) == signal.n_transits == float(row["n_transits"])
        expected = signal.fit.transit_times
        # Some lie in the gap, or under the transits of a planet that was hidden before.
        before = [
            planet for planet in planets
            if any(abs(each.period_days / planet[0] - 1) < 0.01
                   for each in result.signals[: int(row["signal"]) - 1])
        ]  # fmt: skip
        shift = round((signal.epoch_days - epoch) / period)
        clear = {n - shift for n in find_clear(days, flux, (period, epoch, snr), before)}
        assert len(clear) >= 3 and clear <= set(expected.number.tolist())
        assert len(own) < 61 / period + 1
        assert [int(line["transit"]) for line in own] == expected.number.tolist()
        seen = np.array([float(line["time_days"] or "nan") for line in own])
        np.testing.assert_allclose(seen, expected.time, atol=1e-6)
        errors = np.array([float(line["time_error_days"] or "nan") for line in own])
        away = seen - signal.epoch_days - expected.number * signal.period_days
        assert np.nanmax(np.abs(away) / errors) < 6
        (fold,) = (tmp_path / "folds").glob(f"star.npz-*-{row['signal']}.csv")
        assert fold.read_text().startswith("hours_from_mid_transit,flux_ppm\n")
        hours, ppm = np.loadtxt(fold, delimiter=",", skiprows=1).T
        assert np.isfinite(ppm).all() and (np.diff(hours) >= 0).all()
        near = np.abs(hours) < signal.duration_hours / 4
        assert ppm[near].mean() == pytest.approx(-signal.depth_ppm, rel=0.3)
    assert len(list((tmp_path / "folds").iterdir())) == len(signals)
    # What was written here is no light curve.
    code, rows = score(tmp_path, model=predict.SHIPPED_MODEL, output=output, options=options)
    assert (code, list(rows)) == (0, [str(star)])


def test_the_search_behind_hidden_transits_ends(shipped):
    """Where nothing more is called, and where a network calls everything."""
    days = 100 + np.arange(1400) * CADENCE_DAYS
    star = Star("one planet", make_dips(1400, range(40, 1390, 60), 15.0), days, level=1000.0)
    job = prediction.Job(planets=5, keep_star=True)
    ((result, _),) = prediction.score_block([star], shipped, job, {})
    assert result.called and len(result.signals) == 1

    def call(curves):
        """Dips at another phase each time."""
        asked.append(len(curves))
        dips = [[1.0], [4.0], [0.41 * len(asked)], [0.1]]
        return transit.Dips(*np.tile(dips, len(curves)))

    always = shipped._replace(score=call, judge=lambda orbits: np.ones(len(orbits)))
    numbers = []
    for planets in (2, 50):
        asked = []
        job = job._replace(planets=planets)
        ((result, _),) = prediction.score_block([star], always, job, {})
        numbers.append(len(result.signals))
    assert numbers[0] == 2 <= numbers[1] < 50


def test_signals_are_written_only_when_asked_for_and_over_no_other_file(tmp_path, two_planets):
    output = tmp_path / "scores.csv"
    score(two_planets, model=predict.SHIPPED_MODEL, output=output)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["scores.csv", "star.npz"]
    (tmp_path / "signals.csv").write_text("mine")
    with pytest.raises(DataError, match=r"signals\.csv' was not written by --predict"):
        score(two_planets, model=predict.SHIPPED_MODEL, output=output, options=["--planets", "2"])
    assert (tmp_path / "signals.csv").read_text() == "mine"


# ------------------------------------------------------------------------------- which network
def write_model(path, model, **scoring):
    """A copy of a model file whose scoring.json says something else."""
    with zipfile.ZipFile(model) as old, zipfile.ZipFile(path, "w") as new:
        for name in old.namelist():
            content = old.read(name)
            if name == "scoring.json":
                content = json.dumps(json.loads(content) | scoring)
            new.writestr(name, content)
    return path


SIMULATED = {"data": {"source": "simulated"}}
USERS = {"data": {"description": "my own stars"}}


def test_a_network_of_simulated_stars_scores_only_if_asked_for(tmp_path, model, capsys):
    star = write_star(tmp_path / "star.csv", make_dips(700, []))
    command = ["--predict", str(star), "--data-dir", str(tmp_path)]
    own = write_model(tmp_path / "transit.keras", model, provenance=SIMULATED)
    predict.main(command)
    first, second = capsys.readouterr().err.splitlines()[:2]
    assert first.startswith(f"'{own}' was trained on simulated stars, so it is not used")
    assert second.startswith(f"scoring with the network of '{predict.SHIPPED_MODEL}', trained on:")
    (row,) = read_scores(tmp_path / "scores.csv").values()
    assert row["network"] == network.name_file(predict.SHIPPED_MODEL)
    predict.main([*command, "--model", str(own)])
    first = capsys.readouterr().err.splitlines()[0]
    assert first.startswith(f"scoring with the network of '{own}', trained on: SIMULATED")
    (row,) = read_scores(tmp_path / "scores.csv").values()
    assert row["network"] == network.name_file(own)
    write_model(own, model, provenance=USERS)
    predict.main(command)
    assert "trained on: my own stars" in capsys.readouterr().err.splitlines()[0]


BAD = {
    "threshold": [np.nan, "0.5", None, True, 2, -1, np.inf, 10**400, [0.5]],
    "calibration": [[np.nan, 1], ["1", "2"], [1, 2, 3], {}, [1], 3, "x", [1, 10**400], [True, 1]],
    "prevalence": ["x", np.nan, 0, 1, True, [0.1]],
    "provenance": ["x", [1], None, {"data": {}}, {"data": "x"}, {"data": {"source": "user"}}],
}


@pytest.mark.parametrize(("name", "value"), [(k, v) for k, values in BAD.items() for v in values])
def test_a_damaged_scoring_json_is_one_line(tmp_path, model, name, value):
    path = write_model(tmp_path / "m.keras", model, **{name: value})
    with pytest.raises(DataError, match=rf"m\.keras' cannot score: .*{name}") as caught:
        predict.main(["--predict", "star.csv", "--model", str(path)])
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", [b"{", b"[" * 200_000, b"3", b"\xff", b"{}"])
def test_a_scoring_json_that_is_none_is_one_line(tmp_path, content):
    with zipfile.ZipFile(tmp_path / "m.keras", "w") as archive:
        archive.writestr("scoring.json", content)
    with pytest.raises(DataError, match=r"m\.keras' (is no transit network|cannot score)"):
        network.read_scoring(tmp_path / "m.keras")


@pytest.mark.parametrize("name", ["scoring.json", "model.weights.h5"])
def test_a_model_that_would_unpack_to_gigabytes_is_refused(tmp_path, name):
    path = tmp_path / "bomb.keras"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("scoring.json", b"{}") if name != "scoring.json" else None
        with archive.open(name, "w", force_zip64=True) as stream:
            for _ in range(320):
                stream.write(bytes(1 << 20))
    with pytest.raises(DataError, match=r"bomb\.keras' would unpack to 335,544,\d+ bytes"):
        network.read_scoring(path)


def test_every_network_that_this_version_writes_is_accepted(model):
    assert network.read_scoring(model)["threshold"] > 0
    shipped = network.read_scoring(predict.SHIPPED_MODEL)
    assert 0 < shipped["threshold"] < 1 and len(shipped["calibration"]) == 2
    assert not network.is_simulated(shipped["trained_on"])


# ------------------------------------------------------------------------------------ the program
@pytest.mark.parametrize("redirection", [">&-", "2>&-", "| head -0", "> /dev/full"])
def test_where_nothing_can_be_printed_the_scores_are_written(tmp_path, model, redirection):
    write_star(tmp_path / "star.csv", make_dips(700, []))
    program = f"'{sys.executable}' '{ROOT / 'cnn_classifier.py'}'"
    command = f"{program} --predict star.csv --model '{model}' --output s.csv {redirection}"
    done = subprocess.run(
        command, shell=True, cwd=tmp_path, capture_output=True, text=True, timeout=300
    )
    assert list(read_scores(tmp_path / "s.csv")) == ["star.csv"]
    assert len(done.stderr.splitlines()) <= 2  # with which network, and what went wrong
    assert "Traceback" not in done.stderr and "Exception" not in done.stderr


def test_the_installed_command_takes_files_anywhere_among_the_options(tmp_path, model):
    stars = [write_star(tmp_path / f"{i}.csv", make_dips(700, [], seed=i)) for i in range(2)]
    output = tmp_path / "s.csv"
    argv = [stars[0], "--output", output, "--model", model, stars[1]]
    assert predict.main([*map(str, argv)], installed=True) == 0
    assert list(read_scores(output)) == list(map(str, stars))
    with pytest.raises(SystemExit):
        predict.main([], installed=True)


def test_the_best_are_printed_first(tmp_path, model, flux, capsys, monkeypatch):
    monkeypatch.setattr(predict, "N_PRINTED", 5)
    table, output = write_stars(tmp_path / "stars.csv", flux), tmp_path / "scores.csv"
    _, rows = score(table, model=model, output=output)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == [
        "name", "score", "probability", "called", "verdict", "period_days", "depth_ppm", "snr",
    ]  # fmt: skip
    best = sorted(rows.values(), key=lambda row: -float(row["score"]))[:5]
    for line, row in zip(lines[1:6], best, strict=True):
        assert line.split()[0].endswith(row["name"][-20:])
        assert float(line.split()[1]) == pytest.approx(float(row["score"]), abs=6e-4)
    assert lines[6] == f"{len(rows)} stars scored (the best 5 above)"
    threshold = float(next(iter(rows.values()))["threshold"])
    assert lines[7] == f"called hosts: score at least {threshold:.6g}"
    assert lines[8] == f"results: {output}"


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (["--prevalence", "1"], "no share between 0 and 1"),
        (["--prevalence", "nan"], "no share between 0 and 1"),
        (["--magnitudes", "--flux"], "not allowed with"),
        (["--serch-all"], "unrecognized arguments"),
    ],
)
def test_options_are_checked_before_any_work(options, reason, capsys):
    with pytest.raises(SystemExit) as ended:
        predict.main(["--predict", "star.csv", *options])
    assert ended.value.code == 2
    assert reason in capsys.readouterr().err


def test_a_missing_model_is_named_before_any_work():
    with pytest.raises(DataError, match=r"'no\.keras' is missing"):
        predict.main(["--predict", "star.csv", "--model", "no.keras"])


def test_help_fits_a_screen_and_shows_a_command(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "100")
    with pytest.raises(SystemExit):
        predict.main(["--predict", "--help"])
    text = capsys.readouterr().out
    assert text.count("\n") <= 52
    assert "python cnn_classifier.py --predict my_star.fits" in text
    assert f"learn it from these stars, {FEWEST_STARS} or more" in " ".join(text.split())
    assert "1 some stars, or all, could not be" in text  # see the test of where nothing can be


def test_the_first_thing_said_is_the_programs_own(tmp_path, model):
    """Not TensorFlow's."""
    (tmp_path / "no.csv").write_text("nothing")
    command = [sys.executable, str(ROOT / "cnn_classifier.py"), "--predict", "no.csv"]
    command += ["--model", str(model)]
    environment = {k: v for k, v in os.environ.items() if k != "TF_CPP_MIN_LOG_LEVEL"}
    done = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 1
    first, last = done.stderr.splitlines()
    assert first.startswith("scoring with the network of ")
    assert last.startswith("'no.csv' has no column of time and flux: its first line begins 'noth")


def test_a_wrong_path_is_told_before_a_network_is_loaded(tmp_path, model, monkeypatch):
    monkeypatch.delattr(network, "load_network")
    with pytest.raises(DataError, match=r"no\.csv' matches no file: correct the path"):
        predict.main(["--predict", str(tmp_path / "no.csv"), "--model", str(model)])


# ------------------------------------------------------------------------------------- streams
def test_tasks_are_of_many_small_files_or_of_few_large_ones(tmp_path, monkeypatch):
    monkeypatch.setattr(prediction, "TARGETS_PER_TASK", 4)
    monkeypatch.setattr(prediction, "BYTES_PER_TASK", 100)
    sizes = [1, 1, 1, 1, 1, 60, 60, 5, 500, 2]
    for i, size in enumerate(sizes):
        (tmp_path / f"{i}.csv").write_bytes(b"x" * size)
    targets = [Target(str(i), (tmp_path / f"{i}.csv",)) for i in range(len(sizes))]
    tasks = [[target.name for target in task] for task in prediction.make_tasks(targets)]
    assert tasks == [["0", "1", "2", "3"], ["4", "5", "6"], ["7", "8"], ["9"]]
    assert prediction.make_tasks([]) == []


def test_blocks_are_read_one_by_one_and_scored_in_their_order(model, flux):
    net, job = load_network(model), prediction.Job()
    stars = [Star(f"star {i}", star, None, ()) for i, star in enumerate(flux[:7])]
    blocks, read = [stars[:3], stars[3:5], stars[5:6], stars[6:]], []
    rows = prediction.score_blocks((read.append(b) or b for b in blocks), net, job, {})
    found = [next(rows)]
    assert len(read) == 1  # memory stays flat
    found += rows
    expected = [prediction.score_block(block, net, job, {}) for block in blocks]
    assert list(map(to_lines, found)) == list(map(to_lines, expected))


def test_stars_are_measured_side_by_side(model, flux, monkeypatch):
    """The first waits for the second: one after the other they would never end."""
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    measure_signal = measure.measure_signal
    net, second, asked = load_network(model), threading.Event(), []

    def wait(star, ephemeris):
        asked.append(star)
        if len(asked) == 1:
            assert second.wait(60)
        second.set()
        return measure_signal(star, ephemeris)

    stars = [Star(f"star {i}", star, None, ()) for i, star in enumerate(flux[:3])]
    job = prediction.Job(search_all=True)
    expected = prediction.score_block(stars, net, job, {})
    monkeypatch.setattr(measure, "measure_signal", wait)
    assert to_lines(prediction.score_block(stars, net, job, {})) == to_lines(expected)


def test_a_block_that_ends_gives_others_no_more_threads_of_matrix_products(model, flux):
    """A product of matrices rounds as its number of threads has it."""
    net, seen = load_network(model), []

    def score(curves):
        with threadpool_limits(1, "blas"):  # as another block does that ends now
            pass
        seen.append({pool["num_threads"] for pool in threadpool_info() if is_blas(pool)})
        return net.score(curves)

    def is_blas(pool):
        return pool["user_api"] == "blas"

    blocks = [[Star(f"star {i}", flux[i], None, ())] for i in range(2)]
    watched = net._replace(score=score)
    with threadpool_limits(3, "blas"):  # as many cores as it may be
        list(prediction.score_blocks(blocks, watched, prediction.Job(), {}))
    assert seen == [{1}, {1}]


def test_an_error_while_reading_is_not_swallowed(model, flux):
    def blocks():
        yield [Star("star", flux[0], None, ())]
        raise DataError("the disk is gone")

    net = load_network(model)
    with pytest.raises(DataError, match="the disk is gone"):
        list(prediction.score_blocks(blocks(), net, prediction.Job(), {}))


def test_a_cluster_writes_the_same_bytes(tmp_path, model, flux, monkeypatch):
    distributed = pytest.importorskip("distributed")
    monkeypatch.setattr(prediction, "TARGETS_PER_TASK", 2)
    files = [write_stars(tmp_path / f"part{i}.csv", flux[3 * i : 3 * i + 3]) for i in range(5)]
    here, there = tmp_path / "here.csv", tmp_path / "there.csv"
    score(*files, model=model, output=here)
    with distributed.LocalCluster(n_workers=1, processes=False, dashboard_address=None) as local:
        address = ["--dask", local.scheduler_address]
        assert score(*files[:2], model=model, output=there, options=address)[0] == 0
        n_scored = count_scored(monkeypatch)
        assert score(*files, model=model, output=there, options=address)[0] == 0
        assert n_scored() == 9  # of fifteen: six are known
    assert there.read_bytes() == here.read_bytes()


def test_a_light_curve_of_years_has_the_period_of_all_its_transits(shipped):
    n, period = 60_000, 172.3  # cadences
    phase = (np.arange(n) + period / 2) % period - period / 2
    flux = 1000 + np.random.default_rng(0).normal(size=n) - 8 * (np.abs(phase) < 3)
    flux[20_000:24_000] = np.nan
    job = prediction.Job(search_all=True)
    ((result, _),) = prediction.score_block([Star("long", flux)], shipped, job, {})
    assert result.period_days == pytest.approx(period * CADENCE_DAYS, rel=1e-5)
    assert result.n_transits == pytest.approx(56_000 / period, abs=3)
