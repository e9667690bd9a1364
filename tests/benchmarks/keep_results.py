"""Keep the results of a run that the main README quotes, and print its table.

    python tests/benchmarks/keep_results.py --data-dir stars_255

Writes `tests/benchmarks/results_255.json` from `metrics.json`. A test fails when the README has
other numbers than this file.
"""

import argparse
import json
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from exoplanets.files import atomic_write, run, say

RESULTS = ROOT / "tests" / "benchmarks" / "results_255.json"
COUNTS = ("tp", "fp", "fn", "tn")
RECOVERY = ("threshold", "false_positives", "non_hosts", "bins", "all")  # of the vetting
METRICS = ("f1", "average_precision", "roc_auc")
HEADER = """\
| network | light curves | TP/FP/FN/TN | F1 | average precision | ROC AUC | matched AUC |
|---|---|---|---|---|---|---|
"""


def keep(metrics):
    """What the README quotes of `metrics.json`: rows, calibration, and of the vetting."""
    names = ("network", "light_curves", "split", *COUNTS, "matched_auc")
    names += tuple(name for metric in METRICS for name in (metric, f"{metric}_interval"))
    rows = [row for row in metrics["results"] if row["split"] in ("test", "cross-validation")]
    vetting = metrics["vetting"]
    return {
        "results": [{name: row[name] for name in names} for row in rows],
        "completeness": [
            {
                name: {key: value[key] for key in RECOVERY} if isinstance(value, dict) else value
                for name, value in entry.items()
                if name != "curve"
            }
            for entry in vetting["completeness"]
        ],
        "verdicts": vetting["verdicts"],
        "systems": vetting["systems"],
        "brier": {
            when: metrics["calibration"]["transit on equalised"][f"brier_{when}"]
            for when in ("before", "after")
        },
        "data": metrics["provenance"]["data"],
        "versions": metrics["provenance"].get("versions"),
    }


def make_table(results, split="cross-validation"):
    """The README's table, Markdown, of what `keep` returns."""
    lines = []
    for row in results["results"]:
        if row["split"] == split:
            shown = [row["network"].replace("_", " "), row["light_curves"]]
            shown.append("/".join(str(row[name]) for name in COUNTS))
            for metric in METRICS:
                low, high = row[f"{metric}_interval"]
                shown.append(f"{row[metric]:.2f} [{low:.2f}, {high:.2f}]")
            lines.append(f"| {' | '.join(shown)} | {row['matched_auc']:.2f} |\n")
    return HEADER + "".join(lines)


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data-dir", type=Path, required=True, help="folder of a finished run")
    args = parser.parse_args(argv)
    results = keep(json.loads((args.data_dir / "metrics.json").read_text()))
    with atomic_write(RESULTS) as file:
        file.write_text(json.dumps(results, indent=1) + "\n")
    print(make_table(results), end="")
    say(f"results: {RESULTS.relative_to(ROOT)}")


if __name__ == "__main__":
    run(main)
