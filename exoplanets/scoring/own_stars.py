"""The user's own stars: found, read and cleaned, whatever kind of file they come in.

The kinds of file are those of `scoring/formats.py`. Nothing here raises on a user's file: whatever
cannot be used comes out as an `Unreadable`, in place::

    files, unreadable = find_files(["exoTest.csv", "mastDownload/", "more/*.npz"])
    for target in group_files(files):
        for star in read_stars(target):
            print(star if isinstance(star, Unreadable) else star.name)
"""

import glob
import os
import re
from collections import Counter, defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from exoplanets.files import DataError, one_line
from exoplanets.lightcurves.detrend import find_median
from exoplanets.scoring.cleaning import clean_flux, find_flares, find_stray, to_flux
from exoplanets.scoring.formats import FORMATS, find_suffix
from exoplanets.scoring.resample import Resampled, join, sort_samples, to_long_cadence
from exoplanets.scoring.samples import (
    COLUMNS_ONLY,
    UNKNOWN_SYSTEM,
    Samples,
    Unreadable,
    find_target,
    show_name,
    show_text,
)
from exoplanets.stars import CADENCE_DAYS, SHORTEST

MOST_CHARACTERS = 240  # of a reason: one line
MOST_REPEATS = 0.5  # share of cadences with the flux of the one before
LEAST_POSITIVE = 0.99  # of the flux, if nothing was subtracted from it


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
    time_system: str = UNKNOWN_SYSTEM  # or "BKJD", "BTJD", ...
    # Median flux as read, for depths relative to the star's brightness. None if it is not above
    # the flux's scatter, or not almost all flux is above 0: then a median or a mean was subtracted,
    # as in the Kaggle schema.
    level: float | None = None
    cadence: np.ndarray | None = None  # the mission's number, int64, where the file has them
    target: str = ""  # number in an input catalogue, such as "KIC 757076"
    file: str = ""  # what messages call it: its file, or the first of several
    sampling: float = 1.0  # cadences from one sample of the file to the next, if they are coarser

    @property
    def days(self):
        """Times of all cadences as the file counts them, ndarray of shape (n_cadences,)."""
        return np.arange(len(self.flux)) * CADENCE_DAYS if self.time is None else self.time


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
                reason = f"holds no {', '.join(FORMATS)}: correct the path"
            unreadable.append(Unreadable(show_name(pattern), reason))
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
    return sorted(path for path in found if find_suffix(path) in FORMATS)


def _is_hidden(path, asked):
    """Whether a name in a path begins with a point, and was not asked for."""
    return any(part.startswith(".") and part not in asked.parts for part in path.parts)


def group_files(paths):
    """A list of `Target`: the archive's files of one star together, every other file by itself."""
    targets = defaultdict(list)
    for path in map(Path, paths):
        kind = FORMATS.get(find_suffix(path))
        star = kind.find_star(path) if kind and kind.find_star and path.is_file() else None
        targets[star or show_name(path)].append(path)
    return [Target(name, tuple(files)) for name, files in targets.items()]


# ----------------------------------------------------------------------------------- reading
class _Part(NamedTuple):
    """The light curve of one file or row, at the long cadence."""

    file: str  # or file:row
    samples: Samples
    curve: Resampled
    counts: Counter  # of what was left out
    notes: tuple


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
        for part in _read_parts(path, magnitudes):
            if isinstance(part, Unreadable):
                yield part
            elif len(target.files) == 1:
                row = part.samples.row
                name = target.name if row is None else f"{target.name}:{show_name(row)}"
                yield _attempt(part.file, _make_star, name, [part])
            else:
                parts.append(part)
    if parts:
        more = f" and {len(parts) - 1} more" if len(parts) > 1 else ""
        n_unusable = len(target.files) - len(parts)
        yield _attempt(parts[0].file + more, _make_star, target.name, parts, n_unusable)


def make_star(samples, name, magnitudes=None):
    """The `Star` of samples that come from no file, or an `Unreadable`; see `read_stars`."""
    part = _attempt(name, _prepare, samples, name, magnitudes)
    return part if isinstance(part, Unreadable) else _attempt(name, _make_star, name, [part])


def _attempt(name, function, *arguments):
    """What a function returns, or an Unreadable: what is wrong with one star costs no other."""
    try:
        return function(*arguments)
    except Exception as error:
        return Unreadable(name, _describe(error))


def _describe(error):
    """The reason that an Unreadable gives, on one line."""
    if not isinstance(error, DataError):
        error = f"cannot be used ({type(error).__name__}: {one_line(error)}): fetch it again"
    return show_text(error)[:MOST_CHARACTERS]  # some quote what damage left in a file


def _read_parts(path, magnitudes):
    """Yield a `_Part` or an Unreadable for each star of a file; the last if it breaks off."""
    file, suffix = show_name(path), find_suffix(path)
    try:
        if suffix not in FORMATS:
            raise DataError(f"is of no known kind: {', '.join(FORMATS)} are read")
        if path.exists() and not path.is_file() and not path.is_dir():
            raise DataError("is a pipe or a device: give a file")  # opening a pipe never ends
        for samples in FORMATS[suffix].read(path):
            if isinstance(samples, Unreadable):
                yield Unreadable(f"{file}:{samples.name}", samples.reason)
                continue
            name = file if samples.row is None else f"{file}:{show_name(samples.row)}"
            yield _attempt(name, _prepare, samples, name, magnitudes)
    except Exception as error:
        yield Unreadable(file, _describe(error))


def _prepare(samples, file, magnitudes):
    """The `_Part` of some samples; a DataError says what is wrong with them."""
    samples = to_flux(samples, magnitudes)
    time, flux, cadence, counts = None, samples.flux, None, Counter()
    if samples.time is not None:
        time, flux, cadence, dropped = sort_samples(
            samples.time, flux, samples.flagged, samples.cadence
        )
        kept = ~find_stray(time)
        counts = Counter({f"{what} dropped": count for what, count in dropped.items()})
        counts["stray times left out"] = np.count_nonzero(~kept)
        time, flux = time[kept], flux[kept]
        cadence = None if cadence is None else cadence[kept]
    flux, counts["impossible values left out"], note = clean_flux(flux)
    curve = Resampled(None, flux) if time is None else to_long_cadence(time, flux, cadence)
    notes = tuple(filter(None, (*samples.notes, curve.note, note)))
    return _Part(file, samples, curve, counts, notes)


def _join_parts(parts):
    """The joined `Resampled` of a star's files, the parts that are in it, and notes with counts."""
    files = {}  # by time system, one of them
    for part in parts:
        files.setdefault(part.samples.time_system, Path(part.file).name)
    if len(files) > 1:
        systems = ", ".join(f"{system} in '{file}'" for system, file in files.items())
        raise DataError(f"has files with different times, {systems}: give them one zero")
    curve, used = join([part.curve for part in parts])
    kept = [parts[i].samples for i in used]
    pieces = {(samples.part, samples.part_number or i) for i, samples in enumerate(kept)}
    kinds = {kind for kind, _ in pieces}
    kind = kinds.pop() if len(kinds) == 1 else "file"
    n_joined = len(pieces) if len(pieces) > 1 else 0  # two files of one quarter are one
    counts = {f"{kind}s joined": n_joined, "copies left out": len(parts) - len(used)}
    return curve, [parts[i] for i in used], counts


def _make_star(name, parts, n_unusable=0):
    """The star of one light curve, or of several that are joined."""
    file, samples, curve, joined = parts[0].file, parts[0].samples, parts[0].curve, {}
    if len(parts) > 1:
        file = f"{file} and {len(parts) - 1} more"
        curve, parts, joined = _join_parts(parts)
    values = curve.flux[~np.isnan(curve.flux)]
    if values.size < SHORTEST:
        raise DataError(
            f"has {values.size} cadences that are not missing: at least {SHORTEST} are needed"
        )
    if values.min() == values.max():
        raise DataError(f"has the same flux, {values[0]:g}, at every cadence: fetch it again")
    repeats = np.mean(values[1:] == values[:-1])
    if repeats > MOST_REPEATS:
        raise DataError(
            f"has the flux of the cadence before at {repeats:.0%} of its cadences, so that its "
            "noise cannot be measured: give it with more digits"
        )
    level = find_median(values)[0]
    positive = (values > 0).mean() >= LEAST_POSITIVE
    has_level = positive and level > find_median(np.abs(values - level))[0]
    flux = curve.flux
    if samples.time_system != COLUMNS_ONLY:  # rows of a table are scored as in training
        flux = np.where(flares := find_flares(flux), np.nan, flux)
        joined["cadences of flares left out"] = np.count_nonzero(flares)
    counts = sum((part.counts for part in parts), Counter()) | joined
    counts["files unusable"] = n_unusable
    notes = [note for part in parts for note in part.notes]
    notes += [f"{count} {what}" for what, count in counts.items() if count]
    return Star(
        name=name,
        flux=flux,
        time=curve.time,
        notes=tuple(dict.fromkeys(notes)),  # each note once
        time_system=samples.time_system,
        level=float(level) if has_level else None,
        cadence=curve.cadence,
        target=samples.target or find_target(Path(file).name),
        file=file,
        sampling=curve.sampling,
    )
