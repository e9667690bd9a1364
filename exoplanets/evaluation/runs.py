"""Runs: what tells the results of one run from those of another.

Every results file carries the identity of its run: JSON and Keras files in their provenance, CSV
files in a column `run`.
"""

import csv
import hashlib
import json
import zipfile

from exoplanets.files import atomic_write, read_json

METRICS = "metrics.json"  # written last: what `make` takes as the sign that the step is done
RESULTS = ("*.keras", "test_predictions.csv", "training_history.csv", "stars.csv", METRICS)


def identify(provenance):
    """Identity of the run that had this provenance, 12 hexadecimal digits.

    The provenance is JSON-ready and holds all that results depend on: data, seed, options, settings
    and versions.
    """
    content = json.dumps(provenance, sort_keys=True, allow_nan=False).encode()
    return hashlib.sha256(content).hexdigest()[:12]


def find_runs(folder):
    """Identity of the run of each results file in a folder, "unknown" if it does not say."""
    runs = {}
    paths = [path for pattern in RESULTS for path in folder.glob(pattern) if path.is_file()]
    for path in sorted(paths):
        name = path.name
        try:
            if path.suffix == ".csv":
                with open(path, newline="") as stream:
                    runs[name] = next(csv.DictReader(stream))["run"]
            elif path.suffix == ".json":
                runs[name] = read_json(path)["provenance"]["run"]
            else:
                with zipfile.ZipFile(path) as archive:
                    runs[name] = json.loads(archive.read("scoring.json"))["provenance"]["run"]
        except Exception:  # a damaged file can raise almost anything
            runs[name] = "unknown"
    return runs


def describe_mixture(folder):
    """A sentence that names the runs if the results in a folder are of several; else None."""
    runs = find_runs(folder)
    if len(set(runs.values())) < 2:
        return None
    listed = ", ".join(f"{name} of run {run}" for name, run in runs.items())
    return f"the results in '{folder}' are of several runs ({listed})"


def write_table(path, table, run):
    """Write a table as CSV, the identity of the run in its last column, and print where it is."""
    with atomic_write(path) as temporary:
        table.assign(run=run).to_csv(temporary, index=False)
    print(f"results: {path}")
