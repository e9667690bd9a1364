"""The file of scores, `scores.csv`: a row per star, known by the content of its light curve.

A run adds each new row at once to `scores.unfinished.csv`, and at its end replaces `scores.csv` as
a whole: by the stars that were asked for, in the order of the input. What an earlier run measured
on the same light curve with the same network is taken from either file and not measured again. A
run that was interrupted and started again ends with the same bytes as one that was not.
"""

import contextlib
import csv
import dataclasses
import hashlib
import io
import math
import os
import shutil
from pathlib import Path

from exoplanets.files import DataError, atomic_write, say
from exoplanets.scoring import result as results
from exoplanets.scoring.result import DIGITS, Result

# The digest is that of the row's other cells: a row that was changed since is measured again.
COLUMNS = (*results.COLUMNS, "digest")
FORMULA = ("=", "+", "-", "@", "\t", "\r")  # a cell that begins so is computed by a spreadsheet


def write_cell(name, value):
    """The text of a value in the column of this name: empty where nothing is known.

    An apostrophe before a text keeps a spreadsheet from computing it.
    """
    if name == "called":
        return "1" if value else "0"
    if name in DIGITS:
        return "" if math.isnan(value) else format(value, DIGITS[name])
    return "'" + value if value.startswith(FORMULA) else value


def read_cell(name, text):
    """The value of a cell; ValueError if its text is none."""
    if name == "called":
        return bool(int(text))
    if name == "n_cadences":
        return int(text)
    return float(text or "nan") if name in DIGITS else text


def format_line(cells):
    """One line of the file, bytes; names may hold line ends, and characters that are no text."""
    stream = io.StringIO()
    csv.writer(stream).writerow(cells)  # ends in CR LF, and so quotes cells that hold either
    return (stream.getvalue()[:-2] + "\n").encode("utf-8", "backslashreplace")


def format_result(result):
    """The line of a star, bytes."""
    line = format_line(write_cell(name, getattr(result, name)) for name in results.COLUMNS)
    return line[:-1] + f",{_digest(line)}\n".encode()


def _digest(line):
    """First digits of the SHA-256 of a line without its digest."""
    return hashlib.sha256(line).hexdigest()[:12]


HEADER = format_line(COLUMNS)


def read_results(stream):
    """Yield the `Result` of each row of an open binary file of scores, and where the row ends.

    The end is in bytes. In place of a row that is not as it was written, None comes: one that was
    changed, cut off, or is somebody else's.
    """
    ends = ((line if line.endswith(b"\n") else b"cut off\n") for line in stream)
    lines = (line.decode("utf-8", "replace") for line in ends)
    try:
        for cells in csv.reader(lines, strict=True):
            if tuple(cells) != COLUMNS:
                yield _read_row(cells), stream.tell()
    except csv.Error:  # the file ends within a quoted cell
        yield None, stream.tell()


def _read_row(cells):
    """The result of a row, or None if it is not as it was written."""
    if len(cells) != len(COLUMNS) or cells[-1] != _digest(format_line(cells[:-1])):
        return None
    pairs = zip(results.COLUMNS, cells, strict=False)
    with contextlib.suppress(ValueError):  # of another version
        return Result(**{name: read_cell(name, text) for name, text in pairs})


def name_beside(path):
    """Names of the files that belong to a file of scores: the unfinished and the previous one.

    A link to a file stands for that file.
    """
    path = Path(os.path.realpath(path))
    return [
        path.with_name(f"{path.stem}.{kind}{path.suffix}") for kind in ("unfinished", "previous")
    ]


def check_ours(path, header=HEADER, may_be_cut=False):
    """Refuse a file that is there and that `--predict` did not write, before it is touched.

    `may_be_cut` tells that a killed run may have left a part of the header.
    """
    if not os.path.lexists(path):
        return
    if not path.is_file():  # a folder, a pipe, a link to nothing
        raise DataError(f"'{path}' is not an ordinary file: give another --output")
    with open(path, "rb") as stream:
        start = stream.read(len(header))
    if not (start == header or not start or (may_be_cut and header.startswith(start))):
        raise DataError(
            f"'{path}' was not written by --predict of this version, and is left as it was: give "
            "another --output"
        )


class Scores:
    """A file of scores that is being written; see `open_scores`.

    `known` holds what was measured before: a `Result` per `light_curve`.
    """

    def __init__(self, path, known, journal, whole):
        self.known, self.keys = known, set()
        self._path, self._journal, self._whole = path, journal, whole

    def remember(self, result):
        """Add a result that was written to what is known: what the file holds of it."""
        kept = {"star": None, "more": (), "fit": None}
        self.known[result.light_curve] = dataclasses.replace(result, **kept)

    def write(self, rows):
        """Write some rows, and those that are new to the unfinished file too.

        A row is a `Result`, and whether it was measured now.
        """
        try:
            for result, is_new in rows:
                line = format_result(result)
                self._whole.write(line)
                if is_new:
                    self._journal.write(line)
                self.keys.add(_find_key(result))
            self._journal.flush()
        except OSError as error:
            raise DataError(f"'{self._path}' cannot be written: {error.strerror}") from error


@contextlib.contextmanager
def open_scores(path, network, campaign):
    """Write a file of scores: yields a `Scores`; the file is replaced when the block ends well.

    It stays as it was if no row was written. If it holds stars that were not asked for this time,
    or lines that are not as this program wrote them, it is first copied to `scores.previous.csv`.
    A link to a file is written through.

    Only rows of this `network` and this `campaign` (the columns of these names) are used again.
    DataError if the path is another file's or cannot be written, or if another run is writing it.
    """
    path = Path(os.path.realpath(path) if os.path.isfile(path) else path)
    unfinished, previous = name_beside(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        for each in (path, unfinished, previous):
            check_ours(each, may_be_cut=each == unfinished)
        journal = _lock(unfinished, path)
    except OSError as error:
        reason = error.strerror or error
        raise DataError(
            f"'{path}' cannot be written: {reason}; choose another place with --output"
        ) from error
    known, keys, n_foreign = {}, set(), 0
    with journal:
        for source in (path, unfinished):
            whole_end = 0
            if source.exists():
                with open(source, "rb") as stream:
                    whole_end = len(stream.readline()) if source.stat().st_size else 0
                    for result, end in read_results(stream):
                        if result is None:
                            n_foreign += source == path
                            continue
                        whole_end = end
                        if source == path:
                            keys.add(_find_key(result))
                        if (result.network, result.campaign) == (network, campaign):
                            known[result.light_curve] = result
        journal.truncate(whole_end)  # what a killed run left of a row
        if whole_end < len(HEADER):
            journal.truncate(0)
            journal.write(HEADER)
            journal.flush()
        with contextlib.suppress(_NothingWritten), atomic_write(path) as temporary:
            with open(temporary, "wb") as whole:
                whole.write(HEADER)
                scores = Scores(path, known, journal, whole)
                yield scores
            if not scores.keys:
                raise _NothingWritten
            if n_others := len(keys - scores.keys) + n_foreign:
                with atomic_write(previous) as copy:
                    shutil.copyfile(path, copy)
                rows = "1 row" if n_others == 1 else f"{n_others} rows"
                say(
                    f"{rows} of '{path}' not asked for now, or not as --predict wrote them: the "
                    f"file as it was is kept in '{previous}'"
                )
        unfinished.unlink()


class _NothingWritten(Exception):
    """The file is to stay as it was."""


def _find_key(result):
    """What tells one measurement from another."""
    return result.light_curve, result.network, result.campaign


def _lock(unfinished, path):
    """The unfinished file, open to append, and this run's alone until it is closed."""
    try:
        import fcntl
    except ModuleNotFoundError:  # Windows
        raise DataError("stars are scored on Linux, macOS and WSL, not on Windows itself") from None
    while True:
        stream = open(unfinished, "ab")  # noqa: SIM115 (the caller closes it)
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            stream.close()
            raise DataError(
                f"'{path}' is being written by another run: wait for its end, or give another "
                "--output"
            ) from None
        with contextlib.suppress(FileNotFoundError):
            if os.path.samestat(os.stat(unfinished), os.fstat(stream.fileno())):
                return stream
        stream.close()  # the run before ended in between, and took the file away
