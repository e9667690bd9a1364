"""Stars one by one: which of them a box search looks at, and whose label is suspect.

Both are decided here, once a run; the table, the figures and the vetting use the same decision.
"""

import numpy as np
import pandas as pd

from exoplanets.search.box import VISIBLE_STATISTIC, Search

N_CANDIDATES = 9  # highest-scored test stars, looked at whatever their score
# A non-host with at least three equal dips far above its noise has a suspect label.
SUSPECT_SNR = 20.0
SUSPECT_SHARE = 0.03  # of the held-out non-hosts, the highest-scored, are searched for such dips
RULE = (
    f"labelled non-host, box search statistic >= {VISIBLE_STATISTIC:g} and SNR >= {SUSPECT_SNR:g}"
)


def choose_stars(stars, score, threshold):
    """Stars that are worth a box search, ndarray of bool of shape (n_stars,).

    Hosts, stars called hosts, and the highest-scored test stars and held-out non-hosts.
    """
    chosen = stars.is_host | (score >= threshold)
    order = np.argsort(-score, kind="stable")
    others = order[~stars.is_host[order] & (stars.split[order] != "train")]
    chosen[others[: max(5, round(SUSPECT_SHARE * len(others)))]] = True
    chosen[order[stars.split[order] == "test"][:N_CANDIDATES]] = True
    return chosen


def search_stars(box, stars, chosen):
    """What a `BoxLeastSquares` finds in the chosen stars: a `Search` of all, NaN for the others."""
    found = Search(*np.full((len(Search._fields), len(stars)), np.nan))
    for values, some in zip(found, box.search(stars.curves[chosen]), strict=True):
        values[chosen] = some
    return found


def find_suspects(stars, found):
    """Non-hosts with strong periodic dips, ndarray of bool of shape (n_stars,); see `RULE`."""
    dips = (found.statistic >= VISIBLE_STATISTIC) & (found.snr >= SUSPECT_SNR)
    return dips & ~stars.is_host


def list_stars(stars, score, called, out_of_fold, found):
    """The table of `stars.csv`, a row per star, in the order of the stars.

    `called` is True where the `score` reaches the threshold of the network that gave it,
    `out_of_fold` where the star's label was not used to train that network. `found` is a `Search`
    of the stars; `depth_sigma` is in robust standard deviations of the equalised light curve.
    """
    return pd.DataFrame(
        {
            "table": stars.table,
            "row": stars.row,
            "label": stars.y,
            "score": score,
            "out_of_fold": out_of_fold,
            "called": called,
            "period_days": found.period,
            "epoch_days": found.epoch,
            "duration_hours": 24 * found.duration,
            "depth_sigma": found.depth,
            "snr": found.snr,
            "statistic": found.statistic,
            "visible_transit": stars.is_host & (found.statistic >= VISIBLE_STATISTIC),
            "suspect_label": find_suspects(stars, found),
        }
    )
