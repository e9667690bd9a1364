"""Step 3: what the network may see.

Reads the light-curve tables, fills missing values, removes outlier stars, relabels hosts 1 and
non-hosts 0, holds out validation stars, and passes the split on in two views: `distributed`, the
flux as distributed, balanced (SMOTE, random under-sampling) as in the published study, and
`equalised`, the same stars without any trace of how the files were made (`data/equalise.py`):

    python data_preprocessing.py

Writes `data/preprocessed_data.pkl` (see `load_split`) and `plots/spectra_gausSS.png`.
"""

import pickle
from typing import ClassVar

import numpy as np
from imblearn.over_sampling import SMOTE
from imblearn.under_sampling import RandomUnderSampler
from scipy.ndimage import gaussian_filter1d
from sklearn.model_selection import train_test_split

from data import kepler
from data.equalise import equalise_table, spread_order
from data_analysis import add_outlier_options, find_outlier_stars, print_outliers
from data_visualization import draw_light_curves, first_of_each, make_parser, save_figure

SPLIT_FILE = "preprocessed_data.pkl"
LAYOUT = 2  # raised whenever the pickle's layout changes
SMOOTHING_CADENCES = 3  # sigma of the figure's Gaussian filter, 1.5 hours
VALIDATION_SHARE = 0.2
HOSTS_PER_NON_HOST_SMOTE = 1 / 10
HOSTS_PER_NON_HOST = 1 / 5
SMOTE_NEIGHBORS = 5
MOSTLY_MISSING = 0.5  # a star with a larger share of missing values is dropped
DTYPES = ("f4", "f8", "i1", "i4", "i8", "b1")  # what an array passed on may hold


def fill_missing(flux):
    """Fill the missing values of each star by linear interpolation in time.

    Before its first and after its last known value a star keeps that value.

    Parameters
    ----------
    flux : ndarray of shape (n_stars, n_cadences)
        e-/s, NaN where missing; not changed.

    Returns
    -------
    filled_flux : ndarray of shape (n_stars, n_cadences)
        Without NaN, except in stars that have no known value at all. `flux` itself where nothing
        is missing.
    was_missing : ndarray of shape (n_stars, n_cadences)
        True where a value was filled in.
    """
    was_missing = np.isnan(flux)
    if not was_missing.any():
        return flux, was_missing
    filled_flux = np.array(flux)
    cadences = np.arange(flux.shape[1])
    for star in np.flatnonzero(was_missing.any(axis=1)):
        gone = was_missing[star]
        if not gone.all():
            filled_flux[star, gone] = np.interp(cadences[gone], cadences[~gone], flux[star, ~gone])
    return filled_flux, was_missing


def standard_scale(flux):
    """Each star minus its mean, over its standard deviation; 0 for a constant star."""
    flux = flux - flux.mean(axis=1, keepdims=True)
    scatter = flux.std(axis=1, keepdims=True)
    return flux / np.where(scatter > 0, scatter, 1)


def balance(x, y, seed):
    """Balance a training set as the published study does: SMOTE, then random under-sampling.

    SMOTE (Chawla et al. 2002, JAIR 16, 321) makes hosts up to 1 per 10 non-hosts, between a host
    and one of its five nearest; random under-sampling then drops non-hosts down to 5 per host. A
    step whose aim is already met is skipped; both report what they could not do.

    Parameters
    ----------
    x : ndarray of shape (n_stars, n_cadences)
    y : ndarray of shape (n_stars,)
        1 host, 0 non-host.
    seed : int

    Returns
    -------
    x, y : ndarray
        Balanced.
    source : ndarray of shape (n_balanced,)
        Index into the input; -1 for a host that SMOTE made.
    notes : list of str
        What was skipped or lowered, and why.
    """
    notes = []
    source = np.arange(len(y))
    n_hosts, n_others = int(np.sum(y == 1)), int(np.sum(y == 0))
    neighbors = min(SMOTE_NEIGHBORS, n_hosts - 1)
    if int(n_others * HOSTS_PER_NON_HOST_SMOTE) <= n_hosts:
        notes.append(f"SMOTE skipped: {n_hosts} hosts are already 1 per 10 of {n_others} non-hosts")
    elif neighbors < 1:
        notes.append("SMOTE skipped: it interpolates between hosts, and there is only one")
    else:
        if neighbors < SMOTE_NEIGHBORS:
            notes.append(f"SMOTE neighbours lowered to {neighbors}: there are only {n_hosts} hosts")
        smote = SMOTE(
            sampling_strategy=HOSTS_PER_NON_HOST_SMOTE, k_neighbors=neighbors, random_state=seed
        )
        x, y = smote.fit_resample(x, y)
        source = np.concatenate([source, np.full(len(y) - len(source), -1)])  # made ones come last
    if np.sum(y == 1) >= np.sum(y == 0) * HOSTS_PER_NON_HOST:
        notes.append(
            f"under-sampling skipped: {np.sum(y == 1)} hosts are already 1 per 5 of "
            f"{np.sum(y == 0)} non-hosts"
        )
    else:
        sampler = RandomUnderSampler(sampling_strategy=HOSTS_PER_NON_HOST, random_state=seed)
        sampler.fit_resample(np.zeros((len(y), 1)), y)
        kept = np.sort(sampler.sample_indices_)
        x, y, source = x[kept], y[kept], source[kept]
    return x, y, source, notes


def split_rows(is_host, seed):
    """Rows of the stars to fit on and of those held out, 20 % of each class, sorted."""
    rows = np.arange(len(is_host))
    if is_host.sum() < 2 or (~is_host).sum() < 2:
        raise kepler.DataError(
            f"{is_host.sum()} host(s) and {(~is_host).sum()} non-host(s) are left to train on: two "
            "of each are needed to hold validation stars out"
        )
    # At least one star of each class must be held out, and stratification alone may round to none.
    n_held_out = max(round(VALIDATION_SHARE * len(rows)), 2)
    fit, held_out = train_test_split(
        rows, test_size=n_held_out, stratify=is_host, random_state=seed
    )
    for label in (True, False):
        if not np.any(is_host[held_out] == label):
            moved = fit[is_host[fit] == label][0]
            fit, held_out = fit[fit != moved], np.append(held_out, moved)
    return np.sort(fit), np.sort(held_out)


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
            raise kepler.DataError(f"no {split} stars of one class could be equalised: {notes[-1]}")
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
        raise kepler.DataError(f"'{table.file}' has a class whose stars are all mostly missing")
    return flux[kept], table.is_host[kept], rows[kept], was_missing[kept]


class _DType:
    """What a pickle says of an array's type: one of `DTYPES`, nothing else."""

    def __init__(self, code, align=False, copy=True):
        if code not in DTYPES:
            raise pickle.UnpicklingError(f"it holds an array of type {str(code)[:20]}")
        self.code = code

    def __setstate__(self, state):
        if state[1] not in "<|=":
            raise pickle.UnpicklingError(f"it holds an array of byte order {str(state[1])[:20]}")


def _make_array(buffer, dtype, shape, order):
    """An array of what a pickle holds; NumPy's own reader would trust it with pointers."""
    return np.frombuffer(buffer, dtype.code).reshape(shape, order=order)


class _PlainUnpickler(pickle.Unpickler):
    """Loads plain arrays and scalars; a pickle that names anything else runs nothing."""

    known: ClassVar = {
        ("numpy._core.numeric", "_frombuffer"): _make_array,
        ("numpy", "dtype"): _DType,
    }

    def find_class(self, module, name):
        if (module, name) not in self.known:
            raise pickle.UnpicklingError(f"it names {module}.{name}")
        return self.known[module, name]


def save_split(path, split):
    """Pickle a split; see `load_split`. Protocol 5 writes contiguous arrays as plain bytes."""
    plain = dict(split)
    for view in ("distributed", "equalised"):
        plain[view] = {name: np.ascontiguousarray(value) for name, value in split[view].items()}
    with kepler.atomic_write(path) as temporary, open(temporary, "wb") as stream:
        pickle.dump(plain, stream, protocol=5)


def load_split(path):
    """Load and check what step 3 passes on.

    Parameters
    ----------
    path : path
        Of `preprocessed_data.pkl`.

    Returns
    -------
    dict
        `layout`, `provenance`, `settings`, and a dict of arrays per view.

    Raises
    ------
    kepler.DataError
        If it is missing, damaged, of another layout, or holds anything but plain arrays.
    """
    again = "run `python data_preprocessing.py` first"
    try:
        with open(path, "rb") as stream:
            split = _PlainUnpickler(stream).load()
    except FileNotFoundError:
        raise kepler.DataError(f"'{path}' is missing: {again}") from None
    except OSError as error:
        raise kepler.DataError(f"'{path}' cannot be read: {error.strerror}") from error
    except Exception as error:  # a damaged pickle can raise almost anything
        reason = " ".join(str(error).split())[:120] or type(error).__name__
        raise kepler.DataError(
            f"'{path}' is not this project's pickle ({reason}): {again}"
        ) from error
    parts = {"layout", "provenance", "settings", "distributed", "equalised"}
    if not isinstance(split, dict) or set(split) != parts or split["layout"] != LAYOUT:
        raise kepler.DataError(f"'{path}' has another layout than this version's: {again}")
    return split


def print_classes(when, y):
    """Print the class sizes of a training set."""
    hosts, others = int(np.sum(y == 1)), int(np.sum(y == 0))
    print(f"{when}: {hosts} hosts, {others} non-hosts (1 per {others / max(hosts, 1):.1f})")


def main(argv=None):
    parser = make_parser(__doc__)
    add_outlier_options(parser)
    args = parser.parse_args(argv)

    tables = kepler.load(args.data_dir, args.simulated)
    provenance = tables.provenance
    print(f"data: {kepler.describe(provenance)}")
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
        raise kepler.DataError(f"'{tables.train.file}': {error}") from error
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
    kepler.run(main)
