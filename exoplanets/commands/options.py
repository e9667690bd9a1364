"""The options that the scripts share."""

import argparse
import dataclasses
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def make_parser(description):
    """Return the parser of a script, with the options that all four share."""
    parser = argparse.ArgumentParser(
        description=description.partition("\n")[0],
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
        allow_abbrev=False,  # --plots is no short form of --plots-dir
    )
    add_directories(parser)
    parser.add_argument("--seed", type=int, default=0, help="of everything drawn at random")
    parser.add_argument(
        "--simulated", action="store_true", help="use the simulated survey, whatever else is there"
    )
    return parser


def add_directories(parser):
    """Give a parser the two directories that everything is read from and written to."""
    parser.add_argument(
        "--data-dir", type=Path, default=ROOT / "data", help="where light curves and results live"
    )
    parser.add_argument("--plots-dir", type=Path, default=ROOT / "plots", help="where figures go")


def parse_positive(text):
    """A whole number of at least 1."""
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"'{text}' is no whole number of at least 1")
    return int(text)


def parse_folds(text):
    """A whole number of at least 2."""
    if not text.isdigit() or int(text) < 2:
        raise argparse.ArgumentTypeError(f"'{text}' is no number of folds, 2 or more")
    return int(text)


def add_outlier_options(parser):
    """Give a parser the two numbers of the outlier rule."""
    parser.add_argument(
        "--sigmas", type=float, default=60, help="standard deviations that make a cadence deviant"
    )
    parser.add_argument(
        "--min-cadences",
        type=parse_positive,
        default=2,
        help="deviant cadences that make an outlier",
    )


def add_settings(parser, settings):
    """Give a parser one flag per hyper-parameter."""
    group = parser.add_argument_group(settings.__doc__.partition(";")[0])
    for field in dataclasses.fields(settings):
        flag = f"--{field.name.replace('_', '-')}"
        options = {"default": field.default, "help": field.metadata["help"]}
        if field.name == "normalization":
            group.add_argument(flag, choices=("adapted", "identity"), **options)
        elif isinstance(field.default, tuple):
            group.add_argument(flag, type=parse_positive, nargs="+", **options)
        else:
            kind = parse_positive if isinstance(field.default, int) else float
            group.add_argument(flag, type=kind, **options)


def read_settings(args, settings):
    """The hyper-parameters of parsed arguments."""
    values = {field.name: getattr(args, field.name) for field in dataclasses.fields(settings)}
    values = {k: tuple(v) if isinstance(v, list) else v for k, v in values.items()}
    return settings(**values)
