"""Several small networks side by side in one graph: every layer has an axis of heads.

Each head has weights of its own, starts elsewhere and sees the same stars; their log-odds are
averaged. The heads come first, so that a layer is one product of matrices per head and nothing has
to be moved in memory between layers.
"""

import numpy as np

from exoplanets.classifiers.keras_tools import keras


@keras.saving.register_keras_serializable("exoplanets")
class PerHead(keras.initializers.Initializer):
    """Glorot's uniform start for each head by itself: weights of shape (n_heads, n_in, n_out)."""

    def __call__(self, shape, dtype=None):
        """Draw the weights."""
        limit = np.sqrt(6 / (shape[-2] + shape[-1]))
        return keras.random.uniform(shape, -limit, limit, dtype)


@keras.saving.register_keras_serializable("exoplanets")
class HeadDense(keras.layers.Layer):
    """A dense layer per head: from (n, n_in) or (n_heads, n, n_in) to (n_heads, n, units)."""

    def __init__(self, n_heads, units, activation=None, **kwargs):
        super().__init__(**kwargs)
        self.n_heads, self.units = n_heads, units
        self.activation = keras.activations.get(activation)

    def build(self, input_shape):
        """Make the weights."""
        shape = (self.n_heads, input_shape[-1], self.units)
        self.kernel = self.add_weight(shape=shape, initializer=PerHead(), name="kernel")
        self.bias = self.add_weight(
            shape=(self.n_heads, 1, self.units), initializer="zeros", name="bias"
        )

    def call(self, x):
        """The layer of all heads."""
        return self.activation(keras.ops.matmul(x, self.kernel) + self.bias)

    def compute_output_shape(self, input_shape):
        """Shape of what `call` returns."""
        return self.n_heads, input_shape[-2], self.units

    def get_config(self):
        """What makes the layer again, for the saved file."""
        activation = keras.activations.serialize(self.activation)
        named = {"n_heads": self.n_heads, "units": self.units, "activation": activation}
        return super().get_config() | named
