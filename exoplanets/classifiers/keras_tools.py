"""Keras as this project uses it: reproducible, without scores that are NaN.

TensorFlow talks about drivers and processors when it is imported. Whoever does not want to hear it
imports this module within `files.quiet`.
"""

import contextlib
import json
import os
import zipfile

import numpy as np
import pandas as pd

from exoplanets.files import DataError, atomic_write, quiet, track

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # read when TensorFlow is imported


import keras
import tensorflow as tf

# The number of an operation's threads decides how its sums round: it is the same on every machine.
N_THREADS = 2
BATCH = 256  # stars that a network scores at a time


def make_reproducible(seed):
    """Seed Python, NumPy and Keras, and forbid TensorFlow any order that varies.

    What Keras kept of networks trained before is let go: cross-validation makes dozens.
    """
    start()
    keras.backend.clear_session()
    keras.utils.set_random_seed(seed)


def start():
    """Start TensorFlow, with `N_THREADS` for one operation and no order that varies."""
    with contextlib.suppress(RuntimeError):  # it runs already, and keeps the cores it has
        tf.config.threading.set_intra_op_parallelism_threads(N_THREADS)
    tf.config.experimental.enable_op_determinism()
    tf.get_logger().setLevel("ERROR")  # cross-validation builds many networks: no hint on retracing
    with quiet():
        tf.constant(0.0)  # it looks for devices, which makes it talk


def make_batches(x, y, batch_size, seed=None):
    """Batches of stars to train on or to validate with, a `tf.data.Dataset`.

    `x` and `y` are arrays, or tuples of arrays, with a row per star. The seed sets their order,
    another one in each epoch; without a seed the order stays.

    Keras makes much the same of arrays, but lets TensorFlow tune the pipeline, and the end of an
    epoch may then wait five seconds for the tuner.
    """
    arrays = keras.tree.map_structure(tf.convert_to_tensor, (x, y))
    n_stars = len(keras.tree.flatten(arrays)[0])
    rows = tf.data.Dataset.range(n_stars)
    if seed is not None:
        rows = rows.shuffle(n_stars, seed=seed)
    batches = rows.batch(batch_size).map(
        lambda some: keras.tree.map_structure(lambda array: tf.gather(array, some), arrays)
    )
    options = tf.data.Options()
    options.autotune.enabled = False
    return batches.prefetch(1).with_options(options)


def train(model, x, y, batch_size, epochs, seed, callbacks=(), **options):
    """Fit a compiled network to shuffled stars; if it takes long, the epochs are counted aloud.

    For `x`, `y` and `seed` see `make_batches`; `options` are more of those of `keras.Model.fit`.
    Returns a DataFrame, a row per epoch: `epoch`, the loss and the metrics.
    """
    counted = track(range(epochs), f"epochs of the {model.name} network", epochs)
    next(counted)
    progress = keras.callbacks.LambdaCallback(on_epoch_end=lambda *_: next(counted, None))
    # Made before the first step: TensorFlow traces a step that makes variables a second time.
    model.optimizer.build(model.trainable_variables)
    fitted = model.fit(
        make_batches(x, y, batch_size, seed),
        shuffle=False,  # they are shuffled
        epochs=epochs,
        callbacks=[*callbacks, progress],
        verbose=0,
        **options,
    )
    return pd.DataFrame(fitted.history).rename_axis("epoch").reset_index()


def predict(model, x):
    """Score of each star, ndarray of shape (n_stars,), float32; refuses one that is not finite."""
    parts = [x[start : start + BATCH, :, None] for start in range(0, len(x), BATCH)]
    score = np.concatenate([model.predict_on_batch(part)[:, 0] for part in parts])
    return check_scores(model, score)


def save_model(model, path, scoring, arrays=None):
    """Save a network as a `.keras` file at once, or not at all, with what scoring needs inside.

    That is a JSON-ready dict, as `scoring.json`, and perhaps arrays, by their names inside.
    """
    text = json.dumps(scoring, indent=1, allow_nan=False)
    with atomic_write(path) as temporary:
        model.save(temporary)
        with zipfile.ZipFile(temporary, "a") as archive:  # ZipInfo: without today's date
            archive.writestr(zipfile.ZipInfo("scoring.json"), text)
            for name, array in (arrays or {}).items():
                with archive.open(zipfile.ZipInfo(f"{name}.npy"), "w") as stream:
                    np.save(stream, array, allow_pickle=False)


def check_scores(model, score):
    """The scores, if all are finite; else says whether weights or light curves are to blame."""
    if np.isfinite(score).all():
        return score
    if all(np.isfinite(weight).all() for weight in model.get_weights()):
        raise DataError(
            f"the {model.name} network gave a score that is not finite, though its weights are: "
            "a light curve holds values that are not finite or too large"
        )
    raise DataError(
        f"the {model.name} network has weights that are not finite: its training diverged (lower "
        "the learning rate), or its file is damaged"
    )
