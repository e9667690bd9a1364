"""Arrays that one run computes and keeps on disk for the next, checked when they are read.

A copy is an ordinary `.npz` file: some plain arrays, and a note in JSON that says what they are
and holds their SHA-256. A copy that is damaged, or was not written here, is never used.
"""

import hashlib
import json

import numpy as np

from exoplanets.files import atomic_write, open_file, say

NOTE = "note"  # name of the array of bytes that holds the JSON


def write_copy(path, arrays, note):
    """Write a dict of arrays and a JSON-ready note on what they are, at once or not at all.

    A folder that is full or cannot be written to costs the copy, and nothing else: that is said.
    """
    arrays = {name: np.asarray(array) for name, array in arrays.items()}
    text = json.dumps({**note, "sha256": find_digest(arrays)})
    try:
        with atomic_write(path) as temporary:
            np.savez(temporary, **arrays, **{NOTE: np.frombuffer(text.encode(), np.uint8)})
    except OSError as error:
        say(f"'{path}' cannot be kept for the next step ({error.strerror or error})")


def read_copy(path, identity, unpack):
    """What `unpack` makes of the arrays and the note that `write_copy` wrote; None without a copy.

    The copy is taken if `identity` is in its note. `unpack` raises any error if the content cannot
    be right; such a copy, or a damaged one, is not taken, and that is said.
    """
    try:
        with open_file(path) as stream, np.load(stream, allow_pickle=False) as stored:
            note = json.loads(stored[NOTE].tobytes())
            if note["identity"] != identity:
                return None
            arrays = {name: stored[name] for name in stored.files if name != NOTE}
        if find_digest(arrays) != note["sha256"]:
            raise ValueError("its content changed")
        return unpack(arrays, note)
    except FileNotFoundError:
        return None
    except Exception:  # a damaged file can raise almost anything
        say(f"'{path}' is damaged, or not of this project: not used, made anew")
        return None


def find_digest(arrays, text=""):
    """SHA-256 of arrays with their names, types and shapes, and of some text."""
    digest = hashlib.sha256(text.encode())
    for name in sorted(arrays):
        array = np.ascontiguousarray(arrays[name])
        digest.update(f"{name} {array.dtype.str} {array.shape} ".encode())
        digest.update(array.reshape(-1).view(np.uint8))
    return digest.hexdigest()
