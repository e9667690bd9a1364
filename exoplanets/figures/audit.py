"""The figures of step 2: how fluxes relate, how far classes overlap, and what leaks."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns

from exoplanets.figures.style import COLORS, house_style

FILE_LEAKS = ("L1", "L2", "L3", "L4")  # visible in a star alone, and no property of the star
N_PAIRED = 5  # fluxes in a pair plot
TICKS = (0, 1e2, 1e4, 1e6)  # e-/s, either side of zero on an axis of compressed flux


def compress(flux):
    """Flux on an axis that is linear below about 10 e-/s and logarithmic above, dimensionless."""
    return np.arcsinh(np.asarray(flux) / 10) / np.log(10)


def _label_compressed(axis, every=1):
    """Ticks of a compressed axis at round fluxes."""
    low, high = axis.get_view_interval()
    values = [s * t for t in TICKS[::every] for s in (-1, 1)]
    values = sorted({v for v in values if low <= compress(v) <= high})
    names = [
        "0" if v == 0 else f"{'−' if v < 0 else ''}$10^{{{round(np.log10(abs(v)))}}}$"
        for v in values
    ]
    axis.set_ticks(compress(values), names)


def draw_pairs(flux, is_host, title):
    """Pair plot of the first five fluxes by class, hosts on top, on compressed axes.

    Parameters
    ----------
    flux : ndarray of shape (n_stars, n_cadences)
        e-/s; from about 1 to 1e6, hence the axes.
    is_host : ndarray of shape (n_stars,)
    title : str

    Returns
    -------
    matplotlib.figure.Figure
    """
    names = [f"FLUX.{i}" for i in range(1, N_PAIRED + 1)]
    frame = pd.DataFrame(compress(flux[:, :N_PAIRED]), columns=names)
    frame["class"] = np.where(is_host, "host", "non-host")
    with house_style(), plt.rc_context({"figure.constrained_layout.use": False}):
        grid = sns.PairGrid(
            frame.sort_values("class", ascending=False, kind="stable"),  # drawn last: hosts
            hue="class",
            hue_order=["non-host", "host"],
            palette=COLORS,
            vars=names,
            corner=True,
            height=1.75,
            hue_kws={"marker": ["o", "D"], "s": [7, 16], "alpha": [0.35, 0.95], "zorder": [1, 2]},
        )
        grid.map_lower(plt.scatter, linewidth=0)
        grid.map_diag(
            sns.kdeplot,
            common_norm=False,
            warn_singular=False,
            fill=True,
            alpha=0.25,
            linewidth=1.2,
        )
        for i, name in enumerate(names):
            grid.axes[-1, i].set_xlabel(f"{name} (e$^-$/s)")
            _label_compressed(grid.axes[-1, i].xaxis, every=2)
            if i:
                grid.axes[i, 0].set_ylabel(f"{name} (e$^-$/s)")
                _label_compressed(grid.axes[i, 0].yaxis)
        counts = {"host": int(is_host.sum()), "non-host": int((~is_host).sum())}
        handles = [
            plt.Line2D(
                [], [], ls="", marker=mark, color=COLORS[name], label=f"{counts[name]} {name}s"
            )
            for name, mark in (("host", "D"), ("non-host", "o"))
        ]
        figure = grid.figure
        figure.legend(handles=handles, loc="upper right", bbox_to_anchor=(0.97, 0.93), fontsize=11)
        figure.suptitle(title, x=0.02, ha="left", fontsize=12)
        figure.subplots_adjust(top=0.94, bottom=0.09, left=0.1, right=0.98)
    return figure


def draw_density(flux, is_host, title):
    """Kernel density estimate of one flux by class, each class to unit area, with its stars.

    Parameters
    ----------
    flux : ndarray of shape (n_stars,)
        e-/s.
    is_host : ndarray of shape (n_stars,)
    title : str

    Returns
    -------
    matplotlib.figure.Figure
    """
    with house_style():
        figure, axis = plt.subplots(figsize=(7.5, 4.2))
        for name, member, lift in (("non-host", ~is_host, 0), ("host", is_host, 1)):
            value = compress(flux[member])
            value = value[~np.isnan(value)]
            label = f"{name} ({len(value)} stars)"
            if len(np.unique(value)) > 1:  # a density needs some spread
                sns.kdeplot(
                    x=value, ax=axis, color=COLORS[name], fill=True, alpha=0.25, label=label
                )
            axis.plot(
                value,
                np.full(len(value), -0.02 - 0.02 * lift),
                "|",
                color=COLORS[name],
                ms=7,
                alpha=0.9 if lift else 0.3,
                transform=axis.get_xaxis_transform(),
                clip_on=False,
            )
        _label_compressed(axis.xaxis)
        axis.tick_params(axis="x", pad=14)
        axis.set_xlabel("FLUX.1 (e$^-$/s, linear below 10, logarithmic above)")
        axis.set_ylabel("density (per unit of axis)")
        axis.set_title(title)
        axis.legend()
    return figure


def draw_leaks(leaks):
    """ROC AUC of every probe, before and after equalisation, with intervals.

    Returns
    -------
    matplotlib.figure.Figure
    """
    kinds = {
        "distributed": ("as distributed", "#000000", "s", 0.17),
        "equalised": ("equalised", "#009E73", "o", -0.17),
    }
    listed = leaks["probes"][::-1]
    with house_style():
        figure, axis = plt.subplots(figsize=(8.6, 1.6 + 0.5 * len(listed)))
        axis.axvline(0.5, color="#888888", lw=1)
        for kind, (label, color, marker, lift) in kinds.items():
            auc = np.array([probe[kind]["auc"] for probe in listed])
            interval = np.array([probe[kind]["interval"] for probe in listed])
            axis.errorbar(
                auc,
                np.arange(len(listed)) + lift,
                xerr=np.abs(interval.T - auc),
                fmt=marker,
                color=color,
                ms=6,
                capsize=2.5,
                lw=1.4,
                label=label,
            )
        names = [f"{probe['name']} ({probe['leak']})" for probe in listed]
        axis.set_yticks(np.arange(len(listed)), names)
        axis.grid(axis="x")
        axis.set_xlim(-0.02, 1.03)
        axis.set_xlabel(
            "ROC AUC of label against probe: 0.5 tells nothing, 1 tells every host (95 % interval)"
        )
        axis.set_title(
            "How well numbers that have nothing to do with transits tell hosts from non-hosts\n"
            f"{leaks['n_hosts']} hosts, {leaks['n_non_hosts']} non-hosts; L1 to L5: how the file "
            "was made, L6: noise colour",
            fontsize=10,
        )
        figure.legend(loc="outside upper right", ncols=2)
    return figure
