"""scoring/own_stars.py: files found, grouped, read as stars, or named with the reason."""

import gzip
import json
import os
import pickle
import tracemalloc
import zipfile
from pathlib import Path

import numpy as np
import pytest
from conftest import write_table
from test_fits import write_fits, write_kepler

from exoplanets.scoring import fits, formats, npz, own_stars, text
from exoplanets.scoring.own_stars import (
    Star,
    Unreadable,
    find_files,
    group_files,
    read_stars,
    summarise_unreadable,
)
from exoplanets.scoring.samples import Samples, find_target
from exoplanets.sources import table
from exoplanets.stars import CADENCE_DAYS

N = 600  # cadences: a little above the fewest accepted
TIME = 2454833.5 + np.arange(N) * CADENCE_DAYS
ONES = np.ones(N)
RNG = np.random.default_rng(5)
FLUX = 1 + RNG.normal(0, 1e-3, N)
MAGNITUDE = 12 - 2.5 * np.log10(FLUX)
HEADER = ",".join(f"FLUX.{i + 1}" for i in range(N))


@pytest.fixture(scope="module")
def flux():
    """Six stars as the real CSVs write them, the last three with float residue."""
    values = np.round(np.random.default_rng(3).normal(0, 1e3, (6, N)), 2)
    values[3:] -= np.median(values[3:], axis=1, keepdims=True)
    return values


@pytest.fixture
def kaggle(flux, tmp_path):
    """The path of those stars in the Kaggle schema."""
    write_table(tmp_path / "exoTest.csv", [2, 2, 1, 1, 1, 1], flux)
    return tmp_path / "exoTest.csv"


def read(path, **options):
    """The one thing in a file."""
    (star,) = read_stars(path, **options)
    return star


def write_star(path, time=TIME, flux=FLUX, head="time,flux\n", between=","):
    """Write one star as text, NaN as an empty cell."""
    rows = np.array([time, flux], dtype=float).T.tolist()
    cells = [["" if x != x else repr(x) for x in row] for row in rows]
    path.write_text(head + "".join(between.join(row) + "\n" for row in cells))
    return path


# ---------------------------------------------------------------------------- many stars a file
@pytest.mark.parametrize("packed", [False, True])
def test_the_rows_of_a_table_are_stars(kaggle, flux, packed):
    if packed:
        content = gzip.compress(kaggle.read_bytes())
        kaggle = kaggle.with_name("again.csv.gz")
        kaggle.write_bytes(content)
    stars = list(read_stars(kaggle))
    assert np.array_equal([star.flux for star in stars], flux)
    assert [star.name for star in stars] == [f"{kaggle}:{row}" for row in range(6)]
    assert [star.file for star in stars] == [star.name for star in stars]
    assert stars[0].notes == ("label 2 in file",) and stars[2].notes == ("label 1 in file",)
    for star in stars:
        assert star.time is None and star.cadence is None and star.flux.dtype == np.float64
        assert star.level is None  # a median was subtracted


def test_a_bad_row_of_a_table_costs_no_other(kaggle, flux):
    cells = [line.split(",") for line in kaggle.read_text().splitlines()]
    cells[1][5] = "dark"
    cells[3][7] = "inf"
    cells[4][1:] = [""] * N
    cells[5][1:] = ["3.5"] * N
    kaggle.write_text("\n".join(map(",".join, cells)) + "\n")
    stars = list(read_stars(kaggle))
    assert np.array_equal([stars[1].flux, stars[5].flux], flux[[1, 5]])
    reasons = {star.name[-1]: star.reason for star in stars if isinstance(star, Unreadable)}
    assert list(reasons) == ["0", "2", "3", "4"]
    assert "text in FLUX.5: 'dark'" in reasons["0"]
    assert "infinite" in reasons["2"]
    assert "0 cadences that are not missing: at least 500" in reasons["3"]
    assert "the same flux, 3.5, at every cadence" in reasons["4"]


def test_the_shortest_light_curve_is_accepted_and_one_less_is_not(tmp_path):
    values = np.random.default_rng(0).normal(size=(2, N))
    values[0, own_stars.SHORTEST :] = np.nan
    values[1, own_stars.SHORTEST - 1 :] = np.nan
    write_table(tmp_path / "a.csv", [1, 1], values)
    good, bad = read_stars(tmp_path / "a.csv")
    assert isinstance(good, Star)
    assert bad.name == f"{tmp_path / 'a.csv'}:1"
    assert "499 cadences" in bad.reason and "500" in bad.reason


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
@pytest.mark.parametrize("order", ["C", "F"])
def test_npz_of_many_stars(tmp_path, flux, save, order, monkeypatch):
    monkeypatch.setattr(npz, "BLOCK_BYTES", 3 * N * 4)
    path, single = tmp_path / "a.npz", flux.astype(np.float32)
    save(path, flux=np.asarray(single, order=order))
    stars = list(read_stars(path))
    assert np.array_equal([s.flux for s in stars], single.astype(float))
    assert [s.name for s in stars] == [f"{path}:{row}" for row in range(6)]
    assert all(s.time is None and s.target == "" for s in stars)


def test_npz_with_times_names_and_bad_stars(tmp_path, flux):
    flux = flux.copy()
    flux[1] = np.nan
    flux[4, 0] = 1e300
    names = ["EPIC 211089792", "b\ud800", "c\nd", "=1+1", "e", "f"]
    path = tmp_path / "a.npz"
    np.savez(path, flux=flux, time=TIME, names=names)
    stars = list(read_stars(path))
    shown = ["EPIC 211089792", "b\\ud800", "c\\nd", "=1+1", "e", "f"]
    assert [s.name for s in stars] == [f"{path}:{name}" for name in shown]
    assert [isinstance(s, Unreadable) for s in stars] == [False, True, False, False, False, False]
    assert "0 cadences" in stars[1].reason
    assert stars[4].notes == ("1 impossible values left out",)
    assert np.isnan(stars[4].flux[0]) and np.array_equal(stars[4].flux[1:], flux[4, 1:])
    assert np.array_equal(stars[5].flux, flux[5]) and np.array_equal(stars[5].time, TIME)
    assert stars[0].target == "EPIC 211089792" and stars[5].target == ""
    np.savez(path, time=TIME, flux=FLUX)
    assert read(path).name == str(path) and np.array_equal(read(path).flux, FLUX)


def test_memory_stays_flat_however_many_stars(tmp_path, monkeypatch):
    for module in (npz, table):
        monkeypatch.setattr(module, "BLOCK_BYTES", 1 << 17)
    row = ",".join(["1234567.25", "3"] * (N // 2)) + "\n"
    paths = {tmp_path / "a.csv": [], tmp_path / "a.npz": []}
    for n_stars in (200, 800):  # both are several blocks
        (tmp_path / "a.csv").write_text(HEADER + "\n" + row * n_stars)
        np.savez(tmp_path / "a.npz", flux=np.arange(n_stars * N).reshape(n_stars, N) % 7)
        for path, seen in paths.items():
            tracemalloc.start()
            assert sum(isinstance(star, Star) for star in read_stars(path)) == n_stars
            seen.append(tracemalloc.get_traced_memory()[1])
            tracemalloc.stop()
    for few, many in paths.values():
        assert many < few + 5e5  # the flux of 600 stars is 3 MB


# ---------------------------------------------------------------------------------- one star
def test_a_star_keeps_what_its_file_says(tmp_path):
    path = tmp_path / "KIC_011904151_mine.csv"
    write_star(path, TIME, FLUX * 5e4, "Time (BJD),flux\n")
    star = read(path)
    assert np.array_equal(star.flux, FLUX * 5e4) and np.array_equal(star.time, TIME)
    assert (star.name, star.file, star.target) == (str(path), str(path), "KIC 11904151")
    assert star.time_system == "BJD" and star.notes == () and star.cadence is None
    assert star.level == pytest.approx(np.median(FLUX) * 5e4)
    assert read(write_star(path, TIME, FLUX - 1)).level is None
    eclipsed = FLUX - 0.4 * (np.arange(N) % 40 < 4)
    assert read(write_star(path, TIME, eclipsed)).level == pytest.approx(1, rel=1e-3)
    assert read(write_star(path, TIME, eclipsed - eclipsed.mean())).level is None


def test_short_cadence_is_averaged_and_flags_are_dropped(tmp_path):
    time = 1325 + np.arange(N * 15) * 2 / 1440
    values = np.repeat(FLUX, 15)
    quality = np.zeros(time.size, int)
    quality[[30, 31]] = 128
    rows = [f"{t!r},{f!r},{q}\n" for t, f, q in zip(time.tolist(), values, quality, strict=True)]
    path = tmp_path / "tess.csv"
    path.write_text(
        "BTJD,flux,quality\n" + "".join(rows).replace("np.float64(", "").replace(")", "")
    )
    star = read(path)
    assert star.notes == ("resampled from 2.0 min", "2 flagged cadences dropped")
    assert star.flux.size == pytest.approx(N * 30 / 29.4244, abs=2)
    assert star.time_system == "BTJD"


def test_magnitudes_are_never_read_upside_down(tmp_path):
    dimmest = MAGNITUDE.argmax()
    named = read(write_star(tmp_path / "a.csv", TIME, MAGNITUDE, "BJD,mag\n"))
    asked = read(write_star(tmp_path / "b.txt", TIME, MAGNITUDE, ""), magnitudes=True)
    for star in (named, asked):
        assert np.allclose(star.flux, FLUX / np.median(FLUX), rtol=1e-12)
        assert star.flux.argmin() == dimmest and star.level == pytest.approx(1)
        assert "magnitudes turned into relative flux" in star.notes
    for path in (tmp_path / "b.txt", write_star(tmp_path / "c.csv", TIME, MAGNITUDE)):
        assert "around 12 that may be magnitudes: add --magnitudes" in read(path).reason
        assert np.array_equal(read(path, magnitudes=False).flux, MAGNITUDE)
    np.savez(tmp_path / "d.npz", flux=[MAGNITUDE, FLUX])
    doubted, star = read_stars(tmp_path / "d.npz")
    assert doubted.name.endswith("d.npz:0") and "may be magnitudes" in doubted.reason
    assert isinstance(star, Star)
    assert np.array_equal(read(tmp_path / "a.csv", magnitudes=False).flux, MAGNITUDE)
    wrong = read(write_star(tmp_path / "e.csv", TIME, FLUX * 1e3, "BJD,mag\n"))
    assert "they are no magnitudes" in wrong.reason


@pytest.mark.parametrize(
    "values",
    [
        FLUX,
        FLUX * 1e4,
        FLUX * 100,
        (FLUX - 1) * 1e6,
        12 + RNG.normal(0, 1, N),  # e-/s of a faint star, which its own photons make noisy
    ],
)
def test_honest_flux_is_not_taken_for_magnitudes(tmp_path, values):
    star = read(write_star(tmp_path / "a.txt", TIME, values, "", " "))
    assert np.array_equal(star.flux, values)


def test_magnitudes_leave_files_alone_that_say_flux(tmp_path, kaggle, flux):
    path = write_star(tmp_path / "a.csv", TIME, FLUX * 12, "time,pdcsap_flux\n")
    for magnitudes in (None, True, False):
        assert np.array_equal(read(path, magnitudes=magnitudes).flux, FLUX * 12)
        stars = list(read_stars(kaggle, magnitudes))
        assert np.array_equal([star.flux for star in stars], flux)


# -------------------------------------------------------------------------- several files of one
def test_quarters_are_joined_copies_counted_and_the_bad_named(tmp_path):
    for quarter in range(3):
        time = 130 + np.arange(200 * quarter, 200 * quarter + 200) * CADENCE_DAYS
        level = 1 + quarter / 10
        path = tmp_path / f"q{quarter}.fits"
        write_kepler(path, time, level * FLUX[200 * quarter :][:200].astype("f4"), QUARTER=quarter)
    (tmp_path / "again.fits").write_bytes((tmp_path / "q1.fits").read_bytes())
    other = write_fits(tmp_path / "x.fits", {"TICID": 9}, {}, {"TIME": TIME, "FLUX": FLUX})
    files, _ = find_files([tmp_path])
    targets = group_files(files)
    assert [(t.name, len(t.files)) for t in targets] == [("KIC 757076", 4), ("TIC 9", 1)]
    star = read(targets[0])
    assert (star.name, star.target) == ("KIC 757076", "KIC 757076")
    assert star.file == f"{tmp_path / 'again.fits'} and 3 more"
    assert star.notes == ("3 flagged cadences dropped", "3 quarters joined", "1 copies left out")
    assert star.time_system == "BKJD"
    assert star.flux.size == N and np.isnan(star.flux).sum() == 3
    known = ~np.isnan(star.flux)
    assert np.allclose(star.flux[known] / star.level, FLUX[known], rtol=1e-3)
    # One quarter damaged: it is named, and the others still make the star.
    path = tmp_path / "q2.fits"
    path.write_bytes(path.read_bytes()[:9000])
    other.unlink()
    bad, star = read_stars(group_files(find_files([tmp_path])[0])[0])
    assert bad.name == str(path) and "fetch it again" in bad.reason
    assert isinstance(star, Unreadable) and "again.fits and 2 more" in star.name
    assert "cadences that are not missing" in star.reason


def test_files_of_one_quarter_are_not_said_to_be_two(tmp_path):
    for name, start in (("long", 0), ("short", 3)):  # the second ends a little later
        time = 130 + np.arange(start, start + N) * CADENCE_DAYS
        write_kepler(tmp_path / f"{name}.fits", time, FLUX.astype("f4"))
    star = read(group_files(find_files([tmp_path])[0])[0])
    assert star.flux.size == N + 3 and star.notes == ("4 flagged cadences dropped",)


def test_files_of_one_star_with_other_zeros_are_brought_to_one_or_refused_alone(tmp_path):
    quarters = [130 + np.arange(k * N, (k + 1) * N) * CADENCE_DAYS for k in range(2)]
    columns = {"TIME": quarters[0], "PDCSAP_FLUX": FLUX}
    cards = {"KEPLERID": 5, "TELESCOP": "Kepler"}
    write_fits(tmp_path / "a.fits", cards, {"BJDREFI": 2454833, "BJDREFF": 0.0}, columns)
    columns["TIME"] = quarters[1] + 2454833
    write_fits(tmp_path / "b.fits", cards, {"BJDREFI": 0, "BJDREFF": 0.0}, columns)
    star = read(group_files(find_files([tmp_path])[0])[0])
    assert star.flux.size == 2 * N and star.notes == ("2 files joined",)
    assert np.allclose(star.time, np.concatenate(quarters), rtol=0, atol=1e-6)
    # Of no mission: nobody knows which zero is meant.
    cards.pop("TELESCOP")
    write_fits(tmp_path / "a.fits", cards, {"BJDREFI": 2454833}, columns)
    write_fits(tmp_path / "b.fits", cards, {"BJDREFI": 0}, columns)
    write_star(tmp_path / "good.csv")
    targets = group_files(find_files([tmp_path])[0])
    bad, good = (star for target in targets for star in read_stars(target))
    assert bad.name == f"{tmp_path / 'a.fits'} and 1 more" and isinstance(good, Star)
    assert "different times, BKJD in 'a.fits', BJD in 'b.fits': give them one zero" in bad.reason


def test_the_archives_text_tables_of_one_star_are_joined(tmp_path):
    for quarter, day in enumerate((2009131105131, 2009166043257)):
        rows = zip(100 + 7 * quarter + TIME[:300] - TIME[0], FLUX[:300], strict=True)
        head = "|      TIME| PDCSAP_FLUX|\n|    double|      double|\n"
        path = tmp_path / f"kplr000757076-{day}_llc_lc.tbl"
        path.write_text(head + "".join(f" {t:.6f}  {f:>10.7f}\n" for t, f in rows))
        path = tmp_path / f"other{quarter}.tbl"
        path.write_text(head)
    names = [target.name for target in group_files(find_files([tmp_path])[0])]
    assert names == ["KIC 757076", str(tmp_path / "other0.tbl"), str(tmp_path / "other1.tbl")]
    star = read(group_files(find_files([tmp_path / "kplr*"])[0])[0])
    assert star.target == "KIC 757076" and star.notes == ("2 files joined",)


@pytest.mark.parametrize(
    ("name", "target"),
    [
        ("KIC 757076", "KIC 757076"),
        ("my_epic_0201912552.csv", "EPIC 201912552"),
        ("TIC-12", "TIC 12"),
        ("kplr000757076-2009166043257_llc.fits", "KIC 757076"),
        ("ktwo201912552-c01_llc.fits", "EPIC 201912552"),
        ("tess2018206045859-s0001-0000000038846515-0120-s_lc.fits", "TIC 38846515"),
        ("hlsp_k2sff_k2_lightcurve_201912552-c01_kepler_v1_llc.txt", "EPIC 201912552"),
        ("hlsp_everest_k2_llc_201912552-c01_kepler_v2.0_lc.fits", "EPIC 201912552"),
        ("static 5", ""),
        ("TIC", ""),
    ],
)
def test_stars_are_known_by_the_names_of_files(name, target):
    assert find_target(name) == target


def test_cadence_numbers_reach_the_star(tmp_path):
    star = read(write_kepler(tmp_path / "a.fits"))
    assert np.array_equal(star.cadence, np.arange(N) + 7000)
    assert star.name == star.target == "KIC 757076" and star.file == str(tmp_path / "a.fits")


def test_the_same_star_of_two_pipelines_is_two(tmp_path):
    columns = {"TIME": TIME, "CADENCENO": np.arange(N), "QUALITY": np.zeros(N, int)}
    for name in ("PDCSAP_FLUX", "KSPSAP_FLUX"):
        path = tmp_path / f"{name}.fits"
        write_fits(path, {"TICID": 4, "SECTOR": 1}, {}, columns | {name: FLUX})
    names = [
        star.name for file in group_files(find_files([tmp_path])[0]) for star in read_stars(file)
    ]
    assert names == ["TIC 4 (QLP)", "TIC 4"]


# ----------------------------------------------------------------------------------- which files
def test_files_folders_and_globs_are_expanded_in_a_fixed_order(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names = [
        "b/2.csv", "b/1.npz", "b/deep/3.CSV.gz", "a.csv", "b/x.pdf", "b/.hidden.csv",
        "b/.git/4.csv", "c[1].csv", "b/t.TXT",
    ]  # fmt: skip
    for name in names:
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).touch()
    Path("b/y.csv").mkdir()
    Path("empty").mkdir()
    asked = ["a.csv", "./b", "b/*.csv", tmp_path / "a.csv", "c[1].csv", "no*", "empty", ""]
    files, bad = find_files(asked)
    expected = ["a.csv", "b/1.npz", "b/2.csv", "b/deep/3.CSV.gz", "b/t.TXT", "c[1].csv"]
    assert list(map(str, files)) == expected
    assert [b.name for b in bad] == ["no*", "empty", ""]
    assert str(bad[0]) == "'no*' matches no file: correct the path"
    assert "holds no .csv" in bad[1].reason
    assert "is an empty name" in bad[2].reason  # and not the current folder
    for pattern in ("**/3.*", str(tmp_path / "**" / "3.*"), "b/**/3**"):
        assert [file.name for file in find_files([pattern])[0]] == ["3.CSV.gz"]
    assert find_files(["**/*.csv"])[0] == list(map(Path, ["a.csv", "b/2.csv", "c[1].csv"]))
    assert [target.name for target in group_files(files)] == list(map(str, files))
    assert find_files(["b/.git/*.csv"])[0] == find_files(["**/.git/*.csv"])[0]
    assert [file.name for file in find_files(["b/.git"])[0]] == ["4.csv"]
    for number in np.random.default_rng(0).permutation(50):
        Path(f"empty/{number:02d}.csv").touch()
    assert [file.stem for file in find_files(["empty"])[0]] == [f"{i:02d}" for i in range(50)]


def test_symbolic_links_in_circles_end(tmp_path):
    folder = tmp_path / "f"
    (folder / "g").mkdir(parents=True)
    write_star(folder / "g" / "a.csv")
    for name in ("up", "g/up", "g/again"):  # with two of them, a walk doubles with every step
        (folder / name).symlink_to(folder)
    (folder / "loop.csv").symlink_to(folder / "loop.csv")
    for pattern in (folder, f"{folder}/**/*.csv", f"{folder}/**"):
        files, bad = find_files([pattern])
        stars = [star for file in files for star in read_stars(file)]
        assert bad == []
        assert [s.name for s in stars if isinstance(s, Star)] == [str(folder / "g" / "a.csv")]
        broken = [s for s in stars if isinstance(s, Unreadable)]
        assert all(s.name.endswith("loop.csv") and "cannot be read" in s.reason for s in broken)


def test_a_folder_behind_a_link_is_entered_and_each_file_read_once(tmp_path):
    (tmp_path / "elsewhere" / "deep").mkdir(parents=True)
    write_star(tmp_path / "elsewhere" / "deep" / "a.csv")
    folder = tmp_path / "f"
    folder.mkdir()
    for name in ("one", "two", ".hidden"):
        (folder / name).symlink_to(tmp_path / "elsewhere")
    assert find_files([folder]) == ([folder / "one" / "deep" / "a.csv"], [])


def test_names_that_are_no_text_are_shown_and_read(tmp_path):
    odd = (b"caf\xe9.csv", b"two\nlines.csv", b"two\\nlines.csv", "sep\u2028arated.csv".encode())
    for name in odd:
        write_star(Path(os.fsdecode(os.path.join(os.fsencode(tmp_path), name))))
    files, _ = find_files([tmp_path])
    stars = [star for target in group_files(files) for star in read_stars(target)]
    names = {star.name.rpartition("/")[2] for star in stars}
    expected = {"caf\\udce9.csv", "two\\nlines.csv", "two\\\\nlines.csv", "sep\\u2028arated.csv"}
    assert names == expected
    assert all(star.name.isprintable() and isinstance(star, Star) for star in stars)


def test_reasons_are_counted():
    short = [
        Unreadable(f"{i}.csv", f"has {i} cadences: at least 500 are needed") for i in range(20)
    ]
    empty = Unreadable("e.csv", "is empty: fetch it again")
    lines = summarise_unreadable([short[0], empty, *short[1:]])
    assert lines == [
        "'0.csv' has 0 cadences: at least 500 are needed (19 more like it)",
        "'e.csv' is empty: fetch it again",
    ]
    assert summarise_unreadable([]) == []


# ---------------------------------------------------------------------------- a format of one's own
def test_a_new_format_of_stars_is_a_function_and_a_line(tmp_path, monkeypatch):
    def read_json_star(path):
        content = json.loads(path.read_text())
        yield Samples(np.array(content["flux"]), np.array(content["days"]), kind="flux")

    monkeypatch.setitem(formats.FORMATS, ".star", formats.Format(read_json_star))
    (tmp_path / "a.star").write_text(json.dumps({"flux": FLUX.tolist(), "days": TIME.tolist()}))
    (file,), bad = find_files([tmp_path])
    assert bad == [] and np.array_equal(read(file).flux, FLUX)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("exoTrain.csv", ".csv"),
        ("A.CSV", ".csv"),
        ("a.fits.gz", ".fits"),
        ("b/a.csv.zip", ".csv"),
        ("b/a.fits", ".fits"),
        ("a.zip", ""),
        ("a", ""),
    ],
)
def test_the_format_is_told_by_the_name(name, expected):
    assert formats.find_suffix(name) == expected


# -------------------------------------------------------------------------- good files and bad ones
def zipped(path, **members):
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(f"{name}.npy", content)


def npy(text, data=b""):
    header = text.ljust(117).encode() + b"\n"
    return b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + data


def shaped(shape, data=b""):
    return npy(f"{{'descr':'<f8','fortran_order':False,'shape':{shape}}}", data)


def cut(path, n_bytes):
    path.write_bytes(path.read_bytes()[:n_bytes])


def packed(path):
    path.write_bytes(gzip.compress(path.read_bytes()))


LFS = table.LFS_POINTER + b".github.com/spec/v1\noid sha256:6f\nsize 262223348\n"
JUNK = np.random.default_rng(0).bytes(5000)
COLUMNS = {"TIME": TIME, "PDCSAP_FLUX": FLUX}
GOOD = {  # name: how it is made; each holds FLUX
    "comma.csv": write_star,
    "bare.csv": lambda p: write_star(p, head=""),
    "huge.csv": lambda p: write_star(p, TIME, FLUX * 1e300),
    "semicolon.csv": lambda p: write_star(p, head="Time (BJD);Flux\n", between=";"),
    "tab.tsv": lambda p: write_star(p, head="BJD\tflux\n", between="\t"),
    "blank.txt": lambda p: write_star(p, head="", between="  "),
    "comment.dat": lambda p: write_star(p, head="# by hand\n# time flux\n", between=" "),
    "archive.tbl": lambda p: p.write_text(
        "|                  TIME|          PDCSAP_FLUX|\n|                double|"
        "               double|\n"
        + "".join(f" {float(t)!r:>22} {float(f)!r:>21}\n" for t, f in zip(TIME, FLUX, strict=True))
    ),
    "gzipped.csv.gz": lambda p: packed(write_star(p)),
    "packed.txt.gz": lambda p: packed(write_star(p, head="", between=" ")),
    "magnitude.csv": lambda p: write_star(p, TIME, MAGNITUDE, "BJD,mag\n"),
    "one.npz": lambda p: np.savez(p, flux=FLUX, time=TIME),
    "stray.csv": lambda p: write_star(p, np.append(0, TIME), np.append(1, FLUX)),
    "rows.npz": lambda p: np.savez(p, flux=[FLUX]),
    "table.csv": lambda p: write_table(p, [2], FLUX[None]),
    "kepler.fits": lambda p: write_fits(p, {"KEPLERID": 1}, {}, COLUMNS),
    "tess.fits": lambda p: write_fits(p, {"TICID": 2}, {}, COLUMNS),
    "nameless.fits": lambda p: write_fits(p, {}, {}, COLUMNS),
    "packed.fits.gz": lambda p: write_fits(p, {"TICID": 3}, {}, COLUMNS),
}  # fmt: skip
BAD = {  # name: how it is made, and what must be said
    "empty.csv": (lambda p: p.touch(), "is empty"),
    "empty.npz": (lambda p: p.touch(), "is empty"),
    "empty.fits": (lambda p: p.touch(), "is empty"),
    "packed.csv.gz": (lambda p: p.write_bytes(gzip.compress(b"")), "no lines but comments"),
    "blank.csv": (lambda p: p.write_text("\n\n \n"), "is empty"),
    "pointer.csv": (lambda p: p.write_bytes(LFS), "git lfs pull"),
    "pointer.npz": (lambda p: p.write_bytes(LFS), "git lfs pull"),
    "pointer.fits": (lambda p: p.write_bytes(LFS), "git lfs pull"),
    "pipe.csv": (os.mkfifo, "is a pipe or a device"),
    "pipe.fits": (os.mkfifo, "is a pipe or a device"),
    "gone.csv": (lambda p: p.symlink_to("nowhere"), "cannot be read: No such file"),
    "junk.csv": (lambda p: p.write_bytes(JUNK), "is not a text file"),
    "junk.npz": (lambda p: p.write_bytes(JUNK), "is damaged or truncated"),
    "junk.fits": (lambda p: p.write_bytes(JUNK), "is no whole FITS file"),
    "junk.csv.gz": (lambda p: p.write_bytes(JUNK), "is damaged or truncated"),
    "junk.fits.gz": (lambda p: p.write_bytes(JUNK), "is damaged or truncated"),
    "text.fits": (lambda p: p.write_text("time flux"), "is no whole FITS file"),
    "zip.npz": (lambda p: p.write_bytes(b"PK\x03\x04" + JUNK), "is damaged or truncated"),
    "pickle.csv": (lambda p: p.write_bytes(pickle.dumps(ONES)), "is not a text file"),
    "pickle0.csv": (lambda p: p.write_bytes(pickle.dumps({}, 0)), "no column of time and flux"),
    "pickle.npz": (lambda p: p.write_bytes(pickle.dumps(ONES)), "is damaged or truncated"),
    "sign-in.csv": (lambda p: p.write_text("<html>\n<p>Sign in"), "its first line begins '<html>'"),
    "text.csv": (lambda p: p.write_text("time,flux\n" + "1.0,bright\n" * N), "'bright'"),
    "columns.csv": (lambda p: p.write_text("LABEL,FLUX.1,FLUX.3\n1,2,3\n"), "'FLUX.2' is expected"),
    "short.csv": (lambda p: p.write_text("LABEL,FLUX.1\n1,2\n"), "1 flux columns: at least 500"),
    "other.csv": (lambda p: p.write_text("a,b\n1,2\n"), "no column of time and flux"),
    "header.csv": (lambda p: p.write_text(HEADER + "\n"), "a header and no stars"),
    "rows.csv": (lambda p: p.write_text("time,flux\n"), "no rows that can be read"),
    "utf16.csv": (lambda p: p.write_text("time,flux\n1,2\n", encoding="utf-16"), "UTF-8"),
    "few.csv": (lambda p: write_star(p, TIME[:400], FLUX[:400]), "400 cadences"),
    "nan.csv": (lambda p: write_star(p, TIME, ONES * np.nan), "0 cadences"),
    "constant.csv": (lambda p: write_star(p, TIME, ONES), "the same flux, 1, at every cadence"),
    "rounded.csv": (
        lambda p: write_star(p, TIME, 1 + 0.001 * (np.arange(N) % 100 < 9)), "give it with more"
    ),
    "magnitude.txt": (lambda p: write_star(p, TIME, MAGNITUDE, ""), "--magnitudes"),
    "differential.txt": (lambda p: write_star(p, TIME, MAGNITUDE - 12, ""), "--magnitudes"),
    "daily.csv": (lambda p: write_star(p, np.arange(N)), "1440.0 min if they are in days"),
    "cut.csv.gz": (lambda p: (packed(write_star(p)), cut(p, 500)), "is damaged or truncated"),
    "cut.npz": (lambda p: (np.savez(p, flux=FLUX), cut(p, 3000)), "is damaged or truncated"),
    "cut.fits": (lambda p: (write_kepler(p, KEPLERID=4), cut(p, 9000)), "truncated"),
    "cut.fits.gz": (lambda p: (write_kepler(p, KEPLERID=5), cut(p, 3000)), "damaged or truncated"),
    "image.fits": (lambda p: write_fits(p, {}, {}, {"RA": TIME}), "columns of time and flux"),
    "few.fits": (lambda p: write_kepler(p, TIME[:400], FLUX[:400], KEPLERID=6), "398 cadences"),
    "few.npz": (lambda p: np.savez(p, flux=FLUX[:499]), "499 cadences"),
    "cube.npz": (lambda p: np.savez(p, flux=np.ones((2, 2, N))), "shape (2, 2, 600)"),
    "none.npz": (lambda p: np.savez(p, flux=np.ones((0, N))), "shape (0, 600)"),
    "other.npz": (lambda p: np.savez(p, light=ONES), "has no array 'flux'"),
    "words.npz": (lambda p: np.savez(p, flux=["a"] * N), "type <U1"),
    "complex.npz": (lambda p: np.savez(p, flux=ONES * 1j), "type complex128"),
    "times.npz": (lambda p: np.savez(p, flux=ONES, time=ONES[:-1]), "599 times and 600 flux"),
    "names.npz": (lambda p: np.savez(p, flux=[FLUX] * 2, names=["a", "a"]), "one name twice"),
    "numbers.npz": (lambda p: np.savez(p, flux=[FLUX] * 2, names=[1, 2]), "'names' of type int64"),
    "true.npz": (lambda p: zipped(p, flux=shaped("(True,)", bytes(8))), "shape (True,)"),
    "beyond.npz": (
        lambda p: zipped(
            p,
            flux=shaped((1, 2), bytes(16)),
            names=npy("{'descr':'<U1','fortran_order':False,'shape':(1,)}", b"\xff" * 4),
        ),
        "'names' that are no text",
    ),
    "array.npz": (lambda p: zipped(p, flux=b"not an array"), "a damaged array 'flux'"),
    "header.npz": (lambda p: zipped(p, flux=npy("{'descr':'<f8', (")), "a damaged array 'flux'"),
    "huge.npz": (lambda p: zipped(p, flux=shaped((2**62, 2**62))), "at most 20000000"),
    "large.npz": (lambda p: zipped(p, flux=shaped((1, 10**13), bytes(64))), "at most 20000000"),
    "negative.npz": (lambda p: zipped(p, flux=shaped((-2, -4), bytes(64))), "shape (-2, -4)"),
}  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """One folder with more than fifty kinds of file, good and bad."""
    folder = tmp_path_factory.mktemp("files")
    for name, make in GOOD.items():
        make(folder / name)
    for name, (make, _) in BAD.items():
        with np.errstate(divide="ignore"):
            make(folder / name)
    (folder / "notes.pdf").write_bytes(JUNK)  # of no kind: not meant
    return folder


def test_fifty_kinds_of_file_in_one_folder(folder):
    files, bad = find_files([folder])
    assert bad == [] and len(files) == len(GOOD) + len(BAD) >= 50
    read = [star for target in group_files(files) for star in read_stars(target)]
    stars = [star for star in read if isinstance(star, Star)]
    lines = {Path(one.name).name: one for one in read if isinstance(one, Unreadable)}
    assert {Path(star.file).name.partition(":")[0] for star in stars} == set(GOOD)
    for star in stars:
        assert np.allclose(star.flux / np.median(star.flux), FLUX / np.median(FLUX), rtol=1e-6)
    assert len(read) == len(GOOD) + len(BAD)
    for name, (_, words) in BAD.items():
        assert words in lines[name].reason
        text = str(lines[name])
        assert text.startswith(f"'{folder / name}' ") and text.isprintable()
        assert len(text) < len(str(folder)) + 250
    assert len(summarise_unreadable(lines.values())) < 0.75 * len(BAD)


def test_any_failure_of_a_reader_costs_its_file_only(tmp_path, monkeypatch):
    def fail(path):
        yield Samples(FLUX, TIME)
        raise RecursionError("too\ndeep")

    monkeypatch.setitem(formats.FORMATS, ".star", formats.Format(fail))
    (tmp_path / "a.star").touch()
    write_star(tmp_path / "b.csv")
    targets = group_files(find_files([tmp_path])[0])
    first, bad, good = (star for target in targets for star in read_stars(target))
    assert isinstance(first, Star) and isinstance(good, Star)
    assert str(bad) == f"'{tmp_path / 'a.star'}' cannot be used (RecursionError: too deep): " + (
        "fetch it again"
    )


def write_zeros(path, n_megabytes, start=b""):
    """Write a gzip file of zeros behind a beginning; it is a thousand times smaller."""
    with gzip.open(path, "wb", compresslevel=1) as stream:
        stream.write(start)
        for _ in range(n_megabytes):
            stream.write(bytes(1 << 20))


BOMBS = {  # name: how it is made, what must be said
    "long.csv": (lambda p: p.write_text("time,flux\n" + "1,2\n" * 5000), "more than 4000 rows"),
    "comments.txt.gz": (
        lambda p: p.write_bytes(gzip.compress(b"# no end\n" * 300_000)), "comments, of over 1 MB"
    ),
    "zeros.fits.gz": (lambda p: write_zeros(p, 5), "holds more than 4 MB"),
    "zeros.csv.gz": (lambda p: write_zeros(p, 5, b"time,flux\n1,2\n"), "holds more than 4 MB"),
    "large.txt": (lambda p: p.write_text("time,flux\n" + "1,2\n" * (1 << 21)), "more than 4 MB"),
    "table.tbl": (
        lambda p: p.write_text("| time| flux|\n" + " 1 2\n" * (1 << 18)), "IPAC table of over 1 MB"
    ),
    "row.npz": (lambda p: np.savez_compressed(p, flux=np.zeros(4001, "i1")), "samples: at most"),
    "names.npz": (
        lambda p: np.savez_compressed(p, flux=ONES[None], names=["a" * (1 << 19)]), "MB would be"
    ),
    "columns.npz": (
        lambda p: np.savez_compressed(p, flux=np.zeros((900, 600), "i1", order="F")), "C order"
    ),
    "packed.npz.gz": (lambda p: write_zeros(p, 5), "holds more than 4 MB"),
}  # fmt: skip


@pytest.mark.parametrize("name", BOMBS)
def test_a_small_file_that_unpacks_to_a_large_one_is_refused(tmp_path, monkeypatch, name):
    make, words = BOMBS[name]
    for module in (npz, text):
        monkeypatch.setattr(module, "MOST_SAMPLES", 4000)
        monkeypatch.setattr(module, "MOST_BYTES", 1 << 22)
    for module, bound in ((npz, "MOST_AT_ONCE"), (text, "MOST_IPAC"), (text, "LONGEST_LINE")):
        monkeypatch.setattr(module, bound, 1 << 20)
    monkeypatch.setattr(fits, "MOST_FITS", 1 << 22)
    make(tmp_path / name)
    tracemalloc.start()
    bad = read(tmp_path / name)
    assert tracemalloc.get_traced_memory()[1] < 3e7
    tracemalloc.stop()
    assert bad.name == str(tmp_path / name) and words in bad.reason


def test_a_file_named_by_hand_may_be_of_no_kind_or_a_folder(tmp_path):
    (tmp_path / "a.pdf").write_text("1,2\n")
    assert "is of no known kind: .csv, " in read(tmp_path / "a.pdf").reason
    (tmp_path / "folder.csv").mkdir()
    assert "cannot be read: Is a directory" in read(tmp_path / "folder.csv").reason


class Hostile:
    """Makes a folder when unpickled."""

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return (os.mkdir, (self.path,))


@pytest.mark.parametrize("member", ["flux", "time", "names"])
def test_a_hostile_pickle_in_an_npz_runs_nothing(tmp_path, member):
    trap, path = tmp_path / "sprung", tmp_path / "a.npz"
    good = {"flux": [ONES, ONES], "time": ONES.cumsum() / 48}
    hostile = np.array([Hostile(trap), None], dtype=object)
    np.savez(path, **good | {member: hostile})
    pickle.loads(pickle.dumps(hostile[0]))
    assert trap.exists()  # it is hostile
    trap.rmdir()
    bad = read(path)
    assert f"Python objects in '{member}'" in bad.reason
    assert not trap.exists()


@pytest.mark.parametrize("seed", range(40))
@pytest.mark.parametrize("name", ["table.csv", "comma.csv", "one.npz", "kepler.fits"])
def test_random_damage_is_read_or_told_and_ends_nothing(folder, tmp_path, name, seed):
    rng = np.random.default_rng(seed)
    content = np.frombuffer((folder / name).read_bytes(), np.uint8).copy()
    place, length = rng.integers(content.size), rng.choice([1, 30, 1000])
    content[place : place + length] = rng.integers(256, size=content[place : place + length].size)
    content = content[: rng.choice([content.size, rng.integers(1, content.size)])]
    (tmp_path / name).write_bytes(content.tobytes())
    for star in read_stars(tmp_path / name):
        assert isinstance(star, (Star, Unreadable))
        assert isinstance(star, Star) or str(star).isprintable()
