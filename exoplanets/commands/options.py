"""The options that the scripts share, and how a script answers before its slow imports.

Nothing slow is imported here: `--help` and a mistyped option are answered at once.
"""

import argparse
import math
import signal
from pathlib import Path

from exoplanets.files import accept_any_text, stop

VERSION = "2.0.0"
ROOT = Path(__file__).resolve().parents[2]
LARGEST_SEED = 2**32 - 1  # NumPy, scikit-learn and Keras take no larger one


def begin(make_command_line, knows_all=True):
    """Answer --help, --version and a mistake in the options; from now on Ctrl-C is one line.

    A script calls this before its slow imports, and parses again in `main`.

    Parameters
    ----------
    make_command_line : callable
        Returns the script's parser.
    knows_all : bool
        False if that parser learns more options from the slow imports.
    """
    signal.signal(signal.SIGINT, stop)
    accept_any_text()
    parser = make_command_line()
    parser.parse_args() if knows_all else parser.parse_known_args()


def make_parser(docstring):
    """Make the parser of a script, with the options that all four share.

    Parameters
    ----------
    docstring : str
        Of the script: its first line is the description, its commands are the examples.
    """
    lines = docstring.splitlines()
    examples = [line for line in lines if line.startswith("    python ")]
    parser = argparse.ArgumentParser(
        description=lines[0],
        epilog="\n".join(["examples:", *examples]),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,  # --plots is no short form of --plots-dir
    )
    parser.add_argument("--version", action="version", version=VERSION)
    add_directories(parser)
    parser.add_argument(
        "--seed",
        type=parse_seed,
        default=0,
        metavar="N",
        help="fixes everything that is drawn at random (default: %(default)s)",
    )
    parser.add_argument(
        "--simulated",
        action="store_true",
        help="take the stars of the simulated survey, even if there are real ones",
    )
    return parser


def add_directories(parser):
    """Give a parser the two folders that everything is read from and written to."""
    parser.add_argument(
        "--data-dir",
        type=Path,
        default=ROOT / "data",
        metavar="DIR",
        help="folder of the light curves and the results (default: data/)",
    )
    parser.add_argument(
        "--plots-dir",
        type=Path,
        default=ROOT / "plots",
        metavar="DIR",
        help="folder of the figures (default: plots/)",
    )


def add_outlier_options(parser, sigmas=None, min_cadences=None):
    """Give a parser the two numbers of the outlier rule; by default they are those of step 2."""
    parser.add_argument(
        "--sigmas",
        type=parse_positive_number,
        default=sigmas,
        metavar="X",
        help="a value is deviant if it lies more than X standard deviations from the mean of its "
        f"cadence over all stars (default: {f'{sigmas:g}' if sigmas else 'as in step 2'})",
    )
    parser.add_argument(
        "--min-cadences",
        type=parse_positive,
        default=min_cadences,
        metavar="N",
        help="a star with at least N deviant values is an outlier "
        f"(default: {min_cadences or 'as in step 2'})",
    )


def parse_positive(text):
    """A whole number of at least 1."""
    number = _parse_whole(text)
    if number is None or number < 1:
        raise argparse.ArgumentTypeError(f"'{text}' is no whole number of at least 1")
    return number


def parse_folds(text):
    """A whole number of at least 2."""
    number = _parse_whole(text)
    if number is None or number < 2:
        raise argparse.ArgumentTypeError(f"'{text}' is no number of folds, 2 or more")
    return number


def parse_seed(text):
    """A whole number from 0 to `LARGEST_SEED`."""
    number = _parse_whole(text)
    if number is None or number > LARGEST_SEED:
        raise argparse.ArgumentTypeError(f"'{text}' is no whole number from 0 to {LARGEST_SEED}")
    return number


def parse_positive_number(text):
    """A finite number above 0."""
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not 0 < number < math.inf:
        raise argparse.ArgumentTypeError(f"'{text}' is no number above 0")
    return number


def parse_rows(text):
    """Row numbers from text such as `3,7,40`, in the order given."""
    rows = [_parse_whole(part.strip()) for part in text.split(",")]
    if None in rows:
        raise argparse.ArgumentTypeError(f"'{text}' is no list of row numbers such as 3,7,40")
    return rows


def _parse_whole(text):
    """A whole number of at most 18 decimal digits, or None."""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 18 else None
