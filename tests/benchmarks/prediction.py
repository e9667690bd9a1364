"""Rate and memory of `--predict` on many stars, beside the network's own on arrays in memory.

    python tests/benchmarks/prediction.py [--stars 100000] [--workers 2]
    python tests/benchmarks/prediction.py --labelled DIR   # how well it does on labelled stars

Writes synthetic light curves in parts of 25,000 to a temporary directory, scores them with the
network that comes with the repository, and prints a Markdown table. `--workers` also scores the
first part's copies on a local Dask cluster of so many workers.
"""

import argparse
import resource
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from exoplanets.classifiers import keras_tools
from exoplanets.classifiers.transit import load_transit
from exoplanets.commands.predict import SHIPPED_MODEL
from exoplanets.evaluation import metrics, prediction
from exoplanets.lightcurves import equalise
from exoplanets.sources import kaggle
from exoplanets.stars import describe

PART = 25_000


def write_part(path, n_stars, rng):
    """White noise and a wander, in the Kaggle schema without labels, two decimals."""
    with open(path, "w") as stream:
        stream.write(",".join(f"FLUX.{i + 1}" for i in range(3197)) + "\n")
        for start in range(0, n_stars, 500):
            size = (min(500, n_stars - start), 3197)
            flux = np.cumsum(rng.normal(0, 0.5, size), axis=1) + rng.normal(0, 5, size)
            np.savetxt(stream, flux, fmt="%.2f", delimiter=",")


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--stars", type=int, default=100_000)
    parser.add_argument("--workers", type=int, default=0)
    parser.add_argument("--labelled", type=Path, help="directory of exoTrain.csv and exoTest.csv")
    args = parser.parse_args(argv)
    if args.labelled:
        return print_skill(args.labelled)
    rng = np.random.default_rng(0)
    keras_tools.work_side_by_side()
    model, _ = load_transit(SHIPPED_MODEL)
    curves = rng.normal(size=(2048, 2880)).astype(np.float32)
    keras_tools.predict(model, curves[:256])
    start = time.perf_counter()
    keras_tools.predict(model, curves)
    own = len(curves) / (time.perf_counter() - start)
    print("| what | stars | stars per second | peak memory (MB) |\n|---|---|---|---|")
    print(f"| network alone, arrays in memory | {len(curves)} | {own:.0f} | |", flush=True)
    with tempfile.TemporaryDirectory() as scratch:
        output = Path(scratch) / "scores.csv"
        seconds, done = 0.0, 0
        while done < args.stars:
            part = Path(scratch) / f"part{done}.csv"
            n_stars = min(PART, args.stars - done)
            write_part(part, n_stars, rng)
            start = time.perf_counter()
            prediction.predict_files([part], SHIPPED_MODEL, output)
            seconds += time.perf_counter() - start
            done += n_stars
            part.unlink()
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(f"| --predict, files | {done} | {done / seconds:.0f} | {memory:.0f} |", flush=True)
        if args.workers:
            compare_with_dask(Path(scratch), args.workers, rng)


def print_skill(folder):
    """ROC AUC and average precision of the shipped network on all labelled stars of a directory."""
    stars, provenance = kaggle.load(folder)
    curves, rows, _ = equalise.equalise_table(stars.flux)
    y = stars.is_host[rows]
    model, _ = load_transit(SHIPPED_MODEL)
    print(f"data: {describe(provenance)}: {y.sum()} hosts, {(~y).sum()} non-hosts")
    for name, stars in (("as they are", curves), ("upside down", -curves)):
        score = keras_tools.predict(model, stars)
        roc_auc, average_precision = (v[0] for v in metrics.rank_statistics(y, score))
        low, high = metrics.roc_auc_interval(y, score, np.random.default_rng(0))
        print(
            f"{name}: ROC AUC {roc_auc:.2f} [{low:.2f}, {high:.2f}], "
            f"average precision {average_precision:.2f}"
        )


def compare_with_dask(folder, n_workers, rng):
    """The same files on one process and on a local cluster."""
    import distributed

    files = []
    for i in range(64):
        files.append(folder / f"small{i:02d}.csv")
        write_part(files[-1], 64, rng)
    start = time.perf_counter()
    prediction.predict_files(files, SHIPPED_MODEL, folder / "here.csv")
    here = 64 * 64 / (time.perf_counter() - start)
    with distributed.LocalCluster(n_workers=n_workers, threads_per_worker=1) as cluster:
        warm = folder / "warm.csv"
        prediction.predict_files(files[:32], SHIPPED_MODEL, warm, address=cluster.scheduler_address)
        start = time.perf_counter()
        prediction.predict_files(
            files, SHIPPED_MODEL, folder / "there.csv", address=cluster.scheduler_address
        )
        there = 64 * 64 / (time.perf_counter() - start)
    same = (folder / "here.csv").read_bytes() == (folder / "there.csv").read_bytes()
    print(f"| --predict, one process | 4096 | {here:.0f} | |")
    print(f"| --predict --dask, {n_workers} workers, same bytes: {same} | 4096 | {there:.0f} | |")


if __name__ == "__main__":
    main()
