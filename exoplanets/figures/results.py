"""The figures of step 4 but those of the vetting; each function returns a matplotlib figure."""

import matplotlib.pyplot as plt
import numpy as np
import seaborn as sns
from matplotlib.ticker import MaxNLocator
from sklearn.metrics import precision_recall_curve

from exoplanets.classifiers.verdict import BINARY, PLANET, VERDICTS
from exoplanets.evaluation.candidates import N_CANDIDATES
from exoplanets.evaluation.metrics import rank_statistics
from exoplanets.figures import vetting
from exoplanets.figures.light_curves import draw_fit
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
from exoplanets.stars import CADENCE_DAYS

# Cells of a table of counts; in grey the words tell them apart.
RIGHT, WRONG, NEITHER = "#44AA99", "#E8A33D", "#999999"
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
    fits = [evaluated.fits[i] for i in best.index]
    calibration = content["calibration"][" on ".join(main.key)]
    figures = {
        "CMtrain": draw_confusion(rows[(*study, "train")], "Fit stars, balanced"),
        "CMtest": draw_confusion(rows[(*study, "test")], "Test stars"),
        "Trainevo": draw_history(history, f"{study[0].capitalize()} network"),
        f"CMtest_{main.name}": draw_confusion(rows[(*main.key, "test")], "Test stars"),
        "precision_recall": draw_precision_recall(test.y, scored, colors),
        "top_candidates": draw_candidates(evaluated.main.stars.cadence[best.index], fits, best),
        "calibration": vetting.draw_calibration(calibration, main.name, colors[main.name]),
    }
    if vetted := content["vetting"]:
        figures |= {
            "injection_recovery": vetting.draw_injection_recovery(vetted, colors),
            "reliability": vetting.draw_reliability(vetted, evaluated.drawn, colors),
            "occlusion": vetting.draw_occlusion(vetted, evaluated.drawn),
        }
        if vetted["systems"]:
            figures["verdicts"] = draw_verdicts(vetted["systems"], main.name)
    return figures


@house_style()
def draw_confusion(row, stars):
    """Confusion matrix of one result row: counts, what they mean, and the share of the true class.

    `row` is one of `metrics.json`; `stars` says which stars they are, such as "Test stars".
    """
    counts = np.array([[row["tn"], row["fp"]], [row["fn"], row["tp"]]])
    sizes = counts.sum(axis=1)
    shares = counts / np.maximum(sizes, 1)[:, np.newaxis]
    names = list(COLORS)
    figure, axis = plt.subplots(figsize=(4.4, 4.3))
    rows = [f"{name}s\n({size})" for name, size in zip(names, sizes, strict=True)]
    colors = np.where(np.eye(2, dtype=bool), RIGHT, WRONG)
    _draw_counts(axis, counts, colors, rows, [f"called {name}" for name in names])
    for i, j in np.ndindex(2, 2):
        share = f"{shares[i, j]:.1%} of {names[i]}s"
        for below, text in ((0.28, OUTCOMES[i][j]), (0.77, share)):
            axis.text(j + 0.5, i + below, text, ha="center", va="center")
    axis.set_title(
        f"{row['tp']} of {sizes[1]} hosts found, {row['fp']} false alarm"
        f"{'' if row['fp'] == 1 else 's'}\n"
        f"{stars}: {name_classifier(row['network'], row['light_curves'])}\n"
        f"F1 {format_metric(row, 'f1')}, score ≥ {row['threshold']:.3g}",
        fontsize=9.5,
    )
    return figure


def _draw_counts(axis, counts, colors, rows, columns):
    """A table of counts, ndarray of int; a cell's colour is the stronger the larger its share."""
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    for color in np.unique(colors):
        sns.heatmap(
            shares, mask=colors != color, cmap=sns.light_palette(color, as_cmap=True), vmin=-0.15,
            vmax=1, annot=counts, fmt="d", annot_kws={"fontsize": 22, "color": "black"}, ax=axis,
            cbar=False, square=True, linewidths=3, yticklabels=rows, xticklabels=columns,
        )  # fmt: skip
    axis.tick_params(length=0, rotation=0)


@house_style()
def draw_verdicts(systems, network):
    """What simulated planets and eclipsing binaries are taken for; see `count_verdicts`."""
    kinds = {"planets": PLANET, "binaries": BINARY}
    counts = np.array([[systems[kind][verdict] for verdict in VERDICTS] for kind in kinds])
    sizes = counts.sum(axis=1)
    colors = np.full(counts.shape, NEITHER)
    for i, right in enumerate(kinds.values()):
        for j, verdict in enumerate(VERDICTS[:2]):  # the other two commit to nothing
            colors[i, j] = RIGHT if verdict == right else WRONG
    rows = [f"{kind}\n({size})" for kind, size in zip(kinds, sizes, strict=True)]
    figure, axis = plt.subplots(figsize=(6.4, 3.8))
    _draw_counts(axis, counts, colors, rows, VERDICTS)
    axis.set_aspect("auto")
    for (i, j), count in np.ndenumerate(counts):
        share = f"{count / max(sizes[i], 1):.1%}"
        axis.text(j + 0.5, i + 0.77, share, ha="center", va="center", fontsize=9)
    planets, binaries = (systems[kind]["called"]["recovered"] for kind in kinds)
    low, high = systems["snr"]
    area = "undefined" if systems["roc_auc"] is None else f"{systems['roc_auc']:.2f}"
    title_figure(
        figure,
        f"Of {sizes[1]} simulated eclipsing binaries {binaries} are called planet candidates, of "
        f"{sizes[0]} planets {planets}\n{network.replace('_', ' ')} network; SNR {low:g} to "
        f"{high:g}, in non-hosts that taught nothing\nROC AUC of the score, planets against "
        f"binaries: {area}",
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
def draw_candidates(cadence, fits, stars):
    """Flux of the highest-scored stars, folded, with the transit model that was fitted to it.

    `cadence` is an ndarray of shape (n_stars, n_cadences), `fits` are the stars' `TransitFit`,
    `stars` their rows of `stars.csv`, a DataFrame.
    """
    n_rows = -(-len(stars) // 3)
    figure, axes = plt.subplots(n_rows, 3, figsize=(7.5, 2.0 * n_rows + 0.8), squeeze=False)
    for axis, days, fit, star in zip(
        axes.flat, cadence * CADENCE_DAYS, fits, stars.itertuples(), strict=False
    ):
        name, measured = name_class(star.label), "not measured"
        if fit.detrended is None:
            axis.set(xticks=[], yticks=[])
        else:
            draw_fit(axis, days, fit, COLORS[name])
            measured = f"{fit.period_days:.4f} d, SNR {fit.snr:.1f}"
        suspect = ", label suspect" * star.suspect_label
        title = f"row {star.row}, {name}{suspect}\n{star.verdict}, score {star.score:.2f}"
        axis.set_title(f"{title}\n{measured}", fontsize=8, color=COLORS[name])
    for axis in axes.flat[len(stars) :]:
        axis.set_axis_off()
    for axis in axes[-1]:  # the figure's own label is its signature; see `save_figure`
        axis.set_xlabel("hours from mid-transit")
    figure.supylabel("flux less its trend (e$^-$/s)", fontsize=9)
    title = f"{stars['label'].sum()} of the {len(stars)} highest-scored test stars are hosts"
    if suspects := stars["row"][stars["suspect_label"]].tolist():
        title += f"; suspect label: row {', '.join(map(str, suspects))}"
    lines = "dots: medians; line: the transit model, fitted to all transits"
    title_figure(figure, f"{title}\neach folded at its fitted period; {lines}")
    return figure
