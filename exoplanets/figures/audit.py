"""The figures of step 2: how fluxes relate, how far classes overlap, and what leaks."""

import matplotlib.pyplot as plt
import numpy as np
import seaborn as sns

from exoplanets.figures.style import COLORS, house_style, split_classes

N_PAIRED = 5  # fluxes in a pair plot
TICKS = (0, 1e2, 1e4, 1e6)  # e-/s, either side of zero on an axis of compressed flux
POINTS = {  # of a pair plot
    "non-host": {"marker": "o", "ms": 2.6, "alpha": 0.35},
    "host": {"marker": "D", "ms": 4.0, "alpha": 0.95},
}
KINDS = {  # of light curves, in the figure of leaks: place above the line, and looks
    "distributed": (0.17, {"label": "as distributed", "color": "#000000", "fmt": "s"}),
    "equalised": (-0.17, {"label": "equalised", "color": "#009E73", "fmt": "o"}),
}


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


@house_style()
def draw_pairs(flux, is_host, title):
    """Pair plot of the first five fluxes by class, hosts on top, on compressed axes.

    `flux` is an ndarray of shape (n_stars, n_cadences), e-/s; from about 1 to 1e6, hence the axes.
    """
    value = compress(flux[:, :N_PAIRED])
    side = 1.75 * N_PAIRED
    # Fixed margins: laying out so many axes takes as long as drawing them.
    figure, axes = plt.subplots(
        N_PAIRED, N_PAIRED, figsize=(side, side), sharex="col", layout="none"
    )
    figure.subplots_adjust(0.09, 0.082, 0.985, 0.95, wspace=0.1, hspace=0.1)
    for (i, j), axis in np.ndenumerate(axes):
        if j > i:
            axis.remove()
        elif j == i:
            _draw_densities(axis, value[:, i], is_host)
            axis.set_yticks([])
        else:
            for name, member in split_classes(is_host):
                x, y = value[member, j], value[member, i]
                axis.plot(x, y, ls="", mew=0, color=COLORS[name], **POINTS[name])
            axis.sharey(axes[i, 0])
            axis.tick_params(labelleft=j == 0)
    for i in range(N_PAIRED):
        name = f"FLUX.{i + 1} (e$^-$/s)"
        axes[-1, i].set_xlabel(name)
        _label_compressed(axes[-1, i].xaxis, every=2)
        if i:
            axes[i, 0].set_ylabel(name)
            _label_compressed(axes[i, 0].yaxis)
    figure.align_ylabels()
    handles = []
    for name, member in reversed(split_classes(is_host)):
        looks = {"ls": "", "marker": POINTS[name]["marker"], "color": COLORS[name]}
        handles.append(plt.Line2D([], [], label=f"{member.sum()} {name}s", **looks))
    figure.legend(handles=handles, loc="upper right", bbox_to_anchor=(0.97, 0.93), fontsize=11)
    figure.suptitle(title, x=0.02, ha="left", fontsize=12)
    return figure


def _draw_densities(axis, value, is_host):
    """Kernel density estimate of each class, to unit area; Scott's bandwidth."""
    names = np.where(
        is_host, "host", "non-host"
    )  # drawn from the last of `hue_order`: hosts on top
    # Seaborn draws the last name of `hue_order` first: hosts lie on top.
    sns.kdeplot(
        x=value, hue=names, hue_order=["host", "non-host"], palette=COLORS, ax=axis, legend=False,
        common_norm=False, fill=True, alpha=0.25, linewidth=1.2, warn_singular=False,
    )  # fmt: skip
    axis.set(xlabel="", ylabel="")


@house_style()
def draw_density(flux, is_host, title):
    """Kernel density estimate of one flux by class, each class to unit area, with its stars.

    `flux` and `is_host` are ndarrays of shape (n_stars,); flux in e-/s.
    """
    value = compress(flux)
    figure, axis = plt.subplots(figsize=(7.5, 4.2))
    _draw_densities(axis, value, is_host)
    handles = []
    looks = zip(split_classes(is_host), (-0.02, -0.04), (0.3, 0.9), strict=True)
    for (name, member), height, alpha in looks:
        known = value[member & ~np.isnan(value)]
        sns.rugplot(
            x=known, height=height, color=COLORS[name], alpha=alpha, ax=axis, clip_on=False,
            expand_margins=False,
        )  # fmt: skip
        label = f"{name} ({len(known)} star{'' if len(known) == 1 else 's'})"
        handles.append(plt.Line2D([], [], color=COLORS[name], label=label))
    _label_compressed(axis.xaxis)
    axis.tick_params(axis="x", pad=14)
    axis.set_xlabel("FLUX.1 (e$^-$/s, linear below 10, logarithmic above)")
    axis.set_ylabel("density (per unit of axis)")
    axis.set_title(title)
    axis.legend(handles=handles)
    return figure


def _list_leaks(probes, of_file):
    """Classes of leaks that are traces of the file, or not: "L1, L2"."""
    return ", ".join(sorted({p["leak"] for p in probes if p["of_file"] == of_file})) or "none"


@house_style()
def draw_leaks(leaks):
    """ROC AUC of every probe, before and after equalisation, with intervals.

    `leaks` is the content of `leaks.json`.
    """
    probes = leaks["probes"][::-1]
    rows = [(f"{probe['name']} ({probe['leak']})", probe) for probe in probes]
    if leaks["adversary"]:
        rows.insert(0, ("all but dips, together", {"equalised": leaks["adversary"]}))
    figure, axis = plt.subplots(figsize=(8.6, 1.6 + 0.5 * len(probes)))
    axis.axvline(0.5, color="#888888", lw=1)
    for kind, (lift, looks) in KINDS.items():
        places = [place + lift for place, (_, row) in enumerate(rows) if kind in row]
        auc = np.array([row[kind]["auc"] for _, row in rows if kind in row])
        interval = np.array([row[kind]["interval"] for _, row in rows if kind in row])
        reach = np.abs(interval.T - auc)
        axis.errorbar(auc, places, xerr=reach, ms=6, capsize=2.5, lw=1.4, **looks)
    axis.set_yticks(range(len(rows)), [name for name, _ in rows])
    axis.grid(axis="x")
    axis.set_xlim(-0.02, 1.03)
    axis.set_xlabel(
        "ROC AUC of label against probe: 0.5 tells nothing, 1 tells every host (95 % interval)"
    )
    axis.set_title(
        "How well numbers that have nothing to do with transits tell hosts from non-hosts\n"
        f"{leaks['n_hosts']} hosts, {leaks['n_non_hosts']} non-hosts; "
        f"{_list_leaks(probes, True)}: how the file was made; "
        f"{_list_leaks(probes, False)}: what the stars are",
        fontsize=10,
    )
    figure.legend(loc="outside upper right", ncols=2)
    return figure
