"""Step 2: what is wrong with the data.

Reads the light-curve tables, shows how the first fluxes of a star relate, finds outlier stars,
removes them, shows how far the classes overlap, and audits how the labels leak through the way the
files were made, before and after equalisation (`exoplanets/lightcurves/equalise.py`):

    python data_analysis.py
    python data_analysis.py --sigmas 30 --min-cadences 1

Writes `plots/pairplot.png`, `pairplot_out.png` (without outlier stars), `kde1plot.png` and
`leaks.png`, and `data/leaks.json`.
"""

import json

import numpy as np

from exoplanets.commands.options import add_outlier_options, make_parser
from exoplanets.evaluation import metrics
from exoplanets.figures.audit import FILE_LEAKS, N_PAIRED, draw_density, draw_leaks, draw_pairs
from exoplanets.figures.style import save_figure
from exoplanets.files import atomic_write, run
from exoplanets.lightcurves import probes
from exoplanets.lightcurves.equalise import equalise_table, spread_order
from exoplanets.lightcurves.outliers import find_outlier_stars, print_outliers
from exoplanets.sources import kaggle
from exoplanets.stars import TABLES, describe

FEW_HOSTS = 10  # below, a bootstrap interval of the AUC says little


def audit(tables, seed):
    """Measure every probe on all labelled stars, as distributed and equalised.

    Parameters
    ----------
    tables : stars.Tables
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
    for name in TABLES:
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
    roc_auc = float(metrics.rank_statistics(y, value)[0][0])
    interval = metrics.roc_auc_interval(y, value, rng)
    called = value >= metrics.tune_threshold(y, value)
    tp, fp, fn, _ = metrics.count(y, called).values()
    return {"auc": roc_auc, "interval": interval, "best_f1": metrics.f1(tp, fp, fn)}


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
    cut = metrics.tune_threshold(tables.train.is_host, worst.measure(tables.train.flux))
    called = worst.measure(tables.test.flux) >= cut
    tp, fp, fn, _ = metrics.count(tables.test.is_host, called).values()
    print(
        f"  without any learning, '{worst.name} >= {cut:g}', a cut chosen on training stars, finds "
        f"{tp} of {tp + fn} hosts of the test table with {fp} false alarm{'' if fp == 1 else 's'}: "
        f"F1 {metrics.f1(tp, fp, fn):.2f}"
    )


def main(argv=None):
    parser = make_parser(__doc__)
    add_outlier_options(parser)
    args = parser.parse_args(argv)

    tables = kaggle.load(args.data_dir, args.simulated)
    flux, is_host = tables.train.flux, tables.train.is_host
    print(f"data: {describe(tables.provenance)}")
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
    with atomic_write(path) as temporary:
        content = {"provenance": tables.provenance | {"seed": args.seed}} | leaks
        temporary.write_text(json.dumps(content, indent=1, allow_nan=False) + "\n")
    print(f"results: {path}")


if __name__ == "__main__":
    run(main)
