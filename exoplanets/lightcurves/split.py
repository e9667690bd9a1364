"""What step 3 passes on: filled, balanced, held out, pickled, and checked when it is loaded."""

import pickle
from typing import ClassVar

import numpy as np
from imblearn.over_sampling import SMOTE
from imblearn.under_sampling import RandomUnderSampler
from sklearn.model_selection import train_test_split

from exoplanets.files import DataError, atomic_write

SPLIT_FILE = "preprocessed_data.pkl"
LAYOUT = 2  # raised whenever the pickle's layout changes
VALIDATION_SHARE = 0.2
HOSTS_PER_NON_HOST_SMOTE = 1 / 10
HOSTS_PER_NON_HOST = 1 / 5
SMOTE_NEIGHBORS = 5
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
    with atomic_write(path) as temporary, open(temporary, "wb") as stream:
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
    files.DataError
        If it is missing, damaged, of another layout, or holds anything but plain arrays.
    """
    again = "run `python data_preprocessing.py` first"
    try:
        with open(path, "rb") as stream:
            split = _PlainUnpickler(stream).load()
    except FileNotFoundError:
        raise DataError(f"'{path}' is missing: {again}") from None
    except OSError as error:
        raise DataError(f"'{path}' cannot be read: {error.strerror}") from error
    except Exception as error:  # a damaged pickle can raise almost anything
        reason = " ".join(str(error).split())[:120] or type(error).__name__
        raise DataError(f"'{path}' is not this project's pickle ({reason}): {again}") from error
    parts = {"layout", "provenance", "settings", "distributed", "equalised"}
    if not isinstance(split, dict) or set(split) != parts or split["layout"] != LAYOUT:
        raise DataError(f"'{path}' has another layout than this version's: {again}")
    return split
