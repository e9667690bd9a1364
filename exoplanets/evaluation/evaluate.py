"""All that is measured of fitted classifiers in a run of step 4, in one order."""

from typing import NamedTuple

import numpy as np
import pandas as pd

from exoplanets.evaluation import candidates
from exoplanets.evaluation.adversary import score_alike
from exoplanets.evaluation.calibration import measure_calibration
from exoplanets.evaluation.comparison import Compared, evaluate_split, select_values
from exoplanets.evaluation.crossvalidation import cross_validate
from exoplanets.evaluation.vetting import vet
from exoplanets.files import say
from exoplanets.stars import SPLITS


class Evaluation(NamedTuple):
    """What a run has found."""

    content: dict  # of `metrics.json`, all but its provenance
    predictions: pd.DataFrame  # test_predictions.csv
    history: pd.DataFrame  # training_history.csv
    listed: pd.DataFrame  # stars.csv
    main: Compared  # the classifier that `listed` and the vetting are about
    drawn: dict | None  # arrays that the figures of the vetting need; see `vetting.vet`


def evaluate_all(compared, main, box, test_stars, seed, folds, repetitions, level):
    """Test, calibrate, cross-validate and vet classifiers.

    Parameters
    ----------
    compared : sequence of Compared
    main : Compared
        One of them, on stars that have both kinds of light curves.
    box : exoplanets.classifiers.box.BoxLeastSquares
        It finds the periods.
    test_stars : Stars
        In the order of `test_predictions.csv`.
    seed : int
    folds, repetitions : int
        Of the cross-validation; without folds there is none.
    level : {"quick", "full", "none"}
        Of the vetting.
    """
    scored = [c for c in compared if c.score is not None]
    stars, score, unseen = main.stars, main.score, main.is_unseen()
    called = score >= main.classifier.threshold
    propensity = score_alike(stars.curves, stars.y, seed)
    if propensity is None:  # too few stars for an adversary to learn from
        propensity = np.full(len(stars), np.nan)

    def measure(c, split, left_out=None):
        left_out = None if left_out is None else select_values(stars, left_out, c.stars) == 1
        return evaluate_split(c, split, select_values(stars, propensity, c.stars), seed, left_out)

    rows = [measure(c, split) for c in scored for split in SPLITS]
    cross_validation = None
    if folds:
        classifiers, seeds = [c.classifier for c in scored], range(seed, seed + repetitions)
        found_rows, cross_validation, out_of_fold = cross_validate(
            classifiers, stars, propensity, folds, seeds
        )
        rows += found_rows
        (score, called), unseen = out_of_fold[main.classifier.key], np.ones(len(stars), bool)

    chosen = candidates.choose_stars(stars, main.score, main.classifier.threshold) | called
    found = candidates.search_stars(box, stars, chosen)
    listed = candidates.list_stars(stars, score, called, unseen, found)
    suspect = listed["suspect_label"].to_numpy()
    calibration, probability = {}, {}
    for c in scored:
        if c.classifier.file:
            known = c.is_unseen()
            measured, of_known = measure_calibration(
                c.stars.y[known], c.score[known], stars.is_host.mean(), seed
            )
            calibration[" on ".join(c.classifier.key)] = measured
            probability[c.classifier.key] = select_values(
                c.stars.select(known), of_known, test_stars
            )
    vetted = drawn = None
    if level != "none":
        say(f"vetting ({level}) ...")
        others = [c for c in compared if c is not main]
        vetted, drawn = vet([main, *others], found, suspect, seed, level)
    content = {
        "results": rows,
        "suspects": {
            "rule": candidates.RULE,
            "test_rows": sorted(stars.row[suspect & (stars.split == "test")].tolist()),
            "results_without": [measure(c, "test", suspect) for c in scored],
        },
        "calibration": calibration,
        "cross_validation": cross_validation,
        "vetting": vetted,
    }
    predictions = predict_stars(scored, probability, test_stars)
    return Evaluation(content, predictions, join_histories(compared), listed, main, drawn)


def predict_stars(scored, probability, stars):
    """The table of `test_predictions.csv`; NaN for a star that a classifier was not given.

    `probability` holds, per classifier's key, that of each star.
    """
    columns = {"row": stars.row, "label": stars.y}
    for c in scored:
        name = "_".join(c.classifier.key)
        columns[name] = c.at(stars)
        if c.classifier.key in probability:
            columns[f"{name}_probability"] = probability[c.classifier.key]
    return pd.DataFrame(columns)


def join_histories(compared):
    """A row per classifier that was trained, and epoch."""
    parts = []
    for classifier, *_ in compared:
        if classifier.history is not None:
            names = {"network": classifier.name, "light_curves": classifier.light_curves}
            parts.append(classifier.history.assign(**names)[[*names, *classifier.history]])
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=["network"])
