"""Scoring the user's own stars: the same scores as in training, whatever else lies around."""

import csv
import json
import os
import pickle
import signal
import time
import zipfile

import numpy as np
import pytest

from data import equalise, kepler, lightcurves, networks, prediction, survey


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """A transit network as it is before training: scoring does not ask how good it is."""
    networks.make_reproducible(3)
    settings = networks.TransitSettings(event_filters=4, head_units=4)
    path = tmp_path_factory.mktemp("model") / "transit.keras"
    scoring = {
        "settings": settings.__dict__,
        "threshold": 0.5,
        "calibration": [1.0, -2.0],
        "provenance": {},
    }
    networks.save_transit(networks.make_transit_network(settings), path, scoring)
    return path


@pytest.fixture(scope="module")
def flux():
    made = survey.simulate(
        n_train=24, n_test=8, n_train_hosts=4, n_test_hosts=2, n_cadences=800, seed=5
    )
    return made.train_flux


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


def read_scores(path):
    with open(path, newline="") as stream:
        return {row["name"]: row for row in csv.DictReader(stream)}


def test_scores_are_those_of_the_equalised_table(tmp_path, model, flux):
    table = write_stars(tmp_path / "stars.csv", flux)
    output = tmp_path / "scores.csv"
    n_scored, n_skipped, bad = prediction.predict_files([table], model, output)
    assert (n_scored, n_skipped, bad) == (len(flux), 0, [])
    network = prediction.load_network(model)
    expected = networks.predict(network.model, equalise.equalise_table(flux)[0])
    rows = read_scores(output)
    assert list(rows) == [f"{table}:{i}" for i in range(len(flux))]
    found = np.array([float(row["score"]) for row in rows.values()])
    assert found == pytest.approx(expected, abs=1e-6)
    called = np.array([row["is_host"] == "1" for row in rows.values()])
    assert np.array_equal(called, expected >= 0.5)
    searched = np.array([row["period_days"] != "" for row in rows.values()])
    assert np.array_equal(searched, called)


def test_a_second_run_skips_what_is_done_and_mends_a_cut_line(tmp_path, model, flux):
    table = write_stars(tmp_path / "stars.csv", flux)
    whole, cut = tmp_path / "whole.csv", tmp_path / "cut.csv"
    prediction.predict_files([table], model, whole)
    content = whole.read_bytes()
    lines = content.splitlines(keepends=True)
    cut.write_bytes(b"".join(lines[:10]) + lines[10][:7])  # killed while it wrote the tenth star
    n_scored, n_skipped, _ = prediction.predict_files([table], model, cut)
    assert (n_scored, n_skipped) == (len(flux) - 9, 9)
    rows, expected = read_scores(cut), read_scores(whole)
    assert list(rows) == list(expected)
    for name, row in rows.items():
        assert float(row["score"]) == pytest.approx(float(expected[name]["score"]), abs=1e-6)
    before = cut.read_bytes()
    assert prediction.predict_files([table], model, cut)[:2] == (0, len(flux))
    assert cut.read_bytes() == before


def write_bad_files(folder, flux):
    """Fifty files that cannot be scored, of ten kinds."""
    days = np.arange(800) * kepler.CADENCE_DAYS
    rows = "".join(f"{t:.5f},{f}\n" for t, f in zip(days, flux[0], strict=True))
    whole = write_stars(folder / "whole.csv", flux[:1]).read_text()
    for i in range(5):
        (folder / f"empty{i}.csv").write_text(" \n" * i)
        (folder / f"text{i}.csv").write_text(f"time,flux\n{rows[: 900 * i]}a,b\n{rows}")
        (folder / f"columns{i}.csv").write_text("red,green\n" + "1,2\n" * 600 * i)
        (folder / f"pickle{i}.npz").write_bytes(pickle.dumps({"flux": flux[i]}, protocol=i))
        (folder / f"short{i}.csv").write_text("time,flux\n" + rows[: 300 * i])
        (folder / f"cut{i}.fits").write_bytes(b"SIMPLE  =                    T".ljust(2880 * i))
        (folder / f"pointer{i}.csv").write_text(
            f"version https://git-lfs.github.com/spec/v1\noid sha256:{i:064x}\nsize 99\n"
        )
        (folder / f"half{i}.csv").write_text(whole[: (i + 1) * len(whole) // 6])
        (folder / f"zip{i}.npz").write_bytes(b"PK\x03\x04" + bytes(range(40 * i)))
        write_stars(folder / f"nan{i}.csv", np.full((1, 800 + i), np.nan))
    (folder / "whole.csv").unlink()


def test_every_bad_file_is_one_line_and_every_good_star_is_scored(tmp_path, model, flux, capsys):
    folder = tmp_path / "stars"
    folder.mkdir()
    write_bad_files(folder, flux)
    bad_files = sorted(folder.iterdir())
    assert len(bad_files) == 50
    good = write_stars(folder / "good.csv", flux[:3])
    days = np.arange(800) * kepler.CADENCE_DAYS
    np.savez(folder / "one.npz", time=days, flux=flux[4])
    output = tmp_path / "scores.csv"
    n_scored, _, bad = prediction.predict_files([folder], model, output)
    assert {str(good) + f":{i}" for i in range(3)} | {str(folder / "one.npz")} == set(
        read_scores(output)
    )
    said = [line for line in capsys.readouterr().err.splitlines() if str(folder) in line]
    assert (n_scored, len(bad), len(said)) == (4, 50, 50)
    for path in bad_files:
        assert sum(f"'{path}" in line for line in said) == 1, path


def test_tasks_are_of_many_small_files_or_of_few_large_ones(tmp_path, monkeypatch):
    monkeypatch.setattr(prediction, "UNITS_PER_TASK", 4)
    monkeypatch.setattr(prediction, "BYTES_PER_TASK", 100)
    sizes = [1, 1, 1, 1, 1, 60, 60, 5, 500, 2]
    for i, size in enumerate(sizes):
        (tmp_path / f"{i}.csv").write_bytes(b"x" * size)
    units = [lightcurves.Unit(str(i), (tmp_path / f"{i}.csv",)) for i in range(len(sizes))]
    tasks = [[unit.name for unit in task] for task in prediction.make_tasks(units)]
    assert tasks == [["0", "1", "2", "3"], ["4", "5", "6"], ["7", "8"], ["9"]]
    assert prediction.make_tasks([]) == []


def test_the_next_block_is_read_while_one_is_scored(model, flux, monkeypatch):
    monkeypatch.setattr(prediction, "BLOCK", 2)
    network, reading = prediction.load_network(model), []

    def stars():
        for i, star in enumerate(flux[:7]):
            reading.append(i)
            yield lightcurves.Star(f"star {i}", star, None, ())
        raise kepler.DataError("the disk is gone")

    rows = prediction.score_blocks(prediction.prepare_blocks(stars()), network)
    assert next(rows).startswith("star 0,")
    for _ in range(1000):  # nobody asks for the next block, and yet it comes
        if len(reading) == 4:
            break
        time.sleep(0.01)
    assert len(reading) == 4  # and no further: memory stays flat
    assert [next(rows)[:6] for _ in range(5)] == [f"star {i}" for i in range(1, 6)]
    with pytest.raises(kepler.DataError, match="the disk is gone"):
        next(rows)


def test_another_models_output_is_not_continued(tmp_path, model, flux):
    table = write_stars(tmp_path / "stars.csv", flux[:2])
    output = tmp_path / "scores.csv"
    prediction.predict_files([table], model, output)
    output.write_text(output.read_text().replace(prediction.load_network(model).name, "0" * 12))
    with pytest.raises(kepler.DataError, match="scores of another model"):
        prediction.predict_files([table], model, output)
    output.write_text("a,b\n1,2\n")
    with pytest.raises(kepler.DataError, match="no output of --predict"):
        prediction.predict_files([table], model, output)
    assert output.read_text() == "a,b\n1,2\n"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "is missing"),
        (b"", "no transit network"),
        (b"junk" * 100, "no transit network"),
        ({"layout": 0}, "has layout 0, this version reads 3"),
        ({"layout": 3, "settings": {"event_filters": 9}}, "holds other weights"),
        ({"layout": 3}, "holds other weights"),
    ],
)
def test_a_model_file_of_another_kind_is_refused_by_name(tmp_path, model, content, message):
    path = tmp_path / "other.keras"
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content is not None:
        with zipfile.ZipFile(model) as old, zipfile.ZipFile(path, "w") as new:
            for name in old.namelist():
                text = json.dumps(content) if name == "scoring.json" else old.read(name)
                new.writestr(name, text)
    with pytest.raises(kepler.DataError, match=message) as caught:
        networks.load_transit(path)
    assert str(path) in str(caught.value)


def test_a_hostile_model_file_runs_nothing(tmp_path, model):
    """Its architecture is never read: not even a class it names is looked up."""
    path, trace = tmp_path / "hostile.keras", tmp_path / "trace"
    hostile = {
        "module": "os",
        "class_name": "system",
        "config": {"command": f"touch {trace}"},
        "registered_name": "system",
    }
    with zipfile.ZipFile(model) as old, zipfile.ZipFile(path, "w") as new:
        for name in old.namelist():
            new.writestr(name, json.dumps(hostile) if name == "config.json" else old.read(name))
    networks.load_transit(path)  # the weights are sound
    assert not trace.exists()


def test_light_curves_of_any_length_are_scored_alike_alone_and_together(model, flux):
    network = prediction.load_network(model)
    stars = [
        lightcurves.Star(f"star {i}", star[:n], None, ())
        for i, (star, n) in enumerate(zip(flux, (600, 800, 700, 800, 600), strict=False))
    ]

    def score(some):
        return list(prediction.score_blocks(prediction.prepare_blocks(some), network))

    together, alone = score(stars), [score([star])[0] for star in stars]
    for a, b in zip(together, alone, strict=True):
        assert float(a.split(",")[1]) == pytest.approx(float(b.split(",")[1]), abs=1e-6)


def test_a_killed_dask_worker_changes_no_byte(tmp_path, model, flux, monkeypatch):
    distributed = pytest.importorskip("distributed")
    files = [write_stars(tmp_path / f"part{i:02d}.csv", flux[i : i + 2]) for i in range(20)]
    local, spread = tmp_path / "local.csv", tmp_path / "spread.csv"
    monkeypatch.setattr(prediction, "UNITS_PER_TASK", 2)
    prediction.predict_files(files, model, local)
    scored = prediction._map_on_dask
    with (
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, dashboard_address=None
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        victim = next(iter(client.run(os.getpid).values()))

        def map_and_kill(*args):
            for i, part in enumerate(scored(*args)):
                if i == 0:
                    os.kill(victim, signal.SIGKILL)
                yield part

        monkeypatch.setattr(prediction, "_map_on_dask", map_and_kill)
        prediction.predict_files(files, model, spread, address=cluster.scheduler_address)
    assert spread.read_bytes() == local.read_bytes()
