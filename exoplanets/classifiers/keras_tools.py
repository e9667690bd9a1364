"""What every network needs: settings, reproducible training, and scores of light curves."""

import contextlib
import dataclasses
import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # read when TensorFlow is imported

import keras
import numpy as np
import tensorflow as tf

from exoplanets.files import DataError


def setting(default, text):
    """A hyper-parameter: a field with its default and the help of its flag."""
    return dataclasses.field(default=default, metadata={"help": text})


def make_reproducible(seed):
    """Seed Python, NumPy and Keras, and forbid TensorFlow any order that varies.

    What Keras kept of networks trained before is let go: cross-validation makes dozens.
    """
    keras.backend.clear_session()
    keras.utils.set_random_seed(seed)
    tf.config.experimental.enable_op_determinism()


def work_side_by_side():
    """Give each operation one core: right where whole blocks of stars share the cores.

    And forbid any order that varies, as `make_reproducible` does.
    """
    tf.config.experimental.enable_op_determinism()
    with contextlib.suppress(RuntimeError):  # TensorFlow runs already: slower, the same numbers
        tf.config.threading.set_intra_op_parallelism_threads(1)


def predict(model, x, batch_size=256):
    """Score of each star, ndarray of shape (n_stars,), float32; refuses a diverged network."""
    score = model.predict(x[..., np.newaxis], batch_size=batch_size, verbose=0)[:, 0]
    return _refuse_diverged(model, score)


def _refuse_diverged(model, score):
    """The scores, if all are finite."""
    if not np.isfinite(score).all():
        raise DataError(
            f"the {model.name} network has diverged (a score is not finite): lower --learning-rate"
        )
    return score


def make_scorer(model):
    """What `predict` does, for several threads at once, and traced once for curves of any length.

    Returns
    -------
    callable
        From light curves, ndarray of shape (n_stars, n_cadences), to scores, (n_stars,), float32.
    """

    @tf.function(input_signature=[tf.TensorSpec((None, None, 1), tf.float32)])
    def ask(x):
        return model(x, training=False)

    def score(x):
        return _refuse_diverged(model, ask(tf.constant(x[..., np.newaxis])).numpy()[:, 0])

    return score
