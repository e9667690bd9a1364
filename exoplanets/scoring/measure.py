"""From an equalised light curve and what the network says of it to the signals of a star.

Here the network's judgement, the search for a period and the measurement of a transit come
together. Each can be replaced without the others.
"""

import dataclasses
from typing import NamedTuple

import numpy as np

from exoplanets.classifiers.verdict import LEAST_JUDGED, UNKNOWN, find_verdict
from exoplanets.files import DataError
from exoplanets.lightcurves.equalise import find_unit
from exoplanets.scoring.result import Signal
from exoplanets.search.ephemeris import Ephemeris
from exoplanets.search.fit import measure_transits
from exoplanets.search.orbit import describe_orbit
from exoplanets.stars import CADENCE_DAYS, SHORTEST

MASKED = 1.5  # durations around the middle of a transit that are hidden from the next search


class OwnCurve(NamedTuple):
    """A light curve that can be scored; ndarrays of shape (n_cadences,)."""

    curve: np.ndarray  # equalised, float32, a value for every cadence; NaN in long gaps
    days: np.ndarray  # as the file counts them
    flat: np.ndarray  # flattened, float32, NaN in all gaps


class Judgement(NamedTuple):
    """What a network says of one star."""

    score: float  # of being a host, 0 to 1
    transit_score: float  # that dips repeat, 0 to 1
    planet_score: float  # planet rather than binary, 0 to 1; NaN if it does not say
    ephemeris: Ephemeris | None  # of its best candidate, as the file counts; None without one

    @property
    def is_worth_a_look(self):
        """Whether there are dips of which planet or binary can be asked."""
        return self.ephemeris is not None and self.transit_score >= LEAST_JUDGED


def ask_network(network, curves, starts):
    """What a network says of equalised light curves (n_stars, n_cadences): a list of `Judgement`.

    `starts` are the days of their first cadences. Whether dips are a planet's is not asked yet, see
    `judge_orbits`. A network may give bare scores. DataError if a score is not finite.
    """
    answer = network.score(curves)
    names_candidates = hasattr(answer, "transit_score")
    scores = answer.transit_score if names_candidates else answer
    if np.shape(scores) != (len(curves),):
        raise DataError(f"gets scores of shape {np.shape(scores)}, not one per light curve")
    if not np.isfinite(scores).all():
        raise DataError("gets a score that is not finite")
    judgements = []
    for i, score in enumerate(map(float, scores)):
        if names_candidates:
            period, epoch, duration = (float(values[i]) for values in answer[1:])
            ephemeris = Ephemeris(period, starts[i] + epoch, duration)
            judgements.append(Judgement(score * UNKNOWN, score, UNKNOWN, ephemeris))
        else:
            judgements.append(Judgement(score, score, np.nan, None))
    return judgements


def judge_orbits(stars, prepared, judgements, network):
    """Judgements that also say whether the dips are a planet's; see `search/orbit.py`.

    All are lists with an item per star. The network is asked once for all of them: that takes it
    as long as for one.
    """
    if network.judge is None:  # it does not tell planets from binaries
        return judgements
    judged, orbits, sharpened = list(judgements), [], {}
    for i, (star, own, judgement) in enumerate(zip(stars, prepared, judgements, strict=True)):
        if judgement.is_worth_a_look:
            orbit, sharpened[i] = _describe_orbit(star, own, judgement.ephemeris)
            orbits.append(orbit)
    if orbits:
        answers = map(float, network.judge(np.stack(orbits)))
        for (i, ephemeris), planet_score in zip(sharpened.items(), answers, strict=True):
            transit_score = judgements[i].transit_score
            score = transit_score * planet_score
            judged[i] = Judgement(score, transit_score, planet_score, ephemeris)
    return judged


def _describe_orbit(star, prepared, ephemeris):
    """Features of the orbit of a candidate of a star, and its sharpened ephemeris."""
    start, unit = prepared.days[0], np.nan
    if star.level is not None:
        unit = find_unit(star.flux, prepared.flat, star.level)
    # Days are counted from the first cadence: small numbers lose no digits.
    guess = dataclasses.replace(ephemeris, epoch=ephemeris.epoch - start)
    days = prepared.days - start
    orbit, sharp = describe_orbit(days, prepared.flat, guess, unit, star.sampling)
    return orbit, dataclasses.replace(sharp, epoch=sharp.epoch + start)


def measure_star(star, prepared, judgement, network, prevalence, planets=1, always=False):
    """The signals of one star, the clearest first: a list of `Signal`, one or more.

    After each signal that is called, its transits are hidden and the rest is judged again, until
    nothing is called or there are `planets`. The first is there in any case.

    Parameters
    ----------
    star : own_stars.Star
    prepared : OwnCurve
    judgement : Judgement
        Of this star, see `judge_orbits`.
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
        signal = _describe_signal(star, judgement, network, prevalence, always)
        if signals and not signal.called:
            return signals
        signals.append(signal)
        if len(signals) == planets or not (signal.called and signal.has_period):
            return signals
        star, prepared = hide_signal(star, prepared, signal.ephemeris)
        if np.isfinite(prepared.curve).sum() < SHORTEST:
            return signals
        asked = ask_network(network, prepared.curve[np.newaxis], prepared.days[:1])
        (judgement,) = judge_orbits([star], [prepared], asked, network)


def hide_signal(star, prepared, ephemeris):
    """A star and its light curves without the transits of a signal: NaN in their place."""

    def hide(days, values):
        hidden = ephemeris.in_transit(days, 2 * MASKED)
        return np.where(hidden, values.dtype.type(np.nan), values)

    star = dataclasses.replace(star, flux=hide(star.days, star.flux))
    curve, days, flat = prepared
    return star, OwnCurve(hide(days, curve), days, hide(days, flat))


def _describe_signal(star, judgement, network, prevalence, always):
    """The signal that a judgement is about, with all its numbers."""
    score = round(judgement.score, 6)  # `called` is that of the score as it is written
    called = bool(score >= network.threshold)
    probability, prevalence = network.find_probability(score, prevalence)
    repeats = called or judgement.transit_score >= network.threshold
    return Signal(
        score=score,
        probability=probability,
        prevalence=prevalence,
        called=called,
        threshold=network.threshold,
        verdict=find_verdict(called, repeats, judgement.planet_score),
        transit_score=judgement.transit_score,
        planet_score=judgement.planet_score,
        **(measure_signal(star, judgement.ephemeris) if repeats or always else {}),
    )


def measure_signal(star, ephemeris):
    """Numbers of a signal by name, from a fit of the transit model to the flux as read."""
    if ephemeris is None:
        return {}
    exposure = max(star.sampling, 1.0) * CADENCE_DAYS
    about = {"level": star.level, "exposure_days": exposure}
    fit = measure_transits(star.days, star.flux, ephemeris, **about)
    if fit.detrended is None:  # nothing could be measured, not even a period
        return {}
    names = Signal.__dataclass_fields__.keys() & fit.__dataclass_fields__.keys()
    return {name: getattr(fit, name) for name in names} | {"fit": fit}
