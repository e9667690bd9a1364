"""Write the example star that comes with the repository: one simulated host, time and flux.

    python tests/benchmarks/example_star.py --output exoplanets/sources/example_star.csv

The planet's true numbers are printed. No real star looks like this one.
"""

import argparse
import sys
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from exoplanets.files import atomic_write, run, say
from exoplanets.sources import survey

SNR = (40, 80)  # clear, but not to be seen in the raw light curve by eye
PERIOD = (3, 8)  # days


def make_star():
    """The light curve, ndarray of shape (n_measured, 2) of days and e-/s, and its planet."""
    stars = survey.simulate(60, 2, 40, 1, seed=0)
    truth = stars.truth["train"]
    wanted = (truth["snr"] > SNR[0]) & (truth["snr"] < SNR[1])
    wanted &= (truth["period"] > PERIOD[0]) & (truth["period"] < PERIOD[1])
    row = int(np.flatnonzero(wanted & (truth["kind"] == "quiet"))[0])
    time, flux = stars.light_curve("train", row)
    names = ("period", "epoch", "duration", "depth", "snr")
    planet = {name: float(truth[name][row]) for name in names}
    return np.column_stack([time, flux + truth["level"][row]]), planet


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--output", type=Path, required=True)
    args = parser.parse_args(argv)
    star, planet = make_star()
    with atomic_write(args.output) as temporary:
        np.savetxt(
            temporary, star, fmt=["%.5f", "%.2f"], delimiter=",", header="time,flux", comments=""
        )
    say(f"{args.output}: " + ", ".join(f"{name} {value:.5g}" for name, value in planet.items()))


if __name__ == "__main__":
    run(main)
