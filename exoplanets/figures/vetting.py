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
    """Share of injected planets recovered: against false alarms, and against their SNR."""
    rows = content["completeness"]
    main = next(row for row in rows if row["network"] == content["network"])
    legend = LEGEND_LINE * len(rows)
    figure, axes = plt.subplot_mosaic(
        [["left", "right"], ["legend", "legend"]], figsize=(7.5, 4.4 + legend),
        height_ratios=(3.7, legend),
    )  # fmt: skip
    left, right = axes["left"], axes["right"]
    for row in rows:
        color, line = colors[row["network"]], "-" if row["light_curves"] == "equalised" else "--"
        name = name_classifier(row["network"], row["light_curves"])
        looks = {"ls": line, "ms": 3, "label": f"{name}: {_count(row, AT_RATE)}"}
        rates = [point["rate"] for point in row["curve"]]  # none where the non-hosts are too few
        _draw_recovery(left, rates, row["curve"], color, **looks)
        if row["light_curves"] == main["light_curves"]:
            _draw_by_snr(right, row[AT_RATE], color, ls=":", mfc="white")
    # The threshold of the network itself, which others need not share.
    tuned, color = main["tuned"], colors[main["network"]]
    _draw_by_snr(right, tuned, color, ls="-")
    # As far down as so many non-hosts tell.
    lowest = min((p["rate"] for row in rows for p in row["curve"]), default=completeness.RATES[0])
    left.plot(
        max(tuned["false_positives"] / tuned["non_hosts"], lowest), tuned["all"]["fraction"], "D",
        ms=7, color=color, mec="black", zorder=4, clip_on=False,
    )  # fmt: skip
    left.set_xscale("log")
    left.set_xlim(0.85 * lowest, 1.15 * completeness.RATES[-1])
    rates = [rate for rate in (0.001, 0.003, 0.01, 0.03, 0.1) if rate >= lowest]
    left.set_xticks(rates, [f"{100 * rate:g} %" for rate in rates])
    left.set_xlabel("false alarms: share of non-hosts called")
    left.set_ylabel("planets recovered (bands: 95 % Wilson intervals)")
    cost = f"{tuned['false_positives']} of {tuned['non_hosts']} called"
    left.set_title(f"All planets; diamond: tuned, {cost}", fontsize=9)
    edges = completeness.SNR_EDGES
    right.axhline(vetting.LEAST_RECOVERED, color="#888888", lw=0.8, ls="--")
    right.text(edges[0], 0.905, "nine in ten", fontsize=8, color="#666666", va="bottom")
    right.set_xscale("log")
    right.set_xlim(edges[0] * 0.96, edges[-1] * 1.04)
    right.set_xticks(edges, [f"{edge:g}" for edge in edges])
    right.set_xlabel("signal-to-noise ratio of the injected transits")
    right.set_title("Filled: tuned threshold; hollow: 1 % false alarms", fontsize=9)
    for axis in (left, right):
        axis.minorticks_off()
        axis.set_ylim(-0.02, 1.03)
    others = [r for r in rows if r["light_curves"] == main["light_curves"] and r is not main]
    title = f"The {_name(main['network'])} network recovers {_count(main, AT_RATE)}"
    if others:
        best = max(others, key=lambda row: row[AT_RATE]["all"]["fraction"] or 0)
        title += f";\nthe best other on the same light curves, {_name(best['network'])}, "
        title += _count(best, AT_RATE)
    title_figure(figure, title)
    draw_legend(axes["legend"], left)
    return figure


def _name(network):
    """A network's name in words."""
    return network.replace("_", " ")


def _count(row, cut):
    """How many planets are recovered at a threshold, and what it costs, in words."""
    planets, cut = row[cut]["all"], row[cut]
    return (
        f"{planets['recovered']} of {planets['n']} planets where {cut['false_positives']} of "
        f"{cut['non_hosts']} non-hosts are called"
    )


def _draw_recovery(axis, x, counted, color, **looks):
    """A curve of shares recovered, each of `count_recovered`, and the band of its intervals."""
    low, high = np.array([c["interval"] for c in counted], float).reshape(-1, 2).T
    axis.fill_between(x, low, high, color=color, alpha=0.15, lw=0)
    axis.plot(x, [c["fraction"] for c in counted], "o", color=color, **looks)


def _draw_by_snr(axis, cut, color, **looks):
    """Recovery at one threshold, at the geometric middle of each bin of SNR."""
    bins = [b for b in cut["bins"] if b["n"]]
    middle = [np.sqrt(b["snr"][0] * b["snr"][1]) for b in bins]
    _draw_recovery(axis, middle, bins, color, ms=5, **looks)


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
    """Light curves coloured by how far the transit score falls when a stretch is hidden."""
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
        period = "no period" if row["period"] is None else f"{row['period']:.2f} d"
        snr = "SNR not measured" if row["snr"] is None else f"SNR {row['snr']:.0f}"
        numbers = f"transit score {row['score']:.2f}, {period}, {snr}"
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
        f"{_name(content['network'])} network, clear hosts: where the transit score falls{share}\n"
        f"colour: its fall (log-odds) when {hours:.0f} h are hidden; triangles: transits as fitted",
    )
    return figure


def describe_share(row):
    """What share of the fall in transit score lies within transits, in words."""
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
    before, after = measured["brier_before"], measured["brier_after"]
    how = "could not be measured on so few stars"
    if after is not None:
        how = "lowers" if after < before else "does not lower"
        how += f" the Brier score: {_format(before)} before, {_format(after)} after"
    title_figure(
        figure,
        f"{_name(network)} network: calibration {how}\n(one probability for all, the prevalence: "
        f"{_format(measured['brier_of_prevalence'])}; lower is better)\n"
        f"{measured['hosts']} hosts and {measured['non_hosts']} non-hosts not trained on, "
        f"non-hosts weighted to {measured['prevalence']:.1%} hosts\n"
        "numbers at the top: hosts and non-hosts per bin",
    )
    return figure


def _format(brier):
    return "undefined" if brier is None else f"{brier:.4f}"
