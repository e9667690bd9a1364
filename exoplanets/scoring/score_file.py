"""The file of scores, `scores.csv`: a row per star, known by the content of its light curve.

A run adds each new row at once to `scores.unfinished.csv`, and at its end replaces `scores.csv` as
a whole: by the stars that were asked for, in the order of the input. What an earlier run measured
on the same light curve with the same network is taken from either file and not measured again. A
run that was interrupted and started again ends with the same bytes as one that was not.
"""

import contextlib
import csv
import io
import os
import shutil
from pathlib import Path

from exoplanets.files import DataError, atomic_write, say

COLUMNS = (
    "name", "score", "probability", "prevalence", "called", "period_days", "epoch_days",
    "duration_hours", "depth_ppm", "snr", "statistic", "n_cadences", "network",
    "campaign", "light_curve", "notes",
)  # fmt: skip
# What rests on nothing but the light curve, the network and the campaign: it is used again.
MEASURED = ("score", "called", *COLUMNS[COLUMNS.index("period_days") : COLUMNS.index("network")])
FORMULA = ("=", "+", "-", "@", "\t", "\r")  # a cell that begins so is computed by a spreadsheet


def make_text_cell(text):
    """A text as it is written to a cell: an apostrophe keeps a spreadsheet from computing it."""
    return "'" + text if text.startswith(FORMULA) else text


def format_line(cells):
    """One line of the file, bytes; names may hold line ends, and characters that are no text."""
    stream = io.StringIO()
    csv.writer(stream).writerow(cells)  # ends in CR LF, and so quotes cells that hold either
    return (stream.getvalue()[:-2] + "\n").encode("utf-8", "backslashreplace")


HEADER = format_line(COLUMNS)


def read_whole_rows(stream):
    """Yield the whole rows of an open binary file of scores, and where each ends, in bytes.

    A row is a dict of texts by column. A last row that was cut off does not come.
    """
    lines = (line.decode("utf-8", "replace") for line in stream if line.endswith(b"\n"))
    with contextlib.suppress(csv.Error):  # the file ends within a quoted cell
        for cells in csv.reader(lines, strict=True):
            if len(cells) == len(COLUMNS) and tuple(cells) != COLUMNS:
                yield dict(zip(COLUMNS, cells, strict=True)), stream.tell()


def name_beside(path):
    """Names of the files that belong to a file of scores: the unfinished and the previous one."""
    path = Path(path)
    return [
        path.with_name(f"{path.stem}.{kind}{path.suffix}") for kind in ("unfinished", "previous")
    ]


def check_ours(path):
    """Refuse a file that is there and that `--predict` did not write, before it is touched."""
    if not os.path.lexists(path):
        return
    if not path.is_file():  # a folder, a pipe, a link to nothing
        raise DataError(f"'{path}' is not an ordinary file: give another --output")
    with open(path, "rb") as stream:
        start = stream.read(len(HEADER))
    if not HEADER.startswith(start):  # a header may have been cut off
        raise DataError(
            f"'{path}' was not written by --predict of this version, and is left as it was: give "
            "another --output"
        )


class Scores:
    """A file of scores that is being written; see `open_scores`.

    `known` holds what was measured before: per `light_curve` a tuple in the order of `MEASURED`.
    """

    def __init__(self, path, known, journal, whole):
        self.known, self.keys = known, set()
        self._path, self._journal, self._whole = path, journal, whole

    def remember(self, cells):
        """Add a row that was written to what is known."""
        self.known[cells["light_curve"]] = tuple(cells[column] for column in MEASURED)

    def write(self, rows):
        """Write some rows, and those that are new to the unfinished file too.

        A row is a dict of cells by column, and whether they were measured now.
        """
        try:
            for cells, is_new in rows:
                line = format_line(cells[column] for column in COLUMNS)
                self._whole.write(line)
                if is_new:
                    self._journal.write(line)
                self.keys.add(_find_key(cells))
            self._journal.flush()
        except OSError as error:
            raise DataError(f"'{self._path}' cannot be written: {error.strerror}") from error


@contextlib.contextmanager
def open_scores(path, network, campaign):
    """Write a file of scores: yields a `Scores`; the file is replaced when the block ends well.

    It stays as it was if no row was written. If it holds stars that were not asked for this time,
    it is first copied to `scores.previous.csv`.

    Only rows of this `network` and this `campaign` (the columns of these names) are used again.
    DataError if the path is another file's or cannot be written, or if another run is writing it.
    """
    path = Path(path)
    unfinished, previous = name_beside(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        for each in (path, unfinished, previous):
            check_ours(each)
        journal = _lock(unfinished, path)
    except OSError as error:
        reason = error.strerror or error
        raise DataError(
            f"'{path}' cannot be written: {reason}; choose another place with --output"
        ) from error
    known, keys = {}, set()
    with journal:
        for source in (path, unfinished):
            end = 0
            if source.exists():
                with open(source, "rb") as stream:
                    for cells, end in read_whole_rows(stream):  # noqa: B007 (its last value is used)
                        key = _find_key(cells)
                        if source == path:
                            keys.add(key)
                        if key[1:] == (network, campaign):
                            known[key[0]] = tuple(cells[column] for column in MEASURED)
        journal.truncate(end)  # what a killed run left of a row
        if not end:
            journal.write(HEADER)
            journal.flush()
        with contextlib.suppress(_NothingWritten), atomic_write(path) as temporary:
            with open(temporary, "wb") as whole:
                whole.write(HEADER)
                scores = Scores(path, known, journal, whole)
                yield scores
            if not scores.keys:
                raise _NothingWritten
            if n_others := len(keys - scores.keys):
                with atomic_write(previous) as copy:
                    shutil.copyfile(path, copy)
                stars = "1 row that was" if n_others == 1 else f"{n_others} rows that were"
                say(f"{stars} not asked for now: '{path}' as it was is kept in '{previous}'")
        unfinished.unlink()


class _NothingWritten(Exception):
    """The file is to stay as it was."""


def _find_key(cells):
    """What tells one measurement from another."""
    return cells["light_curve"], cells["network"], cells["campaign"]


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
