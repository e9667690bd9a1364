"""The clock: cadences that were lost are found, and every row gets its time back."""

import numpy as np
import pytest

from exoplanets.lightcurves import clock
from exoplanets.lightcurves.campaign import Campaign

N, N_STARS, N_FILLED = 1000, 60, 12


def shared_noise(rng, n_cadences, n_stars=N_STARS):
    """Noise whose height along time all stars share."""
    height = np.exp(0.8 * np.repeat(rng.normal(size=n_cadences // 5 + 1), 5)[:n_cadences])
    return 10 * height * rng.normal(size=(n_stars, n_cadences))


def draw_lost(rng, n_cadences, share=0.1):
    """Lost cadences, never the first, and none among the last hundred."""
    lost = rng.random(n_cadences) < share
    lost[0] = lost[-100:] = False
    return lost


def write_rows(flux, lost, is_filled):
    """A table of `N` columns: lost cadences filled in some rows, left out of the others."""
    rows = np.empty((len(flux), N))
    last = np.maximum.accumulate(np.where(lost, 0, np.arange(flux.shape[1])))
    for row, star, filled in zip(rows, flux, is_filled, strict=True):
        row[:] = star[last][:N] if filled else star[~lost][:N]
    return rows


@pytest.fixture(scope="module")
def table():
    rng = np.random.default_rng(0)
    lost = draw_lost(rng, N + 150)
    is_filled = np.arange(N_STARS) % 5 == 0
    assert is_filled.sum() == N_FILLED
    return write_rows(shared_noise(rng, N + 150), lost, is_filled), lost, is_filled


def test_what_was_measured_is_neither_missing_nor_a_repeat():
    flux = np.array([[1.0, 1.0, np.nan, 1.0, 2.0, 2.0, np.inf, 2.0]])
    expected = [True, False, False, True, True, False, False, True]
    assert clock.find_measured(flux).tolist() == [expected]
    assert clock.find_measured(flux[0]).tolist() == expected


def test_lost_cadences_are_found_exactly_and_proved(table):
    flux, lost, is_filled = table
    found = clock.find_clock(flux)
    np.testing.assert_array_equal(found.lost, lost[:N])
    np.testing.assert_array_equal(found.missing, lost[:N])
    assert (found.n_filled, found.n_agreeing) == (N_FILLED, N_FILLED)
    np.testing.assert_array_equal(clock.is_filled(flux), is_filled)
    assert found.alignment.by_clock.min() > 0.7
    assert abs(found.alignment.by_column[-1]) < 0.4  # a hundred cadences late by then
    assert found.alignment.profiles.shape == (3, N)


def test_every_column_gets_its_true_cadence(table):
    flux, lost, is_filled = table
    known = clock.find_clock(flux).lost
    campaign = Campaign(known, known, np.empty((0, N)), np.ones(N), len(flux))
    cadences = clock.find_cadences(flux, campaign)
    assert (cadences.dtype, cadences.shape) == (np.int32, flux.shape)
    np.testing.assert_array_equal(cadences[is_filled][0], np.arange(N))
    kept = np.flatnonzero(~lost)
    inside = kept < N  # after the last column the table does not tell what was lost
    for row in cadences[~is_filled]:
        np.testing.assert_array_equal(row[: inside.sum()], kept[inside])
        np.testing.assert_array_equal(np.diff(row[inside.sum() - 1 :]), 1)


def test_on_the_grid_every_value_stands_at_its_cadence(table):
    flux, lost, _ = table
    rng = np.random.default_rng(0)
    draw_lost(rng, N + 150)  # as the table was drawn
    truth = shared_noise(rng, N + 150)
    known = clock.find_clock(flux).lost
    campaign = Campaign(known, known, np.empty((0, N)), np.ones(N), len(flux))
    placed = clock.put_on_grid(flux, clock.find_cadences(flux, campaign), N)
    expected = np.where(lost[:N], np.nan, truth[:, :N])
    np.testing.assert_array_equal(placed, expected)


def test_without_a_campaign_columns_are_cadences(table):
    flux = table[0]
    none = np.zeros(N, bool)
    blank = Campaign(none, none, np.empty((0, N)), np.ones(N), len(flux))
    for campaign in (None, blank):
        cadences = clock.find_cadences(flux, campaign)
        np.testing.assert_array_equal(cadences, np.tile(np.arange(N), (N_STARS, 1)))


def test_another_campaign_keeps_its_own_time_and_is_not_taken_for_the_clock(table):
    flux, lost, _ = table
    rng = np.random.default_rng(1)
    other = draw_lost(rng, N + 150)
    guests = write_rows(shared_noise(rng, N + 150, 14), other, np.ones(14, bool))
    both = np.concatenate([guests, flux])  # more of them, and first
    found = clock.find_clock(both)
    np.testing.assert_array_equal(found.lost, lost[:N])
    np.testing.assert_array_equal(found.missing, (lost | other)[:N])
    assert (found.n_filled, found.n_agreeing) == (N_FILLED + 14, N_FILLED)
    campaign = Campaign(found.lost, found.missing, np.empty((0, N)), np.ones(N), len(both))
    np.testing.assert_array_equal(clock.find_cadences(guests, campaign)[3], np.arange(N))


def test_a_cadence_that_one_filled_row_has_was_not_lost(table):
    flux, lost, is_filled = table
    flux = flux.copy()
    one, cadence = np.flatnonzero(is_filled)[0], np.flatnonzero(lost)[7]
    flux[one, cadence] += 1
    found = clock.find_clock(flux)
    assert not found.lost[cadence]
    assert found.lost.sum() == lost[:N].sum() - 1


def without_consensus(kind, table):
    flux, lost, is_filled = table
    rng = np.random.default_rng(2)
    if kind == "no filled rows":
        return flux[~is_filled]
    if kind == "few filled rows":
        return np.delete(flux, np.flatnonzero(is_filled)[: N_FILLED - clock.FEWEST_FILLED + 1], 0)
    if kind == "only filled rows":
        return flux[is_filled]
    if kind == "every filled row has its own gaps":
        stars = shared_noise(rng, N + 150)
        rows = [
            write_rows(star[None], draw_lost(rng, N + 150), [filled])[0]
            for star, filled in zip(stars, is_filled, strict=True)
        ]
        return np.array(rows)
    # The other rows lost nothing, so that the filled rows' gaps are not theirs.
    stars = shared_noise(rng, N + 150)
    stars[is_filled, :N] = write_rows(stars[is_filled], lost, np.ones(N_FILLED, bool))
    return stars[:, 50 : N + 50]


@pytest.mark.parametrize(
    "kind",
    [
        "no filled rows",
        "few filled rows",
        "only filled rows",
        "every filled row has its own gaps",
        "other rows of another time",
    ],
)
def test_without_a_consensus_there_is_no_clock(kind, table):
    flux = without_consensus(kind, table)
    if kind == "other rows of another time":
        filled = clock.is_filled(flux)
        flux[~filled] = np.roll(flux[~filled], 300, axis=1)
    found = clock.find_clock(flux)
    assert not found.lost.any() and not found.missing.any()
    assert found.alignment is None
    np.testing.assert_array_equal(
        clock.find_cadences(flux, Campaign(found.lost, found.missing, None, None, 0))[0],
        np.arange(N),
    )


def test_order_and_number_of_the_other_rows_make_no_difference(table):
    flux, lost, _ = table
    order = np.random.default_rng(3).permutation(len(flux))
    np.testing.assert_array_equal(clock.find_clock(flux[order]).lost, lost[:N])


def test_missing_values_are_no_repeats_and_do_not_hide_the_clock(table):
    flux, lost, is_filled = table
    flux = flux.copy()
    flux[np.random.default_rng(4).random(flux.shape) < 0.02] = np.nan
    np.testing.assert_array_equal(clock.is_filled(flux), is_filled)
    found = clock.find_clock(flux)
    np.testing.assert_array_equal(found.lost, lost[:N])


def test_a_table_too_short_is_refused():
    with pytest.raises(ValueError, match="499 cadences cannot be equalised: 500 are needed"):
        clock.find_clock(np.zeros((30, 499)))


def test_dead_rows_are_not_filled_and_hide_no_cadence(table):
    flux, lost, is_filled = table
    flux = flux.copy()
    dead = np.flatnonzero(~is_filled)[:10]
    flux[dead] = 3.0  # more of them than it takes to agree
    flux[dead[0], N // 3 :] = 7.0
    assert not clock.is_filled(flux)[dead].any()
    found = clock.find_clock(flux)
    np.testing.assert_array_equal(found.missing, lost[:N])


def test_repeats_are_gaps_only_where_chance_does_not_make_them():
    rng = np.random.default_rng(0)
    exact = 1e4 + rng.normal(0, 10, 3000)
    filled = exact.copy()
    for start in range(5, 2990, 12):  # single cadences, and a gap of fifty
        filled[start] = filled[start - 1]
    filled[1000:1050] = filled[999]
    assert np.array_equal(clock.find_used(filled), clock.find_measured(filled))
    assert np.count_nonzero(~clock.find_used(filled)) > 250
    assert clock.find_used(exact).all()
    for step in (1, 5, 20):  # 3 to 60 % of all values are those before
        rounded = np.round(exact / step) * step
        rounded[7] = np.nan
        assert not clock.find_measured(rounded).all()
        assert np.array_equal(clock.find_used(rounded), np.isfinite(rounded))
