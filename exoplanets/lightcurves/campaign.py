"""What a table of light curves tells about its campaign, learnt once and passed on.

The clock gives every row its time (`lightcurves/clock.py`); the modes and the scatter are what all
stars share on it (`lightcurves/modes.py`). None of it knows a label.
"""

from dataclasses import dataclass

import numpy as np

from exoplanets.files import DataError
from exoplanets.lightcurves import clock, modes
from exoplanets.lightcurves.detrend import detrend, map_blocks, replace_lone_outliers

MOST_STARS = 2500  # that modes are learnt from; more would carry little more


@dataclass(frozen=True, eq=False)
class Campaign:
    """Stars observed together: one clock, shared systematics."""

    # (n_cadences,), bool: cadences that the campaign lost; they are missing from every row that was
    # not filled. All False where no clock was found; columns are cadences then.
    lost: np.ndarray
    # (n_cadences,), bool: `lost`, what other campaigns of the table lost, and what is crowded (see
    # `modes.find_crowded`). After equalisation all of it is missing from every row, so that it
    # tells no row from another.
    missing: np.ndarray
    modes: np.ndarray  # (n_modes, n_cadences), float32: orthonormal; there may be none
    scatter: np.ndarray  # (n_cadences,), float32: scatter over stars, its median 1
    n_stars: int  # of the table it was learnt from

    @property
    def n_cadences(self):
        """Cadences of the grid of true time: as many as the table has columns."""
        return len(self.lost)

    def to_arrays(self):
        """As a dict of plain arrays; see `from_arrays`."""
        return {name: np.asarray(value) for name, value in vars(self).items()}

    @classmethod
    def from_arrays(cls, arrays):
        """The campaign that `to_arrays` made plain; DataError if the arrays hold none."""
        names = cls.__dataclass_fields__
        if set(arrays) != set(names):
            raise DataError(f"the campaign holds {sorted(arrays)}, not {sorted(names)}")
        lost, missing, modes, scatter, n_stars = (np.asarray(arrays[name]) for name in names)
        n = lost.size
        whole = (
            lost.shape == missing.shape == scatter.shape == modes.shape[1:] == (n,)
            and lost.dtype == missing.dtype == bool
            and n_stars.shape == ()
        )
        if not whole:
            raise DataError("the arrays of the campaign do not fit together")
        if not (np.isfinite(modes).all() and np.isfinite(scatter).all() and (scatter > 0).all()):
            raise DataError("the campaign holds modes or a scatter that are no numbers")
        return cls(lost, missing, modes.astype("f4"), scatter.astype("f4"), int(n_stars))


def learn_campaign(flux, found=None):
    """Learn the `Campaign` of a table, without labels.

    Flux is as distributed, e-/s, (n_stars, n_cadences), with NaN where missing; `found` is the
    `clock.Clock` of the table, if it is known. ValueError if the table is too short.
    """
    n_stars, n = flux.shape
    found = clock.find_clock(flux) if found is None else found
    least = clock.LEAST_MEASURED * np.count_nonzero(~found.missing)
    chosen = flux[:: -(-n_stars // MOST_STARS)]

    def prepare(rows):
        curves, n_measured = clock.place(chosen[rows], found)
        curves = curves[n_measured >= least]
        # A lone outlier is one star's own: it is no part of what stars share.
        return replace_lone_outliers(detrend(curves), np.isnan(curves))

    curves = np.concatenate(map_blocks(prepare, len(chosen)))
    if len(curves) < modes.FEWEST_STARS:
        nothing = np.empty((0, n), np.float32), np.ones(n, np.float32)
        return Campaign(found.lost, found.missing, *nothing, n_stars)
    shared, scatter, crowded = modes.learn_shared(curves)
    return Campaign(found.lost, found.missing | crowded, shared, scatter, n_stars)
