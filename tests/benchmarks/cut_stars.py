"""Cut the 255 real stars that the README's table is measured on out of your copy of Kaggle's files.

    python tests/benchmarks/cut_stars.py --data-dir data --output-dir stars_255
    python tests/benchmarks/cut_stars.py --list tests/benchmarks/stars_heldout.csv \\
        --data-dir data --output-dir stars_heldout

`stars_255.csv` beside this file lists them: all 37 hosts of `exoTrain.csv` and 218 non-hosts of
both files. 30 hosts and 148 non-hosts make the new `exoTrain.csv`, 7 hosts and 70 non-hosts the new
`exoTest.csv`. The four scripts run on the new folder as on any other. `--list` takes another list;
`stars_heldout.csv` holds stars that served to choose nothing.
"""

import argparse
import csv
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from exoplanets.files import DataError, atomic_write, run, say
from exoplanets.sources import kaggle
from exoplanets.sources.table import open_bytes
from exoplanets.stars import TABLES

ROWS = Path(__file__).with_name("stars_255.csv")


def read_wanted(path=ROWS):
    """The rows to cut out: per new file, (Kaggle's file, 0-based row, label) of each star."""
    wanted = {name: [] for name in ("exoTrain", "exoTest")}
    try:
        with open(path, newline="") as stream:
            for row in csv.DictReader(stream):
                place = row["kaggle_table"], int(row["kaggle_row"]), row["label"]
                wanted[row["here"]].append(place)
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise DataError(f"'{path}' is no list of rows such as {ROWS.name} ({error})") from error
    return wanted


def cut(data_dir, output_dir, rows=ROWS):
    """Copy the lines of a list, byte for byte, into two new tables; returns their paths.

    Raises
    ------
    DataError
        If a file of Kaggle's is missing, too short, or has another label in a wanted row.
    """
    wanted = read_wanted(rows)
    places = {(table, row): label for rows in wanted.values() for table, row, label in rows}
    lines, header = {}, None
    files = kaggle.find_tables(Path(data_dir))
    if not files:
        raise DataError(f"'{data_dir}' holds no exoTrain.csv, exoTest.csv: download Kaggle's set")
    for name, file in files.items():
        table = Path(TABLES[name]).stem
        with open_bytes(*file) as stream:
            header = next(stream)
            for row, line in enumerate(stream):
                if (table, row) in places:
                    lines[table, row] = line
    for (table, row), label in places.items():
        if lines.get((table, row), b"").partition(b",")[0].decode() != label:
            raise DataError(
                f"row {row} of {table}.csv has not the label {label}: it is not Kaggle's file"
            )
    output_dir = Path(output_dir)
    output_dir.mkdir(parents=True, exist_ok=True)
    paths = []
    for name, rows in wanted.items():
        paths.append(output_dir / f"{name}.csv")
        with atomic_write(paths[-1]) as temporary:
            temporary.write_bytes(header + b"".join(lines[table, row] for table, row, _ in rows))
    return paths


def main(argv=None):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data-dir", type=Path, default="data", help="folder of Kaggle's files")
    parser.add_argument("--list", type=Path, default=ROWS, help="rows to cut out, as a CSV file")
    parser.add_argument("--output-dir", type=Path, default="stars_255", help="folder to write to")
    args = parser.parse_args(argv)
    if args.output_dir.resolve() == args.data_dir.resolve():
        raise DataError("--output-dir is --data-dir: the whole set would be lost; give another")
    for path in cut(args.data_dir, args.output_dir, args.list):
        say(f"written: {path}")


if __name__ == "__main__":
    run(main)
