"""Light curves of several stars, side by side."""

import math

import matplotlib.pyplot as plt
import numpy as np

from exoplanets.figures.style import COLORS, house_style
from exoplanets.stars import CADENCE_DAYS


def first_of_each(is_host, n_stars):
    """Rows of the first `n_stars` hosts and the first `n_stars` non-hosts, in this order."""
    return np.concatenate([np.flatnonzero(is_host)[:n_stars], np.flatnonzero(~is_host)[:n_stars]])


def draw_light_curves(flux, is_host, rows, title, unit="e$^-$/s"):
    """Draw light curves, one a panel, hosts in the left column where both classes are drawn.

    Parameters
    ----------
    flux : ndarray of shape (n_rows, n_cadences)
        What is drawn, in `unit`.
    is_host : ndarray of shape (n_rows,)
    rows : ndarray of shape (n_rows,)
        Row in the file, for the panel's title.
    title, unit : str

    Returns
    -------
    matplotlib.figure.Figure
    """
    hosts, others = np.flatnonzero(is_host), np.flatnonzero(~is_host)
    if len(hosts) == len(others):
        order, n_columns = np.column_stack([hosts, others]).ravel(), 2
    else:
        order, n_columns = np.arange(len(rows)), 1 if len(rows) < 4 else 2
    n_panel_rows = math.ceil(len(rows) / n_columns)
    days = np.arange(flux.shape[1]) * CADENCE_DAYS
    with house_style():
        figure, axes = plt.subplots(
            n_panel_rows,
            n_columns,
            figsize=(5.5 * n_columns, 0.9 + 1.9 * n_panel_rows),
            sharex=True,
            squeeze=False,
        )
        for axis, i in zip(axes.flat, order, strict=False):
            name = "host" if is_host[i] else "non-host"
            axis.plot(days, flux[i], ".", ms=2.2, mew=0, color=COLORS[name], rasterized=True)
            axis.set_title(f"row {rows[i]}, {name}", color=COLORS[name])
            axis.set_xlim(days[0], days[-1])
            axis.ticklabel_format(axis="y", style="sci", scilimits=(-3, 5))
        for axis in axes.flat[len(rows) :]:
            axis.set_axis_off()
        for column in axes.T:
            drawn = [axis for axis in column if axis.axison]
            drawn[-1].set_xlabel("time since the first cadence (days)")
            drawn[-1].xaxis.set_tick_params(labelbottom=True)
        figure.supylabel(f"flux ({unit})", fontsize=10)
        figure.suptitle(title, x=0.01, ha="left", fontsize=12)
    return figure
