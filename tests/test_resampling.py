"""lightcurves/resampling.py: SMOTE and under-sampling as in the published study."""

import re

import numpy as np
import pytest

from exoplanets.lightcurves.resampling import balance


def population(n_hosts, n_others, n_cadences=12):
    rng = np.random.default_rng(n_hosts)
    x = rng.normal(size=(n_hosts + n_others, n_cadences)).astype(np.float32)
    y = (np.arange(n_hosts + n_others) < n_hosts).astype(np.int8)
    order = rng.permutation(len(y))
    return x[order], y[order]


def test_balance_reaches_1_per_10_then_1_per_5():
    x, y = population(13, 400)
    new_x, new_y, source, notes = balance(x, y, 0, 0.1, 0.2)
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
    new_x, _, source, _ = balance(x, y, 0, 0.1, 0.2)
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
    _, new_y, _, found = balance(x, y, 0, 0.1, 0.2)
    assert ((new_y == 1).sum(), (new_y == 0).sum()) == after
    assert len(found) == len(notes)
    for note, expected in zip(found, notes, strict=True):
        assert re.match(expected, note), note


def test_balance_follows_its_seed():
    x, y = population(13, 400)
    one, two, other = (balance(x, y, seed, 0.1, 0.2)[0] for seed in (1, 1, 2))
    assert one.tobytes() == two.tobytes()
    assert one.shape == other.shape
    assert one.tobytes() != other.tobytes()


@pytest.mark.parametrize("n_hosts", [3, 7, 13, 30])
def test_what_was_balanced_once_stays_as_it_is(n_hosts):
    x, y, *_ = balance(*population(n_hosts, 400), 0, 0.1, 0.2)
    again, labels, source, _ = balance(x, y, 5, 0.1, 0.2)
    np.testing.assert_array_equal(again, x)
    np.testing.assert_array_equal(labels, y)
    np.testing.assert_array_equal(source, np.arange(len(y)))


def test_other_shares_are_other_numbers():
    x, y = population(13, 400)
    _, labels, _, notes = balance(x, y, 0, 0.05, 0.5)
    assert ((labels == 1).sum(), (labels == 0).sum()) == (20, 40)
    assert notes == []
    assert "1 per 50 of 400" in balance(x, y, 0, 0.02, 0.5)[3][0]
