"""The light-curve tables: find, download and verify them.

The public set "Kepler labelled time series data" [1]_ is two CSV files, `exoTrain.csv` and
`exoTest.csv`: one star a row, `LABEL` (2 host, 1 non-host), then `FLUX.1` ... `FLUX.3197`, the
K2 Campaign 3 flux [2]_ minus about its median, in e-/s, one value every 29.4244 minutes.

`load` looks for them in this order, and says which it took:

1. the data directory: `exoTrain.csv` (or `.csv.gz`, `.csv.zip`, `.zip`) and `exoTest.csv`, or
   Kaggle's `archive.zip` as downloaded;
2. Kaggle, through `kagglehub` (public, no account needed), checked against the known SHA-256;
3. the simulated survey of `exoplanets/sources/survey.py`, generated once and named as such
   everywhere.

References
----------
.. [1] https://www.kaggle.com/datasets/keplersmachines/kepler-labelled-time-series-data
.. [2] Howell et al. 2014, PASP 126, 398.
"""

import contextlib
import hashlib
import shutil
from pathlib import Path

import numpy as np

from exoplanets import transits
from exoplanets.files import DataError, atomic_write, say
from exoplanets.sources.table import (
    is_whole,
    open_copy,
    parse_once,
    read_json,
    stack_columns,
    write_json,
)
from exoplanets.stars import SIMULATED_SEED, TABLES, Tables

KAGGLE_HANDLE = "keplersmachines/kepler-labelled-time-series-data"
KAGGLE_SHA256 = {
    "exoTrain.csv": "6f04167636d2fcdce44af6fd5cbef359d8af033ce8457d8c8e917fdb822e044c",
    "exoTest.csv": "0b9f9aabcaf4058fd38d99431e61e29eeb031d5073c3b74f6139a917356bd163",
}


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
    tables = {name: parse_once(found[name], csv) for name, csv in TABLES.items()}
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
    from exoplanets.sources import (
        survey,  # here, so that real stars need not wait for what it imports
    )

    kept = {name: data_dir / f"simulated_{name}.npy" for name in TABLES}
    code = [Path(module.__file__).read_bytes() for module in (survey, transits)]
    recipe = hashlib.sha256(b"".join(code)).hexdigest()
    stamp = data_dir / "simulated.json"
    known = read_json(stamp)
    if known.get("recipe") != recipe or not all(is_whole(kept[n], known.get(n, {})) for n in kept):
        say(f"simulating the survey (seed {SIMULATED_SEED}), once: about 20 s ...")
        made = survey.simulate(seed=SIMULATED_SEED)
        known = {"recipe": recipe}
        for name in TABLES:
            array = stack_columns(getattr(made, f"{name}_labels"), getattr(made, f"{name}_flux"))
            with atomic_write(kept[name]) as temporary:
                np.save(temporary, array)
            known[name] = {
                "sha256": hashlib.sha256(array).hexdigest(),
                "bytes": kept[name].stat().st_size,
                "n_missing": 0,
            }
        write_json(stamp, known)
    tables = {name: open_copy(path, path.name, known[name]) for name, path in kept.items()}
    return Tables(**tables, source="simulated")
