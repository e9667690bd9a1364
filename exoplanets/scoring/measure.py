"""From an equalised light curve and what the network says of it to the signals of a star.

Here the network's judgement, the search for a period and the measurement of a transit come
together. Each can be replaced without the others.
"""

import dataclasses
from typing import NamedTuple

import numpy as np

from exoplanets.files import DataError
from exoplanets.scoring.depths import compare_depths, find_days
from exoplanets.scoring.result import NOTHING, PLANET, Signal
from exoplanets.search import box
from exoplanets.search.ephemeris import Ephemeris
from exoplanets.search.events import find_events
from exoplanets.search.fold import find_ephemerides
from exoplanets.stars import CADENCE_DAYS

LONG = 8000  # cadences (164 d): longer light curves are box-searched near the network's periods
N_NEAR, MULTIPLES = 6, (0.5, 1, 2)  # of those periods, and what they are multiplied by
MASKED = 1.5  # durations around the middle of a transit that are hidden from the next search
SHORTEST = 500  # cadences that a light curve without its transits must have left


class OwnCurve(NamedTuple):
    """A light curve that can be scored; ndarrays of shape (n_cadences,)."""

    curve: np.ndarray  # equalised, float32, a value for every cadence; NaN in long gaps
    days: np.ndarray  # as the file counts them


class Judgement(NamedTuple):
    """What a network says of light curves; ndarrays of shape (n_stars,), or numbers of one star."""

    score: np.ndarray  # of being a host, 0 to 1
    transit_score: np.ndarray  # that dips repeat, 0 to 1
    planet_score: np.ndarray  # planet rather than binary, 0 to 1; NaN if it does not say
    period: np.ndarray  # days, of its best candidate; NaN if it does not say
    epoch: np.ndarray  # days from the first cadence of the equalised curve
    duration: np.ndarray  # days


def ask_network(network, curves):
    """What a network says of equalised light curves (n_stars, n_cadences): a list of `Judgement`.

    A network may give bare scores. DataError if a score is not finite.
    """
    answer = network.score(curves)
    if not hasattr(answer, "transit_score"):
        unknown = np.full(len(curves), np.nan)
        answer = Judgement(answer, answer, *[unknown] * 4)
    if np.shape(answer.score) != (len(curves),):
        raise DataError(f"gets scores of shape {np.shape(answer.score)}, not one per light curve")
    if not np.isfinite(answer.score).all():
        raise DataError("gets a score that is not finite")
    return [Judgement(*map(float, row)) for row in zip(*answer, strict=True)]


def measure_star(star, prepared, judgement, network, prevalence, planets=1, always=False):
    """The signals of one star, the clearest first: a list of `Signal`, one or more.

    After each signal that is called, its transits are hidden and the rest is judged again, until
    nothing is called or there are `planets`. The first is there in any case.

    Parameters
    ----------
    star : own_stars.Star
    prepared : OwnCurve
    judgement : Judgement
        Of this star.
    network : network.Network
    prevalence : float or None
        See `Network.find_probability`.
    planets : int
        Signals at most.
    always : bool
        Whether a period is looked for in stars that are not called hosts too.
    """
    signals = []
    while True:
        signal = _describe(star, prepared, judgement, network, prevalence, always)
        if signals and not signal.called:
            return signals
        signals.append(signal)
        if len(signals) == planets or not (signal.called and signal.has_period):
            return signals
        star, prepared = hide_signal(star, prepared, signal.ephemeris)
        if np.isfinite(prepared.curve).sum() < SHORTEST:
            return signals
        (judgement,) = ask_network(network, prepared.curve[np.newaxis])


def hide_signal(star, prepared, ephemeris):
    """A star and its equalised light curve without the transits of a signal: NaN in their place."""
    hidden = ephemeris.in_transit(find_days(star), 2 * MASKED)
    star = dataclasses.replace(star, flux=np.where(hidden, np.nan, star.flux))
    hidden = ephemeris.in_transit(prepared.days, 2 * MASKED)
    return star, prepared._replace(curve=np.where(hidden, np.float32(np.nan), prepared.curve))


def _describe(star, prepared, judgement, network, prevalence, always):
    """The signal that a judgement is about, with all its numbers."""
    score = round(judgement.score, 6)  # `called` is that of the score as it is written
    called = score >= network.threshold
    probability = network.find_probability(score, prevalence)
    known = np.isfinite(probability) and prevalence is not None
    return Signal(
        score=score,
        probability=probability,
        prevalence=prevalence if known else np.nan,
        called=bool(called),
        threshold=network.threshold,
        verdict=PLANET if called else NOTHING,
        transit_score=judgement.transit_score,
        planet_score=judgement.planet_score,
        **(_measure_signal(star, *find_ephemeris(prepared, judgement)) if called or always else {}),
    )


def find_ephemeris(prepared, judgement):
    """Period, epoch and duration of the dips, an `Ephemeris`, and their signal-to-noise ratio.

    The network's best candidate; if the network names none, that of the box search.
    """
    if np.isfinite(judgement.period):
        epoch = prepared.days[0] + judgement.epoch
        return Ephemeris(judgement.period, epoch, judgement.duration), np.nan
    search = search_curve(prepared)
    return Ephemeris(search.period, search.epoch, search.duration), search.snr


def search_curve(prepared):
    """What the box search finds in a star: numbers, the epoch in days as the file counts them."""
    known, near = np.isfinite(prepared.curve), None
    days = prepared.days[known]
    if len(known) > LONG:
        events = find_events(np.nan_to_num(prepared.curve[np.newaxis]), known[np.newaxis])
        found = find_ephemerides(events, known[np.newaxis], N_NEAR)[0]
        near = np.outer(MULTIPLES, found.period * CADENCE_DAYS).ravel()
    found = box.search_star(prepared.curve[known], days - days[0], near)
    found = box.Search(*map(float, found))
    return found._replace(epoch=found.epoch + days[0])


def _measure_signal(star, ephemeris, snr):
    """Numbers of a signal by name, those of the depths in the flux as read."""
    if not np.isfinite(ephemeris.period):
        return {}
    depths = compare_depths(star, ephemeris)
    transits, odd, even = (depths[name] for name in ("transits", "odd", "even"))
    unit = 1.0 if star.level is not None else np.nan  # ppm of what?
    between = depths["between"]
    return {
        "period_days": ephemeris.period,
        "epoch_days": ephemeris.epoch,
        "duration_hours": 24 * ephemeris.duration,
        "depth_ppm": unit * transits.median,
        "depth_error_ppm": unit * transits.error,
        "n_transits": transits.n_dips,
        "odd_even_sigma": _in_errors(
            abs(odd.median - even.median), np.hypot(odd.error, even.error)
        ),
        "secondary_ppm": unit * between.median,
        "secondary_sigma": _in_errors(between.median, between.error),
        "secondary_phase": 0.5,
        "snr": snr,
        "transits": list_transits(star, ephemeris),
    }


def list_transits(star, ephemeris):
    """Number, middle and error of the middle (days) of each transit that was measured.

    Three ndarrays of shape (n_transits,). The middles are those of the ephemeris, whose errors are
    not known.
    """
    days = find_days(star)[np.isfinite(star.flux)]
    numbers = np.unique(ephemeris.count(days[ephemeris.in_transit(days)]))
    return numbers, ephemeris.epoch + numbers * ephemeris.period, np.full(len(numbers), np.nan)


def _in_errors(value, error):
    """A value in units of its standard error, NaN without one."""
    return value / error if error > 0 else np.nan
