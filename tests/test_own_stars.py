"""sources/own_stars.py: every kind of file read back, resampled in time, and refused by name."""

import gzip
import importlib.util
import itertools
import os
import pickle
import sys
import tracemalloc
import types
import warnings
import zipfile
from pathlib import Path

import numpy as np
import pytest
from conftest import write_table
from hypothesis import given
from hypothesis import strategies as st

from exoplanets.files import DataError
from exoplanets.sources import own_stars
from exoplanets.sources.formats import read_table
from exoplanets.sources.own_stars import (
    Bad,
    Star,
    find_files,
    group_files,
    read_stars,
    to_long_cadence,
)
from exoplanets.sources.table import LFS_POINTER
from exoplanets.stars import CADENCE_DAYS
from exoplanets.transits import transit_flux

N = 600  # cadences: a little above the fewest accepted
MINUTE = 1 / 1440  # days


@pytest.fixture(scope="module")
def flux():
    """Six stars as the real CSVs write them, the last three with float residue."""
    values = np.round(np.random.default_rng(3).normal(0, 1e3, (6, N)), 2)
    values[3:] -= np.median(values[3:], axis=1, keepdims=True)
    return values


@pytest.fixture
def table(flux, tmp_path):
    """The path of those stars in the Kaggle schema."""
    write_table(tmp_path / "exoTest.csv", [2, 2, 1, 1, 1, 1], flux)
    return tmp_path / "exoTest.csv"


def read(path):
    """The one thing in a file."""
    (star,) = read_stars(path)
    return star


def write_star(path, time, flux, header="time,flux"):
    """Write one star as a CSV, NaN as an empty cell."""
    cells = np.array([time, flux], dtype=float).T.tolist()
    rows = [",".join("" if cell != cell else repr(cell) for cell in row) for row in cells]
    path.write_text("\n".join([header] * bool(header) + rows) + "\n")
    return path


def sampled(step_minutes, days=30.0, **planet):
    """Times, and the truth at them: a planet's transits, averaged over each exposure."""
    time = np.arange(0, days, step_minutes * MINUTE)
    planet = {"period": 3.3, "epoch": 1.7, "radius_ratio": 0.1} | planet
    return time, transit_flux(time, exposure_days=step_minutes * MINUTE, **planet)


# ------------------------------------------------------------------------- the Kaggle schema
def as_table(path, n_stars):
    """The flux that training reads from the same bytes."""
    flux = np.concatenate([block.flux for block in read_table(path)])
    assert len(flux) == n_stars
    return flux


@pytest.mark.parametrize("compressed", [False, True])
def test_a_table_gives_the_very_flux_that_training_reads(table, compressed):
    expected = np.array(as_table(table, 6))
    if compressed:
        packed = table.with_name("again.csv.gz")
        packed.write_bytes(gzip.compress(table.read_bytes()))
        table = packed
    stars = list(read_stars(table))
    assert np.array_equal([star.flux for star in stars], expected)
    assert [star.name for star in stars] == [f"{table}:{row}" for row in range(6)]
    assert stars[0].notes == ("label 2 in file",) and stars[2].notes == ("label 1 in file",)
    assert all(star.time is None and star.flux.dtype == np.float64 for star in stars)


ODD_CELLS = [
    *("", "nan", "NA", "null", "-0.0", "+3.5", "1e-300", "4.9e-324", "0.1", "-141.220000000001"),
    *(
        "123456789012345",
        "1E5",
        " 2.5",
        "2.5 ",
        '"7.25"',
        '""',
        "9.99e14",
    ),
    *("0.30000000000000004", "900719925474099.3", "2.2250738585072011e-308", ".5", "5."),
]


@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\n\n"])
def test_odd_cells_are_read_as_training_reads_them(tmp_path, line_end):
    header = ",".join(["LABEL", *(f"FLUX.{i + 1}" for i in range(N))])
    rng = np.random.default_rng(0)
    share = np.where([cell[:1] in "nN" or cell in ("", '""') for cell in ODD_CELLS], 0.2, 1)
    share /= share.sum()  # enough must be known
    rows = [",".join([str(1 + row % 2), *rng.choice(ODD_CELLS, N, p=share)]) for row in range(8)]
    path = tmp_path / "odd.csv"
    path.write_bytes(line_end.join([header, *rows]).encode())
    expected = as_table(path, 8)
    stars = list(read_stars(path))
    assert [s.name for s in stars] == [f"{path}:{row}" for row in range(8)]
    got = np.array([star.flux for star in stars])
    assert np.array_equal(got.view(np.int64), np.array(expected).view(np.int64))  # -0.0, NaN too


def test_a_table_without_labels_or_with_a_byte_order_mark(table, flux):
    lines = [line.partition(",")[2] for line in table.read_text().splitlines()]
    table.write_text("\ufeff" + "\n".join(lines))
    stars = list(read_stars(table))
    assert np.array_equal([star.flux for star in stars], flux)
    assert all(star.notes == () for star in stars)


@pytest.mark.parametrize("block_bytes", [1 << 22, 3000, 7])
def test_bad_rows_are_named_and_cost_no_good_one(table, flux, monkeypatch, block_bytes):
    monkeypatch.setattr(own_stars, "BLOCK_BYTES", block_bytes)
    lines = table.read_text().splitlines()
    cells = [line.split(",") for line in lines]
    cells[1][5] = "dark, cold"[:4]
    cells[2] = cells[2][:-2]
    cells[3][7] = "inf"
    cells[4][1:] = [""] * N
    cells[6] += ["1"]
    table.write_text("\n".join(map(",".join, cells)) + "\n")
    stars = list(read_stars(table))
    assert np.array_equal(stars[4].flux, flux[4])
    reasons = [star.reason for star in stars if isinstance(star, Bad)]
    assert [star.name for star in stars] == [f"{table}:{row}" for row in range(6)]
    for reason, words in zip(
        reasons,
        [
            "text in FLUX.5: 'dark'",
            "599 cells, the header 601",
            "infinite flux at cadence 6",
            "0 cadences that are not missing: at least 500",
            "602 cells, the header 601",
        ],
        strict=True,
    ):
        assert words in reason
    assert all("\n" not in str(star) for star in stars if isinstance(star, Bad))


@pytest.mark.parametrize("cell", ["1\r2", '"1', "1 2", "1;2", "\0", "--1", "\xff", "0x10"])
def test_a_cell_that_is_nearly_a_number_is_no_number(table, flux, cell):
    lines = table.read_bytes().splitlines()
    cells = lines[2].split(b",")
    cells[300] = cell.encode("latin-1")
    lines[2] = b",".join(cells)
    table.write_bytes(b"\n".join(lines) + b"\n")
    stars = list(read_stars(table))
    assert "text in FLUX.300" in stars[1].reason and str(stars[1]).isprintable()
    assert np.array_equal(
        [star.flux for star in stars if star.name != stars[1].name], flux[[0, 2, 3, 4, 5]]
    )


def test_a_cut_off_table_gives_the_stars_before_the_cut(table, flux):
    table.write_bytes(table.read_bytes()[:-40])
    *good, last = read_stars(table)
    assert np.array_equal([star.flux for star in good], flux[:5])
    assert "cells, the header" in last.reason and last.name == f"{table}:5"


def test_the_shortest_light_curve_is_accepted_and_one_less_is_not(tmp_path):
    values = np.random.default_rng(0).normal(size=(2, N))
    values[0, own_stars.SHORTEST :] = np.nan
    values[1, own_stars.SHORTEST - 1 :] = np.nan
    write_table(tmp_path / "a.csv", [1, 1], values)
    good, bad = read_stars(tmp_path / "a.csv")
    assert isinstance(good, Star)
    assert "499 cadences" in bad.reason and "500" in bad.reason


def test_memory_stays_flat_however_many_rows(tmp_path):
    row = ",".join(["1234567.25"] * N) + "\n"
    table, archive = tmp_path / "a.csv", tmp_path / "a.npz"
    peaks = {table: [], archive: []}
    for n_stars in (1500, 6000):  # both are several blocks
        table.write_text(HEADER + "\n" + row * n_stars)
        np.savez(archive, flux=np.zeros((n_stars, N)))
        for path, seen in peaks.items():
            tracemalloc.start()
            assert sum(isinstance(star, Star) for star in read_stars(path)) == n_stars
            seen.append(tracemalloc.get_traced_memory()[1])
            tracemalloc.stop()
    for few, many in peaks.values():
        assert many < few + 2e6  # the names of 4500 stars are 1 MB, their flux is 22 MB


# ---------------------------------------------------------------------------------- one star
@pytest.mark.parametrize(
    "header",
    ["time,flux", "BJD,PDCSAP_FLUX", "Btjd,Sap_Flux", "# time,flux", '"TIME","FLUX"', None],
)
def test_a_csv_of_one_star_is_read_back_exactly(tmp_path, header):
    time = 2454833.123456789 + np.arange(N) * CADENCE_DAYS
    flux = np.random.default_rng(1).normal(1e4, 1, N)
    flux[40:50] = np.nan
    star = read(write_star(tmp_path / "star.csv", time, flux, header))
    assert np.array_equal(star.flux, flux, equal_nan=True)
    assert np.array_equal(star.time, time)
    assert star.name == str(tmp_path / "star.csv") and star.notes == ()


def test_columns_are_found_by_name_and_others_ignored(tmp_path):
    time, flux = np.arange(N) * CADENCE_DAYS, np.random.default_rng(1).normal(size=N)
    quality = np.zeros(N, int)
    quality[[3, 9]] = 128
    rows = ["date,sap_flux,QUALITY,flux,time"]
    rows += [
        f"2020-01-01,7,{q},{f!r},{t!r}"
        for t, f, q in zip(time.tolist(), flux.tolist(), quality, strict=True)
    ]
    (tmp_path / "star.csv").write_text("\n".join(rows))
    star = read(tmp_path / "star.csv")
    expected = np.where(quality, np.nan, flux)
    assert np.array_equal(star.flux, expected, equal_nan=True)
    assert np.allclose(star.time, time, rtol=0, atol=1e-12)
    assert star.notes == ("2 flagged cadences dropped",)


def test_times_are_sorted_and_doubles_dropped(tmp_path):
    time, flux = np.arange(N) * CADENCE_DAYS, np.random.default_rng(1).normal(size=N)
    order = np.append(np.random.default_rng(2).permutation(N), [5, 7])
    times = time[order]
    times[N:] = time[[5, 7]]
    times = np.append(times, [np.nan, np.inf])
    star = read(write_star(tmp_path / "star.csv", times, np.append(flux[order], [1.0, 2.0])))
    assert np.array_equal(star.flux, flux) and np.array_equal(star.time, time)
    assert star.notes == (
        "2 rows without a time dropped",
        "sorted in time",
        "2 repeated times dropped",
    )


def test_npz_of_one_star_and_of_many(tmp_path, flux):
    time = 100 + np.arange(N) * CADENCE_DAYS
    path = tmp_path / "a.npz"
    np.savez(path, time=time, flux=flux[0])
    star = read(path)
    assert np.array_equal(star.flux, flux[0]) and np.array_equal(star.time, time)
    assert star.name == str(path)
    for save, order in itertools.product((np.savez, np.savez_compressed), "CF"):
        save(path, flux=np.asarray(flux.astype(np.float32), order=order))
        stars = list(read_stars(path))
        assert np.array_equal([s.flux for s in stars], flux.astype(np.float32).astype(float))
        assert [s.name for s in stars] == [f"{path}:{row}" for row in range(6)]
        assert all(s.time is None for s in stars)
    np.savez(path, flux=flux, time=time, names=[f"EPIC  {i}" for i in range(6)])
    stars = list(read_stars(path))
    assert np.array_equal([s.flux for s in stars], flux)
    assert [s.name for s in stars] == [f"{path}:EPIC {i}" for i in range(6)]


def test_one_bad_star_of_an_npz_costs_no_other(tmp_path, flux, monkeypatch):
    monkeypatch.setattr(own_stars, "BLOCK_BYTES", 3 * N * 8)
    flux = flux.copy()
    flux[1] = np.nan
    flux[4, 0] = np.inf
    np.savez(tmp_path / "a.npz", flux=flux)
    stars = list(read_stars(tmp_path / "a.npz"))
    assert [isinstance(star, Bad) for star in stars] == [False, True, False, False, True, False]
    assert np.array_equal(stars[5].flux, flux[5])


# -------------------------------------------------------------------------------- resampling
@pytest.mark.parametrize("step_minutes", [20 / 60, 58.85 / 60, 2, 10, 20])
def test_finer_sampling_is_averaged_where_it_belongs(step_minutes):
    fine_time, fine = sampled(step_minutes)
    time, flux, note = to_long_cadence(fine_time + 2454833, fine)
    assert note == f"resampled from {step_minutes:.1f} min"
    assert np.allclose(np.diff(time), CADENCE_DAYS, rtol=0, atol=1e-8)
    assert (time.size - 1) * CADENCE_DAYS <= np.ptp(fine_time) + step_minutes * MINUTE
    truth = transit_flux(time - 2454833, period=3.3, epoch=1.7, radius_ratio=0.1)
    steepest = np.abs(np.diff(truth)).max() / CADENCE_DAYS  # per day
    # A bin holds a sample more or less than it should.
    assert np.nanmax(np.abs(flux - truth)) < steepest * step_minutes * MINUTE
    assert not np.isnan(flux[:-1]).any()  # the last is cut short
    assert truth.min() < 0.99  # there are transits to be displaced
    late = transit_flux(time - 2454833 - CADENCE_DAYS, period=3.3, epoch=1.7, radius_ratio=0.1)
    assert np.nansum((flux - truth) ** 2) < 0.05 * np.nansum((flux - late) ** 2)


def test_bins_are_means_and_conserve_what_they_average():
    fine = np.random.default_rng(0).normal(size=30 * 50)
    time = np.arange(fine.size) * CADENCE_DAYS / 30
    long_time, flux, _ = to_long_cadence(time, fine)
    assert np.allclose(flux, fine.reshape(50, 30).mean(axis=1), rtol=0, atol=1e-14)
    assert np.allclose(long_time, time.reshape(50, 30).mean(axis=1), rtol=0, atol=1e-12)


def test_a_bin_needs_half_of_its_samples():
    time = np.arange(30 * 50) * CADENCE_DAYS / 30
    fine = np.ones(time.size)
    fine[30 * 7 : 30 * 7 + 15] = np.nan  # half is left
    fine[30 * 9 : 30 * 9 + 16] = np.nan  # one less
    kept = np.ones(time.size, bool)
    kept[30 * 20 + 10 : 30 * 30] = False  # rows that are not there at all
    long_time, flux, _ = to_long_cadence(time[kept], fine[kept])
    assert np.flatnonzero(np.isnan(flux)).tolist() == [9, *range(20, 30)]
    assert np.allclose(long_time, (np.arange(50) + 0.5) * CADENCE_DAYS - CADENCE_DAYS / 60)
    assert (flux[~np.isnan(flux)] == 1).all()


@pytest.mark.parametrize("step_minutes", [29.4244, 29.4244 * 0.975, 30.0])
def test_long_cadence_is_kept_bit_for_bit_with_its_gaps_and_times(step_minutes):
    rng = np.random.default_rng(0)
    whole = 1e3 + np.arange(4000) * step_minutes * MINUTE
    whole += 0.1 * CADENCE_DAYS * np.sin(2 * np.pi * whole / 372)  # the barycentre's ripple
    values = rng.normal(size=whole.size)
    kept = rng.random(whole.size) > 0.1
    kept[1000:2500] = False
    kept[[0, -1]] = True
    time, flux, note = to_long_cadence(whole[kept], values[kept])
    assert np.array_equal(flux, np.where(kept, values, np.nan), equal_nan=True)
    assert np.array_equal(time[kept], whole[kept])
    assert np.abs(time - whole).max() < 0.2 * CADENCE_DAYS
    assert note == ("" if step_minutes == 29.4244 else f"sampled every {step_minutes:.1f} min")


@given(st.floats(0.972, 1.028), st.integers(0, 2**32 - 1))
def test_placing_changes_no_value_order_or_time(ratio, seed):
    rng = np.random.default_rng(seed)
    time = np.cumsum(rng.geometric(0.8, 300)) * CADENCE_DAYS * ratio
    values = rng.normal(size=time.size)
    long_time, flux, _ = to_long_cadence(time, values)
    known = ~np.isnan(flux)
    assert np.array_equal(flux[known], values) and np.array_equal(long_time[known], time)
    assert (np.diff(long_time) > 0).all()
    assert flux.size == round(np.ptp(time) / CADENCE_DAYS / ratio) + 1


def test_coarser_or_uneven_sampling_goes_to_the_nearest_cell():
    time, values = sampled(40, days=40)
    long_time, flux, note = to_long_cadence(time, values)
    known = ~np.isnan(flux)
    assert note == "sampled every 40.0 min"
    assert known.mean() == pytest.approx(29.4244 / 40, abs=0.01)  # gaps are owned up to
    assert np.array_equal(flux[known], values)
    assert np.abs(long_time - np.arange(flux.size) * CADENCE_DAYS).max() < 0.51 * CADENCE_DAYS
    # Steps that count as one each but are longer, and steps that count as none.
    rng = np.random.default_rng(0)
    longer = np.cumsum(rng.choice([1, 1, 1.4], 2000))
    for time in (longer, np.arange(2000) + rng.uniform(-0.45, 0.45, 2000)):
        time = time * CADENCE_DAYS
        long_time, flux, _ = to_long_cadence(time, time)
        known = ~np.isnan(flux)
        assert np.array_equal(flux[known], long_time[known])
        assert known.sum() > 0.7 * time.size  # few fall into one cell
        clock = time[0] + np.arange(flux.size) * CADENCE_DAYS
        assert np.abs(long_time - clock).max() < 0.51 * CADENCE_DAYS


@pytest.mark.parametrize("missing", [[100, 200], [100.2, 199.8]])
def test_of_two_values_in_a_cell_the_known_one_stays(missing):
    number = np.sort(np.append(np.arange(N), [100.2, 199.8]))
    values = np.where(np.isin(number, missing), np.nan, 1.0)
    time, flux, _ = to_long_cadence(number * CADENCE_DAYS, values)
    assert flux.size == N and not np.isnan(flux).any()
    kept = number[~np.isin(number, missing)]
    assert np.array_equal(time, kept * CADENCE_DAYS)


@pytest.mark.parametrize(
    ("times", "words"),
    [
        (np.arange(N) * 1765.5, "must be in days"),  # seconds
        (np.arange(N) * 29.4244, "must be in days"),  # minutes
        (np.arange(N) * 29.4244 / 60, "step by 0.4904: they must be in days"),  # hours
        (np.arange(N) * 1e-6, "must be in days"),
        (np.append(0, 2454833 + np.arange(N) * CADENCE_DAYS), "must be in days"),  # one stray
        (np.arange(N) * 60 * MINUTE, "60.0 min: a transit of 1.5 h would be a single point"),
        (np.array([1.0]), "1 cadences with a time: at least 500"),
    ],
)
def test_times_that_cannot_be_used_are_refused(tmp_path, times, words):
    with pytest.raises(DataError, match=words):
        to_long_cadence(times, np.ones(times.size))
    star = read(write_star(tmp_path / "a.csv", times, np.ones(times.size)))
    assert isinstance(star, Bad) and words in star.reason


def test_transits_in_short_cadence_are_found_where_they_are(tmp_path):
    time, values = sampled(2, days=27, period=4.1, epoch=1.3)
    keep = (time < 12) | (time > 13.5)
    star = read(write_star(tmp_path / "tess.csv", time[keep] + 1325.5, values[keep]))
    inside = star.time[star.flux < 0.996] - 1325.5
    orbit = np.rint((inside - 1.3) / 4.1)
    middles = [inside[orbit == number].mean() for number in range(7)]
    period, epoch = np.polyfit(range(7), middles, 1)
    assert period == pytest.approx(4.1, abs=0.1 * CADENCE_DAYS)
    assert epoch == pytest.approx(1.3, abs=0.3 * CADENCE_DAYS)


# ------------------------------------------------------------------------------------- files
def test_files_folders_and_globs_are_expanded_in_a_fixed_order(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names = [
        "b/2.csv",
        "b/1.npz",
        "b/deep/3.CSV.gz",
        "a.csv",
        "b/x.txt",
        "b/.hidden.csv",
        "c[1].csv",
    ]
    for name in names:
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).touch()
    Path("b/y.csv").mkdir()
    Path("empty").mkdir()
    files, bad = find_files(
        ["a.csv", "./b", "b/*.csv", tmp_path / "a.csv", "c[1].csv", "no*", "empty"]
    )
    assert list(map(str, files)) == ["a.csv", "b/1.npz", "b/2.csv", "b/deep/3.CSV.gz", "c[1].csv"]
    assert [b.name for b in bad] == ["no*", "empty"]
    assert str(bad[0]) == "'no*' matches no file: correct the path"
    assert "holds no .csv" in bad[1].reason
    assert find_files(["**/3.*"])[0] == [Path("b/deep/3.CSV.gz")]
    assert [unit.name for unit in group_files(files)] == list(map(str, files))
    shuffled = np.random.default_rng(0).permutation(50)
    for number in shuffled:
        Path(f"empty/{number:02d}.csv").touch()
    assert [file.stem for file in find_files(["empty"])[0]] == [f"{i:02d}" for i in range(50)]


class Hostile:
    """Makes a folder when unpickled."""

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return (os.mkdir, (self.path,))


def zipped(path, **members):
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(f"{name}.npy", content)


def npy(text, data=b""):
    header = text.ljust(117).encode() + b"\n"
    return b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + data


def cut(path, n_bytes):
    path.write_bytes(path.read_bytes()[:n_bytes])


HEADER = ",".join(f"FLUX.{i + 1}" for i in range(N))
LFS = LFS_POINTER + b".github.com/spec/v1\noid sha256:6f\nsize 262223348\n"
JUNK = np.random.default_rng(0).bytes(5000)
ONES = np.ones(N)
MALFORMED = {  # name: how it is made, and what must be said
    "empty.csv": (lambda p: p.touch(), "is empty"),
    "empty.npz": (lambda p: p.touch(), "is empty"),
    "empty.fits": (lambda p: p.touch(), "is empty"),
    "empty.csv.gz": (lambda p: p.write_bytes(gzip.compress(b"")), "its first line begins ''"),
    "blank.csv": (lambda p: p.write_text("\n\n \n"), "is empty"),
    "pointer.csv": (lambda p: p.write_bytes(LFS), "git lfs pull"),
    "pointer.npz": (lambda p: p.write_bytes(LFS), "git lfs pull"),
    "pointer.fits": (lambda p: p.write_bytes(LFS), "git lfs pull"),
    "folder.csv": (lambda p: p.mkdir(), "cannot be read: Is a directory"),
    "folder.fits": (lambda p: p.mkdir(), "cannot be read: Is a directory"),
    "missing.csv": (lambda p: None, "cannot be read: No such file"),
    "what.txt": (lambda p: p.write_text("1,2\n"), "is of no known kind"),
    "junk.csv": (lambda p: p.write_bytes(JUNK), "is not a text file"),
    "junk.npz": (lambda p: p.write_bytes(JUNK), "is no .npz file"),
    "junk.fits": (lambda p: p.write_bytes(JUNK), "is no .fits file"),
    "junk.csv.gz": (lambda p: p.write_bytes(JUNK), "is no .gz file"),
    "junk.fits.gz": (lambda p: p.write_bytes(JUNK), "is no .gz file"),
    "junk2.npz": (lambda p: p.write_bytes(b"PK\x03\x04" + JUNK), "is damaged or truncated"),
    "pickle.csv": (lambda p: p.write_bytes(pickle.dumps(ONES)), "is not a text file"),
    "pickle0.csv": (lambda p: p.write_bytes(pickle.dumps({}, 0)), "its first line begins"),
    "pickle.npz": (lambda p: p.write_bytes(pickle.dumps(ONES)), "is no .npz file"),
    "html.csv": (lambda p: p.write_text("<html>\n<p>Sign in"), "its first line begins '<html>'"),
    "text.csv": (lambda p: p.write_text("time,flux\n" + "1.0,bright\n" * N), "'bright'"),
    "columns.csv": (lambda p: p.write_text("LABEL,FLUX.1,FLUX.3\n1,2,3\n"), "'FLUX.2' is expected"),
    "index.csv": (lambda p: p.write_text(f",{HEADER}\n0" + ",1" * N), "has a column ''"),
    "short.csv": (lambda p: p.write_text("LABEL,FLUX.1\n1,2\n"), "1 flux columns: at least 500"),
    "wrong.csv": (lambda p: p.write_text("a,b\n1,2\n"), "neither the columns time and flux"),
    "stars.csv": (lambda p: p.write_text(HEADER + "\n"), "a header and no stars"),
    "rows.csv": (lambda p: p.write_text("time,flux\n"), "no rows that can be read"),
    "quote.csv": (lambda p: p.write_text('1,2\n"1,2\n'), "no rows that can be read"),
    "few.csv": (lambda p: write_star(p, np.arange(400) / 48, np.ones(400)), "400 cadences"),
    "nan.csv": (lambda p: write_star(p, ONES.cumsum() / 48, ONES * np.nan), "0 cadences"),
    "cut.csv.gz": (
        lambda p: (p.write_bytes(gzip.compress(np.random.default_rng(0).bytes(999).hex().encode())),
                   cut(p, 500)),
        "is damaged or truncated",
    ),
    "nan.npz": (lambda p: np.savez(p, flux=ONES * np.nan), "0 cadences"),
    "few.npz": (lambda p: np.savez(p, flux=np.ones(499)), "499 cadences"),
    "cube.npz": (lambda p: np.savez(p, flux=np.ones((2, 2, N))), "shape (2, 2, 600)"),
    "none.npz": (lambda p: np.savez(p, flux=np.ones((0, N))), "shape (0, 600)"),
    "other.npz": (lambda p: np.savez(p, light=ONES), "has no array 'flux'"),
    "words.npz": (lambda p: np.savez(p, flux=["a"] * N), "type <U1"),
    "complex.npz": (lambda p: np.savez(p, flux=ONES * 1j), "type complex128"),
    "times.npz": (lambda p: np.savez(p, flux=ONES, time=ONES[:-1]), "599 times and 600 flux"),
    "names.npz": (lambda p: np.savez(p, flux=[ONES] * 2, names=["a", "a"]), "one name twice"),
    "number.npz": (lambda p: np.savez(p, flux=[ONES] * 2, names=[1, 2]), "'names' of type int64"),
    "cut.npz": (lambda p: (np.savez(p, flux=ONES), cut(p, 3000)), "is damaged or truncated"),
    "array.npz": (lambda p: zipped(p, flux=b"not an array"), "a damaged array 'flux'"),
    "header.npz": (lambda p: zipped(p, flux=npy("{'descr':'<f8', (")), "a damaged array 'flux'"),
    "huge.npz": (
        lambda p: zipped(
            p, flux=npy("{'descr':'<f8','fortran_order':False,'shape':(1000000,1000000)}")
        ),
        "is truncated",
    ),
    "negative.npz": (
        lambda p: zipped(
            p, flux=npy("{'descr':'<f8','fortran_order':False,'shape':(-2,-4)}", bytes(64))
        ),
        "shape (-2, -4)",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", MALFORMED)
def test_a_malformed_file_is_one_line_that_names_it(tmp_path, name):
    make, words = MALFORMED[name]
    make(tmp_path / name)
    bad = read(tmp_path / name)
    assert isinstance(bad, Bad), bad
    assert words in bad.reason
    assert str(bad).startswith(f"'{tmp_path / name}' ") and str(bad).isprintable()
    assert len(str(bad)) < len(str(tmp_path)) + 250


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


def test_a_table_cut_inside_its_gzip_gives_what_came_before(table, flux):
    path = table.with_name("cut.csv.gz")
    path.write_bytes(gzip.compress(table.read_bytes()))
    cut(path, path.stat().st_size - 100)
    *good, last = read_stars(path)
    assert "is damaged or truncated" in last.reason and last.name == str(path)
    assert all(np.array_equal(star.flux, row) for star, row in zip(good, flux, strict=False))


@pytest.mark.parametrize("damage", [b"\0", b"\xff", b"0123456789"])
def test_a_table_damaged_inside_its_gzip_is_told(table, damage):
    path = table.with_name("damaged.csv.gz")
    packed = bytearray(gzip.compress(table.read_bytes()))
    middle = len(packed) // 2
    packed[middle : middle + 200] = (damage * 200)[:200]
    path.write_bytes(packed)
    last = list(read_stars(path))[-1]
    assert "is damaged or truncated" in last.reason and last.name == str(path)


def test_one_endless_line_is_refused_before_it_fills_the_memory(tmp_path, monkeypatch):
    monkeypatch.setattr(own_stars, "LONGEST_LINE", 1 << 20)
    monkeypatch.setattr(own_stars, "BLOCK_BYTES", 1 << 16)
    (tmp_path / "a.csv").write_text(HEADER + "\n" + "1," * (1 << 20))
    assert "a line of over 1 MB" in read(tmp_path / "a.csv").reason


# -------------------------------------------------------------------------------------- FITS
def stand_in():
    """What of lightkurve is used, over astropy: for where it is not installed."""
    fits = pytest.importorskip("astropy.io.fits")
    module = types.ModuleType("lightkurve")

    class LightCurve:
        def __init__(self, time, flux, meta):
            self.time, self.flux = (types.SimpleNamespace(value=v) for v in (time, flux))
            self.meta = meta

    def read_file(path):
        with fits.open(path, memmap=False) as hdus:
            head, data = hdus[0].header, hdus[1].data
            kind = "SAP_QUALITY" if head["TELESCOP"] == "Kepler" else "QUALITY"
            mask = (data[kind] & (1130799 if kind == "SAP_QUALITY" else 17087)) == 0
            keep = mask & ~np.isnan(data["TIME"])
            meta = {
                "MISSION": head.get("MISSION", head["TELESCOP"]),
                "QUALITY_MASK": mask,
                "FLUX_ORIGIN": "pdcsap_flux",
            }
            return LightCurve(data["TIME"][keep], data["PDCSAP_FLUX"][keep], meta)

    module.LightCurve, module.read = LightCurve, read_file
    return module


@pytest.fixture(params=["stand-in", "lightkurve"])
def reader(request, monkeypatch):
    """Run a test with the stand-in, and with the true lightkurve where it is installed."""
    if request.param == "stand-in":
        monkeypatch.setitem(sys.modules, "lightkurve", stand_in())
    elif importlib.util.find_spec("lightkurve") is None:
        pytest.skip("lightkurve is not installed")


def write_fits(path, time, flux, target=757076, telescope="Kepler", quality=None, **cards):
    """Write a light curve as the archive has them, as far as lightkurve looks."""
    from astropy.io import fits

    of_kepler = telescope == "Kepler"
    primary = fits.PrimaryHDU()
    catalogue = "KIC" if of_kepler else "TIC"
    exporter = "FluxExporter2PipelineModule" if of_kepler else "LightCurveExporterPipelineModule"
    cards = {
        "TELESCOP": telescope,
        "ORIGIN": "NASA/Ames",
        "CREATOR": f"1 {exporter}",
        "OBJECT": f"{catalogue} {target}",
        "KEPLERID" if of_kepler else "TICID": target,
        "RA_OBJ": 1.0,
        "DEC_OBJ": 2.0,
    } | cards
    primary.header.update(cards)
    n = time.size
    zeros = np.zeros(n)
    columns = [
        ("TIME", "D", time, "d"),
        ("CADENCENO", "J", np.arange(n), None),
        ("SAP_FLUX", "E", flux + 1, "e-/s"),
        ("PDCSAP_FLUX", "E", flux, "e-/s"),
        ("PDCSAP_FLUX_ERR", "E", zeros, "e-/s"),
        (
            "SAP_QUALITY" if of_kepler else "QUALITY",
            "J",
            zeros if quality is None else quality,
            None,
        ),
        ("MOM_CENTR1", "D", zeros, "pixels"),
        ("MOM_CENTR2", "D", zeros, "pixels"),
    ]
    table = fits.BinTableHDU.from_columns(
        [fits.Column(name, kind, unit, array=array) for name, kind, array, unit in columns],
        name="LIGHTCURVE",
    )
    table.header.update({"BJDREFI": 2454833 if of_kepler else 2457000, "TIMESYS": "TDB"})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # "e-/s" is the archive's, and no unit of the standard
        fits.HDUList([primary, table]).writeto(path)
    return path


def test_a_kepler_file_is_read_exactly_but_for_flagged_cadences(reader, tmp_path):
    time = 131.5 + np.arange(N) * CADENCE_DAYS
    flux = np.random.default_rng(0).normal(1e4, 1, N).astype(np.float32)
    quality = np.zeros(N, int)
    quality[[100, 200, 201]] = 1, 32, 8192  # the last is a cosmic ray elsewhere: good data
    time[300], flux[[300, 400]] = np.nan, np.nan
    for name in ("kplr000757076-2009166043257_llc.fits", "b.fits.gz"):
        path = write_fits(tmp_path / name, time, flux, quality=quality, QUARTER=1)
        star = read(path)
        expected = flux.astype(float)
        expected[[100, 200, 300, 400]] = np.nan
        assert np.array_equal(star.flux, expected, equal_nan=True)
        assert np.allclose(star.time, 131.5 + np.arange(N) * CADENCE_DAYS, rtol=0, atol=1e-9)
        assert star.flux.dtype == star.time.dtype == np.float64
        assert star.notes == ("2 flagged cadences dropped",)
        assert group_files([path])[0].name == "KIC 757076"


def test_quarters_of_a_star_are_joined_at_a_common_level(reader, tmp_path):
    paths, levels = [], [1e4, 1.1e4, 0.8e4]
    time, relative = sampled(29.4244, days=60, period=4.1, epoch=1.3)
    pieces = [(time >= start) & (time < start + 18) for start in (0, 20, 41)]
    for number, (piece, level) in enumerate(zip(pieces, levels, strict=True)):
        path = tmp_path / f"q{number}_llc.fits"
        paths.append(write_fits(path, time[piece] + 131.5, level * relative[piece], QUARTER=number))
    other = write_fits(tmp_path / "tess_lc.fits", *sampled(2), target=99, telescope="TESS")
    units = group_files([paths[2], other, paths[0], tmp_path / "x.csv", paths[1]])
    assert [(unit.name, len(unit.files)) for unit in units] == [
        ("KIC 757076", 3),
        ("TIC 99", 1),
        (str(tmp_path / "x.csv"), 1),
    ]
    star = read(units[0])
    assert star.name == "KIC 757076" and star.notes == ("3 quarters joined",)
    known = ~np.isnan(star.flux)
    inside = np.any(pieces, axis=0)
    assert np.array_equal(star.time[known], (time + 131.5)[inside])
    assert np.allclose(star.flux[known] / 1e4, relative[inside], rtol=0, atol=1e-6)
    assert star.flux.size == round(np.ptp(time[inside]) / CADENCE_DAYS) + 1
    # One quarter damaged: it is named, and the others still make the star.
    cut(paths[1], 2880 * 5)
    bad, star = read_stars(units[0])
    assert bad.name == str(paths[1]) and "fetch it again" in bad.reason
    assert star.notes == ("2 quarters joined", "1 unusable")
    assert np.isnan(star.flux[(star.time > 150) & (star.time < 172)]).all()


def test_an_overlap_counts_once_and_levels_below_zero_are_subtracted(reader, tmp_path):
    time = 100 + np.arange(2 * N) * CADENCE_DAYS
    flux = np.random.default_rng(0).normal(0, 1, 2 * N).astype(np.float32).astype(float)
    first = flux[:N] - 500
    first[-50:-40] = np.nan  # not mended from the other
    write_fits(tmp_path / "a.fits", time[:N], first)
    again = np.where(np.arange(2 * N) < N, 50, 0)  # told from the values it repeats
    write_fits(tmp_path / "b.fits", time[N - 100 :], (flux + again)[N - 100 :] + 900)
    (unit,) = group_files([tmp_path / "b.fits", tmp_path / "a.fits"])
    star = read(unit)
    assert np.allclose(star.time, time, rtol=0, atol=1e-9)
    gap = np.isnan(star.flux)
    assert np.flatnonzero(gap).tolist() == list(range(N - 50, N - 40))
    assert np.allclose(star.flux[~gap], flux[~gap], rtol=0, atol=0.2)  # each less its own median


def test_a_tess_file_comes_out_at_the_long_cadence(reader, tmp_path):
    time, relative = sampled(2, days=27)
    path = write_fits(tmp_path / "tess_lc.fits", time + 1325, 900 * relative, 5, "TESS")
    star = read(path)
    truth = transit_flux(star.time - 1325, period=3.3, epoch=1.7, radius_ratio=0.1)
    assert np.allclose(star.flux[:-1] / 900, truth[:-1], rtol=0, atol=3e-4)
    assert star.notes == ("resampled from 2.0 min",)


def test_pixels_are_no_light_curve(monkeypatch, tmp_path):
    module = stand_in()
    module.read = lambda path: types.SimpleNamespace(time=None, flux=None)
    monkeypatch.setitem(sys.modules, "lightkurve", module)
    (tmp_path / "a_targ.fits").write_bytes(b"SIMPLE  =                    T")
    assert "is a SimpleNamespace, not a light curve" in read(tmp_path / "a_targ.fits").reason


@pytest.mark.parametrize("n_bytes", [500, 2880, 2880 * 2, 2880 * 4, 2880 * 6, 2880 * 8 + 17])
def test_a_truncated_fits_file_is_one_line(reader, tmp_path, n_bytes):
    time = np.arange(N) * CADENCE_DAYS
    path = write_fits(tmp_path / "a_llc.fits", time, time + 1e3)
    assert path.stat().st_size > n_bytes
    cut(path, n_bytes)
    bad = read(path)
    assert isinstance(bad, Bad) and "fetch it again" in bad.reason
    assert bad.name == str(path) and str(bad).isprintable()
    assert len(group_files([path])) == 1


def test_fits_that_is_no_light_curve_too_short_or_blank(reader, tmp_path):
    from astropy.io import fits

    fits.PrimaryHDU(np.zeros((3, 3))).writeto(tmp_path / "image.fits")
    assert "is no light curve" in read(tmp_path / "image.fits").reason
    time = np.arange(N) * CADENCE_DAYS
    bad = read(write_fits(tmp_path / "short.fits", time[:499], time[:499]))
    assert bad.name == str(tmp_path / "short.fits") and "499 cadences" in bad.reason
    bad = read(write_fits(tmp_path / "blank.fits", time, time * np.nan))
    assert "0 cadences" in bad.reason


def test_without_lightkurve_fits_says_what_to_install(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "lightkurve", None)
    (tmp_path / "a.fits").write_bytes(b"SIMPLE  =                    T")
    assert str(read(tmp_path / "a.fits")) == (
        f"'{tmp_path / 'a.fits'}' needs lightkurve to be read: pip install \"lightkurve==2.5.1\""
    )
