"""README.md: what it quotes is what the kept results say, and what the shipped network gives."""

import csv
import json
import re
import sys

import pytest
from conftest import ROOT

sys.path.insert(0, str(ROOT / "tests" / "benchmarks"))
import keep_results

from exoplanets.scoring import command as predict

README = " ".join((ROOT / "README.md").read_text().split())
RESULTS = json.loads(keep_results.RESULTS.read_text())


def find(rows, **names):
    (row,) = [row for row in rows if all(row[k] == v for k, v in names.items())]
    return row


def test_the_table_is_that_of_the_kept_results():
    assert keep_results.make_table(RESULTS) in (ROOT / "README.md").read_text()


def test_counts_and_intervals_in_the_text_are_the_kept_ones():
    test = find(RESULTS["results"], network="transit", split="test")
    low, high = test["f1_interval"]
    n_hosts = test["tp"] + test["fn"]
    assert f"{test['tp']} of {n_hosts} hosts with {test['fp']} false alarms" in README
    assert f"F1 {test['f1']:.2f} [{low:.2f}, {high:.2f}]" in README
    whole = find(RESULTS["results"], network="transit", split="cross-validation")
    low, high = whole["average_precision_interval"]
    cited = f"average precision {whole['average_precision']:.2f} (95 % interval {low:.2f} to"
    assert f"{cited} {high:.2f})" in README.replace("> ", "")


def test_recovery_in_the_text_is_the_kept_one():
    entry = find(RESULTS["completeness"], network="transit", light_curves="equalised")["tuned"]
    first, second, *above = (100 * part["fraction"] for part in entry["bins"])
    assert (
        f"{first:.0f} % at a signal-to-noise ratio of 6 to 8, {second:.0f} % at 8 to 12" in README
    )
    assert f"and at least {int(min(above))} % above" in README
    assert f"calls {entry['false_positives']} of {entry['non_hosts']} non-hosts" in README


def test_recovery_at_few_false_alarms_is_the_kept_one():
    entry = find(RESULTS["completeness"], network="transit", light_curves="equalised")
    strict = entry["false_positives_1_percent"]
    others = entry["false_positives_1_percent_without_suspects"]
    calls = [f"{part['false_positives']} of {part['non_hosts']}" for part in (strict, others)]
    counts = f"only {strict['all']['recovered']} of {strict['all']['n']} injected planets"
    assert f"calls {calls[0]} non-hosts, {counts}" in README
    assert f"{others['all']['recovered']} are recovered where {calls[1]} non-hosts are" in README


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
    predict.main(["--predict", str(star), "--output", str(output), "--data-dir", str(tmp_path)])
    with open(output, newline="") as file:
        (star,) = csv.DictReader(file)
    number = {
        name: float(star[name])
        for name in star
        if name not in ("name", "notes") and re.fullmatch(r"[-+.\de]+", star[name])
    }
    assert f"| {number['score']:.3f}, {star['called']} |" in README
    assert f"| {number['probability']:.3f}, {number['prevalence']:.4f} |" in README
    assert f"| {number['period_days']:.4f} |" in README
    assert f"| {number['depth_ppm']:.0f}, {number['duration_hours']:.1f} |" in README
    assert f"| {number['snr']:.1f}" in README
