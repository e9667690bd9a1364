"""The user's own stars: every kind of file that `cnn_classifier.py --predict FILE...` accepts.

===========================  =========================================================
``.csv``                     the Kaggle schema (``FLUX.1``, ``FLUX.2``, ..., with or
                             without ``LABEL``), one star a row; or one star, as text
``.csv .txt .dat .tsv``      one star as text: columns of time (days) and flux or
``.tbl .ecsv``               magnitude, with names or without; see `scoring/text.py`
``.npz``                     one star or many; see `scoring/npz.py`
``.fits .fit``               Kepler, K2 and TESS, their pipelines and others; see
                             `scoring/fits.py`
===========================  =========================================================

Each may be compressed, as in ``.csv.gz``. Nothing here raises on a user's file: whatever cannot be
used comes out as an `Unreadable`, in place::

    files, unreadable = find_files(["exoTest.csv", "mastDownload/", "more/*.npz"])
    for target in group_files(files):
        for star in read_stars(target):
            print(star if isinstance(star, Unreadable) else star.name)

A new kind of file of single stars is one module with a function of a path that yields `Samples`,
and one line in `STAR_FORMATS`; a new kind of table, see `sources/formats.py`.
"""

import dataclasses
import glob
import os
import re
from collections import Counter, defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from exoplanets.files import DataError
from exoplanets.scoring.fits import find_star, read_fits
from exoplanets.scoring.npz import read_npz
from exoplanets.scoring.resample import Curve, join, sort_samples, to_long_cadence
from exoplanets.scoring.samples import Samples, Unreadable, find_target
from exoplanets.scoring.text import find_archive_star, read_text
from exoplanets.sources.formats import TABLE_FORMATS, find_suffix, read_table
from exoplanets.sources.table import LARGEST_FLUX, LONGEST_LINE, is_table, open_bytes

STAR_FORMATS = {  # suffix: function that yields the `Samples` of a file
    **dict.fromkeys((".csv", ".txt", ".dat", ".tsv", ".tbl", ".ecsv"), read_text),
    ".npz": read_npz,
    **dict.fromkeys((".fits", ".fit"), read_fits),
}
# Formats that come in several files a star: functions that tell the star of a file, or None.
STAR_OF_FILE = {".fits": find_star, ".fit": find_star, ".tbl": find_archive_star}

SHORTEST = 500  # cadences that are not missing, about 10 days
COLUMNS_ONLY = "since the first column"  # time system of a row in the Kaggle schema
MOST_CHARACTERS = 240  # of a reason: one line
MAGNITUDES = (3, 25)  # of stars that have light curves
LEAST_POSITIVE = 0.99  # of the flux, if nothing was subtracted from it
SMALL_SCATTER = 0.3  # magnitudes from one sample to the next; the flux of so faint a star has more


@dataclass(frozen=True, eq=False)
class Star:
    """One light curve, sampled at the long cadence; arrays have the shape (n_cadences,)."""

    # `file` or `file:row`, the file as it was given and the row 0-based without header, as in
    # `test_predictions.csv`; the target ("KIC 757076") for files of the archive. One printable
    # line, unique in one run.
    name: str
    flux: np.ndarray  # float64, e-/s or any other linear unit; NaN where missing
    # Days, from any zero, increasing; exact at each measured cadence. None where the file has no
    # times: then the index times `CADENCE_DAYS`.
    time: np.ndarray | None = None
    notes: tuple = ()  # what was done to it, such as "resampled from 2.0 min"
    time_system: str = "as in the file"  # or "BKJD", "BTJD", ...
    # Median flux as read, for depths relative to the star's brightness. None if it is not above
    # the flux's scatter, or not almost all flux is above 0: then a median or a mean was subtracted,
    # as in the Kaggle schema.
    level: float | None = None
    cadence: np.ndarray | None = None  # the mission's number, int64, where the file has them
    target: str = ""  # number in an input catalogue, such as "KIC 757076"
    file: str = ""  # what messages call it: its file, or the first of several


class Target(NamedTuple):
    """What is read, and mapped over, as one: a file, or all the archive's files of one star."""

    name: str
    files: tuple


def summarise_unreadable(unreadable):
    """One line for each reason among some `Unreadable`, with a count, in the order of the first.

    Reasons that differ in numbers only are the same.
    """
    first, count = {}, Counter()
    for each in unreadable:
        kind = re.sub(r"\d[\d.e+-]*", "0", each.reason)
        first.setdefault(kind, each)
        count[kind] += 1
    return [
        str(each) + (f" ({count[kind] - 1} more like it)" if count[kind] > 1 else "")
        for kind, each in first.items()
    ]


# ------------------------------------------------------------------------------- which files
def find_files(patterns):
    """Expand files, folders (all known kinds below them) and globs.

    Returns a list of paths, each file once, in the order of the patterns and sorted within each;
    and a list of `Unreadable`, the patterns that match nothing.
    """
    files, unreadable = {}, []
    for pattern in map(os.fspath, patterns):
        found = [
            file
            for root in _expand(pattern)
            for file in (_below(root) if root.is_dir() else [root])
        ]
        for file in found:
            files.setdefault(os.path.realpath(file), file)
        if not found:
            reason = "matches no file: correct the path"
            if not pattern:
                reason = "is an empty name: give a file, a folder or a pattern"
            elif os.path.isdir(pattern):
                reason = f"holds no {', '.join(_known())}: correct the path"
            unreadable.append(Unreadable(_show_name(pattern), reason))
    return list(files.values()), unreadable


def _expand(pattern):
    """Files and folders that a pattern names, sorted."""
    # A name with brackets may be that very file: only what is not there is a pattern.
    if os.path.lexists(pattern):
        return [Path(pattern)]
    path = Path(pattern)
    if "**" not in path.parts:
        return sorted(map(Path, glob.glob(pattern)))
    # Unlike glob, pathlib follows no symbolic link from folder to folder: it cannot go in a circle.
    parts = path.relative_to(path.anchor).parts
    parts = [part if part == "**" else re.sub(r"\*+", "*", part) for part in parts]
    found = Path(path.anchor).glob(os.path.join(*parts))
    return sorted(each for each in found if not _is_hidden(each, path))


def _below(folder):
    """Files of known kinds in a folder and its folders, sorted; hidden ones are not meant.

    Links to folders are followed. A folder that several names lead to is looked into once: links
    may go in a circle.
    """
    found, seen = [], set()
    for here, folders, names in os.walk(folder, followlinks=True):
        real = os.path.realpath(here)
        folders[:] = [] if real in seen else sorted(f for f in folders if f[0] != ".")
        if real not in seen:
            found += [Path(here, name) for name in names if name[0] != "."]
        seen.add(real)
    return sorted(path for path in found if find_suffix(path) in _known())


def _known():
    """Suffixes of all kinds of file that are read."""
    return dict.fromkeys([*TABLE_FORMATS, *STAR_FORMATS])


def _is_hidden(path, asked):
    """Whether a name in a path begins with a point, and was not asked for."""
    return any(part.startswith(".") and part not in asked.parts for part in path.parts)


def group_files(paths):
    """A list of `Target`: the archive's files of one star together, every other file by itself."""
    targets = defaultdict(list)
    for path in map(Path, paths):
        find = STAR_OF_FILE.get(find_suffix(path))
        star = find(path) if find and path.is_file() else None
        targets[star or _show_name(path)].append(path)
    return [Target(name, tuple(files)) for name, files in targets.items()]


def _show_name(name):
    """A name on one line, with escapes for what is no character or cannot be seen."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in str(name))


# ----------------------------------------------------------------------------------- reading
class _Part(NamedTuple):
    """The light curve of one file or row, at the long cadence."""

    file: str
    samples: Samples
    curve: Curve
    dropped: Counter


def read_stars(target, magnitudes=None):
    """Yield each `Star` of a `Target` or a path, in the file's order, or an `Unreadable` for it.

    What is wrong with a row, or with one of a star's files, costs only that; a file that breaks off
    gives the stars before the damage, then an `Unreadable`.

    `magnitudes` tells whether columns that do not say what they are hold magnitudes. By default
    such a column is flux, and refused if its values look like magnitudes: upside down, a flare is a
    transit. False is also believed of columns that are named as magnitudes.
    """
    if not isinstance(target, Target):
        (target,) = group_files([target])
    parts = []
    for path in target.files:
        for samples in _read_file(path):
            if isinstance(samples, Unreadable):
                yield samples
                continue
            row = "" if samples.row is None else f":{_show_name(samples.row)}"
            try:
                part = _prepare(samples, _show_name(path) + row, magnitudes)
            except DataError as error:
                yield Unreadable(_show_name(path) + row, str(error))
                continue
            if len(target.files) == 1:
                yield _make_star(target.name + row, [part])
            else:
                parts.append(part)
    if parts:
        yield _make_star(target.name, parts, n_unusable=len(target.files) - len(parts))


def make_star(samples, name, magnitudes=None):
    """The `Star` of samples that come from no file, or an `Unreadable`; see `read_stars`."""
    try:
        return _make_star(name, [_prepare(samples, name, magnitudes)])
    except DataError as error:
        return Unreadable(name, str(error))


def _read_file(path):
    """Yield the samples of a file; the last is an Unreadable if it cannot be used any further."""
    try:
        suffix = find_suffix(path)
        if suffix not in _known():
            raise DataError(f"is of no known kind: {', '.join(_known())} are read")
        if path.exists() and not path.is_file() and not path.is_dir():
            raise DataError("is a pipe or a device: give a file")  # opening a pipe never ends
        if suffix in TABLE_FORMATS and (suffix not in STAR_FORMATS or _begins_table(path)):
            yield from _read_table_rows(path)
        else:
            yield from STAR_FORMATS[suffix](path)
    except DataError as error:
        reason = _show_name(error)  # some quote what damage left in a file
        yield Unreadable(_show_name(path), reason[:MOST_CHARACTERS])


def _begins_table(path):
    """Whether a file's first line is that of the Kaggle schema."""
    with open_bytes(path) as stream:
        return is_table(stream.readline(LONGEST_LINE))


def _read_table_rows(path):
    """Samples of the rows of a table in the Kaggle schema."""
    name = _show_name(path)
    for block in read_table(path, fewest=SHORTEST):
        for i, flux in enumerate(block.flux):
            row = block.start + i
            if i in block.problems:
                yield Unreadable(f"{name}:{row}", block.problems[i])
                continue
            label = np.nan if block.labels is None else block.labels[i]
            notes = (f"label {label:g} in file",) if np.isfinite(label) else ()
            yield Samples(flux, row=row, kind="flux", time_system=COLUMNS_ONLY, notes=notes)


def _prepare(samples, file, magnitudes):
    """Samples as flux at the long cadence; a DataError says what is wrong with them."""
    samples = _to_flux(samples, magnitudes)
    time, flux, cadence, dropped = None, samples.flux, None, Counter()
    if samples.time is not None:
        time, flux, cadence, dropped = sort_samples(
            samples.time, flux, samples.flagged, samples.cadence
        )
    for place in np.flatnonzero(np.abs(flux) > LARGEST_FLUX)[:1]:
        where = f"cadence {place}" if time is None else f"the time {time[place]:.10g}"
        raise DataError(f"has a flux of {flux[place]:g} at {where}: empty it")
    curve = Curve(None, flux) if time is None else to_long_cadence(time, flux, cadence)
    return _Part(file, samples, curve, dropped)


def _to_flux(samples, magnitudes):
    """Samples with flux in place of magnitudes."""
    values = samples.flux[np.isfinite(samples.flux)]
    if not values.size or samples.kind == "flux":
        return samples
    low, middle, high = values.min(), np.median(values), values.max()
    if magnitudes or (magnitudes is None and samples.kind == "magnitudes"):
        if not -40 < low <= high < 40:
            raise DataError(f"has values from {low:g} to {high:g}: they are no magnitudes")
        notes = (*samples.notes, "magnitudes turned into relative flux")
        return dataclasses.replace(
            samples, flux=10 ** (-0.4 * (samples.flux - middle)), notes=notes
        )
    if (
        magnitudes is None
        and MAGNITUDES[0] < middle < MAGNITUDES[1]
        and low > 0
        and values.size > 1
        and 0 < np.median(np.abs(np.diff(values))) < SMALL_SCATTER
    ):
        raise DataError(
            f"has values around {middle:.4g} that may be magnitudes: add --magnitudes if they "
            "are, --flux if they are not"
        )
    return samples


def _make_star(name, parts, n_unusable=0):
    """The star of one light curve, or of several that are joined; or the Unreadable."""
    (file, samples, curve, _), n_parts, joined = parts[0], len(parts), {}
    if n_parts > 1:
        file = f"{file} and {n_parts - 1} more"
        curve, used = join([part.curve for part in parts])
        parts = [parts[i] for i in used]
        joined = {f"{samples.part}s joined": len(used), "copies left out": n_parts - len(used)}
    dropped = sum((part.dropped for part in parts), Counter())
    counts = {f"{what} dropped": count for what, count in dropped.items()}
    counts |= joined | {"files unusable": n_unusable}
    notes = [note for part in parts for note in (*part.samples.notes, part.curve.note) if note]
    notes += [f"{count} {what}" for what, count in counts.items() if count]
    values = curve.flux[~np.isnan(curve.flux)]
    if values.size < SHORTEST:
        reason = f"has {values.size} cadences that are not missing: at least {SHORTEST} are needed"
        return Unreadable(file, reason)
    if values.min() == values.max():
        return Unreadable(
            file, f"has the same flux, {values[0]:g}, at every cadence: fetch it again"
        )
    level = np.median(values)
    positive = (values > 0).mean() >= LEAST_POSITIVE
    has_level = positive and level > np.median(np.abs(values - level))
    return Star(
        name=name,
        flux=curve.flux,
        time=curve.time,
        notes=tuple(dict.fromkeys(notes)),  # each note once
        time_system=samples.time_system,
        level=float(level) if has_level else None,
        cadence=curve.cadence,
        target=samples.target or find_target(Path(file).name),
        file=file,
    )
