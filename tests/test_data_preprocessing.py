"""data_preprocessing.py: what the network may see, and what step 2 hands over to step 3."""

import re

import numpy as np
import pytest
from conftest import REAL, write_table
from hypothesis import given
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter1d

import cnn_classifier
import data_analysis
import data_preprocessing as step
from exoplanets.evaluation import metrics
from exoplanets.files import DataError
from exoplanets.lightcurves import equalise, prepared
from exoplanets.lightcurves.campaign import Campaign
from exoplanets.lightcurves.outliers import OutlierRule
from exoplanets.lightcurves.split import SPLIT_FILE, load_split, split_stars, to_stars
from exoplanets.sources import survey
from exoplanets.stars import SPLITS, TABLES, Stars


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


# ------------------------------------------------------------------------- the whole step
SAVE_FIGURE = step.save_figure


@pytest.fixture(autouse=True)
def _unsaved(monkeypatch):
    """The figure is not saved, which takes longer than all else; the test that is about it does."""
    monkeypatch.setattr(step, "save_figure", lambda *_: None)


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
    assert finished[0]["provenance"]["source"] == "user"


def test_outlier_stars_leave_the_training_set_only(data_dir, dirs, stars, capsys):
    expected = np.flatnonzero(OutlierRule(7, 2).find(stars.train_flux))
    assert len(expected)
    step.main([*dirs, "--sigmas", "7"])
    out = capsys.readouterr().out
    split = load_split(data_dir / SPLIT_FILE)
    for view in (split["distributed"], split["equalised"]):
        assert not set(expected) & {*view["row_train"], *view["row_validation"]}
        assert len(view["y_test"]) == 40
    for row in expected:
        assert f"  train row {row} (" in out
    assert split["settings"] == {
        "seed": 0, "sigmas": 7.0, "min_cadences": 2,
        "balancing": {"smote": 0.1, "undersampling": 0.2},
    }  # fmt: skip


def test_class_sizes_are_printed_before_and_after(finished):
    split, out = finished
    y = split["distributed"]["y_train"]
    n_hosts = 8 - split["distributed"]["y_validation"].sum()
    assert f"before balancing: {n_hosts} hosts, {80 - n_hosts} non-hosts" in out
    assert f"after balancing: {(y == 1).sum()} hosts, {(y == 0).sum()} non-hosts" in out
    assert "test stars: 5 hosts, 35 non-hosts (1 per 7.0)" in out


def test_figure_shows_each_star_filtered_along_time_only(dirs, stars, monkeypatch, tmp_path):
    drawn = []
    draw = step.draw_light_curves
    monkeypatch.setattr(step, "draw_light_curves", lambda *a, **k: drawn.append(a) or draw(*a, **k))
    monkeypatch.setattr(step, "save_figure", SAVE_FIGURE)
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
    for csv in TABLES.values():
        (tmp_path / csv).symlink_to(REAL / csv)
    step.main(["--data-dir", str(tmp_path), "--plots-dir", str(tmp_path)])
    out = capsys.readouterr().out
    assert "before balancing: 24 hosts, 118 non-hosts" in out
    assert "SMOTE skipped: 24 hosts are already 1 per 10" in out
    assert "test stars: 7 hosts, 70 non-hosts" in out
    view = load_split(tmp_path / SPLIT_FILE)["distributed"]
    assert view["x_train"].shape == (142, 3197)


# -------------------------------------------------------------------- what step 2 hands over
@pytest.fixture
def equalisations(monkeypatch):
    """The list of the numbers of stars that were equalised, one per call."""
    calls, equalise_table = [], prepared.equalise_table

    def counted(flux, *rest):
        calls.append(len(flux))
        return equalise_table(flux, *rest)

    monkeypatch.setattr(prepared, "equalise_table", counted)
    return calls


@pytest.fixture
def step_2(monkeypatch):
    """Step 2 without its audit and its figures: it hands over neither."""
    monkeypatch.setattr(data_analysis, "audit", lambda *_: {})
    monkeypatch.setattr(data_analysis, "print_leaks", lambda _: None)
    monkeypatch.setattr(data_analysis, "draw_all", lambda *_: {})
    return data_analysis.main


def test_step_3_takes_what_step_2_computed(data_dir, dirs, step_2, equalisations, capsys):
    step_2(dirs)
    step.main(dirs)
    assert equalisations == [140]
    assert f"taking the equalised stars from '{data_dir / 'equalised.npz'}'" in (
        capsys.readouterr().err
    )
    kept = (data_dir / SPLIT_FILE).read_bytes()
    (data_dir / "equalised.npz").unlink()
    step.main(dirs)  # alone it computes the same
    assert equalisations == [140, 140]
    assert (data_dir / SPLIT_FILE).read_bytes() == kept


def test_step_3_takes_the_outlier_rule_of_step_2(data_dir, dirs, step_2, capsys):
    step_2([*dirs, "--sigmas", "7", "--min-cadences", "1"])
    step.main(dirs)
    settings = load_split(data_dir / SPLIT_FILE)["settings"]
    assert (settings["sigmas"], settings["min_cadences"]) == (7, 1)
    capsys.readouterr()
    step.main([*dirs, "--sigmas", "6"])  # but for what is asked for
    assert "the outlier rule asked for differs from that of step 2" in capsys.readouterr().err
    settings = load_split(data_dir / SPLIT_FILE)["settings"]
    assert (settings["sigmas"], settings["min_cadences"]) == (6, 1)
    step.main(dirs)  # which does not last
    assert load_split(data_dir / SPLIT_FILE)["settings"]["sigmas"] == 7


def test_steps_2_and_3_have_the_same_rule_by_themselves():
    assert (data_analysis.SIGMAS, data_analysis.MIN_CADENCES) == (step.SIGMAS, step.MIN_CADENCES)


# ----------------------------------------------------------------------------- missing values
def with_flux(data_dir, dirs, stars, change):
    """The split of a changed training table."""
    flux = stars.train_flux.copy()
    change(flux)
    write_table(data_dir / "exoTrain.csv", stars.train_labels, flux)
    step.main(dirs)
    return load_split(data_dir / SPLIT_FILE)


def test_mostly_missing_stars_are_left_out_and_named(data_dir, dirs, stars, capsys):
    def change(flux):
        flux[5, :321] = np.nan  # 321 of 640: mostly missing
        flux[20, 50:53] = np.nan

    split = with_flux(data_dir, dirs, stars, change)
    assert "  left out: train row 5: 50% of its values are missing\n" in capsys.readouterr().out
    for view in (split["distributed"], split["equalised"]):
        used = np.concatenate([view["row_train"], view["row_validation"]])
        assert 5 not in used
        assert 20 in used or view is split["distributed"]  # it may be under-sampled there
        assert all(np.isfinite(view[f"x_{name}"]).all() for name in SPLITS)
    assert np.isnan(to_stars(split, "equalised").flux).sum() == 3  # missing stays missing


def test_a_class_that_is_all_missing_is_refused(data_dir, dirs, stars):
    def change(flux):
        flux[:8] = np.nan

    with pytest.raises(DataError, match="no host of the train table can be used; the first star"):
        with_flux(data_dir, dirs, stars, change)
    assert not (data_dir / SPLIT_FILE).exists()


def test_a_table_without_any_value_is_refused_by_name(data_dir, dirs, stars):
    def change(flux):
        flux[:] = np.nan

    with pytest.raises(DataError, match="first star left out is train row 0: 100% of its values"):
        with_flux(data_dir, dirs, stars, change)


# -------------------------------------------------------------------------- equalised stars
def curves_by_row(split):
    stars = to_stars(split, "equalised")
    stars = stars.select(stars.table == "train")
    return {int(r): c.tobytes() for r, c in zip(stars.row, stars.curves, strict=True)}


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
    assert f"equalised: 140 stars, {view['x_train'].shape[1]} cadences each" in finished[1]


def test_no_label_is_looked_at(data_dir, dirs, stars):
    """With labels permuted every star keeps its curve, bit for bit."""
    found = []
    for seed in (None, 1, 2):
        labels = stars.train_labels
        if seed is not None:
            labels = np.random.default_rng(seed).permutation(labels)
        write_table(data_dir / "exoTrain.csv", labels, stars.train_flux)
        step.main(dirs)
        found.append(load_split(data_dir / SPLIT_FILE))
    curves = [curves_by_row(split) for split in found]
    assert len(curves[0]) == 100
    assert curves[0] == curves[1] == curves[2]
    assert set(found[0]["equalised"]["row_train"]) != set(found[1]["equalised"]["row_train"])


def test_gaps_are_left_out_of_equalised_stars_not_filled(data_dir, dirs, stars):
    def change(flux):
        flux[40, 200:230] = np.nan

    split = with_flux(data_dir, dirs, stars, change)
    change(flux := stars.train_flux.copy())
    campaign = Campaign.from_arrays(split["campaign"])
    expected = equalise.equalise_table(flux[40:41], campaign).curves[0]
    found = np.frombuffer(curves_by_row(split)[40], np.float32)
    np.testing.assert_array_equal(found, expected)  # alone or among others


def test_a_star_that_cannot_be_equalised_is_left_out_and_named(data_dir, dirs, stars, capsys):
    def change(flux):
        flux[40, 100:300] = 7.0  # 199 repeats: too few cadences are left
        flux[41] = 3.0  # constant

    split = with_flux(data_dir, dirs, stars, change)
    out = capsys.readouterr().out
    assert re.search(r"  left out: train row 40: only 4\d\d of 640 cadences were measured", out)
    assert re.search(r"  left out: train row 41: only 1 of 640 cadences were measured", out)
    assert curves_by_row(split).keys() == set(range(100)) - {40, 41}


def test_curves_too_short_to_be_equalised_are_refused(data_dir, dirs, stars):
    for csv, flux, labels in (
        ("exoTrain.csv", stars.train_flux, stars.train_labels),
        ("exoTest.csv", stars.test_flux, stars.test_labels),
    ):
        write_table(data_dir / csv, labels, flux[:, :300])
    with pytest.raises(DataError, match="has 300 flux columns: at least 500 cadences"):
        step.main(dirs)
    assert not (data_dir / SPLIT_FILE).exists()


def test_with_shuffled_labels_the_published_network_stays_at_chance():
    """The control of the whole path: balanced, trained and stopped as ever, it learns nothing."""
    made = survey.simulate(300, 240, 50, 60, n_cadences=600, seed=9)
    rng = np.random.default_rng(1)
    is_host = [rng.permutation(labels == 2) for labels in (made.train_labels, made.test_labels)]
    flux = np.concatenate([made.train_flux, made.test_flux])
    stars = Stars(
        table=np.repeat(["train", "test"], [300, 240]),
        row=np.r_[:300, :240],
        is_host=np.concatenate(is_host),
        flux=flux,
        curves=np.zeros((540, 1), np.float32),
    )
    stars = split_stars(stars, np.zeros(540, bool), 0)
    parts = {name: stars.select(stars.split == name) for name in SPLITS}
    settings = cnn_classifier.PublishedSettings(
        filters=(4, 3), dense=(8, 4), epochs=6, batch_size=32
    )
    network = cnn_classifier.Published(settings).fit(parts["train"], parts["validation"], seed=0)
    for name in ("test", "validation"):
        y, score = parts[name].y, network.score(parts[name])
        low, high = metrics.roc_auc_interval(y, score, rng)
        assert low <= 0.5 <= high, name
        assert np.ptp(score) > 0.05, name  # it has an opinion
