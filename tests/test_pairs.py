"""classifiers/pairs.py: two light curves of one system teach the answer, and their order."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exoplanets.classifiers.heads import HeadDense
from exoplanets.classifiers.keras_tools import keras
from exoplanets.classifiers.pairs import RISE, make_learner, make_loss


def find_plainly(truth, odds, order_weight):
    """The loss of `make_loss`, pair by pair and head by head."""
    loss = np.empty(odds.shape[:2])
    for i, (answer, order) in enumerate(truth):
        for head, (first, second) in enumerate(odds[i]):
            p = 1 / (1 + np.exp(-np.array([first, second])))
            crossed = -(answer * np.log(p) + (1 - answer) * np.log(1 - p))
            if order == 0:
                lacking = 0.0
            else:
                above = second - first if order > 0 else first - second
                lacking = max(RISE - above, 0.0)
            loss[i, head] = crossed.mean() + order_weight * lacking
    return loss


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 6), st.integers(1, 4), st.sampled_from([0, 0.5, 3.0]))
def test_the_loss_is_a_plain_sum(seed, n, n_heads, order_weight):
    rng = np.random.default_rng(seed)
    truth = np.stack([rng.choice([0, 0.5, 1], n), rng.choice([-1, 0, 1], n)], axis=1)
    odds = rng.normal(0, 2, (n, n_heads, 2))
    found = np.array(make_loss(order_weight)(truth, odds))
    assert found.shape == (n, n_heads)
    np.testing.assert_allclose(found, find_plainly(truth, odds, order_weight), rtol=1e-6)


@pytest.mark.parametrize("order", [1, -1, 0])
def test_the_deeper_has_to_be_above_below_or_anywhere(order):
    """By `RISE` at least; what is more costs nothing, what is less costs as much as it lacks."""
    for away in (-3.0, -RISE, 0.0, RISE / 2, RISE, 3.0):
        odds = np.array([[[0.4, 0.4 + away]]])
        plain, ordered = (
            np.array(make_loss(weight)(np.array([[0.5, order]]), odds)).item() for weight in (0, 2)
        )
        lacking = 0 if order == 0 else max(RISE - order * away, 0)
        assert ordered - plain == pytest.approx(2 * lacking, abs=1e-6)


def test_each_head_and_each_pair_has_a_loss_of_its_own():
    rng = np.random.default_rng(0)
    truth, odds = np.array([[1.0, 1], [0, -1], [0.5, 0]]), rng.normal(size=(3, 2, 2))
    before = np.array(make_loss(1.0)(truth, odds))
    odds[1, 0] += 1
    changed = np.array(make_loss(1.0)(truth, odds)) != before
    np.testing.assert_array_equal(changed, [[False, False], [True, False], [False, False]])


def test_huge_log_odds_have_a_finite_loss():
    odds = np.array([[[1e4, -1e4]], [[-1e4, 1e4]]], np.float32)
    truth = np.array([[1, 1], [0, -1]], np.float32)
    np.testing.assert_allclose(np.array(make_loss(1.0)(truth, odds)), 2.5e4 + RISE, rtol=1e-5)


def make_network(n_inputs, name="judge"):
    """Log-odds of a star per head, (n, 3), from one input or from two."""
    inputs = [keras.Input((4, 2)[: k + 1]) for k in range(n_inputs)]
    flat = [keras.layers.Flatten()(each) for each in inputs]
    x = keras.layers.Concatenate()(flat) if n_inputs > 1 else flat[0]
    x = HeadDense(3, 1)(x)
    odds = keras.ops.transpose(x[:, :, 0])
    return keras.Model(inputs if n_inputs > 1 else inputs[0], odds, name=name)


@pytest.mark.parametrize("n_inputs", [1, 2])
def test_a_learner_gives_both_stars_of_a_pair_to_each_head(n_inputs):
    """What it says of a star is what the network says of it, and `join` makes it log-odds."""
    network = make_network(n_inputs)
    rng = np.random.default_rng(0)
    pairs = [rng.normal(size=(5, 2, *each.shape[1:])) for each in network.inputs]
    pairs = [each.astype(np.float32) for each in pairs]
    given = pairs if n_inputs > 1 else pairs[0]
    for join, factor in ((lambda odds: odds, 1), (lambda odds: 3 * odds, 3)):
        odds = np.array(make_learner(network, join)(given))
        assert odds.shape == (5, 3, 2)
        for k in range(2):
            of_one = [each[:, k] for each in pairs]
            alone = np.array(network(of_one if n_inputs > 1 else of_one[0]))
            np.testing.assert_allclose(odds[:, :, k], factor * alone, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(np.array(make_learner(network)(given)) * 3, odds, rtol=1e-5)


def test_a_learner_teaches_the_network_that_it_was_made_of():
    network = make_network(1)
    learner = make_learner(network)
    assert learner.name == "judge" and make_learner(make_network(1, "weigher")).name == "transit"
    pairs = np.random.default_rng(0).normal(size=(64, 2, 4)).astype(np.float32)
    pairs[:, 1] = pairs[:, 0] + [0.5, 0, 0, 0]  # what is deeper has more of the first number
    # The answer is one half for all: only their order teaches, upwards or downwards.
    for order in (1, -1):
        learner.compile(keras.optimizers.Adam(0.05), make_loss(1.0))
        truth = np.column_stack([np.full(64, 0.5), np.full(64, order)])
        learner.fit(pairs, truth, epochs=30, verbose=0)
        rise = np.diff(np.array(learner(pairs)), axis=2)
        assert (order * rise > 0.5 * RISE).all()
    assert (network(pairs[:, 1]).numpy() < network(pairs[:, 0]).numpy()).all()
