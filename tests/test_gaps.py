"""lightcurves/gaps.py: what is known is kept, what is missing lies on straight lines."""

import numpy as np
import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st

from exoplanets.lightcurves.gaps import fill_gaps


@settings(max_examples=60)
@given(st.integers(0, 10**6), st.floats(0, 0.9))
def test_filling_keeps_what_is_known_and_equals_pandas(seed, share):
    rng = np.random.default_rng(seed)
    flux = rng.normal(size=(5, 30))
    flux[rng.random(flux.shape) < share] = np.nan
    before = flux.copy()
    filled = fill_gaps(flux)
    np.testing.assert_array_equal(flux, before)
    known = ~np.isnan(before)
    np.testing.assert_array_equal(filled[known], before[known])
    expected = pd.DataFrame(before).interpolate(axis=1, limit_direction="both").to_numpy()
    np.testing.assert_allclose(filled, expected, rtol=1e-12)  # a star without any value: NaN


def test_filling_is_linear_in_time_and_flat_beyond_the_ends():
    flux = np.array([[np.nan, 1.0, np.nan, np.nan, 4.0, np.nan]])
    assert fill_gaps(flux).tolist() == [[1, 1, 2, 3, 4, 4]]
    whole = np.ones((2, 3))
    assert fill_gaps(whole) is whole  # no copy of 130 MB for nothing
