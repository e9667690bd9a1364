"""Two runs of all four scripts in one directory, as a program: it runs beside the tests.

    python tests/whole_run.py folder

`folder/data` holds the tables; `folder/rounds.pkl` comes last: per run, what each script said,
and every file with its bytes.
"""

import os
import pickle
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SCRIPTS = (  # in running order
    "data_visualization",
    "data_analysis",
    "data_preprocessing",
    "cnn_classifier",
)
SMALL = [  # both networks as small as they can be: seconds instead of minutes
    "--epochs", "2", "--filters", "3", "2", "--dense", "4", "3", "--batch-size", "16",
    "--curves", "64", "--candidates", "2", "--heads", "1", "--view-filters", "2", "--units", "4",
    "--transit-epochs", "1",
]  # fmt: skip
OPTIONS = {"cnn_classifier": [*SMALL, "--seed", "5"]}
RESULT = "rounds.pkl"
BLAS_THREADS = "OPENBLAS_NUM_THREADS"


def run_script(name, *args, cwd):
    """Run a script as its user does: with as many threads of BLAS as there are cores."""
    environment = {name: text for name, text in os.environ.items() if name != BLAS_THREADS}
    return subprocess.run(
        [sys.executable, str(ROOT / f"{name}.py"), *map(str, args)],
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
        env=environment,
    )


def listing(*folders):
    """Every file below some folders, with its bytes."""
    return {
        path: path.read_bytes() for f in folders for path in Path(f).rglob("*") if path.is_file()
    }


def run_rounds(folder):
    """Run all scripts twice, from a directory that is not the repository."""
    dirs = ["--data-dir", folder / "data", "--plots-dir", folder / "plots"]
    made = []
    with tempfile.TemporaryDirectory() as foreign:
        for _ in range(2):
            said = {n: run_script(n, *dirs, *OPTIONS.get(n, []), cwd=foreign) for n in SCRIPTS}
            files = listing(folder / "data", folder / "plots")
            made.append((said, {path.name: content for path, content in files.items()}))
    return made


if __name__ == "__main__":
    (Path(sys.argv[1]) / RESULT).write_bytes(pickle.dumps(run_rounds(Path(sys.argv[1]))))
