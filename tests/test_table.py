"""sources/table.py: one reader for training and for scoring; bad rows in place."""

import contextlib
import gzip
import hashlib
import io
import tracemalloc
import zipfile
from functools import partial
from typing import NamedTuple

import numpy as np
import pandas as pd
import pytest
from conftest import write_table
from hypothesis import given
from hypothesis import strategies as st

from exoplanets.files import DataError
from exoplanets.scoring.npz import read_npz
from exoplanets.sources import table

N = 70  # cadences


class Rows(NamedTuple):
    labels: np.ndarray | None
    flux: np.ndarray
    problems: dict


def join(blocks):
    """All rows of some blocks, which must follow each other."""
    blocks = list(blocks)
    problems, start = {}, 0
    for block in blocks:
        assert block.start == start
        problems |= {start + i: reason for i, reason in block.problems.items()}
        start += len(block.flux)
    labels = None if blocks[0].labels is None else np.concatenate([b.labels for b in blocks])
    return Rows(labels, np.concatenate([block.flux for block in blocks]), problems)


def parse(text, fewest=64):
    return join(table.read_csv(io.BytesIO(text.encode()), fewest))


read_table = partial(table.read_table, fewest=64)  # short light curves are read faster


def header(n, label=True):
    return ",".join(["LABEL"] * label + [f"FLUX.{i + 1}" for i in range(n)])


@pytest.fixture
def small(tmp_path):
    """Labels and flux of six stars, and their CSV."""
    rng = np.random.default_rng(5)
    labels, flux = np.array([2, 2, 1, 1, 1, 1]), np.round(rng.normal(0, 1e3, (6, N)), 2)
    write_table(tmp_path / "exoTrain.csv", labels, flux)
    return labels, flux, tmp_path / "exoTrain.csv"


# ------------------------------------------------------------------------------- what is read
def test_numbers_are_those_of_the_file_to_the_last_bit(small):
    labels, flux, path = small
    rows = join(read_table(path))
    np.testing.assert_array_equal(rows.flux, flux)
    np.testing.assert_array_equal(rows.labels, labels)
    np.testing.assert_array_equal(rows.flux, pd.read_csv(path).to_numpy()[:, 1:])
    assert rows.problems == {}


@given(st.lists(st.floats(-1e14, 1e14) | st.just(np.nan), min_size=64, max_size=64))
def test_any_number_is_read_as_pandas_reads_it(values):
    cells = ["" if np.isnan(value) else repr(float(value)) for value in values]
    text = f"{header(64, label=False)}\n{','.join(cells)}\n"
    expected = pd.read_csv(io.StringIO(text)).to_numpy(float)
    np.testing.assert_array_equal(parse(text).flux, expected)


def test_empty_cells_are_missing_values():
    cells = ["1.5"] * 64
    cells[0], cells[9], cells[63] = "", "NaN", "NA"
    rows = parse(f"{header(64)}\n2,{','.join(cells)}\n")
    assert np.flatnonzero(np.isnan(rows.flux[0])).tolist() == [0, 9, 63]
    assert rows.problems == {}


def test_the_label_is_optional():
    text = f"{header(64, label=False)}\n{','.join(['3'] * 64)}\n"
    assert parse(text).labels is None
    assert parse(text).flux.shape == (1, 64)


def test_a_spreadsheets_way_of_writing_is_read():
    head = ",".join(f'"{name}"' for name in header(64).split(","))
    text = "\r\n".join(["\ufeff" + head, "2," + ",".join(['"1.5"'] * 64), "", ""])
    rows = parse(text)
    assert rows.labels.tolist() == [2]
    assert (rows.flux == 1.5).all()


@pytest.mark.parametrize("size", [1, 7, 100, 1000, 10**6])
def test_blocks_of_any_size_give_the_same_rows(size, small, monkeypatch):
    monkeypatch.setattr(table, "BLOCK_BYTES", size)
    np.testing.assert_array_equal(join(read_table(small[2])).flux, small[1])


def test_memory_does_not_grow_with_the_table(tmp_path):
    path = tmp_path / "long.csv"
    row = "1," + ",".join(["12.25"] * 1000)
    with open(path, "w") as stream:
        stream.write(f"{header(1000)}\n")
        for _ in range(4000):  # 24 MB, 32 MB as numbers
            stream.write(row + "\n")
    tracemalloc.start()
    n_rows = sum(len(block.flux) for block in read_table(path))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert n_rows == 4000
    assert peak < 8 * table.BLOCK_BYTES


# --------------------------------------------------------------------------- bad rows in place
@pytest.mark.parametrize(
    ("cell", "reason"),
    [
        ("12.5?", r"has text in FLUX.3: '12.5\?' is not a number"),
        ("1 2", "has text in FLUX.3"),
        ("-inf", "has an infinite value in FLUX.3, which no star can have"),
        ("1e999", "has an infinite value in FLUX.3"),
        ("1e300", r"has the value 1e\+300 in FLUX.3"),
        ("-1.1e15", r"has the value -1.1e\+15 in FLUX.3"),
        ("1,2", "has 66 cells, the header 65: fetch the file again"),
        ('"', "has text in FLUX.3"),
        ("\0", "has text in FLUX.3"),
    ],
)
def test_a_bad_row_is_named_and_costs_no_other(cell, reason):
    rows = [["1", *[f"{row}.5"] * 64] for row in range(5)]
    rows[2][3] = cell
    read = parse("\n".join([header(64), *(",".join(row) for row in rows)]) + "\n")
    assert list(read.problems) == [2]
    with pytest.raises(DataError, match=reason):
        raise DataError(read.problems[2])
    assert np.isnan(read.flux[2]).all()
    good = [0, 1, 3, 4]
    np.testing.assert_array_equal(read.flux[good], np.repeat([[0.5], [1.5], [3.5], [4.5]], 64, 1))


def test_a_file_that_breaks_off_gives_the_rows_before(small):
    text = small[2].read_text()
    rows = parse(text[: int(0.7 * len(text))])
    assert len(rows.flux) == 4
    assert list(rows.problems) == [3]
    np.testing.assert_array_equal(rows.flux[:3], small[1][:3])


# ------------------------------------------------------------------------------- whole files
@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "^is empty"),
        (b"\n \n", "^is empty"),
        (header(64).encode(), "^has a header and no stars"),
        (b"version https://git-lfs.github.com/spec/v1\n", "Git LFS pointer.*git lfs pull"),
        (bytes(range(128, 256)) * 9, "^is not a text file"),
        (b"STAR,FLUX.1\n", "^has a column 'STAR' where 'LABEL' or 'FLUX.1' is expected"),
        (header(64).replace("X.7,", "X.8,").encode(), "column 'FLUX.8' where 'FLUX.7'"),
        (b"FLUX.1,LABEL,FLUX.2\n", "^has a column 'LABEL' where 'FLUX.2' is expected"),
        (header(63).encode(), "^has 63 flux columns: at least 64"),
    ],
)
def test_a_file_that_is_no_table_is_refused(content, reason, tmp_path):
    path = tmp_path / "stars.csv"
    path.write_bytes(content)
    with pytest.raises(DataError, match=reason):
        list(read_table(path))


def test_an_endless_line_is_refused(monkeypatch):
    monkeypatch.setattr(table, "LONGEST_LINE", 3000)
    monkeypatch.setattr(table, "BLOCK_BYTES", 1000)
    with pytest.raises(DataError, match="has a line of over"):
        parse(f"{header(64)}\n{'1' * 9000}\n")


def test_the_user_of_a_table_says_how_long_a_star_must_be():
    text = f"{header(80)}\n{','.join(['1'] * 81)}\n"
    assert len(parse(text, fewest=80).flux) == 1
    with pytest.raises(DataError, match="has 80 flux columns: at least 81 cadences are needed"):
        parse(text, fewest=81)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (header(5).encode(), True),
        (b"\xef\xbb\xbf" + header(5).encode(), True),
        (b"time,flux\n", False),
        (b"1.5,2.5\n", False),
        (b"\xff\xfe\x00", False),
    ],
)
def test_a_table_is_known_by_its_first_line(line, expected):
    assert table.is_table(line) == expected


# ------------------------------------------------------------------------ compressed, archived
def zipped(path, members):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def test_compressed_tables_are_the_same_table(small, tmp_path):
    content = small[2].read_bytes()
    (tmp_path / "a.csv.gz").write_bytes(gzip.compress(content))
    paths = [tmp_path / "a.csv.gz", zipped(tmp_path / "b.csv.zip", {"exoTrain.csv": content})]
    for path in paths:
        digest = hashlib.sha256()
        np.testing.assert_array_equal(join(read_table(path, digest=digest)).flux, small[1])
        assert digest.hexdigest() == hashlib.sha256(content).hexdigest()


def test_the_member_nearest_to_the_top_is_meant(small, tmp_path):
    content = small[2].read_bytes()
    path = zipped(
        tmp_path / "archive.zip", {"old/exoTrain.csv": b"not it", "exoTrain.csv": content}
    )
    np.testing.assert_array_equal(join(read_table(path, "exoTrain.csv")).flux, small[1])
    path = zipped(tmp_path / "two.zip", {"a/exoTrain.csv": content, "b/exoTrain.csv": content})
    with pytest.raises(DataError, match=r"holds \['a/exoTrain.csv', 'b/exoTrain.csv'\]: unpack"):
        list(read_table(path, "exoTrain.csv"))


def test_an_archive_without_the_table_says_what_it_holds(tmp_path):
    path = zipped(tmp_path / "a.zip", {"readme.txt": b"1", "__MACOSX/exoTrain.csv": b"2"})
    with pytest.raises(DataError, match=r"holds no 'exoTrain.csv': it holds \['readme.txt'\]"):
        list(read_table(path, "exoTrain.csv"))


@pytest.mark.parametrize("share", [0.3, 0.6, 0.99])
@pytest.mark.parametrize("kind", ["gz", "zip"])
def test_damage_of_an_archive_is_one_reason(kind, share, small, tmp_path):
    content = small[2].read_bytes()
    path = tmp_path / f"a.csv.{kind}"
    if kind == "gz":
        path.write_bytes(gzip.compress(content))
    else:
        zipped(path, {"exoTrain.csv": content})
    whole = path.read_bytes()
    path.write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(DataError, match="^is damaged or truncated"):
        list(read_table(path))


@pytest.mark.parametrize("name", ["a.csv.zip", "a.npz"])
def test_damage_of_every_compression_is_one_reason(name, small, tmp_path):
    read = read_npz if name == "a.npz" else read_table
    flux = io.BytesIO()
    np.save(flux, np.random.default_rng(0).normal(size=(2, 600)))
    member = {"a.npz": ("flux.npy", flux.getvalue())}.get(name, ("a.csv", small[2].read_bytes()))
    for method in (zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA):
        with zipfile.ZipFile(tmp_path / name, "w", method) as archive:
            archive.writestr(*member)
        whole = (tmp_path / name).read_bytes()
        for place in range(40, len(whole), len(whole) // 30):
            damaged = whole[:place] + bytes(byte ^ 255 for byte in whole[place:][:9])
            (tmp_path / name).write_bytes(damaged + whole[place + 9 :])
            with contextlib.suppress(DataError):
                list(read(tmp_path / name))


def test_what_cannot_be_read_is_one_reason(tmp_path):
    with pytest.raises(DataError, match="^cannot be read: No such file"):
        list(read_table(tmp_path / "gone.csv"))
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(DataError, match="^cannot be read: Is a directory"):
        list(read_table(tmp_path / "folder.csv"))
