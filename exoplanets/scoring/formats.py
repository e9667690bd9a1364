"""The kinds of file that can be scored: one registry, by the end of a file's name.

===========================  =========================================================
``.csv``                     the Kaggle schema (``FLUX.1``, ``FLUX.2``, ..., with or
                             without ``LABEL``), one star a row; or one star, as text
``.csv .txt .dat .tsv``      one star as text: columns of time (days) and flux or
``.tbl .ecsv``               magnitude, with names or without; see `scoring/text.py`
``.npz``                     one star or many; see `scoring/npz.py`
``.fits .fit``               Kepler, K2 and TESS, their pipelines and others; see
                             `scoring/fits.py`
===========================  =========================================================

Each may be compressed, as in ``.csv.gz``. A new kind is one module with a function of a path that
yields `Samples`, and one line in `FORMATS`.
"""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from exoplanets.lightcurves.detrend import SHORTEST
from exoplanets.scoring.fits import find_star, read_fits
from exoplanets.scoring.npz import read_npz
from exoplanets.scoring.samples import COLUMNS_ONLY, Samples, Unreadable
from exoplanets.scoring.text import find_archive_star, read_text
from exoplanets.sources.table import COMPRESSIONS, LONGEST_LINE, is_table, open_bytes, read_table


class Format(NamedTuple):
    """How files of one kind are read."""

    # From a path to the `Samples` of its stars, or an `Unreadable`, named by its row, in place of
    # one; a DataError if the file as a whole cannot be used.
    read: Callable
    # From a path to the star that it says it is of, or None; for kinds with several files a star.
    find_star: Callable | None = None


def read_csv_stars(path):
    """Yield the `Samples` of the stars of a table in the Kaggle schema, or of one star as text."""
    with open_bytes(path) as stream:
        if not is_table(stream.readline(LONGEST_LINE)):
            yield from read_text(path)
            return
    for block in read_table(path, fewest=SHORTEST):
        for i, flux in enumerate(block.flux):
            row = block.start + i
            if i in block.problems:
                yield Unreadable(str(row), block.problems[i])
                continue
            label = np.nan if block.labels is None else block.labels[i]
            notes = (f"label {label:g} in file",) if np.isfinite(label) else ()
            yield Samples(flux, row=row, kind="flux", time_system=COLUMNS_ONLY, notes=notes)


FORMATS = {  # the end of a file's name, without that of its compression
    ".csv": Format(read_csv_stars),
    **dict.fromkeys((".txt", ".dat", ".tsv", ".ecsv"), Format(read_text)),
    ".tbl": Format(read_text, find_archive_star),
    ".npz": Format(read_npz),
    **dict.fromkeys((".fits", ".fit"), Format(read_fits, find_star)),
}


def find_suffix(path):
    """The suffix that tells the kind of a file, such as ".fits" for "a.fits.gz"."""
    path = Path(Path(path).name.lower())
    return Path(path.stem).suffix if path.suffix in COMPRESSIONS else path.suffix
