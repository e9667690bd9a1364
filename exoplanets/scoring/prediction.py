"""Score the user's own stars with a trained network: one, or a million.

Stars are streamed: read, equalised and scored in blocks, and come out in the order of the input, so
that memory stays flat. On one machine or on a Dask cluster the same function scores the same
blocks, and the same rows come out.

A star is known by the content of its light curve: one that was measured before is only read.
"""

import dataclasses
import functools
import hashlib
import itertools
import tempfile
from collections import defaultdict
from pathlib import Path
from typing import NamedTuple

import numpy as np
from threadpoolctl import threadpool_limits

from exoplanets.files import DataError, one_line
from exoplanets.lightcurves import clock, equalise
from exoplanets.scoring import own_stars
from exoplanets.scoring.measure import OwnCurve, ask_network, judge_orbits, measure_star
from exoplanets.scoring.network import load_network
from exoplanets.scoring.own_campaign import OwnCampaign
from exoplanets.scoring.own_stars import Unreadable
from exoplanets.scoring.result import Result
from exoplanets.scoring.samples import COLUMNS_ONLY
from exoplanets.stars import CADENCE_DAYS

BLOCK = 256  # stars read before they are scored
TARGETS_PER_TASK = 256  # files of one star each that a worker gets at a time: a block
BYTES_PER_TASK = 100_000_000  # of larger files, such as all the quarters of a star
CAMPAIGN_TIME = "since the first cadence of the campaign"


class Job(NamedTuple):
    """What is asked of every star, the same on every worker."""

    search_all: bool = False  # find the period of every star, not only of those called hosts
    prevalence: float | None = None  # see `Network.find_probability`
    magnitudes: bool | None = None  # see `own_stars.read_stars`
    campaign: OwnCampaign | None = None  # of the stars
    campaign_name: str = ""  # see `network.name_file`
    planets: int = 1  # signals of a star, at most; see `measure.measure_star`
    keep_star: bool = False  # let each `Result` keep its light curve and all about its signals


@functools.lru_cache(maxsize=2)
def _network_of(content):
    """The network of a model file's bytes, once per process."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "transit.keras"
        path.write_bytes(content)
        return load_network(path)


def name_light_curve(star):
    """First digits of the SHA-256 of a light curve as it was read: its flux and its times."""
    digest = hashlib.sha256()
    for values in (star.flux, star.time):
        if values is not None:
            # There are many NaNs, and only one is meant.
            digest.update(np.where(np.isnan(values), np.nan, values).astype("<f8").tobytes())
        digest.update(b"/")
    return f"sha256:{digest.hexdigest()[:16]}"


# ------------------------------------------------------------------------- equalise and score
def give_time(star, network):
    """A star with the times of its cadences, if it is a row of the table that taught the network.

    Rows of Kaggle's schema lost their times. A row with as many columns as the network's campaign
    has cadences is taken for one of its stars, and a note says so. Of other rows of this schema the
    exact repeats are gaps that were filled.
    """
    campaign = network.campaign
    if star.time_system != COLUMNS_ONLY:
        return star
    if campaign is None or len(star.flux) != campaign.n_cadences:
        measured = clock.find_measured(star.flux)
        return dataclasses.replace(star, flux=np.where(measured, star.flux, np.nan))
    time = clock.find_cadences(star.flux[np.newaxis], campaign)[0] * CADENCE_DAYS
    notes = (*star.notes, "on the clock of the network's campaign")
    return dataclasses.replace(star, time=time, time_system=CAMPAIGN_TIME, notes=notes)


def prepare_stars(stars, network, job):
    """Equalise and flatten light curves of any lengths, as those were that taught the network.

    Rows of the table that taught it are put on the clock of their campaign, and what its stars
    share is taken out; of other stars, what those of `job.campaign` share. Returns an `OwnCurve` or
    an `Unreadable` of each star; see `give_time`.
    """
    prepared = [None] * len(stars)
    rows = [i for i, star in enumerate(stars) if star.time_system == CAMPAIGN_TIME]
    if rows:
        flux = np.stack([stars[i].flux for i in rows])
        curves, kept, dropped = equalise.equalise_table(flux, network.campaign, None, equalise.BOTH)
        days = np.arange(flux.shape[1]) * CADENCE_DAYS
        for k, (curve, flat) in zip(kept, curves, strict=True):
            prepared[rows[k]] = OwnCurve(curve, days, flat)
        for k, reason in dropped:
            prepared[rows[k]] = Unreadable(stars[rows[k]].file, f"cannot be scored: {reason}")
    others = sorted(set(range(len(stars))) - set(rows))
    campaign = job.campaign
    flux = [stars[i].flux if campaign is None else campaign.remove_shared(stars[i]) for i in others]
    for i, curves in zip(others, equalise.equalise_stars(flux, equalise.BOTH), strict=True):
        if isinstance(curves, ValueError):  # too little is measured
            prepared[i] = Unreadable(stars[i].file, str(curves))
        else:
            prepared[i] = OwnCurve(curves[0], stars[i].days, curves[1])
    return prepared


def judge_curves(network, prepared):
    """What a network says of some `OwnCurve` of any lengths, a list of `Judgement`."""
    judgements, lengths = [None] * len(prepared), defaultdict(list)
    for i, each in enumerate(prepared):
        lengths[len(each.curve)].append(i)
    for places in lengths.values():
        curves = np.stack([prepared[i].curve for i in places])
        answers = ask_network(network, curves, [prepared[i].days[0] for i in places])
        for i, judgement in zip(places, answers, strict=True):
            judgements[i] = judgement
    return judgements


# ------------------------------------------------------------------------------------- results
def score_block(stars, network, job, known):
    """The result of each of some stars that were read together, in their order.

    `stars` are `own_stars.Star` or `Unreadable`; `known` holds results of an earlier run, see
    `score_file.Scores`. Returns per star its `Result` and whether it was measured now, or an
    `Unreadable`. A star at which something fails costs the others nothing.
    """
    try:
        return _score_together(stars, network, job, known)
    except Exception as error:
        if len(stars) == 1:
            return [Unreadable(stars[0].file or stars[0].name, explain("scored", error))]
        return [row for star in stars for row in score_block([star], network, job, known)]


def explain(what, error):
    """Why a star could not be read or scored, on one line."""
    kind = "" if isinstance(error, DataError) else f"{type(error).__name__}: "
    return f"cannot be {what}: {kind}{one_line(error)}"


def _score_together(stars, network, job, known):
    """See `score_block`."""
    rows, old = list(stars), {}
    readable = [i for i, star in enumerate(stars) if not isinstance(star, Unreadable)]
    digests = {i: name_light_curve(stars[i]) for i in readable}
    timed = {i: give_time(stars[i], network) for i in readable}
    for i in readable:
        result = known.get(digests[i])
        if not result:
            continue
        # The file holds neither further signals nor times of single transits.
        is_enough = not job.keep_star if result.has_period else not job.search_all
        if is_enough:
            old[i] = result
    wanted = [i for i in readable if i not in old]
    equalised = prepare_stars([timed[i] for i in wanted], network, job)
    prepared = dict(zip(wanted, equalised, strict=True))
    for i in wanted:
        if isinstance(prepared[i], Unreadable):
            rows[i] = prepared.pop(i)
    judgements = judge_curves(network, list(prepared.values()))
    about = [timed[i] for i in prepared], list(prepared.values()), judgements
    judgements = judge_orbits(*about, network)

    def measure(i, judgement):
        about = network, job.prevalence, job.planets, job.search_all
        first, *more = measure_star(timed[i], prepared[i], judgement, *about)
        numbers = {name: getattr(first, name) for name in first.__dataclass_fields__}
        return Result(
            **numbers,
            name=stars[i].name,
            n_cadences=int(count_used(timed[i], prepared[i])),
            network=network.name,
            campaign=job.campaign_name,
            light_curve=digests[i],
            more=tuple(more),
        )

    # One after the other: threads of so short steps would wait for Python's lock most of the time.
    measured = dict(zip(prepared, map(measure, prepared, judgements), strict=True))
    for i, result in (old | measured).items():
        rows[i] = complete_result(result, timed[i], network, job), i in measured
    return rows


def count_used(star, prepared):
    """Cadences of a star that were measured and are used; see `equalise.equalise_stars`.

    Crowded ones count, gaps that were filled do not.
    """
    if star.time_system == CAMPAIGN_TIME:  # its columns are not its cadences
        return np.count_nonzero(clock.find_measured(star.flux))
    return np.count_nonzero(clock.find_used(star.flux) & np.isfinite(prepared.curve))


def complete_result(result, star, network, job):
    """A result with all that this run says about the star, also if an earlier run measured it."""
    probability, prevalence = network.find_probability(result.score, job.prevalence)
    notes = list(star.notes)
    if np.isfinite(result.snr) and not np.isfinite(result.depth_ppm):
        notes.append("no depth: the flux has no level")
    if job.campaign is not None:
        notes.append(f"{job.campaign.find_share(star):.0%} of it in the campaign")
    return dataclasses.replace(
        result,
        name=star.name,
        probability=probability,
        prevalence=prevalence,
        notes="; ".join(notes),
        star=star if job.keep_star else None,
        fit=result.fit if job.keep_star else None,
    )


# ----------------------------------------------------------------------------- streams of rows
def make_tasks(targets):
    """Targets in groups of at most `TARGETS_PER_TASK`, of about `BYTES_PER_TASK`, in their order.

    No block spans two tasks: the same tasks here and on a cluster make the same blocks.
    """
    tasks, size = [], 0
    for target in targets:
        if not tasks or len(tasks[-1]) == TARGETS_PER_TASK or size >= BYTES_PER_TASK:
            tasks.append([])
            size = 0
        tasks[-1].append(target)
        size += sum(path.stat().st_size for path in target.files if path.exists())
    return tasks


def read_safely(target, magnitudes=None):
    """The stars of a target as `own_stars.read_stars` yields them; no failure ends the others."""
    try:
        yield from own_stars.read_stars(target, magnitudes)
    except Exception as error:
        yield Unreadable(target.name, explain("read", error))


def read_task(targets, job):
    """Stars of several targets, in lists of at most `BLOCK`."""
    return make_blocks(
        itertools.chain.from_iterable(read_safely(target, job.magnitudes) for target in targets)
    )


def make_blocks(stars):
    """Stars in lists of at most `BLOCK`, read as they are asked for."""
    stars = iter(stars)
    return iter(lambda: list(itertools.islice(stars, BLOCK)), [])


def score_blocks(blocks, network, job, known):
    """Yield the results of many blocks, in their order; see `score_block` and `read_task`.

    One block is read and scored after the other: threads would wait for Python's lock most of the
    time.
    """
    # Tasks that a worker does at the same time must not give each other more threads of matrix
    # products: those round otherwise.
    with threadpool_limits(1, "blas"):
        for stars in blocks:
            yield score_block(stars, network, job, known)


def score_task(targets, content, job, known):
    """Results of all stars of several targets, in their order; what a worker of a cluster runs.

    `content` are the bytes of the model file; for the rest see `score_block`.
    """
    blocks = score_blocks(read_task(targets, job), _network_of(content), job, known)
    return list(itertools.chain.from_iterable(blocks))
