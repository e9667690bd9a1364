"""The figure of the clock: noise and dips of the stars by column, and on their true time."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from scipy.stats import binned_statistic

from exoplanets.figures.style import house_style, title_figure
from exoplanets.stars import CADENCE_DAYS

FILLED, OTHER = "#000000", "#009E73"  # colours of filled rows and of others, hosts or not
SMOOTHED = 25  # cadences (12 h) of the running mean that is drawn of a noise profile
FOLD_BINS = 120  # of a period


@house_style()
def draw_clock(alignment, folds, name):
    """Draw the noise that stars share and one star's dips, by column and on the clock.

    `alignment` is a `clock.Alignment`. `folds` are two folds of the star of this name, by column
    and on the clock: period (days), phase (from -0.5 to 0.5 around the dip) and flux (robust
    standard deviations). The list is empty if no star has clear dips.
    """
    days = np.arange(alignment.profiles.shape[1]) * CADENCE_DAYS
    smoothed = pd.DataFrame(alignment.profiles.T).rolling(SMOOTHED, 1, center=True).mean()
    filled, by_column, on_clock = smoothed.to_numpy().T
    rows = (
        ("Columns as cadences", by_column, alignment.by_column),
        ("On the clock", on_clock, alignment.by_clock),
    )
    heights = [1, 1, 1.15] if folds else [1, 1]
    figure = plt.figure(figsize=(10, 8.4 if folds else 5.6))
    grid = figure.add_gridspec(len(heights), 2, height_ratios=heights)
    axis = None
    for i, (title, profile, correlation) in enumerate(rows):
        axis = figure.add_subplot(grid[i, :], sharex=axis, sharey=axis)
        axis.plot(days, filled, color=FILLED, label="filled rows")
        axis.plot(days, profile, color=OTHER, label="other rows")
        axis.set_title(
            f"{title}: correlation of the two {np.median(correlation):.2f} "
            "(median over windows of 6 days)"
        )
        axis.set_ylabel("mean |noise| (robust\nstandard deviations)")
    axis.set_xlim(days[0], days[-1])
    axis.set_xlabel("time since the start of the campaign (days)")
    figure.axes[0].legend(loc="upper right", ncols=2)
    axis = None
    edges = np.linspace(-0.5, 0.5, FOLD_BINS + 1)
    for i, (period, phase, flux) in enumerate(folds):
        hours = 24 * period
        axis = figure.add_subplot(grid[2, i], sharey=axis)
        axis.plot(phase * hours, flux, ".", ms=3, mew=0, color="#999999", rasterized=True)
        mean = np.nan_to_num(binned_statistic(phase, flux, "mean", edges).statistic)
        axis.plot((edges[:-1] + edges[1:]) / 2 * hours, mean, color="#CC79A7", lw=1.6)
        axis.set_xlim(-hours / 2, hours / 2)
        axis.set_xlabel("time from the middle of the dip (hours)")
        axis.set_title(f"{name}, {('by column', 'on the clock')[i]}: period {period:.4f} days")
    if folds:
        figure.axes[2].set_ylabel("flux (robust standard deviations)")
    title = "On their true time, all stars of the campaign are noisy at the same moments"
    title_figure(figure, title, 12)
    return figure
