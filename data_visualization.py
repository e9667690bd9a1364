"""Step 1: what the stars look like.

Reads the light-curve tables (`exoplanets/sources/kaggle.py` says where from), prints their shapes
and classes, and draws light curves of hosts and non-hosts:

    python data_visualization.py                 # the first three of each
    python data_visualization.py --stars 5       # the first five of each
    python data_visualization.py --rows 3,7,40   # these rows of exoTrain.csv (the first is 0)

Writes `plots/starfluxspectra.png`.
"""

import argparse

import numpy as np

from exoplanets.commands.options import make_parser, parse_positive
from exoplanets.figures.light_curves import draw_light_curves, first_of_each
from exoplanets.figures.style import save_figure
from exoplanets.files import DataError, run
from exoplanets.sources import kaggle
from exoplanets.stars import CADENCE_DAYS, describe


def print_shapes(tables):
    """Print the shape of both tables and their stars per label."""
    print(f"data: {describe(tables.provenance)}")
    for name, table in (("train", tables.train), ("test", tables.test)):
        n_stars, n_cadences = table.flux.shape
        hosts = int(table.is_host.sum())
        print(
            f"{name}: {n_stars} stars x {n_cadences} cadences "
            f"({n_cadences * CADENCE_DAYS:.0f} days): {hosts} hosts (LABEL 2), "
            f"{n_stars - hosts} non-hosts (LABEL 1)"
        )


def parse_rows(text):
    """Row numbers from text such as `3,7,40`, in the order given."""
    try:
        rows = [int(part) for part in text.split(",")]
    except ValueError:
        rows = []
    if not rows or min(rows) < 0:
        raise argparse.ArgumentTypeError(f"'{text}' is no list of row numbers such as 3,7,40")
    return rows


def main(argv=None):
    parser = make_parser(__doc__)
    choice = parser.add_mutually_exclusive_group()
    choice.add_argument("--stars", type=parse_positive, default=3, help="how many of each class")
    choice.add_argument("--rows", type=parse_rows, help="these rows of the training table instead")
    args = parser.parse_args(argv)

    tables = kaggle.load(args.data_dir, args.simulated)
    print_shapes(tables)
    train = tables.train
    rows = np.array(args.rows) if args.rows else first_of_each(train.is_host, args.stars)
    if rows.max() >= len(train.labels):
        raise DataError(
            f"row {rows.max()} is not in '{train.file}': its rows are 0 to {len(train.labels) - 1}"
        )
    figure = draw_light_curves(
        train.flux[rows], train.is_host[rows], rows, "Light curves as distributed"
    )
    save_figure(figure, args.plots_dir / "starfluxspectra.png", tables.provenance)


if __name__ == "__main__":
    run(main)
