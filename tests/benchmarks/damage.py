"""Damages files at random, and counts what the readers make of them.

    python tests/benchmarks/damage.py                  # 500 damages
    python tests/benchmarks/damage.py --n 5000 --seed 3

Tables, what the steps keep for each other, and files of stars are cut off, overwritten, and have
bits, digits and pieces changed. Each must be refused in one line, or read as what it was, or read
as something else that calls itself something else (another SHA-256, another digest): never a
traceback, and no result that changes in silence. Exits with 1 if one did.
"""

import argparse
import gzip
import shutil
import sys
import tempfile
import traceback
from collections import Counter
from pathlib import Path

import numpy as np
from astropy.io import fits

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from exoplanets.classifiers.transit import load_transit
from exoplanets.files import DataError
from exoplanets.lightcurves.prepared import prepare
from exoplanets.lightcurves.split import (
    SPLIT_FILE,
    load_split,
    make_distributed,
    save_split,
    split_stars,
)
from exoplanets.scoring.command import SHIPPED_MODEL
from exoplanets.scoring.own_stars import Star, read_stars
from exoplanets.sources import kaggle, survey
from exoplanets.sources.copies import find_digest
from exoplanets.stars import CADENCE_DAYS, TABLES

REFUSED, SAME, OTHER = "refused", "read as it was", "read as something else, and named so"


# ------------------------------------------------------------------------------- the damages
def cut(content, rng):
    """Only the first part arrived."""
    return content[: int(rng.integers(len(content) + 1))]


def flip(content, rng):
    """Up to eight bits are flipped."""
    content = bytearray(content)
    for place in rng.integers(8 * len(content), size=rng.integers(1, 9)):
        content[place // 8] ^= 1 << (place % 8)
    return bytes(content)


def blank(content, rng):
    """A part is zeros."""
    start, stop = np.sort(rng.integers(len(content) + 1, size=2))
    return content[:start] + bytes(int(stop - start)) + content[stop:]


def junk(content, rng):
    """A part is random bytes."""
    start = int(rng.integers(len(content)))
    noise = rng.bytes(int(rng.integers(1, 200)))
    return content[:start] + noise + content[start + len(noise) :]


def remove(content, rng):
    """A part is missing."""
    start = int(rng.integers(len(content)))
    return content[:start] + content[start + int(rng.integers(1, 300)) :]


def double(content, rng):
    """A part stands there twice."""
    start, stop = np.sort(rng.integers(len(content) + 1, size=2))
    return content[:stop] + content[start:]


def change_text(content, rng):
    """A character is another, one that tables have or one that they should not."""
    words = [b"", b",", b"\n", b"\r", b'"', b";", b"nan", b"inf", b"-", b"e9", b"1e300", b"x"]
    words += [b"\0", b"\xff", "−".encode(), b" ", b"9" * 400]
    start = int(rng.integers(len(content)))
    return content[:start] + words[rng.integers(len(words))] + content[start + 1 :]


DAMAGES = (cut, flip, blank, junk, remove, double, change_text)


# ------------------------------------------------------------------------------ the subjects
class Subject:
    """A kind of file, whole, in a folder of its own, and what its reader gives.

    Parameters
    ----------
    folder : path
        Copied.
    name : str
        Of the file, within the folder.
    read : callable
        From the folder to (result, name): digests of what was read, and of what it calls itself.
    """

    def __init__(self, folder, name, read):
        self.folder = Path(shutil.copytree(folder, folder.parent / f"of {name}"))
        self.name, self.read = name, read
        self.expected = read(self.folder)
        self.files = {path: path.read_bytes() for path in self.folder.iterdir()}
        self.whole = (self.folder / name).read_bytes()

    def judge(self, content):
        """Read a damaged content; what came of it, or an exception."""
        (self.folder / self.name).write_bytes(content)
        try:
            found = self.read(self.folder)
        except DataError as error:
            if "\n" in str(error):
                raise ValueError("a refusal of more than one line") from error
            return REFUSED
        if found[0] == self.expected[0]:
            return SAME
        if found[1] == self.expected[1]:
            raise ValueError("another result under the same name")
        return OTHER

    def mend(self):
        """Put all files back that were changed, and take away what was added."""
        for path in set(self.folder.iterdir()) - self.files.keys():
            path.unlink()
        for path, content in self.files.items():
            if not path.exists() or path.read_bytes() != content:
                path.write_bytes(content)


def read_tables(folder):
    """The labelled stars, and their provenance."""
    stars, provenance = kaggle.load(folder)
    arrays = {"flux": stars.flux, "is_host": stars.is_host}
    return find_digest(arrays), str(provenance)


def read_prepared(folder):
    """The equalised stars; that they are not the kept ones is said, and they are the same."""
    prepared = prepare(*kaggle.load(folder), folder)
    return find_digest({"curves": prepared.stars.curves}), ""


def read_split(folder):
    """What step 4 gets."""
    return load_split(folder / SPLIT_FILE)["sha256"], ""


def read_own(name):
    """The user's own stars; a scores file names each by the digest of its light curve."""

    def read(folder):
        stars = [star for star in read_stars(folder / name) if isinstance(star, Star)]
        if not stars:
            raise DataError("nothing to score")
        digests = []
        for star in stars:
            arrays = {"flux": star.flux} | ({} if star.time is None else {"time": star.time})
            digests.append(find_digest(arrays))
        return str(digests), str(digests)

    return read


def read_model(folder):
    """The weights of a transit network, and what it says of itself."""
    model, scoring = load_transit(folder / "transit.keras")
    weights = {str(i): weight for i, weight in enumerate(model.get_weights())}
    return find_digest(weights, str(scoring)), ""


def make_subjects(folder):
    """Write one whole file of every kind below a folder.

    Returns
    -------
    list of Subject
    """
    folder = folder / "whole"
    folder.mkdir()
    stars = survey.simulate(60, 30, 8, 5, n_cadences=640, seed=1)
    for name, file in TABLES.items():
        labels, flux = getattr(stars, f"{name}_labels"), getattr(stars, f"{name}_flux")
        rows = [",".join(["LABEL", *(f"FLUX.{i + 1}" for i in range(flux.shape[1]))])]
        rows += [
            ",".join([str(label), *map(repr, star)])
            for label, star in zip(labels.tolist(), flux.tolist(), strict=True)
        ]
        (folder / file).write_text("\n".join(rows) + "\n")
    labelled, provenance = kaggle.load(folder, first_step=True)
    ready = prepare(labelled, provenance, folder)
    split = split_stars(ready.stars, np.zeros(len(ready.stars), bool), 0)
    distributed = make_distributed(split)
    path = folder / SPLIT_FILE
    save_split(path, provenance, {"seed": 0}, ready.campaign, split, distributed)
    time = np.arange(640) * CADENCE_DAYS
    np.savez(folder / "own.npz", time=time, flux=stars.test_flux[:5])
    table = np.column_stack([time, 1e4 + stars.test_flux[0]])
    np.savetxt(folder / "own.csv", table, delimiter=",", header="time,flux", comments="")
    (folder / "own.csv.gz").write_bytes(gzip.compress((folder / "own.csv").read_bytes()))
    columns = [fits.Column(name, "D", array=table[:, i]) for i, name in enumerate(("TIME", "FLUX"))]
    fits.BinTableHDU.from_columns(columns).writeto(folder / "own.fits")
    (folder / "rows.csv").write_bytes((folder / "exoTest.csv").read_bytes())
    (folder / "transit.keras").write_bytes(SHIPPED_MODEL.read_bytes())
    readers = dict.fromkeys((*TABLES.values(), "parsed.npz", "source.json"), read_tables)
    readers |= {"equalised.npz": read_prepared, SPLIT_FILE: read_split}
    readers |= {"transit.keras": read_model}
    own = ("rows.csv", "own.npz", "own.csv", "own.csv.gz", "own.fits")
    readers |= {name: read_own(name) for name in own}
    return [Subject(folder, name, read) for name, read in readers.items()]


def damage_all(n, seed, folder):
    """Damage files at random, `n` times in all, and judge each time what comes of it.

    Returns
    -------
    outcomes : Counter
        Of (file, what came of it).
    failures : list of str
        The damages that a reader did not stand, with the traceback.
    """
    rng = np.random.default_rng(seed)
    subjects = make_subjects(folder)
    outcomes, failures = Counter(), []
    for i in range(n):
        subject, damage = subjects[i % len(subjects)], DAMAGES[rng.integers(len(DAMAGES))]
        try:
            outcome = subject.judge(damage(subject.whole, rng))
        except Exception:
            outcome = "FAILED"
            where = f"damage {i}, {damage.__name__}, {subject.name}"
            failures.append(f"{where}:\n{traceback.format_exc()}")
        outcomes[subject.name, outcome] += 1
        subject.mend()
    return outcomes, failures


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--n", type=int, default=500, help="damages (default: 500)")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args(argv)
    with tempfile.TemporaryDirectory() as folder:
        outcomes, failures = damage_all(args.n, args.seed, Path(folder))
    for (name, outcome), count in sorted(outcomes.items()):
        print(f"{name:22} {outcome:40} {count:5}")
    print("\n".join(failures))
    print(f"{args.n} damages, {len(failures)} failures")
    return bool(failures)


if __name__ == "__main__":
    sys.exit(main())
