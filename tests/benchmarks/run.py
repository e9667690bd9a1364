"""Time and peak memory of the four scripts on a full-size set, beside a bare Python's.

    python tests/benchmarks/run.py [--full-training] [--keep DIR]

Writes 5087 + 570 stars as CSV (about 110 MB) into a temporary directory, runs each script there as
a user would, and prints a Markdown table. Nothing here passes or fails: machines differ, ratios
within one run say more than seconds.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))


def write_csv(path, flux, labels):
    """Write a table in Kaggle's schema, two decimals."""
    with open(path, "w") as stream:
        stream.write("LABEL," + ",".join(f"FLUX.{i + 1}" for i in range(flux.shape[1])) + "\n")
        for label, star in zip(labels, flux, strict=True):
            stream.write(f"{label}," + ",".join(np.char.mod("%.2f", star)) + "\n")


def write_survey(home):
    """Write the simulated survey as two CSVs."""

    from exoplanets.sources import survey

    made = survey.simulate(seed=0)
    write_csv(home / "exoTrain.csv", made.train_flux, made.train_labels)
    write_csv(home / "exoTest.csv", made.test_flux, made.test_labels)


def measure(command):
    """Seconds and peak memory (MB) of a command, and its exit code."""
    start = time.perf_counter()
    with tempfile.TemporaryFile() as out:
        process = subprocess.Popen(command, stdout=out, stderr=out)
        _, status, usage = os.wait4(process.pid, 0)
        if status:
            out.seek(0)
            sys.exit(f"{' '.join(command)} failed:\n{out.read().decode()[-2000:]}")
    return time.perf_counter() - start, usage.ru_maxrss / 1024


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--full-training", action="store_true", help="step 4 as by default")
    parser.add_argument("--keep", type=Path, help="directory to use and keep")
    parser.add_argument("--write", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args(argv)
    if args.write:
        return write_survey(args.write)
    with tempfile.TemporaryDirectory() as scratch:
        home = args.keep or Path(scratch)
        home.mkdir(parents=True, exist_ok=True)
        if not (home / "exoTest.csv").exists():
            # In a process of its own: a child's peak memory counts what its parent had.
            subprocess.run([sys.executable, __file__, "--write", str(home)], check=True)
        for name in ("parsed.npz", "equalised.npz"):
            (home / name).unlink(missing_ok=True)  # a cold start
        where = ["--data-dir", str(home), "--plots-dir", str(home / "plots")]
        short = [] if args.full_training else ["--epochs", "3"]
        python = [sys.executable]
        runs = {
            "Python alone": [*python, "-c", "pass"],
            "Python + imports of step 2": [*python, "-c", "import seaborn"],
            "Python + imports of step 4": [*python, "-c", "import tensorflow, seaborn, imblearn"],
            "1 data_visualization.py (cold parse)": [*python, "data_visualization.py", *where],
            "2 data_analysis.py": [*python, "data_analysis.py", *where],
            "3 data_preprocessing.py": [*python, "data_preprocessing.py", *where],
            f"4 cnn_classifier.py {' '.join(short)}": [
                *python,
                "cnn_classifier.py",
                *where,
                *short,
            ],
        }
        os.chdir(ROOT)
        print("| command | seconds | peak memory (MB) |\n|---|---|---|")
        for name, command in runs.items():
            seconds, memory = measure(command)
            print(f"| {name.strip()} | {seconds:.1f} | {memory:.0f} |", flush=True)


if __name__ == "__main__":
    main()
