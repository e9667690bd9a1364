"""classifiers/keras_tools.py: TensorFlow starts in silence, and errors are still heard."""

import os
import subprocess
import sys

import numpy as np
import pytest
from conftest import ROOT

from exoplanets.classifiers.keras_tools import keras, make_batches, train

CODE = f"""
import os, signal, sys
sys.path.insert(0, {str(ROOT)!r})
from exoplanets.classifiers.keras_tools import keras, make_reproducible, quiet
make_reproducible(0)
"""


SAYINGS = """
with quiet():
    os.write(2, b"a library's chatter\\n")
os.write(2, b"ours\\n")
try:
    with quiet():
        os.write(2, b"why it failed\\n")
        raise ValueError("it failed")
except ValueError as error:
    os.write(2, f"{error}\\n".encode())
try:
    with quiet():
        os.write(2, b"chatter before an interrupt\\n")
        raise KeyboardInterrupt
except KeyboardInterrupt:
    pass
def stop(*_):
    os.write(2, b"interrupted\\n")
    os._exit(130)
signal.signal(signal.SIGINT, stop)
with quiet():
    os.kill(os.getpid(), signal.SIGINT)
    os.write(2, b"too late\\n")
"""


def test_only_libraries_that_did_not_fail_are_quiet_and_an_interrupt_is_heard():
    """All in one process, as each start of TensorFlow takes seconds."""
    environment = {k: v for k, v in os.environ.items() if k not in ("TF_CPP_MIN_LOG_LEVEL",)}
    done = subprocess.run(
        [sys.executable, "-c", CODE + SAYINGS],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
        env=environment,
    )
    # Nothing of the start of TensorFlow either, nor of what was said quietly.
    assert done.stderr.splitlines() == ["ours", "why it failed", "it failed", "interrupted"]
    assert (done.returncode, done.stdout) == (130, "")


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
    racers = [
        subprocess.Popen([sys.executable, "-c", code, str(n)], stdout=subprocess.PIPE, text=True)
        for n in (1, 2)
    ]
    weights = [racer.communicate(timeout=300)[0] for racer in racers]
    assert [racer.returncode for racer in racers] == [0, 0]
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


def test_a_training_traces_its_step_once():
    """TensorFlow traces it again where the first time made variables, which takes seconds."""
    traced = []

    class Model(keras.Model):
        def train_step(self, data):
            traced.append(data)
            return super().train_step(data)

    inputs = keras.Input((5,))
    model = Model(inputs, keras.layers.Dense(1)(inputs))
    model.compile("adam", "mse", metrics=[keras.metrics.AUC()])
    train(model, np.zeros((12, 5)), np.arange(12) % 2, 4, epochs=2, seed=0)
    assert len(traced) == 1
