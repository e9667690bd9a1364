"""commands/options.py: ranges, help that reads well, and answers before the slow imports."""

import argparse
import subprocess
import sys

import numpy as np
import pytest
from conftest import ROOT, run_script

from exoplanets.commands import options

QUICK = ("data_visualization", "data_analysis", "data_preprocessing")


def parse(*arguments):
    parser = options.make_parser("A script.\n\n    python a.py --seed 1\n")
    options.add_outlier_options(parser, sigmas=60.0, min_cadences=2)
    return parser.parse_args(arguments)


def test_every_default_runs_the_full_experiment():
    args = parse()
    assert (args.seed, args.simulated, args.sigmas, args.min_cadences) == (0, False, 60, 2)
    assert args.data_dir == ROOT / "data"
    assert args.plots_dir == ROOT / "plots"


@pytest.mark.parametrize(
    ("option", "values"),
    [
        ("--seed", ["-1", "4294967296", "1.5", "", "x", "²", "٣", "+5", "1_000", "1" * 5000]),
        ("--sigmas", ["nan", "inf", "-inf", "0", "-3", "1e999", "x", ""]),
        ("--min-cadences", ["0", "-1", "2.5", "x", "1" * 30]),
    ],
)
def test_a_value_out_of_range_is_refused_before_any_work(option, values, capsys):
    for value in values:
        with pytest.raises(SystemExit) as exit_:
            parse(f"{option}={value}")
        assert exit_.value.code == 2
        assert f"argument {option}: '{value}' is no " in capsys.readouterr().err


@pytest.mark.parametrize("seed", [0, 1, 4294967295])
def test_every_seed_in_range_is_one_to_numpy(seed):
    assert parse("--seed", str(seed)).seed == seed
    np.random.RandomState(seed)  # scikit-learn's, which takes the fewest


@pytest.mark.parametrize(
    ("kind", "good", "bad"),
    [
        (options.parse_folds, {"2": 2, "10": 10}, ["1", "0", "-2", "x"]),
        (options.parse_rows, {"3": [3], "3, 7,40": [3, 7, 40]}, ["", "3,", "-1", "a", "1.0"]),
    ],
)
def test_kinds_of_numbers(kind, good, bad):
    assert {text: kind(text) for text in good} == good
    for text in bad:
        with pytest.raises(argparse.ArgumentTypeError, match=f"'{text}' is no "):
            kind(text)


def test_a_shortened_option_is_not_guessed(capsys):
    with pytest.raises(SystemExit):
        parse("--plots", "x")
    assert "unrecognized arguments: --plots" in capsys.readouterr().err


# ----------------------------------------------------------------------------- as a user asks
@pytest.mark.parametrize("name", QUICK)
def test_help_reads_well(name, tmp_path):
    done = run_script(name, "--help", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert "(default: None)" not in done.stdout
    assert str(ROOT) not in done.stdout  # no path of this machine
    assert f"    python {name}.py" in done.stdout  # an example
    for phrase in ("(default: data/)", "(default: plots/)", "--seed N", "--version"):
        assert phrase in " ".join(done.stdout.split())
    assert done.stdout.count("\n") < 40  # a screen


SLOW = ("numpy", "pandas", "matplotlib", "scipy", "sklearn", "imblearn", "tensorflow", "keras")
IMPORTED = """
import runpy, sys
slow, script, sys.argv = sys.argv[1].split(","), sys.argv[2], sys.argv[2:]
try:
    runpy.run_path(script, run_name="__main__")
finally:
    print("imported:", [name for name in slow if name in sys.modules])
"""


@pytest.mark.parametrize("name", QUICK)
@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["--seed", "-1"], ["--what"]])
def test_the_answer_does_not_wait_for_slow_imports(name, arguments):
    done = subprocess.run(
        [sys.executable, "-c", IMPORTED, ",".join(SLOW), str(ROOT / f"{name}.py"), *arguments],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == (0 if arguments[0] in ("--help", "--version") else 2)
    assert done.stdout.endswith("imported: []\n")
