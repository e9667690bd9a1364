"""search/ephemeris.py: phases, folds and transit times of one ephemeris."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from exoplanets.search.ephemeris import Ephemeris

DIPS = Ephemeris(period=3.0, epoch=100.5, duration=0.2, depth=400.0)


def test_phase_is_zero_at_every_transit_and_a_half_between():
    np.testing.assert_allclose(DIPS.phase([100.5, 103.5, 97.5, 101.25]), [0, 0, 0, 0.25])
    assert abs(DIPS.phase(102.0)) == 0.5


@given(st.floats(-1e4, 1e4), st.floats(0.3, 500))
def test_a_time_is_a_transit_and_the_days_since_it(time, period):
    dips = Ephemeris(period, 7.0, 0.1)
    again = 7.0 + dips.count(time) * period + dips.since_transit(time)
    assert again == pytest.approx(time, abs=1e-7)
    assert -0.5 <= dips.phase(time) <= 0.5


def test_transit_times_are_all_of_those_between():
    np.testing.assert_allclose(DIPS.transit_times(97.5, 107.0), [97.5, 100.5, 103.5, 106.5])
    assert len(DIPS.transit_times(101.0, 102.0)) == 0
    assert DIPS.in_transit(DIPS.transit_times(0, 50)).all()


def test_a_fold_is_in_the_order_of_the_days_from_mid_transit():
    times = np.arange(90, 120, 0.25)
    days, flux = DIPS.fold(times, np.where(DIPS.in_transit(times), -1.0, 0.0))
    assert (np.diff(days) >= 0).all()
    np.testing.assert_array_equal(flux < 0, np.abs(days) <= 0.1)
    assert DIPS.in_transit(times, 3).sum() > DIPS.in_transit(times).sum()
