"""The one table of stars that passes through all four steps.

A `Stars` is a table with one row per star: where the star comes from, its label, its flux and what
was computed of it. Missing flux is NaN in it; whoever needs numbers fills them in there and then.
"""

import dataclasses
from dataclasses import dataclass

import numpy as np

CADENCE_DAYS = 29.4244 / 60 / 24  # Kepler's long cadence: 270 exposures of 6.54 s
EXPOSURE_SECONDS = 1625.0  # of light in a cadence: 270 frames of 6.02 s, the rest is read-out
SHORTEST = 500  # cadences (10 d) of a light curve: of fewer the noise cannot be measured
HOST, NON_HOST = 2, 1  # LABEL in the files
TABLES = {"train": "exoTrain.csv", "test": "exoTest.csv"}
SPLITS = ("train", "validation", "test")  # stars to fit on, to tune on, to test on
LIGHT_CURVES = ("distributed", "equalised")  # the two kinds; see `Stars.light_curves`
SIMULATED_SEED = 0  # of the simulated stars; --seed is that of what a script does to the stars


@dataclass(frozen=True, eq=False)
class Stars:
    """Labelled stars; every attribute has one row per star."""

    table: np.ndarray  # (n_stars,), str: "train" or "test", the file that the star is in
    row: np.ndarray  # (n_stars,), int64: row in that file, from 0; -1 for a host that SMOTE made
    is_host: np.ndarray  # (n_stars,), bool: True for a host (LABEL 2)
    flux: np.ndarray  # (n_stars, n_cadences), e-/s, as distributed; NaN where nothing was measured
    # (n_stars, n_cadences), int32: true number of each cadence since the start of the campaign,
    # times `CADENCE_DAYS` its time in days. None as long as the clock is not known.
    cadence: np.ndarray | None = None
    # (n_stars, n_grid), float32: equalised light curves, dimensionless, on the grid of true time:
    # column k is at k * `CADENCE_DAYS` days. None before they are computed.
    curves: np.ndarray | None = None
    # (n_stars,), str: one of `SPLITS`; "" before the stars are split.
    split: np.ndarray | None = None

    def __post_init__(self):
        if self.split is None:
            object.__setattr__(self, "split", np.full(len(self.row), "", dtype="U10"))
        for name, array in self._arrays():
            if len(array) != len(self.row):
                raise ValueError(f"{name} has {len(array)} rows, row has {len(self.row)}")

    def _arrays(self):
        """Names and arrays of all attributes that are there."""
        pairs = ((field.name, getattr(self, field.name)) for field in dataclasses.fields(self))
        return [(name, array) for name, array in pairs if array is not None]

    def __len__(self):
        return len(self.row)

    @property
    def y(self):
        """Labels as numbers, ndarray of shape (n_stars,), int8: 1 for a host."""
        return self.is_host.astype(np.int8)

    @property
    def names(self):
        """Names for people, list of str: "train row 7"."""
        return [f"{table} row {row}" for table, row in zip(self.table, self.row, strict=True)]

    def light_curves(self, kind):
        """The light curves of one of the kinds `LIGHT_CURVES`: `flux` or `curves`."""
        if kind not in LIGHT_CURVES:
            raise ValueError(f"'{kind}' is no kind of light curves: {LIGHT_CURVES} are")
        return self.flux if kind == "distributed" else self.curves

    def select(self, rows):
        """The stars of an index array, a mask or a slice, in its order.

        A mask that takes a single run of stars makes no copy: what comes back is read-only.
        """
        is_mask = not isinstance(rows, slice) and np.asarray(rows).dtype == bool
        places = np.flatnonzero(rows) if is_mask else ()
        if len(places) and places[-1] - places[0] + 1 == len(places):
            rows = slice(places[0], places[-1] + 1)
        selected = Stars(**{name: array[rows] for name, array in self._arrays()})
        if isinstance(rows, slice):
            for _, array in selected._arrays():
                array.flags.writeable = False
        return selected

    def replace(self, **arrays):
        """These stars with other arrays in place of those named."""
        return dataclasses.replace(self, **arrays)


def describe(provenance):
    """One line naming the data, for the console, every figure and every results file.

    Parameters
    ----------
    provenance : dict
        `source` ("kaggle": Kaggle's very bytes; "user": other bytes of the same schema;
        "simulated"), and per table a dict of `file`, `sha256`, `n_stars`, `n_hosts`, `n_cadences`
        and `n_missing`; a `description` stands for all of it.
    """
    if "description" in provenance:
        return provenance["description"]
    if provenance["source"] == "simulated":
        return f"SIMULATED survey (seed {SIMULATED_SEED}), not real stars"
    name = {"kaggle": "Kaggle Kepler/K2 set", "user": "user's light curves"}
    files = ", ".join(f"{provenance[t]['file']} {provenance[t]['sha256'][:8]}" for t in TABLES)
    return f"{name[provenance['source']]} ({files})"
