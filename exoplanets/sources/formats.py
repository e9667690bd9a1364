"""The formats in which a table of stars can come, for training and for scoring alike.

A new format is a module with a reader like `table.read_csv` and one line in `TABLE_FORMATS`.
"""

import io
from pathlib import Path

from exoplanets.files import DataError
from exoplanets.sources import table
from exoplanets.stars import SHORTEST

# Ending of a file's name, without that of its compression, to the reader of its bytes.
TABLE_FORMATS = {".csv": table.read_csv}
COMPRESSIONS = (".gz", ".zip")


def find_suffix(path):
    """The suffix that tells the kind of a file, such as ".fits" for "a.fits.gz"."""
    path = Path(Path(path).name.lower())
    return Path(path.stem).suffix if path.suffix in COMPRESSIONS else path.suffix


def read_table(path, member=None, digest=None, fewest=SHORTEST):
    """Yield the `table.RowBlock`s of a file of any of `TABLE_FORMATS`.

    `member` is the table's name in a zip archive; see `table.open_bytes`. A `digest` of hashlib is
    fed with all of the table's bytes, uncompressed. A star must have the `fewest` cadences.
    DataError if the file as a whole cannot be used.
    """
    kind = find_suffix(member or path)
    if kind not in TABLE_FORMATS:
        raise DataError(f"is of no known kind: {', '.join(TABLE_FORMATS)} are read")
    with table.open_bytes(path, member) as stream:
        if digest is not None:
            stream = io.BufferedReader(_Digesting(stream, digest), table.BLOCK_BYTES)
        yield from TABLE_FORMATS[kind](stream, fewest)


class _Digesting(io.RawIOBase):
    """A binary stream that digests what is read through it, so that a file is read once."""

    def __init__(self, stream, digest):
        self._stream, self._digest = stream, digest

    def readable(self):
        return True

    def readinto(self, buffer):
        data = self._stream.read(len(buffer))
        self._digest.update(data)
        buffer[: len(data)] = data
        return len(data)
