"""The user's own stars: every kind of file that `cnn_classifier.py --predict FILE...` accepts.

===================  =================================================================
``.csv .csv.gz``     the Kaggle schema (``FLUX.1``, ``FLUX.2``, ..., with or without ``LABEL``),
                     one star a row; or one star: columns time (days) and flux, optional quality
``.npz``             ``flux`` (n_cadences,) or (n_stars, n_cadences); optional ``time``, ``names``
``.fits .fits.gz``   Kepler, K2 and TESS light curves as the archive has them (needs lightkurve)
===================  =================================================================

Nothing here raises on a user's file: whatever cannot be used comes out as a `Bad`, in place::

    files, bad = find_files(["exoTest.csv", "mastDownload/", "more/*.npz"])
    for unit in group_files(files):
        for star in read_stars(unit):
            print(star if isinstance(star, Bad) else star.name)

Tables are streamed: a million rows need no more memory than a few hundred.
"""

import glob
import gzip
import io
import logging
import re
import warnings
import zipfile
import zlib
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from exoplanets.files import DataError
from exoplanets.sources.table import LFS_POINTER
from exoplanets.stars import CADENCE_DAYS

SHORTEST = 500  # cadences that are not missing, about 10 days
SUFFIXES = (".csv", ".csv.gz", ".npz", ".fits", ".fits.gz")
TIME_COLUMNS = ("TIME", "BJD", "BTJD", "KBJD", "BKJD", "JD")  # in order of preference
FLUX_COLUMNS = ("FLUX", "PDCSAP_FLUX", "SAP_FLUX")
QUALITY_COLUMNS = ("QUALITY", "SAP_QUALITY")
# 2.6.0 asks for pandas < 3, and would replace this repository's.
NEEDS_LIGHTKURVE = 'needs lightkurve to be read: pip install "lightkurve==2.5.1"'
PIECES = {"Kepler": "quarters", "K2": "campaigns", "TESS": "sectors"}
SAME_CADENCE = 0.03  # relative: TESS's 30.0 min full frames count as long cadence
COARSEST = 1.5  # long cadences: beyond, a transit of 1.5 h is a single point
PLAUSIBLE_STEP = (1 / 86400, 0.1)  # days: outside, the times are in another unit
LONGEST_DAYS = 30 * 365.25  # one stray time must not make a grid of gigabytes
BLOCK_BYTES = 1 << 21  # of a table at a time: about 50 stars, whatever its number of rows
LONGEST_LINE = 1 << 24  # bytes: no row is longer, binary junk is
FITS_BLOCK, FITS_CARD = 2880, 80  # bytes
FITS_HEADER_BLOCKS = 40  # archive headers have 2 or 3


@dataclass(frozen=True, eq=False)
class Star:
    """One light curve, sampled at the long cadence.

    Attributes
    ----------
    name : str
        ``file`` or ``file:row``, the file as it was given and the row 0-based without header,
        as in `test_predictions.csv`; the target (``KIC 757076``) for FITS. Unique in one run.
    flux : ndarray of shape (n_cadences,)
        float64, e-/s or any other linear unit; NaN where missing.
    time : ndarray of shape (n_cadences,) or None
        Days, from any zero, increasing; exact at each measured cadence. None where the file has
        no times: then the index times `CADENCE_DAYS`.
    notes : tuple of str
        What was done to it, such as "resampled from 2.0 min".
    """

    name: str
    flux: np.ndarray
    time: np.ndarray | None = None
    notes: tuple = ()


class Bad(NamedTuple):
    """A file or row that cannot be used; as text, the one line that says so."""

    name: str
    reason: str

    def __str__(self):
        return f"'{self.name}' {self.reason}"


class Unit(NamedTuple):
    """What is read, and mapped over, as one: a file, or all FITS files of one star."""

    name: str
    files: tuple


# ------------------------------------------------------------------------------- which files
def find_files(patterns):
    """Expand files, folders (all known kinds below them) and globs.

    Parameters
    ----------
    patterns : iterable of str or path

    Returns
    -------
    files : list of Path
        Each file once; the order of the patterns, sorted within each.
    bad : list of Bad
        Patterns that match nothing.
    """
    files, bad = {}, []
    for pattern in map(str, patterns):
        path = Path(pattern)
        # A name with brackets may be that very file: only what is not there is a pattern.
        roots = [path] if path.exists() else map(Path, sorted(glob.glob(pattern, recursive=True)))
        found = [file for root in roots for file in (_below(root) if root.is_dir() else [root])]
        for file in found:
            files.setdefault(file.resolve(), file)
        if not found:
            reason = f"holds no {', '.join(SUFFIXES)}" if path.is_dir() else "matches no file"
            bad.append(Bad(pattern, f"{reason}: correct the path"))
    return list(files.values()), bad


def _below(folder):
    """Files of known kinds in a folder and its folders, sorted; hidden ones are not meant."""
    return sorted(
        path
        for path in folder.rglob("*")
        if path.name.lower().endswith(SUFFIXES)
        and not any(part.startswith(".") for part in path.relative_to(folder).parts)
        and path.is_file()
    )


def group_files(paths):
    """Put the FITS files of one target together; every other file is a unit of its own.

    Parameters
    ----------
    paths : iterable of path

    Returns
    -------
    list of Unit
        In the order of their first files.
    """
    units = defaultdict(list)
    for path in map(Path, paths):
        units[_target(path) or str(path)].append(path)
    return [Unit(name, tuple(files)) for name, files in units.items()]


def _target(path):
    """Name of the star in a FITS file's primary header, or None; needs no library."""
    if not path.name.lower().endswith((".fits", ".fits.gz")):
        return None
    cards = {}
    try:
        with _open(path) as stream:
            for _ in range(FITS_HEADER_BLOCKS):
                block = stream.read(FITS_BLOCK).decode("latin-1")
                for start in range(0, len(block), FITS_CARD):
                    value = block[start + 10 : start + FITS_CARD].strip()
                    value = value[1:].split("'")[0] if value[:1] == "'" else value.split("/")[0]
                    cards[block[start : start + 8].strip()] = " ".join(value.split())
                if "END" in cards or len(block) < FITS_BLOCK:
                    break
    except (OSError, EOFError, zlib.error):
        return None  # reading it will say why
    number = next((cards[key] for key in ("KEPLERID", "TICID") if cards.get(key)), None)
    return number and (cards.get("OBJECT") or f"{cards.get('TELESCOP', '')} {number}".strip())


# ----------------------------------------------------------------------------------- reading
def read_stars(unit):
    """Read the stars of a unit, one after the other.

    Parameters
    ----------
    unit : Unit or path

    Yields
    ------
    Star or Bad
        In the file's order. What is wrong with one row, or one of several FITS files, costs only
        that; a file that breaks off gives the stars before the damage, then a `Bad`.
    """
    if not isinstance(unit, Unit):
        unit = Unit(str(unit), (Path(unit),))
    path = unit.files[0]
    kind = next((s for s in SUFFIXES if path.name.lower().endswith(s)), None)
    try:
        if kind in (".fits", ".fits.gz"):
            yield from _read_fits(unit)
            return
        if kind is None:
            raise DataError(f"is of no known kind: {', '.join(SUFFIXES)} are read")
        _refuse_other_kinds(path)
        yield from _read_npz(path) if kind == ".npz" else _read_csv(path)
    except DataError as error:
        yield Bad(unit.name, str(error))
    except (EOFError, gzip.BadGzipFile, zipfile.BadZipFile, zlib.error, RuntimeError) as error:
        # zipfile has only RuntimeError for an encrypted or oddly packed member
        yield Bad(unit.name, f"is damaged or truncated ({_one_line(error)}): fetch it again")
    except OSError as error:
        yield Bad(unit.name, f"cannot be read: {error.strerror or error}")
    except UnicodeDecodeError:
        yield Bad(unit.name, "is not a text file: fetch it again, or correct its name")


def _open(path):
    """The file's bytes, uncompressed."""
    return gzip.open(path, "rb") if path.name.lower().endswith(".gz") else open(path, "rb")


def _one_line(error):
    """The first line of what an exception says, or its kind."""
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return " ".join(lines[0].split()).rstrip(":")[:120]


def _refuse_other_kinds(path):
    """Refuse, from its first bytes, a file that is not what its name says."""
    with open(path, "rb") as stream:
        start = stream.read(64)
    if not start.strip():
        raise DataError("is empty: fetch it again")
    if start.startswith(LFS_POINTER):
        raise DataError("is a Git LFS pointer, not the data: run `git lfs pull` where it is from")
    expected = {".npz": b"PK", ".fits": b"SIMPLE  =", ".gz": b"\x1f\x8b"}.get(path.suffix.lower())
    if expected and not start.startswith(expected):
        raise DataError(f"is no {path.suffix} file, whatever its name says: fetch it again")


def _checked(name, flux, time=None, notes=()):
    """A Star, or the Bad that says why its light curve cannot be scored."""
    n_known = int(np.isfinite(flux).sum())
    if np.isinf(flux).any():
        return Bad(name, f"has an infinite flux at cadence {np.isinf(flux).argmax()}: empty it")
    if n_known < SHORTEST:
        reason = f"has {n_known} cadences that are not missing: at least {SHORTEST} are needed"
        return Bad(name, reason)
    return Star(name, flux, time, notes)


def _timed(name, time, flux, quality=None):
    """A Star, or a Bad, of flux at any times in any order."""
    try:
        time, flux, notes = _in_order(time, flux, quality)
        time, flux, note = to_long_cadence(time, flux)
    except DataError as error:
        return Bad(name, str(error))
    return _checked(name, flux, time, (*notes, note) if note else notes)


def _in_order(time, flux, quality=None):
    """Times that exist, unflagged, increasing, each once; the notes say what that took."""
    known, notes = np.isfinite(time), []
    if not known.all():
        notes.append(f"{(~known).sum()} rows without a time dropped")
    if quality is not None:
        flagged = known & (np.nan_to_num(quality) != 0)
        if flagged.any():
            notes.append(f"{flagged.sum()} flagged cadences dropped")
        known &= ~flagged
    time, flux = time[known], flux[known]
    ordered, first = np.unique(time, return_index=True)
    if (np.diff(time) < 0).any():
        notes.append("sorted in time")
    if ordered.size < time.size:
        notes.append(f"{time.size - ordered.size} repeated times dropped")
    return ordered, flux[first], tuple(notes)


# -------------------------------------------------------------------------------- resampling
def to_long_cadence(time, flux):
    """Bring a light curve to one value every 29.4244 minutes.

    Finer sampling is averaged in bins on a regular grid; a bin with fewer than half of its
    samples is missing. Sampling within 3 % of the long cadence keeps its values bit for bit, each
    in the cell that counting its steps gives, so no beat between two clocks makes gaps; coarser
    sampling goes to the nearest cell. Nothing is interpolated but the times of gaps.

    Parameters
    ----------
    time : ndarray of shape (n_samples,)
        Days, strictly increasing, finite.
    flux : ndarray of shape (n_samples,)
        Any linear unit; NaN where missing.

    Returns
    -------
    time : ndarray of shape (n_cadences,)
        Days: the middle of each bin, or the times as given.
    flux : ndarray of shape (n_cadences,)
        NaN in gaps.
    note : str
        What was done, or "".

    Raises
    ------
    DataError
        If the times are no days, or too far apart for a transit to be seen.
    """
    if time.size < 2:
        raise DataError(f"has {time.size} cadences with a time: at least {SHORTEST} are needed")
    step, span = np.median(np.diff(time)), time[-1] - time[0]
    if not PLAUSIBLE_STEP[0] <= step <= PLAUSIBLE_STEP[1]:
        raise DataError(f"has times that step by {step:.4g}: they must be in days")
    if span > LONGEST_DAYS:
        raise DataError(f"has times from {time[0]:.10g} to {time[-1]:.10g}: they must be in days")
    if step > COARSEST * CADENCE_DAYS:
        raise DataError(
            f"is sampled every {step * 1440:.1f} min: a transit of 1.5 h would be a single point; "
            f"at most {COARSEST * CADENCE_DAYS * 1440:.0f} min can be used"
        )
    if step < (1 - SAME_CADENCE) * CADENCE_DAYS:
        return *_bin(time, flux, step), f"resampled from {step * 1440:.1f} min"

    off = abs(step / CADENCE_DAYS - 1)
    steps = np.rint(np.diff(time) / step)
    cell = np.append(0, np.cumsum(steps)).astype(int)
    drift = np.abs((time - time[0]) / span * cell[-1] - cell).max()
    # Where steps are too uneven to be counted, the clock decides, as it does for other cadences.
    if off > SAME_CADENCE or steps.min() < 1 or drift > 1 + 1e-3 * cell[-1]:
        cell = np.rint((time - time[0]) / CADENCE_DAYS).astype(int)
        order = np.lexsort((np.isnan(flux), cell))  # of two in a cell, one that is known
        cell, first = np.unique(cell[order], return_index=True)
        time, flux = time[order][first], flux[order][first]
    placed = np.full(cell[-1] + 1, np.nan)
    placed[cell] = flux
    note = f"sampled every {step * 1440:.1f} min" if off > 1e-3 else ""
    return np.interp(np.arange(placed.size), cell, time), placed, note


def _bin(time, flux, step):
    """Means over long cadences, and their middles."""
    start = time[0] - step / 2  # a sample's time is the middle of its exposure
    cell = ((time - start) / CADENCE_DAYS).astype(int)
    n_cadences, known = cell[-1] + 1, ~np.isnan(flux)
    count = np.bincount(cell[known], minlength=n_cadences)
    total = np.bincount(cell[known], flux[known], minlength=n_cadences)
    enough = count >= max(1, CADENCE_DAYS / step / 2)
    mean = np.divide(total, count, out=np.full(n_cadences, np.nan), where=enough)
    return start + (np.arange(n_cadences) + 0.5) * CADENCE_DAYS, mean


# --------------------------------------------------------------------------------------- CSV
def _read_csv(path):
    """Stars of a CSV, of the kind its first line tells."""
    with _open(path) as stream:
        line = stream.readline(LONGEST_LINE)
        text = line.decode("utf-8-sig").strip().replace('"', "")
        names = [name.strip().upper() for name in text.lstrip("# ").split(",")]
        if any(re.fullmatch(r"FLUX\.\d+", name) for name in names):
            yield from _read_table(stream, names, path)
            return
        columns = [
            next((names.index(name) for name in wanted if name in names), None)
            for wanted in (TIME_COLUMNS, FLUX_COLUMNS, QUALITY_COLUMNS)
        ]
        headless = len(names) == 2 and not np.isnan([_number(name) for name in names]).any()
        if headless:
            columns = [0, 1, None]
        elif None in columns[:2]:
            raise DataError(
                f"has neither the columns time and flux nor FLUX.1, FLUX.2, ...: its first line "
                f"begins {text[:40]!a}"
            )
        stream.seek(0)
        used = [column for column in columns if column is not None]
        try:
            frame = pd.read_csv(
                stream,
                header=None,
                skiprows=0 if headless else 1,
                usecols=used,
                dtype=np.float64,
            )
        except (pd.errors.EmptyDataError, pd.errors.ParserError):
            raise DataError("has no rows that can be read: fetch it again") from None
        except ValueError as error:
            raise DataError(f"has a cell that is no number ({_one_line(error)})") from None
        yield _timed(str(path), *(frame[column].to_numpy() for column in used))


def _number(text):
    """The number a cell holds, or NaN."""
    try:
        return float(text)
    except ValueError:
        return np.nan


def _read_table(stream, names, path):
    """Stars of a table in the Kaggle schema, its header read already."""
    labelled = names[0] == "LABEL"
    expected = ["LABEL"] * labelled + [f"FLUX.{i + 1}" for i in range(len(names) - labelled)]
    wrong = next(((a, b) for a, b in zip(names, expected, strict=True) if a != b), None)
    if wrong:
        raise DataError(f"has a column {wrong[0]!a} where '{wrong[1]}' is expected")
    if len(names) - labelled < SHORTEST:
        raise DataError(
            f"has {len(names) - labelled} flux columns: at least {SHORTEST} cadences are needed"
        )
    row = 0
    for lines in _blocks_of_lines(stream):
        cells, reasons = _parse_rows(lines, names)
        for values, reason in zip(cells, reasons, strict=True):
            name, notes = f"{path}:{row}", ()
            if labelled and values[0] == values[0]:
                notes = (f"label {values[0]:g} in file",)
            flux = values[labelled:]
            yield Bad(name, reason) if reason else _checked(name, flux, notes=notes)
            row += 1
    if not row:
        raise DataError("has a header and no stars: fetch it again")


def _blocks_of_lines(stream):
    """Yield lists of lines that are not blank, a few MB at a time."""
    rest = b""
    while block := stream.read(BLOCK_BYTES):
        *lines, rest = (rest + block).split(b"\n")
        if len(rest) > LONGEST_LINE:
            raise DataError(f"has a line of over {LONGEST_LINE >> 20} MB: fetch it again")
        yield [line for line in lines if line.strip()]
    yield [rest] if rest.strip() else []


def _parse_rows(lines, names):
    """Numbers of a block's rows, (n, n_columns), and per row why it cannot be read, or None."""
    cells, reasons = np.full((len(lines), len(names)), np.nan), [None] * len(lines)
    whole = []
    for row, line in enumerate(lines):
        if (width := line.count(b",") + 1) == len(names):
            whole.append(row)
        else:
            reasons[row] = f"has {width} cells, the header {len(names)}: fetch the file again"

    def fill(rows):
        cells[rows] = _parse_cells([lines[row] for row in rows]).reshape(-1, len(names))

    try:
        if whole:
            fill(whole)
    except ValueError:  # one of them has text: one by one, to lose no other
        for row in whole:
            try:
                fill([row])
            except ValueError:
                reasons[row] = _name_first_text(lines[row], names)
    return cells, reasons


def _parse_cells(lines):
    """All cells of some lines, as one array of float64.

    They are parsed as a single column, which gives the numbers that pandas gives the table (its C
    parser is the one that `kaggle.load` uses) in half the time.
    """
    text = b"\n".join([*lines, b""]).replace(b",", b"\n")
    frame = pd.read_csv(
        io.BytesIO(text), header=None, dtype=np.float64, skip_blank_lines=False, low_memory=False
    )
    if len(frame) != text.count(b"\n"):
        raise ValueError("a cell breaks the line")
    return frame[0].to_numpy()


def _name_first_text(line, names):
    """Reason naming the first cell of a line that is no number, found by bisection."""
    cells, low, high = line.split(b","), 0, len(names)
    while high - low > 1:
        middle = (low + high) // 2
        try:
            _parse_cells(cells[low:middle])
            low = middle
        except ValueError:
            high = middle
    return f"has text in {names[low]}: {cells[low].decode('latin-1')[:40]!a} is not a number"


# --------------------------------------------------------------------------------------- npz
def _read_npz(path):
    """Stars of an .npz archive; the flux of many is streamed. Never unpickles anything."""
    with zipfile.ZipFile(path) as archive:
        shape, blocks = _open_array(archive, "flux", "fiu", (1, 2))
        n_stars, n_cadences = shape if len(shape) == 2 else (1, *shape)
        time = None
        if "time.npy" in archive.namelist():
            (n_times,), values = _open_array(archive, "time", "fiu", (1,))
            if n_times != n_cadences:
                raise DataError(f"has {n_times} times and {n_cadences} flux values a star")
            time = next(values)[0].astype(np.float64)
        names = [str(path)] if len(shape) == 1 else (f"{path}:{row}" for row in range(n_stars))
        if "names.npy" in archive.namelist():
            _, values = _open_array(archive, "names", "US", (1,))
            names = [f"{path}:{' '.join(name.split())}" for name in next(values)[0].astype(str)]
            if len(names) != n_stars or len(set(names)) < n_stars:
                raise DataError(f"has {len(names)} names for {n_stars} stars, or one name twice")
        rows = (flux for block in blocks for flux in block.astype(np.float64))
        for name, flux in zip(names, rows, strict=True):
            yield _checked(name, flux) if time is None else _timed(name, time, flux)


def _open_array(archive, name, kinds, dimensions):
    """Shape of one array, and an iterator over blocks of its rows (n, n_columns)."""
    if f"{name}.npy" not in archive.namelist():
        raise DataError(f"has no array '{name}': it holds {archive.namelist()[:5]!a}")
    stream = archive.open(f"{name}.npy")
    try:
        version = np.lib.format.read_magic(stream)
        read_header = getattr(np.lib.format, f"read_array_header_{version[0]}_0")
        shape, by_column, dtype = read_header(stream)
    except Exception as error:  # whatever damage makes of NumPy's parser and what it calls
        raise DataError(f"has a damaged array '{name}' ({_one_line(error)})") from None
    if dtype.hasobject:
        raise DataError(f"has Python objects in '{name}': refused, and nothing of them was run")
    if dtype.kind not in kinds or len(shape) not in dimensions or min(shape, default=0) < 1:
        raise DataError(f"has '{name}' of type {dtype} and shape {shape}, which cannot be used")
    n_rows, n_columns = shape if len(shape) == 2 else (1, *shape)
    length = n_columns * dtype.itemsize

    def blocks():
        with stream:
            at_once = n_rows if by_column or len(shape) == 1 else max(1, BLOCK_BYTES // length)
            for start in range(0, n_rows, at_once):
                n = min(at_once, n_rows - start)
                data = stream.read(n * length)
                if len(data) < n * length:
                    raise DataError(f"is truncated: '{name}' ends in row {start}")
                block = np.frombuffer(data, dtype)
                yield block.reshape((n, n_columns), order="F" if by_column else "C")

    return shape, blocks()


# -------------------------------------------------------------------------------------- FITS
class _Part(NamedTuple):
    """One FITS file at the long cadence."""

    time: np.ndarray
    flux: np.ndarray
    n_flagged: int
    notes: tuple
    mission: str


def _read_fits(unit):
    """The one star of some FITS files, after a Bad for each file that cannot be used."""
    parts = []
    for path in unit.files:
        try:
            _refuse_other_kinds(path)
            parts.append(_read_part(path))
        except DataError as error:
            yield Bad(str(path), str(error))
        except OSError as error:
            yield Bad(str(path), f"cannot be read: {error.strerror or error}")
    if not parts:
        return
    notes = [note for part in parts for note in part.notes]
    if n_flagged := sum(part.n_flagged for part in parts):
        notes.append(f"{n_flagged} flagged cadences dropped")
    time, flux = parts[0].time, parts[0].flux
    if len(parts) > 1:
        time, flux = _join(parts)
        notes.append(f"{len(parts)} {PIECES.get(parts[0].mission, 'files')} joined")
    if len(parts) < len(unit.files):
        notes.append(f"{len(unit.files) - len(parts)} unusable")
    yield _checked(unit.name, flux, time, tuple(dict.fromkeys(notes)))  # each note once


def _read_part(path):
    """One FITS file, without the cadences that lightkurve's default quality mask drops."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of optional parts it lacks, of units in old files
        try:
            import lightkurve  # optional, and 4 s to import
        except ImportError:
            raise DataError(NEEDS_LIGHTKURVE) from None
        logging.getLogger("lightkurve").setLevel(logging.ERROR)  # the notes say what was dropped
        try:
            curve = lightkurve.read(str(path))
            if not isinstance(curve, lightkurve.LightCurve):
                raise DataError(f"is a {type(curve).__name__}, not a light curve")
            time, flux = (
                np.array(getattr(values, "unmasked", values).value, dtype=np.float64)
                for values in (curve.time, curve.flux)
            )
        except DataError:
            raise
        except Exception as error:  # whatever damage makes of lightkurve and what it calls
            reason = _one_line(error.__cause__ or error)
            raise DataError(f"is no light curve ({reason}): fetch it again") from error
    mask = curve.meta.get("QUALITY_MASK")
    time, flux, notes = _in_order(time, flux)
    time, flux, note = to_long_cadence(time, flux)
    origin = curve.meta.get("FLUX_ORIGIN", "pdcsap_flux")
    if origin != "pdcsap_flux":
        notes += (f"{origin} instead of pdcsap_flux",)
    n_flagged = 0 if mask is None else int((~np.asarray(mask)).sum())
    notes += (note,) if note else ()
    return _Part(time, flux, n_flagged, notes, curve.meta.get("MISSION"))


def _join(parts):
    """One light curve, in time, of parts that may overlap and lie at different levels.

    A star falls on other pixels each quarter, so its level changes by percents though it did not:
    each part is divided by its median, and all are multiplied by the median of those. Levels
    that are not all positive (an over-subtracted sky) have no ratio; they are subtracted instead.
    """
    blank, parts = parts[0], [part for part in parts if not np.isnan(part.flux).all()]
    if not parts:
        return blank.time, blank.flux
    levels = np.array([np.nanmedian(part.flux) for part in parts])
    common, end = np.median(levels), -np.inf
    pieces = []
    for part, level in sorted(zip(parts, levels, strict=True), key=lambda each: each[0].time[0]):
        flux = part.flux * (common / level) if (levels > 0).all() else part.flux - level
        later = part.time > end + CADENCE_DAYS / 2
        pieces.append((part.time[later], flux[later]))
        end = max(end, part.time[-1])
    time, flux = map(np.concatenate, zip(*pieces, strict=True))
    return to_long_cadence(time, flux)[:2]
