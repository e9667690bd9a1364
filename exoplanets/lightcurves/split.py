"""What step 3 passes on to step 4: how the stars are split, and the pickle, checked when loaded."""

import json
import pickle
import re

import numpy as np
from sklearn.model_selection import train_test_split

from exoplanets.dependencies import digest_code
from exoplanets.files import DataError, atomic_write, one_line, open_file
from exoplanets.lightcurves.campaign import Campaign
from exoplanets.lightcurves.clock import find_cadences
from exoplanets.lightcurves.equalise import spread_order
from exoplanets.lightcurves.gaps import fill_gaps
from exoplanets.sources.copies import find_digest
from exoplanets.stars import LIGHT_CURVES, SPLITS, Stars, describe

SPLIT_FILE = "preprocessed_data.pkl"
VALIDATION_SHARE = 0.2
PARTS = (*LIGHT_CURVES, "flux", "campaign")  # of the pickle that hold arrays
DTYPES = ("f4", "f8", "i1", "i4", "i8", "b1")  # what an array passed on may hold, beside text
TABLE_OF = {"train": "train", "validation": "train", "test": "test"}  # of each of `SPLITS`


# --------------------------------------------------------------------------------- the split
def split_rows(is_host, seed):
    """Rows of the stars to fit on and of those held out, 20 % of each class, sorted."""
    rows = np.arange(len(is_host))
    if is_host.sum() < 2 or (~is_host).sum() < 2:
        raise DataError(
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


def split_stars(stars, is_outlier, seed):
    """Split the stars of both tables: train, validation and test; outliers are left out.

    Returns `Stars` with `split`, and flux as float32; split after split, each in `spread_order`.
    """
    train = np.flatnonzero((stars.table == "train") & ~is_outlier)
    fit, held_out = split_rows(stars.is_host[train], seed)
    parts = train[fit], train[held_out], np.flatnonzero(stars.table == "test")
    order = np.concatenate([rows[spread_order(len(rows))] for rows in parts])
    names = np.repeat(SPLITS, [len(rows) for rows in parts])
    # Half the bytes from here on: every network takes float32.
    return stars.replace(flux=stars.flux.astype(np.float32)).select(order).replace(split=names)


def make_distributed(stars):
    """The view `distributed` of stars that were split: flux as distributed, gaps filled.

    A dict: per split `x_*`, float32, e-/s; `y_*`, int8, 1 for a host; `row_*`, int64, row in the
    star's file. As in the study, the stars of a split stand as in the file.
    """
    return _make_view(stars, fill_gaps(stars.flux), np.argsort(stars.row))


def _make_view(stars, x, order):
    """Light curves, labels and rows of the stars in an order, split by split."""
    view = {}
    for name in SPLITS:
        part = order[stars.split[order] == name]
        view |= {f"x_{name}": x[part], f"y_{name}": stars.y[part], f"row_{name}": stars.row[part]}
    return view


def to_stars(split, kind):
    """The `Stars` of one kind of view of a loaded split, split after split.

    "equalised": flux as distributed (float32, NaN where missing), with `cadence` and `curves`.
    "distributed": `flux` is the view's, gaps filled and the train part balanced.
    """
    x, y, row = ([split[kind][f"{part}_{name}"] for name in SPLITS] for part in ("x", "y", "row"))
    lengths = [len(part) for part in y]
    stars = Stars(
        table=np.repeat([TABLE_OF[name] for name in SPLITS], lengths),
        row=np.concatenate(row),
        is_host=np.concatenate(y) == 1,
        flux=np.concatenate(x if kind == "distributed" else [split["flux"][n] for n in SPLITS]),
        split=np.repeat(SPLITS, lengths),
    )
    if kind == "distributed":
        return stars
    cadence = find_cadences(stars.flux, Campaign.from_arrays(split["campaign"]))
    return stars.replace(cadence=cadence, curves=np.concatenate(x))


# -------------------------------------------------------------------------------- the pickle
class _DType:
    """What a pickle says of an array's type: one of `DTYPES`, or text; nothing else."""

    def __init__(self, code, align=False, copy=True):
        if code not in DTYPES and not re.fullmatch(r"U\d{1,3}", str(code)):
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

    def find_class(self, module, name):
        known = {"numpy._core.numeric._frombuffer": _make_array, "numpy.dtype": _DType}
        if f"{module}.{name}" not in known:
            raise pickle.UnpicklingError(f"it names {module}.{name}")
        return known[f"{module}.{name}"]


def save_split(path, provenance, settings, campaign, stars, distributed):
    """Pickle what step 4 needs; `load_split` says what that is."""
    # Through JSON, and as views: the same content always gives the same bytes, whatever is shared.
    provenance, settings = json.loads(json.dumps([provenance, settings]))
    split = {
        "code": digest_code(__file__),
        "provenance": provenance,
        "settings": settings,
        "distributed": distributed,
        "equalised": _make_view(stars, stars.curves, np.arange(len(stars))),
        "flux": {name: stars.flux[stars.split == name] for name in SPLITS},
        "campaign": campaign.to_arrays(),
    }
    for part in PARTS:
        split[part] = {name: np.asarray(a, order="C").view() for name, a in split[part].items()}
    split["sha256"] = _find_digest(split)
    with atomic_write(path) as temporary, open(temporary, "wb") as stream:
        pickle.dump(split, stream, protocol=5)


def _find_digest(split):
    """SHA-256 of all that a split holds."""
    arrays = {f"{part} {name}": array for part in PARTS for name, array in split[part].items()}
    return find_digest(arrays, json.dumps([split["provenance"], split["settings"]]))


def load_split(path):
    """Load and check what step 3 passes on: a dict.

    `code`, the digest of the code that made it; `provenance` of the tables; `settings` of step 3;
    the views `distributed` (see `make_distributed`; its train part is balanced, the row of a host
    that SMOTE made is -1) and `equalised`, the same of the equalised curves, none resampled;
    `flux`, per split the flux as distributed of the stars of `equalised`, in their order (float32,
    NaN where missing); and `campaign`, the arrays of a `Campaign`. DataError if the file is
    missing, damaged, made by other code, or holds anything but that.
    """
    again = "run `python data_preprocessing.py` first"
    try:
        with open_file(path) as stream:
            split = _PlainUnpickler(stream).load()
    except FileNotFoundError:
        raise DataError(f"'{path}' is missing: {again}") from None
    except OSError as error:
        raise DataError(f"'{path}' cannot be read: {error.strerror or error}") from error
    except Exception as error:  # a damaged pickle can raise almost anything
        reason = one_line(error, 120)
        raise DataError(f"'{path}' is not this project's pickle ({reason}): {again}") from error
    if not isinstance(split, dict) or split.get("code") != digest_code(__file__):
        raise DataError(f"'{path}' was not made by this version of the code: {again}")
    try:
        problem = next(_find_problems(split), None)
    except Exception as error:  # another type, a missing name: whatever the content makes of this
        problem = one_line(f"{type(error).__name__} {error}", 120)
    if problem:
        raise DataError(f"'{path}' is damaged ({problem}): {again}")
    return split


def _find_problems(split):
    """Yield what is wrong with the content of a split; each check relies on those before it."""
    if split["sha256"] != _find_digest(split):
        yield "its content changed since it was written"
    describe(split["provenance"])
    width = split["equalised"]["x_test"].shape[1]
    for kind in LIGHT_CURVES:
        for name in SPLITS:
            x, y, row = (split[kind][f"{part}_{name}"] for part in ("x", "y", "row"))
            if x.dtype != np.float32 or y.dtype != np.int8 or row.dtype != np.int64:
                yield f"{kind}: {name} arrays of another type"
            if x.shape != (len(y), width) or y.shape != row.shape or y.ndim != 1:
                yield f"{kind}: {name} arrays of different lengths"
            if not np.isfinite(x).all():
                yield f"{kind}: x_{name} is not finite"
            if not np.isin(y, (0, 1)).all():
                yield f"{kind}: a label in y_{name} is neither 0 nor 1"
            if len(np.unique(y)) < 2:
                yield f"{kind}: {name} stars of one class only"
    if Campaign.from_arrays(split["campaign"]).n_cadences != width:
        yield "the campaign is of another length than the curves"
    for name in SPLITS:
        flux = split["flux"][name]
        if flux.dtype != np.float32 or flux.shape != split["equalised"][f"x_{name}"].shape:
            yield f"{name} flux of another shape"
        if np.isinf(flux).any():
            yield "an infinite flux"
        # The same stars, with the same labels, but for the hosts that SMOTE made.
        numbers = [
            2 * split[kind][f"row_{name}"] + split[kind][f"y_{name}"] for kind in LIGHT_CURVES
        ]
        if not np.isin(numbers[0][split["distributed"][f"row_{name}"] >= 0], numbers[1]).all():
            yield f"{name} stars differ between the views"
