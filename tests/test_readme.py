"""README.md: what it quotes is what the kept results say, and what the shipped network gives."""

import csv
import json
import re
import subprocess
import sys

import numpy as np
import pytest
from conftest import ROOT

sys.path.insert(0, str(ROOT / "tests" / "benchmarks"))
import cut_stars
import keep_results

from exoplanets.files import DataError
from exoplanets.scoring import command

README = " ".join((ROOT / "README.md").read_text().split())
RESULTS = json.loads(keep_results.RESULTS.read_text())
HELDOUT = json.loads((ROOT / "tests/benchmarks/results_heldout.json").read_text())
STRICT = "false_positives_1_percent"


def find(rows, **names):
    (row,) = [row for row in rows if all(row[k] == v for k, v in names.items())]
    return row


def test_the_table_is_that_of_the_kept_results():
    assert keep_results.make_table(RESULTS) in (ROOT / "README.md").read_text()


def test_the_table_of_stars_that_never_served_is_that_of_the_kept_results():
    assert keep_results.make_table(HELDOUT, "test") in (ROOT / "README.md").read_text()
    assert f"version {HELDOUT['version']}" in README


def test_counts_and_intervals_in_the_text_are_the_kept_ones():
    test = find(RESULTS["results"], network="transit", split="test")
    low, high = test["f1_interval"]
    n_hosts = test["tp"] + test["fn"]
    alarms = "1 false alarm:" if test["fp"] == 1 else f"{test['fp']} false alarms:"
    assert f"{test['tp']} of {n_hosts} hosts with {alarms}" in README
    assert f"F1 {test['f1']:.2f} [{low:.2f}, {high:.2f}]" in README
    whole = find(RESULTS["results"], network="transit", split="cross-validation")
    low, high = whole["average_precision_interval"]
    cited = f"average precision {whole['average_precision']:.2f} (95 % interval {low:.2f} to"
    assert f"{cited} {high:.2f})" in README.replace("> ", "")


def test_recovery_in_the_text_is_the_kept_one():
    entry = find(RESULTS["completeness"], network="transit", light_curves="equalised")["tuned"]
    first, second, *above = (100 * part["fraction"] for part in entry["bins"])
    assert f"recovers {first:.0f} % at a signal-to-noise ratio (SNR) of 6 to 8" in README
    assert f"{second:.0f} % at 8 to 12 and at least {int(min(above))} % above" in README
    assert f"calls {entry['false_positives']} of {entry['non_hosts']} non-hosts" in README


def test_recovery_at_few_false_alarms_is_the_kept_one():
    ours, box = (
        find(RESULTS["completeness"], network=name, light_curves="equalised")[STRICT]
        for name in ("transit", "box_least_squares")
    )
    calls = [f"{part['false_positives']} of {part['non_hosts']}" for part in (ours, box)]
    counts = [f"{part['all']['recovered']} of {part['all']['n']}" for part in (ours, box)]
    assert f"calls {calls[0]} non-hosts it recovers {counts[0]} injected planets" in README
    assert f"the box search {counts[1]} where {calls[1]} are called" in README


def test_verdicts_on_simulated_systems_in_the_text_are_the_kept_ones():
    planets, binaries = (RESULTS["systems"][kind]["called"] for kind in ("planets", "binaries"))
    assert f"Of {binaries['n']} simulated eclipsing binaries" in README
    sentence = f"it calls {binaries['recovered']}, of as many planets {planets['recovered']}"
    assert sentence in README and planets["n"] == binaries["n"]


def test_the_brier_score_in_the_text_is_the_kept_one():
    brier = RESULTS["brier"]
    assert f"Brier score of the transit network from {brier['before']:.3f} to " in README
    assert f"to {brier['after']:.3f}." in README


@pytest.mark.parametrize(
    ("network", "light_curves"), [("transit", "equalised"), ("published", "distributed")]
)
def test_verdicts_in_the_text_are_the_kept_ones(network, light_curves):
    values = []
    for test in ("inverted", "masked"):
        verdict = find(RESULTS["verdicts"], network=network, light_curves=light_curves, test=test)
        values.append(re.search(r"ROC AUC (\d\.\d\d)", json.dumps(verdict)).group(1))
    assert " and ".join(values) in README


def test_the_example_star_has_the_scores_of_the_readme(tmp_path):
    output, star = tmp_path / "scores.csv", ROOT / "exoplanets/sources/example_star.csv"
    # Not `data/`: who has run `make` has a network of their own there.
    command.main(["--predict", str(star), "--output", str(output), "--data-dir", str(tmp_path)])
    with open(output, newline="") as file:
        (row,) = csv.DictReader(file)

    def show(name, digits):
        return f"{float(row[name]):.{digits}f}"

    for cells in (
        f"{show('score', 3)}, {row['called']}",
        f"`{row['verdict']}`",
        f"{show('probability', 3)}, {show('prevalence', 4)}",
        f"{show('period_days', 4)} ± {show('period_error_days', 4)}",
        f"{show('depth_ppm', 0)} ± {show('depth_error_ppm', 0)}, {show('duration_hours', 1)}",
        f"{show('radius_ratio', 4)}, {show('snr', 1)}",
    ):
        assert f"| {cells} |" in README, cells


# Commands of the README: the test that runs each, or why none does.
COMMANDS = {
    "make": "test_makefile.py, without setting up",
    "make test": "this suite",
    "python3 -m venv .venv && . .venv/bin/activate": "the Makefile does it before any test",
    "pip install -r requirements.txt": "the Makefile does it before any test",
    "python data_visualization.py": "test_scripts.py",
    "python data_analysis.py": "test_scripts.py",
    "python data_preprocessing.py": "test_scripts.py",
    "python cnn_classifier.py": "test_scripts.py",
    "python cnn_classifier.py --predict exoplanets/sources/example_star.csv --plots": "here",
    "python tests/benchmarks/cut_stars.py --data-dir data --output-dir stars_255": "here",
    "python $script.py --data-dir stars_255 --plots-dir stars_255": "test_scripts.py",
    "python cnn_classifier.py --data-dir stars_255 --plots-dir stars_255 --cross-validate 5 "
    "--repetitions 1": "the options in test_cnn_classifier.py; ten minutes are too long for a test",
}


def test_every_command_of_the_readme_is_run_by_a_test_or_listed_with_why_not():
    blocks = re.findall(r"^```\w*\n(.*?)^```$", (ROOT / "README.md").read_text(), re.S | re.M)
    lines = [line.partition("  #")[0].strip() for block in blocks for line in block.splitlines()]
    starts = ("make", "python", "pip ")
    commands = [line for line in lines if line.startswith(starts)]
    assert sorted(commands) == sorted(COMMANDS)
    for where in COMMANDS.values():
        if name := re.search(r"test_\w+\.py", where):
            assert (ROOT / "tests" / name[0]).is_file()


def test_the_one_test_that_the_readme_names_runs():
    (asked,) = re.findall(r"`\.venv/bin/python (-m pytest tests/\S+)`", README)
    done = subprocess.run(
        [sys.executable, *asked.split(), "-q", "-p", "no:cacheprovider"],
        cwd=ROOT, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout  # 5 if no test was collected


def test_the_example_of_the_readme_in_python_runs(tmp_path, monkeypatch):
    (code,) = re.findall(r"^```python\n(.*?)^```$", (ROOT / "README.md").read_text(), re.S | re.M)
    folder = tmp_path / "folder"
    folder.mkdir()
    star = (ROOT / "exoplanets/sources/example_star.csv").read_bytes()
    (folder / "star.csv").write_bytes(star)
    monkeypatch.chdir(tmp_path)
    time, flux = np.loadtxt(folder / "star.csv", delimiter=",", skiprows=1).T
    names = {"time": time, "flux": flux}
    exec(code, names)
    assert names["result"].called and len(names["table"]) == 1
    assert names["table"]["score"].item() == names["result"].score


def test_stars_are_cut_out_by_the_lists_of_the_readme(tmp_path):
    for name in ("stars_255.csv", "stars_heldout.csv"):
        wanted = cut_stars.read_wanted(ROOT / "tests/benchmarks" / name)
        assert all(wanted.values()) and sum(map(len, wanted.values())) in (255, 613)
    with pytest.raises(DataError, match=r"no list of rows"):
        cut_stars.read_wanted(ROOT / "README.md")
