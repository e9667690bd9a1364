"""One page per run, `plots/index.html`: the data, the results, every figure and what it says.

It needs no network: any browser opens it from the disk.
"""

import os

from exoplanets.figures.captions import CAPTIONS
from exoplanets.figures.page import make_card, make_cards, make_page, make_table
from exoplanets.figures.report import COLUMNS, describe_verdict, make_rows
from exoplanets.files import write_text
from exoplanets.stars import describe

SIMULATED = "These stars are SIMULATED. No number on this page says anything about real stars."
FILES = ("metrics.json", "leaks.json", "stars.csv", "test_predictions.csv", "training_history.csv")


def make_run_page(content, provenance, figures, links):
    """The text of the page; simulated stars get a banner.

    `content` and `provenance` are those of `metrics.json`; `figures` are the names of the figures
    beside the page, without `.png`; `links` holds, per results file, its path from the page.
    """
    data = provenance["data"]
    body = ["<h2>Results</h2>", make_table(COLUMNS.values(), make_rows(content))]
    if vetting := content.get("vetting"):
        lines = [[describe_verdict(verdict)] for verdict in vetting["verdicts"]]
        body += ["<h2>Vetting</h2>", make_table(["verdict"], lines)]
    for title, captions in CAPTIONS.items():
        cards = [
            make_card(name, [caption], f"{name}.png", f"{name}.png")
            for name, caption in captions.items()
            if name in figures
        ]
        if cards:
            body += [f"<h2>{title}</h2>", make_cards(cards)]
    body += ["<h2>Files</h2>", make_table(["file"], [[link] for link in links.items()])]
    about = [
        f"Data: {describe(data)}. Seed {provenance['seed']}.",
        "A star is called a host if its score is at least the threshold. Brackets hold 95 % "
        "intervals. Cite only rows of equalised light curves: the others contain the leaks.",
    ]
    warning = SIMULATED if data["source"] == "simulated" else ""
    return make_page("Exoplanet hosts: one run", about, "\n".join(body), warning)


def write_run_page(plots_dir, data_dir, content, provenance):
    """Write `index.html` into the folder of the figures; see `make_run_page`."""
    figures = [path.stem for path in plots_dir.glob("*.png")]
    links = {name: os.path.relpath(data_dir / name, plots_dir) for name in FILES}
    links |= {name: name for name in ("results.md", "results.tex")}
    if (plots_dir / "stars" / "index.html").is_file():
        links["pages of scored stars"] = "stars/index.html"
    write_text(plots_dir / "index.html", make_run_page(content, provenance, figures, links))
