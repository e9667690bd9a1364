"""Repeated, stratified cross-validation: every star scored by a network that has not seen it."""

from typing import NamedTuple

import numpy as np
from sklearn.model_selection import StratifiedKFold

from exoplanets.classifiers import box, keras_tools
from exoplanets.classifiers.transit import train_transit
from exoplanets.evaluation import metrics
from exoplanets.evaluation.candidates import read_rows
from exoplanets.evaluation.comparison import SPLITS, wants_search
from exoplanets.files import DataError, say
from exoplanets.lightcurves.split import balance, fill_missing

METRICS = (*metrics.METRICS, "recall_at_precision_0.9", "noise_matched_auc")


class GatheredStars(NamedTuple):
    """All labelled stars of both tables, for cross-validation.

    Attributes
    ----------
    y : ndarray of shape (n_stars,)
        1 for a host.
    table : ndarray of shape (n_stars,), str
        Of `stars.TABLES`.
    row : ndarray of shape (n_stars,)
        Of the table.
    distributed, equalised : ndarray of shape (n_stars, n_cadences) and (n_stars, n_measured)
        The two kinds of light curves, float32.
    repeats : ndarray of shape (n_stars,)
        Exact repeats in the flux as distributed.
    colour : ndarray of shape (n_stars, 2)
        Noise colour; see `probes.find_noise_colour`.
    """

    y: np.ndarray
    table: np.ndarray
    row: np.ndarray
    distributed: np.ndarray
    equalised: np.ndarray
    repeats: np.ndarray
    colour: np.ndarray


def gather_stars(tables, view, repeats, colours):
    """The stars of every split of the equalised view, in this order."""
    table = np.repeat(
        ["test" if split == "test" else "train" for split in SPLITS],
        [len(view[f"y_{split}"]) for split in SPLITS],
    )
    row = np.concatenate([view[f"row_{split}"] for split in SPLITS])
    return GatheredStars(
        np.concatenate([view[f"y_{split}"] for split in SPLITS]),
        table,
        row,
        fill_missing(read_rows(tables, table, row))[0].astype(np.float32),
        np.concatenate([view[f"x_{split}"] for split in SPLITS]),
        np.concatenate([repeats[split] for split in SPLITS]),
        np.array([colours[name][i] for name, i in zip(table, row, strict=True)]),
    )


def make_contenders(stars, tables, train_published, transit_settings, box_least_squares):
    """The functions that `cross_validate` compares.

    Parameters
    ----------
    stars : GatheredStars
    tables : stars.Tables
    train_published, transit_settings, box_least_squares
        See `comparison.train_contenders`.

    Returns
    -------
    dict of callable
    """

    def published(x):
        def score(fit, validation, seed):
            x_fit, y_fit, _, _ = balance(x[fit], stars.y[fit], seed)
            held_out = x[validation], stars.y[validation]
            model, _ = train_published((x_fit, y_fit), held_out, seed=seed)
            return keras_tools.predict(model, x)

        return score

    def transit(fit, validation, seed):
        others = fit[stars.y[fit] == 0]
        raw = fill_missing(read_rows(tables, stars.table[others], stars.row[others]))
        model, _ = train_transit(raw[0], transit_settings, seed, raw[1])
        return keras_tools.predict(model, stars.equalised)

    contenders = {
        ("repeat_count", "distributed"): lambda fit, validation, seed: stars.repeats,
        ("published", "distributed"): published(stars.distributed),
        ("published", "equalised"): published(stars.equalised),
        ("transit", "equalised"): transit,
    }
    if wants_search(box_least_squares, len(stars.y)):
        statistic = box.search(stars.equalised).statistic
        contenders["box_least_squares", "equalised"] = lambda fit, validation, seed: statistic
    return contenders


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
    files.DataError
        If a class has too few stars for so many folds.
    """
    fewest = int(min(np.sum(y == 1), np.sum(y == 0)))
    if fewest < 2 * n_folds:
        raise DataError(
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
                say(f"cross-validation, {place}")
                fit, validation = (others[part] for part in hold_out(y[others] == 1, seed))
                found = contender(fit, validation, seed)
                threshold = metrics.tune_threshold(y[validation], found[validation])
                score[held_out] = found[held_out]
                called[held_out] = found[held_out] >= threshold
            row = metrics.evaluate(y, score, None, seed, called=called)
            row["recall_at_precision_0.9"] = metrics.recall_at_precision(y, score)
            row["noise_matched_auc"] = metrics.noise_matched_auc(y, score, colour)
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
