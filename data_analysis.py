"""Step 2: what is wrong with the data.

Finds the true time of the stars, shows how the first fluxes of a star relate, finds outlier stars,
shows how far the classes overlap without them, and audits how the labels leak through the way the
files were made, before and after equalisation (`exoplanets/lightcurves/equalise.py`):

    python data_analysis.py
    python data_analysis.py --sigmas 30 --min-cadences 1

Writes `plots/pairplot.png`, `pairplot_out.png` (without outlier stars), `kde1plot.png`,
`leaks.png` and, if the stars tell their time, `clock.png`; `data/equalised.npz` (what step 3 need
not compute again), and `data/leaks.json`.
"""

from exoplanets.commands.options import add_outlier_options, begin, make_parser

# The outlier rule of the published study: so many values that lie farther than so many standard
# deviations from the mean of their cadence over stars.
SIGMAS, MIN_CADENCES = 60.0, 2


def make_command_line():
    """Make the parser of this script."""
    parser = make_parser(__doc__)
    add_outlier_options(parser, SIGMAS, MIN_CADENCES)
    return parser


if __name__ == "__main__":
    begin(make_command_line)  # --help and mistakes are answered before the slow imports

import json

import numpy as np

from exoplanets.classifiers.base import tune_threshold
from exoplanets.evaluation import adversary, metrics
from exoplanets.evaluation.clock_example import find_example
from exoplanets.figures.audit import N_PAIRED, draw_density, draw_leaks, draw_pairs
from exoplanets.figures.clock import draw_clock
from exoplanets.figures.style import save_figure
from exoplanets.files import check_writable, run, write_text
from exoplanets.lightcurves import probes
from exoplanets.lightcurves.equalise import spread_order
from exoplanets.lightcurves.gaps import fill_gaps
from exoplanets.lightcurves.outliers import OutlierRule
from exoplanets.lightcurves.prepared import prepare
from exoplanets.sources import kaggle
from exoplanets.stars import LIGHT_CURVES, TABLES, describe

FEW_HOSTS = 10  # below, a bootstrap interval of the AUC says little
FIGURES = ("pairplot", "pairplot_out", "kde1plot", "leaks", "clock")


# --------------------------------------------------------------------------------- the audit
def audit(stars, seed):
    """Measure every probe on all labelled stars, as distributed and equalised.

    The stars are those of both tables, with curves, in the order of the files. Returns the content
    of `leaks.json`, a dict: `probes`, what each is and how well it tells the label as distributed
    and equalised (`describe_probe`); `adversary` (`try_adversary`); `without_learning`, what the
    worst leak alone would score on the test table (`score_leak`).
    """
    rng = np.random.default_rng(seed)
    rows = [np.flatnonzero(stars.table == name) for name in TABLES]
    mixed = [part[spread_order(len(part))] for part in rows]  # as step 3 passes them on
    y = {"distributed": stars.y, "equalised": stars.y[np.concatenate(mixed)]}
    flux = fill_gaps(stars.flux)
    values = {
        "distributed": probes.measure_all([flux[part[0] : part[-1] + 1] for part in rows]),
        "equalised": probes.measure_all([stars.curves[part] for part in mixed]),
    }
    about = ("name", "leak", "meaning", "reference", "of_file")
    described = [
        {name: getattr(probe, name) for name in about}
        | {kind: describe_probe(y[kind], values[kind][probe.name], rng) for kind in LIGHT_CURVES}
        for probe in probes.PROBES
    ]
    # The worst leak is one that a network can see: in a single star, and in its light curve.
    seen = [probe.name for probe in probes.PROBES if probe.of_file and probe.of_one_star]
    train = stars.table == "train"  # the test stars are only scored with it
    worst = max(
        seen,
        key=lambda name: metrics.find_roc_auc(stars.y[train], values["distributed"][name][train]),
    )
    return {
        "n_hosts": int(stars.is_host.sum()),
        "n_non_hosts": int((~stars.is_host).sum()),
        "probes": described,
        "adversary": try_adversary(stars.curves, stars.y, seed),
        "without_learning": score_leak(stars, worst, values["distributed"][worst]),
    }


def try_adversary(curves, y, seed):
    """How well a classifier that is blind to dips tells hosts from some of the non-hosts.

    It scores stars out of fold (`evaluation/adversary.py`). A dict as of `describe_probe`; None
    with fewer than two stars of a class.
    """
    rng = np.random.default_rng(seed)
    others = rng.permutation(np.flatnonzero(y == 0))[: adversary.MOST_OTHERS]
    chosen = np.sort(np.append(np.flatnonzero(y == 1), others))
    score = adversary.score_alike(curves[chosen], y[chosen], seed)
    return None if score is None else describe_probe(y[chosen], score, rng)


def measure_clock(clock):
    """What tells that the clock is right, JSON-ready; None if none was found."""
    if clock.alignment is None:
        return None
    return {
        "n_filled_rows": clock.n_filled,
        "n_agreeing_rows": clock.n_agreeing,
        "n_lost_cadences": int(clock.lost.sum()),
        "correlation_by_column": clock.alignment.by_column.tolist(),
        "correlation_by_clock": clock.alignment.by_clock.tolist(),
    }


def describe_probe(y, value, rng):
    """ROC AUC of label against a probe, its 95 % interval, and the best F1 of `value >= cut`."""
    interval = metrics.roc_auc_interval(y, value, rng)
    called = value >= tune_threshold(y, value)
    tp, fp, fn, _ = metrics.count(y, called).values()
    best_f1 = metrics.f1(tp, fp, fn)
    return {"auc": metrics.find_roc_auc(y, value), "interval": interval, "best_f1": best_f1}


def score_leak(stars, name, value):
    """Call every star a host whose probe reaches a cut, and count how right that is.

    `name` is the probe's, `value` its values, ndarray of shape (n_stars,). The cut is the one of
    highest F1 on the training stars; the counts and `f1` are those of the test stars.
    """
    train, test = stars.table == "train", stars.table == "test"
    cut = tune_threshold(stars.y[train], value[train])
    counts = metrics.count(stars.y[test], value[test] >= cut)
    tp, fp, fn, _ = counts.values()
    return {"probe": name, "cut": cut, **counts, "f1": metrics.f1(tp, fp, fn)}


def print_leaks(leaks):
    """Print the audit, and what its worst leak alone would score on the official test set."""
    n_hosts, n_others = leaks["n_hosts"], leaks["n_non_hosts"]
    print(f"leak audit: {n_hosts} hosts against {n_others} non-hosts, ROC AUC (0.5: tells nothing)")
    if n_hosts < FEW_HOSTS:
        print(f"  fewer than {FEW_HOSTS} hosts: the intervals are too coarse to mean much")

    def tell(kind, found):
        low, high = found["interval"]
        return f"{kind} {found['auc']:.3f} [{low:.2f}, {high:.2f}]"

    width = max(len(probe["name"]) for probe in leaks["probes"])
    for probe in leaks["probes"]:
        cells = "  ".join(tell(kind, probe[kind]) for kind in LIGHT_CURVES)
        print(f"  {probe['leak']} {probe['name']:{width}}  {cells}")
    if leaks["adversary"]:
        together = "all that is not a dip, taken together by an adversary (out of fold)"
        print(f"  {together}, {tell('equalised', leaks['adversary'])}")
    told = leaks["without_learning"]
    print(
        f"  without any learning, '{told['probe']} >= {told['cut']:g}', a cut chosen on training "
        f"stars, finds {told['tp']} of {told['tp'] + told['fn']} hosts of the test table with "
        f"{told['fp']} false alarm{'' if told['fp'] == 1 else 's'}: F1 {told['f1']:.2f}"
    )


# --------------------------------------------------------------------------------- the figures
def draw_all(prepared, is_outlier, leaks):
    """Draw the figures of this step, a dict by the names of their files without the ending."""
    train = prepared.stars.table == "train"
    first, is_host = prepared.stars.flux[train, :N_PAIRED], prepared.stars.is_host[train]
    kept = ~is_outlier[train]
    n = np.sum(~kept)
    title, without = "training stars", f"{n} outlier star{'' if n == 1 else 's'} removed"
    figures = {
        "pairplot": draw_pairs(first, is_host, f"First five fluxes, {title}"),
        "pairplot_out": draw_pairs(
            first[kept], is_host[kept], f"First five fluxes, {title}, {without}"
        ),
        "kde1plot": draw_density(first[kept, 0], is_host[kept], f"First flux, {title}, {without}"),
        "leaks": draw_leaks(leaks),
    }
    if prepared.clock.alignment is not None:
        name, folds = find_example(prepared.stars, prepared.campaign)
        figures["clock"] = draw_clock(prepared.clock.alignment, folds, name)
    return figures


def main(argv=None):
    args = make_command_line().parse_args(argv)
    figure_paths = {name: args.plots_dir / f"{name}.png" for name in FIGURES}
    path = args.data_dir / "leaks.json"
    check_writable(*figure_paths.values(), path)

    stars, provenance = kaggle.load(args.data_dir, args.simulated)
    print(f"data: {describe(provenance)}")
    prepared = prepare(stars, provenance, args.data_dir)
    rule = OutlierRule(args.sigmas, args.min_cadences)
    is_outlier = rule.find_in_training(prepared.stars)
    print("\n".join(prepared.describe() + rule.describe(prepared.stars, is_outlier)))
    leaks = audit(prepared.stars, args.seed)
    print_leaks(leaks)
    figure_paths["clock"].unlink(missing_ok=True)  # it may be of other stars, which had a clock
    for name, figure in draw_all(prepared, is_outlier, leaks).items():
        save_figure(figure, figure_paths[name], provenance)
    provenance = provenance | {"seed": args.seed}
    content = {
        "provenance": provenance,
        "outlier_rule": rule._asdict(),  # step 3 takes it from here
        "clock": measure_clock(prepared.clock),
    } | leaks
    write_text(path, json.dumps(content, indent=1, allow_nan=False) + "\n")  # last: all is there


if __name__ == "__main__":
    run(main)
