"""Repeated, stratified cross-validation: every star scored by a network that has not seen it."""

import numpy as np
from sklearn.model_selection import StratifiedKFold

from exoplanets.evaluation import metrics
from exoplanets.evaluation.comparison import choose_tuning, tune_classifier
from exoplanets.files import DataError, say
from exoplanets.lightcurves.split import split_rows
from exoplanets.stars import SPLITS

METRICS = (*metrics.METRICS, f"recall_at_precision_{metrics.PRECISION}", "matched_auc")


def cross_validate(classifiers, stars, propensity, n_folds, seeds):
    """Cross-validate copies of classifiers on the same folds.

    Within each fold's other stars, some are held out again to stop the training and to tune the
    threshold; every star is scored exactly once per repetition. The stars have both kinds of light
    curves; `propensity` is as in `metrics.matched_auc`. Each repetition has a seed, for its folds,
    for what is held out and for the training. A class with too few stars raises a DataError.

    Returns
    -------
    rows : list of dict
        Per classifier, the pooled out-of-fold figures of the first repetition; its counts are made
        with each fold's own threshold.
    summary : dict
        `metrics.json["cross_validation"]`; see `summarise`.
    out_of_fold : dict of (ndarray, ndarray)
        Per classifier's key, what it says of each star in the first repetition (see
        `Classifier.judge`), and the threshold of its fold, (n_stars,).
    """
    y = stars.y
    check_folds(y, n_folds)
    pooled, out_of_fold = {}, {}
    for seed in seeds:
        scored = {}
        folds = StratifiedKFold(n_folds, shuffle=True, random_state=seed).split(y, y)
        for k, (others, held_out) in enumerate(folds):
            parts = [others[part] for part in split_rows(y[others] == 1, seed)]
            fit, validation, tested = map(stars.select, (*parts, held_out))
            split = np.repeat(SPLITS[:2], [len(part) for part in parts])
            known = stars.select(np.concatenate(parts)).replace(split=split)
            for classifier in (original.copy() for original in classifiers):
                name = " on ".join(classifier.key)
                say(f"cross-validation, seed {seed}, fold {k + 1} of {n_folds}: {name}")
                classifier.fit(fit, validation, seed)
                rows, weight = choose_tuning(classifier, known)
                score = classifier.score(known.select(rows))
                tune_classifier(classifier, known, rows, score, weight)
                none = np.zeros((len(y), len(classifier.columns))), np.zeros(len(y))
                judged, threshold = scored.setdefault(classifier.key, none)
                judged[held_out] = classifier.judge(tested)
                threshold[held_out] = classifier.threshold
        for key, (judged, threshold) in scored.items():
            score = judged[:, 0]
            called = score >= threshold
            row = metrics.evaluate(y, score, None, seed, called=called)
            row["matched_auc"] = metrics.matched_auc(y, score, propensity)
            pooled.setdefault(key, []).append(row)
            out_of_fold.setdefault(key, (judged, threshold))
    rows, spread = [], []
    for (network, light_curves), repetitions in pooled.items():
        names = {"network": network, "light_curves": light_curves}
        rows.append(names | {"split": "cross-validation"} | repetitions[0])
        spread.append(names | {m: summarise([row[m] for row in repetitions]) for m in METRICS})
    return rows, {"folds": n_folds, "seeds": list(seeds), "results": spread}, out_of_fold


def check_folds(y, n_folds):
    """Raise a DataError if a class has too few stars for so many folds."""
    fewest = int(min(np.sum(y == 1), np.sum(y == 0)))
    if fewest < 2 * n_folds:
        raise DataError(
            f"{fewest} stars of one class are too few for {n_folds} folds: use --cross-validate "
            f"{max(fewest // 2, 2)} or less"
        )


def summarise(values):
    """Mean, standard deviation (n - 1) and each of some values; None where one is undefined."""
    known = [value for value in values if value is not None]
    if len(known) < len(values):
        return {"mean": None, "sd": None, "values": values}
    sd = float(np.std(known, ddof=1)) if len(known) > 1 else None
    return {"mean": float(np.mean(known)), "sd": sd, "values": values}
