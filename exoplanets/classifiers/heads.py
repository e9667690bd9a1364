"""Several small networks side by side in one graph: every layer has an axis of heads.

Each head has weights of its own, starts elsewhere and sees the same stars; their log-odds are
averaged. One product over all heads is faster than as many small graphs.
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


def dense(equation, x, n_heads, units, activation=None):
    """A dense layer per head; the equation ends in the axes of heads and units."""
    _, output = equation.split("->")
    shape = (*x.shape[1 : len(output) - 2], n_heads, units)
    return keras.layers.EinsumDense(
        equation, shape, activation=activation, bias_axes=output[-2:], kernel_initializer=PerHead()
    )(x)


def convolve(x, n_heads, filters, taps):
    """A convolution per head over the axis of points, stride 2, `relu`.

    From (n, n_candidates, n_points, n_channels), or (..., n_heads, n_channels), to
    (n, n_candidates, n_points // 2, n_heads, filters).
    """
    n_points = x.shape[2]
    spare = taps - 2  # points that are missing at the ends
    padding = [(0, 0)] * x.ndim
    padding[2] = (spare // 2, spare - spare // 2)
    x = keras.ops.pad(x, padding)
    parts = [x[:, :, k : k + n_points - 1 : 2] for k in range(taps)]
    x = keras.ops.concatenate(parts, axis=-1)
    equation = "abphi,hio->abpho" if x.ndim == 5 else "abpi,hio->abpho"
    return dense(equation, x, n_heads, filters, "relu")
