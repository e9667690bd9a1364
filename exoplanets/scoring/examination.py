"""A closer look at single stars: what a page about a star shows, measured on one machine."""

import itertools
from typing import NamedTuple

import numpy as np

from exoplanets.evaluation import occlusion
from exoplanets.scoring import own_stars, prediction
from exoplanets.scoring.measure import ask_network, measure_signal
from exoplanets.scoring.own_stars import Unreadable
from exoplanets.scoring.result import Result
from exoplanets.search.ephemeris import Ephemeris
from exoplanets.search.fit import TransitFit
from exoplanets.stars import CADENCE_DAYS

FINEST_STEP = 8  # cadences from one hidden stretch to the next, at least
MOST_HIDDEN, LEAST_HIDDEN = 240, 40  # stretches hidden in turn; of longer curves fewer and longer
CADENCES_IN_ALL = 3_000_000  # that the network is given of one star, about: some seconds


class Examined(NamedTuple):
    """All that a page about one star shows; see `star_page.draw_star`."""

    star: own_stars.Star
    result: Result
    ephemeris: Ephemeris | None  # of its clearest signal; None without a period
    masked_score: float  # with all transits hidden; NaN if there are none
    fit: TransitFit | None  # of the clearest signal; None without a period
    detrended: np.ndarray  # (n_cadences,); flux as read less its trend, ppm or the unit of the file
    occlusion: dict  # the result of `occlusion.measure_occlusion` ...
    panel: dict  # ... and what is drawn of it, with the equalised light curve
    hidden_days: float  # length of a hidden stretch


def hide_transits(curve, days, ephemeris):
    """A light curve with all transits put to its median, 0; see `occlusion.hide_stretches`."""
    beyond = (np.abs(ephemeris.since_transit(days)) - ephemeris.duration / 2) / CADENCE_DAYS
    kept = np.clip((beyond - 1) / (occlusion.TAPER + 1), 0, 1)
    return (curve * kept).astype(curve.dtype)


def examine_star(star, result, prepared, network):
    """Hide the stretches of a star in turn, and all its transits at once.

    What is asked for is the transit score: whether dips repeat.
    `prepared` is its `measure.OwnCurve`, `network` the one that gave its `Result`.
    """
    known = np.isfinite(prepared.curve)
    curve, days = prepared.curve[known], prepared.days[known]
    n_hidden = np.clip(CADENCES_IN_ALL // len(curve), LEAST_HIDDEN, MOST_HIDDEN)
    step = max(FINEST_STEP, -(-len(curve) // int(n_hidden)))
    width = max(occlusion.HIDDEN, step) | 1  # no cadence is left out, and it has a middle

    def ask(curves):
        whole = np.full((len(curves), len(known)), np.nan, np.float32)
        whole[:, known] = curves
        judged = ask_network(network, whole, np.zeros(len(curves)))
        return np.array([judgement.transit_score for judgement in judged])

    ephemeris, masked_score, fit = result.ephemeris, np.nan, None
    detrended = np.full(len(star.flux), np.nan)
    measured, panel = occlusion.measure_occlusion(ask, curve, days, ephemeris, step, width)
    if result.has_period:
        masked_score = float(ask(hide_transits(curve, days, ephemeris)[None])[0])
        fit = result.fit or measure_signal(star, ephemeris)["fit"]
        detrended = fit.detrended * (1 if star.level is None else 1e6)
    return Examined(
        star=star,
        result=result,
        ephemeris=ephemeris if result.has_period else None,
        masked_score=masked_score,
        fit=fit,
        detrended=detrended,
        occlusion=measured,
        panel=panel,
        hidden_days=width * CADENCE_DAYS,
    )


def examine_again(star, result, network, job):
    """Examine a star that was read, by its `Result`; see `examine_star`."""
    star = prediction.give_time(star, network)
    (prepared,) = prediction.prepare_stars([star], network, job)
    return examine_star(star, result, prepared, network)


def examine_targets(targets, network, job, known):
    """Yield an `Examined` of every star of some targets that can be scored, in their order.

    An `Unreadable` stands for a star at which something fails. For the parameters see
    `prediction.score_block`.
    """
    tasks = prediction.make_tasks(targets)
    for block in itertools.chain.from_iterable(prediction.read_task(t, job) for t in tasks):
        rows = prediction.score_block(block, network, job, known)
        for star, row in zip(block, rows, strict=True):
            if isinstance(row, Unreadable):
                continue  # that was said when it was scored
            try:
                yield examine_again(star, row[0], network, job)
            except Exception as error:
                yield Unreadable(star.file or star.name, prediction.explain("examined", error))
