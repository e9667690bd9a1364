"""figures/report.py: the same rows for the console, in Markdown and in LaTeX."""

from exoplanets.evaluation import metrics
from exoplanets.figures import report


def row(tp, fp, fn, tn):
    y = [1] * (tp + fn) + [0] * (fp + tn)
    score = [0.9] * tp + [0.1] * fn + [0.9] * fp + [0.1] * tn
    names = {
        "network": "a_network",
        "light_curves": "l",
        "split": "test",
        "noise_matched_auc": 0.625,
    }
    return names | metrics.evaluate(y, score, 0.5, seed=0)


ROWS = [row(4, 1, 1, 564), row(0, 0, 0, 5)]
PROVENANCE = {"seed": 3, "data": {n: {"n_stars": 9, "n_hosts": 2} for n in ("train", "test")}}
UNDEFINED = {"mean": None, "sd": None, "values": [0.3, None]}


def summary(**changed):
    found = {"mean": 0.4, "sd": 0.1, "values": [0.3, 0.5]}
    names = {"network": "transit", "light_curves": "equalised"}
    result = names | dict.fromkeys(("f1", "average_precision", "roc_auc"), found) | changed
    return {"folds": 5, "seeds": [3, 4], "results": [result]}


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
    made = report.make_markdown(ROWS, "STARS", PROVENANCE, summary(f1=UNDEFINED), ["a: holds: b"])
    head, rule, first, second = made.splitlines()[2:6]
    assert head.count("|") == rule.count("|") == first.count("|") == second.count("|")
    cells = [cell.strip() for cell in first.strip("|").split("|")]
    assert cells[:5] == ["a network", "l", "test", "4/1/1/564", "0.800 [0.38, 0.96]"]
    assert "Data: STARS, 9 train stars (2 hosts) and 9 test stars (2 hosts). Seed 3." in made
    assert "5 folds over all stars, seeds 3, 4" in made
    assert "* transit, equalised: roc auc mean 0.400, sd 0.100 (0.300, 0.500)" in made
    assert "* transit, equalised: f1 undefined" in made  # said, not left out
    assert "* a: holds: b" in made
    assert "Spread" not in report.make_markdown(ROWS, "STARS", PROVENANCE)


def test_latex_escapes_what_it_has_to():
    made = report.make_latex(ROWS, "100% of a_b & c", PROVENANCE)
    assert r"100\% of a\_b \& c" in made and r"$\ge$" in made
    body = [line for line in made.splitlines() if line.startswith("a network & l & test")]
    assert len(body) == 2 and all(line.endswith(r"\\") for line in body)
    assert body[0].count("&") == len(report.COLUMNS) - 1


def test_a_verdict_that_cannot_be_given_is_undefined():
    verdict = {"network": "n", "test": "t", "sentence": "s"}
    told = [report.describe_verdict(verdict | {"passed": p}) for p in (True, False, None)]
    assert told == ["n, t: holds: s", "n, t: FAILS: s", "n, t: undefined: s"]
