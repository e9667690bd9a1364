"""Light curves: several side by side, folded, and coloured by what a score depends on."""

import math

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.colors import TwoSlopeNorm

from exoplanets.figures.style import COLORS, house_style, name_class, title_figure
from exoplanets.stars import CADENCE_DAYS


def first_of_each(is_host, n_stars):
    """Rows of the first `n_stars` hosts and the first `n_stars` non-hosts, in this order."""
    return np.concatenate([np.flatnonzero(is_host)[:n_stars], np.flatnonzero(~is_host)[:n_stars]])


@house_style()
def draw_light_curves(flux, is_host, rows, title, unit="e$^-$/s"):
    """Draw light curves, one a panel, hosts in the left column where both classes are drawn.

    `flux`, in `unit`, is an ndarray of shape (n_stars, n_cadences); `rows` are the stars' rows in
    the file.
    """
    hosts, others = np.flatnonzero(is_host), np.flatnonzero(~is_host)
    if len(hosts) == len(others):
        order, n_columns = np.column_stack([hosts, others]).ravel(), 2
    else:
        order, n_columns = np.arange(len(rows)), 1 if len(rows) < 4 else 2
    n_panel_rows = math.ceil(len(rows) / n_columns)
    days = np.arange(flux.shape[1]) * CADENCE_DAYS
    size = (5.5 * n_columns, 0.9 + 1.9 * n_panel_rows)
    figure, axes = plt.subplots(n_panel_rows, n_columns, figsize=size, sharex=True, squeeze=False)
    for axis, i in zip(axes.flat, order, strict=False):
        name = name_class(is_host[i])
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
    title_figure(figure, title, 12)
    return figure


def draw_medians(axis, x, flux, edges, points, medians):
    """Draw the samples of a fold as points and the median of each bin; returns the medians.

    `points` and `medians` are their looks, as `Axes.plot` takes them. The median of a bin without a
    sample is NaN and not drawn.
    """
    from scipy.stats import binned_statistic  # here: it takes most of a second to import

    axis.plot(x, flux, ".", mew=0, rasterized=True, **points)
    # The range is that of the edges; without it SciPy refuses a fold that holds no sample.
    heights = binned_statistic(x, flux, "median", edges, (edges[0], edges[-1])).statistic
    axis.plot((edges[:-1] + edges[1:]) / 2, heights, ls="", **medians)
    return heights


def draw_fit(axis, days, fit, color):
    """Draw the transits of a star on one another, and the model that was fitted to them.

    `days` are those of the samples; `fit` is a `TransitFit`; the axis is in hours from mid-transit.
    """
    ephemeris = fit.ephemeris
    reach = 24 * min(ephemeris.period / 2, max(4 * ephemeris.duration, 0.5))
    hours = 24 * ephemeris.since_transit(days)
    near = (np.abs(hours) < reach) & np.isfinite(fit.detrended)
    hours, flux, edges = hours[near], fit.detrended[near], np.linspace(-reach, reach, 26)
    points, black = {"ms": 2.5, "color": "#999999"}, {"marker": "o", "ms": 3.5, "color": "#000000"}
    medians = draw_medians(axis, hours, flux, edges, points, black)
    fine = np.linspace(-reach, reach, 501)
    model = fit.model(fine)
    axis.plot(fine, model, color=color, lw=1.5, zorder=3)
    # All but a few samples are seen, and all of the medians and of the model.
    low, high = np.percentile(flux, [1, 99]) if len(flux) else (-1.0, 1.0)
    low = min(low, np.nanmin(medians, initial=0), np.nanmin(model, initial=0))
    high = max(high, np.nanmax(medians, initial=0))
    axis.set_ylim(low - 0.1 * (high - low), high + 0.1 * (high - low))


def draw_occluded(axis, panel, ordinary_fall, size, colors):
    """Draw one light curve coloured by how far the score falls when each stretch is hidden.

    The panel is that of `occlusion.measure_occlusion`. The colours, a Matplotlib colour map, reach
    at least as far as the ordinary fall (log-odds). Returns the points, for a colour bar.
    """
    days, curve, middles = panel["days"], panel["curve"], panel["middles"]
    fall = np.interp(np.arange(len(days)), panel["centres"], panel["falls"])
    top = max(np.abs(panel["falls"]).max(), ordinary_fall, 1e-3)
    order = np.argsort(np.abs(fall))  # what matters most on top
    points = axis.scatter(
        days[order], curve[order], c=fall[order], s=size, lw=0, rasterized=True, cmap=colors,
        norm=TwoSlopeNorm(0, -top, top),
    )  # fmt: skip
    axis.plot(
        days[middles], np.full(len(middles), 0.06), "^", ms=4, color="#222222",
        transform=axis.get_xaxis_transform(),
    )  # fmt: skip
    low, high = np.percentile(curve, [0.1, 99.7])
    axis.set_ylim(min(1.25 * low, -5.5), max(high, 4.0))
    return points
