"""classifiers/heads.py: a layer of several heads is as many layers side by side."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exoplanets.classifiers.heads import HeadDense, PerHead
from exoplanets.classifiers.keras_tools import keras, tf

ACTIVATIONS = {
    None: lambda x: x,
    "relu": lambda x: np.maximum(x, 0),
    "tanh": np.tanh,
}


def draw(shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def make_layer(shape, n_heads=3, units=5, activation=None, seed=0):
    """A layer for an input of some shape, its biases drawn too."""
    keras.utils.set_random_seed(seed)
    layer = HeadDense(n_heads, units, activation)
    layer.build(shape)
    layer.bias.assign(draw(layer.bias.shape, seed + 1))
    return layer


def find_plainly(layer, x, activation):
    """The same, head by head and unit by unit, in double precision."""
    kernel, bias = (weight.numpy().astype(float) for weight in (layer.kernel, layer.bias))
    n_heads, n_in, units = kernel.shape
    done = np.empty((n_heads, x.shape[-2], units))
    for head in range(n_heads):
        seen = x if x.ndim == 2 else x[head]
        for unit in range(units):
            total = sum(seen[:, k].astype(float) * kernel[head, k, unit] for k in range(n_in))
            done[head, :, unit] = total + bias[head, 0, unit]
    return ACTIVATIONS[activation](done)


@settings(max_examples=30, deadline=None)
@given(
    st.integers(1, 5), st.integers(1, 7), st.integers(1, 6), st.integers(1, 9),
    st.booleans(), st.sampled_from(list(ACTIVATIONS)), st.integers(0, 10**6),
)  # fmt: skip
def test_a_layer_is_a_plain_computation_per_head(n_heads, n, n_in, units, own, activation, seed):
    """Of an input that all heads see, and of one per head."""
    x = draw((n_heads, n, n_in) if own else (n, n_in), seed)
    layer = make_layer(x.shape, n_heads, units, activation, seed)
    ours = np.array(layer(x))
    assert ours.shape == (n_heads, n, units) == tuple(layer.compute_output_shape(x.shape))
    np.testing.assert_allclose(ours, find_plainly(layer, x, activation), rtol=1e-4, atol=1e-5)


def test_an_input_that_all_share_is_that_input_for_each():
    x = draw((6, 4))
    layer = make_layer(x.shape, activation="relu")
    repeated = np.repeat(x[None], 3, axis=0)
    np.testing.assert_allclose(np.array(layer(x)), np.array(layer(repeated)), rtol=1e-6)


def test_heads_share_neither_weights_nor_inputs():
    x = draw((3, 6, 4))
    layer = make_layer(x.shape)
    before = np.array(layer(x))
    for changed in (layer.kernel, layer.bias, None):
        other = x.copy()
        if changed is None:
            other[1] += 1
        else:
            kept = changed.numpy()
            changed.assign(kept + np.array([0, 1, 0], np.float32)[:, None, None])
        after = np.array(layer(other))
        if changed is not None:
            changed.assign(kept)
        np.testing.assert_array_equal(after[[0, 2]], before[[0, 2]])
        assert (after[1] != before[1]).all()


def test_no_row_changes_another():
    x = draw((6, 4))
    layer = make_layer(x.shape)
    other = x.copy()
    other[2] += 1
    changed = np.array(layer(other)) != np.array(layer(x))
    np.testing.assert_array_equal(changed, np.broadcast_to(np.arange(6)[:, None] == 2, (3, 6, 5)))


def test_each_head_starts_elsewhere_and_without_bias():
    keras.utils.set_random_seed(0)
    layer = HeadDense(4, 7)
    layer.build((None, 9))
    kernel = layer.kernel.numpy()
    assert kernel.shape == (4, 9, 7) and layer.bias.shape == (4, 1, 7)
    assert len(np.unique(kernel)) == kernel.size
    assert not layer.bias.numpy().any()
    assert len(layer.trainable_weights) == len(layer.weights) == 2


def test_a_head_starts_as_a_layer_of_its_own_would():
    keras.utils.set_random_seed(0)
    weights = np.array(PerHead()((8, 30, 50)))
    limit = np.sqrt(6 / 80)  # of Glorot's uniform start for 30 inputs and 50 outputs
    assert 0.98 * limit < np.abs(weights).max() <= limit
    assert weights.std() == pytest.approx(limit / np.sqrt(3), rel=0.02)


def test_a_head_learns_as_it_would_alone():
    """The gradient of one head's output is that of a dense layer of Keras, and of no other head."""
    x = tf.constant(draw((8, 4)))
    layer, alone = make_layer(x.shape, activation="tanh"), keras.layers.Dense(5, "tanh")
    alone.build(x.shape)
    for head in range(3):
        alone.kernel.assign(layer.kernel[head])
        alone.bias.assign(layer.bias[head, 0])
        with tf.GradientTape(persistent=True) as tape:
            of_all, of_one = tf.reduce_sum(layer(x)[head] ** 2), tf.reduce_sum(alone(x) ** 2)
        ours, plain = (
            [tape.gradient(loss, weight.value).numpy() for weight in (each.kernel, each.bias)]
            for loss, each in ((of_all, layer), (of_one, alone))
        )
        for one, other in zip(ours, plain, strict=True):
            np.testing.assert_allclose(one[head].reshape(other.shape), other, rtol=1e-4, atol=1e-5)
            assert other.any() and not np.delete(one, head, axis=0).any()


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_a_saved_layer_is_loaded_as_it_was(tmp_path, activation):
    """Two in a row: the first sees what all heads see, the second what each gave."""
    source = keras.Input((4,))
    x = HeadDense(3, 5, activation, name="first")(source)
    model = keras.Model(source, HeadDense(3, 2, name="second")(x))
    model.get_layer("first").bias.assign(draw((3, 1, 5)))
    model.save(tmp_path / "heads.keras")
    again = keras.models.load_model(tmp_path / "heads.keras")
    x = draw((7, 4))
    np.testing.assert_array_equal(np.array(again(x)), np.array(model(x)))
    assert again.output_shape == model.output_shape == (3, None, 2)
    for name in ("first", "second"):
        one, other = (each.get_layer(name).get_config() for each in (model, again))
        assert one == other
    assert (one["n_heads"], one["units"], one["activation"]) == (3, 2, "linear")
    assert other["name"] == "second"
