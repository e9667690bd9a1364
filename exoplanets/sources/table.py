"""The one reader of tables in the schema of the Kaggle set, for training and for scoring.

A table is a CSV file with one star a row: an optional column ``LABEL`` (2 host, 1 non-host), then
``FLUX.1``, ``FLUX.2``, ...: flux minus about its median, e-/s, one value per cadence. An empty cell
is a value that was not measured.

`read_csv` streams a table as blocks of rows, in flat memory whatever its size. A row that cannot
be used is reported in its place and the rest goes on: training stops at the first such row, scoring
names it and scores the others.

Errors about a whole file are a `DataError` whose text begins with the verb ("is empty: ..."): who
knows the file's name puts it in front.
"""

import contextlib
import gzip
import io
import re
import zipfile
import zlib
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import numpy as np
import pandas as pd

from exoplanets.files import DataError, one_line
from exoplanets.stars import SHORTEST

LARGEST_FLUX = 1e15  # e-/s; no star gives as much, and its square still fits float32
BLOCK_BYTES = 1 << 21  # read at a time: about 50 stars of 3197 cadences
LONGEST_LINE = 1 << 24  # bytes: no row is longer, binary junk is
LFS_POINTER = b"version https://git-lfs"
COMPRESSIONS = (".gz", ".zip")
# What zipfile raises on a damaged member; some builds of Python have no LZMA.
DAMAGED_MEMBER = (zipfile.BadZipFile, getattr(zipfile.lzma, "LZMAError", zipfile.BadZipFile))


class RowBlock(NamedTuple):
    """Neighbouring rows of a table."""

    start: int  # row of the first; the first row after the header is 0
    labels: np.ndarray | None  # (n_rows,), NaN where empty; None if there is no column LABEL
    flux: np.ndarray  # (n_rows, n_cadences), float64, e-/s; NaN where missing or not usable
    problems: dict  # per row of this block that cannot be used (the first is 0), why


# ---------------------------------------------------------------------------- bytes of a file
@contextlib.contextmanager
def open_bytes(path, member=None, most=None):
    """Open a file as a binary stream; what ends in `.gz` or `.zip` is uncompressed.

    `member` names the file in a zip archive, without folders; without it there has to be just one.
    DataError if the file is empty, a Git LFS pointer, damaged, or cannot be read; also when the
    damage is found while the stream is read. Of a file that is read at once, not in blocks, give
    the `most` bytes that it may have, uncompressed: a small archive can unpack to any size.
    """
    path = Path(path)
    try:
        with open(path, "rb") as stream:
            _check_start(stream.read(len(LFS_POINTER)))
        suffix = path.suffix.lower()
        if suffix == ".zip":
            with zipfile.ZipFile(path) as archive, archive.open(_find(archive, member)) as stream:
                _check_size(stream, most)
                yield stream
        else:
            with gzip.open(path, "rb") if suffix == ".gz" else open(path, "rb") as stream:
                _check_size(stream, most)
                yield stream
    except (EOFError, gzip.BadGzipFile, *DAMAGED_MEMBER, zlib.error, RuntimeError) as error:
        # zipfile has only RuntimeError for an encrypted member, or one of an unknown method
        raise DataError(f"is damaged or truncated ({error}): fetch it again") from error
    except OSError as error:
        raise DataError(f"cannot be read: {error.strerror or error}") from error


@contextlib.contextmanager
def refuse_damage(what, passed_on=()):
    """Turn any error of a parser into a DataError: the file is damaged. Some are passed on."""
    try:
        yield
    except (DataError, *passed_on):
        raise
    except Exception as error:
        raise DataError(f"{what} ({one_line(error)}): fetch it again") from error


def _check_size(stream, most):
    """Refuse a stream of more than the `most` bytes, if there is a bound."""
    if most is None:
        return
    if stream.seekable() and isinstance(stream, io.BufferedReader):
        stream.seek(0, io.SEEK_END)  # not compressed: its size is known
    # What is compressed may lie about its size: it is unpacked once, and nothing is kept.
    while stream.tell() <= most and stream.read(BLOCK_BYTES):
        pass
    if stream.tell() > most:
        raise DataError(
            f"holds more than {most >> 20} MB: no light curve is as long, give each star by itself"
        )
    stream.seek(0)


def _check_start(start):
    """Refuse, from its first bytes, a file that is no data at all."""
    if not start.strip():
        raise DataError("is empty: fetch it again")
    if start == LFS_POINTER:
        raise DataError(
            "is a Git LFS pointer, not the data: run `git lfs pull` where it came from, or fetch "
            "the file itself"
        )


def _find(archive, member):
    """Full name of a member of an archive: the one nearest to the archive's top."""
    names = [name for name in archive.namelist() if not name.endswith("/")]
    names = [name for name in names if "__MACOSX" not in PurePosixPath(name).parts]
    fitting = [name for name in names if member in (None, PurePosixPath(name).name)]
    if not fitting:
        raise DataError(f"holds no '{member or 'file'}': it holds {names[:5]}")
    depth = min(name.count("/") for name in fitting)
    nearest = [name for name in fitting if name.count("/") == depth]
    if len(nearest) > 1:
        raise DataError(f"holds {nearest[:5]}: unpack the one that is meant")
    return nearest[0]


# ------------------------------------------------------------------------------------- tables
def read_table(path, member=None, digest=None, fewest=SHORTEST):
    """Yield the `RowBlock`s of a file; for training and for scoring.

    `member` is the table's name in a zip archive; see `open_bytes`. A `digest` of hashlib is fed
    with all of the table's bytes, uncompressed. A star must have the `fewest` cadences. DataError
    if the file as a whole cannot be used.
    """
    with open_bytes(path, member) as stream:
        if digest is not None:
            stream = io.BufferedReader(_Digesting(stream, digest), BLOCK_BYTES)
        yield from read_csv(stream, fewest)


class _Digesting(io.RawIOBase):
    """A binary stream that digests what is read through it, so that a file is read once."""

    def __init__(self, stream, digest):
        self._stream, self._digest = stream, digest

    def readable(self):
        return True

    def readinto(self, buffer):
        data = self._stream.read(len(buffer))
        self._digest.update(data)
        buffer[: len(data)] = data
        return len(data)


def is_table(first_line):
    """Whether the first line of a file, as bytes, is the header of a table of this schema."""
    with contextlib.suppress(DataError):
        return any(re.fullmatch(r"FLUX\.\d+", name) for name in _split_header(first_line))
    return False


def read_csv(stream, fewest=SHORTEST):
    """Yield the `RowBlock`s of a table: of a binary stream of the CSV, uncompressed.

    DataError if it is no table of this schema, has no rows, or fewer flux columns than `fewest`.
    """
    line = stream.readline(LONGEST_LINE)
    _check_start(line)
    names = _split_header(line)
    labelled = names[0] == "LABEL"
    _check_header(names, labelled, fewest)
    start = 0
    for lines in _read_lines(stream):
        cells, problems = _read_rows(lines, names)
        labels, flux = (cells[:, 0], cells[:, 1:]) if labelled else (None, cells)
        yield RowBlock(start, labels, flux, problems)
        start += len(lines)
    if not start:
        raise DataError("has a header and no stars: fetch it again")


def _split_header(line):
    """Column names of a first line, in capitals."""
    try:
        text = line.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise DataError("is not a text file: fetch it again") from None
    return [name.strip().strip('"').upper() for name in text.strip().split(",")]


def _check_header(names, labelled, fewest):
    """Refuse other columns than LABEL, if it is there, and FLUX.1, FLUX.2, ..."""
    n_cadences = len(names) - labelled
    expected = ["LABEL"] * labelled + [f"FLUX.{i + 1}" for i in range(n_cadences)]
    for name, right in zip(names, expected, strict=True):
        if name != right:
            right = "LABEL' or 'FLUX.1" if right == "FLUX.1" and not labelled else right
            raise DataError(f"has a column {name[:40]!a} where '{right}' is expected")
    if n_cadences < fewest:
        raise DataError(f"has {n_cadences} flux columns: at least {fewest} cadences are needed")


def _read_lines(stream):
    """Yield lists of lines that are not blank, a few MB at a time."""
    rest = b""
    while block := stream.read(BLOCK_BYTES):
        *lines, rest = (rest + block).split(b"\n")
        if len(rest) > LONGEST_LINE:
            raise DataError(f"has a line of over {LONGEST_LINE >> 20} MB: fetch it again")
        if lines := [line for line in lines if line.strip()]:
            yield lines
    if rest.strip():
        yield [rest]


def _read_rows(lines, names):
    """Numbers of some rows, (n_rows, n_columns), and per row that cannot be used why."""
    cells = np.full((len(lines), len(names)), np.nan)
    whole, problems = [], {}
    for row, n_cells in enumerate(line.count(b",") + 1 for line in lines):
        if n_cells == len(names):
            whole.append(row)
        else:
            problems[row] = f"has {n_cells} cells, the header {len(names)}: fetch the file again"

    def parse(rows):
        cells[rows] = _read_cells([lines[row] for row in rows]).reshape(-1, len(names))

    try:
        if whole:
            parse(whole)
    except ValueError:  # some row has text: parsed one by one, no other row is lost
        for row in whole:
            try:
                parse([row])
            except ValueError:
                problems[row] = _describe_text(lines[row], names)
    impossible = ~(np.abs(cells) <= LARGEST_FLUX) & ~np.isnan(cells)
    for row in np.flatnonzero(impossible.any(axis=1)):
        column = impossible[row].argmax()
        value, cells[row] = cells[row, column], np.nan
        what = f"the value {value:g}" if np.isfinite(value) else "an infinite value"
        problems[row] = (
            f"has {what} in {names[column]}, which no star can have: leave the cell empty if the "
            "value is missing"
        )
    return cells, problems


def _read_cells(lines):
    """All cells of some lines, as one array of float64.

    pandas' C parser reads a single long column about three times as fast as many short ones.
    """
    text = b"\n".join([*lines, b""]).replace(b",", b"\n")
    frame = pd.read_csv(
        io.BytesIO(text), names=["cell"], dtype=np.float64, skip_blank_lines=False, low_memory=False
    )
    if len(frame) != text.count(b"\n"):
        raise ValueError("a cell breaks the line")
    return frame["cell"].to_numpy()


def _describe_text(line, names):
    """What is wrong with a row: its first cell that is no number, found by bisection."""
    cells, low, high = line.split(b","), 0, len(names)
    while high - low > 1:
        middle = (low + high) // 2
        try:
            _read_cells([b"0", *cells[low:middle]])  # after a number True and False are text
            low = middle
        except ValueError:
            high = middle
    text = cells[low].decode("latin-1")[:40]
    known = "; hosts are labelled 2, non-hosts 1" if names[low] == "LABEL" else ""
    return f"has text in {names[low]}: {text!a} is not a number{known}"
