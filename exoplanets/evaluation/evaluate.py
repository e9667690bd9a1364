"""All that is measured of fitted classifiers in a run of step 4, in one order."""

from typing import NamedTuple

import numpy as np
import pandas as pd

from exoplanets.evaluation import candidates
from exoplanets.evaluation.adversary import score_alike
from exoplanets.evaluation.calibration import measure_calibration
from exoplanets.evaluation.comparison import (
    Compared,
    choose_tuning,
    evaluate_split,
    select_values,
)
from exoplanets.evaluation.crossvalidation import cross_validate
from exoplanets.evaluation.metrics import calibrate
from exoplanets.evaluation.vetting import vet
from exoplanets.files import say
from exoplanets.stars import SPLITS


class Evaluation(NamedTuple):
    """What a run has found."""

    content: dict  # of `metrics.json`, all but its provenance
    predictions: pd.DataFrame  # test_predictions.csv
    history: pd.DataFrame  # training_history.csv
    listed: pd.DataFrame  # stars.csv
    fits: list  # per star of `listed` its `TransitFit`, or None
    main: Compared  # the classifier that `listed` and the vetting are about
    drawn: dict | None  # arrays that the figures of the vetting need; see `vetting.vet`


def evaluate_all(compared, main, test_stars, seed, folds, repetitions, level):
    """Test, calibrate, cross-validate and vet some `Compared`: an `Evaluation`.

    `main` is one of them, on stars that have both kinds of light curves. The test stars are in the
    order of `test_predictions.csv`. Without folds there is no cross-validation. The level of the
    vetting is "quick", "full" or "none".
    """
    scored = [c for c in compared if c.score is not None]
    stars, judged, unseen = main.stars, main.judged, main.is_unseen()
    threshold = np.full(len(stars), main.classifier.threshold)
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
        validated = cross_validate(classifiers, stars, propensity, folds, seeds)
        pooled, cross_validation, out_of_fold = validated
        rows += pooled
        (judged, threshold), unseen = out_of_fold[main.classifier.key], np.ones(len(stars), bool)

    chosen = candidates.choose_stars(stars, judged, threshold)
    fits = candidates.measure_stars(stars, judged, chosen)
    listed = candidates.list_stars(stars, judged, threshold, unseen, fits)
    suspect = listed["suspect_label"].to_numpy()
    calibration, predictions = {}, {"row": test_stars.row, "label": test_stars.y}
    for c in scored:
        name = "_".join(c.classifier.key)
        predictions[name] = c.at(test_stars)  # NaN for a star that it was not given
        if c.classifier.file:
            # The same stars as set the threshold: the test stars are told by what others are.
            known = c.stars.select(choose_tuning(c.classifier, c.stars)[0])
            prevalence = stars.is_host.mean()
            measured = measure_calibration(known.y, c.at(known), prevalence, seed)[0]
            calibration[" on ".join(c.classifier.key)] = measured
            numbers = measured["slope"], measured["offset"]
            predictions[f"{name}_probability"] = calibrate(predictions[name], *numbers)
    vetted = drawn = None
    if level != "none":
        say(f"vetting ({level}) ...")
        others = [c for c in compared if c is not main]
        vetted, drawn = vet([main, *others], fits, suspect, seed, level)
    content = {
        "results": rows,
        "suspects": {
            "rule": candidates.RULE,
            "test_rows": sorted(stars.row[suspect & (stars.split == "test")].tolist()),
            "results_without": [measure(c, "test", suspect) for c in scored],
        },
        "thresholds": {
            " on ".join(c.classifier.key): {
                "threshold": c.classifier.threshold,
                "interval": c.classifier.threshold_interval,
            }
            for c in compared
        },
        "calibration": calibration,
        "cross_validation": cross_validation,
        "vetting": vetted,
    }
    histories = {c.classifier.key: c.classifier.history for c in compared}
    history = pd.concat(histories, names=["network", "light_curves"])  # leaves out what is None
    history = history.reset_index(["network", "light_curves"])
    return Evaluation(content, pd.DataFrame(predictions), history, listed, fits, main, drawn)
