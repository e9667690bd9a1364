"""Step 4: train the networks, tune their thresholds, test them.

Reads `data/preprocessed_data.pkl` of step 3 and the light curves it was made of:

    python cnn_classifier.py
    python cnn_classifier.py --normalization identity   # as the published code really ran
    python cnn_classifier.py --cross-validate 5         # all hosts of both tables, three times
    python cnn_classifier.py --vet full                 # thorough vetting, and five seeds
    python cnn_classifier.py --predict my_star.fits folder/   # score your own stars, no training
    python cnn_classifier.py --predict my_star.fits --plots   # and draw a page about each

Compares, on the same stars: `transit`, our network, on equalised light curves; `published`, the
original study's, on light curves as distributed and on equalised ones; `box_least_squares`, no
network at all; and `repeat_count`, which learns nothing and finds every leak.

Writes `plots/CMtrain.png`, `CMtest.png`, `Trainevo.png`, `CMtest_transit.png`,
`precision_recall.png`, `top_candidates.png`, `injection_recovery.png`, `reliability.png`,
`occlusion.png`, `calibration.png`, `results.md` and `results.tex`, and into the data directory
`metrics.json`, `test_predictions.csv`, `stars.csv`, `training_history.csv`, `published.keras` and
`transit.keras`. With `--predict` only `scores.csv` in the data directory, and with `--plots` a page
per star in `plots/stars/`.
"""

import argparse
import dataclasses
import importlib.metadata
import json
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from tqdm import tqdm

from data import bls, crossvalidation, kepler, networks, prediction, probes, scores, vetting
from data.candidates import N_CANDIDATES, find_candidates, list_stars, read_rows
from data.contenders import SPLITS, Contender, count_view_repeats, evaluate_split
from data_preprocessing import SPLIT_FILE, balance, fill_missing, load_split, split_rows
from data_visualization import ROOT, make_parser, parse_positive, save_figure, write_figure
from plots import results
from plots import stars as star_figures
from plots import tables as report
from plots import vetting as vetting_figures

SHIPPED_MODEL = ROOT / "data" / "pretrained" / "transit.keras"
PACKAGES = ("numpy", "scipy", "pandas", "scikit-learn", "imbalanced-learn", "keras", "tensorflow")
MOST_SEARCHED = 1000  # stars; with more, box least squares would take most of the run's time
FULL_FOLDS, FULL_SEEDS = 5, 5  # of the cross-validation that --vet full brings along


def add_settings(parser, settings):
    """Give a parser one flag per hyper-parameter."""
    group = parser.add_argument_group(settings.__doc__.partition(";")[0])
    for field in dataclasses.fields(settings):
        flag = f"--{field.name.replace('_', '-')}"
        options = {"default": field.default, "help": field.metadata["help"]}
        if field.name == "normalization":
            group.add_argument(flag, choices=("adapted", "identity"), **options)
        elif isinstance(field.default, tuple):
            group.add_argument(flag, type=parse_positive, nargs="+", **options)
        else:
            kind = parse_positive if isinstance(field.default, int) else float
            group.add_argument(flag, type=kind, **options)


def read_settings(args, settings):
    """The hyper-parameters of parsed arguments."""
    values = {field.name: getattr(args, field.name) for field in dataclasses.fields(settings)}
    values = {k: tuple(v) if isinstance(v, list) else v for k, v in values.items()}
    return settings(**values)


def train_contenders(tables, split, args):
    """Train both networks, and score all splits with them and with what needs no training.

    Returns
    -------
    contenders : list of Contender
    models : dict of keras.Model
        `published_distributed`, `published_equalised` and `transit`.
    history : pandas.DataFrame
        A row per network, light curves and epoch.
    """
    distributed, equalised = split["distributed"], split["equalised"]
    repeats = count_view_repeats(tables, equalised)
    contenders = [Contender("repeat_count", "distributed", equalised, repeats, "train")]
    models, histories = {}, []
    settings = read_settings(args, networks.PublishedSettings)
    for light_curves, view in (("distributed", distributed), ("equalised", equalised)):
        x, y = view["x_train"], view["y_train"]
        if view is equalised:  # the view is not resampled; the study's network asks for it
            x, y, _, _ = balance(x, y, args.seed)
        held_out = view["x_validation"], view["y_validation"]
        model, history = networks.train_published((x, y), held_out, settings, args.seed)
        scored = {name: networks.predict(model, view[f"x_{name}"]) for name in SPLITS}
        contenders.append(Contender("published", light_curves, view, scored))
        models[f"published_{light_curves}"] = model
        histories.append(name_history(history, "published", light_curves))

    others = equalised["row_train"][equalised["y_train"] == 0]
    settings = read_settings(args, networks.TransitSettings)
    flux, was_missing = fill_missing(tables.train.flux[others])
    models["transit"], history = networks.train_transit(flux, settings, args.seed, was_missing)
    scored = {name: networks.predict(models["transit"], equalised[f"x_{name}"]) for name in SPLITS}
    contenders.append(Contender("transit", "equalised", equalised, scored))
    histories.append(name_history(history, "transit", "equalised"))
    n_stars = sum(len(equalised[f"y_{name}"]) for name in SPLITS)
    if wants_search(args.box_least_squares, n_stars):
        contenders.append(search_splits(equalised))
    return contenders, models, pd.concat(histories)


def name_history(history, network, light_curves):
    """A training history with the network and the light curves it belongs to."""
    history.insert(0, "network", network)
    history.insert(1, "light_curves", light_curves)
    return history


def wants_search(choice, n_stars):
    """Whether to run box least squares on so many stars; says so if it takes too long."""
    if choice == "auto" and n_stars > MOST_SEARCHED:
        kepler.say(
            f"box least squares is left out: {n_stars} stars would take about "
            f"{n_stars * 0.04 / 120:.0f} minutes on two cores (--box-least-squares always)"
        )
    return choice == "always" or (choice == "auto" and n_stars <= MOST_SEARCHED)


def search_splits(view):
    """Box least squares on all stars of a view, as a contender."""
    kepler.say("box least squares ...")
    scored = {split: bls.search(view[f"x_{split}"]).statistic for split in SPLITS}
    return Contender("box_least_squares", "equalised", view, scored)


def gather_sample(tables, view):
    """The stars that are vetted with: all hosts, and the non-hosts held out of all training."""
    parts = []
    for split in SPLITS:
        table = getattr(tables, "test" if split == "test" else "train")
        kept = (view[f"y_{split}"] == 1) | (split != "train")
        rows = view[f"row_{split}"][kept]
        flux, was_missing = fill_missing(np.array(table.flux[rows]))
        names = [f"{'test' if split == 'test' else 'train'} row {row}" for row in rows]
        held_out = np.full(len(rows), split != "train")
        curves, y = view[f"x_{split}"][kept], view[f"y_{split}"][kept]
        parts.append((flux, curves, y, held_out, np.array(names), was_missing))
    flux, curves, y, held_out, names, filled = map(np.concatenate, zip(*parts, strict=True))
    prevalence = float(np.mean(np.concatenate([view[f"y_{split}"] for split in SPLITS])))
    return vetting.Sample(flux, curves, y, held_out, names, prevalence, filled)


def vet_contenders(contenders, models, tables, args):
    """Vet the transit network, with the published one and box least squares beside it.

    Returns
    -------
    content, drawn : dict
        See `vetting.vet`.
    """
    by_name = {(c.network, c.light_curves): c for c in contenders}
    transit = by_name["transit", "equalised"]
    sample = gather_sample(tables, transit.view)
    if ("box_least_squares", "equalised") in by_name:
        least = by_name["box_least_squares", "equalised"].threshold
    else:  # tuned on the validation hosts and some of the non-hosts: it takes its time
        view = transit.view
        some = np.append(
            np.flatnonzero(view["y_validation"]), np.flatnonzero(view["y_validation"] == 0)[:200]
        )
        statistic = bls.search(view["x_validation"][some]).statistic
        least = scores.tune_threshold(view["y_validation"][some], statistic)

    def ask(name):
        return lambda curves: networks.predict(models[name], curves)

    scorers = {
        "transit": vetting.Scorer(ask("transit"), transit.threshold, knows_hosts=False),
        "published": vetting.Scorer(
            ask("published_equalised"), by_name["published", "equalised"].threshold
        ),
        "box_least_squares": vetting.Scorer(
            lambda curves: bls.search(curves).statistic, least, knows_hosts=False, slow=True
        ),
    }
    kepler.say(f"vetting ({args.vet}) ...")
    return vetting.vet(scorers, sample, "transit", args.vet, args.seed)


class Stars(NamedTuple):
    """All labelled stars of both tables, for cross-validation.

    Attributes
    ----------
    y : ndarray of shape (n_stars,)
        1 for a host.
    table : ndarray of shape (n_stars,), str
        Of `kepler.TABLES`.
    row : ndarray of shape (n_stars,)
        Of the table.
    distributed, equalised : ndarray of shape (n_stars, n_cadences) and (n_stars, n_measured)
        The two kinds of light curves, float32.
    repeats : ndarray of shape (n_stars,)
        Exact repeats in the flux as distributed.
    colour : ndarray of shape (n_stars, 2)
        Noise colour; see `probes.find_noise_colour`.
    """

    y: np.ndarray
    table: np.ndarray
    row: np.ndarray
    distributed: np.ndarray
    equalised: np.ndarray
    repeats: np.ndarray
    colour: np.ndarray


def gather_stars(tables, view, repeats, colours):
    """The stars of every split of the equalised view, in this order."""
    table = np.repeat(
        ["test" if split == "test" else "train" for split in SPLITS],
        [len(view[f"y_{split}"]) for split in SPLITS],
    )
    row = np.concatenate([view[f"row_{split}"] for split in SPLITS])
    return Stars(
        np.concatenate([view[f"y_{split}"] for split in SPLITS]),
        table,
        row,
        fill_missing(read_rows(tables, table, row))[0].astype(np.float32),
        np.concatenate([view[f"x_{split}"] for split in SPLITS]),
        np.concatenate([repeats[split] for split in SPLITS]),
        np.array([colours[name][i] for name, i in zip(table, row, strict=True)]),
    )


def make_contenders(stars, tables, args):
    """The functions that `crossvalidation.cross_validate` compares."""
    published_settings = read_settings(args, networks.PublishedSettings)
    transit_settings = read_settings(args, networks.TransitSettings)

    def published(x):
        def score(fit, validation, seed):
            x_fit, y_fit, _, _ = balance(x[fit], stars.y[fit], seed)
            held_out = x[validation], stars.y[validation]
            fit = x_fit, y_fit
            model, _ = networks.train_published(fit, held_out, published_settings, seed)
            return networks.predict(model, x)

        return score

    def transit(fit, validation, seed):
        others = fit[stars.y[fit] == 0]
        raw = fill_missing(read_rows(tables, stars.table[others], stars.row[others]))
        model, _ = networks.train_transit(raw[0], transit_settings, seed, raw[1])
        return networks.predict(model, stars.equalised)

    contenders = {
        ("repeat_count", "distributed"): lambda fit, validation, seed: stars.repeats,
        ("published", "distributed"): published(stars.distributed),
        ("published", "equalised"): published(stars.equalised),
        ("transit", "equalised"): transit,
    }
    if wants_search(args.box_least_squares, len(stars.y)):
        statistic = bls.search(stars.equalised).statistic
        contenders["box_least_squares", "equalised"] = lambda fit, validation, seed: statistic
    return contenders


def print_candidates(candidates):
    """Print the stars of `top_candidates.png`, and which labels are suspect."""
    print("highest-scored test stars (period in days; depth and SNR of the box search):")
    for star in candidates.head(N_CANDIDATES).itertuples():
        print(
            f"  row {star.row:4d}  {'host' if star.label else 'non-host':8}  score {star.score:.3f}"
            f"  period {star.period:6.3f}  depth {star.depth:5.1f}  SNR {star.snr:5.1f}"
            f"{'  suspect label: periodic dips' if star.suspect else ''}"
        )


def print_verdicts(vetted):
    """Print what the vetting found."""
    print(f"vetting ({vetted['level']}):")
    for verdict in vetted["verdicts"]:
        print(f"  {report.describe_verdict(verdict)}")


def write_text(path, text):
    """Write a results file at once, or not at all, and print where it is."""
    with kepler.atomic_write(path) as temporary:
        temporary.write_text(text)
    print(f"results: {path}")


def make_command_line():
    """The parser of this script."""
    parser = make_parser(__doc__)
    parser.add_argument(
        "--cross-validate", type=parse_folds, metavar="K", help="also cross-validate, in K folds"
    )
    parser.add_argument(
        "--repetitions", type=parse_positive, default=3, help="of the cross-validation"
    )
    parser.add_argument(
        "--box-least-squares",
        choices=("auto", "always", "never"),
        default="auto",
        help=f"box search of every star; auto: of up to {MOST_SEARCHED} stars",
    )
    parser.add_argument(
        "--vet",
        choices=("quick", "full", "none"),
        default="quick",
        help=f"how thoroughly; full: with {FULL_SEEDS} cross-validations in {FULL_FOLDS} folds",
    )
    own = parser.add_argument_group("Scoring your own stars")
    own.add_argument(
        "--predict",
        nargs="+",
        metavar="FILE",
        help="score these files, folders or globs; no training",
    )
    own.add_argument(
        "--model",
        type=Path,
        help="trained network; else transit.keras of --data-dir, or the shipped",
    )
    own.add_argument("--output", type=Path, help="CSV of scores; else scores.csv in --data-dir")
    own.add_argument(
        "--search-all", action="store_true", help="find the period of every star, not only of hosts"
    )
    own.add_argument(
        "--plots", action="store_true", help="draw a page about each star that is scored"
    )
    own.add_argument("--dask", metavar="ADDRESS", help="score on the workers of this scheduler")
    add_settings(parser, networks.PublishedSettings)
    add_settings(parser, networks.TransitSettings)
    return parser


def write_scores(args):
    """Score the user's own stars; returns 1 if some could not be scored."""
    model = args.model
    if model is None:
        model = args.data_dir / "transit.keras"
        model = model if model.exists() else SHIPPED_MODEL
    output = args.output or args.data_dir / "scores.csv"
    n_scored, n_skipped, bad = prediction.predict_files(
        args.predict, model, output, args.search_all, args.dask
    )
    before = f" ({n_skipped} had been scored before)" if n_skipped else ""
    print(f"{n_scored} stars scored with '{model}'{before}, {len(bad)} could not be")
    print(f"results: {output}")
    if args.plots:
        # What was scored before may have been other files' stars: then their number is not known.
        write_pages(args.predict, model, args.plots_dir / "stars", None if n_skipped else n_scored)
    return 1 if bad else 0


def write_pages(patterns, model, folder, n_stars=None):
    """Draw a page about every star that can be scored, one after the other; print how many."""
    network, n_pages = prediction.load_network(model), 0
    examined = prediction.examine_files(patterns, network)
    for each in tqdm(examined, total=n_stars, unit=" pages", desc="drawing"):
        page = star_figures.draw_star(each, network)
        write_figure(page, folder / star_figures.name_page(each.star.name))
        n_pages += 1
    print(f"{n_pages} pages in '{folder}'")


def parse_folds(text):
    """A whole number of at least 2."""
    if not text.isdigit() or int(text) < 2:
        raise argparse.ArgumentTypeError(f"'{text}' is no number of folds, 2 or more")
    return int(text)


def load_tables(data_dir, split, simulated):
    """The very light curves that the split was made of."""
    source = split["provenance"]["source"]
    if simulated and source != "simulated":
        raise kepler.DataError(
            f"'{data_dir / SPLIT_FILE}' holds real stars: run "
            "`python data_preprocessing.py --simulated` first"
        )
    tables = kepler.load(data_dir, simulated=source == "simulated")
    if tables.provenance != split["provenance"]:
        raise kepler.DataError(
            f"the light curves in '{data_dir}' are not those of '{SPLIT_FILE}': run "
            "`python data_preprocessing.py` again"
        )
    return tables


def main(argv=None):
    args = make_command_line().parse_args(argv)
    if args.predict:
        return write_scores(args)
    if args.plots:
        raise kepler.DataError("--plots draws the stars of --predict: give --predict FILE with it")
    if args.vet == "full" and not args.cross_validate:
        args.cross_validate, args.repetitions = FULL_FOLDS, FULL_SEEDS
    split = load_split(args.data_dir / SPLIT_FILE)
    tables = load_tables(args.data_dir, split, args.simulated)
    data = split["provenance"]
    print(f"data: {kepler.describe(data)}")

    contenders, models, history = train_contenders(tables, split, args)
    colours = {name: probes.find_noise_colour(getattr(tables, name).flux) for name in kepler.TABLES}
    rows = [evaluate_split(c, name, colours, args.seed) for c in contenders for name in SPLITS]
    transit = next(c for c in contenders if c.network == "transit")
    candidates, found, times = find_candidates(transit, tables)
    suspect = candidates["row"][candidates["suspect"]].tolist()
    suspects = {
        "rule": f"labelled non-host, box search statistic >= {vetting.SUSPECT_STATISTIC:g} and "
        f"SNR >= {vetting.SUSPECT_SNR:g}",
        "test_rows": suspect,
        "results_without": [
            evaluate_split(
                c, "test", colours, args.seed, kept=~np.isin(c.view["row_test"], suspect)
            )
            for c in contenders
        ],
    }
    cross_validation = out_of_fold = None
    if args.cross_validate:
        gathered = gather_stars(tables, split["equalised"], contenders[0].scored, colours)
        found_rows, cross_validation, scored = crossvalidation.cross_validate(
            gathered.y,
            gathered.colour,
            make_contenders(gathered, tables, args),
            args.cross_validate,
            range(args.seed, args.seed + args.repetitions),
            split_rows,
        )
        rows, out_of_fold = rows + found_rows, scored["transit", "equalised"]

    vetted = drawn = None
    if args.vet != "none":
        vetted, drawn = vet_contenders(contenders, models, tables, args)
    stars = list_stars(transit, tables, out_of_fold)

    print(report.make_text(rows))
    print_candidates(candidates)
    if suspects["test_rows"]:
        print(f"without the suspects (test rows {suspects['test_rows']}):")
        print(report.make_text(suspects["results_without"]))
    if cross_validation:
        seeds = ", ".join(map(str, cross_validation["seeds"]))
        print(f"cross-validation in {cross_validation['folds']} folds, seeds {seeds}:")
        for line in report.summarise_seeds(cross_validation):
            print(f"  {line}")
    if vetted:
        print_verdicts(vetted)

    provenance = {
        "data": data,
        "preprocessing": split["settings"],
        "seed": args.seed,
        "settings": {
            "published": dataclasses.asdict(read_settings(args, networks.PublishedSettings)),
            "transit": dataclasses.asdict(read_settings(args, networks.TransitSettings)),
        },
        "versions": {name: importlib.metadata.version(name) for name in PACKAGES},
    }
    content = {
        "provenance": provenance,
        "results": rows,
        "suspects": suspects,
        "cross_validation": cross_validation,
        "vetting": vetted,
    }
    predictions = pd.DataFrame(
        {"row": split["distributed"]["row_test"], "label": split["distributed"]["y_test"]}
    )
    for c in contenders:
        predictions[f"{c.network}_{c.light_curves}"] = c.of_rows(predictions["row"])
    calibration = scores.fit_calibration(transit.view["y_validation"], transit.scored["validation"])
    predictions["transit_equalised_probability"] = scores.calibrate(
        predictions["transit_equalised"], *calibration
    )
    with kepler.atomic_write(args.data_dir / "published.keras") as temporary:
        models["published_distributed"].save(temporary)
    scoring = {
        "settings": provenance["settings"]["transit"],
        "threshold": transit.threshold,
        "calibration": calibration,
        "provenance": provenance,
    }
    networks.save_transit(models["transit"], args.data_dir / "transit.keras", scoring)
    write_text(
        args.data_dir / "metrics.json", json.dumps(content, indent=1, allow_nan=False) + "\n"
    )
    write_text(args.data_dir / "test_predictions.csv", predictions.to_csv(index=False))
    write_text(args.data_dir / "training_history.csv", history.to_csv(index=False))
    write_text(args.data_dir / "stars.csv", stars.to_csv(index=False))
    reported = [row for row in rows if row["split"] in ("test", "cross-validation")]
    args.plots_dir.mkdir(parents=True, exist_ok=True)
    about = (reported, kepler.describe(data), provenance, cross_validation)
    verdicts = (
        [report.describe_verdict(verdict) for verdict in vetted["verdicts"]] if vetted else []
    )
    write_text(args.plots_dir / "results.md", report.make_markdown(*about, verdicts))
    write_text(args.plots_dir / "results.tex", report.make_latex(*about))
    figures = results.draw_figures(contenders, rows, history, candidates, found, times)
    if vetted:
        figures |= {
            "injection_recovery": vetting_figures.draw_injection_recovery(vetted),
            "reliability": vetting_figures.draw_reliability(vetted, drawn),
            "occlusion": vetting_figures.draw_occlusion(vetted, drawn),
            "calibration": vetting_figures.draw_calibration(vetted),
        }
    for name, figure in figures.items():
        save_figure(figure, args.plots_dir / f"{name}.png", data)


if __name__ == "__main__":
    kepler.run(main)
