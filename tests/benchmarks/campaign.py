"""What `--campaign learn` is worth: planets recovered in simulated stars, with it and without.

    python tests/benchmarks/campaign.py [--stars 600]

Writes a simulated survey as single files with times, a third of them with an injected planet,
scores them twice with the network that comes with the repository, and prints a Markdown table: the
planets above the threshold that one in a hundred of the other stars passes. Eclipsing binaries,
whose dips do repeat, are neither.
"""

import argparse
import contextlib
import csv
import io
import sys
import tempfile
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

import itertools

from exoplanets.lightcurves.injection import draw_transits, inject
from exoplanets.scoring import command as predict
from exoplanets.sources import survey

SNR_EDGES = (6, 9, 14, 22, 60)  # of the matched filter in the raw flux
FALSE_POSITIVE_RATE = 0.01


def write_survey(folder, n_stars, seed):
    """Write non-hosts as one file each.

    Returns the signal-to-noise ratio of each one's planet: 0 for none, NaN in an eclipsing binary.
    """
    stars = survey.simulate(n_stars + 1, 2, 1, 1, seed=seed, leaks=False)
    rng, snrs = np.random.default_rng(seed), np.zeros(n_stars)
    for i in range(n_stars):
        time, flux = stars.light_curve("train", i + 1)
        if i % 3 == 0:
            snrs[i] = np.exp(rng.uniform(*np.log([SNR_EDGES[0], SNR_EDGES[-1]])))
            flux, _ = inject(flux, draw_transits(rng, time), snrs[i])
        level = stars.truth["train"]["level"][i + 1]
        np.savez(folder / f"star{i:05d}.npz", time=time, flux=flux + level)
    snrs[stars.truth["train"]["kind"][1:] == "eclipsing binary"] = np.nan
    return snrs


def score(folder, output, *options):
    """Scores of all stars of a folder, in the order of their names."""
    with contextlib.redirect_stdout(io.StringIO()):
        command = ["--predict", str(folder), "--output", str(output), "--data-dir", output.parent]
        predict.main([*map(str, command), *options])
    with open(output, newline="") as stream:
        found = {Path(row["name"]).stem: float(row["score"]) for row in csv.DictReader(stream)}
    return found


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--stars", type=int, default=600)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args(argv)
    with tempfile.TemporaryDirectory() as scratch:
        folder, results = Path(scratch) / "stars", Path(scratch) / "results"
        folder.mkdir()
        snrs = write_survey(folder, args.stars, args.seed)
        ways = {"without": (), "--campaign learn": ("--campaign", "learn")}
        found = {name: score(folder, results / "scores.csv", *way) for name, way in ways.items()}
    bins = [f"SNR {a} to {b}" for a, b in itertools.pairwise(SNR_EDGES)]
    print(f"| {args.stars} stars | all | {' | '.join(bins)} |\n|---|{'---|' * (len(bins) + 1)}")
    for name, scores in found.items():
        value = np.array([scores.get(f"star{i:05d}", 0.0) for i in range(args.stars)])
        threshold = np.quantile(value[snrs == 0], 1 - FALSE_POSITIVE_RATE, method="higher")
        cells = []
        for low, high in [(SNR_EDGES[0], SNR_EDGES[-1]), *itertools.pairwise(SNR_EDGES)]:
            planets = (snrs >= low) & (snrs < high)
            cells.append(f"{np.sum(value[planets] > threshold)} of {planets.sum()}")
        print(f"| {name} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
