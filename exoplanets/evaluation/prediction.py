"""Score the user's own stars with a trained network: one, or a million.

Stars are streamed: read, equalised and scored in blocks, and written in the order of the input, so
that memory stays flat, and a run that was interrupted goes on where it stopped. Blocks are scored
side by side, one a core. On one machine or on a Dask cluster the same function scores the same
blocks, and the same bytes come out.
"""

import csv
import functools
import hashlib
import itertools
import os
import sys
import tempfile
from collections import defaultdict, deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np
from tqdm import tqdm

from exoplanets.classifiers import box, keras_tools
from exoplanets.classifiers.transit import load_transit
from exoplanets.evaluation import metrics
from exoplanets.files import DataError, say
from exoplanets.lightcurves import equalise
from exoplanets.sources import own_stars
from exoplanets.stars import CADENCE_DAYS

BLOCK = 256  # stars read before they are scored
UNITS_PER_TASK = 256  # files of one star each that a worker gets at a time: a block
BYTES_PER_TASK = 10_000_000  # of larger files: two blocks of stars of the Kaggle set
MOST_THREADS = 8  # blocks scored side by side: each takes some 50 MB
AHEAD = 4  # tasks per worker under way beyond the one whose result is awaited
RETRIES = 5  # of a task whose worker was lost
HEADER = "name,score,probability,is_host,period_days,epoch_days,depth,snr,n_cadences,model,notes"


class Network(NamedTuple):
    """A trained transit network and what scoring needs.

    Attributes
    ----------
    score : callable
        See `keras_tools.make_scorer`.
    threshold : float
        A star is called a host if `score >= threshold`.
    calibration : list of float, or None
        Slope and offset of the logit of the probability against that of the score.
    name : str
        First digits of the SHA-256 of the file it came from.
    trained_on : dict, or None
        Provenance of the light curves it was trained on, see `stars.Tables`; None if not recorded.
    """

    score: Callable
    threshold: float
    calibration: list | None
    name: str
    trained_on: dict | None = None

    def find_probability(self, score):
        """Calibrated probability of a score, or None."""
        return None if self.calibration is None else metrics.calibrate(score, *self.calibration)


def load_network(path):
    """The network of a model file; see `transit.load_transit`."""
    keras_tools.work_side_by_side()
    model, scoring = load_transit(path)
    digest = hashlib.sha256(Path(path).read_bytes()).hexdigest()
    trained_on = scoring.get("provenance", {}).get("data")
    threshold, calibration = scoring["threshold"], scoring["calibration"]
    score = keras_tools.make_scorer(model)
    return Network(score, threshold, calibration, digest[:12], trained_on)


@functools.lru_cache(maxsize=2)
def _network_of(content):
    """The network of a model file's bytes, once per process."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "transit.keras"
        path.write_bytes(content)
        return load_network(path)


def equalise_stars(stars):
    """Equalise light curves of any lengths, with the function of training.

    Parameters
    ----------
    stars : list of own_stars.Star

    Returns
    -------
    list of (curve, time)
        Per star, ndarrays of shape (n_kept,): the equalised light curve, float32, and the days
        of its cadences. Long gaps are left out.
    """
    pairs = []
    for star in stars:
        curve = equalise.equalise_star(star.flux)
        time = np.arange(len(curve)) * CADENCE_DAYS if star.time is None else star.time
        kept = np.isfinite(curve)
        pairs.append((curve[kept], time[kept]))
    return pairs


def score_curves(network, curves):
    """Scores of equalised light curves of any lengths, ndarray of shape (n_stars,)."""
    score = np.empty(len(curves))
    lengths = defaultdict(list)
    for i, curve in enumerate(curves):
        lengths[len(curve)].append(i)
    for places in lengths.values():
        score[places] = network.score(np.stack([curves[i] for i in places]))
    return score


class Block(NamedTuple):
    """Stars that were read together.

    Attributes
    ----------
    stars : list of own_stars.Star or own_stars.Unreadable
    places : list of int
        Of those that can be scored.
    equalised : list of (curve, time)
        Theirs; see `equalise_stars`.
    """

    stars: list
    places: list
    equalised: list


def prepare_block(stars):
    """Equalise stars that were read together: a `Block`."""
    stars, places, equalised = list(stars), [], []
    for i, star in enumerate(stars):
        if isinstance(star, own_stars.Unreadable):
            continue
        try:
            equalised += equalise_stars([star])
            places.append(i)
        except ValueError as error:  # too little is measured
            stars[i] = own_stars.Unreadable(star.name, str(error))
    return Block(stars, places, equalised)


def score_block(stars, network, search_all=False):
    """Rows of the output for stars that were read together, in their order.

    Parameters
    ----------
    stars : list of own_stars.Star or own_stars.Unreadable
    network : Network
    search_all : bool
        Search every star for its period, not only those called hosts.

    Returns
    -------
    list of str or own_stars.Unreadable
        A line of the output, see `HEADER`, or the star that could not be scored.
    """
    rows, places, equalised = prepare_block(stars)
    score = score_curves(network, [curve for curve, _ in equalised])
    for i, (curve, time), value in zip(places, equalised, score, strict=True):
        rows[i] = make_line(rows[i], curve, time, value, network, search_all)
    return rows


def score_blocks(blocks, network, search_all=False, n_threads=1):
    """Rows of many blocks, in their order; so many are scored side by side, and one is read ahead.

    Parameters
    ----------
    blocks : iterable of list
        See `score_block`; `read_task` makes them.
    network, search_all
        See `score_block`.
    n_threads : int

    Yields
    ------
    str or own_stars.Unreadable
    """
    with ThreadPoolExecutor(n_threads) as pool:
        under_way = deque()
        for stars in blocks:
            under_way.append(pool.submit(score_block, stars, network, search_all))
            if len(under_way) > n_threads:
                yield from under_way.popleft().result()
        while under_way:
            yield from under_way.popleft().result()


def make_line(star, curve, time, score, network, search_all):
    """The output's line of one star."""
    is_host = score >= network.threshold
    found = [""] * 4
    if is_host or search_all:
        statistic, period, epoch, _, depth, snr = box.search_star(curve, time - time[0])
        if np.isfinite(statistic):
            found = [f"{period:.4f}", f"{epoch + time[0]:.4f}", f"{depth:.3f}", f"{snr:.2f}"]
    probability = network.find_probability(score)
    probability = "" if probability is None else f"{probability:.8f}"
    cells = [star.name, f"{score:.8f}", probability, str(int(is_host)), *found]
    cells += [str(len(curve)), network.name, "; ".join(star.notes)]
    return ",".join(_quote(cell) for cell in cells)


def _quote(cell):
    """A cell of a CSV line; names and notes may hold commas."""
    return '"' + cell.replace('"', '""') + '"' if set(cell) & set(',"\n') else cell


def make_tasks(units):
    """Units in groups of at most `UNITS_PER_TASK`, of about `BYTES_PER_TASK`, in their order.

    Scores depend, in their last digits, on the stars they are batched with, and no block spans two
    tasks: the same tasks here and on a cluster make the same bytes.
    """
    tasks, size = [], 0
    for unit in units:
        if not tasks or len(tasks[-1]) == UNITS_PER_TASK or size >= BYTES_PER_TASK:
            tasks.append([])
            size = 0
        tasks[-1].append(unit)
        size += sum(path.stat().st_size for path in unit.files if path.exists())
    return tasks


def read_task(units, skip=frozenset()):
    """Stars of several units but those named in `skip`, in lists of at most `BLOCK`."""
    stars = itertools.chain.from_iterable(map(own_stars.read_stars, units))
    fresh = (star for star in stars if star.name not in skip)
    return iter(lambda: list(itertools.islice(fresh, BLOCK)), [])


def score_task(units, content, search_all=False, skip=frozenset()):
    """Rows of all stars of several units; what a worker runs.

    Parameters
    ----------
    units : list of own_stars.Target
    content : bytes
        Of the model file.
    search_all : bool
        See `score_block`.
    skip : frozenset of str
        Names of stars that have been scored before.

    Returns
    -------
    list of str or own_stars.Unreadable
    """
    return list(score_blocks(read_task(units, skip), _network_of(content), search_all))


def read_done(output, network_name):
    """Names of the stars in an output that an earlier run left; cuts off a half-written line.

    Raises
    ------
    files.DataError
        If the file is no output of this command, or of another model.
    """
    if not output.exists():
        return frozenset()
    with open(output, "r+b") as stream:
        content = stream.read()
        whole = content.rfind(b"\n") + 1
        stream.truncate(whole)
    lines = content[:whole].decode(errors="replace").splitlines()
    if not lines:
        return frozenset()
    if lines[0] != HEADER:
        raise DataError(f"'{output}' is no output of --predict: give another --output")
    done = set()
    for line in lines[1:]:
        name = next(csv.reader([line]))[0]
        if f",{network_name}," not in line:
            raise DataError(
                f"'{output}' holds scores of another model than {network_name}: give another "
                "--output, or delete it"
            )
        done.add(name)
    return frozenset(done)


def predict_files(patterns, model_path, output, search_all=False, address=None):
    """Score every star of some files into a CSV; a second run goes on where the first stopped.

    Parameters
    ----------
    patterns : list of str
        Files, folders, globs; see `own_stars.find_files`.
    model_path, output : path
    search_all : bool
        See `score_block`.
    address : str, optional
        Of a Dask scheduler; its workers must see the same files.

    Returns
    -------
    n_scored, n_skipped : int
        Stars scored now and before.
    bad : list of own_stars.Unreadable
    """
    network = load_network(model_path)
    done = read_done(output, network.name)
    files, bad = own_stars.find_files(patterns)
    units = [unit for unit in own_stars.group_files(files) if unit.name not in done]
    tasks = make_tasks(units)
    if address is None:
        blocks = itertools.chain.from_iterable(read_task(task, done) for task in tasks)
        n_threads = min(os.cpu_count() or 1, MOST_THREADS)
        rows = score_blocks(blocks, network, search_all, n_threads)
    else:
        content = Path(model_path).read_bytes()
        parts = _map_on_dask(address, tasks, content, search_all, done)
        rows = itertools.chain.from_iterable(parts)
    for one in bad:
        say(str(one))
    n_scored, n_skipped = 0, len(done)
    output.parent.mkdir(parents=True, exist_ok=True)
    with open(output, "a", encoding="utf-8") as stream:
        if not stream.tell():
            stream.write(HEADER + "\n")
        with tqdm(rows, unit=" stars", desc="scoring", mininterval=0.5) as bar:
            for row in bar:
                if isinstance(row, own_stars.Unreadable):
                    tqdm.write(str(row), file=sys.stderr)
                    bad.append(row)
                else:
                    stream.write(row + "\n")  # a line at once: a reader may see the last one cut
                    n_scored += 1
    return n_scored, n_skipped, bad


def _map_on_dask(address, tasks, content, search_all, skip):
    """Rows of each task, scored on a Dask cluster, in order; a lost worker's tasks run again."""
    try:
        import distributed
    except ImportError:
        raise DataError("--dask needs dask.distributed: pip install distributed") from None

    root = str(Path(__file__).resolve().parents[2])

    class FindProject(distributed.WorkerPlugin):
        """Lets a worker, also one that joins later, import this project."""

        def setup(self, worker):
            if root not in sys.path:
                sys.path.insert(0, root)

    def work(task):  # pickled by value: a worker can load it before it can import the project
        from exoplanets.evaluation import prediction

        return prediction.score_task(task, content, search_all, skip)

    try:
        client = distributed.Client(address, timeout=10, set_as_default=False)
    except (OSError, TimeoutError, ValueError) as error:
        raise DataError(f"no Dask scheduler answers at '{address}': start one") from error
    with client:
        client.register_plugin(FindProject(), name="exoplanet-hosts")
        waiting, under_way = deque(tasks), deque()
        while waiting or under_way:
            n_workers = max(len(client.scheduler_info(n_workers=-1)["workers"]), 1)
            while waiting and len(under_way) < n_workers * AHEAD:
                task = waiting.popleft()
                under_way.append(client.submit(work, task, pure=False, retries=RETRIES))
            yield under_way.popleft().result()
