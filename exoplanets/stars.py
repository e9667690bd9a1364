"""The labelled stars: the schema of the two tables, and the tables in memory."""

from dataclasses import dataclass

import numpy as np

CADENCE_DAYS = 29.4244 / 60 / 24  # Kepler's long cadence: 270 exposures of 6.54 s
HOST, NON_HOST = 2, 1  # LABEL as distributed
TABLES = {"train": "exoTrain.csv", "test": "exoTest.csv"}
SIMULATED_SEED = 0  # of the stars themselves; a script's --seed is that of what it does to them


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
