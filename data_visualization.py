"""Step 1: what the stars look like.

Finds the light curves (`exoplanets/sources/kaggle.py` says where), prints how many there are of
each class, and draws some hosts and non-hosts:

    python data_visualization.py                 # the first three of each class
    python data_visualization.py --stars 5       # the first five of each class
    python data_visualization.py --rows 3,7,40   # these rows of exoTrain.csv; the first row is 0

Writes `plots/starfluxspectra.png`, and `data/source.json`, so that later steps take the same stars.
"""

from exoplanets.commands.options import begin, make_parser, parse_positive, parse_rows


def make_command_line():
    """Make the parser of this script."""
    parser = make_parser(__doc__)
    choice = parser.add_mutually_exclusive_group()
    first = "draw the first N stars of each class (default: %(default)s)"
    choice.add_argument("--stars", type=parse_positive, default=3, metavar="N", help=first)
    rows = "draw these rows of the training table instead"
    choice.add_argument("--rows", type=parse_rows, help=rows)
    return parser


if __name__ == "__main__":
    begin(make_command_line)  # --help and mistakes are answered before the slow imports

import numpy as np

from exoplanets.figures.light_curves import draw_light_curves, first_of_each
from exoplanets.figures.style import save_figure
from exoplanets.files import DataError, check_writable, run
from exoplanets.sources import kaggle
from exoplanets.stars import CADENCE_DAYS, TABLES, describe


def print_shapes(stars):
    """Print the shape of both tables and their stars per label."""
    n_cadences = stars.flux.shape[1]
    for name in TABLES:
        is_host = stars.is_host[stars.table == name]
        print(
            f"{name}: {len(is_host)} stars x {n_cadences} cadences "
            f"({n_cadences * CADENCE_DAYS:.0f} days): {is_host.sum()} hosts (LABEL 2), "
            f"{(~is_host).sum()} non-hosts (LABEL 1)"
        )


def main(argv=None):
    args = make_command_line().parse_args(argv)
    path = args.plots_dir / "starfluxspectra.png"
    check_writable(path)

    stars, provenance = kaggle.load(args.data_dir, args.simulated, first_step=True)
    print(f"data: {describe(provenance)}")
    print_shapes(stars)
    train = stars.select(stars.table == "train")
    rows = np.array(args.rows) if args.rows else first_of_each(train.is_host, args.stars)
    if max(rows) >= len(train):
        file = provenance["train"]["file"]
        raise DataError(f"row {max(rows)} is not in '{file}': its rows are 0 to {len(train) - 1}")
    title = "Light curves as distributed"
    figure = draw_light_curves(train.flux[rows], train.is_host[rows], rows, title)
    save_figure(figure, path, provenance)


if __name__ == "__main__":
    run(main)
