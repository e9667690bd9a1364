"""Work on the workers of a Dask cluster: they need the files and the packages, not this code.

The code is sent to them, and what all tasks share is sent once. A lost worker's tasks are done
again by the others.
"""

import contextlib
import hashlib
import importlib.metadata
import io
import logging
import os
import pickle
import platform
import sys
import zipfile
from collections import deque
from pathlib import Path

from exoplanets.files import DataError

PACKAGE = Path(__file__).resolve().parents[1]
PACKAGES = ("numpy", "scipy", "pandas", "astropy", "keras", "tensorflow")  # that scores depend on
AHEAD = 4  # tasks per worker under way beyond the one whose result is awaited
RETRIES = 5  # of a task whose worker was lost
LOGGERS = ("distributed", "asyncio", "tornado")  # and all below them
PATIENCE = 30  # s, for the scheduler to answer and the first worker to join


def pack_code():
    """The Python files of this package as a zip archive: bytes, the same for the same code."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(PACKAGE.rglob("*.py")):
            name = path.relative_to(PACKAGE.parent).as_posix()
            archive.writestr(zipfile.ZipInfo(name), path.read_bytes())
    return stream.getvalue()


def find_version(name):
    """The version of a package that is installed here, or of Python."""
    if name == "python":
        return platform.python_version().rpartition(".")[0]
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"


def find_versions():
    """Versions of what scores depend on, by name."""
    return {name: find_version(name) for name in ("python", *PACKAGES)}


def map_on_cluster(address, function, tasks, *shared):
    """Yield `function(task, *shared)` of each task, in their order.

    `address` is that of a Dask scheduler; the function is one of a module of this package, and what
    is shared is sent to each worker once. DataError if nothing answers, no worker is there, one has
    other versions of what scores depend on, or too many were lost.
    """
    import distributed  # here, for few have it

    # What is defined in here, Dask sends by value: neither the scheduler nor a worker has to be
    # able to import this module before the plugin has been there. Only `work` may do so.
    code, here = pack_code(), (platform.node(), os.getpid())
    job = pickle.dumps((function, shared))
    own_versions = find_versions()

    class Sent(distributed.WorkerPlugin):
        """Gives each worker, also one that joins later, the code and what all tasks share."""

        def setup(self, worker):
            worker.exoplanets_job = job
            if here == (platform.node(), os.getpid()):
                return  # a worker in the process that asks
            folder = os.path.join(worker.local_directory, hashlib.sha256(code).hexdigest()[:16])
            zipfile.ZipFile(io.BytesIO(code)).extractall(folder)
            if sys.path[0] != folder:
                sys.path.insert(0, folder)
                for name in [n for n in sys.modules if n.partition(".")[0] == "exoplanets"]:
                    del sys.modules[name]  # of an earlier version

    def work(task):
        from exoplanets.scoring.cluster import find_version

        worker = distributed.get_worker()
        for name, wanted in own_versions.items():
            if (version := find_version(name)) != wanted:
                return None, f"worker {worker.address} has {name} {version}, not {wanted}"
        function, shared = pickle.loads(worker.exoplanets_job)
        return function(pickle.loads(task), *shared), None

    with _silence_logs():
        yield from _map(address, Sent, work, tasks)


@contextlib.contextmanager
def _silence_logs():
    """Keep Dask's and asyncio's tracebacks from the user: what is lost is said in one line."""
    # A disabled logger does not disable those below it, and each module of Dask has its own.
    names = [n for n in logging.root.manager.loggerDict if n.partition(".")[0] in LOGGERS]
    loggers = [logging.getLogger(name) for name in names]
    before = [logger.disabled for logger in loggers]
    try:
        for logger in loggers:
            logger.disabled = True
        yield
    finally:
        for logger, was_disabled in zip(loggers, before, strict=True):
            logger.disabled = was_disabled


def _map(address, plugin, work, tasks):
    """See `map_on_cluster`; each worker has the plugin before it does work on a pickled task."""
    import distributed

    try:
        client = distributed.Client(address, timeout=PATIENCE, set_as_default=False)
    except (OSError, TimeoutError, ValueError) as error:
        raise DataError(f"no Dask scheduler answers at '{address}': start one") from error
    with client:
        try:
            client.wait_for_workers(1, timeout=PATIENCE)
        except TimeoutError:
            raise DataError(
                f"the Dask scheduler at '{address}' has no worker: start `dask worker {address}`"
            ) from None
        client.register_plugin(plugin(), name="exoplanets")
        waiting, under_way = deque(tasks), deque()
        while waiting or under_way:
            try:
                n_workers = max(len(client.scheduler_info(n_workers=-1)["workers"]), 1)
                while waiting and len(under_way) < n_workers * AHEAD:
                    task = pickle.dumps(waiting.popleft())
                    under_way.append(client.submit(work, task, pure=False, retries=RETRIES))
                result, mismatch = under_way.popleft().result()
            except (
                distributed.scheduler.KilledWorker,
                distributed.CancelledError,
                distributed.comm.CommClosedError,
            ) as error:
                raise DataError(
                    f"the Dask cluster at '{address}' lost its scheduler or too many workers "
                    f"({type(error).__name__}): the same command goes on from here"
                ) from error
            if mismatch:
                raise DataError(f"{mismatch}: install this repository's requirements.txt there")
            yield result
