"""sources/kaggle.py: where the stars come from, what is refused and how, and the kept arrays."""

import gzip
import hashlib
import json
import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from conftest import REAL, ROOT, listing, write_table

import data_visualization
from exoplanets.files import DataError, run
from exoplanets.sources import kaggle, survey, table
from exoplanets.sources.copies import write_copy
from exoplanets.stars import CADENCE_DAYS, SIMULATED_SEED, TABLES, describe

N = 505  # cadences: a little above the fewest accepted
POINTER = (
    b"version https://git-lfs.github.com/spec/v1\n"
    b"oid sha256:6f04167636d2fcdce44af6fd5cbef359d8af033ce8457d8c8e917fdb822e044c\n"
    b"size 262223348\n"
)


@pytest.fixture(scope="module")
def small():
    """Labels and flux of six stars, values as the real CSVs write them."""
    rng = np.random.default_rng(5)
    return np.array([2, 2, 1, 1, 1, 1]), np.round(rng.normal(0, 1e3, (6, N)), 2)


@pytest.fixture
def folder(small, tmp_path):
    folder = tmp_path / "data"
    folder.mkdir()
    write_table(folder / "exoTrain.csv", *small)
    write_table(folder / "exoTest.csv", small[0], small[1] + 1)
    return folder


def read(folder, **options):
    """Flux and labels per table, and the provenance."""
    stars, provenance = kaggle.load(folder, **options)
    assert stars.names == [f"{t} row {i}" for t in TABLES for i in range(len(stars) // 2)]
    parts = {name: stars.select(stars.table == name) for name in TABLES}
    return parts, provenance


def sha256(path):
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()


# ------------------------------------------------------------------------------ refusals
def refused(folder, capsys):
    """The one line of stderr with which step 1 refuses a directory, having drawn nothing."""
    plots = folder.parent / "plots"
    args = ["--data-dir", str(folder), "--plots-dir", str(plots)]
    with pytest.raises(SystemExit) as exit_:
        run(lambda: data_visualization.main(args))
    out, err = capsys.readouterr()
    assert exit_.value.code == 2
    assert out == ""
    assert not plots.exists()
    assert err.count("\n") == 1, err
    return err


def edit(old, new, count=1):
    """A damage: replace text in the CSV."""

    def damage(path):
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new, count))

    return damage


def edit_row(row, change):
    """A damage: change the list of cells of a data row."""

    def damage(path):
        lines = path.read_text().splitlines()
        cells = lines[row + 1].split(",")
        lines[row + 1] = ",".join(change(cells))
        path.write_text("\n".join(lines) + "\n")

    return damage


def put(content):
    return lambda path: path.write_bytes(content)


def keep(share):
    """A damage: only the first part of the bytes arrived."""

    def damage(path):
        content = path.read_bytes()
        path.write_bytes(content[: int(share * len(content))])

    return damage


def zipped(path, suffix=".csv.zip"):
    """The CSV is replaced by a zip archive of it."""
    archive = path.with_name(path.name.removesuffix(".csv") + suffix)
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as stream:
        stream.write(path, path.name)
    path.unlink()


def gzipped(path):
    """The CSV is replaced by a compressed one."""
    path.with_suffix(".csv.gz").write_bytes(gzip.compress(path.read_bytes()))
    path.unlink()


def first_flux(text):
    return edit_row(3, lambda cells: [*cells[:2], text, *cells[3:]])


DAMAGES = {
    "missing": (Path.unlink, "is missing, though '.*exo.*.csv' is: add it"),
    "git lfs pointer": (put(POINTER), "Git LFS pointer.*git lfs pull"),
    "empty": (put(b""), "is empty"),
    "header only": (lambda path: path.write_text(path.read_text().splitlines()[0]), "no stars"),
    "truncated": (keep(0.7), r"exoT.*.csv' row 3 has \d+ cells, the header 506: fetch"),
    "no LABEL": (edit("LABEL", "STAR"), "has a column 'STAR' where 'LABEL' or 'FLUX.1' is"),
    "label left out": (
        lambda path: [edit_row(row, lambda cells: cells[1:])(path) for row in range(-1, 6)],
        "has no LABEL column",
    ),
    "label 0": (edit_row(4, lambda cells: ["0", *cells[1:]]), "row 4 has the label 0: only 2"),
    "label missing": (edit_row(4, lambda cells: ["", *cells[1:]]), "row 4 has the label nan"),
    "no host": (edit("\n2,", "\n1,", 9), r"has no hosts \(LABEL 2\): both classes are needed"),
    "no non-host": (edit("\n1,", "\n2,", 9), r"has no non-hosts \(LABEL 1\)"),
    "labels are words": (
        edit("\n1,", "\nFalse,", 9),
        "row 2 has text in LABEL: 'False' .* labelled 2",
    ),
    "too short": (
        lambda path: [edit_row(row, lambda cells: cells[:500])(path) for row in range(-1, 6)],
        "has 499 flux columns: at least 500 cadences are needed",
    ),
    "text": (first_flux("12.5?"), r"row 3 has text in FLUX.2: '12.5\?' is not a number"),
    "infinite": (first_flux("-inf"), "row 3 has an infinite value in FLUX.2"),
    "too large": (first_flux("1e300"), r"row 3 has the value 1e\+300 in FLUX.2, which no star"),
}


@pytest.mark.parametrize("name", DAMAGES)
@pytest.mark.parametrize("csv", ["exoTrain.csv", "exoTest.csv"])
def test_unusable_table_is_refused_in_one_line_that_names_it(name, csv, folder, capsys):
    damage, message = DAMAGES[name]
    damage(folder / csv)
    before = listing(folder)
    line = refused(folder, capsys)
    assert str(folder / csv) in line
    assert re.search(message, line)
    assert listing(folder) == before


@pytest.mark.parametrize("n_rows", [1, 2, 5])
def test_the_first_bad_row_is_named_wherever_blocks_begin(n_rows, folder, monkeypatch):
    length = len((folder / "exoTrain.csv").read_text().splitlines()[2])
    monkeypatch.setattr(table, "BLOCK_BYTES", n_rows * length)
    for row in (5, 2):
        edit_row(row, lambda cells: [*cells[:9], "x", *cells[10:]])(folder / "exoTrain.csv")
        with pytest.raises(DataError, match=rf"exoTrain.csv' row {row} has text in FLUX.9"):
            kaggle.load(folder)


def test_tables_of_different_length_are_refused(folder, small, capsys):
    write_table(folder / "exoTest.csv", small[0], small[1][:, :-1])
    line = refused(folder, capsys).replace(f"{folder}/", "")
    assert "'exoTrain.csv' has 505 flux values a star and 'exoTest.csv' has 504" in line


def test_missing_data_directory_is_refused_and_not_made(tmp_path, capsys):
    assert f"'{tmp_path / 'nowhere'}' does not exist" in refused(tmp_path / "nowhere", capsys)
    assert not (tmp_path / "nowhere").exists()
    (tmp_path / "file").touch()
    assert f"'{tmp_path / 'file'}' is a file" in refused(tmp_path / "file", capsys)


# ------------------------------------------------------------------------ accepted forms
def as_archive(folder):
    with zipfile.ZipFile(folder / "archive.zip", "w") as archive:
        archive.writestr("__MACOSX/._exoTrain.csv", b"not it")
        archive.writestr("kepler/old/exoTrain.csv", b"not it either")
        for csv in ("exoTest.csv", "exoTrain.csv"):
            archive.write(folder / csv, f"kepler/{csv}")
            (folder / csv).unlink()


FORMS = {
    "csv": lambda folder: None,
    "gz": lambda folder: [gzipped(folder / csv) for csv in TABLES.values()],
    "csv.zip": lambda folder: [zipped(folder / csv) for csv in TABLES.values()],
    "zip": lambda folder: [zipped(folder / csv, ".zip") for csv in TABLES.values()],
    "archive": as_archive,
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_gives_the_same_arrays_and_the_sha_of_the_csv(form, folder, small):
    labels, flux = small
    sums = {name: sha256(folder / csv) for name, csv in TABLES.items()}
    FORMS[form](folder)
    for _ in range(2):  # parsed now; from the copy
        parts, provenance = read(folder)
        for name, expected in (("train", flux), ("test", flux + 1)):
            np.testing.assert_array_equal(parts[name].flux, expected)  # to the last bit
            np.testing.assert_array_equal(parts[name].is_host, labels == 2)
            assert parts[name].flux.dtype == np.float64
            assert provenance[name]["sha256"] == sums[name]
        assert provenance["source"] == "user"


def test_a_plain_csv_wins_over_an_archive(folder, small):
    as_archive(folder)
    write_table(folder / "exoTrain.csv", small[0], small[1] * 2)
    parts, provenance = read(folder)
    assert [provenance[name]["file"] for name in TABLES] == ["exoTrain.csv", "archive.zip"]
    np.testing.assert_array_equal(parts["train"].flux, small[1] * 2)


def test_missing_values_are_counted_and_stay_missing(folder, small):
    flux = small[1].copy()
    flux[1, :3], flux[4, -1], flux[5, 1:] = np.nan, np.nan, np.nan
    write_table(folder / "exoTrain.csv", small[0], flux)
    for _ in range(2):
        parts, provenance = read(folder)
        assert provenance["train"]["n_missing"] == 4 + N - 1
        np.testing.assert_array_equal(parts["train"].flux, flux)


@pytest.mark.skipif(not REAL.is_dir(), reason="no real stars beside this checkout")
def test_real_stars_are_read(tmp_path):
    for csv in TABLES.values():
        (tmp_path / csv).symlink_to(REAL / csv)
    stars, provenance = kaggle.load(tmp_path)
    assert stars.flux.shape == (255, 3197)
    assert {name: provenance[name]["n_hosts"] for name in TABLES} == {"train": 30, "test": 7}
    assert provenance["source"] == "user"


# ------------------------------------------------------------------------ the kept arrays
@pytest.fixture
def parses(monkeypatch):
    """The list of files parsed, in order."""
    names, read_table = [], kaggle.read_table

    def counted(path, *rest):
        names.append(path.name)
        return read_table(path, *rest)

    monkeypatch.setattr(kaggle, "read_table", counted)
    return names


def test_tables_are_parsed_once(folder, parses, small):
    for _ in range(3):
        np.testing.assert_array_equal(read(folder)[0]["train"].flux, small[1])
    assert parses == ["exoTrain.csv", "exoTest.csv"]


def test_changed_table_is_parsed_anew_even_at_the_same_size_and_time(folder, small, parses):
    kaggle.load(folder)
    csv = folder / "exoTrain.csv"
    before = csv.stat()
    text = csv.read_text()
    cell = next(c for c in text.splitlines()[1].split(",") if c.endswith("3"))
    csv.write_text(text.replace(cell, cell[:-1] + "4", 1))
    os.utime(csv, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert csv.stat().st_size == before.st_size
    assert csv.stat().st_mtime_ns == before.st_mtime_ns
    parts, provenance = read(folder)
    assert parses == ["exoTrain.csv", "exoTest.csv"] * 2
    assert provenance["train"]["sha256"] == sha256(csv)
    assert not np.array_equal(parts["train"].flux, small[1])


def flip(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("damage", [Path.unlink, flip, keep(0.9), put(b""), put(b"{}")])
def test_damaged_arrays_are_made_anew(damage, folder, small, parses):
    kaggle.load(folder)
    damage(folder / "parsed.npz")
    for _ in range(2):
        np.testing.assert_array_equal(read(folder)[0]["train"].flux, small[1])
    assert parses == ["exoTrain.csv", "exoTest.csv"] * 2


FORGED = {
    "labels as text": lambda a: a | {"is_host": a["is_host"].astype(str)},
    "flux as text": lambda a: a | {"flux": a["flux"].astype(str)},
    "flux of one star": lambda a: a | {"flux": a["flux"][0]},
    "a flux too large": lambda a: a | {"flux": a["flux"] * 1e300},
    "no flux": lambda a: {"is_host": a["is_host"]},
}


@pytest.mark.filterwarnings("ignore:overflow")
@pytest.mark.parametrize("name", FORGED)
def test_forged_arrays_with_a_right_digest_are_made_anew(name, folder, small, parses, capsys):
    kaggle.load(folder)
    with np.load(folder / "parsed.npz") as stored:
        arrays = dict(stored)
    note = json.loads(arrays.pop("note").tobytes())
    write_copy(folder / "parsed.npz", FORGED[name](arrays), note)
    for _ in range(2):
        np.testing.assert_array_equal(read(folder)[0]["train"].flux, small[1])
    assert parses == ["exoTrain.csv", "exoTest.csv"] * 2
    assert capsys.readouterr().err.count("not used, made anew") == 1


def test_a_pipe_in_place_of_the_arrays_is_not_waited_for(folder, small):
    os.mkfifo(folder / "parsed.npz")
    np.testing.assert_array_equal(read(folder)[0]["train"].flux, small[1])


def test_a_source_that_is_nested_too_deeply_is_one_line(folder):
    (folder / "source.json").write_text("[" * 200_000)
    with pytest.raises(DataError, match=r"source.json' is damaged: run `python data_visualization"):
        kaggle.load(folder)


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (PermissionError(13, "Permission denied"), "Permission denied"),
        (OSError("96 requested and 0 written"), "96 requested and 0 written"),  # a full disk
    ],
)
def test_a_directory_that_takes_no_file_costs_the_copy_only(
    error, reason, folder, small, monkeypatch, capsys
):
    before = listing(folder)

    def denied(*args, **kwargs):
        raise error

    monkeypatch.setattr("os.replace", denied)
    stars, _ = kaggle.load(folder, first_step=True)
    np.testing.assert_array_equal(stars.flux[:6], small[1])
    err = capsys.readouterr().err
    assert f"'{folder / 'parsed.npz'}' cannot be kept for the next step ({reason})" in err
    assert f"the source of the stars is not noted in '{folder}' ({reason})" in err
    assert listing(folder) == before


LOADER = """
import hashlib, sys
from exoplanets.sources import kaggle
print("ready", flush=True)
sys.stdin.readline()
stars, _ = kaggle.load(sys.argv[1])
print(hashlib.sha256(stars.flux.tobytes()).hexdigest())
"""


def test_scripts_that_start_at_once_all_get_the_whole_tables(folder, small):
    labels, flux = np.tile(small[0], 150), np.tile(small[1], (150, 1))
    write_table(folder / "exoTrain.csv", labels, flux)  # large enough for the parses to overlap
    racers = [
        subprocess.Popen(
            [sys.executable, "-c", LOADER, str(folder)],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(3)
    ]
    for racer in racers:
        assert racer.stdout.readline() == "ready\n"
    for racer in racers:
        racer.stdin.write("go\n")
        racer.stdin.flush()
    outputs = [racer.communicate(timeout=120) for racer in racers]
    expected = hashlib.sha256(flux.tobytes() + (small[1] + 1).tobytes()).hexdigest()
    assert outputs == [(expected + "\n", "")] * 3
    assert {path.name for path in folder.iterdir()} == {*TABLES.values(), "parsed.npz"}
    np.testing.assert_array_equal(kaggle.load(folder)[0].flux[:900], flux)


# ------------------------------------------------------------------------------------ Kaggle
KAGGLEHUB = """
import os, pathlib, shutil, time
home = pathlib.Path(__file__).parent
mode = (home / "mode").read_text()
if mode == "not installed":
    raise ImportError("No module named 'kagglehub'")
def dataset_download(handle, output_dir):
    with open(home / "asked", "a") as stream:
        stream.write(handle + "\\n")
    if mode == "offline":
        raise ConnectionError("no route to host\\nsecond line")
    if mode == "breaks off":
        os._exit(1)
    for name in ("exoTrain.csv", "exoTest.csv"):
        if mode == "silent":
            time.sleep(600)
        shutil.copy(home / "delivered" / name, output_dir)
    return output_dir
"""


@pytest.fixture
def kagglehub(monkeypatch, folder, tmp_path):
    """A stand-in for the download client, which delivers `folder`'s files as Kaggle's."""
    home = tmp_path / "client"
    home.mkdir()
    folder.rename(home / "delivered")
    folder.mkdir()
    (home / "kagglehub.py").write_text(KAGGLEHUB)
    (home / "mode").write_text("works")
    (home / "asked").write_text("")
    monkeypatch.setenv("PYTHONPATH", str(home))
    known = {csv: sha256(home / "delivered" / csv) for csv in kaggle.KAGGLE_SHA256}
    monkeypatch.setattr(kaggle, "KAGGLE_SHA256", known)
    return home


@pytest.fixture
def tiny_survey(monkeypatch):
    """Make the simulated survey small; the list it returns grows with each simulation."""
    calls, simulate = [], survey.simulate

    def small_simulate(seed):
        calls.append(seed)
        return simulate(8, 8, 2, 2, n_cadences=N, seed=seed)

    monkeypatch.setattr(survey, "simulate", small_simulate)
    return calls


def test_kaggle_delivers_checked_files_that_are_kept(kagglehub, folder, small):
    parts, provenance = read(folder, first_step=True)
    assert provenance["source"] == "kaggle"
    np.testing.assert_array_equal(parts["train"].flux, small[1])
    assert sha256(folder / "exoTest.csv") == kaggle.KAGGLE_SHA256["exoTest.csv"]
    assert {path.name for path in folder.iterdir()} == {
        *TABLES.values(), "parsed.npz", "source.json"
    }  # fmt: skip
    assert read(folder)[1]["source"] == "kaggle"
    assert (kagglehub / "asked").read_text() == f"{kaggle.KAGGLE_HANDLE}\n"
    assert describe(provenance).startswith("Kaggle Kepler/K2 set (exoTrain.csv ")


@pytest.mark.parametrize(
    ("mode", "reason"),
    [
        ("offline", "no route to host second line"),
        ("bytes changed", "exoTest.csv has SHA-256"),
        ("file missing", "No such file"),
        ("not installed", "No module named 'kagglehub'"),
        ("breaks off", "the download broke off"),
        ("silent", "the download took longer than 1 s"),
    ],
)
def test_any_failure_of_kaggle_falls_through_with_one_line(
    mode, reason, kagglehub, folder, tiny_survey, capsys, monkeypatch
):
    monkeypatch.setattr(kaggle, "LONGEST", 1.0 if mode == "silent" else 60.0)
    (kagglehub / "mode").write_text(mode)
    if mode == "bytes changed":
        edit("FLUX.1,", "FLUX.1 ,")(kagglehub / "delivered" / "exoTest.csv")
    elif mode == "file missing":
        (kagglehub / "delivered" / "exoTest.csv").unlink()
    _, provenance = read(folder, first_step=True)
    err = capsys.readouterr().err
    assert sum("Kaggle gave no light curves" in line for line in err.splitlines()) == 1
    assert reason in err
    assert provenance["source"] == "simulated"
    # The half that did arrive is not kept as if it were all.
    assert {path.name for path in folder.iterdir()} == {"simulated.npz", "source.json"}


def test_only_the_first_step_asks_kaggle(kagglehub, folder):
    with pytest.raises(DataError, match=r"holds no light curves: run `python data_visualiz"):
        kaggle.load(folder)
    assert (kagglehub / "asked").read_text() == ""


# --------------------------------------------------------------------- keeping to the source
def test_later_steps_keep_to_the_simulated_survey(kagglehub, folder, tiny_survey, capsys):
    (kagglehub / "mode").write_text("offline")
    first = read(folder, first_step=True)[1]
    assert read(folder)[1] == first
    for csv in TABLES.values():  # real stars arrive in between
        (kagglehub / "delivered" / csv).rename(folder / csv)
    capsys.readouterr()
    assert read(folder)[1] == first
    assert "keeping to the simulated survey, as step 1 did" in capsys.readouterr().err
    assert read(folder, first_step=True)[1]["source"] != "simulated"
    assert read(folder)[1]["source"] != "simulated"
    assert tiny_survey == [SIMULATED_SEED]


def test_a_later_step_takes_no_other_source_than_the_first(folder, tiny_survey):
    read(folder, first_step=True)
    with pytest.raises(DataError, match=r"run `python data_visualization.py --simulated` first"):
        kaggle.load(folder, simulated=True)
    assert read(folder, simulated=True, first_step=True)[1]["source"] == "simulated"
    assert read(folder)[1]["source"] == "simulated"


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"source": "moon"}', '"kaggle"'])
def test_a_damaged_note_of_the_source_is_one_line(content, folder):
    (folder / "source.json").write_text(content)
    with pytest.raises(DataError, match=r"source.json' is damaged: run `python data_visu"):
        kaggle.load(folder)
    assert read(folder, first_step=True)[1]["source"] == "user"


# ---------------------------------------------------------------------- the simulated survey
def test_simulated_survey_is_made_once_and_asked_for_outright(folder, tiny_survey, kagglehub):
    folder.rmdir()  # made if need be: nothing has to be put there first
    results = [read(folder, simulated=True, first_step=first) for first in (True, False)]
    assert tiny_survey == [SIMULATED_SEED]
    assert (kagglehub / "asked").read_text() == ""
    expected = survey.simulate(seed=SIMULATED_SEED)
    for parts, provenance in results:
        assert provenance["source"] == "simulated"
        np.testing.assert_array_equal(parts["train"].flux, expected.train_flux)
        np.testing.assert_array_equal(parts["test"].is_host, expected.test_labels == 2)
    assert results[0][1] == results[1][1]
    assert "SIMULATED" in describe(results[0][1])


@pytest.mark.parametrize("damage", [flip, keep(0.9), put(b"")])
def test_damaged_simulated_survey_is_made_anew(damage, folder, tiny_survey):
    expected = kaggle.load(folder, simulated=True)[0].flux
    damage(folder / "simulated.npz")
    for _ in range(2):
        np.testing.assert_array_equal(kaggle.load(folder, simulated=True)[0].flux, expected)
    assert len(tiny_survey) == 2


def test_simulated_survey_follows_its_code(folder, tiny_survey, monkeypatch):
    kaggle.load(folder, simulated=True)
    monkeypatch.setattr(kaggle, "digest_code", lambda module: "of another version")
    kaggle.load(folder, simulated=True)
    assert len(tiny_survey) == 2


# ----------------------------------------------------------------------------- provenance
def test_provenance_is_json_and_names_the_data(folder):
    provenance = kaggle.load(folder)[1]
    assert json.loads(json.dumps(provenance)) == provenance
    train = sha256(folder / "exoTrain.csv")
    assert provenance["train"] == {
        "file": "exoTrain.csv",
        "sha256": train,
        "n_stars": 6,
        "n_hosts": 2,
        "n_cadences": N,
        "n_missing": 0,
    }
    line = describe(provenance)
    assert line.startswith(f"user's light curves (exoTrain.csv {train[:8]}, exoTest.csv ")
    assert "\n" not in line and "simulated" not in line.lower()


def test_known_checksums_are_those_of_the_public_set():
    assert kaggle.KAGGLE_SHA256["exoTrain.csv"].startswith("6f04167636d2fcdc")
    assert kaggle.KAGGLE_SHA256["exoTest.csv"].startswith("0b9f9aabcaf4058f")
    assert pytest.approx(29.4244 / 1440) == CADENCE_DAYS
