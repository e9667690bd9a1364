"""Stars one by one: the highest-scored, and every labelled star with what is known of it."""

import numpy as np
import pandas as pd

from data import bls, vetting
from data.contenders import SPLITS
from data.equalise import find_times

N_CANDIDATES = 9  # looked at, whatever their score


def read_rows(tables, table, row):
    """Flux of stars of both tables, ndarray of shape (n_stars, n_cadences)."""
    return np.array([getattr(tables, name).flux[i] for name, i in zip(table, row, strict=True)])


def find_candidates(contender, tables):
    """The highest-scored test stars, whatever their label, and what a box search finds in them.

    The search runs on the file's own time, not on the index of equalised cadences.

    Returns
    -------
    pandas.DataFrame
        A row per star, highest score first: `place` in the view, `row`, `label`, `score`,
        `period` (days), `depth` and `snr`, `suspect`: labelled non-host, yet with dips.
    found : bls.Search
    times : ndarray of shape (n_stars, n_cadences)
        Days since the first cadence of the file.
    """
    view, score = contender.view, contender.scored["test"]
    n_called = int(np.sum(score >= contender.threshold))
    n_looked_at = min(max(N_CANDIDATES, n_called), 40, len(score))
    place = np.argsort(-score, kind="stable")[:n_looked_at]
    times = find_times(tables.test.flux[view["row_test"][place]], view["x_test"].shape[1])
    found = bls.search(view["x_test"][place], times)
    label = view["y_test"][place]
    dips = (found.statistic >= vetting.SUSPECT_STATISTIC) & (found.snr >= vetting.SUSPECT_SNR)
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


def list_stars(contender, tables, out_of_fold=None):
    """A row per labelled star, for `stars.csv`.

    Parameters
    ----------
    contender : Contender
        Transit.
    tables : kepler.Tables
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
    flux = read_rows(tables, stars["table"][looked_at], stars["row"][looked_at])
    found = bls.search(curves[looked_at], find_times(flux, curves.shape[1]))
    for name in ("period", "depth", "snr", "statistic"):
        stars[name] = pd.Series(getattr(found, name), index=looked_at)
    dips = (stars["statistic"] >= vetting.SUSPECT_STATISTIC) & (stars["snr"] >= vetting.SUSPECT_SNR)
    visible = stars["statistic"] >= vetting.VISIBLE_STATISTIC
    stars["visible_transit"] = visible & (stars["label"] == 1)
    stars["suspect_label"] = dips & (stars["label"] == 0)
    return stars.sort_values(["table", "row"], ascending=[False, True], ignore_index=True)
