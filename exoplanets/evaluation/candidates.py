"""Stars one by one: the highest-scored, and every labelled star with what is known of it."""

import numpy as np
import pandas as pd

from exoplanets.classifiers import box
from exoplanets.evaluation.comparison import SPLITS, evaluate_split
from exoplanets.evaluation.occlusion import VISIBLE_STATISTIC
from exoplanets.stars import CADENCE_DAYS

N_CANDIDATES = 9  # looked at, whatever their score
# A non-host with at least three equal dips far above its noise has a suspect label.
SUSPECT_STATISTIC, SUSPECT_SNR = 4.0, 20.0
SUSPECT_SHARE = 0.03  # of the non-hosts, the highest-scored, that are searched for such dips


def read_rows(tables, table, row):
    """Flux of stars of both tables, ndarray of shape (n_stars, n_cadences)."""
    return np.array([getattr(tables, name).flux[i] for name, i in zip(table, row, strict=True)])


def find_candidates(contender, tables):
    """The highest-scored test stars, whatever their label, and what a box search finds in them.

    Returns
    -------
    pandas.DataFrame
        A row per star, highest score first: `place` in the view, `row`, `label`, `score`,
        `period` (days), `depth` and `snr`, `suspect`: labelled non-host, yet with dips.
    found : box.Search
    times : ndarray of shape (n_stars, n_cadences)
        Days since the first cadence of the file.
    """
    view, score = contender.view, contender.scored["test"]
    n_called = int(np.sum(score >= contender.threshold))
    n_looked_at = min(max(N_CANDIDATES, n_called), 40, len(score))
    place = np.argsort(-score, kind="stable")[:n_looked_at]
    times = np.tile(np.arange(view["x_test"].shape[1]) * CADENCE_DAYS, (len(place), 1))
    found = box.search(view["x_test"][place], times)
    label = view["y_test"][place]
    dips = (found.statistic >= SUSPECT_STATISTIC) & (found.snr >= SUSPECT_SNR)
    stars = {
        "place": place,
        "row": view["row_test"][place],
        "label": label,
        "score": score[place],
        "period": found.period,
        "depth": found.depth,
        "snr": found.snr,
        "suspect": dips & (label == 0),
    }
    return pd.DataFrame(stars), found, times


def evaluate_without_suspects(contenders, candidates, colours, seed):
    """Test results without the stars whose label is suspect, for `metrics.json`.

    Parameters
    ----------
    contenders : list of comparison.Contender
    candidates : pandas.DataFrame
        See `find_candidates`.
    colours, seed
        See `comparison.evaluate_split`.

    Returns
    -------
    dict
        `rule` in words, `test_rows` of the suspects, `results_without`, a row per contender.
    """
    rows = candidates["row"][candidates["suspect"]].tolist()
    return {
        "rule": f"labelled non-host, box search statistic >= {SUSPECT_STATISTIC:g} and "
        f"SNR >= {SUSPECT_SNR:g}",
        "test_rows": rows,
        "results_without": [
            evaluate_split(c, "test", colours, seed, kept=~np.isin(c.view["row_test"], rows))
            for c in contenders
        ],
    }


def list_stars(contender, tables, out_of_fold=None):
    """A row per labelled star, for `stars.csv`.

    Parameters
    ----------
    contender : Contender
        Transit.
    tables : stars.Tables
    out_of_fold : ndarray of shape (n_stars,), optional
        Cross-validated scores, in the order of the view's splits.

    Returns
    -------
    pandas.DataFrame
        `table`, `row`, `label`, `score`; `out_of_fold`, whether no network that made the score was
        trained on the star (non-hosts of the fit part were, unless cross-validated); `is_host` by
        the tuned threshold; `period` (days), `depth`, `snr` and `statistic` of a box search, of
        hosts and of stars called hosts; `visible_transit` and `suspect_label`.
    """
    view, parts = contender.view, []
    for split in SPLITS:
        name = "test" if split == "test" else "train"
        y, score = view[f"y_{split}"], contender.scored[split]
        part = {"table": name, "row": view[f"row_{split}"], "label": y, "score": score}
        parts.append(pd.DataFrame(part | {"out_of_fold": (split != "train") | (y == 1)}))
    stars = pd.concat(parts, ignore_index=True)
    if out_of_fold is not None:
        stars["score"], stars["out_of_fold"] = out_of_fold, True
    stars["is_host"] = stars["score"] >= contender.threshold
    curves = np.concatenate([view[f"x_{split}"] for split in SPLITS])
    looked_at = np.flatnonzero((stars["label"] == 1) | stars["is_host"])
    found = box.search(curves[looked_at])
    for name in ("period", "depth", "snr", "statistic"):
        stars[name] = pd.Series(getattr(found, name), index=looked_at)
    dips = (stars["statistic"] >= SUSPECT_STATISTIC) & (stars["snr"] >= SUSPECT_SNR)
    visible = stars["statistic"] >= VISIBLE_STATISTIC
    stars["visible_transit"] = visible & (stars["label"] == 1)
    stars["suspect_label"] = dips & (stars["label"] == 0)
    return stars.sort_values(["table", "row"], ascending=[False, True], ignore_index=True)


def find_suspects(score, curves):
    """Non-hosts among the highest-scored in which a box search sees strong periodic dips.

    Parameters
    ----------
    score : ndarray of shape (n_stars,)
    curves : ndarray of shape (n_stars, n_cadences)
        Equalised.

    Returns
    -------
    ndarray of bool of shape (n_stars,)
    """
    n_searched = max(5, round(SUSPECT_SHARE * len(score)))
    highest = np.argsort(-score, kind="stable")[:n_searched]
    found = box.search(curves[highest])
    dips = (found.statistic >= SUSPECT_STATISTIC) & (found.snr >= SUSPECT_SNR)
    suspect = np.zeros(len(score), bool)
    suspect[highest[dips]] = True
    return suspect
