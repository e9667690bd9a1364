"""Step 2: what is wrong with the data.

Reads the light-curve tables, shows how the first fluxes of a star relate, finds outlier stars,
removes them, shows how far the classes overlap, and audits how the labels leak through the way the
files were made, before and after equalisation (`data/equalise.py`):

    python data_analysis.py
    python data_analysis.py --sigmas 30 --min-cadences 1

Writes `plots/pairplot.png`, `pairplot_out.png` (without outlier stars), `kde1plot.png` and
`leaks.png`, and `data/leaks.json`.
"""

import json

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns

from data import kepler, probes, scores
from data.equalise import equalise_table, spread_order
from data_visualization import COLORS, house_style, make_parser, parse_positive, save_figure

FILE_LEAKS = ("L1", "L2", "L3", "L4")  # visible in a star alone, and no property of the star
FEW_HOSTS = 10  # below, a bootstrap interval of the AUC says little
N_PAIRED = 5  # fluxes in a pair plot
TICKS = (0, 1e2, 1e4, 1e6)  # e-/s, either side of zero on an axis of compressed flux


def add_outlier_options(parser):
    """Give a parser the two numbers of the outlier rule."""
    parser.add_argument(
        "--sigmas", type=float, default=60, help="standard deviations that make a cadence deviant"
    )
    parser.add_argument(
        "--min-cadences",
        type=parse_positive,
        default=2,
        help="deviant cadences that make an outlier",
    )


def find_outlier_stars(flux, sigmas=60.0, min_cadences=2):
    """Rows of the stars that deviate wildly from all others.

    A star is an outlier if at least `min_cadences` of its cadences lie more than `sigmas`
    standard deviations from that cadence's mean over all stars.

    The rule is the published study's, and narrower than it looks: outliers inflate the very
    standard deviation they are measured by. Among n values the largest possible deviation of one
    is (n - 1) / sqrt(n) standard deviations, 71.3 for n = 5087, and of two equal ones 50.4
    (Shiffler 1988). So 60 sigma can only ever flag a single star that dominates a cadence, and
    with fewer than 3602 stars it flags none.

    Parameters
    ----------
    flux : ndarray of shape (n_stars, n_cadences)
        e-/s; missing values (NaN) deviate from nothing.
    sigmas : float
    min_cadences : int

    Returns
    -------
    ndarray of shape (n_outliers,)

    References
    ----------
    Shiffler 1988, The American Statistician 42, 79.
    """
    n_deviant = np.zeros(len(flux), int)
    for start in range(0, flux.shape[1], 256):  # by blocks of cadences: memory stays flat
        block = np.array(flux[:, start : start + 256])
        n_known = np.sum(~np.isnan(block), axis=0)
        block -= np.nansum(block, axis=0) / np.maximum(n_known, 1)
        scatter = np.sqrt(np.nansum(block**2, axis=0) / np.maximum(n_known - 1, 1))
        n_deviant += np.sum(np.abs(block) > sigmas * scatter, axis=1)
    return np.flatnonzero(n_deviant >= min_cadences)


def largest_deviation(n_stars):
    """The most standard deviations that one of n values can lie from their mean."""
    return (n_stars - 1) / np.sqrt(n_stars)


def print_outliers(rows, is_host, sigmas, min_cadences):
    """Print how many stars the rule flags, and which, with the rule's own limit."""
    print(
        f"outlier stars (at least {min_cadences} cadences more than {sigmas:g} standard deviations "
        f"from the cadence's mean over stars): {len(rows)}"
    )
    for row in rows:
        print(f"  row {row} ({'host' if is_host[row] else 'non-host'})")
    n, one = len(is_host), largest_deviation(len(is_host))
    two = np.sqrt((n - 1) * (n - 2) / (2 * n))
    if sigmas >= one:
        reach = "can flag none"
    elif sigmas >= two:
        reach = "can flag only a single star that dominates its cadence"
    else:
        reach = "can flag several at once"
    print(
        f"  among {n} stars one value can deviate by at most {one:.1f} standard deviations, two "
        f"equal ones by {two:.1f}: this rule {reach}"
    )


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


def audit(tables, seed):
    """Measure every probe on all labelled stars, as distributed and equalised.

    Parameters
    ----------
    tables : kepler.Tables
    seed : int
        Of the bootstrap.

    Returns
    -------
    dict
        The content of `leaks.json`: `n_hosts`, `n_non_hosts` and, per probe, its name, meaning
        and, for each kind of light curve, the ROC AUC of label against probe, its 95 % stratified
        bootstrap interval and the best F1 of a single cut.
    list of str
        Stars that could not be equalised, and why.
    """
    rng = np.random.default_rng(seed)
    y = np.concatenate([tables.train.is_host, tables.test.is_host])
    as_distributed = probes.measure_all([tables.train.flux, tables.test.flux])
    curves, kept, notes = [], [], []
    for name in kepler.TABLES:
        table = getattr(tables, name)
        made, rows, dropped = equalise_table(table.flux)
        order = spread_order(len(rows))  # as step 3 passes them on
        curves.append(made[order])
        kept.append(table.is_host[rows][order])
        notes += [f"{name} row {row}: {why}" for row, why in dropped]
    y_equalised = np.concatenate(kept)
    equalised = probes.measure_all(curves)
    described = []
    for probe in probes.PROBES:
        described.append(
            {
                "name": probe.name,
                "leak": probe.leak,
                "meaning": probe.meaning,
                "reference": probe.reference,
                "distributed": describe_probe(y, as_distributed[probe.name], rng),
                "equalised": describe_probe(y_equalised, equalised[probe.name], rng),
            }
        )
    content = {"n_hosts": int(y.sum()), "n_non_hosts": int((~y).sum()), "probes": described}
    return content, notes


def describe_probe(y, value, rng):
    """ROC AUC of label against a probe, its interval, and the best F1 of `value >= cut`."""
    roc_auc = float(scores.rank_statistics(y, value)[0][0])
    interval = scores.roc_auc_interval(y, value, rng)
    called = value >= scores.tune_threshold(y, value)
    tp, fp, fn, _ = scores.count(y, called).values()
    return {"auc": roc_auc, "interval": interval, "best_f1": scores.f1(tp, fp, fn)}


def print_leaks(leaks, tables):
    """Print the audit, and what its worst leak alone would score on the official test set."""
    n_hosts, n_others = leaks["n_hosts"], leaks["n_non_hosts"]
    print(f"leak audit: {n_hosts} hosts against {n_others} non-hosts, ROC AUC (0.5: tells nothing)")
    if n_hosts < FEW_HOSTS:
        print(f"  fewer than {FEW_HOSTS} hosts: the intervals are too coarse to mean much")
    width = max(len(probe["name"]) for probe in leaks["probes"])
    for probe in leaks["probes"]:
        cells = []
        for kind in ("distributed", "equalised"):
            low, high = probe[kind]["interval"]
            cells.append(f"{kind} {probe[kind]['auc']:.3f} [{low:.2f}, {high:.2f}]")
        print(f"  {probe['name']:{width}}  {'  '.join(cells)}")
    aucs = {p["name"]: p["distributed"]["auc"] for p in leaks["probes"] if p["leak"] in FILE_LEAKS}
    worst = next(probe for probe in probes.PROBES if probe.name == max(aucs, key=aucs.get))
    cut = scores.tune_threshold(tables.train.is_host, worst.measure(tables.train.flux))
    called = worst.measure(tables.test.flux) >= cut
    tp, fp, fn, _ = scores.count(tables.test.is_host, called).values()
    print(
        f"  without any learning, '{worst.name} >= {cut:g}', a cut chosen on training stars, finds "
        f"{tp} of {tp + fn} hosts of the test table with {fp} false alarm{'' if fp == 1 else 's'}: "
        f"F1 {scores.f1(tp, fp, fn):.2f}"
    )


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


def main(argv=None):
    parser = make_parser(__doc__)
    add_outlier_options(parser)
    args = parser.parse_args(argv)

    tables = kepler.load(args.data_dir, args.simulated)
    flux, is_host = tables.train.flux, tables.train.is_host
    print(f"data: {kepler.describe(tables.provenance)}")
    outliers = find_outlier_stars(flux, args.sigmas, args.min_cadences)
    print_outliers(outliers, is_host, args.sigmas, args.min_cadences)

    kept = np.setdiff1d(np.arange(len(flux)), outliers)
    n = len(outliers)
    without = f"{n} outlier star{'' if n == 1 else 's'} removed"
    first, kept_first = flux[:, :N_PAIRED], flux[kept, :N_PAIRED]
    figures = {
        "pairplot": draw_pairs(first, is_host, "First five fluxes, training stars"),
        "pairplot_out": draw_pairs(
            kept_first, is_host[kept], f"First five fluxes, training stars, {without}"
        ),
        "kde1plot": draw_density(
            kept_first[:, 0], is_host[kept], f"First flux, training stars, {without}"
        ),
    }
    leaks, notes = audit(tables, args.seed)
    for note in notes:
        print(f"not equalised: {note}")
    print_leaks(leaks, tables)
    figures["leaks"] = draw_leaks(leaks)
    for name, figure in figures.items():
        save_figure(figure, args.plots_dir / f"{name}.png", tables.provenance)
    path = args.data_dir / "leaks.json"
    with kepler.atomic_write(path) as temporary:
        content = {"provenance": tables.provenance | {"seed": args.seed}} | leaks
        temporary.write_text(json.dumps(content, indent=1, allow_nan=False) + "\n")
    print(f"results: {path}")


if __name__ == "__main__":
    kepler.run(main)
