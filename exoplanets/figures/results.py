"""The figures of step 4 but those of the vetting; each function returns a matplotlib figure."""

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.ticker import MaxNLocator
from sklearn.metrics import precision_recall_curve

from exoplanets.evaluation.candidates import N_CANDIDATES
from exoplanets.evaluation.metrics import rank_statistics
from exoplanets.evaluation.occlusion import VISIBLE_STATISTIC
from exoplanets.figures import vetting
from exoplanets.figures.style import (
    COLORS,
    LEGEND_LINE,
    draw_legend,
    find_colors,
    house_style,
    name_classifier,
    title_figure,
)
from exoplanets.stars import CADENCE_DAYS

RIGHT, WRONG = "#44AA99", "#E8A33D"  # of a confusion matrix; in grey the words tell them apart
OUTCOMES = (("right", "false alarm"), ("missed", "found"))


def format_metric(row, name):
    """A metric and its interval as text, such as `0.80 [0.38, 0.96]`."""
    if row[name] is None:
        return "undefined"
    interval = row.get(f"{name}_interval")
    return f"{row[name]:.3f}" + (f" [{interval[0]:.2f}, {interval[1]:.2f}]" if interval else "")


def draw_figures(found, compared, study):
    """All figures of step 4.

    Parameters
    ----------
    found : exoplanets.evaluation.evaluate.Evaluation
    compared : sequence of exoplanets.evaluation.comparison.Compared
    study : (str, str)
        Key of the network of the published study.

    Returns
    -------
    dict of matplotlib.figure.Figure
        By the name of their file.
    """
    content, main = found.content, found.main.classifier
    colors = find_colors([c.classifier for c in compared])
    rows = {(r["network"], r["light_curves"], r["split"]): r for r in content["results"]}
    is_test = found.main.stars.split == "test"
    test = found.main.stars.select(is_test)
    scored = {c.classifier.key: c.at(test) for c in compared if c.score is not None}
    history = found.history
    history = history[(history["network"] == study[0]) & (history["light_curves"] == study[1])]
    listed = found.listed[is_test].reset_index(drop=True)
    best = listed.sort_values("score", ascending=False, kind="stable").head(N_CANDIDATES)
    times = np.arange(test.curves.shape[1]) * CADENCE_DAYS
    figures = {
        "CMtrain": draw_confusion(rows[(*study, "train")], "Fit stars, balanced"),
        "CMtest": draw_confusion(rows[(*study, "test")], "Test stars"),
        "Trainevo": draw_history(history, f"{study[0].capitalize()} network"),
        f"CMtest_{main.name}": draw_confusion(rows[(*main.key, "test")], "Test stars"),
        "precision_recall": draw_precision_recall(test.y, scored, colors, "Test stars"),
        "top_candidates": draw_candidates(test.curves[best.index], times, best),
        "calibration": vetting.draw_calibration(
            content["calibration"][" on ".join(main.key)], main.name, colors[main.name]
        ),
    }
    if content["vetting"]:
        vetted, drawn = content["vetting"], found.drawn
        figures |= {
            "injection_recovery": vetting.draw_injection_recovery(vetted, colors),
            "reliability": vetting.draw_reliability(vetted, drawn, colors),
            "occlusion": vetting.draw_occlusion(vetted, drawn),
        }
    return figures


def draw_confusion(row, stars):
    """Confusion matrix of one result row: counts, what they mean, and the share of the true class.

    Parameters
    ----------
    row : dict
        Of `metrics.json`.
    stars : str
        Which stars they are, such as "Test stars".
    """
    counts = np.array([[row["tn"], row["fp"]], [row["fn"], row["tp"]]])
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    names = ("non-host", "host")
    with house_style():
        figure, axis = plt.subplots(figsize=(4.4, 4.3))
        for color, cells in ((RIGHT, np.eye(2, dtype=bool)), (WRONG, ~np.eye(2, dtype=bool))):
            shade = LinearSegmentedColormap.from_list("shade", ["#ffffff", color])
            axis.imshow(np.where(cells, shares, np.nan), cmap=shade, vmin=-0.15, vmax=1)
        for i, j in np.ndindex(2, 2):
            axis.text(j, i - 0.22, OUTCOMES[i][j], ha="center", va="center", fontsize=10)
            axis.text(j, i + 0.02, f"{counts[i, j]}", ha="center", va="center", fontsize=22)
            share = f"{shares[i, j]:.1%} of {names[i]}s"
            axis.text(j, i + 0.27, share, ha="center", va="center", fontsize=9)
        axis.axhline(0.5, color="white", lw=3)
        axis.axvline(0.5, color="white", lw=3)
        sizes = zip(names, counts.sum(axis=1), strict=True)
        axis.set_xticks([0, 1], [f"called {name}" for name in names])
        axis.set_yticks([0, 1], [f"{name}s\n({n})" for name, n in sizes])
        axis.tick_params(length=0)
        axis.spines[:].set_visible(False)
        alarms = f"{row['fp']} false alarm{'' if row['fp'] == 1 else 's'}"
        axis.set_title(
            f"{row['tp']} of {row['tp'] + row['fn']} hosts found, {alarms}\n"
            f"{stars}: {name_classifier(row['network'], row['light_curves'])}\n"
            f"F1 {format_metric(row, 'f1')}, score ≥ {row['threshold']:.3g}",
            fontsize=9.5,
        )
    return figure


def draw_history(history, network):
    """Loss, recall and average precision against the epoch, best epoch marked.

    Parameters
    ----------
    history : pandas.DataFrame
        A row per epoch; see `Classifier.history`.
    network : str
        In words.
    """
    panels = {
        "loss": "loss",
        "recall": "recall at score 0.5",
        "average_precision": "average precision",
    }
    best = int(history["epoch"][history["val_loss"].idxmin()]) + 1
    epochs = history["epoch"] + 1
    with house_style():
        figure, axes = plt.subplots(1, 3, figsize=(7.5, 2.9))
        for axis, (name, label) in zip(axes, panels.items(), strict=True):
            axis.plot(epochs, history[name], "-", color="#999999", label="fit stars")
            axis.plot(
                epochs, history[f"val_{name}"], "o--", ms=3, color="#000000",
                label="validation stars",
            )  # fmt: skip
            axis.axvline(best, color="#555555", lw=0.8, ls=":", zorder=0)
            axis.set_xlabel("epoch")
            axis.xaxis.set_major_locator(MaxNLocator(integer=True))
            axis.set_ylabel(label)
            axis.set_ylim(*((0, None) if name == "loss" else (-0.03, 1.03)))
        axes[0].legend(fontsize=8)
        title_figure(
            figure,
            f"{network}: lowest validation loss in epoch {best} of {len(history)} (dotted line)",
        )
    return figure


def draw_precision_recall(y, scored, colors, stars):
    """Precision against recall of several scores on the same stars.

    Parameters
    ----------
    y : ndarray of shape (n_stars,)
    scored : dict of ndarray of shape (n_stars,)
        Per (network, light curves).
    colors : dict
        Per network.
    stars : str
        Which stars they are.
    """
    area = {key: rank_statistics(y, score)[1][0] for key, score in scored.items()}
    with house_style():
        figure, (axis, below) = plt.subplots(
            2,
            1,
            figsize=(5.4, 4.6 + LEGEND_LINE * len(scored)),
            height_ratios=(4, LEGEND_LINE * len(scored)),
        )
        for (network, light_curves), score in scored.items():
            precision, recall, _ = precision_recall_curve(y, score)
            precision[-1] = precision[-2]  # at no recall, that of the highest cut
            axis.step(
                recall,
                precision,
                where="post",
                color=colors[network],
                ls="-" if light_curves == "equalised" else "--",
                label=f"{name_classifier(network, light_curves)} "
                f"(AP {area[network, light_curves]:.2f})",
            )
        share = np.mean(y)
        axis.axhline(share, color="#888888", lw=0.8, ls=":")
        axis.text(0.01, share, f"chance: {share:.1%} hosts", va="bottom", fontsize=8)
        axis.set_xlim(0, 1.02)
        axis.set_ylim(0, 1.05)
        axis.set_xlabel("recall (share of hosts found)")
        axis.set_ylabel("precision (share of hosts among those called)")
        honest = {key: value for key, value in area.items() if key[1] == "equalised"}
        title = f"{stars}: {int(np.sum(y))} hosts among {len(y)}"
        if honest:
            best = max(honest, key=honest.get)
            title += f"\nbest without the leak: {best[0].replace('_', ' ')}, AP {honest[best]:.2f}"
        axis.set_title(title, fontsize=10)
        draw_legend(below, axis)
    return figure


def draw_candidates(curves, times, stars):
    """Folded light curves of the highest-scored stars.

    Parameters
    ----------
    curves : ndarray of shape (n_stars, n_cadences)
        Equalised flux.
    times : ndarray of shape (n_cadences,)
        Days.
    stars : pandas.DataFrame
        A row per star, of `stars.csv`.
    """
    n_columns = 3
    n_rows = -(-len(curves) // n_columns)
    n_hosts = int(stars["label"].sum())
    with house_style():
        figure, axes = plt.subplots(
            n_rows, n_columns, figsize=(7.5, 1.9 * n_rows + 0.8), squeeze=False
        )
        for axis, curve, star in zip(axes.flat, curves, stars.itertuples(), strict=False):
            name = "host" if star.label else "non-host"
            period = "no repeating dip found"
            if np.isfinite(star.period_days):
                duration = star.duration_hours / 24
                draw_fold(axis, times, curve, star.period_days, star.epoch_days, duration)
                clear = star.statistic >= VISIBLE_STATISTIC
                period = f"period {star.period_days:.4f} d{'' if clear else ' (uncertain)'}"
            else:
                axis.set_xticks([])
                axis.set_yticks([])
            axis.set_title(
                f"row {star.row}, {name}, score {star.score:.2f}\n"
                f"{period}{', label suspect' * star.suspect_label}",
                fontsize=8,
                color=COLORS[name],
            )
        for axis in axes.flat[len(curves) :]:
            axis.set_axis_off()
        for axis in axes[-1]:  # the figure's own label is its signature; see `save_figure`
            axis.set_xlabel("hours from mid-dip")
        figure.supylabel("equalised flux (robust standard deviations)", fontsize=9)
        title_figure(
            figure,
            f"{n_hosts} of the {len(curves)} highest-scored test stars are labelled hosts; each "
            "folded at its period",
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
