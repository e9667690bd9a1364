"""Step 3: what the network may see.

Reads the light-curve tables, fills missing values, removes outlier stars, relabels hosts 1 and
non-hosts 0, holds out validation stars, and passes the split on in two views: `distributed`, the
flux as distributed, balanced (SMOTE, random under-sampling) as in the published study, and
`equalised`, the same stars without any trace of how the files were made
(`exoplanets/lightcurves/equalise.py`):

    python data_preprocessing.py

Writes `data/preprocessed_data.pkl` (see `load_split`) and `plots/spectra_gausSS.png`.
"""

import numpy as np
from scipy.ndimage import gaussian_filter1d

from exoplanets.commands.options import add_outlier_options, make_parser
from exoplanets.figures.light_curves import draw_light_curves, first_of_each
from exoplanets.figures.style import save_figure
from exoplanets.files import DataError, run
from exoplanets.lightcurves.equalise import equalise_table, spread_order
from exoplanets.lightcurves.outliers import find_outlier_stars, print_outliers
from exoplanets.lightcurves.split import (
    LAYOUT,
    SPLIT_FILE,
    balance,
    fill_missing,
    save_split,
    split_rows,
)
from exoplanets.sources import kaggle
from exoplanets.stars import describe

SMOOTHING_CADENCES = 3  # sigma of the figure's Gaussian filter, 1.5 hours
MOSTLY_MISSING = 0.5  # a star with a larger share of missing values is dropped


def standard_scale(flux):
    """Each star minus its mean, over its standard deviation; 0 for a constant star."""
    flux = flux - flux.mean(axis=1, keepdims=True)
    scatter = flux.std(axis=1, keepdims=True)
    return flux / np.where(scatter > 0, scatter, 1)


def make_distributed(train, test, rows_fit, rows_validation, seed):
    """The `distributed` view: flux as distributed, the fit part balanced.

    Parameters
    ----------
    train, test : tuple of (flux, is_host, rows, was_missing)
        See `clean`.
    rows_fit, rows_validation : ndarray
        Indices into `train`.
    seed : int

    Returns
    -------
    view : dict of ndarray
        `x_*` float32 e-/s, `y_*` int8, `row_*` int64 (-1: made by SMOTE).
    notes : list of str
    """
    flux, is_host, rows, _ = train
    x, y, source, notes = balance(
        flux[rows_fit].astype(np.float32), is_host[rows_fit].astype(np.int8), seed
    )
    row = np.where(source >= 0, rows[rows_fit][source], -1)
    return {
        "x_train": x,
        "y_train": y,
        "row_train": row,
        "x_validation": flux[rows_validation].astype(np.float32),
        "y_validation": is_host[rows_validation].astype(np.int8),
        "row_validation": rows[rows_validation],
        "x_test": test[0].astype(np.float32),
        "y_test": test[1].astype(np.int8),
        "row_test": test[2],
    }, notes


def make_equalised(train, test, parts):
    """The `equalised` view: the same stars, every one treated alike, none resampled.

    Parameters
    ----------
    train, test : tuple of (flux, is_host, rows, was_missing)
        See `clean`.
    parts : dict of ndarray
        `train` and `validation`: indices into `train`; `test`: into `test`.

    Returns
    -------
    view : dict of ndarray
        `x_*` float32, dimensionless, `y_*` int8, `row_*` int64; stars in an order in which their
        place tells nothing (`equalise.spread_order`).
    notes : list of str
        Stars left out, and why.
    """
    view, notes = {}, []
    for split, part in parts.items():
        flux, is_host, rows, was_missing = test if split == "test" else train
        part = part[spread_order(len(part))]
        stars = flux[part]
        if was_missing is not None:  # what was filled in was not measured
            stars = np.where(was_missing[part], np.nan, stars)
        curves, kept, dropped = equalise_table(stars)
        notes += [
            f"{split} row {rows[part[i]]} left out of 'equalised': {why}" for i, why in dropped
        ]
        view[f"x_{split}"] = curves
        view[f"y_{split}"] = is_host[part[kept]].astype(np.int8)
        view[f"row_{split}"] = rows[part[kept]]
        if len(np.unique(view[f"y_{split}"])) < 2:
            raise DataError(f"no {split} stars of one class could be equalised: {notes[-1]}")
    return view, notes


def clean(table, name):
    """A table's light curves without gaps, and without stars that are mostly missing.

    Returns
    -------
    flux : ndarray of shape (n_kept, n_cadences)
        e-/s, no NaN.
    is_host : ndarray of shape (n_kept,)
    rows : ndarray of shape (n_kept,)
        Row in the file.
    was_missing : ndarray of shape (n_kept, n_cadences), or None
        True where a value was filled in; None where none was.
    """
    print(f"{name}: {table.n_missing} missing values in {len(table.labels)} stars")
    rows = np.arange(len(table.labels))
    if not table.n_missing:
        return table.flux, table.is_host, rows, None
    flux, was_missing = fill_missing(table.flux)
    share = was_missing.mean(axis=1)
    for row in np.flatnonzero(share > MOSTLY_MISSING):
        print(f"  row {row} dropped: {share[row]:.0%} of its values are missing")
    print(
        f"  {np.sum((share > 0) & (share <= MOSTLY_MISSING))} stars filled by interpolation in time"
    )
    kept = share <= MOSTLY_MISSING
    if len(np.unique(table.labels[kept])) < 2:
        raise DataError(f"'{table.file}' has a class whose stars are all mostly missing")
    return flux[kept], table.is_host[kept], rows[kept], was_missing[kept]


def print_classes(when, y):
    """Print the class sizes of a training set."""
    hosts, others = int(np.sum(y == 1)), int(np.sum(y == 0))
    print(f"{when}: {hosts} hosts, {others} non-hosts (1 per {others / max(hosts, 1):.1f})")


def main(argv=None):
    parser = make_parser(__doc__)
    add_outlier_options(parser)
    args = parser.parse_args(argv)

    tables = kaggle.load(args.data_dir, args.simulated)
    provenance = tables.provenance
    print(f"data: {describe(provenance)}")
    train, test = clean(tables.train, "train"), clean(tables.test, "test")
    flux, is_host, rows, _ = train

    shown = first_of_each(is_host, 3)
    smoothed = gaussian_filter1d(flux[shown], SMOOTHING_CADENCES, axis=1)
    figure = draw_light_curves(
        standard_scale(smoothed),
        is_host[shown],
        rows[shown],
        "Gaussian filter along time (sigma 1.5 hours), then standard scaling",
        unit="standard deviations of the star",
    )
    save_figure(figure, args.plots_dir / "spectra_gausSS.png", provenance)

    outliers = find_outlier_stars(flux, args.sigmas, args.min_cadences)
    print_outliers(rows[outliers], tables.train.is_host, args.sigmas, args.min_cadences)
    kept = np.setdiff1d(np.arange(len(rows)), outliers)
    rows_fit, rows_validation = (kept[part] for part in split_rows(is_host[kept], args.seed))
    print_classes("fit stars before balancing", is_host[rows_fit])
    distributed, notes = make_distributed(train, test, rows_fit, rows_validation, args.seed)
    for note in notes:
        print(f"  {note}")
    print_classes("fit stars after balancing", distributed["y_train"])
    print_classes("validation stars, held out before balancing", distributed["y_validation"])
    print_classes("test stars", distributed["y_test"])

    parts = {"train": rows_fit, "validation": rows_validation, "test": np.arange(len(test[2]))}
    try:
        equalised, notes = make_equalised(train, test, parts)
    except ValueError as error:
        raise DataError(f"'{tables.train.file}': {error}") from error
    for note in notes:
        print(f"  {note}")
    print(f"equalised: every star cut to {equalised['x_train'].shape[1]} measured cadences")

    settings = {"seed": args.seed, "sigmas": args.sigmas, "min_cadences": args.min_cadences}
    split = {
        "layout": LAYOUT,
        "provenance": provenance,
        "settings": settings,
        "distributed": distributed,
        "equalised": equalised,
    }
    path = args.data_dir / SPLIT_FILE
    save_split(path, split)
    print(f"split: {path}")


if __name__ == "__main__":
    run(main)
