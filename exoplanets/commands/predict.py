"""Score the light curves of your own stars with a trained network; nothing is trained.

    python cnn_classifier.py --predict my_star.fits folder/ "more/*.csv"
    python cnn_classifier.py --predict my_star.fits --plots   # and draw a page about each star

Writes `scores.csv` into the data directory and, with `--plots`, a page per star into
`plots/stars/`.
"""

import argparse
from pathlib import Path

from tqdm import tqdm

from exoplanets.commands.options import ROOT, add_directories
from exoplanets.evaluation import examination, prediction
from exoplanets.figures import star_page
from exoplanets.figures.style import write_figure

SHIPPED_MODEL = ROOT / "exoplanets" / "classifiers" / "pretrained" / "transit.keras"


def is_wanted(argv):
    """Whether a command line asks for this program."""
    return any(argument.partition("=")[0] == "--predict" for argument in argv)


def make_prediction_parser():
    """The parser of this program."""
    parser = argparse.ArgumentParser(
        description=__doc__.partition("\n")[0],
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument(
        "--predict",
        nargs="*",  # so that `--predict --help` helps; none at all is refused below
        metavar="FILE",
        help="files, folders or globs of light curves",
    )
    parser.add_argument(
        "--model",
        type=Path,
        help="trained network; else transit.keras of --data-dir, or the shipped one",
    )
    parser.add_argument("--output", type=Path, help="CSV of scores; else scores.csv in --data-dir")
    parser.add_argument(
        "--search-all", action="store_true", help="find the period of every star, not only of hosts"
    )
    parser.add_argument(
        "--plots", action="store_true", help="draw a page about each star that is scored"
    )
    parser.add_argument(
        "--dask", metavar="ADDRESS", help="score on the workers of this Dask scheduler"
    )
    add_directories(parser)
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
    examined = examination.examine_files(patterns, network)
    for each in tqdm(examined, total=n_stars, unit=" pages", desc="drawing"):
        page = star_page.draw_star(each, network)
        write_figure(page, folder / star_page.name_page(each.star.name))
        n_pages += 1
    print(f"{n_pages} pages in '{folder}'")


def main(argv=None):
    parser = make_prediction_parser()
    args = parser.parse_args(argv)
    if not args.predict:
        parser.error("argument --predict: expected at least one argument")
    return write_scores(args)
