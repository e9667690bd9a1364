"""Tables of labelled light curves: parsed once, checked, and kept in parsed form."""

import contextlib
import gzip
import hashlib
import io
import itertools
import json
import warnings
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd

from exoplanets.files import DataError, atomic_write, say
from exoplanets.stars import HOST, NON_HOST, Table

PARSED_LAYOUT = 1  # raised whenever the parsed copy's layout changes
LFS_POINTER = b"version https://git-lfs"
NPY_MAGIC = b"\x93NUMPY"
ROWS_PER_CHUNK = 256  # 6.5 MB of float64 flux at a time
MIN_CADENCES = 64  # fewer hold no transit, and no network of this repository accepts them


def parse_once(path, csv):
    """A table from its parsed copy, which is made or renewed when the file has changed.

    The copy, `<csv>.<sha>.npy`, is named after the content it was parsed from; `<csv>.parsed.json`
    is written last and names it, so that a reader always finds a whole copy or none.
    """
    note = path.parent / f"{csv}.parsed.json"
    stat = path.stat()
    # ctime cannot be set by hand: it tells a changed file even if size and mtime were kept.
    identity = [PARSED_LAYOUT, path.name, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns]
    known = read_json(note)
    if known.get("identity") == identity and is_whole(path.parent / known["copy"], known):
        return open_copy(path.parent / known["copy"], path.name, known)
    return _parse(path, csv, note, identity)


def _parse(path, csv, note, identity):
    """Parse a table chunk by chunk, into its parsed copy where the directory can be written."""
    with open(path, "rb") as stream:
        _check_start(stream.read(len(LFS_POINTER)), path)
    digest = hashlib.sha256()
    chunks, n_missing = [], 0
    with _reported(path, csv), _open_csv(path, csv) as raw:
        _check_header(raw, path)
        with _open_csv(path, csv) as stream:
            for chunk in _read_chunks(_Digesting(stream, digest), path, csv):
                n_missing += int(np.isnan(chunk).sum())
                chunks.append(np.ascontiguousarray(chunk))  # so that a star's values lie together
    if not any(map(len, chunks)):
        raise DataError(f"'{path}' has a header and no stars: fetch the file again")
    array = np.concatenate(chunks)
    del chunks
    _check_labels(array[:, 0], path)
    known = {"identity": identity, "sha256": digest.hexdigest(), "n_missing": n_missing}
    known["copy"] = f"{csv}.{known['sha256'][:16]}.npy"
    copy = path.parent / known["copy"]
    try:
        with atomic_write(copy) as temporary:
            np.save(temporary, array)
        known["bytes"] = copy.stat().st_size
        write_json(note, known)
        for stale in path.parent.glob(f"{csv}.{'[0-9a-f]' * 16}.npy"):
            if stale != copy:
                stale.unlink(missing_ok=True)
    except OSError as error:  # a read-only or full directory: slower next time, nothing else
        say(f"no parsed copy of '{path}' was kept ({error.strerror})")
        return Table(
            array[:, 1:], array[:, 0].astype(np.int8), path.name, known["sha256"], n_missing
        )
    return open_copy(copy, path.name, known)


def open_copy(copy, file, known):
    """The table of a parsed copy, memory-mapped."""
    array = np.asarray(np.load(copy, mmap_mode="r", allow_pickle=False))  # a plain view
    labels = np.asarray(array[:, 0]).astype(np.int8)
    return Table(array[:, 1:], labels, file, known["sha256"], known["n_missing"])


def stack_columns(labels, flux):
    """Labels and flux as the one array of a parsed copy, shape (n_stars, 1 + n_cadences)."""
    return np.column_stack([np.asarray(labels, float), flux])


def is_whole(copy, known):
    """Whether a copy is there at its full size, and not the zeros that a crash can leave."""
    if not copy.is_file() or copy.stat().st_size != known.get("bytes"):
        return False
    with open(copy, "rb") as stream:
        return stream.read(len(NPY_MAGIC)) == NPY_MAGIC


def read_json(path):
    """A dict from a JSON file; empty if the file is absent, damaged or no dict."""
    try:
        content = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}  # absent or damaged: made anew
    return content if isinstance(content, dict) else {}


def write_json(path, content):
    """Write a JSON file at once, or not at all."""
    with atomic_write(path) as temporary:
        temporary.write_text(json.dumps(content, indent=1) + "\n")


class _Digesting(io.RawIOBase):
    """A binary stream that digests what is read through it, so that a file is read once."""

    def __init__(self, stream, digest):
        self._stream, self._digest = stream, digest

    def readable(self):
        return True

    def read(self, size=-1):
        data = self._stream.read(size)
        self._digest.update(data)
        return data

    def readinto(self, buffer):
        data = self.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)


def _open_csv(path, csv):
    """The CSV's bytes, uncompressed."""
    if path.suffix == ".gz":
        return gzip.open(path, "rb")
    if path.suffix == ".zip":
        archive = zipfile.ZipFile(path)
        member = next((m for m in archive.namelist() if Path(m).name == csv), None)
        if member is None:
            raise DataError(f"'{path}' holds no '{csv}': it holds {archive.namelist()[:5]}")
        return archive.open(member)
    return open(path, "rb")


@contextlib.contextmanager
def _reported(path, csv):
    """Turn what parsing can raise into one line that names the file and the place in it."""
    try:
        yield
    except (
        EOFError,
        gzip.BadGzipFile,
        zipfile.BadZipFile,
        zipfile.zlib.error,
        RuntimeError,  # an encrypted archive, or one of an unknown method
    ) as error:
        raise DataError(f"'{path}' is damaged or truncated ({error}): fetch it again") from error
    except OSError as error:
        raise DataError(f"'{path}' cannot be read: {error.strerror or error}") from error
    except (pd.errors.ParserError, pd.errors.ParserWarning) as error:
        reason = " ".join(str(error).rpartition("C error: ")[2].split())
        raise DataError(
            f"'{path}' has rows of unequal length ({reason}): fetch it again"
        ) from error
    except UnicodeDecodeError as error:
        raise DataError(f"'{path}' is not a text file: fetch it again") from error
    except ValueError as error:
        raise DataError(_first_text(path, csv) or f"'{path}' cannot be parsed: {error}") from error


def _check_start(start, path):
    """Refuse, from its first bytes, a file that is not the table at all."""
    if not start.strip():
        raise DataError(f"'{path}' is empty: fetch it again")
    if start == LFS_POINTER:
        raise DataError(
            f"'{path}' is a Git LFS pointer, not the table: run `git lfs pull` where it came from, "
            "or delete it to download the set"
        )


def _check_header(stream, path):
    """Refuse other columns than LABEL, FLUX.1, FLUX.2, ..."""
    line = stream.readline(1 << 20)
    _check_start(line.strip(), path)
    names = line.decode("utf-8-sig").strip().replace('"', "").split(",")
    if "LABEL" not in names:
        raise DataError(
            f"'{path}' has no LABEL column: its first line begins '{line[:40].decode()}'"
        )
    expected = ["LABEL", *(f"FLUX.{i}" for i in range(1, len(names)))]
    wrong = next(((a, b) for a, b in zip(names, expected, strict=True) if a != b), None)
    if wrong:
        raise DataError(f"'{path}' has a column '{wrong[0]}' where '{wrong[1]}' is expected")
    if len(names) <= MIN_CADENCES:
        raise DataError(
            f"'{path}' has {len(names) - 1} flux columns: at least {MIN_CADENCES} are needed"
        )


def _read_chunks(stream, path, csv):
    """Yield blocks of stars, ndarray of shape (n, 1 + n_cadences), float64, checked."""
    row = 0
    with warnings.catch_warnings():
        warnings.simplefilter("error", pd.errors.ParserWarning)  # a longer row is no "warning"
        reader = pd.read_csv(stream, dtype=np.float64, chunksize=ROWS_PER_CHUNK, index_col=False)
        for frame in reader:
            chunk = frame.to_numpy()
            if np.isinf(chunk).any():
                star, column = np.argwhere(np.isinf(chunk))[0]
                raise DataError(
                    f"'{path}' has an infinite value in row {row + star}, {frame.columns[column]}: "
                    "leave the cell empty if the value is missing"
                )
            # pandas pads a short row with NaN: only its own text tells it from missing values.
            for star in np.flatnonzero(np.isnan(chunk[:, -1])):
                _check_width(path, csv, row + star, chunk.shape[1])
            row += len(chunk)
            yield chunk


def _check_width(path, csv, row, width):
    """Refuse a row with fewer cells than the header, such as the last one of a cut-off file."""
    with _open_csv(path, csv) as stream:
        lines = (line for line in stream if line.strip())
        cells = next(itertools.islice(lines, row + 1, None)).count(b",") + 1
    if cells != width:
        raise DataError(
            f"'{path}' is truncated or uneven: row {row} has {cells} cells, the header {width}; "
            "fetch it again"
        )


def _first_text(path, csv):
    """Message naming the first cell that is no number, or None."""
    with _open_csv(path, csv) as stream:
        row = 0
        for frame in pd.read_csv(stream, dtype=str, chunksize=ROWS_PER_CHUNK, index_col=False):
            numbers = frame.apply(pd.to_numeric, errors="coerce")
            bad = (numbers.isna() & frame.notna()).to_numpy()
            if bad.any():
                star, column = np.argwhere(bad)[0]
                text = frame.iat[star, column][:40]
                return (
                    f"'{path}' has text in row {row + star}, {frame.columns[column]}: '{text}' is "
                    "not a number"
                )
            row += len(frame)
    return None


def _check_labels(labels, path):
    """Refuse labels other than 1 and 2, and a table without both."""
    wrong = labels[~np.isin(labels, (HOST, NON_HOST))]
    if len(wrong):
        raise DataError(
            f"'{path}' has the label {wrong[0]:g}: only 2 (host) and 1 (non-host) are known"
        )
    for label, name in ((HOST, "hosts (LABEL 2)"), (NON_HOST, "non-hosts (LABEL 1)")):
        if not (labels == label).any():
            raise DataError(f"'{path}' has no {name}: both classes are needed")
