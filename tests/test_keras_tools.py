"""classifiers/keras_tools.py: TensorFlow starts in silence, and errors are still heard."""

import os
import subprocess
import sys

import numpy as np
import pytest
from conftest import ROOT

from exoplanets import files
from exoplanets.classifiers.keras_tools import keras, make_batches, train

N_CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1
CODE = f"""
import os, signal, sys
if hasattr(os, "sched_setaffinity"):  # before Keras starts
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: int(sys.argv[1])])
sys.path.insert(0, {str(ROOT)!r})
from exoplanets.files import quiet
with quiet():
    from exoplanets.classifiers.keras_tools import keras, make_reproducible
make_reproducible(0)
"""
TRAINING = """
import hashlib
import numpy as np
x = np.random.default_rng(0).normal(size=(256, 600, 1)).astype("float32")
layers = [keras.layers.Conv1D(32, 9, activation="relu"), keras.layers.GlobalMaxPooling1D()]
model = keras.Sequential([*layers, keras.layers.Dense(1)])
model.compile("adam", "mse")
model.fit(x, x.mean(1) > 0, epochs=2, batch_size=128, verbose=0)
print(hashlib.sha256(b"".join(w.tobytes() for w in model.get_weights())).hexdigest(), flush=True)
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
from exoplanets.files import stop
sys.argv = ["script"]
signal.signal(signal.SIGINT, stop)
with quiet():
    os.kill(os.getpid(), signal.SIGINT)
    os.write(2, b"too late\\n")
"""


INTERRUPTED = "script: interrupted; nothing half-written was left"


@pytest.fixture(scope="module")
def processes():
    """Two processes that train, on one core and on two: exit code, output and errors of each.

    The second then says something. Each start of TensorFlow takes seconds.
    """
    environment = {k: v for k, v in os.environ.items() if k != "TF_CPP_MIN_LOG_LEVEL"}
    started = [
        subprocess.Popen(
            [sys.executable, "-c", code, str(n_cores)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environment,
        )
        for n_cores, code in ((1, CODE + TRAINING), (2, CODE + TRAINING + SAYINGS))
    ]
    said = [process.communicate(timeout=300) for process in started]
    return [(p.returncode, *each) for p, each in zip(started, said, strict=True)]


def test_only_libraries_that_did_not_fail_are_quiet_and_an_interrupt_is_heard(processes):
    code, _, errors = processes[1]
    # Nothing of the start of TensorFlow either, nor of what was said quietly.
    assert errors.splitlines() == ["ours", "why it failed", "it failed", INTERRUPTED]
    assert code == 130


@pytest.mark.skipif(N_CORES < 2, reason="needs two cores to give one away")
def test_one_core_and_two_give_the_same_weights(processes):
    (code, one, errors), (_, two, _) = processes
    assert (code, errors) == (0, "")
    assert one == two != ""


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


def test_a_training_that_takes_long_counts_its_epochs(capsys, monkeypatch):
    monkeypatch.setattr(files, "SILENCE", -1.0)
    inputs = keras.Input((5,))
    model = keras.Model(inputs, keras.layers.Dense(1)(inputs), name="toy")
    model.compile("adam", "mse")
    train(model, np.zeros((12, 5)), np.arange(12) % 2, 4, epochs=3, seed=0)
    said = capsys.readouterr().err.splitlines()
    assert said == [f"  epochs of the toy network: {k} of 3" for k in (1, 2, 3)]
