"""The figure of the clock: the time of the stars, before and after it was found."""

import matplotlib.pyplot as plt
import numpy as np

from exoplanets.figures.style import house_style
from exoplanets.stars import CADENCE_DAYS

FILLED, OTHER = "#000000", "#009E73"  # rows by how they were written, not by their label
SMOOTHED = 25  # cadences (12 h) of the running mean that is drawn of a noise profile
FOLD_BINS = 120  # of a period


def smooth(profile):
    """Running mean of a noise profile, for the eye."""
    weights = np.ones(SMOOTHED)
    known = np.convolve(np.ones(len(profile)), weights, mode="same")
    return np.convolve(profile, weights, mode="same") / known


def draw_clock(alignment, folds, name):
    """Draw the noise that stars share and one star's dips, by column and on the clock.

    Parameters
    ----------
    alignment : clock.Alignment
    folds : list of (period, phase, flux)
        Of one star, by column and on the clock: days; phase from -0.5 to 0.5 around the dip; flux
        in robust standard deviations. Empty if no star has dips that are worth a look.
    name : str
        Of that star.

    Returns
    -------
    matplotlib.figure.Figure
    """
    days = np.arange(alignment.profiles.shape[1]) * CADENCE_DAYS
    filled, by_column, on_clock = alignment.profiles
    rows = (
        ("Columns as cadences", by_column, alignment.by_column),
        ("On the clock", on_clock, alignment.by_clock),
    )
    with house_style():
        figure = plt.figure(figsize=(10, 8.4 if folds else 5.6))
        grid = figure.add_gridspec(
            3 if folds else 2, 2, height_ratios=[1, 1, 1.15][: 2 + bool(folds)]
        )
        top = None
        for i, (title, profile, correlation) in enumerate(rows):
            axis = top = figure.add_subplot(grid[i, :], sharex=top, sharey=top)
            axis.plot(days, smooth(filled), color=FILLED, label="filled rows")
            axis.plot(days, smooth(profile), color=OTHER, label="other rows")
            axis.set_title(
                f"{title}: correlation of the two {np.median(correlation):.2f} "
                "(median over windows of 6 days)"
            )
            axis.set_ylabel("mean |noise| (robust\nstandard deviations)")
        axis.set_xlim(days[0], days[-1])
        axis.set_xlabel("time since the start of the campaign (days)")
        figure.axes[0].legend(loc="upper right", ncols=2)
        panel = None
        for i, (period, phase, flux) in enumerate(folds):
            axis = panel = figure.add_subplot(grid[2, i], sharey=panel)
            _draw_dips(axis, period, phase, flux)
            axis.set_title(f"{name}, {('by column', 'on the clock')[i]}: period {period:.4f} days")
        if folds:
            figure.axes[2].set_ylabel("flux (robust standard deviations)")
        figure.suptitle(
            "Every row of the file has a true time: all stars saw the same spacecraft", x=0.01,
            ha="left", fontsize=12,
        )  # fmt: skip
    return figure


def _draw_dips(axis, period, phase, flux):
    """One star folded at its period, with the mean of each bin of phase."""
    axis.plot(phase * period * 24, flux, ".", ms=3, mew=0, color="#999999", rasterized=True)
    edges = np.linspace(-0.5, 0.5, FOLD_BINS + 1)
    place = np.clip(np.digitize(phase, edges) - 1, 0, FOLD_BINS - 1)
    count = np.maximum(np.bincount(place, minlength=FOLD_BINS), 1)
    mean = np.bincount(place, flux, minlength=FOLD_BINS) / count
    axis.plot((edges[:-1] + edges[1:]) / 2 * period * 24, mean, color="#CC79A7", lw=1.6)
    axis.set_xlim(-12 * period, 12 * period)
    axis.set_xlabel("time from the middle of the dip (hours)")
