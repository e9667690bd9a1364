"""The figures of step 4 but those of the vetting; each function returns a matplotlib figure."""

import matplotlib.pyplot as plt
import numpy as np
import seaborn as sns
from matplotlib.ticker import MaxNLocator
from sklearn.metrics import precision_recall_curve

from exoplanets.evaluation.candidates import N_CANDIDATES
from exoplanets.evaluation.metrics import rank_statistics
from exoplanets.figures import vetting
from exoplanets.figures.light_curves import draw_dip
from exoplanets.figures.style import (
    COLORS,
    LEGEND_LINE,
    draw_legend,
    find_colors,
    house_style,
    name_class,
    name_classifier,
    title_figure,
)
from exoplanets.search.box import VISIBLE_STATISTIC
from exoplanets.stars import CADENCE_DAYS

RIGHT, WRONG = "#44AA99", "#E8A33D"  # of a confusion matrix; in grey the words tell them apart
OUTCOMES = (("right", "false alarm"), ("missed", "found"))
HISTORY = {  # what is drawn of a training: its label, and the lowest and highest value shown
    "loss": ("loss", 0, None),
    "recall": ("recall at score 0.5", -0.03, 1.03),
    "average_precision": ("average precision", -0.03, 1.03),
}


def format_metric(row, name):
    """A metric and its interval as text, such as `0.80 [0.38, 0.96]`."""
    if row[name] is None:
        return "undefined"
    interval = row.get(f"{name}_interval")
    return f"{row[name]:.3f}" + (f" [{interval[0]:.2f}, {interval[1]:.2f}]" if interval else "")


def draw_figures(evaluated, compared, study):
    """All figures of step 4 by the names of their files, dict.

    `evaluated` is the `evaluate.Evaluation` of some `comparison.Compared`; `study` is the key of
    the network of the published study.
    """
    content, main = evaluated.content, evaluated.main.classifier
    colors = find_colors([c.classifier for c in compared])
    rows = {(r["network"], r["light_curves"], r["split"]): r for r in content["results"]}
    is_test = evaluated.main.stars.split == "test"
    test = evaluated.main.stars.select(is_test)
    scored = {c.classifier.key: c.at(test) for c in compared if c.score is not None}
    history = evaluated.history.groupby(["network", "light_curves"]).get_group(study)
    listed = evaluated.listed[is_test].sort_values("score", ascending=False, kind="stable")
    best = listed.head(N_CANDIDATES)
    times = np.arange(test.curves.shape[1]) * CADENCE_DAYS
    calibration = content["calibration"][" on ".join(main.key)]
    figures = {
        "CMtrain": draw_confusion(rows[(*study, "train")], "Fit stars, balanced"),
        "CMtest": draw_confusion(rows[(*study, "test")], "Test stars"),
        "Trainevo": draw_history(history, f"{study[0].capitalize()} network"),
        f"CMtest_{main.name}": draw_confusion(rows[(*main.key, "test")], "Test stars"),
        "precision_recall": draw_precision_recall(test.y, scored, colors),
        "top_candidates": draw_candidates(evaluated.main.stars.curves[best.index], times, best),
        "calibration": vetting.draw_calibration(calibration, main.name, colors[main.name]),
    }
    if vetted := content["vetting"]:
        figures |= {
            "injection_recovery": vetting.draw_injection_recovery(vetted, colors),
            "reliability": vetting.draw_reliability(vetted, evaluated.drawn, colors),
            "occlusion": vetting.draw_occlusion(vetted, evaluated.drawn),
        }
    return figures


@house_style()
def draw_confusion(row, stars):
    """Confusion matrix of one result row: counts, what they mean, and the share of the true class.

    `row` is one of `metrics.json`; `stars` says which stars they are, such as "Test stars".
    """
    counts = np.array([[row["tn"], row["fp"]], [row["fn"], row["tp"]]])
    sizes = counts.sum(axis=1)
    shares = counts / np.maximum(sizes, 1)[:, np.newaxis]
    right, names = np.eye(2, dtype=bool), list(COLORS)
    figure, axis = plt.subplots(figsize=(4.4, 4.3))
    rows = [f"{name}s\n({size})" for name, size in zip(names, sizes, strict=True)]
    for color, cells in ((RIGHT, right), (WRONG, ~right)):
        sns.heatmap(
            shares, mask=~cells, cmap=sns.light_palette(color, as_cmap=True), vmin=-0.15, vmax=1,
            annot=counts, fmt="d", annot_kws={"fontsize": 22, "color": "black"}, ax=axis,
            cbar=False, square=True, linewidths=3, yticklabels=rows,
            xticklabels=[f"called {name}" for name in names],
        )  # fmt: skip
    for i, j in np.ndindex(2, 2):
        share = f"{shares[i, j]:.1%} of {names[i]}s"
        for below, text in ((0.28, OUTCOMES[i][j]), (0.77, share)):
            axis.text(j + 0.5, i + below, text, ha="center", va="center")
    axis.tick_params(length=0, rotation=0)
    axis.set_title(
        f"{row['tp']} of {sizes[1]} hosts found, {row['fp']} false alarm"
        f"{'' if row['fp'] == 1 else 's'}\n"
        f"{stars}: {name_classifier(row['network'], row['light_curves'])}\n"
        f"F1 {format_metric(row, 'f1')}, score ≥ {row['threshold']:.3g}",
        fontsize=9.5,
    )
    return figure


@house_style()
def draw_history(history, network):
    """Loss, recall and average precision against the epoch, best epoch marked.

    `history` is a DataFrame with a row per epoch, see `Classifier.history`; `network` is in words.
    """
    best = int(history["epoch"][history["val_loss"].idxmin()]) + 1
    epochs = history["epoch"] + 1
    figure, axes = plt.subplots(1, len(HISTORY), figsize=(7.5, 2.9))
    for axis, (name, (label, low, high)) in zip(axes, HISTORY.items(), strict=True):
        axis.plot(epochs, history[name], "-", color="#999999", label="fit stars")
        held_out = history[f"val_{name}"]
        axis.plot(epochs, held_out, "o--", ms=3, color="#000000", label="validation stars")
        axis.axvline(best, color="#555555", lw=0.8, ls=":", zorder=0)
        axis.xaxis.set_major_locator(MaxNLocator(integer=True))
        axis.set(xlabel="epoch", ylabel=label, ylim=(low, high))
    axes[0].legend(fontsize=8)
    title = f"{network}: lowest validation loss in epoch {best} of {len(history)} (dotted line)"
    title_figure(figure, title)
    return figure


@house_style()
def draw_precision_recall(y, scored, colors):
    """Precision against recall on the test stars, of several scores.

    `scored` holds ndarrays of shape (n_stars,) per (network, light curves), `colors` is by network.
    """
    area = {key: rank_statistics(y, score)[1][0] for key, score in scored.items()}
    legend = LEGEND_LINE * len(scored)
    figure, (axis, below) = plt.subplots(
        2, 1, figsize=(5.4, 4.6 + legend), height_ratios=(4, legend)
    )
    for (network, light_curves), score in scored.items():
        precision, recall, _ = precision_recall_curve(y, score)
        precision[-1] = precision[-2]  # at no recall, that of the highest cut
        name = name_classifier(network, light_curves)
        axis.step(
            recall, precision, where="post", color=colors[network],
            ls="-" if light_curves == "equalised" else "--",
            label=f"{name} (AP {area[network, light_curves]:.2f})",
        )  # fmt: skip
    share = np.mean(y)
    axis.axhline(share, color="#888888", lw=0.8, ls=":")
    axis.text(0.01, share, f"chance: {share:.1%} hosts", va="bottom", fontsize=8)
    axis.set(xlim=(0, 1.02), ylim=(0, 1.05), xlabel="recall (share of hosts found)")
    axis.set_ylabel("precision (share of hosts among those called)")
    honest = {key: value for key, value in area.items() if key[1] == "equalised"}
    title = f"Test stars: {int(np.sum(y))} hosts among {len(y)}"
    if honest:
        best = max(honest, key=honest.get)
        title += f"\nbest without the leak: {best[0].replace('_', ' ')}, AP {honest[best]:.2f}"
    axis.set_title(title, fontsize=10)
    draw_legend(below, axis)
    return figure


@house_style()
def draw_candidates(curves, times, stars):
    """Folded light curves of the highest-scored stars.

    The curves, ndarray of shape (n_stars, n_cadences), are equalised; `times` are in days; `stars`
    are their rows of `stars.csv`, a DataFrame.
    """
    n_rows = -(-len(curves) // 3)
    figure, axes = plt.subplots(n_rows, 3, figsize=(7.5, 1.9 * n_rows + 0.8), squeeze=False)
    for axis, curve, star in zip(axes.flat, curves, stars.itertuples(), strict=False):
        name = name_class(star.label)
        period = "no repeating dip"
        if np.isfinite(star.period_days):
            ephemeris = star.period_days, star.epoch_days, star.duration_hours / 24
            flux, medians = draw_dip(axis, times, curve, *ephemeris, "#999999")
            low = min(np.nanmin(medians, initial=0), np.percentile(flux, 1, method="nearest"))
            axis.set_ylim(1.3 * low - 1, max(5, -0.08 * low))  # the deepest median is seen
            clear = star.statistic >= VISIBLE_STATISTIC
            period = f"period {star.period_days:.4f} d{'' if clear else ' (uncertain)'}"
        else:
            axis.set(xticks=[], yticks=[])
        suspect = ", label suspect" * star.suspect_label
        title = f"row {star.row}, {name}, score {star.score:.2f}\n{period}{suspect}"
        axis.set_title(title, fontsize=8, color=COLORS[name])
    for axis in axes.flat[len(curves) :]:
        axis.set_axis_off()
    for axis in axes[-1]:  # the figure's own label is its signature; see `save_figure`
        axis.set_xlabel("hours from mid-dip")
    figure.supylabel("equalised flux (robust standard deviations)", fontsize=9)
    title = f"{stars['label'].sum()} of the {len(curves)} highest-scored test stars are labelled"
    title_figure(figure, f"{title} hosts; each folded at its period")
    return figure
