"""Work on a Dask cluster: the code is sent along, a lost worker changes nothing."""

import io
import json
import logging
import os
import signal
import subprocess
import sys
import time
import zipfile

import pytest
from conftest import ROOT

from exoplanets.files import DataError
from exoplanets.scoring import cluster
from exoplanets.transits import transit_duration

distributed = pytest.importorskip("distributed")


@pytest.fixture
def start(tmp_path):
    """Starts commands in a folder from which this repository cannot be imported."""
    started, environment = [], {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}

    def run(*command):
        process = subprocess.Popen(
            [sys.executable, "-m", *map(str, command)],
            cwd=tmp_path,
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        started.append(process)
        return process

    yield run
    for process in started:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


@pytest.fixture
def scheduler(start, tmp_path):
    """Address of a scheduler that knows nothing of this repository, and its process."""
    file = tmp_path / "scheduler.json"
    process = start(
        "distributed.cli.dask_scheduler", "--host", "127.0.0.1", "--port", 0,
        "--no-dashboard", "--scheduler-file", file,
    )  # fmt: skip
    for _ in range(600):
        if file.exists() and file.read_text():
            break
        time.sleep(0.1)
    return json.loads(file.read_text())["address"], process


DIE = """
import sys, time
from exoplanets.files import DataError, run
from exoplanets.scoring import cluster
from exoplanets.transits import transit_duration

def main():
    periods = [9.0] * 20_000
    for k, _ in enumerate(cluster.map_on_cluster(sys.argv[1], transit_duration, periods, 0.1)):
        if k == 3:
            print("under way", flush=True)

run(main)
"""


def test_a_scheduler_that_is_killed_is_one_line(start, scheduler):
    address, process = scheduler
    start_worker(start, address)
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", DIE, address]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, **pipes, env=environment, text=True) as client:
        assert client.stdout.readline() == "under way\n"
        process.kill()
        _, said = client.communicate(timeout=120)
    assert client.returncode == 2
    assert len(said.splitlines()) == 1, said
    assert f"the Dask cluster at '{address}' lost its scheduler or too many" in said


def test_every_module_of_dask_is_silent_and_speaks_again():
    """Which of them says that a scheduler is gone depends on the moment."""
    loggers = [logging.getLogger(name) for name in ("distributed.batched", "distributed.client")]
    with cluster._silence_logs():
        assert all(logger.disabled for logger in loggers)
        assert not logging.getLogger("exoplanets").disabled
    assert not any(logger.disabled for logger in loggers)


def start_worker(start, address):
    return start(
        "distributed.cli.dask_worker", address, "--nthreads", 1, "--no-dashboard", "--no-nanny"
    )


def test_a_plain_cluster_does_the_work_and_a_killed_worker_changes_nothing(start, scheduler):
    """The function is one of this package: neither scheduler nor workers have it."""
    address, _ = scheduler
    first, _ = (start_worker(start, address) for _ in range(2))
    periods, results = [float(p) for p in range(1, 40)], []
    for duration in cluster.map_on_cluster(address, transit_duration, periods, 0.1):
        results.append(duration)
        if len(results) == 5:
            first.kill()
    assert results == [transit_duration(period, 0.1) for period in periods]


def test_a_worker_with_other_versions_is_named(monkeypatch):
    versions = cluster.find_versions() | {"keras": "1.0"}
    monkeypatch.setattr(cluster, "find_versions", lambda: versions)
    with (
        distributed.LocalCluster(n_workers=1, processes=False, dashboard_address=None) as local,
        pytest.raises(DataError, match=r"worker \S+ has keras [\d.]+, not 1\.0: install") as caught,
    ):
        list(cluster.map_on_cluster(local.scheduler_address, transit_duration, [1.0], 0.1))
    assert "\n" not in str(caught.value)


def test_a_cluster_that_is_not_there_or_has_no_worker_is_one_line(scheduler, monkeypatch):
    monkeypatch.setattr(cluster, "PATIENCE", 2)
    with pytest.raises(DataError, match=r"no Dask scheduler answers at 'tcp://127\.0\.0\.1:1'"):
        list(cluster.map_on_cluster("tcp://127.0.0.1:1", transit_duration, [1.0], 0.1))
    with pytest.raises(DataError, match="has no worker: start `dask worker tcp://"):
        list(cluster.map_on_cluster(scheduler[0], transit_duration, [1.0], 0.1))


def test_the_same_code_is_packed_to_the_same_bytes():
    packed = cluster.pack_code()
    assert packed == cluster.pack_code()
    names = zipfile.ZipFile(io.BytesIO(packed)).namelist()
    assert "exoplanets/scoring/cluster.py" in names and "exoplanets/__init__.py" in names
    assert all(name.endswith(".py") for name in names)
