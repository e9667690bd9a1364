"""Repeated, stratified cross-validation: every star scored by a network that has not seen it."""

import numpy as np
from sklearn.model_selection import StratifiedKFold

from data import kepler, scores

METRICS = (*scores.METRICS, "recall_at_precision_0.9", "noise_matched_auc")


def cross_validate(y, colour, contenders, n_folds, seeds, hold_out):
    """Cross-validate several scores on the same folds.

    Within each fold's other stars, some are held out again to stop the training and to tune the
    threshold; every star is scored exactly once per repetition.

    Parameters
    ----------
    y : ndarray of shape (n_stars,)
        1 for a host.
    colour : ndarray of shape (n_stars, 2)
        Noise colour; see `probes.find_noise_colour`.
    contenders : dict
        By network and light curves, a callable from the indices of the fit and of the validation
        stars and a seed to the scores of all stars, ndarray of shape (n_stars,).
    n_folds : int
    seeds : sequence of int
        One per repetition: of the folds, of what is held out and of the training.
    hold_out : callable
        From `is_host` of some stars and a seed to the places of fit and validation stars.

    Returns
    -------
    rows : list of dict
        Per contender, the pooled out-of-fold figures of the first repetition; its counts are made
        with each fold's own threshold.
    summary : dict
        `folds`, `seeds`, and per contender and metric the mean, standard deviation and value of
        each repetition.
    out_of_fold : dict of ndarray of shape (n_stars,)
        Per contender, the scores of the first repetition.

    Raises
    ------
    kepler.DataError
        If a class has too few stars for so many folds.
    """
    fewest = int(min(np.sum(y == 1), np.sum(y == 0)))
    if fewest < 2 * n_folds:
        raise kepler.DataError(
            f"{fewest} stars of one class are too few for {n_folds} folds: use --cross-validate "
            f"{max(fewest // 2, 2)} or less"
        )
    pooled, out_of_fold = {name: [] for name in contenders}, {}
    for seed in seeds:
        folds = list(StratifiedKFold(n_folds, shuffle=True, random_state=seed).split(y, y))
        for name, contender in contenders.items():
            score, called = np.zeros(len(y)), np.zeros(len(y), bool)
            for k, (others, held_out) in enumerate(folds):
                place = f"seed {seed}, fold {k + 1} of {n_folds}: {' '.join(name)}"
                kepler.say(f"cross-validation, {place}")
                fit, validation = (others[part] for part in hold_out(y[others] == 1, seed))
                found = contender(fit, validation, seed)
                threshold = scores.tune_threshold(y[validation], found[validation])
                score[held_out] = found[held_out]
                called[held_out] = found[held_out] >= threshold
            row = scores.evaluate(y, score, None, seed, called=called)
            row["recall_at_precision_0.9"] = scores.recall_at_precision(y, score)
            row["noise_matched_auc"] = scores.noise_matched_auc(y, score, colour)
            pooled[name].append(row)
            out_of_fold.setdefault(name, score)
    rows, spread = [], []
    for (network, light_curves), repetitions in pooled.items():
        names = {"network": network, "light_curves": light_curves}
        rows.append(names | {"split": "cross-validation"} | repetitions[0])
        spread.append(names | {m: summarise([row[m] for row in repetitions]) for m in METRICS})
    return rows, {"folds": n_folds, "seeds": list(seeds), "results": spread}, out_of_fold


def summarise(values):
    """Mean, standard deviation (n - 1) and each of some values; None where one is undefined."""
    known = [value for value in values if value is not None]
    if len(known) < len(values):
        return {"mean": None, "sd": None, "values": values}
    sd = float(np.std(known, ddof=1)) if len(known) > 1 else None
    return {"mean": float(np.mean(known)), "sd": sd, "values": values}
