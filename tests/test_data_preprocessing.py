"""data_preprocessing.py: filling, scaling, the split that cannot leak, and the pickle."""

import os
import pickle
import re

import numpy as np
import pandas as pd
import pytest
from conftest import REAL, write_table
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter1d

import cnn_classifier
import data_preprocessing as step
from exoplanets.classifiers import keras_tools
from exoplanets.evaluation import metrics
from exoplanets.files import DataError
from exoplanets.lightcurves import equalise
from exoplanets.lightcurves.split import (
    DTYPES,
    LAYOUT,
    SPLIT_FILE,
    balance,
    fill_missing,
    load_split,
    save_split,
    split_rows,
)
from exoplanets.sources import kaggle, survey


# ------------------------------------------------------------------------ missing values
@settings(max_examples=60)
@given(st.integers(0, 10**6), st.floats(0, 0.9))
def test_filling_keeps_what_is_known_and_equals_pandas(seed, share):
    rng = np.random.default_rng(seed)
    flux = rng.normal(size=(5, 30))
    flux[rng.random(flux.shape) < share] = np.nan
    before = flux.copy()
    filled, was_missing = fill_missing(flux)
    np.testing.assert_array_equal(flux, before)
    np.testing.assert_array_equal(was_missing, np.isnan(before))
    np.testing.assert_array_equal(filled[~was_missing], before[~was_missing])
    expected = pd.DataFrame(before).interpolate(axis=1, limit_direction="both").to_numpy()
    np.testing.assert_allclose(filled, expected, rtol=1e-12)  # a star without any value: NaN


def test_filling_is_linear_in_time_and_flat_beyond_the_ends():
    flux = np.array([[np.nan, 1.0, np.nan, np.nan, 4.0, np.nan]])
    assert fill_missing(flux)[0].tolist() == [[1, 1, 2, 3, 4, 4]]
    whole = np.ones((2, 3))
    assert fill_missing(whole)[0] is whole  # no copy of 130 MB for nothing


def test_mostly_missing_stars_are_dropped_and_named(data_dir, dirs, stars, capsys):
    flux = stars.train_flux.copy()
    flux[5, :321] = np.nan  # 321 of 640: mostly missing
    flux[6, :320] = np.nan  # half: filled
    flux[20, 50:53] = np.nan
    write_table(data_dir / "exoTrain.csv", stars.train_labels, flux)
    step.main(dirs)
    out = capsys.readouterr().out
    assert "train: 644 missing values in 100 stars" in out
    assert "row 5 dropped: 50% of its values are missing" in out
    assert "2 stars filled by interpolation in time" in out
    assert "test: 0 missing values in 40 stars" in out
    view = load_split(data_dir / SPLIT_FILE)["distributed"]
    used = np.concatenate([view["row_train"], view["row_validation"]])
    assert 5 not in used
    for name in ("train", "validation", "test"):
        assert np.isfinite(view[f"x_{name}"]).all()
    filled = fill_missing(flux)[0].astype(np.float32)
    for name in ("train", "validation"):  # rows are still the file's, though one star is gone
        row = view[f"row_{name}"]
        np.testing.assert_array_equal(view[f"x_{name}"][row >= 0], filled[row[row >= 0]])


def test_a_class_that_is_all_missing_is_refused(data_dir, dirs, stars):
    flux = stars.train_flux.copy()
    flux[:8] = np.nan
    write_table(data_dir / "exoTrain.csv", stars.train_labels, flux)
    with pytest.raises(DataError, match=r"'exoTrain.csv' has a class whose stars"):
        step.main(dirs)
    assert not (data_dir / SPLIT_FILE).exists()


# ------------------------------------------------------------------------------- scaling
@given(st.integers(0, 1000), st.floats(1e-3, 1e5), st.floats(-1e4, 1e4))
def test_scaled_stars_have_mean_0_and_scatter_1_whatever_their_unit(seed, scale, shift):
    flux = np.random.default_rng(seed).normal(size=(3, 50))
    scaled = step.standard_scale(flux * scale + shift)
    np.testing.assert_allclose(scaled.mean(axis=1), 0, atol=1e-6)
    np.testing.assert_allclose(scaled.std(axis=1), 1, atol=1e-6)
    np.testing.assert_allclose(scaled, step.standard_scale(flux), atol=1e-5)


@given(st.floats(-1e6, 1e6))
def test_a_constant_star_is_scaled_to_0(value):
    np.testing.assert_allclose(step.standard_scale(np.full((1, 64), value)), 0, atol=1e-6)


# ----------------------------------------------------------------------------- balancing
def population(n_hosts, n_others, n_cadences=12):
    rng = np.random.default_rng(n_hosts)
    x = rng.normal(size=(n_hosts + n_others, n_cadences)).astype(np.float32)
    y = (np.arange(n_hosts + n_others) < n_hosts).astype(np.int8)
    order = rng.permutation(len(y))
    return x[order], y[order]


def test_balance_reaches_1_per_10_then_1_per_5():
    x, y = population(13, 400)
    new_x, new_y, source, notes = balance(x, y, seed=0)
    assert notes == []
    assert (new_y == 1).sum() == 40
    assert (new_y == 0).sum() == 200
    assert len(new_x) == len(new_y) == len(source)
    kept = source >= 0
    np.testing.assert_array_equal(new_x[kept], x[source[kept]])
    np.testing.assert_array_equal(new_y[kept], y[source[kept]])
    assert len(np.unique(source[kept])) == kept.sum()  # no star twice
    assert set(np.flatnonzero(y == 1)) <= set(source)  # no true host is lost
    assert (~kept).sum() == 40 - 13
    assert (new_y[~kept] == 1).all()
    assert new_x.dtype == np.float32


def test_made_hosts_lie_between_a_host_and_one_of_its_five_nearest():
    x, y = population(13, 400)
    new_x, _, source, _ = balance(x, y, seed=0)
    hosts = x[y == 1].astype(float)
    distance = np.linalg.norm(hosts[:, None] - hosts, axis=2)
    nearest = np.argsort(distance, axis=1)[:, 1:6]
    pairs = [(i, j) for i in range(13) for j in nearest[i]]
    for made in new_x[source < 0]:
        off = []
        for i, j in pairs:
            step_ = hosts[j] - hosts[i]
            along = np.clip((made - hosts[i]) @ step_ / (step_ @ step_), 0, 1)
            off.append(np.abs(made - hosts[i] - along * step_).max())
        assert min(off) < 1e-5


@pytest.mark.parametrize(
    ("n_hosts", "n_others", "after", "notes"),
    [
        (30, 148, (30, 148), ["SMOTE skipped: 30 hosts", "under-sampling skipped: 30 hosts"]),
        (10, 100, (10, 50), ["SMOTE skipped: 10 hosts are already 1 per 10 of 100"]),
        (10, 109, (10, 50), ["SMOTE skipped: 10 hosts"]),
        (3, 100, (10, 50), ["SMOTE neighbours lowered to 2: there are only 3 hosts"]),
        (1, 100, (1, 5), ["SMOTE skipped: .* there is only one"]),
        (20, 100, (20, 100), ["SMOTE skipped", "under-sampling skipped: 20 hosts .* 1 per 5"]),
        (50, 10, (50, 10), ["SMOTE skipped", "under-sampling skipped"]),
    ],
)
def test_small_or_balanced_sets_go_through_with_a_line(n_hosts, n_others, after, notes):
    x, y = population(n_hosts, n_others)
    _, new_y, _, found = balance(x, y, seed=0)
    assert ((new_y == 1).sum(), (new_y == 0).sum()) == after
    assert len(found) == len(notes)
    for note, expected in zip(found, notes, strict=True):
        assert re.match(expected, note), note


def test_balance_follows_its_seed():
    x, y = population(13, 400)
    one, two, other = (balance(x, y, seed)[0] for seed in (1, 1, 2))
    assert one.tobytes() == two.tobytes()
    assert one.shape == other.shape
    assert one.tobytes() != other.tobytes()


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


# ------------------------------------------------------------------------- the whole step
@pytest.fixture
def finished(data_dir, dirs, capsys):
    step.main(dirs)
    return load_split(data_dir / SPLIT_FILE), capsys.readouterr().out


def test_every_row_number_leads_back_to_its_star_in_the_file(finished, stars):
    view = finished[0]["distributed"]
    tables = {
        "train": (stars.train_flux, stars.train_labels),
        "validation": (stars.train_flux, stars.train_labels),
        "test": (stars.test_flux, stars.test_labels),
    }
    for name, (flux, labels) in tables.items():
        row = view[f"row_{name}"]
        true = row >= 0
        assert true.all() or name == "train"
        expected = flux[row[true]].astype(np.float32)
        np.testing.assert_array_equal(view[f"x_{name}"][true], expected)
        np.testing.assert_array_equal(view[f"y_{name}"][true], labels[row[true]] == 2)
        assert view[f"x_{name}"].dtype == np.float32
        assert set(np.unique(view[f"y_{name}"])) == {0, 1}
    np.testing.assert_array_equal(view["row_test"], np.arange(40))


def test_no_held_out_star_reaches_the_fit_not_even_through_smote(finished, stars):
    view, out = finished[0]["distributed"], finished[1]
    fit, held_out = view["row_train"], view["row_validation"]
    assert not set(fit) & set(held_out)
    assert (held_out >= 0).all()  # held out before SMOTE: none of them is made
    assert len(held_out) == 20 and view["y_validation"].sum() in (1, 2)
    # 6 hosts of 80 before, 7 after; the made one lies between two hosts of the fit part.
    made = view["x_train"][fit < 0].astype(float)
    n_fit_hosts = 8 - view["y_validation"].sum()
    assert (n_fit_hosts, len(made)) == (6, 1)
    hosts = [row for row in fit if 0 <= row < 8]
    assert len(hosts) == n_fit_hosts
    for curve in made:
        assert _off_segment(curve, stars.train_flux[hosts]) < 1e-3
    assert "validation stars, held out before balancing" in out


def _off_segment(curve, hosts):
    """Distance of a curve from the nearest segment between two hosts, relative to its length."""
    off = np.inf
    for a in hosts:
        for b in hosts:
            if a is not b and not np.array_equal(a, b):
                along = (curve - a) @ (b - a) / ((b - a) @ (b - a))
                along = np.clip(along, 0, 1)
                off = min(off, np.abs(curve - a - along * (b - a)).max() / np.ptp(b - a))
    return off


def test_smote_is_never_shown_a_held_out_star(data_dir, dirs, stars, monkeypatch):
    shown = []
    monkeypatch.setattr(step, "balance", lambda x, y, s: shown.append(x) or balance(x, y, s))
    step.main(dirs)
    view = load_split(data_dir / SPLIT_FILE)["distributed"]
    (x,) = shown
    assert len(x) == 80
    known = {curve.tobytes() for curve in x}
    assert not any(curve.tobytes() in known for curve in view["x_validation"])


def test_outlier_stars_leave_the_training_set_only(data_dir, dirs, stars, capsys):
    expected = step.find_outlier_stars(stars.train_flux, 7, 2)
    assert len(expected)
    step.main([*dirs, "--sigmas", "7"])
    out = capsys.readouterr().out
    split = load_split(data_dir / SPLIT_FILE)
    view = split["distributed"]
    assert not set(expected) & {*view["row_train"], *view["row_validation"]}
    assert len(view["y_test"]) == 40
    for row in expected:
        assert f"  row {row} (" in out
    assert split["settings"] == {"seed": 0, "sigmas": 7.0, "min_cadences": 2}


def test_class_sizes_are_printed_before_and_after(finished):
    split, out = finished
    y = split["distributed"]["y_train"]
    n_hosts = 8 - split["distributed"]["y_validation"].sum()
    assert f"before balancing: {n_hosts} hosts, {80 - n_hosts} non-hosts" in out
    assert f"after balancing: {(y == 1).sum()} hosts, {(y == 0).sum()} non-hosts" in out
    assert "test stars: 5 hosts, 35 non-hosts (1 per 7.0)" in out
    assert split["provenance"]["source"] == "user"


def test_figure_shows_each_star_filtered_along_time_only(dirs, stars, monkeypatch, tmp_path):
    drawn = []
    draw = step.draw_light_curves
    monkeypatch.setattr(step, "draw_light_curves", lambda *a, **k: drawn.append(a) or draw(*a, **k))
    step.main(dirs)
    flux, _, rows, *_ = drawn[0]
    assert rows.tolist() == [0, 1, 2, 8, 9, 10]
    for curve, row in zip(flux, rows, strict=True):  # one star at a time: nothing bleeds in
        alone = gaussian_filter1d(stars.train_flux[row], 3)
        np.testing.assert_allclose(curve, (alone - alone.mean()) / alone.std(), atol=1e-9)
    assert [p.name for p in (tmp_path / "plots").iterdir()] == ["spectra_gausSS.png"]


def test_same_seed_same_pickle(data_dir, dirs):
    path = data_dir / SPLIT_FILE
    pickles = []
    for seed in ("1", "1", "2"):
        step.main([*dirs, "--seed", seed])
        pickles.append(path.read_bytes())
    assert pickles[0] == pickles[1]
    assert pickles[0] != pickles[2]


@pytest.mark.skipif(not REAL.is_dir(), reason="no real stars beside this checkout")
def test_real_stars_go_through(tmp_path, capsys):
    for csv in kaggle.KAGGLE_SHA256:
        (tmp_path / csv).symlink_to(REAL / csv)
    step.main(["--data-dir", str(tmp_path), "--plots-dir", str(tmp_path)])
    out = capsys.readouterr().out
    assert "before balancing: 24 hosts, 118 non-hosts" in out
    assert "SMOTE skipped: 24 hosts are already 1 per 10" in out
    assert "test stars: 7 hosts, 70 non-hosts" in out
    view = load_split(tmp_path / SPLIT_FILE)["distributed"]
    assert view["x_train"].shape == (142, 3197)


# ---------------------------------------------------------------------------- the pickle
class Hostile:
    """Its pickle asks the reader to make a file."""

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return (os.mkdir, (self.path,))


@pytest.mark.parametrize("protocol", [0, 2, 5])
def test_a_hostile_pickle_runs_nothing(protocol, tmp_path):
    path, trap = tmp_path / "preprocessed_data.pkl", tmp_path / "trap"
    content = pickle.dumps({"layout": LAYOUT, "x": Hostile(trap)}, protocol)
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
    path.write_bytes(pickle.dumps({"layout": LAYOUT, "x": Pointers()}, 5))
    with pytest.raises(DataError):
        load_split(path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "is missing: run `python data_preprocessing.py` first"),
        (b"", "not this project's pickle"),
        (b"no pickle at all", "not this project's pickle"),
        (pickle.dumps([1, 2]), "has another layout"),
        (pickle.dumps({"layout": -1}), "has another layout"),
        (pickle.dumps({"x_train": np.ones(3)}, 5), "has another layout"),
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


@pytest.mark.parametrize("share", [0.01, 0.5, 0.999])
def test_a_truncated_pickle_is_refused(share, data_dir, dirs):
    step.main(dirs)
    path = data_dir / SPLIT_FILE
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(DataError, match="not this project's pickle"):
        load_split(path)


@pytest.mark.parametrize("code", ["f2", ">f4", ">i8", "c8", "U3", "S3", "M8[s]", "V4"])
def test_an_array_of_any_other_type_is_refused(code, tmp_path):
    path = tmp_path / "preprocessed_data.pkl"
    path.write_bytes(pickle.dumps({"x": np.zeros(2, code)}, 5))
    with pytest.raises(DataError, match="not this project's pickle"):
        load_split(path)


def test_an_array_longer_than_its_bytes_is_refused(tmp_path):
    """A shape of a pickle's own choosing must not reach memory beyond its buffer."""
    path = tmp_path / "preprocessed_data.pkl"
    content = pickle.dumps({"layout": LAYOUT, "x": np.zeros((2, 3))}, 5)
    shape = b"K\x02K\x03\x86"
    assert content.count(shape) == 1
    path.write_bytes(content.replace(shape, b"K\x02K\x7f\x86"))
    with pytest.raises(DataError, match="not this project's pickle.*cannot reshape"):
        load_split(path)


def test_split_survives_the_round_trip_bit_for_bit(tmp_path):
    rng = np.random.default_rng(0)
    arrays = {code: (100 * rng.random((4, 9))).astype(code) for code in DTYPES}
    arrays |= {
        "row_train": np.array([5, -1, 2, 0]),
        "empty": np.zeros((2, 0), bool),
        "columns": np.asfortranarray(np.arange(6).reshape(2, 3))[:, ::2],
        "turned": np.arange(12.0).reshape(3, 4).T,
    }
    split = {
        "layout": LAYOUT,
        "provenance": {"source": "user", "train": {"file": "a", "sha256": "0"}},
        "settings": {"seed": 3, "sigmas": 60.0},
        "distributed": dict(arrays),
        "equalised": {"x_test": arrays["f4"]},
    }
    save_split(tmp_path / "split.pkl", split)
    loaded = load_split(tmp_path / "split.pkl")
    assert loaded["settings"] == split["settings"]
    assert loaded["provenance"] == split["provenance"]
    assert set(loaded["distributed"]) == set(arrays)
    for name, array in arrays.items():
        found = loaded["distributed"][name]
        assert (found.dtype, found.shape) == (array.dtype, array.shape)
        np.testing.assert_array_equal(found, array)
        found[...] = 0  # the next stage owns what it has read


# -------------------------------------------------------------------------- equalised stars
def with_labels(data_dir, dirs, labels, flux):
    """The split of a training table with other labels."""
    write_table(data_dir / "exoTrain.csv", labels, flux)
    step.main(dirs)
    return load_split(data_dir / SPLIT_FILE)


def curves_by_row(view, names=("train", "validation")):
    return {
        int(row): curve.tobytes()
        for name in names
        for row, curve in zip(view[f"row_{name}"], view[f"x_{name}"], strict=True)
    }


def test_equalised_stars_are_those_as_distributed_less_the_resampling(finished, stars):
    split = finished[0]
    distributed, view = split["distributed"], split["equalised"]
    for name in ("validation", "test"):
        assert set(view[f"row_{name}"]) == set(distributed[f"row_{name}"])
        assert len(view[f"row_{name}"]) == len(distributed[f"row_{name}"])
    fit = distributed["row_train"]
    assert set(fit[fit >= 0]) <= set(view["row_train"])  # under-sampling took some
    assert not set(view["row_train"]) & set(view["row_validation"])
    assert len(view["row_train"]) + len(view["row_validation"]) == 100
    assert (view["y_train"].sum(), view["y_validation"].sum()) == (6, 2)
    for name, labels in (("train", stars.train_labels), ("test", stars.test_labels)):
        np.testing.assert_array_equal(view[f"y_{name}"], labels[view[f"row_{name}"]] == 2)
    for name in ("train", "validation", "test"):
        assert view[f"x_{name}"].shape[1] == equalise.common_length(640)
        assert view[f"x_{name}"].dtype == np.float32
    assert "equalised: every star cut to 576 measured cadences" in finished[1]


def test_every_equalised_row_is_its_raw_row_equalised(finished, stars):
    view = finished[0]["equalised"]
    for name in ("train", "validation", "test"):
        flux = stars.test_flux if name == "test" else stars.train_flux
        expected = equalise.equalise_table(flux)[0][view[f"row_{name}"]]
        np.testing.assert_array_equal(view[f"x_{name}"], expected)


def test_no_label_is_looked_at(data_dir, dirs, stars):
    """With labels permuted every star keeps its curve, bit for bit."""
    found = []
    for seed in (None, 1, 2):
        labels = stars.train_labels
        if seed is not None:
            labels = np.random.default_rng(seed).permutation(labels)
        found.append(with_labels(data_dir, dirs, labels, stars.train_flux))
    curves = [curves_by_row(split["equalised"]) for split in found]
    assert len(curves[0]) == 100
    assert curves[0] == curves[1] == curves[2]
    assert set(found[0]["equalised"]["row_train"]) != set(found[1]["equalised"]["row_train"])


def test_the_place_of_a_star_in_the_view_does_not_tell_its_label(finished):
    view = finished[0]["equalised"]
    for name in ("train", "test"):
        place = np.flatnonzero(view[f"y_{name}"] == 1)
        assert place.max() > 0.6 * len(view[f"y_{name}"])  # in the file all hosts come first
        assert np.any(np.diff(view[f"row_{name}"]) < 0)


def test_gaps_are_left_out_of_equalised_stars_not_filled(data_dir, dirs, stars):
    flux = stars.train_flux.copy()
    flux[40, 200:230] = np.nan
    view = with_labels(data_dir, dirs, stars.train_labels, flux)["equalised"]
    expected = equalise.equalise_table(flux[40:41])[0][0]
    assert curves_by_row(view)[40] == expected.tobytes()


def test_a_star_that_cannot_be_equalised_is_named_and_stays_as_distributed(
    data_dir, dirs, stars, capsys
):
    flux = stars.train_flux.copy()
    flux[40, 100:300] = 7.0  # 199 repeats: too few cadences are left
    split = with_labels(data_dir, dirs, stars.train_labels, flux)
    out = capsys.readouterr().out
    assert re.search(r"(train|validation) row 40 left out of 'equalised': only 4\d\d of 640", out)
    assert len(curves_by_row(split["equalised"])) == 99


def test_curves_too_short_to_be_equalised_are_refused(data_dir, dirs, stars):
    for csv, flux, labels in (
        ("exoTrain.csv", stars.train_flux, stars.train_labels),
        ("exoTest.csv", stars.test_flux, stars.test_labels),
    ):
        write_table(data_dir / csv, labels, flux[:, :300])
    with pytest.raises(DataError, match="'exoTrain.csv': light curves of 300 cadences"):
        step.main(dirs)
    assert not (data_dir / SPLIT_FILE).exists()


def test_with_shuffled_labels_the_published_network_stays_at_chance():
    """The control of the whole path: balanced, trained and stopped as ever, it learns nothing."""
    made = survey.simulate(300, 240, 50, 60, n_cadences=600, seed=9)
    rng = np.random.default_rng(1)
    train, test = (
        (flux, rng.permutation(labels == 2), np.arange(len(flux)), None)
        for flux, labels in (
            (made.train_flux, made.train_labels),
            (made.test_flux, made.test_labels),
        )
    )
    fit, held_out = split_rows(train[1], 0)
    view, _ = step.make_distributed(train, test, fit, held_out, 0)
    settings = cnn_classifier.PublishedSettings(
        filters=(4, 3), dense=(8, 4), epochs=6, batch_size=32
    )
    data = ((view[f"x_{name}"], view[f"y_{name}"]) for name in ("train", "validation"))
    model, _ = cnn_classifier.train_published(*data, settings, seed=0)
    for name in ("test", "validation"):
        y, score = view[f"y_{name}"], keras_tools.predict(model, view[f"x_{name}"])
        low, high = metrics.roc_auc_interval(y, score, rng)
        assert low <= 0.5 <= high, name
        assert np.ptp(score) > 0.05, name  # it has an opinion
