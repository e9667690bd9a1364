"""Scoring the user's own stars: the same scores as in training, whatever else lies around."""

import csv
import json
import os
import pickle
import signal
import threading
import zipfile

import matplotlib.pyplot as plt
import numpy as np
import pytest

import cnn_classifier
from exoplanets.classifiers import box, keras_tools
from exoplanets.classifiers.transit import (
    TransitSettings,
    load_transit,
    make_transit_network,
    save_transit,
)
from exoplanets.evaluation import examination, prediction
from exoplanets.figures import star_page
from exoplanets.files import DataError
from exoplanets.lightcurves import equalise
from exoplanets.sources import own_stars, survey
from exoplanets.stars import CADENCE_DAYS


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """A transit network as it is before training: scoring does not ask how good it is."""
    keras_tools.make_reproducible(3)
    settings = TransitSettings(candidates=2, heads=1, view_filters=2, units=4)
    path = tmp_path_factory.mktemp("model") / "transit.keras"
    scoring = {
        "settings": settings.__dict__,
        "threshold": 0.5,
        "calibration": [1.0, -2.0],
        "provenance": {},
    }
    save_transit(make_transit_network(settings), path, scoring)
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
    expected = keras_tools.predict(load_transit(model)[0], equalise.equalise_table(flux)[0])
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
    days = np.arange(800) * CADENCE_DAYS
    rows = "".join(f"{t:.5f},{f}\n" for t, f in zip(days, flux[0], strict=True))
    whole = write_stars(folder / "whole.csv", flux[:1]).read_text()
    for i in range(5):
        (folder / f"empty{i}.csv").write_text(" \n" * i)
        (folder / f"text{i}.csv").write_text(f"time,flux\n{rows[: 900 * (i + 1)]}a,b\n{rows}")
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
    days = np.arange(800) * CADENCE_DAYS
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
    units = [own_stars.Target(str(i), (tmp_path / f"{i}.csv",)) for i in range(len(sizes))]
    tasks = [[unit.name for unit in task] for task in prediction.make_tasks(units)]
    assert tasks == [["0", "1", "2", "3"], ["4", "5", "6"], ["7", "8"], ["9"]]
    assert prediction.make_tasks([]) == []


def test_blocks_are_scored_side_by_side_in_their_order(model, flux):
    """The first waits for the second: one after the other they would never end."""
    network, second = prediction.load_network(model), threading.Event()

    def score(curves):
        if len(curves) == 3:
            assert second.wait(60)
        else:
            second.set()
        return network.score(curves)

    stars = [own_stars.Star(f"star {i}", star, None, ()) for i, star in enumerate(flux[:7])]
    blocks, read = [stars[:3], stars[3:5], stars[5:6], stars[6:]], []
    slow = network._replace(score=score)
    rows = prediction.score_blocks((read.append(b) or b for b in blocks), slow, n_threads=2)
    found = [next(rows)]
    assert len(read) == 3  # two under way and one ahead: memory stays flat
    found += rows
    alone = [prediction.score_block(block, network) for block in blocks]
    assert found == [row for block in alone for row in block]


def test_an_error_while_reading_is_not_swallowed(model, flux):
    def blocks():
        yield [own_stars.Star("star", flux[0], None, ())]
        raise DataError("the disk is gone")

    with pytest.raises(DataError, match="the disk is gone"):
        list(prediction.score_blocks(blocks(), prediction.load_network(model), n_threads=2))


def test_another_models_output_is_not_continued(tmp_path, model, flux):
    table = write_stars(tmp_path / "stars.csv", flux[:2])
    output = tmp_path / "scores.csv"
    prediction.predict_files([table], model, output)
    output.write_text(output.read_text().replace(prediction.load_network(model).name, "0" * 12))
    with pytest.raises(DataError, match="scores of another model"):
        prediction.predict_files([table], model, output)
    output.write_text("a,b\n1,2\n")
    with pytest.raises(DataError, match="no output of --predict"):
        prediction.predict_files([table], model, output)
    assert output.read_text() == "a,b\n1,2\n"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "is missing"),
        (b"", "no transit network"),
        (b"junk" * 100, "no transit network"),
        ({"layout": 0}, "has layout 0, this version reads 4"),
        ({"layout": 4, "settings": {"view_filters": 9}}, "holds other weights"),
        ({"layout": 4}, "holds other weights"),
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
    with pytest.raises(DataError, match=message) as caught:
        load_transit(path)
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
    load_transit(path)  # the weights are sound
    assert not trace.exists()


def test_light_curves_of_any_length_are_scored_alike_alone_and_together(model, flux):
    network = prediction.load_network(model)
    stars = [
        own_stars.Star(f"star {i}", star[:n], None, ())
        for i, (star, n) in enumerate(zip(flux, (600, 800, 700, 800, 600), strict=False))
    ]

    def score(some):
        return prediction.score_block(some, network)

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


# ---------------------------------------------------------------------------------- pages
SIMULATED = {
    "source": "simulated",
    "train": {"file": "a", "sha256": "0" * 64},
    "test": {"file": "b", "sha256": "1" * 64},
}


class DipReader:
    """In the place of a network: its score rests on the flux at some cadences, and on no other."""

    name = "dip reader"

    def __init__(self, *places):
        self.places = list(places)

    def predict(self, x, batch_size, verbose):
        """The deeper there, the higher the score."""
        return 1 / (1 + np.exp(0.1 * x[:, self.places, 0].sum(axis=1, keepdims=True)))


def make_dips(n_cadences, middles, depth=12.0):
    """White noise of deviation 1 around 1000, with dips of five cadences."""
    flux = 1000 + np.random.default_rng(n_cadences).normal(size=n_cadences)
    for middle in middles:
        flux[middle - 2 : middle + 3] -= depth
    return flux


def read_dips(threshold, calibration=None, name="abc", trained_on=None):
    """A network that reads one dip; see `DipReader`."""
    reader = DipReader(170)

    def score(curves):
        return keras_tools.predict(reader, curves)

    return prediction.Network(score, threshold, calibration, name, trained_on)


def examine(star, network):
    """The only star of a block, examined."""
    block = prediction.prepare_block([star])
    ((curve, time),) = block.equalised
    (score,) = prediction.score_curves(network, [curve])
    return examination.examine_star(star, curve, time, score, network)


def texts(figure):
    """All that is written on a page outside its axes' ticks."""
    titles = [axis.get_title(loc="left") for axis in figure.axes]
    inside = [text.get_text() for axis in figure.axes for text in axis.texts]
    return "\n".join([figure.get_suptitle(), *titles, *inside, figure.get_supxlabel()])


def test_plots_make_a_page_for_every_good_star_and_none_for_a_bad_one(
    tmp_path, model, flux, capsys
):
    folder = tmp_path / "stars"
    folder.mkdir()
    table = write_stars(folder / "table.csv", flux[:2])
    time = 100 + np.arange(620) * CADENCE_DAYS
    dips = make_dips(620, range(60, 620, 100))
    dips[200:260] = np.nan
    np.savez(folder / "$one$.npz", time=time, flux=dips)
    (folder / "text.csv").write_text("time,flux\na,b\n")
    command = ["--predict", str(folder), "--model", str(model), "--plots"]
    command += ["--output", str(tmp_path / "scores.csv"), "--plots-dir", str(tmp_path / "plots")]
    assert cnn_classifier.main(command) == 1
    said = capsys.readouterr()
    assert said.err.count("text.csv") == 1
    assert f"3 pages in '{tmp_path / 'plots' / 'stars'}'" in said.out
    names = [f"{table}:0", f"{table}:1", str(folder / "$one$.npz")]
    assert set(read_scores(tmp_path / "scores.csv")) == set(names)
    first = {path.name: path.read_bytes() for path in (tmp_path / "plots" / "stars").iterdir()}
    assert set(first) == {star_page.name_page(name) for name in names}
    assert all(content.startswith(b"\x89PNG") for content in first.values())
    assert cnn_classifier.main(command) == 1  # all were scored before: pages are drawn all the same
    again = {path.name: path.read_bytes() for path in (tmp_path / "plots" / "stars").iterdir()}
    assert again == first


def test_plots_are_refused_without_stars_to_draw(capsys):
    with pytest.raises(SystemExit) as exit_:
        cnn_classifier.main(["--plots"])
    assert exit_.value.code == 2
    assert "unrecognized arguments: --plots" in capsys.readouterr().err


@pytest.mark.parametrize("n_cadences", [500, 1400, 4100])
def test_occlusion_on_a_page_shows_what_the_score_rests_on(n_cadences):
    middles = np.arange(60, n_cadences - 10, 110)
    flux = make_dips(n_cadences, middles)
    flux[240:250] = np.nan if n_cadences > 520 else flux[240:250]
    time = 2454833 + np.arange(n_cadences) * CADENCE_DAYS
    network = read_dips(0.5, [1.0, -2.0], "abc", SIMULATED)
    star = own_stars.Star("star", flux, time, ("sorted in time",))
    examined = examine(star, network)
    page = star_page.draw_star(examined, network)
    top, middle = page.axes[:2]
    drawn = [line for line in top.lines if line.get_marker() == "."]
    assert all(line.get_linestyle() == "None" for line in drawn)  # no gap is bridged
    assert sum(np.isfinite(line.get_ydata()).sum() for line in drawn) == np.isfinite(flux).sum()
    colours = middle.collections[0]
    at = np.ma.getdata(colours.get_offsets())[:, 0]
    fall = np.asarray(colours.get_array())
    assert abs(at[fall.argmax()] - time[170]) < 10 * CADENCE_DAYS
    assert fall.max() > 0.5
    assert np.abs(fall[np.abs(at - time[170]) > 1.5]).max() < 1e-6
    # Each triangle stands at a dip, and none in a gap.
    marks = next(line for line in middle.lines if line.get_marker() == "^").get_xdata()
    assert np.abs(marks[:, None] - time[middles]).min(axis=1).max() < 3 * CADENCE_DAYS
    written = texts(page)
    assert examined.found.period == pytest.approx(110 * CADENCE_DAYS, rel=0.01)
    assert f"period {examined.found.period:.4f} d" in written
    assert "sorted in time" in written and "abc" in written
    assert "called a host" in written and "calibrated probability" in written
    assert written.endswith("was trained on: SIMULATED survey (seed 0), not real stars")
    page.draw_without_rendering()


def test_page_tells_an_eclipsing_binary_by_its_odd_and_even_dips():
    network = read_dips(0.5, None, "abc")
    middles = np.arange(60, 1400, 110)
    alike, unlike = make_dips(1400, middles), make_dips(1400, middles)
    unlike += make_dips(1400, middles[::2], 8.0) - make_dips(1400, [])
    binary = examine(own_stars.Star("binary", unlike), network)
    assert binary.found.period == pytest.approx(110 * CADENCE_DAYS, rel=0.01)
    assert "eclipsing binary?" in texts(star_page.draw_star(binary, network))
    planet = star_page.draw_star(examine(own_stars.Star("p", alike), network), network)
    assert "eclipsing binary?" not in texts(planet)
    assert "not calibrated" in texts(planet)


def test_page_says_where_no_period_was_found(monkeypatch):
    monkeypatch.setattr(box, "search_star", lambda *args: (-np.inf, *[np.nan] * 5))
    network = read_dips(0.9, None, "abc")
    page = star_page.draw_star(
        examine(own_stars.Star("quiet", make_dips(600, [])), network), network
    )
    assert "the box search found no period to fold at" in texts(page)
    assert "not called a host" in texts(page)
    page.draw_without_rendering()


def test_name_of_a_page_is_safe_recognisable_and_its_own():
    names = [
        "a/one.csv:3",
        "b/one.csv:3",
        "KIC 757076",
        "kic 757076",
        "KIC/757076",
        "../..",
        "\udcff",
    ]
    names += ["x" * 5000, "x" * 5001, "star\n$", "星"]
    pages = [star_page.name_page(name) for name in names]
    assert len({page.lower() for page in pages}) == len(names)
    for page in pages:
        assert len(page) < 110
        assert set(page) <= set(
            "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._+-"
        )
    assert pages[0].startswith("one.csv_3-")
    assert pages[2].startswith("KIC_757076-")


@pytest.mark.parametrize("name", ["$x$ {", "x" * 500, "星 \n\udcff", "τ Ceti"])
def test_page_bears_any_name(name, tmp_path):
    network = read_dips(0.5, None, "abc")
    star = own_stars.Star(name, make_dips(500, [100, 300]), None, (name,) * 9)
    page = star_page.draw_star(examine(star, network), network)
    page.savefig(tmp_path / "page.png")  # a glyph the font lacks would be a warning, hence an error
    assert len(page.get_suptitle().splitlines()) == 2
    plt.close(page)
