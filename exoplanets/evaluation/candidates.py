"""Stars one by one: which of them are measured, what is said of them, whose label is suspect.

All of it is decided here, once a run; the table, the figures and the vetting use the same decision.
"""

import numpy as np
import pandas as pd

from exoplanets.classifiers.verdict import BINARY, PLANET, find_verdict
from exoplanets.search.ephemeris import Ephemeris
from exoplanets.search.fit import TransitFit, measure_transits
from exoplanets.stars import CADENCE_DAYS

N_CANDIDATES = 9  # highest-scored test stars, measured whatever their score
# Of a fit: from here on there are transits for everyone to see.
CLEAR_SNR, SUSPECT_SNR = 12.0, 20.0
RULE = f"labelled non-host, verdict {PLANET} or {BINARY}, SNR of the fit >= {SUSPECT_SNR:g}"
FITTED = (  # columns of `stars.csv` that a fit measures
    "period_days", "period_error_days", "epoch_days", "epoch_error_days", "duration_hours",
    "depth", "depth_error", "depth_ppm", "depth_error_ppm", "radius_ratio", "impact", "n_transits",
    "odd_even_sigma", "secondary_ppm", "secondary_sigma", "secondary_phase", "snr",
)  # fmt: skip


def choose_stars(stars, judged, threshold):
    """Stars that are worth a fit, ndarray of bool of shape (n_stars,).

    Hosts, stars in which dips repeat, and the highest-scored test stars. `judged` has the columns
    of `transit.Transit`.
    """
    score, transit_score = judged[:, 0], judged[:, 1]
    chosen = stars.is_host | (score >= threshold) | (transit_score >= threshold)
    order = np.argsort(-score, kind="stable")
    chosen[order[stars.split[order] == "test"][:N_CANDIDATES]] = True
    return chosen


def measure_stars(stars, judged, chosen):
    """A fit of the best candidate of each chosen star: a list of `TransitFit`, None for the others.

    The flux of the tables has no level: depths are in its unit, e-/s.
    """

    def measure(star):
        if not chosen[star]:
            return None
        ephemeris = Ephemeris(*map(float, judged[star, 3:6]))
        flux = stars.flux[star].astype(np.float64)
        return measure_transits(stars.cadence[star] * CADENCE_DAYS, flux, ephemeris)

    return [measure(star) for star in range(len(stars))]


def list_stars(stars, judged, threshold, out_of_fold, fits):
    """The table of `stars.csv`, a row per star, in the order of the stars.

    Parameters
    ----------
    stars : Stars
    judged : ndarray of shape (n_stars, n_columns)
        By the transit network, see `transit.Transit.columns`.
    threshold, out_of_fold : ndarray of shape (n_stars,)
        Of the network that gave these scores, and whether the star's label taught it nothing.
    fits : list of TransitFit or None
    """
    score, transit_score, planet_score = judged[:, :3].T
    called, repeats = score >= threshold, transit_score >= threshold
    verdicts = [find_verdict(*each) for each in zip(called, repeats, planet_score, strict=True)]
    nothing = TransitFit(np.nan, np.nan)
    numbers = {name: [float(getattr(fit or nothing, name)) for fit in fits] for name in FITTED}
    table = pd.DataFrame(
        {
            "table": stars.table,
            "row": stars.row,
            "label": stars.y,
            "out_of_fold": out_of_fold,
            "score": score,
            "called": called,
            "threshold": threshold,
            "verdict": verdicts,
            "transit_score": transit_score,
            "planet_score": planet_score,
        }
        | numbers
    )
    table["n_transits"] = table["n_transits"].where(table["period_days"].notna())
    table["suspect_label"] = (
        ~stars.is_host & np.isin(verdicts, (PLANET, BINARY)) & (table["snr"] >= SUSPECT_SNR)
    )
    return table
