"""lightcurves/split.py: the split that cannot leak, and the pickle that cannot lie."""

import dataclasses
import os
import pickle

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

import data_preprocessing
from data_preprocessing import balance_fit_stars
from exoplanets.dependencies import digest_code
from exoplanets.files import DataError
from exoplanets.lightcurves import split as room
from exoplanets.lightcurves.gaps import fill_gaps
from exoplanets.lightcurves.prepared import prepare
from exoplanets.lightcurves.split import (
    PARTS,
    load_split,
    make_distributed,
    save_split,
    split_rows,
    split_stars,
    to_stars,
)
from exoplanets.stars import SPLITS

CODE = digest_code(room.__file__)
SETTINGS = {"seed": 3, "sigmas": 60.0, "min_cadences": 2}


# ----------------------------------------------------------------------------- the split
@given(st.integers(2, 40), st.integers(2, 200), st.integers(0, 99))
def test_split_is_stratified_whole_and_disjoint(n_hosts, n_others, seed):
    is_host = np.random.default_rng(seed).permutation(np.arange(n_hosts + n_others) < n_hosts)
    fit, held_out = split_rows(is_host, seed)
    together = np.sort(np.concatenate([fit, held_out]))
    np.testing.assert_array_equal(together, np.arange(len(is_host)))
    for member in (is_host, ~is_host):
        n = member.sum()
        assert 1 <= member[held_out].sum() <= n - 1
        assert abs(member[held_out].sum() - 0.2 * n) < 1
    again = split_rows(is_host, seed)
    np.testing.assert_array_equal(fit, again[0])


def test_too_few_stars_to_hold_any_out_are_refused():
    with pytest.raises(DataError, match=r"1 host\(s\) and 5 non-host\(s\) are left"):
        split_rows(np.arange(6) < 1, 0)


@pytest.fixture(scope="module")
def ready(labelled, tmp_path_factory):
    """The small survey, equalised."""
    return prepare(*labelled, tmp_path_factory.mktemp("ready"))


@pytest.fixture(scope="module")
def parted(ready):
    """The small survey, split; one star is an outlier."""
    is_outlier = np.arange(len(ready.stars)) == 30
    return split_stars(ready.stars, is_outlier, 3)


def find_raw(stars, table, row):
    """Index of one star of a file."""
    return int(np.flatnonzero((stars.table == table) & (stars.row == row))[0])


def test_every_star_but_the_outliers_is_in_one_part(parted, ready):
    assert len(parted) == 139
    assert "train row 30" not in parted.names
    assert len(set(parted.names)) == 139
    assert set(parted.split[parted.table == "train"]) == {"train", "validation"}
    assert set(parted.split[parted.table == "test"]) == {"test"}
    assert sum(parted.split == "validation") == 20
    for i in range(0, 139, 17):  # what belongs to a star stays with it
        j = find_raw(ready.stars, parted.table[i], parted.row[i])
        np.testing.assert_array_equal(parted.curves[i], ready.stars.curves[j])
        np.testing.assert_array_equal(parted.flux[i], ready.stars.flux[j].astype(np.float32))
        assert parted.is_host[i] == ready.stars.is_host[j]


def test_the_place_of_a_star_does_not_tell_its_label(parted):
    for name in ("train", "test"):
        part = parted.select(parted.split == name)
        place = np.flatnonzero(part.is_host)
        assert place.max() > 0.6 * len(part)  # in the file all hosts come first
        assert np.any(np.diff(part.row) < 0)


def test_the_distributed_view_holds_the_file_in_its_order(parted, ready):
    view = make_distributed(parted)
    for name in SPLITS:
        row, x = view[f"row_{name}"], view[f"x_{name}"]
        assert np.all(np.diff(row) > 0)
        table = "test" if name == "test" else "train"
        raw = ready.stars.select(ready.stars.table == table)
        np.testing.assert_array_equal(x, raw.flux[row].astype(np.float32))
        np.testing.assert_array_equal(view[f"y_{name}"], raw.y[row])
        assert x.dtype == np.float32


def test_no_held_out_star_reaches_the_fit_not_even_through_smote(parted, monkeypatch):
    shown, balance = [], data_preprocessing.balance
    monkeypatch.setattr(
        data_preprocessing, "balance", lambda x, *rest: shown.append(x) or balance(x, *rest)
    )
    view, _ = balance_fit_stars(make_distributed(parted), 0)
    (x,) = shown
    assert len(x) == sum(parted.split == "train")
    known = {curve.tobytes() for curve in x}
    assert not any(curve.tobytes() in known for curve in view["x_validation"])
    assert not set(view["row_train"]) & set(view["row_validation"])
    made = view["x_train"][view["row_train"] < 0].astype(float)
    hosts = fill_gaps(parted.flux[(parted.split == "train") & parted.is_host])
    assert len(made)
    for curve in made:  # between two hosts of the fit part
        assert _off_segment(curve, hosts) < 1e-3


def _off_segment(curve, hosts):
    """Distance of a curve from the nearest segment between two hosts, relative to its length."""
    off = np.inf
    for a in hosts:
        for b in hosts:
            if not np.array_equal(a, b):
                along = np.clip((curve - a) @ (b - a) / ((b - a) @ (b - a)), 0, 1)
                off = min(off, np.abs(curve - a - along * (b - a)).max() / np.ptp(b - a))
    return off


def test_gaps_are_filled_in_the_distributed_view_alone(ready):
    flux = ready.stars.flux.copy()
    flux[40, 200:230] = np.nan
    parted = split_stars(ready.stars.replace(flux=flux), np.zeros(len(flux), bool), 0)
    view = make_distributed(parted)
    assert all(np.isfinite(view[f"x_{name}"]).all() for name in SPLITS)
    assert np.isnan(parted.flux).sum() == 30


# ---------------------------------------------------------------------------- the pickle
@pytest.fixture(scope="module")
def written(parted, ready, labelled, tmp_path_factory):
    """The path of a split as step 3 writes it; every 32nd cadence was lost."""
    path = tmp_path_factory.mktemp("written") / "preprocessed_data.pkl"
    distributed, _ = balance_fit_stars(make_distributed(parted), 0)
    lost = np.arange(640) % 32 == 5
    campaign = dataclasses.replace(ready.campaign, lost=lost, missing=lost)
    save_split(path, labelled[1], SETTINGS, campaign, parted, distributed)
    return path


def test_a_split_survives_the_round_trip_bit_for_bit(written, parted, labelled):
    split = load_split(written)
    assert split["settings"] == SETTINGS
    assert split["provenance"] == labelled[1]
    distributed, _ = balance_fit_stars(make_distributed(parted), 0)
    for name, array in distributed.items():
        np.testing.assert_array_equal(split["distributed"][name], array)
        assert split["distributed"][name].dtype == array.dtype
        split["distributed"][name][...] = 0  # the next stage owns what it has read


def test_the_stars_of_a_split_are_those_that_were_split(written, parted):
    stars = to_stars(load_split(written), "equalised")
    for name in ("table", "row", "is_host", "split", "curves"):
        np.testing.assert_array_equal(getattr(stars, name), getattr(parted, name))
    np.testing.assert_array_equal(stars.flux, parted.flux)
    assert stars.cadence.shape == stars.flux.shape
    filled = np.count_nonzero(np.diff(stars.flux, axis=1) == 0, axis=1) > 30
    assert np.sum(filled) == 13
    np.testing.assert_array_equal(stars.cadence[filled], np.tile(np.arange(640), (13, 1)))
    others = np.setdiff1d(np.arange(660), np.arange(5, 640, 32))  # what the campaign lost
    np.testing.assert_array_equal(stars.cadence[~filled], np.tile(others[:640], (126, 1)))


def test_the_stars_of_the_distributed_view_are_filled_and_balanced(written):
    split = load_split(written)
    stars = to_stars(split, "distributed")
    for name in SPLITS:
        part = stars.select(stars.split == name)
        np.testing.assert_array_equal(part.flux, split["distributed"][f"x_{name}"])
        np.testing.assert_array_equal(part.y, split["distributed"][f"y_{name}"])
        np.testing.assert_array_equal(part.row, split["distributed"][f"row_{name}"])
        assert set(part.table) == {"test" if name == "test" else "train"}


class Hostile:
    """Its pickle asks the reader to make a file."""

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return (os.mkdir, (self.path,))


@pytest.mark.parametrize("protocol", [0, 2, 5])
def test_a_hostile_pickle_runs_nothing(protocol, tmp_path):
    path, trap = tmp_path / "preprocessed_data.pkl", tmp_path / "trap"
    content = pickle.dumps({"code": CODE, "x": Hostile(trap)}, protocol)
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"not this project's pickle \(it names .*mkdir"):
        load_split(path)
    assert not trap.exists()
    pickle.loads(content)
    assert trap.exists()  # the trap was a working one


@pytest.mark.parametrize(
    ("module", "name"),
    [("builtins", "eval"), ("numpy", "load"), ("numpy", "ndarray.tofile"), ("os", "system")],
)
def test_nothing_but_arrays_is_looked_up(module, name, tmp_path):
    path = tmp_path / "preprocessed_data.pkl"
    named = b"".join(b"\x8c" + bytes([len(t)]) + t.encode() for t in (module, name))
    path.write_bytes(b"\x80\x04" + named + b"\x93.")
    with pytest.raises(DataError, match=f"it names {module}.{name}"):
        load_split(path)


class Pointers:
    """Its pickle asks for an array of objects at addresses of its own choosing."""

    def __reduce__(self):
        return (np.ndarray, ((0,), "O", b"\x01" * 8))  # length 0: harmless if it is let in


def test_an_array_of_objects_is_refused(tmp_path):
    path = tmp_path / "preprocessed_data.pkl"
    path.write_bytes(pickle.dumps({"code": CODE, "x": Pointers()}, 5))
    with pytest.raises(DataError):
        load_split(path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "is missing: run `python data_preprocessing.py` first"),
        (b"", "not this project's pickle"),
        (b"no pickle at all", "not this project's pickle"),
        (pickle.dumps([1, 2]), "was not made by this version"),
        (pickle.dumps({"code": "of yore"}), "was not made by this version"),
        (pickle.dumps({"x_train": np.ones(3)}, 5), "was not made by this version"),
        (pickle.dumps({"x_train": np.ones(3)}, 4), "it names numpy._core.multiarray"),
        (pickle.dumps(pd.DataFrame({"a": [1]})), "not this project's pickle"),
    ],
)
def test_other_or_damaged_pickles_are_refused_in_one_line(content, message, tmp_path):
    path = tmp_path / "preprocessed_data.pkl"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(DataError, match=message) as error:
        load_split(path)
    assert "\n" not in str(error.value)
    assert str(path) in str(error.value)
    assert "data_preprocessing.py" in str(error.value)


def test_a_pipe_in_its_place_is_not_waited_for(tmp_path):
    path = tmp_path / "preprocessed_data.pkl"
    os.mkfifo(path)
    with pytest.raises(DataError, match="cannot be read: it is no ordinary file"):
        load_split(path)


@pytest.mark.parametrize("share", [0.01, 0.5, 0.999])
def test_a_truncated_pickle_is_refused(share, written, tmp_path):
    content = written.read_bytes()
    path = tmp_path / "preprocessed_data.pkl"
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(DataError, match="not this project's pickle"):
        load_split(path)


@pytest.mark.parametrize("code", ["f2", ">f4", ">i8", "c8", ">U3", "S3", "M8[s]", "V4"])
def test_an_array_of_any_other_type_is_refused(code, tmp_path):
    path = tmp_path / "preprocessed_data.pkl"
    path.write_bytes(pickle.dumps({"x": np.zeros(2, code)}, 5))
    with pytest.raises(DataError, match="not this project's pickle"):
        load_split(path)


def test_an_array_longer_than_its_bytes_is_refused(tmp_path):
    """A shape of a pickle's own choosing must not reach memory beyond its buffer."""
    path = tmp_path / "preprocessed_data.pkl"
    content = pickle.dumps({"code": CODE, "x": np.zeros((2, 3))}, 5)
    shape = b"K\x02K\x03\x86"
    assert content.count(shape) == 1
    path.write_bytes(content.replace(shape, b"K\x02K\x7f\x86"))
    with pytest.raises(DataError, match="not this project's pickle.*cannot reshape"):
        load_split(path)


def change(written, path, edit, *, honest):
    """Write a split that was edited, with its digest made to agree if `honest`."""
    with open(written, "rb") as stream:
        split = pickle.load(stream)
    edit(split)
    if honest:
        split["sha256"] = room._find_digest(split)
    path.write_bytes(pickle.dumps(split, 5))


def put(kind, name, make):
    def edit(split):
        split[kind][name] = make(split[kind][name])

    return edit


def put_nan(x):
    x = x.copy()
    x[0, 5] = np.nan
    return x


EDITS = {
    "labels times 7": (put("equalised", "y_train", lambda y: y * 7), "neither 0 nor 1"),
    "labels all 0": (put("distributed", "y_train", lambda y: y * 0), "stars of one class only"),
    "labels turned round": (put("equalised", "y_test", lambda y: 1 - y), "test stars differ"),
    "labels too few": (put("equalised", "y_test", lambda y: y[1:]), "different lengths"),
    "rows too few": (put("distributed", "row_test", lambda r: r[1:]), "different lengths"),
    "rows moved": (put("equalised", "row_train", lambda r: r[::-1].copy()), "train stars differ"),
    "curves too short": (
        put("equalised", "x_train", lambda x: x[:, 1:].copy()),
        "different lengths",
    ),
    "curves of float64": (put("equalised", "x_test", np.float64), "of another type"),
    "a missing value": (put("distributed", "x_test", put_nan), "x_test is not finite"),
    "an infinite flux": (put("flux", "test", lambda f: f * np.float32(np.inf)), "infinite"),
    "flux left out": (lambda split: split["flux"].pop("test"), "test"),
    "flux of fewer stars": (put("flux", "train", lambda f: f[1:].copy()), "train flux of another"),
    "no view": (lambda split: split.pop("equalised"), "equalised"),
    "a campaign too short": (put("campaign", "lost", lambda a: a[1:].copy()), "do not fit"),
    "no campaign": (lambda split: split.pop("campaign"), "campaign"),
    "no provenance": (put("provenance", "source", lambda s: "moon"), "moon"),
}


@pytest.mark.filterwarnings("ignore:invalid value")
@pytest.mark.parametrize("name", EDITS)
def test_content_that_cannot_be_right_is_refused_in_one_line(name, written, tmp_path):
    edit, reason = EDITS[name]
    path = tmp_path / "preprocessed_data.pkl"
    if name not in ("no view", "no campaign"):  # such a one has no digest
        change(written, path, edit, honest=True)
        with pytest.raises(DataError, match=f"is damaged .*{reason}") as error:
            load_split(path)
        assert "\n" not in str(error.value)
        assert "run `python data_preprocessing.py` first" in str(error.value)
    change(written, path, edit, honest=False)
    with pytest.raises(DataError, match="is damaged"):
        load_split(path)


@pytest.mark.parametrize("part", PARTS[:3])
def test_any_other_number_than_was_written_is_refused(part, written, tmp_path):
    """Even one that could be right: a bit was flipped, or a hand was at work."""
    path = tmp_path / "preprocessed_data.pkl"

    def edit(split):
        name = next(name for name in split[part] if split[part][name].dtype == np.float32)
        array = split[part][name].copy()
        array[1, 1] += 1
        split[part][name] = array

    change(written, path, edit, honest=True)
    load_split(path)
    change(written, path, edit, honest=False)
    with pytest.raises(DataError, match="its content changed since it was written"):
        load_split(path)
