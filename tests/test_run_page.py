"""figures/run_page.py and captions.py: the page about one run."""

import pytest
from test_page import browse, needs_browser
from test_report import SYSTEMS
from test_scripts import FIGURES

from exoplanets.figures.captions import CAPTIONS
from exoplanets.figures.run_page import SIMULATED, make_run_page

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
ROW |= {"matched_auc": 0.8}
VERDICT = {
    "network": "transit", "light_curves": "equalised", "test": "inverted", "value": 0.7,
    "passed": False, "sentence": "a < b & c",
}  # fmt: skip
TABLE = {"file": "t.csv", "sha256": "0" * 64, "n_stars": 9, "n_hosts": 1, "n_cadences": 640}
LINKS = {"metrics.json": "../data/metrics.json"}


def make(source="user", figures=("leaks", "CMtest"), vetting=True):
    vetted = {"verdicts": [VERDICT], "systems": SYSTEMS} if vetting else None
    content = {"results": [ROW], "vetting": vetted}
    data = {"source": source, "train": TABLE, "test": TABLE}
    return make_run_page(content, {"data": data, "seed": 0}, figures, LINKS)


def test_every_figure_of_the_scripts_has_a_caption_and_its_step():
    drawn = {
        name.removesuffix(".png"): step
        for step, names in enumerate(FIGURES.values(), 1)
        for name in names
    }
    drawn["clock"] = 2  # only where the stars tell their time
    captions = {n: step for step, names in enumerate(CAPTIONS.values(), 1) for n in names}
    assert captions == drawn


def test_page_shows_the_results_and_only_figures_that_are_there():
    page = make()
    assert "4/1/1/564" in page
    assert 'src="leaks.png"' in page and "clock.png" not in page
    assert CAPTIONS["2. What is wrong with the data"]["leaks"] in page
    assert 'href="../data/metrics.json"' in page


def test_page_says_what_failed_with_signs_escaped():
    assert "FAILS" in make() and "a &lt; b &amp; c" in make()
    assert "Vetting" not in make(vetting=False)


def test_page_shows_the_verdicts_of_simulated_systems():
    page = make()
    assert "<h2>Verdicts on simulated" in page and ">30 (75.0%)</td>" in page
    assert "Verdicts on simulated" not in make(vetting=False)


@pytest.mark.parametrize("source", ["simulated", "user", "kaggle"])
def test_only_simulated_stars_have_a_banner(source):
    assert (SIMULATED in make(source)) == (source == "simulated")


def test_page_needs_no_network():
    page = make()
    assert "http" not in page and "<link" not in page and 'src="/' not in page


@needs_browser
def test_the_table_fits_a_small_screen_and_figures_stand_two_in_a_row(tmp_path):
    path = tmp_path / "index.html"
    path.write_text(make(figures=list(CAPTIONS["4. What the networks find"])))
    script = """
        const table = document.querySelector(".wide");
        const places = [...document.querySelectorAll(".figures .card")].map(c => c.offsetLeft);
        document.title = [table.scrollWidth <= table.clientWidth, new Set(places).size].join(";");
    """
    assert "<title>true;2</title>" in browse(path, script, tmp_path / "profile")
