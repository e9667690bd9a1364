"""Rate and memory of `--predict`, beside the network's own on arrays in memory.

    python tests/benchmarks/prediction.py [--stars 25000] [--workers 2] [--long]
    python tests/benchmarks/prediction.py --labelled DIR   # how well it does on labelled stars

Writes synthetic light curves to a temporary directory, scores them with the network that comes with
the repository, and prints a Markdown table. `--workers` also scores files on a local Dask cluster
of so many workers; `--long` scores single light curves of up to 300,000 cadences, and draws a page
about one of four years.
"""

import argparse
import contextlib
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from astropy.io import fits

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from exoplanets.scoring.command import SHIPPED_MODEL
from exoplanets.stars import CADENCE_DAYS

LENGTHS = (3_197, 30_000, 100_000, 300_000)  # cadences
FOUR_YEARS = 71_500


def write_table(path, n_stars, rng):
    """White noise and a wander, in the Kaggle schema without labels, two decimals."""
    with open(path, "w") as stream:
        stream.write(",".join(f"FLUX.{i + 1}" for i in range(3197)) + "\n")
        for start in range(0, n_stars, 500):
            size = (min(500, n_stars - start), 3197)
            flux = np.cumsum(rng.normal(0, 0.5, size), axis=1) + rng.normal(0, 5, size)
            np.savetxt(stream, flux, fmt="%.2f", delimiter=",")


def write_star(path, n_cadences, rng):
    """One star with times, a planet of 3.5 days in noise."""
    time = 100 + np.arange(n_cadences) * CADENCE_DAYS
    flux = 1e4 + rng.normal(size=n_cadences) - 20 * ((time % 3.5) < 0.12)
    np.savez(path, time=time, flux=flux)


def run(*options):
    """Seconds and peak memory (MB) of one command, in a process of its own."""
    command = [sys.executable, str(ROOT / "cnn_classifier.py"), "--predict", *map(str, options)]
    start = time.perf_counter()
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0, command
    return time.perf_counter() - start, usage.ru_maxrss / 1024


def print_row(what, n_stars="", rate="", memory=""):
    print(f"| {what} | {n_stars} | {rate} | {memory} |", flush=True)


def write_archive_file(path, number, rng):
    """A light curve of 65 days as Kepler's archive has them: 20 columns, and long headers."""
    time = 100 + np.arange(3197) * CADENCE_DAYS
    columns = {"TIME": time, "PDCSAP_FLUX": rng.normal(1e4, 5, 3197)}
    columns |= {f"COLUMN_{i}": np.zeros(3197) for i in range(18)}
    made = [fits.Column(name, "D", array=array, unit="d") for name, array in columns.items()]
    primary, table = fits.PrimaryHDU(), fits.BinTableHDU.from_columns(made)
    primary.header.update({"TELESCOP": "Kepler", "KEPLERID": number, "QUARTER": 3})
    for header in (primary.header, table.header):
        header.update({f"CARD{i}": i for i in range(60)})
    fits.HDUList([primary, table]).writeto(path)


def print_rate_of_files(what, few, many, n_more, folder):
    """Rate and memory of the whole program on files with so many stars more than others have."""
    run(*few, "--output", folder / "warm.csv")
    begin = min(run(*few, "--output", folder / f"few{i}_{what}.csv")[0] for i in range(2))
    seconds, memory = run(*many, "--output", folder / f"{what}.csv")
    print_row(f"--predict, {what}", n_more, f"{n_more / (seconds - begin):.0f}", f"{memory:.0f}")
    again, _ = run(*many, "--output", folder / f"{what}.csv")
    print_row("the same again: known, only read", n_more, f"{n_more / (again - begin):.0f}")


def print_rates_of_files(n_stars, folder, rng):
    """Rates of a table, and of files of the archive."""
    write_table(folder / "few.csv", 64, rng)
    write_table(folder / "many.csv", 64 + n_stars, rng)
    print_rate_of_files("a table", [folder / "few.csv"], [folder / "many.csv"], n_stars, folder)
    files = [folder / f"{number}.fits" for number in range(1, 65 + n_stars // 8)]
    for number, path in enumerate(files, 1):
        write_archive_file(path, number, rng)
    print_rate_of_files("FITS files", files[:64], files, len(files) - 64, folder)


def print_rates_of_arrays(rng):
    """Rates of the network and of equalising on arrays in memory."""
    from exoplanets.scoring import prediction
    from exoplanets.scoring.own_stars import Star

    network, job = prediction.load_network(SHIPPED_MODEL), prediction.Job()
    blocks = [
        [Star(f"{i}", star) for i, star in enumerate(rng.normal(size=(prediction.BLOCK, 3197)))]
        for _ in range(8)
    ]
    prepared = [prediction.prepare_stars(block, network, job) for block in blocks]
    prediction.judge_curves(network, prepared[0])
    ways = {
        "network alone, equalised arrays in memory": (prediction.judge_curves, prepared),
        "equalised and scored, arrays in memory": (
            lambda network, block: prediction.score_block(block, network, job, {}),
            blocks,
        ),
    }
    for what, (function, given) in ways.items():
        start = time.perf_counter()
        for block in given:
            function(network, block)
        n = sum(map(len, given))
        print_row(what, n, f"{n / (time.perf_counter() - start):.0f}")


def print_long(folder, rng):
    """Memory and seconds of single long light curves."""
    for n_cadences in LENGTHS:
        path = folder / f"{n_cadences}.npz"
        write_star(path, n_cadences, rng)
        seconds, memory = run(path, "--output", folder / "long.csv")
        print_row(f"one star of {n_cadences} cadences: {seconds:.0f} s", 1, "", f"{memory:.0f}")
    write_star(folder / "four_years.npz", FOUR_YEARS, rng)
    options = folder / "four_years.npz", "--output", folder / "page.csv"
    without, _ = run(*options, "--search-all")
    seconds, memory = run(*options, "--plots", "--plots-dir", folder)
    print_row(f"its page, of four years: {seconds - without:.0f} s", 1, "", f"{memory:.0f}")


def compare_with_dask(folder, n_workers, rng):
    """The same files in one process and on a local cluster."""
    import distributed

    files = [folder / f"small{i:02d}.csv" for i in range(64)]
    for path in files:
        write_table(path, 64, rng)
    seconds, _ = run(*files, "--output", folder / "here.csv")
    print_row("--predict, one process", 4096, f"{4096 / seconds:.0f}")
    with distributed.LocalCluster(n_workers=n_workers, threads_per_worker=1) as cluster:
        address = "--dask", cluster.scheduler_address
        run(*files[:32], "--output", folder / "warm.csv", *address)
        seconds, _ = run(*files, "--output", folder / "there.csv", *address)
    same = (folder / "here.csv").read_bytes() == (folder / "there.csv").read_bytes()
    what = f"--predict --dask, {n_workers} workers, same bytes: {same}"
    print_row(what, 4096, f"{4096 / seconds:.0f}")


def print_skill(folder):
    """ROC AUC and average precision of the shipped network on all labelled stars of a directory."""
    from sklearn.metrics import average_precision_score, roc_auc_score

    from exoplanets.scoring import prediction
    from exoplanets.scoring.own_stars import Star, Unreadable
    from exoplanets.scoring.samples import COLUMNS_ONLY
    from exoplanets.sources import kaggle
    from exoplanets.stars import describe

    stars, provenance = kaggle.load(folder)
    network, job = prediction.load_network(SHIPPED_MODEL), prediction.Job()
    print(f"data: {describe(provenance)}: {stars.y.sum()} hosts, {(stars.y == 0).sum()} non-hosts")
    for name, sign in (("as they are", 1), ("upside down", -1)):
        given = [Star("", sign * flux, time_system=COLUMNS_ONLY) for flux in stars.flux]
        rows = prediction.score_block(given, network, job, {})
        kept = [i for i, row in enumerate(rows) if not isinstance(row, Unreadable)]
        score = [rows[i][0].score for i in kept]
        print(
            f"{name}: ROC AUC {roc_auc_score(stars.y[kept], score):.2f}, "
            f"average precision {average_precision_score(stars.y[kept], score):.2f}"
        )


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--stars", type=int, default=25_000)
    parser.add_argument("--workers", type=int, default=0)
    parser.add_argument("--long", action="store_true")
    parser.add_argument("--labelled", type=Path, help="directory of exoTrain.csv and exoTest.csv")
    args = parser.parse_args(argv)
    if args.labelled:
        return print_skill(args.labelled)
    rng = np.random.default_rng(0)
    print("| what | stars | stars per second | peak memory (MB) |\n|---|---|---|---|")
    with tempfile.TemporaryDirectory() as scratch, contextlib.suppress(KeyboardInterrupt):
        # A child's peak memory counts what its parent had: this process loads the network last.
        print_rates_of_files(args.stars, Path(scratch), rng)
        if args.long:
            print_long(Path(scratch), rng)
        if args.workers:
            compare_with_dask(Path(scratch), args.workers, rng)
        print_rates_of_arrays(rng)


if __name__ == "__main__":
    main()
