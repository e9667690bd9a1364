"""The light-curve tables: find, download, verify and parse them once.

The public set "Kepler labelled time series data" [1]_ is two CSV files, `exoTrain.csv` and
`exoTest.csv`: one star a row, `LABEL` (2 host, 1 non-host), then `FLUX.1` ... `FLUX.3197`, the
K2 Campaign 3 flux [2]_ minus about its median, in e-/s, one value every 29.4244 minutes.

`load` looks for them in this order, and says which it took:

1. the data directory: `exoTrain.csv` (or `.csv.gz`, `.csv.zip`, `.zip`) and `exoTest.csv`, or
   Kaggle's `archive.zip` as downloaded;
2. Kaggle, through `kagglehub` (public, no account needed), checked against the known SHA-256;
3. the simulated survey of `data/survey.py`, generated once and named as such everywhere.

References
----------
.. [1] https://www.kaggle.com/datasets/keplersmachines/kepler-labelled-time-series-data
.. [2] Howell et al. 2014, PASP 126, 398.
"""

import contextlib
import gzip
import hashlib
import io
import itertools
import json
import os
import shutil
import sys
import tempfile
import warnings
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

CADENCE_DAYS = 29.4244 / 60 / 24  # Kepler's long cadence: 270 exposures of 6.54 s
HOST, NON_HOST = 2, 1  # LABEL as distributed
KAGGLE_HANDLE = "keplersmachines/kepler-labelled-time-series-data"
KAGGLE_SHA256 = {
    "exoTrain.csv": "6f04167636d2fcdce44af6fd5cbef359d8af033ce8457d8c8e917fdb822e044c",
    "exoTest.csv": "0b9f9aabcaf4058fd38d99431e61e29eeb031d5073c3b74f6139a917356bd163",
}
TABLES = {"train": "exoTrain.csv", "test": "exoTest.csv"}
SIMULATED_SEED = 0  # of the stars themselves; a script's --seed is that of what it does to them
PARSED_LAYOUT = 1  # raised whenever the parsed copy's layout changes
LFS_POINTER = b"version https://git-lfs"
NPY_MAGIC = b"\x93NUMPY"
ROWS_PER_CHUNK = 256  # 6.5 MB of float64 flux at a time
MIN_CADENCES = 64  # fewer hold no transit, and no network of this repository accepts them


class DataError(Exception):
    """Input that cannot be used. The message is one line: what was found, and the next step."""


@dataclass(frozen=True)
class Table:
    """One table of labelled light curves.

    Attributes
    ----------
    flux : ndarray of shape (n_stars, n_cadences)
        Flux minus about its median, e-/s; float64, memory-mapped, read-only; NaN where missing.
    labels : ndarray of shape (n_stars,)
        2 for a host, 1 for a non-host; int8.
    file : str
        What it was read from, without its directory.
    sha256 : str
        Of the CSV's bytes, uncompressed (of the array's bytes in a simulated table).
    n_missing : int
        Number of missing flux values.
    """

    flux: np.ndarray
    labels: np.ndarray
    file: str
    sha256: str
    n_missing: int

    @property
    def is_host(self):
        """Ndarray of shape (n_stars,): True for a host."""
        return self.labels == HOST


@dataclass(frozen=True)
class Tables:
    """The training and the test table, and where they came from.

    Attributes
    ----------
    train, test : Table
    source : {"kaggle", "user", "simulated"}
        Kaggle's very bytes; the same schema with other bytes; the simulated survey.
    """

    train: Table
    test: Table
    source: str

    @property
    def provenance(self):
        """dict: source, and per table the file, its SHA-256 and its counts; JSON-ready."""
        described = {"source": self.source}
        for name in TABLES:
            table = getattr(self, name)
            described[name] = {
                "file": table.file,
                "sha256": table.sha256,
                "n_stars": len(table.labels),
                "n_hosts": int(table.is_host.sum()),
                "n_cadences": table.flux.shape[1],
                "n_missing": table.n_missing,
            }
        return described


def describe(provenance):
    """One line naming the data, for the console, every figure and every results file."""
    train, test = provenance["train"], provenance["test"]
    if provenance["source"] == "simulated":
        return f"SIMULATED survey (seed {SIMULATED_SEED}), not real stars"
    name = {"kaggle": "Kaggle Kepler/K2 set", "user": "user's light curves"}
    files = ", ".join(f"{t['file']} {t['sha256'][:8]}" for t in (train, test))
    return f"{name[provenance['source']]} ({files})"


def say(message):
    """Print progress or a warning on standard error; results go to standard output."""
    print(message, file=sys.stderr, flush=True)


def run(main):
    """Exit with what `main` returns; a user's mistake becomes one line and exit code 2."""
    try:
        sys.exit(main())
    except DataError as error:
        say(f"{Path(sys.argv[0]).name}: {error}")
        sys.exit(2)
    except OSError as error:
        where = f" '{error.filename}'" if error.filename else ""
        say(f"{Path(sys.argv[0]).name}: cannot use{where}: {error.strerror or error}")
        sys.exit(2)
    except KeyboardInterrupt:
        say(f"{Path(sys.argv[0]).name}: interrupted; nothing half-written was left")
        sys.exit(130)


@contextlib.contextmanager
def atomic_write(path):
    """Yield a temporary path beside `path` that replaces it when the block ends well.

    Readers see the old file or the whole new one, never a part, and two writers do not mix.
    """
    path = Path(path)
    _sweep(path.parent)
    handle, name = tempfile.mkstemp(
        dir=path.parent, prefix=f".{path.stem}.{os.getpid()}-", suffix=f".partial{path.suffix}"
    )
    os.close(handle)
    try:
        yield Path(name)
        os.chmod(name, 0o666 & ~_umask())  # mkstemp makes private files; ours are ordinary ones
        os.replace(name, path)
    finally:
        Path(name).unlink(missing_ok=True)


def _sweep(folder):
    """Remove what earlier writers left in a folder when they were killed half-way."""
    for partial in folder.glob(".*.partial*"):
        writer = partial.name.partition(".partial")[0].rpartition(".")[2].partition("-")[0]
        if writer.isdigit() and not _alive(int(writer)):
            partial.unlink(missing_ok=True)


def _alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass  # alive, and somebody else's
    return True


def _umask():
    mask = os.umask(0)
    os.umask(mask)
    return mask


def load(data_dir, simulated=False):
    """Return the two tables from the first source that has them.

    Parameters
    ----------
    data_dir : path
        Where the tables are looked for, downloaded to, and kept in parsed form.
    simulated : bool
        Use the simulated survey whatever else there is.

    Returns
    -------
    Tables

    Raises
    ------
    DataError
        If a table that is there cannot be used; see the message.
    """
    data_dir = Path(data_dir)
    if simulated:
        data_dir.mkdir(parents=True, exist_ok=True)
        return _simulated(data_dir)
    if data_dir.exists() and not data_dir.is_dir():
        raise DataError(f"'{data_dir}' is a file: --data-dir takes the directory it lies in")
    if not data_dir.is_dir():
        raise DataError(
            f"data directory '{data_dir}' does not exist: create it, or correct --data-dir"
        )
    found = {name: _find(data_dir, csv) for name, csv in TABLES.items()}
    if not any(found.values()):
        try:
            _download(data_dir)
        except Exception as error:  # offline, refused, damaged: any failure means the next source
            reason = " ".join(str(error).split())[:100] or type(error).__name__
            say(f"Kaggle gave no light curves ({reason}): using the simulated survey instead")
            return _simulated(data_dir)
        found = {name: _find(data_dir, csv) for name, csv in TABLES.items()}
    for name, csv in TABLES.items():
        if not found[name]:
            other = next(str(path) for path in found.values() if path)
            raise DataError(f"'{data_dir / csv}' is missing, though '{other}' is there: add it")
    tables = {name: _parsed(found[name], csv) for name, csv in TABLES.items()}
    lengths = {name: table.flux.shape[1] for name, table in tables.items()}
    if lengths["train"] != lengths["test"]:
        raise DataError(
            f"'{found['train']}' has {lengths['train']} flux values a star and '{found['test']}' "
            f"has {lengths['test']}: both tables must have the same length"
        )
    known = all(tables[name].sha256 == KAGGLE_SHA256[csv] for name, csv in TABLES.items())
    return Tables(**tables, source="kaggle" if known else "user")


def _find(data_dir, csv):
    """Path of the file that holds a table, or None."""
    names = [csv, f"{csv}.gz", f"{csv}.zip", csv.replace(".csv", ".zip"), "archive.zip"]
    return next((data_dir / name for name in names if (data_dir / name).is_file()), None)


def _download(data_dir):
    """Fetch both tables from Kaggle into the data directory; raise if anything is amiss."""
    import kagglehub  # here, so that local files need neither it nor its start-up time

    say(f"downloading {KAGGLE_HANDLE} from Kaggle (about 55 MB) ...")
    folder = Path(kagglehub.dataset_download(KAGGLE_HANDLE))
    with contextlib.ExitStack() as stack:
        for csv, expected in KAGGLE_SHA256.items():
            temporary = stack.enter_context(atomic_write(data_dir / csv))
            shutil.copyfile(folder / csv, temporary)
            with open(temporary, "rb") as stream:
                actual = hashlib.file_digest(stream, "sha256").hexdigest()
            if actual != expected:
                raise DataError(f"{csv} has SHA-256 {actual[:12]}..., not {expected[:12]}...")


def _simulated(data_dir):
    """The simulated survey, from its copy in the data directory or made now."""
    from data import survey  # here, so that real stars need not wait for what it imports

    kept = {name: data_dir / f"simulated_{name}.npy" for name in TABLES}
    recipe = hashlib.sha256(Path(survey.__file__).read_bytes()).hexdigest()
    stamp = data_dir / "simulated.json"
    known = _read_json(stamp)
    if known.get("recipe") != recipe or not all(_whole(kept[n], known.get(n, {})) for n in kept):
        say(f"simulating the survey (seed {SIMULATED_SEED}), once: about 20 s ...")
        made = survey.simulate(seed=SIMULATED_SEED)
        known = {"recipe": recipe}
        for name in TABLES:
            array = _stacked(getattr(made, f"{name}_labels"), getattr(made, f"{name}_flux"))
            with atomic_write(kept[name]) as temporary:
                np.save(temporary, array)
            known[name] = {
                "sha256": hashlib.sha256(array).hexdigest(),
                "bytes": kept[name].stat().st_size,
                "n_missing": 0,
            }
        _write_json(stamp, known)
    tables = {name: _table(path, path.name, known[name]) for name, path in kept.items()}
    return Tables(**tables, source="simulated")


def _parsed(path, csv):
    """A table from its parsed copy, which is made or renewed when the file has changed.

    The copy, `<csv>.<sha>.npy`, is named after the content it was parsed from; `<csv>.parsed.json`
    is written last and names it, so that a reader always finds a whole copy or none.
    """
    note = path.parent / f"{csv}.parsed.json"
    stat = path.stat()
    # ctime cannot be set by hand: it tells a changed file even if size and mtime were kept.
    identity = [PARSED_LAYOUT, path.name, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns]
    known = _read_json(note)
    if known.get("identity") == identity and _whole(path.parent / known["copy"], known):
        return _table(path.parent / known["copy"], path.name, known)
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
        _write_json(note, known)
        for stale in path.parent.glob(f"{csv}.{'[0-9a-f]' * 16}.npy"):
            if stale != copy:
                stale.unlink(missing_ok=True)
    except OSError as error:  # a read-only or full directory: slower next time, nothing else
        say(f"no parsed copy of '{path}' was kept ({error.strerror})")
        return Table(
            array[:, 1:], array[:, 0].astype(np.int8), path.name, known["sha256"], n_missing
        )
    return _table(copy, path.name, known)


def _table(copy, file, known):
    """The table of a parsed copy, memory-mapped."""
    array = np.asarray(np.load(copy, mmap_mode="r", allow_pickle=False))  # a plain view
    labels = np.asarray(array[:, 0]).astype(np.int8)
    return Table(array[:, 1:], labels, file, known["sha256"], known["n_missing"])


def _stacked(labels, flux):
    """Labels and flux as the one array of a parsed copy, shape (n_stars, 1 + n_cadences)."""
    return np.column_stack([np.asarray(labels, float), flux])


def _whole(copy, known):
    """Whether a copy is there at its full size, and not the zeros that a crash can leave."""
    if not copy.is_file() or copy.stat().st_size != known.get("bytes"):
        return False
    with open(copy, "rb") as stream:
        return stream.read(len(NPY_MAGIC)) == NPY_MAGIC


def _read_json(path):
    try:
        content = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}  # absent or damaged: made anew
    return content if isinstance(content, dict) else {}


def _write_json(path, content):
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
