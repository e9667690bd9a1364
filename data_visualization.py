"""Step 1: what the stars look like.

Reads the light-curve tables (`data/kepler.py` says where from), prints their shapes and classes,
and draws light curves of hosts and non-hosts:

    python data_visualization.py                 # the first three of each
    python data_visualization.py --stars 5       # the first five of each
    python data_visualization.py --rows 3,7,40   # these rows of exoTrain.csv (the first is 0)

Writes `plots/starfluxspectra.png`.
"""

import argparse
import math
from pathlib import Path

import matplotlib

matplotlib.use("Agg")  # figures are saved, never shown: no screen is needed

import matplotlib.pyplot as plt
import numpy as np

from data import kepler

ROOT = Path(__file__).resolve().parent
COLORS = {"non-host": "#0072B2", "host": "#D55E00"}  # Okabe & Ito 2008; the same everywhere


def make_parser(description):
    """Return the parser of a script, with the options that all four share."""
    parser = argparse.ArgumentParser(
        description=description.partition("\n")[0],
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument(
        "--data-dir", type=Path, default=ROOT / "data", help="where light curves and results live"
    )
    parser.add_argument("--plots-dir", type=Path, default=ROOT / "plots", help="where figures go")
    parser.add_argument("--seed", type=int, default=0, help="of everything drawn at random")
    parser.add_argument(
        "--simulated", action="store_true", help="use the simulated survey, whatever else is there"
    )
    return parser


def save_figure(figure, path, provenance):
    """Save a figure, signed with the data it shows, and print where it is.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
        Closed afterwards.
    path : path
        Replaced at once, or not at all.
    provenance : dict
        Of the tables; see `kepler.Tables`.
    """
    sign_figure(figure, kepler.describe(provenance), provenance["source"] == "simulated")
    write_figure(figure, path)
    print(f"figure: {path}")


def sign_figure(figure, text, simulated):
    """Put where a figure comes from at its bottom, in red if anything of it is simulated."""
    figure.supxlabel(  # constrained layout leaves room for it, unlike for plain text
        text,
        x=0.995,
        ha="right",
        fontsize=9 if simulated else 7,
        fontweight="bold" if simulated else "normal",
        color="#B00020" if simulated else "#777777",
    )


def write_figure(figure, path):
    """Write a figure, at once or not at all, and close it."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with kepler.atomic_write(path) as temporary:
        figure.savefig(temporary, metadata={"Software": None})  # the same bytes on every run
    plt.close(figure)


def house_style():
    """Context in which a figure has the looks of `plots/house.mplstyle`."""
    return plt.style.context(ROOT / "plots" / "house.mplstyle")


def print_shapes(tables):
    """Print the shape of both tables and their stars per label."""
    print(f"data: {kepler.describe(tables.provenance)}")
    for name, table in (("train", tables.train), ("test", tables.test)):
        n_stars, n_cadences = table.flux.shape
        hosts = int(table.is_host.sum())
        print(
            f"{name}: {n_stars} stars x {n_cadences} cadences "
            f"({n_cadences * kepler.CADENCE_DAYS:.0f} days): {hosts} hosts (LABEL 2), "
            f"{n_stars - hosts} non-hosts (LABEL 1)"
        )


def first_of_each(is_host, n_stars):
    """Rows of the first `n_stars` hosts and the first `n_stars` non-hosts, in this order."""
    return np.concatenate([np.flatnonzero(is_host)[:n_stars], np.flatnonzero(~is_host)[:n_stars]])


def draw_light_curves(flux, is_host, rows, title, unit="e$^-$/s"):
    """Draw light curves, one a panel, hosts in the left column where both classes are drawn.

    Parameters
    ----------
    flux : ndarray of shape (n_rows, n_cadences)
        What is drawn, in `unit`.
    is_host : ndarray of shape (n_rows,)
    rows : ndarray of shape (n_rows,)
        Row in the file, for the panel's title.
    title, unit : str

    Returns
    -------
    matplotlib.figure.Figure
    """
    hosts, others = np.flatnonzero(is_host), np.flatnonzero(~is_host)
    if len(hosts) == len(others):
        order, n_columns = np.column_stack([hosts, others]).ravel(), 2
    else:
        order, n_columns = np.arange(len(rows)), 1 if len(rows) < 4 else 2
    n_panel_rows = math.ceil(len(rows) / n_columns)
    days = np.arange(flux.shape[1]) * kepler.CADENCE_DAYS
    with house_style():
        figure, axes = plt.subplots(
            n_panel_rows,
            n_columns,
            figsize=(5.5 * n_columns, 0.9 + 1.9 * n_panel_rows),
            sharex=True,
            squeeze=False,
        )
        for axis, i in zip(axes.flat, order, strict=False):
            name = "host" if is_host[i] else "non-host"
            axis.plot(days, flux[i], ".", ms=2.2, mew=0, color=COLORS[name], rasterized=True)
            axis.set_title(f"row {rows[i]}, {name}", color=COLORS[name])
            axis.set_xlim(days[0], days[-1])
            axis.ticklabel_format(axis="y", style="sci", scilimits=(-3, 5))
        for axis in axes.flat[len(rows) :]:
            axis.set_axis_off()
        for column in axes.T:
            drawn = [axis for axis in column if axis.axison]
            drawn[-1].set_xlabel("time since the first cadence (days)")
            drawn[-1].xaxis.set_tick_params(labelbottom=True)
        figure.supylabel(f"flux ({unit})", fontsize=10)
        figure.suptitle(title, x=0.01, ha="left", fontsize=12)
    return figure


def parse_rows(text):
    """Row numbers from text such as `3,7,40`, in the order given."""
    try:
        rows = [int(part) for part in text.split(",")]
    except ValueError:
        rows = []
    if not rows or min(rows) < 0:
        raise argparse.ArgumentTypeError(f"'{text}' is no list of row numbers such as 3,7,40")
    return rows


def parse_positive(text):
    """A whole number of at least 1."""
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"'{text}' is no whole number of at least 1")
    return int(text)


def main(argv=None):
    parser = make_parser(__doc__)
    choice = parser.add_mutually_exclusive_group()
    choice.add_argument("--stars", type=parse_positive, default=3, help="how many of each class")
    choice.add_argument("--rows", type=parse_rows, help="these rows of the training table instead")
    args = parser.parse_args(argv)

    tables = kepler.load(args.data_dir, args.simulated)
    print_shapes(tables)
    train = tables.train
    rows = np.array(args.rows) if args.rows else first_of_each(train.is_host, args.stars)
    if rows.max() >= len(train.labels):
        raise kepler.DataError(
            f"row {rows.max()} is not in '{train.file}': its rows are 0 to {len(train.labels) - 1}"
        )
    figure = draw_light_curves(
        train.flux[rows], train.is_host[rows], rows, "Light curves as distributed"
    )
    save_figure(figure, args.plots_dir / "starfluxspectra.png", tables.provenance)


if __name__ == "__main__":
    kepler.run(main)
