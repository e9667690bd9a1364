"""The figures of step 4: functions of arrays that return a figure."""

import matplotlib.pyplot as plt
import numpy as np

from exoplanets.classifiers import box
from exoplanets.evaluation import metrics
from exoplanets.evaluation.candidates import N_CANDIDATES
from exoplanets.figures.style import COLORS, house_style

NETWORK_COLORS = {  # Okabe & Ito 2008, apart from those of the two classes
    "transit": "#009E73",
    "published": "#CC79A7",
    "box_least_squares": "#E69F00",
    "repeat_count": "#000000",
}


def format_metric(row, name):
    """A metric and its interval as text, such as `0.80 [0.38, 0.96]`."""
    if row[name] is None:
        return "undefined"
    interval = row[f"{name}_interval"]
    return f"{row[name]:.3f}" + (f" [{interval[0]:.2f}, {interval[1]:.2f}]" if interval else "")


def draw_confusion(row, title):
    """Confusion matrix of one result row: counts, with the rate of the true class beneath.

    Returns
    -------
    matplotlib.figure.Figure
    """
    counts = np.array([[row["tn"], row["fp"]], [row["fn"], row["tp"]]])
    rates = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    names = ("non-host", "host")
    with house_style():
        figure, axis = plt.subplots(figsize=(4.8, 4.6))
        axis.imshow(rates, cmap="Greys", vmin=0, vmax=2.5)
        for i, j in np.ndindex(2, 2):
            axis.text(
                j, i - 0.06, f"{counts[i, j]}", ha="center", va="center", fontsize=22,
                color=COLORS[names[i]],
            )  # fmt: skip
            axis.text(j, i + 0.2, f"{rates[i, j]:.1%} of {names[i]}s", ha="center", va="center")
        axis.set_xticks([0, 1], [f"called {name}" for name in names])
        axis.set_yticks(
            [0, 1],
            [f"{name}\n({n} stars)" for name, n in zip(names, counts.sum(axis=1), strict=True)],
        )
        axis.tick_params(length=0)
        axis.spines[:].set_visible(False)
        axis.set_title(
            f"{title}\nF1 {format_metric(row, 'f1')}, threshold {row['threshold']:.3g}", fontsize=10
        )
    return figure


def draw_history(history, title):
    """Loss, recall and average precision against the epoch, best epoch marked.

    Returns
    -------
    matplotlib.figure.Figure
    """
    panels = {
        "loss": "loss",
        "recall": "recall at score 0.5",
        "average_precision": "average precision",
    }
    best = int(history["epoch"][history["val_loss"].idxmin()]) + 1
    epochs = history["epoch"] + 1
    with house_style():
        figure, axes = plt.subplots(1, 3, figsize=(11, 3.6))
        for axis, (name, label) in zip(axes, panels.items(), strict=True):
            axis.plot(epochs, history[name], color="#555555", label="fit stars")
            axis.plot(
                epochs, history[f"val_{name}"], color="#009E73", ls="--", label="validation stars"
            )
            axis.axvline(best, color="#bbbbbb", lw=0.8, zorder=0)
            axis.set_xlabel("epoch")
            axis.set_ylabel(label)
            axis.set_ylim(*((0, None) if name == "loss" else (-0.03, 1.03)))
        axes[0].legend()
        axes[1].set_title(f"grey line: lowest validation loss (epoch {best})", fontsize=9)
        figure.suptitle(title, x=0.01, ha="left", fontsize=12)
    return figure


def draw_precision_recall(y, scored, title):
    """Precision against recall of several scores on the same stars.

    Parameters
    ----------
    y : ndarray of shape (n_stars,)
    scored : dict of ndarray of shape (n_stars,)
        Per (network, light curves).
    title : str

    Returns
    -------
    matplotlib.figure.Figure
    """
    with house_style():
        figure, axis = plt.subplots(figsize=(6.6, 4.8))
        for (network, light_curves), score in scored.items():
            recall, precision = metrics.precision_recall(y, score)
            axis.step(
                recall,
                precision,
                where="pre",
                color=NETWORK_COLORS[network],
                ls="-" if light_curves == "equalised" else "--",
                label=f"{network.replace('_', ' ')}, {light_curves} "
                f"(AP {metrics.rank_statistics(y, score)[1][0]:.2f})",
            )
        share = np.mean(y)
        axis.axhline(share, color="#888888", lw=0.8)
        axis.text(
            0.01, share, f"chance: {share:.1%} hosts", va="bottom", fontsize=8, color="#666666"
        )
        axis.set_xlim(0, 1.02)
        axis.set_ylim(0, 1.05)
        axis.set_xlabel("recall (share of hosts found)")
        axis.set_ylabel("precision (share of hosts among those called)")
        axis.set_title(title)
        axis.legend(loc="upper right", fontsize=8)
    return figure


def draw_candidates(times, curves, found, captions, is_host):
    """Folded light curves of the highest-scored stars.

    Parameters
    ----------
    times, curves : ndarray of shape (n_stars, n_cadences)
        Days; equalised flux.
    found : box.Search
        Period, epoch and duration of each.
    captions : list of str
    is_host : ndarray of shape (n_stars,)

    Returns
    -------
    matplotlib.figure.Figure
    """
    n_columns = 3
    n_rows = -(-len(curves) // n_columns)
    with house_style():
        figure, axes = plt.subplots(
            n_rows, n_columns, figsize=(10.5, 2.4 * n_rows + 0.6), squeeze=False
        )
        for axis, i in zip(axes.flat, range(len(curves)), strict=False):
            draw_fold(axis, times[i], curves[i], found.period[i], found.epoch[i], found.duration[i])
            axis.set_title(
                captions[i], fontsize=8, color=COLORS["host" if is_host[i] else "non-host"]
            )
        for axis in axes.flat[len(curves) :]:
            axis.set_axis_off()
        for axis in axes[-1]:  # the figure's own label is its signature; see `save_figure`
            axis.set_xlabel("time from the middle of a dip (hours)")
        figure.supylabel("equalised flux (robust standard deviations)", fontsize=10)
        figure.suptitle(
            "Highest-scored test stars, folded at the period of the box search", x=0.01, ha="left"
        )
    return figure


def draw_fold(axis, time, curve, period, epoch, duration):
    """Draw one light curve folded about the epoch, with medians of its bins."""
    away = fold(time, period, epoch)
    reach = find_reach(period, duration)
    near = np.abs(away) < reach
    hours, flux = 24 * away[near], curve[near]
    axis.plot(hours, flux, ".", ms=2.5, mew=0, color="#999999", rasterized=True)
    middles, medians = bin_medians(hours, flux, np.linspace(-24 * reach, 24 * reach, 26))
    axis.plot(middles, medians, "o", ms=3.5, color="#000000")
    low = min(np.min(medians, initial=0), np.percentile(flux, 1, method="nearest"))
    axis.set_ylim(1.3 * low - 1, max(5, -0.08 * low))


def fold(time, period, epoch):
    """Days from the nearest dip, between minus and plus half a period."""
    return (time - epoch + period / 2) % period - period / 2


def find_reach(period, duration):
    """Days on either side of a dip that are drawn of a fold."""
    return min(period / 2, max(4 * duration, 0.5))


def bin_medians(x, flux, edges):
    """Middles of the bins that hold a sample, and the median flux of each."""
    place = np.digitize(x, edges)
    filled = [k for k in range(1, len(edges)) if np.any(place == k)]
    middles = [(edges[k - 1] + edges[k]) / 2 for k in filled]
    return middles, [np.median(flux[place == k]) for k in filled]


def draw_figures(contenders, rows, history, candidates, found, times):
    """The figures of step 4 but those of the vetting, by name.

    Parameters
    ----------
    contenders : list of comparison.Contender
    rows : list of dict
        Of `metrics.json`.
    history : pandas.DataFrame
        Of `training_history.csv`.
    candidates, found, times
        See `candidates.find_candidates`.

    Returns
    -------
    dict of matplotlib.figure.Figure
    """

    def row_of(network, light_curves, split):
        wanted = (network, light_curves, split)
        return next(r for r in rows if (r["network"], r["light_curves"], r["split"]) == wanted)

    published = "published network, flux as distributed"
    of_published = (history["network"] == "published") & (history["light_curves"] == "distributed")
    transit = next(c for c in contenders if c.network == "transit")
    scored = {
        (c.network, c.light_curves): c.of_rows(transit.view["row_test"])
        for c in contenders
        if c.network != "repeat_count"
    }
    best = candidates.head(N_CANDIDATES)
    captions = [
        f"row {star.row}, {'host' if star.label else 'non-host'}, score {star.score:.2f}, "
        f"{star.period:.2f} d{', suspect' if star.suspect else ''}"
        for star in best.itertuples()
    ]
    return {
        "CMtrain": draw_confusion(
            row_of("published", "distributed", "train"), f"Fit stars after balancing, {published}"
        ),
        "CMtest": draw_confusion(
            row_of("published", "distributed", "test"), f"Test stars, {published}"
        ),
        "Trainevo": draw_history(history[of_published], f"Training of the {published}"),
        "CMtest_transit": draw_confusion(
            row_of("transit", "equalised", "test"), "Test stars, transit network, equalised flux"
        ),
        "precision_recall": draw_precision_recall(transit.view["y_test"], scored, "Test stars"),
        "top_candidates": draw_candidates(
            times[: len(best)],
            transit.view["x_test"][best["place"]],
            box.Search(*(value[: len(best)] for value in found)),
            captions,
            best["label"].to_numpy() == 1,
        ),
    }
