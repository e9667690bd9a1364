"""figures/report.py: the same rows for the console, in Markdown and in LaTeX."""

import numpy as np
import pandas as pd
import pytest

from exoplanets.classifiers.verdict import VERDICTS
from exoplanets.evaluation import metrics
from exoplanets.figures import report


def row(tp, fp, fn, tn):
    y = [1] * (tp + fn) + [0] * (fp + tn)
    score = [0.9] * tp + [0.1] * fn + [0.9] * fp + [0.1] * tn
    names = {
        "network": "a_network",
        "light_curves": "l",
        "split": "test",
        "matched_auc": 0.625,
    }
    return names | metrics.evaluate(y, score, 0.5, seed=0)


ROWS = [row(4, 1, 1, 564), row(0, 0, 0, 5)]
PROVENANCE = {"seed": 3, "run": "0123456789ab"}
PROVENANCE["data"] = {name: {"n_stars": 9, "n_hosts": 2} for name in ("train", "test")}
UNDEFINED = {"mean": None, "sd": None, "values": [0.3, None]}
VERDICT = {"network": "n", "light_curves": "l", "test": "t", "sentence": "s"}
VERDICT |= {"value": 0.5, "passed": True}
SYSTEMS = {
    kind: dict(zip(VERDICTS, counts, strict=True))
    | {"called": {"n": 40, "fraction": counts[0] / 40, "interval": [0.1, 0.9]}}
    for kind, counts in {"planets": (36, 1, 2, 1), "binaries": (6, 30, 3, 1)}.items()
}
VETTING = {"level": "quick", "verdicts": [VERDICT], "systems": SYSTEMS}


LISTED = pd.DataFrame(
    {
        "table": ["test", "train", "test"],
        "row": [7, 8, 9],
        "label": [0, 1, 1],
        "score": [0.5, 0.99, 0.9],
        "verdict": ["eclipsing binary", "planet candidate", "planet candidate"],
        "planet_score": [0.2, 0.9, 0.5],
        "period_days": [2.20238, 1.0, np.nan],
        "period_error_days": [0.00012, 0.1, np.nan],
        "duration_hours": [3.4, 1.0, np.nan],
        "snr": [31.1, 1.0, np.nan],
        "suspect_label": [True, False, False],
    }
)


def make_content(cross_validated=None, **changed):
    """Content of metrics.json, with a cross-validation if one of its metrics is given."""
    content = {"results": [*ROWS, ROWS[0] | {"split": "train"}], "cross_validation": None}
    content |= {"suspects": {"test_rows": []}, "vetting": None}
    content["thresholds"] = {
        "a_network on l": {"threshold": 0.0745, "interval": [0.0644, 0.1562]},
        "b on l": {"threshold": 136.25, "interval": None},
    }
    if cross_validated is not None:
        metric = {"mean": 0.4, "sd": 0.1, "values": [0.3, 0.5]}
        spread = {"network": "transit", "light_curves": "equalised"}
        spread |= dict.fromkeys(("f1", "average_precision", "roc_auc", "matched_auc"), metric)
        summary = {"folds": 5, "seeds": [3, 4], "results": [spread | cross_validated]}
        content["cross_validation"] = summary
    return content | changed


def test_text_has_a_column_a_count_intervals_and_what_is_undefined():
    head, first, second, rule = report.make_text(ROWS).splitlines()
    assert head.split()[:8] == ["network", "light", "curves", "split", "TP", "FP", "FN", "TN"]
    assert first.split()[:7] == ["a_network", "l", "test", "4", "1", "1", "564"]
    assert first.count("0.800 [0.38, 0.96]") == 2
    assert second.count("undefined") == 5
    assert first.split()[-1] == "0.625"
    assert "score >= threshold" in rule
    starts = [line.index(cell) for line, cell in ((head, "TP"), (first, "4 "), (second, "0 "))]
    assert len(set(starts)) == 1  # columns stand beneath their names


def test_markdown_has_the_rows_the_spread_and_the_verdicts():
    content = make_content({"f1": UNDEFINED}, vetting=VETTING)
    made = report.make_markdown(content, "STARS", PROVENANCE)
    head, rule, first, second, blank = made.splitlines()[2:7]
    assert head.count("|") == rule.count("|") == first.count("|") == second.count("|")
    assert blank == ""  # stars that were trained on are not reported
    cells = [cell.strip() for cell in first.strip("|").split("|")]
    assert cells[:5] == ["a network", "l", "test", "4/1/1/564", "0.800 [0.38, 0.96]"]
    assert (
        "Data: STARS, 9 train stars (2 hosts) and 9 test stars (2 hosts). Seed 3, run 0123" in made
    )
    assert "5 folds over all stars, seeds 3, 4" in made
    assert "* transit, equalised: roc auc mean 0.400, sd 0.100 (0.300, 0.500)" in made
    assert "* transit, equalised: f1 undefined" in made  # said, not left out
    assert "* n on l, t: holds: s" in made
    bare = report.make_markdown(make_content(), "STARS", PROVENANCE)
    assert "Spread" not in bare and "Vetting" not in bare and "truth" not in bare
    untold = make_content(vetting=VETTING | {"systems": None})  # by a network that does not tell
    assert "truth" not in report.make_markdown(untold, "STARS", PROVENANCE)
    assert "a network on l 0.0745 [0.0644, 0.156], b on l 136." in made


def test_verdicts_of_simulated_systems_are_a_table_of_their_own():
    content = make_content(vetting=VETTING)
    made = report.make_markdown(content, "STARS", PROVENANCE)
    assert (
        "| simulated binaries | 40 | 6 (15.0%) | 30 (75.0%) | 3 (7.5%) | 1 (2.5%) "
        "| 0.150 [0.10, 0.90] |\n\nWhat the transit network takes" in made
    )
    latex = report.make_latex(content, "STARS", PROVENANCE)
    assert latex.count(r"\begin{table*}") == latex.count(r"\end{table*}") == 2
    assert r"simulated planets & 40 & 36 (90.0\%)" in latex and r"\label{tab:verdicts}" in latex
    console = report.make_report(content, LISTED)
    (line,) = [line for line in console.splitlines() if "simulated planets" in line]
    assert line.split()[2:5] == ["40", "36", "(90.0%)"]


def test_latex_escapes_what_it_has_to():
    made = report.make_latex(make_content(), "100% of a_b & c", PROVENANCE)
    assert r"100\% of a\_b \& c" in made and r"$\ge$" in made
    body = [line for line in made.splitlines() if line.startswith("a network & l & test")]
    assert len(body) == 2 and all(line.endswith(r"\\") for line in body)
    assert body[0].count("&") == len(report.COLUMNS) - 1


@pytest.mark.parametrize(
    ("value", "passed", "outcome"),
    [
        (0.5, True, "holds"),
        (0.7, False, "FAILS"),
        (0.5, None, "no skill to lose"),
        (None, None, "undefined"),
    ],
)
def test_a_verdict_says_what_held_and_what_could_not_be_told(value, passed, outcome):
    line = report.describe_verdict(VERDICT | {"value": value, "passed": passed})
    assert line == f"n on l, t: {outcome}: s"


def test_the_console_lists_the_highest_scored_test_stars_and_the_suspects():
    suspects = {"test_rows": [7], "results_without": [ROWS[0] | {"fp": 77}]}
    made = report.make_report(make_content({}, suspects=suspects, vetting=VETTING), LISTED)
    rows = [line for line in made.splitlines() if line.startswith("  row ")]
    assert [line.split()[1] for line in rows] == ["9", "7"]  # by score; of the test table alone
    assert "non-host  score 0.500  eclipsing binary  planet score 0.20  period" in rows[1]
    assert "2.20238 +- 0.00012 d  duration  3.4 h  SNR  31.1  suspect label" in rows[1]
    assert rows[0].endswith("planet score 0.50  no transit could be measured")
    assert "without the suspects (test rows [7]):" in made and " 77 " in made
    assert "cross-validation in 5 folds over all stars, seeds 3, 4:" in made
    assert "vetting (quick):\n  n on l, t: holds: s" in made
    bare = report.make_report(make_content(), LISTED)
    assert "without the suspects" not in bare and "vetting" not in bare
