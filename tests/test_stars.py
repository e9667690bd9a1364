"""exoplanets/stars.py: rows stay together, whatever is selected or replaced."""

import numpy as np
import pytest

from exoplanets.stars import Stars


def make_stars(n_stars, *, cadence=True, curves=True):
    """Stars in which every array tells its row."""
    row = np.arange(n_stars)
    flux = np.repeat(row[:, None] * 1.0, 4, axis=1)
    flux[:, 2] = np.nan
    return Stars(
        table=np.full(n_stars, "train"),
        row=row,
        is_host=row % 3 == 0,
        flux=flux,
        cadence=np.repeat(row[:, None], 4, axis=1).astype(np.int32) if cadence else None,
        curves=np.repeat(row[:, None], 6, axis=1).astype(np.float32) if curves else None,
    )


@pytest.mark.parametrize("rows", [np.array([4, 0, 4]), np.arange(5) > 2, slice(1, 4)])
def test_selected_stars_keep_all_that_belongs_to_them(rows):
    chosen = make_stars(5).select(rows)
    expected = np.arange(5)[rows]
    assert len(chosen) == len(expected)
    for array in (chosen.row, chosen.flux[:, 0], chosen.cadence[:, 0], chosen.curves[:, 5]):
        np.testing.assert_array_equal(array, expected)
    np.testing.assert_array_equal(chosen.is_host, expected % 3 == 0)
    assert np.isnan(chosen.flux[:, 2]).all()  # missing stays missing


def test_a_run_of_stars_is_not_copied_and_cannot_be_written_to():
    stars = make_stars(5)
    run = stars.select(np.arange(5) > 2)
    assert np.shares_memory(run.flux, stars.flux)
    with pytest.raises(ValueError, match="read-only"):
        run.flux[0] = 1
    stars.flux[0] = 1  # the original can be
    for rows in (np.array([True, False, True, False, True]), np.array([3, 4]), np.zeros(5, bool)):
        chosen = stars.select(rows)
        assert not np.shares_memory(chosen.flux, stars.flux)
        chosen.flux[:] = 7


def test_what_is_not_known_yet_stays_unknown():
    stars = make_stars(3, cadence=False, curves=False)
    assert stars.select([0]).cadence is None
    assert stars.select([0]).curves is None
    assert stars.split.tolist() == ["", "", ""]


def test_stars_have_names_and_labels():
    stars = make_stars(3)
    assert stars.names == ["train row 0", "train row 1", "train row 2"]
    assert stars.y.tolist() == [1, 0, 0]
    assert stars.y.dtype == np.int8


def test_replaced_arrays_leave_the_rest_and_the_original():
    stars = make_stars(3)
    split = stars.replace(split=np.array(["train", "validation", "train"]))
    assert split.split.tolist() == ["train", "validation", "train"]
    assert split.flux is stars.flux
    assert stars.split.tolist() == ["", "", ""]


@pytest.mark.parametrize("name", ["table", "is_host", "flux", "cadence", "curves", "split"])
def test_an_array_of_another_length_is_refused(name):
    stars = make_stars(3)
    with pytest.raises(ValueError, match=f"{name} has 2 rows, row has 3"):
        stars.replace(**{name: getattr(stars, name)[:2]})


def test_the_two_kinds_of_light_curves():
    stars = make_stars(3)
    assert stars.light_curves("distributed") is stars.flux
    assert stars.light_curves("equalised") is stars.curves
    with pytest.raises(ValueError, match="'raw' is no kind of light curves"):
        stars.light_curves("raw")
