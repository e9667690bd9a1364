"""A closer look at single stars: what a page about a star shows, measured on one machine."""

import itertools
from typing import NamedTuple

import numpy as np

from exoplanets.classifiers import box
from exoplanets.evaluation import prediction
from exoplanets.evaluation.occlusion import HIDDEN, occlude_star
from exoplanets.sources import own_stars
from exoplanets.stars import CADENCE_DAYS

FINEST_STEP = 8  # cadences from one hidden stretch to the next, at least
MOST_HIDDEN = 240  # stretches hidden in turn: two seconds for 65 days; longer curves, longer ones
CADENCES_AT_ONCE = 1 << 17  # that the network is given while stretches are hidden


class Examined(NamedTuple):
    """All that a page about one star shows; see `star_page.draw_star`.

    Attributes
    ----------
    star : own_stars.Star
    score : float
    found : box.Search
        Numbers, NaN where nothing was found; the epoch in days as the file counts them.
    occlusion, panel : dict
        See `occlusion.occlude_star`; `days` as the file counts them.
    hidden_days : float
        Length of a hidden stretch.
    depths : dict of (depth, error, n_dips)
        See `box.measure_depth`; of `odd` and `even` transits, and half a period `between` them.
    """

    star: own_stars.Star
    score: float
    found: box.Search
    occlusion: dict
    panel: dict
    hidden_days: float
    depths: dict


def examine_star(star, curve, time, score, network):
    """Search a star, hide its stretches in turn, and compare its transits.

    Parameters
    ----------
    star : own_stars.Star
    curve, time : ndarray of shape (n_kept,)
        See `prediction.equalise_stars`.
    score : float
    network : prediction.Network

    Returns
    -------
    Examined
    """
    found = box.search_star(curve, time - time[0])
    step = max(FINEST_STEP, -(-len(curve) // MOST_HIDDEN))
    width = max(HIDDEN, step)  # no cadence is left out
    n_at_once = max(1, CADENCES_AT_ONCE // len(curve))

    def ask(curves):
        starts = range(0, len(curves), n_at_once)
        return np.concatenate([network.score(curves[i : i + n_at_once]) for i in starts])

    occlusion, panel = occlude_star(ask, curve, time - time[0], found, step, width)
    found = found._replace(epoch=found.epoch + time[0])
    period, epoch, duration = found.period, found.epoch, found.duration
    ways = {
        "odd": (2 * period, epoch),
        "even": (2 * period, epoch + period),
        "between": (period, epoch + period / 2),
    }
    depths = {name: box.measure_depth(curve, time, *way, duration) for name, way in ways.items()}
    panel["days"] = time
    hidden_days = width * CADENCE_DAYS
    return Examined(star, float(score), found, occlusion, panel, hidden_days, depths)


def examine_files(patterns, network):
    """Look closer at every star of some files that can be scored; of others nothing is said.

    Parameters
    ----------
    patterns : list of str
        See `prediction.predict_files`.
    network : prediction.Network

    Yields
    ------
    Examined
        In the order of the files; scores as `predict_files` gives them.
    """
    files, _ = own_stars.find_files(patterns)
    tasks = prediction.make_tasks(own_stars.group_files(files))
    for block in itertools.chain.from_iterable(map(prediction.read_task, tasks)):
        stars, places, equalised = prediction.prepare_block(block)
        score = prediction.score_curves(network, [curve for curve, _ in equalised])
        for i, (curve, time), value in zip(places, equalised, score, strict=True):
            yield examine_star(stars[i], curve, time, value, network)
