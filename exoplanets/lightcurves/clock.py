"""The clock of a table: the true cadence of every column of every row.

The public set lost its times, and lost them differently in the two classes. A cadence that the
campaign lost (the thrusters fired, say) was filled with the value before it in some rows: column k
is cadence k. It was left out of all others: column k is the k-th cadence that was not lost. Where
all filled rows of a campaign repeat the value before, the campaign lost that cadence.

Rows of another campaign are filled where that campaign lost something. They agree with each other,
and not with the rest. The rows that were not filled tell their campaign by their noise: all stars
of a campaign share its profile along time, and profiles match on the right clock only.

Whether a row is filled tells the label of the public set, and is used for nothing but its time.
"""

from typing import NamedTuple

import numpy as np
from scipy.cluster.hierarchy import fcluster, linkage

from exoplanets.lightcurves.detrend import check_length, detrend, find_absurd, map_blocks

# A row with at least this share of exact repeats counts as filled; other rows have fewer.
FILLED_SHARE = 120 / 3197
CHANCE = 0.5  # of the share of exact repeats: as many returns to a value make them chance
MOST_FILLED = 0.5  # share of exact repeats; a row with more holds no star, and is not filled
FEWEST_FILLED = 8  # filled rows that have to agree
COMMON = 0.2  # a cadence that a smaller share of the filled rows repeats was lost by single stars
SAME_CAMPAIGN = 0.15  # share of common cadences in which rows of one campaign may differ
LOST = 0.98  # share of a campaign's filled rows that repeat a lost cadence; accidents spoil a few
PROFILE_WINDOW = 300  # cadences (6 d) in which two profiles are compared
MOST_PROFILED = 400  # rows; their mean is as good as that of all
LEAST_ALIGNED = 0.3  # correlation of the profiles; on a wrong clock it is about 0
HIGHEST = 4.0  # robust standard deviations; a cadence with higher noise counts as this high
# Of the cadences that the campaign did not lose; a star with a smaller share measured is dropped.
LEAST_MEASURED = 0.8


def find_measured(flux):
    """True where flux was measured: not missing, not absurd, no repeat of the cadence before.

    Of any shape (..., n_cadences); NaN and infinity count as missing, and so does what
    `find_absurd` finds.
    """
    measured = np.isfinite(flux) & ~find_absurd(flux)
    measured[..., 1:] &= flux[..., 1:] != flux[..., :-1]
    return measured


def find_used(flux):
    """True where a light curve of any origin, (n_cadences,), was measured; see `find_measured`.

    Its flux may be rounded. Rounded values are equal by chance: then as many equal the value two
    measurements before. Such repeats are measurements; only those that chance does not explain are
    gaps that were filled.
    """
    known, measured = np.isfinite(flux), find_measured(flux)
    values = flux[measured]
    repeats = 1 - values.size / max(np.count_nonzero(known), 1)
    returns = np.count_nonzero(values[2:] == values[:-2]) / max(values.size, 1)
    return known if returns >= CHANCE * repeats else measured


def is_filled(flux):
    """True for the rows in which missing cadences were filled, ndarray of shape (n_stars,)."""
    repeats = np.count_nonzero(flux[:, 1:] == flux[:, :-1], axis=1)
    share = repeats / flux.shape[1]
    return (share >= FILLED_SHARE) & (share <= MOST_FILLED)


def find_campaigns(flux):
    """The cadences that each campaign lost, from filled rows; that with most of the rows first.

    Returns a list of (lost, rows): bool of shape (n_cadences,), and the rows that agree on it.
    """
    if len(flux) < FEWEST_FILLED:
        return []
    steps = np.diff(flux, axis=1, prepend=np.nan)
    repeats, comparable = steps == 0, np.isfinite(steps)
    common = repeats.mean(axis=0) > COMMON
    if not common.any():
        return []
    tree = linkage(repeats[:, common], method="average", metric="hamming")
    campaign = fcluster(tree, SAME_CAMPAIGN, criterion="distance")
    found = []
    for name in np.unique(campaign):
        rows = np.flatnonzero(campaign == name)
        if len(rows) >= FEWEST_FILLED:
            n_comparable = np.maximum(comparable[rows].sum(axis=0), 1)
            found.append((repeats[rows].sum(axis=0) >= LOST * n_comparable, rows))
    return sorted(found, key=lambda pair: -len(pair[1]))


def find_cadences(flux, campaign=None):
    """True cadence of every column of every row, ndarray of shape (n_stars, n_columns), int32.

    Times `stars.CADENCE_DAYS`, days since the start of the campaign. The flux has to be as
    distributed: a treatment may undo the repeats that tell a filled row. Without a campaign (or a
    `Clock`), or without a lost cadence in it, columns are cadences.
    """
    n_stars, n_columns = flux.shape
    cadences = np.tile(np.arange(n_columns, dtype=np.int32), (n_stars, 1))
    if campaign is not None and campaign.lost.any():
        # What was lost after the last column is not known: its cadences are counted on.
        beyond = np.zeros(np.count_nonzero(campaign.lost), bool)
        cadences[~is_filled(flux)] = np.flatnonzero(~np.concatenate([campaign.lost, beyond]))
    return cadences


def put_on_grid(flux, cadences, n_grid):
    """Measured flux in the place of its true cadence, ndarray of shape (n_stars, n_grid).

    Flux and cadences have the shape (n_stars, n_columns). Where nothing was measured the grid holds
    NaN. What lies beyond the grid is left out.
    """
    known = find_measured(flux) & (cadences < n_grid)
    placed = np.full((len(flux), n_grid), np.nan)
    places = cadences + n_grid * np.arange(len(flux))[:, np.newaxis]  # one row after the other
    placed.ravel()[places[known]] = flux[known]
    return placed


def place(flux, campaign=None, cadences=None):
    """Put a table on the grid of true time, without what any campaign of it lost.

    The cadences, (n_stars, n_cadences) as the flux, are found from it unless given; `campaign` may
    be a `Clock`. Returns the curves, NaN where nothing was measured, and how many cadences of each
    star were, ndarray of shape (n_stars,).
    """
    cadences = find_cadences(flux, campaign) if cadences is None else cadences
    curves = put_on_grid(flux, cadences, flux.shape[1])
    if campaign is not None:
        curves[:, campaign.missing] = np.nan
    return curves, np.count_nonzero(np.isfinite(curves), axis=1)


class Alignment(NamedTuple):
    """How well filled rows and others agree: correlations of their noise profiles, per window."""

    by_column: np.ndarray  # (n_windows,), if columns were cadences
    by_clock: np.ndarray  # (n_windows,), on the clock
    # (3, n_cadences), float32: mean absolute noise along time, in robust standard deviations, of
    # filled rows, of other rows by column, and of other rows on the clock.
    profiles: np.ndarray


def find_noise_profile(flux, rows):
    """Mean absolute noise of some rows along their columns, ndarray of shape (n_columns,)."""
    flux = flux[rows[:: -(-len(rows) // MOST_PROFILED)]]

    def measure(rows):
        block = np.where(find_measured(flux[rows]), flux[rows], np.nan)
        noise = detrend(block[np.isfinite(block).any(axis=1)])
        return np.abs(noise).clip(0, HIGHEST).sum(axis=0)

    return np.sum(map_blocks(measure, len(flux)), axis=0) / len(flux)


def align(filled, other, lost):
    """The `Alignment` of a campaign's filled rows and of others, from their profiles by column."""
    kept = np.flatnonzero(~lost)
    on_clock = np.interp(np.arange(len(lost)), kept, other[: len(kept)])

    def correlate(one):
        windows = kept[: len(kept) // PROFILE_WINDOW * PROFILE_WINDOW].reshape(-1, PROFILE_WINDOW)
        return np.array([np.corrcoef(one[window], filled[window])[0, 1] for window in windows])

    profiles = np.stack([filled, other, on_clock]).astype(np.float32)
    return Alignment(correlate(other), correlate(on_clock), profiles)


class Clock(NamedTuple):
    """What a table tells about its time; `lost` and `missing` are those of its `Campaign`."""

    lost: np.ndarray
    missing: np.ndarray
    n_filled: int  # filled rows
    n_agreeing: int  # those that agree on `lost`
    alignment: Alignment | None  # None where no clock was found


def find_clock(flux):
    """Find the `Clock` of a table, without labels.

    Flux is as distributed, e-/s, (n_stars, n_cadences), with NaN where missing. ValueError if the
    table is too short to be equalised.
    """
    check_length(flux.shape[1])
    filled = is_filled(flux)
    rows, none = np.flatnonzero(filled), np.zeros(flux.shape[1], bool)
    campaigns = find_campaigns(flux[rows])
    found = Clock(none, none, len(rows), 0, None)
    if filled.all() or not campaigns:
        return found
    other = find_noise_profile(flux, np.flatnonzero(~filled))
    missing = np.any([lost for lost, _ in campaigns], axis=0)
    best = LEAST_ALIGNED
    for lost, members in campaigns:
        alignment = align(find_noise_profile(flux, rows[members]), other, lost)
        if np.median(alignment.by_clock) > best:
            best = np.median(alignment.by_clock)
            found = Clock(lost, missing, len(rows), len(members), alignment)
    return found
