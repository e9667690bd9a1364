"""The labelled stars of the run: where they come from, read once and kept for the next step.

The public set "Kepler labelled time series data" [1]_ is two CSV files, `exoTrain.csv` and
`exoTest.csv`: one star a row, `LABEL` (2 host, 1 non-host), then `FLUX.1` ... `FLUX.3197`, the
K2 Campaign 3 flux [2]_ minus about its median, in e-/s, one value every 29.4244 minutes.

`load` looks for stars in this order, and says which it took:

1. the data directory: `exoTrain.csv` and `exoTest.csv` (or `.csv.gz`, `.csv.zip`, `.zip`), or
   Kaggle's `archive.zip` as downloaded;
2. Kaggle, through `kagglehub` (public, no account needed), checked against the known SHA-256;
3. the simulated survey (`exoplanets/sources/survey.py`), made once and named as such everywhere.

The first step chooses the source and notes it in `source.json`; later steps keep to it.

References
----------
.. [1] https://www.kaggle.com/datasets/keplersmachines/kepler-labelled-time-series-data
.. [2] Howell et al. 2014, PASP 126, 398.
"""

import contextlib
import hashlib
import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from exoplanets.dependencies import digest_code
from exoplanets.files import DataError, atomic_write, one_line, read_json, say
from exoplanets.sources.copies import read_copy, write_copy
from exoplanets.sources.table import COMPRESSIONS, LARGEST_FLUX, read_table
from exoplanets.stars import HOST, NON_HOST, SIMULATED_SEED, TABLES, Stars, describe

KAGGLE_HANDLE = "keplersmachines/kepler-labelled-time-series-data"
KAGGLE_SHA256 = {
    "exoTrain.csv": "6f04167636d2fcdce44af6fd5cbef359d8af033ce8457d8c8e917fdb822e044c",
    "exoTest.csv": "0b9f9aabcaf4058fd38d99431e61e29eeb031d5073c3b74f6139a917356bd163",
}
LONGEST = 600.0  # seconds of a download (55 MB: 90 kB/s), after which it is given up
STEP_1 = "`python data_visualization.py`"
# The download is a process of its own, so that it can be ended.
DOWNLOAD = """
import json, sys
try:
    import kagglehub
    found = kagglehub.dataset_download(sys.argv[1], output_dir=sys.argv[2])
    print("\\n" + json.dumps({"folder": str(found)}))
except Exception as error:
    print("\\n" + json.dumps({"error": str(error) or type(error).__name__}))
"""


def load(data_dir, simulated=False, *, first_step=False):
    """The labelled stars of both tables, each in the order of its file, and their provenance.

    In the data directory the tables are looked for, downloaded to, and kept as arrays; `simulated`
    takes the simulated survey whatever else there is. The first step chooses the source, by a
    download if need be, and notes it; later ones take that source, and never download.

    Returns `Stars`, and a JSON-ready dict (see `stars.describe`). DataError if there are no stars,
    or a table that is there cannot be used.
    """
    data_dir = Path(data_dir)
    if data_dir.exists() and not data_dir.is_dir():
        raise DataError(f"'{data_dir}' is a file: --data-dir takes the directory it lies in")
    if simulated:
        data_dir.mkdir(parents=True, exist_ok=True)
    elif not data_dir.is_dir():
        raise DataError(
            f"data directory '{data_dir}' does not exist: create it, or correct --data-dir"
        )
    files = find_tables(data_dir)
    if not first_step:
        chosen = _read_source(data_dir)
        if simulated and chosen in ("kaggle", "user"):
            raise DataError(
                f"step 1 used the stars of '{data_dir}': run {STEP_1[:-1]} --simulated` first"
            )
        if files and chosen == "simulated" and not simulated:
            say(f"keeping to the simulated survey, as step 1 did (not: run {STEP_1} again)")
        simulated = simulated or chosen == "simulated"
        if not (files or simulated):
            raise DataError(f"'{data_dir}' holds no light curves: run {STEP_1} first")
    elif not (files or simulated):
        try:
            _download(data_dir)
        except Exception as error:  # offline, refused, damaged: any failure means the next source
            reason = one_line(error)
            say(f"Kaggle gave no light curves ({reason}): using the simulated survey instead")
            simulated = True
        else:
            files = find_tables(data_dir)

    stars, provenance = _load_simulated(data_dir) if simulated else _load_files(data_dir, files)
    if first_step:
        try:
            with atomic_write(data_dir / "source.json") as temporary:
                temporary.write_text(json.dumps({"source": provenance["source"]}) + "\n")
        except OSError as error:  # a read-only directory
            say(f"the source of the stars is not noted in '{data_dir}' ({error.strerror or error})")
    return stars, provenance


def _read_source(data_dir):
    """The source that the first step chose, or None."""
    path = data_dir / "source.json"
    if not path.exists():
        return None
    with contextlib.suppress(OSError, ValueError, TypeError, KeyError):
        source = read_json(path)["source"]
        if source in ("kaggle", "user", "simulated"):
            return source
    raise DataError(f"'{path}' is damaged: run {STEP_1} again")


# ------------------------------------------------------------------------------- local files
def find_tables(data_dir):
    """Per table, the path of the file that holds it and its name in an archive; {} if none is."""
    found = {}
    for name, csv in TABLES.items():
        packed = [csv + compression for compression in COMPRESSIONS]
        for file in (csv, *packed, csv.replace(".csv", ".zip"), "archive.zip"):
            if name not in found and (data_dir / file).is_file():
                found[name] = data_dir / file, csv
    if len(found) == 1:
        (missing,) = TABLES.keys() - found.keys()
        ((there, _),) = found.values()
        raise DataError(f"'{data_dir / TABLES[missing]}' is missing, though '{there}' is: add it")
    return found


def _load_files(data_dir, files):
    """The stars of both files, from their copy as arrays if the files have not changed."""
    identity = [digest_code(__file__)]
    for path, _ in files.values():
        stat = path.stat()
        # ctime cannot be set by hand: it tells a changed file even if size and mtime were kept.
        identity += [path.name, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns]
    copy = data_dir / "parsed.npz"
    found = read_copy(copy, identity, _make_stars)
    if found is None:
        arrays, provenance = _parse(files)
        note = {"identity": identity, "provenance": provenance}
        found = _make_stars(arrays, note)
        write_copy(copy, arrays, note)
    return found


def _parse(files):
    """Labels and flux of both tables, and their provenance."""
    tables = {}
    for name, (path, member) in files.items():
        digest = hashlib.sha256()
        blocks = list(_read_labelled(path, member, digest))
        labels = np.concatenate([block.labels for block in blocks])
        flux = np.concatenate([block.flux for block in blocks])
        for label, kind in ((HOST, "hosts (LABEL 2)"), (NON_HOST, "non-hosts (LABEL 1)")):
            if not (labels == label).any():
                raise DataError(f"'{path}' has no {kind}: both classes are needed")
        tables[name] = path.name, digest, labels, flux
    lengths = [flux.shape[1] for *_, flux in tables.values()]
    if lengths[0] != lengths[1]:
        (train, _), (test, _) = files.values()
        raise DataError(
            f"'{train}' has {lengths[0]} flux values a star and '{test}' has {lengths[1]}: both "
            "tables must have the same length"
        )
    arrays, provenance = _join(tables)
    known = all(provenance[name]["sha256"] == KAGGLE_SHA256[csv] for name, csv in TABLES.items())
    return arrays, {"source": "kaggle" if known else "user", **provenance}


def _join(tables):
    """The arrays that are kept of both tables, and the provenance of each."""
    provenance = {
        name: {
            "file": file,
            "sha256": digest.hexdigest(),
            "n_stars": len(labels),
            "n_hosts": int((labels == HOST).sum()),
            "n_cadences": flux.shape[1],
            "n_missing": int(np.isnan(flux).sum()),
        }
        for name, (file, digest, labels, flux) in tables.items()
    }
    _, _, labels, flux = zip(*tables.values(), strict=True)
    is_host = np.concatenate(labels) == HOST
    return {"is_host": is_host, "flux": np.concatenate(flux)}, provenance


def _read_labelled(path, member, digest):
    """Yield the blocks of a training or test table; its first bad row is an error."""
    try:
        for block in read_table(path, member, digest):
            if block.labels is None:
                raise DataError("has no LABEL column: hosts (2) and non-hosts (1) must be labelled")
            known = "only 2 (host) and 1 (non-host) are known"
            wrong = np.flatnonzero(~np.isin(block.labels, (HOST, NON_HOST))).tolist()
            problems = {i: f"has the label {block.labels[i]:g}: {known}" for i in wrong}
            problems |= block.problems
            if problems:
                first = min(problems)
                raise DataError(f"row {block.start + first} {problems[first]}")
            yield block
    except DataError as error:
        raise DataError(f"'{path}' {error}") from error


def _make_stars(arrays, note):
    """The stars of both tables, and their provenance; ValueError if the arrays hold none."""
    provenance, flux, is_host = note["provenance"], arrays["flux"], arrays["is_host"]
    counts = [provenance[name]["n_stars"] for name in TABLES]
    shape = sum(counts), provenance["train"]["n_cadences"]
    if (flux.shape, flux.dtype.kind, is_host.shape, is_host.dtype) != (shape, "f", shape[:1], bool):
        raise ValueError(f"no table of the shape {shape}")
    extremes = np.fmin.reduce(flux, axis=None), np.fmax.reduce(flux, axis=None)
    if np.any(np.abs(extremes) > LARGEST_FLUX):
        raise ValueError("a flux that no star can have")
    describe(provenance)
    return Stars(
        table=np.repeat(list(TABLES), counts),
        row=np.concatenate([np.arange(count) for count in counts]),
        is_host=is_host,
        flux=flux,
    ), provenance


# ------------------------------------------------------------------------------------ Kaggle
def _download(data_dir):
    """Fetch both tables from Kaggle into the data directory; raise if anything is amiss."""
    say(f"downloading {KAGGLE_HANDLE} from Kaggle (about 55 MB) ...")
    with tempfile.TemporaryDirectory(prefix=".kaggle-", dir=data_dir) as folder:
        arrived = Path(_run_download(folder))
        with contextlib.ExitStack() as stack:
            for csv, expected in KAGGLE_SHA256.items():
                temporary = stack.enter_context(atomic_write(data_dir / csv))
                shutil.copyfile(arrived / csv, temporary)
                with open(temporary, "rb") as stream:
                    actual = hashlib.file_digest(stream, "sha256").hexdigest()
                if actual != expected:
                    raise DataError(f"{csv} has SHA-256 {actual[:12]}..., not {expected[:12]}...")


def _run_download(folder):
    """Run the download into a folder; return where the files are.

    The client gives up after 15 s without a byte, and the whole process is ended after `LONGEST`.
    """
    command = [sys.executable, "-c", DOWNLOAD, KAGGLE_HANDLE, folder]
    try:
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, timeout=LONGEST)
    except subprocess.TimeoutExpired:
        raise DataError(f"the download took longer than {LONGEST:g} s") from None
    lines = done.stdout.splitlines()
    answer = json.loads(lines[-1]) if lines else {"error": "the download broke off"}
    if "error" in answer:
        raise DataError(answer["error"])
    return answer["folder"]


# ---------------------------------------------------------------------- the simulated survey
def _load_simulated(data_dir):
    """The simulated survey, from its copy in the data directory or made now."""
    identity, copy = digest_code(__file__), data_dir / "simulated.npz"
    found = read_copy(copy, identity, _make_stars)
    if found is None:
        from exoplanets.sources import survey  # here: real stars need not wait for its imports

        say(f"simulating the survey (seed {SIMULATED_SEED}), once: about 20 s ...")
        made = survey.simulate(seed=SIMULATED_SEED)
        tables = {
            name: (copy.name, hashlib.sha256(flux), labels, flux)
            for name, (flux, labels) in zip(TABLES, (made[:2], made[2:4]), strict=True)
        }
        arrays, provenance = _join(tables)
        note = {"identity": identity, "provenance": {"source": "simulated", **provenance}}
        found = _make_stars(arrays, note)
        write_copy(copy, arrays, note)
    return found
