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
import os
import tempfile
from collections import defaultdict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np
from threadpoolctl import threadpool_limits

from exoplanets.classifiers import keras_tools
from exoplanets.classifiers.transit import load_transit, make_scorer
from exoplanets.evaluation import metrics
from exoplanets.lightcurves import clock, equalise
from exoplanets.lightcurves.campaign import Campaign
from exoplanets.scoring import own_stars
from exoplanets.scoring.depths import find_days, find_depths
from exoplanets.scoring.own_campaign import OwnCampaign
from exoplanets.scoring.own_stars import Unreadable
from exoplanets.scoring.samples import COLUMNS_ONLY
from exoplanets.scoring.score_file import MEASURED, make_text_cell
from exoplanets.search import box
from exoplanets.search.events import find_events
from exoplanets.search.fold import find_ephemerides
from exoplanets.stars import CADENCE_DAYS

BLOCK = 256  # stars read before they are scored
TARGETS_PER_TASK = 256  # files of one star each that a worker gets at a time: a block
BYTES_PER_TASK = 100_000_000  # of larger files, such as all the quarters of a star
LONG = 8000  # cadences (164 d): longer light curves are box-searched near the network's periods
N_NEAR, MULTIPLES = 6, (0.5, 1, 2)  # of those periods, and what they are multiplied by
CAMPAIGN_TIME = "since the first cadence of the campaign"
LAYOUT = 5  # raised whenever the same network measures the same star otherwise


class Network(NamedTuple):
    """A trained transit network and what scoring needs."""

    score: Callable  # see `transit.make_scorer`
    threshold: float  # a star is called a host if `score >= threshold`
    calibration: tuple | None  # slope and offset of the logit of the probability; `metrics`
    prevalence: float | None  # share of hosts among the stars that the calibration stands for
    name: str  # see `name_file`
    trained_on: dict | None = None  # provenance of the light curves; None if not recorded
    campaign: Campaign | None = None  # of those light curves

    def find_probability(self, score, prevalence):
        """Probability that a star of this score is a host, or None where that is not calibrated.

        `prevalence` is the share of hosts among all such stars. Another one than that of the
        calibration changes the odds by the ratio of the prior odds (Bayes' theorem).
        """
        if self.calibration is None:
            return None
        slope, offset = self.calibration
        if None not in (prevalence, self.prevalence):
            offset += metrics.logit(prevalence) - metrics.logit(self.prevalence)
        return float(metrics.calibrate(score, slope, offset))


class Job(NamedTuple):
    """What is asked of every star, the same on every worker."""

    search_all: bool = False  # search every star for its period, not only those called hosts
    prevalence: float | None = None  # see `Network.find_probability`
    magnitudes: bool | None = None  # see `own_stars.read_stars`
    campaign: OwnCampaign | None = None  # of the stars
    campaign_name: str = ""  # see `name_file`


def name_file(path):
    """First digits of the SHA-256 of a file and, behind a point, the `LAYOUT` of this code."""
    return f"{hashlib.sha256(Path(path).read_bytes()).hexdigest()[:12]}.{LAYOUT}"


def load_network(path):
    """The network of a model file; see `transit.load_transit`."""
    keras_tools.start()
    model, scoring = load_transit(path)
    return Network(
        make_scorer(model),
        scoring["threshold"],
        scoring["calibration"],
        scoring.get("prevalence"),
        name_file(path),
        scoring.get("provenance", {}).get("data"),
        scoring.get("campaign"),
    )


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
class OwnCurve(NamedTuple):
    """A light curve that can be scored; ndarrays of shape (n_cadences,)."""

    curve: np.ndarray  # equalised, float32, a value for every cadence; NaN in long gaps
    days: np.ndarray  # as the file counts them


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
    """Equalise light curves of any lengths, as those were that taught the network.

    Rows of the table that taught it are put on the clock of their campaign, and what its stars
    share is taken out; of other stars, what those of `job.campaign` share. Returns an `OwnCurve` or
    an `Unreadable` of each star; see `give_time`.
    """
    prepared = [None] * len(stars)
    rows = [i for i, star in enumerate(stars) if star.time_system == CAMPAIGN_TIME]
    if rows:
        flux = np.stack([stars[i].flux for i in rows])
        curves, kept, dropped = equalise.equalise_table(flux, network.campaign)
        days = np.arange(flux.shape[1]) * CADENCE_DAYS
        for k, curve in zip(kept, curves, strict=True):
            prepared[rows[k]] = OwnCurve(curve, days)
        for k, reason in dropped:
            prepared[rows[k]] = Unreadable(stars[rows[k]].file, f"cannot be scored: {reason}")
    others = sorted(set(range(len(stars))) - set(rows))
    campaign = job.campaign
    flux = [stars[i].flux if campaign is None else campaign.remove_shared(stars[i]) for i in others]
    for i, curve in zip(others, equalise.equalise_stars(flux), strict=True):
        if isinstance(curve, ValueError):  # too little is measured
            prepared[i] = Unreadable(stars[i].file, str(curve))
        else:
            prepared[i] = OwnCurve(curve, find_days(stars[i]))
    return prepared


def score_curves(network, curves):
    """Scores of equalised light curves of any lengths, ndarray of shape (n_stars,)."""
    score = np.empty(len(curves))
    lengths = defaultdict(list)
    for i, curve in enumerate(curves):
        lengths[len(curve)].append(i)
    for places in lengths.values():
        score[places] = network.score(np.stack([curves[i] for i in places]))
    return score


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


# ------------------------------------------------------------------------------ rows of a file
def score_block(stars, network, job, known):
    """Rows of the file of scores for stars that were read together, in their order.

    `stars` are `own_stars.Star` or `Unreadable`; `known` is as in `score_file.Scores`. Returns per
    star the texts of its cells by column, and whether it was measured now; or an `Unreadable`.
    """
    rows, measured, wanted = list(stars), {}, []
    readable = [i for i, star in enumerate(stars) if not isinstance(star, Unreadable)]
    digests = {i: name_light_curve(stars[i]) for i in readable}
    timed = {i: give_time(stars[i], network) for i in readable}
    for i in readable:
        if digests[i] in known:
            measured[i] = dict(zip(MEASURED, known[digests[i]], strict=True))
        if i not in measured or (job.search_all and not measured[i]["snr"]):
            wanted.append(i)
    equalised = prepare_stars([timed[i] for i in wanted], network, job)
    prepared = dict(zip(wanted, equalised, strict=True))
    for i in wanted:
        if isinstance(prepared[i], Unreadable):
            rows[i] = prepared.pop(i)
    fresh = [i for i in prepared if i not in measured]
    scores = score_curves(network, [prepared[i].curve for i in fresh])
    for i, score in zip(fresh, scores, strict=True):
        measured[i] = dict.fromkeys(MEASURED, "") | {
            "score": f"{score:.6f}",
            "called": str(int(score >= network.threshold)),
            "n_cadences": str(count_used(timed[i], prepared[i])),
        }
    chosen = [i for i in prepared if job.search_all or measured[i]["called"] == "1"]
    with ThreadPoolExecutor(os.cpu_count()) as pool:  # the search lets other threads work
        found = pool.map(search_curve, [prepared[i] for i in chosen])
        for i, each in zip(chosen, found, strict=True):
            measured[i] |= describe_search(timed[i], each)
    for i, cells in measured.items():
        rows[i] = complete_cells(cells, timed[i], digests[i], network, job), i in prepared
    return rows


def count_used(star, prepared):
    """Cadences of a star that were measured and are used; see `equalise.equalise_stars`.

    Crowded ones count, gaps that were filled do not.
    """
    if star.time_system == CAMPAIGN_TIME:  # its columns are not its cadences
        return np.count_nonzero(clock.find_measured(star.flux))
    return np.count_nonzero(clock.find_used(star.flux) & np.isfinite(prepared.curve))


def describe_search(star, found):
    """The cells of what a box search found; the depth is that of the flux as read."""
    if not np.isfinite(found.statistic):
        return {}
    _, depths = find_depths(star, found.period, found.epoch, found.duration)
    has_depth = star.level is not None and len(depths)
    return {
        "period_days": f"{found.period:.6f}",
        "epoch_days": f"{found.epoch:.6f}",
        "duration_hours": f"{24 * found.duration:.6g}",
        "depth_ppm": f"{1e6 * np.median(depths) / star.level:.6g}" if has_depth else "",
        "snr": f"{found.snr:.6g}",
        "statistic": f"{found.statistic:.6g}",
    }


def complete_cells(measured, star, digest, network, job):
    """All cells of a star's row: what was measured, and what this run says about it.

    The probability is that of the score as it is written, so that a row that is taken over from an
    earlier run is the same as one that is measured now.
    """
    prevalence = network.prevalence if job.prevalence is None else job.prevalence
    probability = network.find_probability(float(measured["score"]), prevalence)
    notes = list(star.notes)
    if measured["snr"] and not measured["depth_ppm"]:
        notes.append("no depth: the flux has no level")
    if job.campaign is not None:
        notes.append(f"{job.campaign.find_share(star):.0%} of it in the campaign")
    return measured | {
        "name": make_text_cell(star.name),
        "probability": "" if probability is None else f"{probability:.6f}",
        "prevalence": "" if probability is None or prevalence is None else f"{prevalence:.6g}",
        "network": network.name,
        "campaign": job.campaign_name,
        "light_curve": digest,
        "notes": make_text_cell("; ".join(notes)),
    }


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


def read_task(targets, job):
    """Stars of several targets, in lists of at most `BLOCK`."""
    read = (own_stars.read_stars(target, job.magnitudes) for target in targets)
    stars = itertools.chain.from_iterable(read)
    return iter(lambda: list(itertools.islice(stars, BLOCK)), [])


def score_blocks(blocks, network, job, known):
    """Yield the rows of many blocks, in their order; see `score_block` and `read_task`.

    One block is read and scored after the other: threads would wait for Python's lock most of the
    time.
    """
    # Tasks that a worker does at the same time must not give each other more threads of matrix
    # products: those round otherwise.
    with threadpool_limits(1, "blas"):
        for stars in blocks:
            yield score_block(stars, network, job, known)


def score_task(targets, content, job, known):
    """Rows of all stars of several targets, in their order; what a worker of a cluster runs.

    `content` are the bytes of the model file; for the rest see `score_block`.
    """
    blocks = score_blocks(read_task(targets, job), _network_of(content), job, known)
    return list(itertools.chain.from_iterable(blocks))
