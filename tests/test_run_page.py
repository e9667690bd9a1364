"""figures/run_page.py and captions.py: the page about one run."""

import pytest
from test_scripts import FIGURES

from exoplanets.figures.captions import CAPTIONS
from exoplanets.figures.run_page import make_run_page

ROW = {
    "network": "transit",
    "light_curves": "equalised",
    "split": "test",
    "tp": 4,
    "fp": 1,
    "fn": 1,
    "tn": 564,
    "threshold": 0.5,
} | dict.fromkeys(("precision", "recall", "f1", "average_precision", "roc_auc"), 0.8)
ROW |= {f"{name}_interval": [0.4, 0.9] for name in ("precision", "recall", "f1")}
ROW |= {f"{name}_interval": [0.4, 0.9] for name in ("average_precision", "roc_auc")}
ROW |= {"noise_matched_auc": 0.8, "matched_auc": 0.8}  # fmt: skip
VERDICT = {"network": "transit", "test": "inverted", "passed": False, "sentence": "a < b & c"}


def make(is_simulated=False, figures=("leaks", "CMtest"), verdicts=(VERDICT,)):
    links = {"metrics.json": "../data/metrics.json"}
    return make_run_page("the stars", is_simulated, [ROW], verdicts, figures, links)


def test_every_figure_of_the_scripts_has_a_caption_and_its_step():
    drawn = {
        name.removesuffix(".png"): step
        for step, names in enumerate(FIGURES.values(), 1)
        for name in names
    }
    assert {name: step for name, (step, _) in CAPTIONS.items()} == drawn


def test_page_shows_the_results_and_only_figures_that_are_there():
    page = make()
    assert "4/1/1/564" in page
    assert 'src="leaks.png"' in page and "clock.png" not in page
    assert CAPTIONS["leaks"][1] in page
    assert 'href="../data/metrics.json"' in page


def test_page_says_what_failed_with_signs_escaped():
    assert "FAILS" in make() and "a &lt; b &amp; c" in make()
    assert "Vetting" not in make(verdicts=())


@pytest.mark.parametrize("is_simulated", [True, False])
def test_simulated_stars_have_a_banner(is_simulated):
    assert ("SIMULATED" in make(is_simulated)) == is_simulated


def test_page_needs_no_network():
    page = make()
    assert "http" not in page and "<link" not in page and 'src="/' not in page
