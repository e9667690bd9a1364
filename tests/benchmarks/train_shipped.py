"""Train the network that comes with the repository, on real and on simulated non-hosts together.

    python tests/benchmarks/train_shipped.py --data-dir stars_255

`--data-dir` holds real stars (see `cut_stars.py`); the simulated survey is made anew. No host
teaches the network: a fifth of the non-hosts of both surveys, and all hosts, set its threshold and
its calibration. Writes `exoplanets/classifiers/pretrained/transit.keras`, and prints how well it
does on those stars.
"""

import argparse
import dataclasses
import importlib.metadata
import sys
import tempfile
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from exoplanets.classifiers.keras_tools import make_reproducible
from exoplanets.classifiers.transit import (
    Transit,
    TransitSettings,
    save_transit,
    train_on_sample,
)
from exoplanets.evaluation import metrics
from exoplanets.evaluation.calibration import measure_calibration
from exoplanets.evaluation.comparison import STARS_PER_HOST, tune_classifier
from exoplanets.files import run
from exoplanets.lightcurves.clock import find_cadences
from exoplanets.lightcurves.injection import make_training_sample
from exoplanets.lightcurves.prepared import prepare
from exoplanets.lightcurves.split import split_rows
from exoplanets.scoring.command import SHIPPED_MODEL
from exoplanets.sources import kaggle
from exoplanets.stars import TABLES

PREVALENCE = 42 / 5657  # hosts among the labelled stars of the whole Kaggle set
CURVES = {"real": 12_000, "simulated": 8000}  # in the training sample
SYSTEMS = 40_000  # planets and binaries: it is trained once, so it may take its time


def gather(data_dir, simulated):
    """The stars of one survey, equalised, and its campaign and provenance."""
    with tempfile.TemporaryDirectory() as scratch:
        stars, provenance = kaggle.load(data_dir or scratch, simulated, first_step=True)
        prepared = prepare(stars, provenance, scratch)
        return prepared.stars, prepared.campaign, provenance


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data-dir", type=Path, required=True, help="folder of real stars")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args(argv)
    make_reproducible(args.seed)
    rng, settings = np.random.default_rng(args.seed), TransitSettings(systems=SYSTEMS)
    snr_range = (settings.snr_low, settings.snr_high)
    sample, surveys, held_out, campaigns, sources = [], [], {}, {}, {}
    for name, n_curves in CURVES.items():
        folder = args.data_dir if name == "real" else None
        stars, campaigns[name], sources[name] = gather(folder, name == "simulated")
        fit, validation = split_rows(stars.is_host, args.seed)
        others = stars.flux[fit[~stars.is_host[fit]]]
        surveys.append((others, campaigns[name]))
        sample += make_training_sample(others, n_curves, rng, snr_range, campaigns[name])
        stars = stars.select(np.append(fit[stars.is_host[fit]], validation))
        held_out[name] = stars.replace(cadence=find_cadences(stars.flux, campaigns[name]))
        del stars
    model, _ = train_on_sample(sample, surveys, settings, args.seed)

    y = np.concatenate([stars.y for stars in held_out.values()])
    score = {}
    for name, stars in held_out.items():
        classifier = Transit(settings, campaigns[name])
        classifier.model = model
        score[name] = classifier.score(stars)
        roc_auc, average_precision = (v[0] for v in metrics.rank_statistics(stars.y, score[name]))
        print(
            f"{name}: {np.sum(stars.y == 1)} hosts, {np.sum(stars.y == 0)} non-hosts not trained "
            f"on: ROC AUC {roc_auc:.3f}, average precision {average_precision:.3f}"
        )
    # Real stars set the threshold: the simulated survey has more hosts that nobody can see.
    stars, classifier = held_out["real"], Transit(settings, campaigns["real"])
    classifier.model = model
    weight = STARS_PER_HOST * np.sum(stars.y == 1) / np.sum(stars.y == 0)
    tune_classifier(classifier, stars, np.arange(len(stars)), score["real"], weight)
    low, high = classifier.threshold_interval
    print(f"threshold {classifier.threshold:.3f} ({low:.3f} to {high:.3f})")
    score = np.concatenate(list(score.values()))
    measured, _ = measure_calibration(y, score, PREVALENCE, args.seed)
    n_real = sum(sources["real"][table]["n_stars"] for table in TABLES)
    description = f"non-hosts of {n_real} real stars of the Kaggle set and of the simulated survey"
    scoring = {
        "settings": dataclasses.asdict(settings),
        "threshold": classifier.threshold,
        "calibration": [measured["slope"], measured["offset"]],
        "prevalence": PREVALENCE,
        "provenance": {
            "data": sources["real"] | {"description": description},
            "simulated": sources["simulated"],
            "seed": args.seed,
            "versions": {p: importlib.metadata.version(p) for p in ("keras", "numpy", "scipy")},
        },
    }
    save_transit(model, SHIPPED_MODEL, scoring, campaigns["real"])
    print(f"network: {SHIPPED_MODEL.relative_to(ROOT)}")


if __name__ == "__main__":
    run(main)
