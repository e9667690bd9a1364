"""Light curves on the grid of true time, without gaps, slow trends and lone outliers.

Every step treats above and below alike, so that an inverted light curve comes out inverted.
"""

import os
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from scipy.ndimage import correlate1d
from threadpoolctl import threadpool_limits

from exoplanets.files import track
from exoplanets.lightcurves.gaps import fill_gaps
from exoplanets.stars import SHORTEST

WINDOW = 96  # cadences (47 h), window of the trend's medians; neighbours overlap by half
LONE = 5.0  # robust standard deviations of the differences; a lone cadence beyond is an outlier
LONE_SHARE = 0.3  # of its height, what its neighbours may have of it
NEIGHBOURS = (1, 2, 3, 4, 0, 4, 3, 2, 1)  # weights, of the cadences around one that is filled
LEAST_RUNNING = 0.3  # of a light curve's spread, the least that its running spread counts as
ABSURD = 1e6  # robust standard deviations of a star; no dip and no flare is as far from its median
BLOCK = 64  # stars treated at a time: 64 x 3197 float64 = 1.6 MB, what a processor's cache holds
ROWS = 16  # float32 numbers that the widest processors treat at once


def check_length(n_cadences):
    """Raise ValueError if light curves are too short to be equalised."""
    if n_cadences < SHORTEST:
        raise ValueError(
            f"light curves of {n_cadences} cadences cannot be equalised: {SHORTEST} are needed"
        )


def map_blocks(function, n_stars, block=BLOCK, what="blocks of light curves"):
    """Call a function on slices of neighbouring rows, side by side, and list what it returns.

    `what` names the blocks to the user, if it takes long.
    """
    blocks = [slice(start, start + block) for start in range(0, n_stars, block)]
    # NumPy and SciPy release the interpreter while they work. Threads of matrix products within
    # threads would wait for each other, busily.
    with threadpool_limits(1, "blas"), ThreadPoolExecutor(os.cpu_count()) as pool:
        return list(track(pool.map(function, blocks), what, len(blocks)))


def map_rows(function, curves):
    """Call a function that treats each row by itself on exactly `ROWS` rows at a time.

    Fourier transforms round as the number of rows has it. With the same
    number always, the result of a row is the same bits whatever rows stand beside it.
    """
    results = []
    for start in range(0, max(len(curves), 1), ROWS):
        some = curves[start : start + ROWS]
        full = some if len(some) == ROWS else np.pad(some, ((0, ROWS - len(some)), (0, 0)))
        results.append(function(full)[: len(some)])
    return np.concatenate(results)


def find_median(curves):
    """Median of each light curve, as a column; by partition, faster than `np.median`."""
    middle = curves.shape[-1] // 2
    parted = np.partition(curves, middle, axis=-1)
    above = parted[..., middle : middle + 1]
    if curves.shape[-1] % 2:
        return above
    return (parted[..., :middle].max(axis=-1, keepdims=True) + above) / 2


def find_spread(curves):
    """Robust standard deviation of each light curve about 0, as a column; never 0."""
    return np.maximum(1.4826 * find_median(np.abs(curves)), np.finfo(curves.dtype).tiny)


def find_absurd(flux):
    """True where flux is so far from the star's median that no star can have it.

    Of any shape (..., n_cadences). Far is more than `ABSURD` times the star's robust standard
    deviation. In single precision such a value would leave no digit to all others. Nothing is
    absurd in a star of which half the values are alike: its scatter is not known.
    """
    known = np.where(np.isfinite(flux), flux, np.nan)
    n_known = np.sum(~np.isnan(known), axis=-1, keepdims=True)

    def find_known_median(values):  # NaN is sorted to the end
        return np.take_along_axis(np.sort(values, axis=-1), np.maximum(n_known - 1, 0) // 2, -1)

    find_middle = find_median if np.all(n_known == flux.shape[-1]) else find_known_median
    away = np.abs(known - find_middle(known))
    spread = 1.4826 * find_middle(away)
    return (away > ABSURD * spread) & (spread > 0)


def join_lines(values, knots, n_positions):
    """`np.interp` at 0, 1, ..., `n_positions` - 1, of many rows at once: (n_rows, n_positions).

    Values have the shape (n_rows, n_knots); the knots increase and are at least two.
    """
    place = np.interp(np.arange(n_positions), knots, np.arange(len(knots)))
    left = np.minimum(place.astype(int), len(knots) - 2)
    weight = (place - left).astype(values.dtype)
    n_each = np.bincount(left, minlength=len(knots) - 1)
    lines = np.repeat(values[:, :-1], n_each, axis=1)
    lines *= 1 - weight
    rising = np.repeat(values[:, 1:], n_each, axis=1)
    rising *= weight
    lines += rising
    return lines


def find_lone_outliers(curves, gaps):
    """True where one cadence alone stands out from its neighbours.

    Cosmic rays and thruster firings last one cadence; a transit of 1.5 h lasts three, and is no
    outlier, however deep: the cadence must stand out by `LONE`, and neither neighbour by more than
    `LONE_SHARE` of that. Curves, (n_stars, n_cadences), are without NaN. `gaps` is True where a
    straight line was drawn: such a line may begin at the outlier, so it does not count as a
    neighbour. The two first and the two last cadences are never outliers.
    """
    margin = LONE * find_spread(np.diff(curves, axis=1))
    level = (curves[:, :-4] + curves[:, 4:]) / 2
    left, middle, right = (curves[:, i:-j] - level for i, j in ((1, 3), (2, 2), (3, 1)))
    side = np.sign(middle)
    most = LONE_SHARE * np.abs(middle)
    alone = (side * left < most) | gaps[:, 1:-3]
    alone &= (side * right < most) | gaps[:, 3:-1]
    lone = np.zeros(curves.shape, bool)
    lone[:, 2:-2] = alone & (np.abs(middle) > margin) & ~gaps[:, 2:-2]
    return lone


def find_trend(curves):
    """Running median of each light curve (without NaN): of overlapping windows, joined by lines."""
    n_cadences = curves.shape[1]
    last = n_cadences - WINDOW
    starts = np.unique(np.r_[0 : last : WINDOW // 2, last])
    windows = np.lib.stride_tricks.sliding_window_view(curves, WINDOW, axis=1)
    middle = np.sort(windows[:, starts], axis=2)[:, :, (WINDOW - 1) // 2 : WINDOW // 2 + 1]
    return join_lines(middle.mean(axis=2), starts + (WINDOW - 1) / 2, n_cadences)


def detrend(curves):
    """Fill gaps, take out the trend, and scale: float32, robust standard deviation 1.

    Curves (n_stars, n_cadences) are in any unit, NaN where nothing was measured; at least one value
    per star.
    """
    level = np.nanmean(curves, axis=1, keepdims=True)
    curves = fill_gaps((curves - level).astype(np.float32))
    curves -= find_trend(curves)
    return curves / find_spread(curves)


def replace_lone_outliers(curves, gaps):
    """Replace lone outliers, and fill gaps anew, by a weighted mean of the neighbours.

    The arguments are those of `find_lone_outliers`. A line between the two neighbours would repeat
    their noise, and a dip in it would be found too often. It is left where a gap is longer.
    """
    gone = gaps | find_lone_outliers(curves, gaps)
    known = (~gone).astype(curves.dtype)
    weight = correlate1d(known, NEIGHBOURS, axis=1, mode="constant")
    near = correlate1d(curves * known, NEIGHBOURS, axis=1, mode="constant")
    mean = np.divide(near, weight, out=np.full_like(curves, np.nan), where=weight > 0)
    return fill_gaps(np.where(gone, mean, curves))


def even_out(curves):
    """Give the noise of each detrended light curve a robust spread of about 1 in every `WINDOW`."""
    running = 1.4826 * find_trend(np.abs(curves))
    # In a gap that outlasts the window there is no noise to divide by.
    return curves / np.maximum(running, LEAST_RUNNING * find_spread(curves))
