"""classifiers/keras_tools.py: TensorFlow starts in silence, and errors are still heard."""

import os
import subprocess
import sys

from conftest import ROOT

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
