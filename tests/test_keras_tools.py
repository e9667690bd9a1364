"""classifiers/keras_tools.py: TensorFlow starts in silence, and errors are still heard."""

import os
import subprocess
import sys

import numpy as np
import pytest
from whole_run import ROOT

from exoplanets.classifiers.keras_tools import make_batches

CODE = f"""
import os, signal, sys
sys.path.insert(0, {str(ROOT)!r})
from exoplanets.classifiers.keras_tools import keras, make_reproducible, quiet
make_reproducible(0)
"""


def run(code):
    """Run some Python after Keras was started as the scripts do."""
    environment = {k: v for k, v in os.environ.items() if k not in ("TF_CPP_MIN_LOG_LEVEL",)}
    return subprocess.run(
        [sys.executable, "-c", CODE + code],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env=environment,
    )


def test_nothing_is_heard_of_libraries_but_all_of_what_is_said_after():
    done = run(
        """
with quiet():
    os.write(2, b"a library's chatter\\n")
os.write(2, b"ours\\n")
"""
    )
    assert (done.stdout, done.stderr) == ("", "ours\n")


def test_what_a_library_said_before_it_failed_is_shown():
    done = run(
        """
with quiet():
    os.write(2, b"why it failed\\n")
    raise ValueError("failed")
"""
    )
    assert "why it failed\n" in done.stderr
    assert "ValueError: failed" in done.stderr


def test_an_interrupt_while_it_is_quiet_is_heard():
    done = run(
        """
def stop(*_):
    os.write(2, b"interrupted\\n")
    os._exit(130)
signal.signal(signal.SIGINT, stop)
with quiet():
    os.kill(os.getpid(), signal.SIGINT)
    os.write(2, b"too late\\n")
"""
    )
    assert (done.returncode, done.stderr) == (130, "interrupted\n")


TRAINING = """
cores = sorted(os.sched_getaffinity(0))
os.sched_setaffinity(0, cores[: int(sys.argv[1])])
import hashlib
import numpy as np
x = np.random.default_rng(0).normal(size=(256, 600, 1)).astype("float32")
layers = [keras.layers.Conv1D(32, 9, activation="relu"), keras.layers.GlobalMaxPooling1D()]
model = keras.Sequential([*layers, keras.layers.Dense(1)])
model.compile("adam", "mse")
model.fit(x, x.mean(1) > 0, epochs=2, batch_size=128, verbose=0)
print(hashlib.sha256(b"".join(w.tobytes() for w in model.get_weights())).hexdigest())
"""


@pytest.mark.skipif(
    not hasattr(os, "sched_setaffinity") or len(os.sched_getaffinity(0)) < 2,
    reason="needs two cores to give one away",
)
def test_one_core_and_two_give_the_same_weights():
    first, *lines = CODE.strip().splitlines()
    pin, _, rest = TRAINING.strip().partition("import hashlib")
    code = "\n".join([first, pin, *lines, "import hashlib" + rest])  # pinned before Keras starts
    weights = [
        subprocess.run(
            [sys.executable, "-c", code, str(n)], capture_output=True, text=True, check=True
        ).stdout
        for n in (1, 2)
    ]
    assert weights[0] == weights[1] != ""


@pytest.mark.parametrize("seed", [None, 1])
def test_batches_hold_every_star_once_and_in_another_order_each_epoch(seed):
    stars = np.arange(20)
    batches = make_batches((stars, -stars), 2 * stars, 6, seed)
    epochs = []
    for _ in range(2):
        found = [np.stack([*x, y]) for x, y in batches.as_numpy_iterator()]
        assert [part.shape[1] for part in found] == [6, 6, 6, 2]
        one, two, labels = np.concatenate(found, axis=1)
        np.testing.assert_array_equal(np.sort(one), stars)
        np.testing.assert_array_equal(two, -one)
        np.testing.assert_array_equal(labels, 2 * one)
        epochs.append(one)
    assert np.array_equal(epochs[0], stars) == (seed is None)
    assert np.array_equal(*epochs) == (seed is None)
