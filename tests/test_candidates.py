"""evaluation/candidates.py: who is looked at, and whose label is suspect."""

from types import SimpleNamespace

import numpy as np

from exoplanets.evaluation.candidates import N_CANDIDATES, find_candidates
from exoplanets.evaluation.comparison import Contender
from exoplanets.stars import CADENCE_DAYS


def test_a_non_host_with_periodic_dips_is_a_suspect_a_host_is_none():
    rng = np.random.default_rng(0)
    n_stars, n_raw = 14, 3197
    flux = rng.normal(size=(n_stars, n_raw))
    time = np.arange(n_raw) * CADENCE_DAYS
    for star in (3, 5):  # a host and a non-host with the same dips
        flux[star] -= 6 * ((time % 3.3) < 0.15)
    flux[8, 700:712] -= 60  # a single dip is no suspect
    rows = rng.permutation(n_stars)
    order = np.argsort(rows)  # of the view, whose rows are shuffled
    raw = flux[order]  # raw[rows[i]] is star i
    y = np.arange(n_stars) < 4
    view = {"x_test": flux[:, :2880].astype(np.float32), "y_test": y.astype(np.int8)}
    view |= {"row_test": rows, "y_validation": np.array([1, 0])}
    score = np.linspace(0.9, 0.1, n_stars)
    scored = {"test": score, "validation": np.array([0.95, 0.05])}
    contender = Contender("transit", "equalised", view, scored)
    tables = SimpleNamespace(test=SimpleNamespace(flux=raw))
    stars, found, times = find_candidates(contender, tables)
    assert len(stars) == N_CANDIDATES == len(found.period) == len(times)
    np.testing.assert_array_equal(stars["place"], np.arange(9))  # highest score first
    np.testing.assert_array_equal(stars["row"], rows[:9])
    np.testing.assert_array_equal(stars["label"], y[:9])
    assert stars["suspect"].tolist() == [i == 5 for i in range(9)]
    np.testing.assert_allclose(stars["period"][[3, 5]], 3.3, rtol=0.01)
    np.testing.assert_allclose(stars["depth"][[3, 5]], 6, rtol=0.2)


def test_every_called_star_is_looked_at_up_to_forty():
    rng = np.random.default_rng(0)
    flux = rng.normal(size=(60, 600))
    view = {"x_test": flux[:, :576].astype(np.float32), "y_test": np.zeros(60, np.int8)}
    view |= {"row_test": np.arange(60), "y_validation": np.array([1, 0])}
    tables = SimpleNamespace(test=SimpleNamespace(flux=flux))
    for n_called, expected in ((3, 9), (21, 21), (59, 40)):
        scored = {
            "test": 1.0 * (np.arange(60) >= 60 - n_called),
            "validation": np.array([1.0, 0.0]),
        }
        contender = Contender("transit", "equalised", view, scored)
        assert len(find_candidates(contender, tables)[0]) == expected
