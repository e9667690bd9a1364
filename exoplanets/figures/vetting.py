"""The figures of vetting; each function returns a Matplotlib figure.

`content` and `drawn` are what `evaluation.vetting.vet` returns; `colors` holds the colour of each
classifier by its name.
"""

import matplotlib.pyplot as plt
import numpy as np

from exoplanets.evaluation import completeness, reliability, vetting
from exoplanets.evaluation.metrics import logit
from exoplanets.evaluation.occlusion import HIDDEN
from exoplanets.figures.light_curves import draw_occluded
from exoplanets.figures.style import (
    COLORS,
    LEGEND_LINE,
    draw_legend,
    house_style,
    name_class,
    name_classifier,
    split_classes,
    title_figure,
)
from exoplanets.stars import CADENCE_DAYS

TREATMENT_NAMES = {
    "original": "as it is",
    "inverted": "upside down\n(no transit left)",
    "masked": "dips masked\n(no transit left)",
    "scrambled": "12 h blocks shuffled\n(no period left)",
}
AT_RATE = "false_positives_1_percent"
# Of a star's score: place beside the treatment's middle, marker, its size, and opacity.
SCORES = {"non-host": (-0.19, ".", 4.0, 0.45), "host": (0.19, "D", 2.8, 0.9)}


@house_style()
def draw_injection_recovery(content, colors):
    """Share of injected planets recovered, against SNR and over period and radius."""
    rows = content["completeness"]
    main = next(row for row in rows if row["network"] == content["network"])
    name, legend = _name(main["network"]), LEGEND_LINE * (len(rows) + 1)
    figure, axes = plt.subplot_mosaic(
        [["left", "right"], ["legend", "legend"]], figsize=(7.5, 4.6 + legend),
        width_ratios=(1.2, 1), height_ratios=(3.7, legend),
    )  # fmt: skip
    left, right = axes["left"], axes["right"]
    shift = 0.97 ** np.linspace(-(len(rows) - 1), len(rows) - 1, len(rows))
    for row, factor in zip(rows, shift, strict=True):
        color, cut = colors[row["network"]], row[AT_RATE]
        line = "-" if row["light_curves"] == "equalised" else "--"
        _draw_recovery(left, row, cut, factor, color, line)
        if row is main:
            which = ", tuned threshold"
            _draw_recovery(left, row, row["tuned"], 1 / factor, color, ":", "white", which)
    edges = completeness.SNR_EDGES
    for edge in edges:
        left.axvline(edge, color="#eeeeee", lw=0.8, zorder=0)
    left.axhline(vetting.LEAST_RECOVERED, color="#888888", lw=0.8, ls="--")
    left.text(edges[0], 0.905, "nine in ten", fontsize=8, color="#666666", va="bottom")
    left.set_xscale("log")
    left.set_xlim(edges[0] * 0.96, edges[-1] * 1.04)
    left.set_xticks(edges, [f"{edge:g}" for edge in edges])
    left.minorticks_off()
    left.set_ylim(-0.02, 1.02)
    left.set_xlabel("signal-to-noise ratio of the injected transits")
    left.set_ylabel("fraction recovered (95 % Wilson intervals)")

    cut = main[AT_RATE]
    _draw_grid(right, cut)
    right.set_title(f"{name}: recovered of injected planets", fontsize=9)
    title_figure(
        figure,
        f"The {name} network recovers {cut['all']['recovered']} of {cut['all']['n']} planets "
        f"injected into {content['held_out_non_hosts']} unseen non-hosts,\n"
        f"at a threshold that calls {cut['false_positives']} of {cut['non_hosts']} non-hosts",
    )
    draw_legend(axes["legend"], left)
    return figure


def _name(network):
    """A network's name in words."""
    return network.replace("_", " ")


def _draw_recovery(axis, row, cut, factor, color, ls, face=None, which=""):
    """One curve with its intervals, at the geometric middle of each bin, and its numbers."""
    label = (
        f"{name_classifier(row['network'], row['light_curves'])}{which}: {cut['all']['recovered']} "
        f"of {cut['all']['n']} planets where {cut['false_positives']} of {cut['non_hosts']} "
        "non-hosts are called"
    )
    bins = [b for b in cut["bins"] if b["n"]]
    middle = [factor * np.sqrt(b["snr"][0] * b["snr"][1]) for b in bins]
    fraction = np.array([b["fraction"] for b in bins])
    low, high = np.array([b["interval"] for b in bins]).T
    # Rounding may leave a bound a hair inside the fraction.
    reach = [np.maximum(fraction - low, 0), np.maximum(high - fraction, 0)]
    axis.errorbar(
        middle, fraction, yerr=reach, color=color, ls=ls, marker="o", ms=4, mfc=face or color,
        elinewidth=1, capsize=2, label=label,
    )  # fmt: skip


def _draw_grid(axis, cut):
    """Counts over period and radius ratio, coloured by the fraction that is recovered."""
    fractions = np.array([[cell["fraction"] for cell in line] for line in cut["grid"]], float)
    axis.imshow(fractions, origin="lower", aspect="auto", vmin=0, vmax=1, cmap="cividis")
    for (i, j), fraction in np.ndenumerate(fractions):
        cell = cut["grid"][i][j]
        color = "#999999" if cell["n"] == 0 else "white" if fraction < 0.5 else "black"
        text = f"{cell['recovered']}/{cell['n']}" if cell["n"] else "none"
        axis.text(j, i, text, ha="center", va="center", fontsize=8, color=color)
    periods = [f"{edge:g}" for edge in completeness.PERIOD_EDGES]
    ratios = [f"{edge:g}" if np.isfinite(edge) else "" for edge in completeness.RATIO_EDGES]
    axis.set_xticks(np.arange(len(periods)) - 0.5, periods)
    axis.set_yticks(np.arange(len(ratios)) - 0.5, ratios)
    axis.set(xlabel="period (days)", ylabel="planet-to-star radius ratio, at least")
    axis.spines[:].set_visible(False)


@house_style()
def draw_reliability(content, drawn, colors):
    """Scores of hosts and non-hosts, as they are, without transits and without the period."""
    rows = content["reliability"]
    shown = next(row for row in rows if row["network"] == content["network"])
    legend = LEGEND_LINE * len(rows)
    figure, (top, bottom, below) = plt.subplots(
        3, 1, figsize=(7.5, 7.6 + legend), height_ratios=(3.4, 3.0, legend)
    )
    _draw_scores(top, drawn, shown)
    top.set_title(
        f"Scores of the {_name(shown['network'])} network; {shown['stars']}; bars: median and "
        "quartiles",
        fontsize=9, pad=16,
    )  # fmt: skip
    _draw_aucs(bottom, rows, colors)
    bottom.set_title(
        "Hosts against equally treated non-hosts, 95 % bootstrap intervals. Above the red line, "
        "skill\nis left without any transit: a leak",
        fontsize=9,
    )
    draw_legend(below, bottom)
    title_figure(figure, _survival(shown))
    return figure


def _draw_scores(axis, drawn, row):
    """Scores of each star under each treatment, hosts beside non-hosts."""
    y = drawn["y"]
    jitter = np.random.default_rng(0).uniform(-1, 1, len(y))
    for place, treatment in enumerate(reliability.TREATMENTS):
        score = logit(drawn["treated"][treatment])
        for name, member in split_classes(y == 1):
            side, marker, size, alpha = SCORES[name]
            middle = place + side
            axis.plot(
                middle + 0.12 * jitter[member], score[member], marker, ms=size, mew=0,
                color=COLORS[name], alpha=alpha, rasterized=True,
                label=f"{name}s ({member.sum()})" if place == 0 else None,
            )  # fmt: skip
            low, median, high = np.percentile(score[member], [25, 50, 75])
            axis.plot([middle - 0.16, middle + 0.16], [median] * 2, color="#222222", lw=2)
            axis.plot([middle, middle], [low, high], color="#222222", lw=1)
        axis.text(
            place, 1.01, f"AUC {_format_auc(row[treatment])}",
            transform=axis.get_xaxis_transform(), ha="center", fontsize=8,
        )  # fmt: skip
    axis.set_xticks(range(len(reliability.TREATMENTS)), TREATMENT_NAMES.values(), fontsize=8)
    low, high = axis.get_ylim()
    marks = [m for m in (0.001, 0.01, 0.1, 0.5, 0.9, 0.99, 0.999) if low < logit(m) < high]
    axis.set_yticks(logit(marks), [f"{mark:g}" for mark in marks])
    axis.set_ylabel("score (log-odds scale)")
    axis.legend(loc="upper right", fontsize=8)


def _draw_aucs(axis, rows, colors):
    """ROC AUC of every classifier under each treatment."""
    width = 0.8 / len(rows)
    for k, row in enumerate(rows):
        color = colors[row["network"]]
        marker = "o" if row["light_curves"] == "equalised" else "s"
        for place, treatment in enumerate(reliability.TREATMENTS):
            auc, interval = row[treatment]["roc_auc"], row[treatment]["interval"]
            middle = place + (k - (len(rows) - 1) / 2) * width
            axis.plot([middle, middle], interval, color=color, lw=1.5)
            held_out = row["stars"].startswith("held-out")
            label = (
                f"{name_classifier(row['network'], row['light_curves'])}: {row['hosts']} hosts, "
                f"{row['non_hosts']} non-hosts ({row['stars']})"
            )
            axis.plot(
                middle, auc, marker, color=color, ms=5, mfc="white" if held_out else color,
                label=label if place == 0 else None,
            )  # fmt: skip
    axis.axhline(0.5, color="#888888", lw=0.8)
    axis.plot([0.5, 2.5], [vetting.MOST_WITHOUT_TRANSITS] * 2, color="#B00020", lw=0.9, ls="--")
    axis.set_xticks(range(len(reliability.TREATMENTS)), TREATMENT_NAMES.values(), fontsize=8)
    axis.set_ylim(top=1.02)
    axis.set(xlim=(-0.5, 3.5), ylabel="ROC AUC")


def _format_auc(row):
    low, high = row["interval"]
    return f"{row['roc_auc']:.2f} [{low:.2f}, {high:.2f}]"


def _survival(row):
    """What share of the skill is left after each treatment, in words."""
    name = f"{_name(row['network'])} network"
    shares = [row[treatment]["surviving_share"] for treatment in reliability.TREATMENTS[1:]]
    if None in shares:
        return f"The {name} has no skill to lose (AUC {_format_auc(row['original'])})"
    inverted, masked, scrambled = (f"{share:.0%}" for share in shares)
    return (
        f"Of its skill (AUC less 0.5) the {name} keeps {inverted} upside down, {masked} with "
        f"dips masked,\n{scrambled} without the period"
    )


@house_style()
def draw_occlusion(content, drawn):
    """Light curves coloured by how far the score falls when a stretch is hidden."""
    rows, panels = content["occlusion"], drawn["occluded"]
    n_panels = max(len(rows), 1)
    hours = 24 * HIDDEN * CADENCE_DAYS
    figure, axes = plt.subplots(
        n_panels, 1, figsize=(7.5, 1.2 + 1.35 * n_panels), sharex=True, squeeze=False
    )
    axes = axes[:, 0]
    if not rows:
        axes[0].text(0.5, 0.5, "no star is clear enough to be occluded", ha="center")
    for axis, row, panel in zip(axes, rows, panels, strict=False):
        size = np.clip(15_000 / len(panel["days"]), 1, 5)
        points = draw_occluded(axis, panel, row["ordinary_fall"], size, "PuOr_r")
        axis.set_xlim(0, max(other["days"][-1] for other in panels))
        name = name_class(row["label"])
        numbers = f"score {row['score']:.2f}, period {row['period']:.2f} d"
        title = f"{row['star']}, {name}, {numbers}: {describe_share(row)}"
        axis.set_title(title, fontsize=8, color=COLORS[name])
        bar = figure.colorbar(points, ax=axis, aspect=8, pad=0.01)
        bar.ax.tick_params(labelsize=7)
    axes[-1].set_xlabel("time since the first cadence (days)")
    figure.supylabel("equalised flux (robust standard deviations)", fontsize=9)
    verdict = next(v for v in content["verdicts"] if v["test"] == "occlusion")
    share = "" if verdict["value"] is None else f", {verdict['value']:.0%} of it in transit"
    title_figure(
        figure,
        f"{_name(content['network'])} network, clear hosts: where the score falls{share}\n"
        f"colour: fall in score (log-odds) when {hours:.0f} h are hidden; triangles: transits "
        "of the box search",
    )
    return figure


def describe_share(row):
    """What share of the fall in score lies within transits, in words."""
    if row["share_in_transit"] is None:
        return "no stretch stands out"
    share, by_chance = row["share_in_transit"], row["share_by_chance"]
    return f"{share:.0%} of the fall in transit (by chance {by_chance:.0%})"


@house_style()
def draw_calibration(measured, network, color):
    """Reliability diagram before and after calibration; see `calibration.measure_calibration`."""
    panels = {"raw score": "before", "calibrated, out of fold": "after"}
    figure, axes = plt.subplots(1, 2, figsize=(7.5, 4.3), sharey=True)
    for axis, (title, when) in zip(axes, panels.items(), strict=True):
        axis.plot([0, 1], [0, 1], color="#888888", lw=0.8)
        for row in measured[f"bins_{when}"]:
            x, fraction = row["probability"], row["fraction"]
            axis.plot([x, x], row["interval"], color=color, lw=1.2)
            axis.plot(x, fraction, "o", ms=6, color=color)
            middle = (row["low"] + row["high"]) / 2
            for height, name in ((1.075, "host"), (1.03, "non-host")):
                count = str(row[f"{name.replace('-', '_')}s"])
                looks = {"fontsize": 7.5, "color": COLORS[name]}
                axis.text(middle, height, count, ha="center", **looks)
        axis.set_title(f"{title}: Brier score {_format(measured[f'brier_{when}'])}", fontsize=9)
        ticks = np.linspace(0, 1, 6)
        axis.set(xlim=(0, 1), ylim=(-0.02, 1.13), xticks=ticks, yticks=ticks)
    axes[0].set_xlabel(f"score of the {_name(network)} network")
    axes[1].set_xlabel("calibrated probability of a host")
    axes[0].set_ylabel("fraction of hosts")
    title_figure(
        figure,
        f"Calibration takes the Brier score of the {_name(network)} network from "
        f"{_format(measured['brier_before'])} to {_format(measured['brier_after'])} "
        f"(prevalence alone {_format(measured['brier_of_prevalence'])})\n"
        f"{measured['hosts']} hosts and {measured['non_hosts']} non-hosts not trained on, "
        f"non-hosts weighted to {measured['prevalence']:.1%} hosts\n"
        "numbers at the top: hosts and non-hosts per bin",
    )
    return figure


def _format(brier):
    return "undefined" if brier is None else f"{brier:.4f}"
