"""The options that the scripts share, and how a script answers before its slow imports.

Nothing slow is imported here: `--help` and a mistyped option are answered at once.
"""

import argparse
import contextlib
import math
import signal
from pathlib import Path

from exoplanets import __version__
from exoplanets.files import stop

VERSION = __version__
ROOT = Path(__file__).resolve().parents[2]
LARGEST_SEED = 2**32 - 1  # NumPy, scikit-learn and Keras take no larger one


def read_whole(text):
    """A whole number of at most 18 decimal digits, which fits 64 bits; ValueError otherwise."""
    if not (text.isascii() and text.isdigit() and len(text) <= 18):
        raise ValueError(text)
    return int(text)


def make_reader(read, is_right, what):
    """A function from the text of an option to its value, which is right, or says what is not."""

    def parse(text):
        with contextlib.suppress(ValueError):
            if is_right(value := read(text)):
                return value
        raise argparse.ArgumentTypeError(f"'{text}' is no {what}")

    return parse


parse_positive = make_reader(read_whole, lambda n: n >= 1, "whole number of at least 1")
parse_folds = make_reader(read_whole, lambda n: n >= 2, "number of folds, 2 or more")
parse_seed = make_reader(
    read_whole, lambda n: n <= LARGEST_SEED, f"whole number from 0 to {LARGEST_SEED}"
)
parse_positive_number = make_reader(float, lambda x: 0 < x < math.inf, "number above 0")
parse_rows = make_reader(
    lambda text: [read_whole(part.strip()) for part in text.split(",")],
    bool,
    "list of row numbers such as 3,7,40",
)


def begin(make_command_line, knows_all=True):
    """Answer --help, --version and a mistake in the options; from now on Ctrl-C is one line.

    A script calls this before its slow imports, and parses again in `main`. `make_command_line`
    makes its parser; `knows_all` is False if more options come with the slow imports.
    """
    signal.signal(signal.SIGINT, stop)
    parser = make_command_line()
    parser.parse_args() if knows_all else parser.parse_known_args()


def make_parser(docstring):
    """Make the parser of a script, with the options that all four share.

    The first line of the script's docstring is its description, its commands are the examples.
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
    seed_help = "fixes everything that is drawn at random (default: %(default)s)"
    parser.add_argument("--seed", type=parse_seed, default=0, metavar="N", help=seed_help)
    simulated_help = "take the stars of the simulated survey, even if there are real ones"
    parser.add_argument("--simulated", action="store_true", help=simulated_help)
    return parser


def add_directories(parser):
    """Give a parser the two folders that everything is read from and written to."""
    for name, content in (("data", "light curves and the results"), ("plots", "figures")):
        text = f"folder of the {content} (default: {name}/)"
        parser.add_argument(
            f"--{name}-dir", type=Path, default=ROOT / name, metavar="DIR", help=text
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
