"""A campaign of the user's own: what stars on one clock share is learnt, and taken out of each.

Stars that were observed together drift together. Where their files have the mission's cadence
numbers, or equal times, neither pixels nor pointing are needed to see it: the modes of a sample
(`lightcurves/modes.py`) are learnt in parts of up to `LONGEST` cadences, about a quarter of Kepler,
and kept in a file for the next stars of the same campaign.
"""

import itertools
from dataclasses import dataclass

import numpy as np

from exoplanets.files import DataError, atomic_write
from exoplanets.lightcurves.detrend import find_spread, find_trend
from exoplanets.lightcurves.equalise import LONGEST, LONGEST_GAP
from exoplanets.lightcurves.gaps import fill_gaps
from exoplanets.lightcurves.modes import FEWEST_STARS, find_shared, learn_shared
from exoplanets.stars import CADENCE_DAYS, SHORTEST

CLOCKS = ("cadence numbers", "times")  # in order of preference
MOST_STARS = 2000  # that modes are learnt from; more would carry little more
MOST_VALUES = 32_000_000  # flux values that are kept for it: 256 MB with their columns
MOST_COLUMNS = 1 << 22  # from the first to the last cadence of all stars: some 200 years
LEAST_MEASURED = 0.5  # of a part's cadences; a star with fewer is left uncorrected there


@dataclass(frozen=True, eq=False)
class OwnCampaign:
    """What the stars of a campaign share."""

    clock: str  # of `CLOCKS`: what tells which cadences of two stars are the same
    zero: float  # cadence number, or time in days, of column 0
    parts: np.ndarray  # (n_parts, 2), int: first column of each part, and the one after its last
    # (n_modes, n_columns), float32: columns of all parts, one after the other; orthonormal in each
    # part, with zeros in place of modes that a part lacks.
    modes: np.ndarray
    scatter: np.ndarray  # (n_columns,), float32: over stars, its median 1 in each part
    crowded: np.ndarray  # (n_columns,), bool: see `modes.find_crowded`
    n_stars: int  # that it was learnt from

    def remove_shared(self, star):
        """The flux of an `own_stars.Star` without what it shares; trend and level stay in it.

        NaN where it is missing, and at crowded cadences.
        """
        flux = star.flux.copy()
        for own, n_columns, inside, places in self._find_parts(star):
            level = flux[inside].mean()
            curve, trend, spread = _flatten(flux[inside] - level, places, n_columns)
            rest = (curve - find_shared(curve, self.modes[:, own])) / self.scatter[own]
            rest[:, self.crowded[own]] = np.nan
            flux[inside] = level + (trend + spread * rest)[0, places]
        return flux

    def find_share(self, star):
        """Share of a star's measured cadences that the campaign tells something about."""
        n_covered = sum(inside.sum() for _, _, inside, _ in self._find_parts(star))
        return n_covered / max(np.isfinite(star.flux).sum(), 1)

    def _find_parts(self, star):
        """Yield each part that a star was measured in enough.

        Its place in `modes`, its number of columns, a mask of the star's cadences in it, and their
        columns in the part.
        """
        columns = find_cells(star, self.clock, self.zero)
        if columns is None:
            return
        known, offset = np.isfinite(star.flux), 0
        for start, end in self.parts:
            inside = known & (columns >= start) & (columns < end)
            if inside.sum() >= LEAST_MEASURED * (end - start):
                own = slice(offset, offset + end - start)
                yield own, end - start, inside, columns[inside] - start
            offset += end - start

    def save(self, path):
        """Write it to a file, at once or not at all."""
        with atomic_write(path) as temporary, open(temporary, "wb") as stream:
            np.savez(stream, **vars(self))

    @classmethod
    def load(cls, path):
        """Read what `save` wrote, or raise a DataError; nothing in the file is run."""
        names = cls.__dataclass_fields__
        try:
            with open(path, "rb") as stream, np.load(stream, allow_pickle=False) as arrays:
                clock, zero, *learnt, n_stars = (arrays[name] for name in names)
            found = cls(str(clock), float(zero), *learnt, int(n_stars))
            parts, modes, scatter, crowded = learnt
            n_columns = int(np.diff(parts).sum())
            fits = (
                found.clock in CLOCKS
                and np.isfinite(found.zero)
                and parts.ndim == 2
                and parts.dtype.kind == "i"
                and (np.diff(parts.ravel()) >= 0).all()
                and parts.min() >= 0
                and modes.dtype == scatter.dtype == np.float32
                and crowded.dtype == bool
                and modes.shape[1:] == scatter.shape == crowded.shape == (n_columns,)
                and np.isfinite(modes).all()
                and ((scatter > 0) & np.isfinite(scatter)).all()
            )
        except FileNotFoundError:
            raise DataError(f"'{path}' is missing: make it with --campaign learn") from None
        except Exception as error:  # whatever a damaged archive makes NumPy and zipfile raise
            raise DataError(f"'{path}' holds no campaign: make it with --campaign learn") from error
        if not fits:
            raise DataError(f"'{path}' is damaged: make it again with --campaign learn")
        return found


def find_cells(star, clock, zero):
    """Column of each cadence of a star, ndarray of shape (n_cadences,); None without that clock."""
    values = star.cadence if clock == CLOCKS[0] else star.time
    if values is None:
        return None
    step = 1 if clock == CLOCKS[0] else CADENCE_DAYS
    return np.rint((values - zero) / step).astype(np.int64)


def learn_own_campaign(stars):
    """Learn from an iterable of `own_stars.Star` what stars share that were observed together.

    They are read one after the other, until `MOST_STARS` stars or `MOST_VALUES` of flux are kept.
    The first that has a clock tells which: those without it teach nothing. DataError if there are
    too few stars on one clock. Returns an `OwnCampaign`.
    """
    clock, zero, kept, n_values, n_read = None, 0.0, [], 0, 0
    for star in stars:
        n_read += 1
        if clock is None and star.time is not None:
            clock = CLOCKS[star.cadence is None]
            zero = float(star.time[0] if star.cadence is None else star.cadence[0])
        columns = find_cells(star, clock, zero) if clock else None
        if columns is not None:
            known = np.isfinite(star.flux)
            level = star.flux[known].mean()
            kept.append((columns[known].astype(np.int32), (star.flux[known] - level).astype("f4")))
            n_values += known.sum()
        if len(kept) == MOST_STARS or n_values > MOST_VALUES:
            break
    if len(kept) < FEWEST_STARS:
        raise DataError(
            f"--campaign learn needs {FEWEST_STARS} stars with cadence numbers or times, and of "
            f"{n_read} there are {len(kept)}"
        )
    first = min(columns[0] for columns, _ in kept)
    n_columns = max(columns[-1] for columns, _ in kept) + 1 - first
    if n_columns > MOST_COLUMNS:
        raise DataError("--campaign learn needs stars of one campaign: these lie centuries apart")
    kept = [(columns - first, flux) for columns, flux in kept]
    zero += first if clock == CLOCKS[0] else first * CADENCE_DAYS
    parts = find_parts(kept, n_columns)
    learnt = {part: found for part in parts if (found := _learn_part(kept, *part))}
    if not learnt:
        raise DataError(
            f"--campaign learn found no {SHORTEST} cadences that {FEWEST_STARS} of the "
            f"{len(kept)} stars share by their {clock}: give stars of one campaign"
        )
    modes, scatters, crowded = zip(*learnt.values(), strict=True)
    most = max(map(len, modes))
    padded = np.concatenate([np.pad(m, ((0, most - len(m)), (0, 0))) for m in modes], axis=1)
    shared = padded, np.concatenate(scatters), np.concatenate(crowded)
    return OwnCampaign(clock, zero, np.array(list(learnt)), *shared, len(kept))


def find_parts(kept, n_columns):
    """Stretches of columns without a long gap that enough stars have, at most `LONGEST` long.

    `kept` is a list of (columns, flux). Returns a list of (first column, column after the last).
    """
    n_stars = np.zeros(n_columns, np.int32)
    for columns, _ in kept:
        n_stars[columns] += 1
    shared = np.flatnonzero(n_stars >= FEWEST_STARS)
    parts = []
    for run in np.split(shared, np.flatnonzero(np.diff(shared) > LONGEST_GAP + 1) + 1):
        if len(run) and run[-1] + 1 - run[0] >= SHORTEST:
            n_parts = -(-(run[-1] + 1 - run[0]) // LONGEST)
            edges = np.linspace(run[0], run[-1] + 1, n_parts + 1).astype(int)
            parts += itertools.pairwise(edges)
    return parts


def _learn_part(kept, start, end):
    """What stars share in one part: modes, scatter and crowded cadences.

    None if too few stars were measured in it.
    """
    curves = []
    for columns, flux in kept:
        inside = (columns >= start) & (columns < end)
        if inside.sum() >= LEAST_MEASURED * (end - start):
            curves.append(_flatten(flux[inside], columns[inside] - start, end - start)[0])
    if len(curves) < FEWEST_STARS:
        return None
    return learn_shared(np.concatenate(curves))


def _flatten(values, places, n_columns):
    """A light curve in its columns without gaps, trend and scale, its trend, and its scale.

    Curve and trend have the shape (1, n_columns), float32.
    """
    curve = np.full((1, n_columns), np.nan, np.float32)
    curve[0, places] = values
    curve = fill_gaps(curve)
    trend = find_trend(curve)
    curve -= trend
    spread = find_spread(curve)
    return curve / spread, trend, spread
