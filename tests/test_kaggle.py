"""sources/kaggle.py: what is accepted, what is refused and how, and the parsed copy."""

import gzip
import hashlib
import json
import os
import subprocess
import sys
import tempfile
import types
import zipfile
from pathlib import Path

import numpy as np
import pytest
from conftest import REAL, ROOT, listing, write_table

import data_visualization
from exoplanets import transits
from exoplanets.files import DataError, atomic_write, run
from exoplanets.sources import kaggle, survey, table
from exoplanets.stars import CADENCE_DAYS, SIMULATED_SEED, TABLES, describe

N = 70  # cadences: a little above the fewest accepted
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


@pytest.fixture
def tiny_survey(monkeypatch):
    """Make the simulated survey small; the list it returns grows with each simulation."""
    calls, simulate = [], survey.simulate

    def small_simulate(seed):
        calls.append(seed)
        return simulate(8, 6, 2, 2, n_cadences=N, seed=seed)

    monkeypatch.setattr(survey, "simulate", small_simulate)
    return calls


@pytest.fixture
def kagglehub(monkeypatch, folder, tmp_path):
    """A stand-in for the download client: it delivers `folder`'s files as Kaggle's."""
    delivered = tmp_path / "kagglehub-cache"
    folder.rename(delivered)
    folder.mkdir()
    asked = []
    module = types.ModuleType("kagglehub")

    def dataset_download(handle):
        asked.append(handle)
        return str(delivered)

    module.dataset_download = dataset_download
    module.asked, module.delivered = asked, delivered
    monkeypatch.setitem(sys.modules, "kagglehub", module)
    known = {csv: sha256(delivered / csv) for csv in kaggle.KAGGLE_SHA256}
    monkeypatch.setattr(kaggle, "KAGGLE_SHA256", known)
    return module


def sha256(path):
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()


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


# ------------------------------------------------------------------------------ refusals
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


def zipped(member, damage=None, share=1.0):
    """A damage: the CSV is replaced by a zip archive of it, cut off."""

    def replace(path):
        if damage:
            damage(path)
        archive = path.with_suffix(".csv.zip")
        with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as stream:
            stream.writestr(member, path.read_bytes())
        path.unlink()
        keep(share)(archive)

    return replace


def gzipped(share):
    def replace(path):
        archive = path.with_suffix(".csv.gz")
        archive.write_bytes(gzip.compress(path.read_bytes()))
        path.unlink()
        keep(share)(archive)

    return replace


def first_flux(text):
    return edit_row(3, lambda cells: [*cells[:2], text, *cells[3:]])


DAMAGES = {
    "missing": (lambda path: path.unlink(), "is missing, though '.*exo.*.csv' is there"),
    "git lfs pointer": (put(POINTER), "Git LFS pointer.*git lfs pull"),
    "empty": (put(b""), "is empty"),
    "blank": (put(b"\n \n"), "is empty"),
    "header only": (lambda path: path.write_text(path.read_text().splitlines()[0]), "no stars"),
    "binary": (put(bytes(range(128, 256)) * 9), "not a text file"),
    "truncated in a row": (keep(0.7), "truncated or uneven: row 3 has .* cells, the header 71"),
    "truncated gz": (gzipped(0.6), "damaged or truncated"),
    "truncated zip": (zipped("exoTrain.csv", share=0.6), "damaged or truncated"),
    "zip of something else": (zipped("readme.txt"), r"holds no 'exo.*.csv': .*readme.txt"),
    "no LABEL": (edit("LABEL", "STAR"), "no LABEL column: .* 'STAR,FLUX.1"),
    "LABEL not first": (edit("LABEL,FLUX.1,", "FLUX.1,LABEL,"), "'FLUX.1' where 'LABEL'"),
    "wrong column": (edit("FLUX.7,", "FLUX.8,"), "'FLUX.8' where 'FLUX.7' is expected"),
    "label 0": (edit_row(4, lambda cells: ["0", *cells[1:]]), "label 0: only 2 .* and 1 "),
    "label missing": (edit_row(4, lambda cells: ["", *cells[1:]]), "label nan: only"),
    "no host": (edit("\n2,", "\n1,", 9), r"no hosts \(LABEL 2\)"),
    "no non-host": (edit("\n1,", "\n2,", 9), r"no non-hosts \(LABEL 1\)"),
    "text": (first_flux("12.5?"), r"text in row 3, FLUX.2: '12.5\?' is not a number"),
    "infinite": (first_flux("-inf"), "infinite value in row 3, FLUX.2"),
    "overflow": (first_flux("1e999"), "infinite value in row 3, FLUX.2"),
    "short row": (edit_row(2, lambda cells: cells[:-1]), "row 2 has 70 cells, the header 71"),
    "long row": (edit_row(2, lambda cells: [*cells, "1"]), "rows of unequal length"),
}


@pytest.mark.parametrize("name", DAMAGES)
@pytest.mark.parametrize("csv", ["exoTrain.csv", "exoTest.csv"])
def test_unusable_table_is_refused_in_one_line_that_names_it(name, csv, folder, capsys):
    damage, message = DAMAGES[name]
    if name == "truncated zip":
        damage = zipped(csv, share=0.6)
    damage(folder / csv)
    before = listing(folder)
    line = refused(folder, capsys)
    assert str(folder / csv) in line
    with pytest.raises(DataError, match=message):
        kaggle.load(folder)
    new = {path.name for path in listing(folder).keys() - before.keys()}
    # What may remain is the whole copy of a good training table, never a trace of a bad one.
    assert all(file.startswith("exoTrain.csv.") for file in new)
    assert csv == "exoTest.csv" or not new
    assert not [file for file in new if "partial" in file]


def test_tables_of_different_length_are_refused(folder, small, capsys):
    write_table(folder / "exoTest.csv", small[0], small[1][:, :-1])
    line = refused(folder, capsys)
    assert "'exoTrain.csv' has 70" in line.replace(f"{folder}/", "")
    assert "'exoTest.csv' has 69" in line.replace(f"{folder}/", "")


def test_too_few_cadences_are_refused(folder, small, capsys):
    for csv in kaggle.KAGGLE_SHA256:
        write_table(folder / csv, small[0], small[1][:, : table.MIN_CADENCES - 1])
    assert "63 flux columns: at least 64" in refused(folder, capsys)


def test_missing_data_directory_is_refused_and_not_made(tmp_path, capsys):
    assert f"'{tmp_path / 'nowhere'}' does not exist" in refused(tmp_path / "nowhere", capsys)
    assert not (tmp_path / "nowhere").exists()


def test_damage_beyond_the_first_chunk_names_the_right_row(folder, small, monkeypatch):
    monkeypatch.setattr(table, "ROWS_PER_CHUNK", 2)
    for damage, message in [
        (first_flux("x"), "row 3, FLUX.2: 'x'"),
        (first_flux("inf"), "row 3, FLUX.2"),
        (edit_row(5, lambda cells: cells[:5]), "row 5 has 5 cells"),
    ]:
        write_table(folder / "exoTrain.csv", *small)
        damage(folder / "exoTrain.csv")
        with pytest.raises(DataError, match=message):
            kaggle.load(folder)


def test_interrupt_is_one_line_and_exit_code_130(capsys):
    def interrupted():
        raise KeyboardInterrupt

    with pytest.raises(SystemExit) as exit_:
        run(interrupted)
    assert exit_.value.code == 130
    assert capsys.readouterr().err.count("\n") == 1


@pytest.mark.parametrize("named", [True, False])
def test_trouble_with_the_disk_is_one_line_and_exit_code_2(named, capsys):
    def full():
        raise OSError(28, "No space left on device", *(["/somewhere/metrics.json"] * named))

    with pytest.raises(SystemExit) as exit_:
        run(full)
    assert exit_.value.code == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "No space left on device" in said
    assert ("'/somewhere/metrics.json'" in said) == named


@pytest.mark.parametrize("code", [None, 0, 1])
def test_exit_code_is_what_main_returns(code):
    with pytest.raises(SystemExit) as exit_:
        run(lambda: code)
    assert exit_.value.code == code


# ------------------------------------------------------------------------ accepted forms
def as_gz(folder):
    gzipped(1)(folder / "exoTrain.csv")
    gzipped(1)(folder / "exoTest.csv")


def as_csv_zip(folder):
    zipped("exoTrain.csv")(folder / "exoTrain.csv")
    zipped("exoTest.csv")(folder / "exoTest.csv")


def as_zip(folder):
    as_csv_zip(folder)
    for name in ("exoTrain", "exoTest"):
        (folder / f"{name}.csv.zip").rename(folder / f"{name}.zip")


def as_archive(folder):
    with zipfile.ZipFile(folder / "archive.zip", "w") as archive:
        archive.writestr("__MACOSX/._exoTrain.csv", b"not it")
        for csv in ("exoTest.csv", "exoTrain.csv"):
            archive.write(folder / csv, f"kepler/{csv}")
            (folder / csv).unlink()


def as_windows(folder):
    """With a byte-order mark, CRLF, quoted names and a blank line, as a spreadsheet saves it."""
    for csv in ("exoTrain.csv", "exoTest.csv"):
        head, *rows = (folder / csv).read_text().splitlines()
        head = ",".join(f'"{name}"' for name in head.split(","))
        text = "\r\n".join(["\ufeff" + head, *rows, "", ""])
        (folder / csv).write_bytes(text.encode())


@pytest.mark.parametrize("form", [None, as_gz, as_csv_zip, as_zip, as_archive, as_windows])
def test_every_form_gives_the_same_arrays_and_the_sha_of_the_csv(form, folder, small):
    labels, flux = small
    if form:
        form(folder)
    expected = {"train": (flux, labels), "test": (flux + 1, labels)}
    for tables in (kaggle.load(folder), kaggle.load(folder)):  # parsed now; from the copy
        assert tables.source == "user"
        for name, (its_flux, its_labels) in expected.items():
            table = getattr(tables, name)
            np.testing.assert_array_equal(table.flux, its_flux)  # to the last bit
            np.testing.assert_array_equal(table.labels, its_labels)
            np.testing.assert_array_equal(table.is_host, its_labels == 2)
            assert table.flux.dtype == np.float64
            assert table.n_missing == 0
            assert not table.flux.flags.writeable  # the copy on disk cannot be changed by it
            content = csv_of(folder, f"exo{name.title()}.csv")
            assert table.sha256 == hashlib.sha256(content).hexdigest()


def csv_of(folder, csv):
    """The uncompressed bytes, found here without the code under test."""
    for path in folder.iterdir():
        if path.suffix == ".zip":
            with zipfile.ZipFile(path) as archive:
                for member in archive.namelist():
                    if member.endswith(f"/{csv}") or member == csv:
                        return archive.read(member)
        elif path.name == f"{csv}.gz":
            return gzip.decompress(path.read_bytes())
    return (folder / csv).read_bytes()


def test_a_plain_csv_wins_over_an_archive(folder, small):
    as_archive(folder)
    write_table(folder / "exoTrain.csv", small[0], small[1] * 2)
    tables = kaggle.load(folder)
    assert tables.train.file == "exoTrain.csv"
    assert tables.test.file == "archive.zip"
    np.testing.assert_array_equal(tables.train.flux, small[1] * 2)


def test_missing_values_are_counted_not_refused(folder, small):
    flux = small[1].copy()
    flux[1, :3], flux[4, -1], flux[5, 1:] = np.nan, np.nan, np.nan
    write_table(folder / "exoTrain.csv", small[0], flux)
    text = (folder / "exoTrain.csv").read_text()
    (folder / "exoTrain.csv").write_text(text.replace("\n2,,,,", "\n2,NaN,nan,NA,"))
    for tables in (kaggle.load(folder), kaggle.load(folder)):
        assert tables.train.n_missing == 4 + N - 1
        assert tables.provenance["train"]["n_missing"] == 4 + N - 1
        np.testing.assert_array_equal(tables.train.flux, flux)


@pytest.mark.skipif(not REAL.is_dir(), reason="no real stars beside this checkout")
def test_real_stars_are_read(tmp_path):
    for csv in kaggle.KAGGLE_SHA256:
        (tmp_path / csv).symlink_to(REAL / csv)
    tables = kaggle.load(tmp_path)
    hosts = {name: int(getattr(tables, name).is_host.sum()) for name in TABLES}
    assert hosts == {"train": 30, "test": 7}
    assert tables.train.flux.shape == (178, 3197)
    assert tables.test.flux.shape == (77, 3197)
    assert tables.source == "user"


# ----------------------------------------------------------------------- the parsed copy
@pytest.fixture
def parses(monkeypatch):
    """The list of files parsed, in order."""
    names, parse = [], table._parse

    def counted(path, *rest):
        names.append(path.name)
        return parse(path, *rest)

    monkeypatch.setattr(table, "_parse", counted)
    return names


def test_parsed_once_then_memory_mapped(folder, parses):
    kaggle.load(folder)
    tables = kaggle.load(folder)
    assert parses == ["exoTrain.csv", "exoTest.csv"]
    base = tables.train.flux
    while base is not None and not isinstance(base, np.memmap):
        base = base.base
    assert isinstance(base, np.memmap)


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
    train = kaggle.load(folder).train
    assert parses == ["exoTrain.csv", "exoTest.csv", "exoTrain.csv"]
    assert train.sha256 == sha256(csv)
    assert not np.array_equal(train.flux, small[1])
    assert len(list(folder.glob("exoTrain.csv.*.npy"))) == 1  # the old copy is gone


def truncate(path):
    path.write_bytes(path.read_bytes()[:-100])


def overwrite(path):
    path.write_bytes(b"\0" * path.stat().st_size)  # as a crash can leave it: right size, no data


@pytest.mark.parametrize(
    ("pattern", "damage"),
    [
        ("exoTrain.csv.*.npy", Path.unlink),
        ("exoTrain.csv.*.npy", truncate),
        ("exoTrain.csv.*.npy", overwrite),
        ("exoTrain.csv.parsed.json", Path.unlink),
        ("exoTrain.csv.parsed.json", truncate),
        ("exoTrain.csv.parsed.json", put(b"[1]")),
        ("exoTrain.csv.parsed.json", put(b"\xff\xfe{}")),
    ],
)
def test_damaged_copy_is_made_anew(pattern, damage, folder, small, parses):
    kaggle.load(folder)
    (victim,) = folder.glob(pattern)
    damage(victim)
    for _ in range(2):
        np.testing.assert_array_equal(kaggle.load(folder).train.flux, small[1])
    assert parses == ["exoTrain.csv", "exoTest.csv", "exoTrain.csv"]


def test_read_only_directory_costs_the_copy_only(folder, small, monkeypatch, capsys):
    before = listing(folder)

    def denied(*args, **kwargs):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(tempfile, "mkstemp", denied)
    train = kaggle.load(folder).train
    np.testing.assert_array_equal(train.flux, small[1])
    np.testing.assert_array_equal(train.labels, small[0])
    assert train.sha256 == sha256(folder / "exoTrain.csv")
    assert "no parsed copy of" in capsys.readouterr().err
    assert listing(folder) == before


LOADER = """
import hashlib, sys
from exoplanets.sources import kaggle
print("ready", flush=True)
sys.stdin.readline()
tables = kaggle.load(sys.argv[1])
print(hashlib.sha256(tables.train.flux.tobytes() + tables.test.flux.tobytes()).hexdigest())
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
    assert len(list(folder.iterdir())) == 6  # per table the CSV, one copy, one note
    np.testing.assert_array_equal(kaggle.load(folder).train.flux, flux)


# -------------------------------------------------------------------------- atomic_write
def test_atomic_write_replaces_at_once_and_leaves_nothing_on_failure(tmp_path):
    path = tmp_path / "metrics.json"
    path.write_text("old")
    with open(path) as reader:
        with atomic_write(path) as temporary:
            temporary.write_text("new")
            assert temporary.parent == path.parent  # a rename across file systems is not atomic
            assert temporary.suffix == ".json"  # savers choose their format by it
            assert path.read_text() == "old"
        assert reader.read() == "old"  # another file took its name; it was not written into
    assert path.read_text() == "new"
    with pytest.raises(RuntimeError), atomic_write(path) as temporary:  # noqa: PT012
        temporary.write_text("never seen")
        raise RuntimeError
    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]
    plain = tmp_path / "plain"
    plain.touch()
    assert path.stat().st_mode == plain.stat().st_mode  # readable by whom other files are


# ------------------------------------------------------------------- Kaggle, simulated
def test_kaggle_delivers_checked_files_that_are_kept(kagglehub, folder, small):
    tables = kaggle.load(folder)
    assert kagglehub.asked == ["keplersmachines/kepler-labelled-time-series-data"]
    assert tables.source == "kaggle"
    np.testing.assert_array_equal(tables.train.flux, small[1])
    assert sha256(folder / "exoTest.csv") == kaggle.KAGGLE_SHA256["exoTest.csv"]
    assert kaggle.load(folder).source == "kaggle"
    assert len(kagglehub.asked) == 1
    assert describe(tables.provenance).startswith("Kaggle Kepler/K2 set (exoTrain.csv ")


def raise_offline(handle):
    raise ConnectionError("no route to host\nsecond line")


@pytest.mark.parametrize(
    ("failure", "reason"),
    [
        ("offline", "no route to host second line"),
        ("bytes changed", "exoTest.csv has SHA-256"),
        ("file missing", "No such file"),
        ("not installed", "kagglehub"),
    ],
)
def test_any_failure_of_kaggle_falls_through_with_one_line(
    failure, reason, kagglehub, folder, tiny_survey, capsys, monkeypatch
):
    if failure == "offline":
        kagglehub.dataset_download = raise_offline
    elif failure == "bytes changed":
        edit("FLUX.1,", "FLUX.1 ,")(kagglehub.delivered / "exoTest.csv")
    elif failure == "file missing":
        (kagglehub.delivered / "exoTest.csv").unlink()
    else:
        monkeypatch.setitem(sys.modules, "kagglehub", None)  # its import raises
    tables = kaggle.load(folder)
    err = capsys.readouterr().err
    assert sum("Kaggle gave no light curves" in line for line in err.splitlines()) == 1
    assert reason in err
    assert tables.source == "simulated"
    assert not list(folder.glob("exo*"))  # the half that did arrive is not kept as if it were all


def test_simulated_survey_is_made_once_and_asked_for_outright(folder, tiny_survey, kagglehub):
    folder.rmdir()  # made if need be: nothing has to be put there first
    one, two = kaggle.load(folder, simulated=True), kaggle.load(folder, simulated=True)
    assert tiny_survey == [SIMULATED_SEED]
    assert kagglehub.asked == []
    made = survey.simulate(seed=SIMULATED_SEED)
    for tables in (one, two):
        assert tables.source == "simulated"
        np.testing.assert_array_equal(tables.train.flux, made.train_flux)
        np.testing.assert_array_equal(tables.test.labels, made.test_labels)
    assert one.provenance == two.provenance
    assert "SIMULATED" in describe(one.provenance)


@pytest.mark.parametrize("damage", [truncate, overwrite])
def test_damaged_simulated_survey_is_made_anew(damage, folder, tiny_survey):
    expected = kaggle.load(folder, simulated=True).train.flux.tobytes()
    damage(folder / "simulated_train.npy")
    for _ in range(2):
        assert kaggle.load(folder, simulated=True).train.flux.tobytes() == expected
    assert len(tiny_survey) == 2


@pytest.mark.parametrize("module", [survey, transits])
def test_simulated_survey_follows_a_changed_recipe(
    module, folder, tiny_survey, tmp_path, monkeypatch
):
    kaggle.load(folder, simulated=True)
    changed = tmp_path / "changed.py"
    changed.write_text("# another version\n")
    monkeypatch.setattr(module, "__file__", str(changed))
    kaggle.load(folder, simulated=True)
    assert len(tiny_survey) == 2


def test_simulated_wins_over_local_files_only_when_asked(folder, tiny_survey):
    assert kaggle.load(folder).source == "user"
    assert kaggle.load(folder, simulated=True).source == "simulated"
    assert kaggle.load(folder).source == "user"


# ----------------------------------------------------------------------------- provenance
def test_provenance_is_json_and_names_the_data(folder, small):
    provenance = kaggle.load(folder).provenance
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
