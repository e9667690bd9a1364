"""sources/copies.py: what is kept comes back bit for bit, or not at all."""

import io
import os
import pickle
import signal
import subprocess
import sys

import numpy as np
import pytest
from conftest import ROOT

from exoplanets.sources.copies import read_copy, write_copy

ARRAYS = {
    "flux": np.random.default_rng(0).normal(size=(40, 50)),
    "is_host": np.arange(40) < 4,
    "table": np.array(["train", "test"] * 20),
    "n": np.array(7),
}
NOTE = {"identity": ["exoTrain.csv", 5, 1.5]}


@pytest.fixture
def path(tmp_path):
    write_copy(tmp_path / "parsed.npz", ARRAYS, NOTE)
    return tmp_path / "parsed.npz"


def read(path):
    return read_copy(path, NOTE["identity"], lambda *content: content)


def test_what_is_kept_comes_back(path, capsys):
    arrays, note = read(path)
    assert arrays.keys() == ARRAYS.keys()
    for name, array in ARRAYS.items():
        np.testing.assert_array_equal(arrays[name], array)
        assert arrays[name].dtype == array.dtype
    assert note["identity"] == NOTE["identity"]
    assert capsys.readouterr().err == ""
    assert [p.name for p in path.parent.iterdir()] == ["parsed.npz"]


def test_a_copy_of_something_else_is_not_taken(path, capsys):
    assert read_copy(path, "another", lambda *content: content) is None
    assert read_copy(path.with_name("other.npz"), "any", lambda *content: content) is None
    assert capsys.readouterr().err == ""  # neither is a damage


def flip(place):
    def damage(path):
        content = bytearray(path.read_bytes())
        content[int(place * len(content))] ^= 4
        path.write_bytes(content)

    return damage


def half_zeros(path):
    size = path.stat().st_size
    path.write_bytes(path.read_bytes()[: size // 2] + b"\0" * (size - size // 2))


def other_array(path):
    with np.load(path) as stored:
        arrays = dict(stored)
    np.savez(path, **arrays | {"flux": arrays["flux"][::-1]})  # same size, well-formed


def renamed_array(path):
    with np.load(path) as stored:
        arrays = dict(stored)
    np.savez(path, **{name.replace("is_host", "is_planet"): a for name, a in arrays.items()})


class Hostile:
    """Its pickle asks the reader to make a folder."""

    def __reduce__(self):
        return (os.mkdir, ("trap",))


def objects(path):
    with np.load(path) as stored:
        arrays = dict(stored)
    np.savez(path, **arrays | {"flux": np.array([Hostile()], dtype=object)})


def as_npy(array):
    stream = io.BytesIO()
    np.save(stream, array)
    return stream.getvalue()


DAMAGES = {
    "header": flip(0.004),
    "flux": flip(0.3),
    "flux again": flip(0.7),
    "note": flip(0.95),
    "half zeros": half_zeros,
    "zeros": lambda path: path.write_bytes(b"\0" * path.stat().st_size),
    "cut off": lambda path: path.write_bytes(path.read_bytes()[:-100]),
    "empty": lambda path: path.write_bytes(b""),
    "another array": other_array,
    "another name": renamed_array,
    "python objects": objects,
    "a pickle": lambda path: path.write_bytes(pickle.dumps(Hostile())),
    "an npy": lambda path: path.write_bytes(as_npy(ARRAYS["flux"])),
    "text": lambda path: path.write_text("{}"),
    "a list for a note": lambda path: write_copy(path, ARRAYS, {"identity": 3}),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_a_damaged_copy_is_never_used(name, path, capsys, monkeypatch):
    monkeypatch.chdir(path.parent)
    DAMAGES[name](path)
    assert read(path) is None
    assert not (path.parent / "trap").exists()
    err = capsys.readouterr().err
    assert err.count("\n") == (name != "a list for a note")
    assert name == "a list for a note" or f"'{path}' is damaged, or not of this project" in err
    write_copy(path, ARRAYS, NOTE)
    assert read(path) is not None


@pytest.mark.parametrize("seed", range(40))
def test_no_flipped_bit_goes_unseen(seed, path):
    """Whatever bit of the file is flipped, the arrays are the right ones or none."""
    content = bytearray(path.read_bytes())
    bit = int(np.random.default_rng(seed).integers(8 * len(content)))
    content[bit // 8] ^= 1 << (bit % 8)
    path.write_bytes(content)
    if found := read(path):  # a byte that means nothing, such as a date in the archive
        arrays, _ = found
        for name, array in ARRAYS.items():
            np.testing.assert_array_equal(arrays[name], array)


KILLED = """
import os, signal, sys
import numpy as np
from exoplanets.sources import copies
save = np.savez
def killed(stream, **arrays):
    save(stream, **arrays)
    os.kill(os.getpid(), signal.SIGKILL)
np.savez = killed
copies.write_copy(sys.argv[1], {"flux": np.ones(9)}, {"identity": "new"})
"""


def test_a_killed_writer_leaves_the_old_copy(path):
    done = subprocess.run([sys.executable, "-c", KILLED, str(path)], cwd=ROOT, check=False)
    assert done.returncode == -signal.SIGKILL
    np.testing.assert_array_equal(read(path)[0]["flux"], ARRAYS["flux"])


def test_content_that_cannot_be_right_is_not_taken(path, capsys):
    def refuse(arrays, note):
        raise ValueError("no such star")

    assert read_copy(path, NOTE["identity"], refuse) is None
    assert "not used, made anew" in capsys.readouterr().err


def test_a_folder_that_cannot_be_written_to_costs_the_copy_only(tmp_path, capsys):
    write_copy(tmp_path / "nowhere" / "parsed.npz", ARRAYS, NOTE)
    assert "cannot be kept for the next step (No such file" in capsys.readouterr().err
