"""Light curves in a NumPy archive: `flux` of one star or of many, perhaps with `time` and `names`.

Many stars are streamed: a million of them need no more memory than a few hundred. Nothing is ever
unpickled.
"""

import zipfile
from pathlib import Path

import numpy as np

from exoplanets.files import DataError
from exoplanets.scoring.samples import MOST_BYTES, MOST_SAMPLES, Samples, find_target
from exoplanets.sources.table import COMPRESSIONS, open_bytes, refuse_damage

BLOCK_BYTES = 1 << 21  # of an array at a time: about 80 stars of 65 days
MOST_AT_ONCE = 1 << 28  # bytes of what cannot be read in blocks: a million names


def read_npz(path):
    """Yield the `Samples` of an archive's stars.

    It holds the arrays `flux` (n_samples,) or (n_stars, n_samples), and optional `time`
    (n_samples,), days, and `names` (n_stars,). DataError if an array is missing, damaged, of
    another type or shape, or holds Python objects.
    """
    # A packed archive is unpacked again for each array; a plain one may have any number of stars.
    most = MOST_BYTES if Path(path).suffix.lower() in COMPRESSIONS else None
    with open_bytes(path, most=most) as stream, zipfile.ZipFile(stream) as archive:
        shape, blocks = _open_array(archive, "flux", "fiu", (1, 2))
        n_stars, n_samples = shape if len(shape) == 2 else (1, *shape)
        if n_samples > MOST_SAMPLES:
            raise DataError(f"has stars of {n_samples} samples: at most {MOST_SAMPLES} are read")
        time, names = None, range(n_stars)
        if "time.npy" in archive.namelist():
            (n_times,), values = _open_array(archive, "time", "fiu", (1,))
            if n_times != n_samples:
                raise DataError(f"has {n_times} times and {n_samples} flux values a star")
            time = next(values)[0].astype(np.float64)
        if "names.npy" in archive.namelist():
            _, values = _open_array(archive, "names", "US", (1,))
            try:
                names = [str(name) for name in next(values)[0].astype(str)]
            except (ValueError, SystemError) as error:  # bytes that are no characters
                raise DataError(f"has 'names' that are no text ({error})") from None
            if len(names) != n_stars or len(set(names)) < n_stars:
                raise DataError(f"has {len(names)} names for {n_stars} stars, or one name twice")
        elif len(shape) == 1:
            names = [None]
        flux = (row for block in blocks for row in block.astype(np.float64))
        for name, values in zip(names, flux, strict=True):
            target = find_target(name) if isinstance(name, str) else ""
            yield Samples(values, time, row=name, target=target)


def _open_array(archive, name, kinds, dimensions):
    """Shape of one array, and an iterator over blocks of its rows (n, n_columns)."""
    if f"{name}.npy" not in archive.namelist():
        raise DataError(f"has no array '{name}': it holds {archive.namelist()[:5]!a}")
    with refuse_damage(f"has a damaged array '{name}'"):
        stream = archive.open(f"{name}.npy")
        version = np.lib.format.read_magic(stream)
        read_header = getattr(np.lib.format, f"read_array_header_{version[0]}_0")
        shape, by_column, dtype = read_header(stream)
    if dtype.hasobject:
        raise DataError(f"has Python objects in '{name}': refused, and nothing of them was run")
    usable = all(type(n) is int and n > 0 for n in shape)  # True is no number of stars
    if dtype.kind not in kinds or len(shape) not in dimensions or not usable:
        raise DataError(f"has '{name}' of type {dtype} and shape {shape}, which cannot be used")
    n_rows, n_columns = shape if len(shape) == 2 else (1, *shape)
    length = n_columns * dtype.itemsize

    def blocks():
        with stream:
            at_once = n_rows if by_column or len(shape) == 1 else max(1, BLOCK_BYTES // length)
            size = at_once * n_columns * max(dtype.itemsize, 8)  # numbers become float64
            if size > MOST_AT_ONCE:
                raise DataError(
                    f"has '{name}' of shape {shape}, of which {size >> 20} MB would be read at "
                    f"once: save it in C order, or in several files"
                )
            for start in range(0, n_rows, at_once):
                n = min(at_once, n_rows - start)
                data = stream.read(n * length)
                if len(data) < n * length:
                    raise DataError(f"is truncated: '{name}' ends in row {start}")
                block = np.frombuffer(data, dtype)
                yield block.reshape((n, n_columns), order="F" if by_column else "C")

    return shape, blocks()
