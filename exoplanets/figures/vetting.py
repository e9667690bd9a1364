"""The figures of vetting: functions of what `vetting.vet` returns, that return a figure."""

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.colors import TwoSlopeNorm

from exoplanets.evaluation import metrics, vetting
from exoplanets.evaluation.completeness import PERIOD_EDGES, RATIO_EDGES, SNR_EDGES
from exoplanets.evaluation.occlusion import HIDDEN
from exoplanets.evaluation.reliability import TREATMENTS
from exoplanets.figures.results import NETWORK_COLORS
from exoplanets.figures.style import COLORS, house_style
from exoplanets.stars import CADENCE_DAYS

TREATMENT_NAMES = {
    "original": "as it is",
    "inverted": "upside down\n(no transit left)",
    "masked": "dips masked\n(no transit left)",
    "scrambled": "12 h blocks shuffled\n(no period left)",
}
AT_RATE = "false_positives_1_percent"


def _name(network):
    """A network's name in words."""
    return network.replace("_", " ")


def draw_vetting(content, drawn):
    """The four figures of vetting, by name; see `vetting.vet` for what is drawn.

    Returns
    -------
    dict of matplotlib.figure.Figure
    """
    return {
        "injection_recovery": draw_injection_recovery(content),
        "reliability": draw_reliability(content, drawn),
        "occlusion": draw_occlusion(content, drawn),
        "calibration": draw_calibration(content),
    }


def draw_injection_recovery(content):
    """Share of injected planets recovered, against SNR and over period and radius.

    Parameters
    ----------
    content : dict
        See `vetting.vet`.

    Returns
    -------
    matplotlib.figure.Figure
    """
    rows = content["completeness"]
    with house_style():
        figure, (left, right) = plt.subplots(
            1, 2, figsize=(11.5, 5.0), gridspec_kw={"width_ratios": (1.15, 1)}
        )
        shift = 0.97 ** np.linspace(-(len(rows) - 1), len(rows) - 1, len(rows))
        for row, factor in zip(rows, shift, strict=True):
            color = NETWORK_COLORS.get(row["network"], "#56B4E9")
            at = row[AT_RATE]
            _draw_recovery(left, at["bins"], factor, color, _label(row["network"], at))
            if row["network"] == content["network"]:
                tuned = row["tuned"]
                label = _label(row["network"], tuned, " tuned")
                _draw_recovery(left, tuned["bins"], 1 / factor, color, label, ":", "white")
        edges = SNR_EDGES
        for edge in edges:
            left.axvline(edge, color="#eeeeee", lw=0.8, zorder=0)
        left.axhline(vetting.LEAST_RECOVERED, color="#888888", lw=0.8, ls="--")
        left.text(edges[0], 0.905, "nine in ten", fontsize=8, color="#666666", va="bottom")
        left.set_xscale("log")
        left.set_xlim(edges[0] * 0.96, edges[-1] * 1.04)
        left.set_xticks(edges, [f"{edge:g}" for edge in edges])
        left.minorticks_off()
        left.set_ylim(-0.02, 1.02)
        left.set_xlabel("signal-to-noise ratio of the injected transits (matched filter, raw flux)")
        left.set_ylabel("fraction recovered")
        left.set_title(
            f"Transits injected into {content['held_out_non_hosts']} held-out non-hosts;\n"
            "bars: 95 % Wilson intervals",
            fontsize=10,
        )
        left.legend(fontsize=8, loc="upper center", bbox_to_anchor=(0.5, -0.13))

        row = next(row for row in rows if row["network"] == content["network"])
        _draw_grid(figure, right, row[AT_RATE])
        right.set_title(
            f"{_name(row['network'])}: recovered of injected, at the same threshold\n"
            f"({row[AT_RATE]['false_positives']} of {row[AT_RATE]['non_hosts']} non-hosts called)",
            fontsize=10,
        )
    return figure


def _label(network, at, which=""):
    """Entry of the legend: how many non-hosts the threshold calls, and who is suspect."""
    return (
        f"{_name(network)},{which} threshold {at['threshold']:.3g}: "
        f"{at['all']['recovered']} of {at['all']['n']} planets, "
        f"{at['false_positives']} of {at['non_hosts']} non-hosts"
    )


def _draw_recovery(axis, bins, factor, color, label, ls="-", face=None):
    """One curve with its intervals, at the geometric middle of each bin."""
    bins = [b for b in bins if b["n"]]
    middle = [factor * np.sqrt(b["snr"][0] * b["snr"][1]) for b in bins]
    fraction = np.array([b["fraction"] for b in bins])
    low, high = np.array([b["interval"] for b in bins]).T
    axis.errorbar(
        middle,
        fraction,
        # Rounding may leave a bound a hair inside the fraction.
        yerr=[np.maximum(fraction - low, 0), np.maximum(high - fraction, 0)],
        color=color,
        ls=ls,
        marker="o",
        ms=5,
        mfc=face or color,
        elinewidth=1,
        capsize=2,
        label=label,
    )


def _draw_grid(figure, axis, at):
    """Fractions over period and radius ratio, with counts."""
    fractions = np.array(
        [[np.nan if cell["n"] == 0 else cell["fraction"] for cell in line] for line in at["grid"]]
    )
    image = axis.imshow(fractions, origin="lower", aspect="auto", vmin=0, vmax=1, cmap="cividis")
    for (i, j), fraction in np.ndenumerate(fractions):
        cell = at["grid"][i][j]
        color = "#999999" if cell["n"] == 0 else "white" if fraction < 0.5 else "black"
        text = f"{cell['recovered']}/{cell['n']}" if cell["n"] else "none"
        axis.text(j, i, text, ha="center", va="center", fontsize=9, color=color)
    periods = [f"{edge:g}" for edge in PERIOD_EDGES]
    ratios = [f"{edge:g}" if np.isfinite(edge) else "" for edge in RATIO_EDGES]
    axis.set_xticks(np.arange(len(periods)) - 0.5, periods)
    axis.set_yticks(np.arange(len(ratios)) - 0.5, ratios)
    axis.set_xlabel("period (days)")
    axis.set_ylabel("planet-to-star radius ratio, at least")
    axis.spines[:].set_visible(False)
    figure.colorbar(image, ax=axis, label="fraction recovered", shrink=0.85)


def draw_reliability(content, drawn):
    """Scores of hosts and non-hosts, as they are and where no transit or no period is left.

    Parameters
    ----------
    content, drawn : dict
        See `vetting.vet`.

    Returns
    -------
    matplotlib.figure.Figure
    """
    network, y = content["network"], drawn["y"]
    rows = content["reliability"]
    shown = next(row for row in rows if row["network"] == network)
    with house_style():
        figure, (left, right) = plt.subplots(
            1, 2, figsize=(11.5, 5.0), gridspec_kw={"width_ratios": (1.5, 1)}
        )
        jitter = np.random.default_rng(0).uniform(-1, 1, len(y))
        for place, treatment in enumerate(TREATMENTS):
            score = metrics.logit(drawn["treated"][treatment])
            for name, side, size in (("non-host", -0.19, 2.5), ("host", 0.19, 4.0)):
                member = y == (name == "host")
                at = place + side
                left.plot(
                    at + 0.12 * jitter[member], score[member], ".", ms=size * 1.6, mew=0,
                    color=COLORS[name], alpha=0.9 if name == "host" else 0.45, rasterized=True,
                    label=f"{name} ({member.sum()})" if place == 0 else None,
                )  # fmt: skip
                low, middle, high = np.percentile(score[member], [25, 50, 75])
                left.plot([at - 0.16, at + 0.16], [middle] * 2, color="#222222", lw=2)
                left.plot([at, at], [low, high], color="#222222", lw=1)
            left.text(
                place,
                1.01,
                f"AUC {_auc(shown[treatment])}",
                transform=left.get_xaxis_transform(),
                ha="center",
                fontsize=8,
            )
        left.set_xticks(range(len(TREATMENTS)), TREATMENT_NAMES.values(), fontsize=8)
        marks = [0.001, 0.01, 0.1, 0.5, 0.9, 0.99, 0.999]
        low, high = left.get_ylim()
        marks = [mark for mark in marks if low < metrics.logit(mark) < high]
        left.set_yticks(metrics.logit(marks), [f"{mark:g}" for mark in marks])
        left.set_ylabel("score (dimensionless, log-odds scale)")
        left.legend(loc="upper right", fontsize=8)
        left.set_title(
            f"{_name(network)} network; {shown['stars']}; bars: median and quartiles",
            fontsize=10,
            pad=18,
        )

        width = 0.8 / len(rows)
        for k, row in enumerate(rows):
            color = NETWORK_COLORS.get(row["network"], "#56B4E9")
            for place, treatment in enumerate(TREATMENTS):
                auc, interval = row[treatment]["roc_auc"], row[treatment]["interval"]
                at = place + (k - (len(rows) - 1) / 2) * width
                right.plot([at, at], interval, color=color, lw=1.5)
                held_out = row["stars"].startswith("held-out")
                label = (
                    f"{_name(row['network'])}, {row['light_curves']}: {row['hosts']} hosts, "
                    f"{row['non_hosts']} non-hosts ({row['stars']})"
                )
                right.plot(
                    at, auc, "o", color=color, ms=6, mfc="white" if held_out else color,
                    label=label if place == 0 else None,
                )  # fmt: skip
        right.axhline(0.5, color="#888888", lw=0.8)
        right.plot(
            [0.5, 2.5], [vetting.MOST_WITHOUT_TRANSITS] * 2, color="#B00020", lw=0.9, ls="--"
        )
        right.text(
            1.5, 0.985, "above the dashed line the skill\nis not in transits: a leak",
            fontsize=7, color="#B00020", va="top", ha="center",
        )  # fmt: skip
        short = ("as it is", "upside\ndown", "dips\nmasked", "blocks\nshuffled")
        right.set_xticks(range(len(short)), short, fontsize=8)
        right.set_xlim(-0.5, 3.5)
        right.set_ylim(top=1.02)
        right.set_ylabel("ROC AUC (dimensionless)")
        right.set_title(
            "Hosts against equally treated non-hosts,\n95 % bootstrap intervals", fontsize=10
        )
        right.legend(loc="upper center", bbox_to_anchor=(0.4, -0.13), fontsize=7)
        figure.suptitle(_survival(network, shown), x=0.01, ha="left", fontsize=11)
    return figure


def _auc(row):
    low, high = row["interval"]
    return f"{row['roc_auc']:.2f} [{low:.2f}, {high:.2f}]"


def _survival(network, row):
    """What share of the skill survives, in words."""
    shares = [row[t]["surviving_share"] for t in TREATMENTS[1:]]
    if None in shares:
        return f"The {_name(network)} network has no skill to lose (AUC {_auc(row['original'])})"
    inverted, masked, scrambled = (f"{share:.0%}" for share in shares)
    return (
        f"Of the {_name(network)} network's skill (AUC less 0.5) survive: {inverted} upside down, "
        f"{masked} with dips masked, {scrambled} without the period"
    )


def draw_occlusion(content, drawn):
    """Light curves coloured by how far the score falls when a stretch is hidden.

    Parameters
    ----------
    content, drawn : dict
        See `vetting.vet`.

    Returns
    -------
    matplotlib.figure.Figure
    """
    rows, panels = content["occlusion"], drawn["occluded"]
    with house_style():
        figure, axes = plt.subplots(
            max(len(rows), 1),
            1,
            figsize=(11, 1.0 + 1.55 * max(len(rows), 1)),
            sharex=True,
            squeeze=False,
        )
        axes = axes[:, 0]
        if not rows:
            axes[0].text(0.5, 0.5, "no star is clear enough to be occluded", ha="center")
        for axis, row, panel in zip(axes, rows, panels, strict=False):
            points = draw_occluded(axis, panel, row["ordinary_fall"])
            axis.set_xlim(0, max(other["days"][-1] for other in panels))
            name = "host" if row["label"] else "non-host"
            axis.set_title(
                f"{row['star']}, {name}, score {row['score']:.2f}, period {row['period']:.2f} d: "
                f"{describe_share(row)}",
                fontsize=8.5,
                color=COLORS[name],
            )
            bar = figure.colorbar(points, ax=axis, aspect=8, pad=0.01)
            bar.ax.tick_params(labelsize=7)
        axes[-1].set_xlabel("time since the first cadence (days)")
        figure.supylabel("equalised flux (robust standard deviations)", fontsize=10)
        hours = 24 * HIDDEN * CADENCE_DAYS
        figure.suptitle(
            f"{_name(content['network'])} network: colour is the fall in score (log-odds) when "
            f"{hours:.0f} h are hidden; triangles: transits of the box search's period",
            x=0.01,
            ha="left",
            fontsize=11,
        )
    return figure


def draw_occluded(axis, panel, ordinary_fall):
    """Draw one light curve coloured by how far the score falls when each stretch is hidden.

    Parameters
    ----------
    axis : matplotlib.axes.Axes
    panel : dict
        See `occlusion.occlude_star`.
    ordinary_fall : float
        Log-odds; colours reach at least as far.

    Returns
    -------
    matplotlib.collections.PathCollection
        For the colour bar, in log-odds.
    """
    days, curve, middles = panel["days"], panel["curve"], panel["middles"]
    fall = np.interp(np.arange(len(days)), panel["centres"], panel["falls"])
    top = max(np.abs(panel["falls"]).max(), ordinary_fall, 1e-3)
    order = np.argsort(np.abs(fall))  # what matters most on top
    points = axis.scatter(
        days[order], curve[order], c=fall[order], s=np.clip(15_000 / len(days), 1, 5), lw=0,
        rasterized=True, cmap="PuOr_r", norm=TwoSlopeNorm(0, -top, top),
    )  # fmt: skip
    bottom = np.full(len(middles), 0.06)
    axis.plot(
        days[middles], bottom, "^", ms=4, color="#222222", transform=axis.get_xaxis_transform()
    )
    low, high = np.percentile(curve, [0.1, 99.7])
    axis.set_ylim(min(1.25 * low, -5.5), max(high, 4.0))
    return points


def describe_share(row):
    """What share of the fall in score lies within transits, in words."""
    if row["share_in_transit"] is None:
        return "no stretch stands out"
    share, by_chance = row["share_in_transit"], row["share_by_chance"]
    return f"{share:.0%} of the fall in transit (by chance {by_chance:.0%})"


def draw_calibration(content):
    """Reliability diagram of the scores before and after calibration, with counts.

    Parameters
    ----------
    content : dict
        See `vetting.vet`.

    Returns
    -------
    matplotlib.figure.Figure
    """
    found = content["calibration"]
    panels = {"raw score": "before", "calibrated, out of fold": "after"}
    with house_style():
        figure, axes = plt.subplots(1, 2, figsize=(10.5, 5.2), sharey=True)
        for axis, (title, when) in zip(axes, panels.items(), strict=True):
            axis.plot([0, 1], [0, 1], color="#888888", lw=0.8)
            bins = found[f"bins_{when}"]
            for row in bins:
                x, fraction = row["probability"], row["fraction"]
                axis.plot([x, x], row["interval"], color=NETWORK_COLORS["transit"], lw=1.2)
                axis.plot(x, fraction, "o", ms=6, color=NETWORK_COLORS["transit"])
                axis.text(
                    (row["low"] + row["high"]) / 2, 1.065, f"{row['hosts']}", ha="center",
                    fontsize=8, color=COLORS["host"],
                )  # fmt: skip
                axis.text(
                    (row["low"] + row["high"]) / 2, 1.03, f"{row['non_hosts']}", ha="center",
                    fontsize=8, color=COLORS["non-host"],
                )  # fmt: skip
            brier = found[f"brier_{when}"]
            axis.set_title(
                f"{title}: Brier score {'undefined' if brier is None else f'{brier:.4f}'} "
                f"(prevalence alone: {found['brier_of_prevalence']:.4f})",
                fontsize=10,
            )
            axis.set_xlim(0, 1)
            axis.set_ylim(-0.02, 1.11)
            axis.set_yticks(np.linspace(0, 1, 6))
            axis.set_xticks(np.linspace(0, 1, 11))
        axes[0].set_xlabel(f"score of the {_name(content['network'])} network (dimensionless)")
        axes[1].set_xlabel("calibrated probability of a host (dimensionless)")
        axes[0].set_ylabel("fraction of hosts (dimensionless)")
        figure.suptitle(
            f"{found['hosts']} hosts and {found['non_hosts']} non-hosts not trained on, non-hosts "
            f"weighted to {found['prevalence']:.1%} hosts; numbers at the top: hosts and non-hosts "
            "of each bin",
            x=0.01,
            ha="left",
            fontsize=10,
        )
    return figure
