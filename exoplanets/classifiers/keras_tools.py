"""Keras as this project uses it: started quietly, reproducible, without scores that are NaN."""

import contextlib
import io
import json
import os
import signal
import tempfile
import zipfile

import numpy as np

from exoplanets.files import DataError, atomic_write

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # read when TensorFlow is imported


@contextlib.contextmanager
def quiet():
    """Keep from the user what libraries write to standard error, unless they raise an error.

    TensorFlow's messages about drivers and processors come from C++: only redirecting the file
    descriptor stops them. They are shown after all if the block fails.
    """
    console, handler = os.dup(2), signal.getsignal(signal.SIGINT)
    with tempfile.TemporaryFile() as kept:

        def interrupt(number, frame):  # what Ctrl-C says must reach the user
            os.dup2(console, 2)
            if callable(handler):
                handler(number, frame)

        with contextlib.suppress(ValueError, TypeError):  # in another thread there is none
            signal.signal(signal.SIGINT, interrupt)
        os.dup2(kept.fileno(), 2)
        try:
            yield
        except BaseException:
            kept.seek(0)
            os.write(console, kept.read())
            raise
        finally:
            os.dup2(console, 2)
            os.close(console)
            with contextlib.suppress(ValueError, TypeError):
                signal.signal(signal.SIGINT, handler)


with quiet():
    import keras
    import tensorflow as tf
from tqdm.keras import TqdmCallback

# An operation's sums are split among its threads, so their number decides how they round: it is the
# same on every machine, whatever its number of cores.
N_THREADS = 2


def make_reproducible(seed):
    """Seed Python, NumPy and Keras, and forbid TensorFlow any order that varies.

    What Keras kept of networks trained before is let go: cross-validation makes dozens.
    """
    _set_threads(N_THREADS)
    keras.backend.clear_session()
    keras.utils.set_random_seed(seed)
    tf.config.experimental.enable_op_determinism()
    _start()


def work_side_by_side():
    """Give each operation one core: right where whole blocks of stars share the cores.

    And forbid any order that varies, as `make_reproducible` does.
    """
    tf.config.experimental.enable_op_determinism()
    _set_threads(1)
    _start()


def _set_threads(n):
    """Cores of one operation, unless TensorFlow runs already: then it keeps what it has."""
    with contextlib.suppress(RuntimeError):
        tf.config.threading.set_intra_op_parallelism_threads(n)


def _start():
    """Let TensorFlow look for devices, which makes it talk, before anything is computed."""
    tf.get_logger().setLevel("ERROR")  # cross-validation builds many networks: no hint on retracing
    with quiet():
        tf.constant(0.0)


def make_progress_bar(description):
    """Keras callback that shows epochs on a terminal, and nothing in a file."""
    return TqdmCallback(verbose=0, desc=description, leave=False, disable=None)


def make_batches(x, y, batch_size, seed=None):
    """Batches of stars to train on or to validate with.

    Keras makes much the same of arrays, but lets TensorFlow tune the pipeline, and the end of an
    epoch may then wait five seconds for the tuner.

    Parameters
    ----------
    x, y : ndarray, or tuple of ndarray
        With a row per star.
    batch_size : int
    seed : int, optional
        Of the order, which is another one in each epoch; without it, the order stays.

    Returns
    -------
    tf.data.Dataset
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


def predict(model, x, batch_size=256):
    """Score of each star, ndarray of shape (n_stars,), float32; refuses one that is not finite."""
    parts = [x[start : start + batch_size, :, None] for start in range(0, len(x), batch_size)]
    score = np.concatenate([model.predict_on_batch(part)[:, 0] for part in parts])
    return check_scores(model, score)


def save_model(model, path, scoring, arrays=None):
    """Save a network at once, or not at all, with what scoring needs as `scoring.json` inside.

    Parameters
    ----------
    model : keras.Model
    path : path
        Ends in `.keras`.
    scoring : dict
        JSON-ready.
    arrays : dict of ndarray, optional
        By the name that each has inside, which ends in `.npy`.
    """
    contents = {"scoring.json": json.dumps(scoring, indent=1, allow_nan=False)}
    for name, array in (arrays or {}).items():
        buffer = io.BytesIO()
        np.save(buffer, array, allow_pickle=False)
        contents[name] = buffer.getvalue()
    with atomic_write(path) as temporary:
        model.save(temporary)
        with zipfile.ZipFile(temporary, "a") as archive:
            for name, content in contents.items():
                archive.writestr(zipfile.ZipInfo(name), content)  # without today's date


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
