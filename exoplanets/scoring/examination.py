"""A closer look at single stars: what a page about a star shows, measured on one machine."""

import itertools
from typing import NamedTuple

import numpy as np
from scipy.ndimage import median_filter

from exoplanets.evaluation import occlusion
from exoplanets.scoring import own_stars, prediction
from exoplanets.scoring.depths import compare_depths
from exoplanets.scoring.own_stars import Unreadable
from exoplanets.search.box import Search
from exoplanets.stars import CADENCE_DAYS

FINEST_STEP = 8  # cadences from one hidden stretch to the next, at least
MOST_HIDDEN, LEAST_HIDDEN = 240, 60  # stretches hidden in turn; of longer curves fewer and longer
CADENCES_IN_ALL = 4_000_000  # that the network is given of one star, about: some seconds
CADENCES_AT_ONCE = 1_640_000  # of these, at once: two blocks of `features.py`, for two cores
TREND = 97  # cadences (2 d) of the running median that is taken out of the flux before it is folded


class Examined(NamedTuple):
    """All that a page about one star shows; see `star_page.draw_star`.

    Times are in days as the file counts them. The box search's depth is not known any more: NaN.
    """

    star: own_stars.Star
    cells: dict  # texts of its row in the file of scores
    found: Search | None  # what the box search found
    masked_score: float  # with all transits hidden; NaN if there are none
    detrended: np.ndarray  # (n_cadences,); flux as read less its trend, see `remove_trend`
    occlusion: dict  # the result of `occlusion.measure_occlusion` ...
    panel: dict  # ... and what is drawn of it, with the equalised light curve
    hidden_days: float  # length of a hidden stretch
    depths: dict  # see `depths.compare_depths`


def read_search(cells):
    """What the box search found, by the cells of a row; all NaN if it found no period."""
    columns = ("statistic", "period_days", "epoch_days", "duration_hours", "snr")
    statistic, period, epoch, hours, snr = (float(cells[name] or np.nan) for name in columns)
    return Search(statistic, period, epoch, hours / 24, np.nan, snr)


def remove_trend(flux, level):
    """Flux less its running median, in ppm of the level if there is one; NaN stays NaN."""
    detrended = np.full(len(flux), np.nan)
    known = np.isfinite(flux)
    detrended[known] = flux[known] - median_filter(flux[known], TREND, mode="nearest")
    return detrended if level is None else 1e6 * detrended / level


def hide_transits(curve, days, found):
    """A light curve with all transits put to its median, 0; see `occlusion.hide_stretches`."""
    away = np.abs(days - found.epoch - np.round((days - found.epoch) / found.period) * found.period)
    beyond = (away - found.duration / 2) / CADENCE_DAYS
    kept = np.clip((beyond - 1) / (occlusion.TAPER + 1), 0, 1)
    return (curve * kept).astype(curve.dtype)


def examine_star(star, cells, prepared, network):
    """Hide the stretches of a star in turn and its transits at once, and compare its depths.

    `cells` are the texts of its row in the file of scores; `prepared` is its `prediction.OwnCurve`.
    """
    known = np.isfinite(prepared.curve)
    curve, days = prepared.curve[known], prepared.days[known]
    n_hidden = np.clip(CADENCES_IN_ALL // len(curve), LEAST_HIDDEN, MOST_HIDDEN)
    step = max(FINEST_STEP, -(-len(curve) // int(n_hidden)))
    width = max(occlusion.HIDDEN, step) | 1  # no cadence is left out, and it has a middle
    n_at_once = max(1, CADENCES_AT_ONCE // len(curve))

    def ask(curves):
        scores = []
        for start in range(0, len(curves), n_at_once):
            some = curves[start : start + n_at_once]
            whole = np.full((len(some), len(known)), np.nan, np.float32)
            whole[:, known] = some
            scores.append(network.score(whole))
        return np.concatenate(scores)

    found, masked_score, depths = read_search(cells), np.nan, {}
    measured, panel = occlusion.measure_occlusion(ask, curve, days, found, step, width)
    if np.isfinite(found.period):
        masked_score = float(ask(hide_transits(curve, days, found)[None])[0])
        depths = compare_depths(star, found)
    else:
        found = None
    return Examined(
        star=star,
        cells=cells,
        found=found,
        masked_score=masked_score,
        detrended=remove_trend(star.flux, star.level),
        occlusion=measured,
        panel=panel,
        hidden_days=width * CADENCE_DAYS,
        depths=depths,
    )


def examine_targets(targets, network, job, known):
    """Yield an `Examined` of every star of some targets that can be scored, in their order.

    See `prediction.score_block` for the parameters.
    """
    tasks = prediction.make_tasks(targets)
    for block in itertools.chain.from_iterable(prediction.read_task(t, job) for t in tasks):
        rows = prediction.score_block(block, network, job, known)
        for star, row in zip(block, rows, strict=True):
            if isinstance(row, Unreadable):
                continue
            star = prediction.give_time(star, network)
            (prepared,) = prediction.prepare_stars([star], network, job)
            yield examine_star(star, row[0], prepared, network)
