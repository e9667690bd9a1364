"""One page per run, `plots/index.html`: the data, the results, every figure and what it says.

It needs no network: any browser opens it from the disk.
"""

import os

from exoplanets.figures.captions import CAPTIONS
from exoplanets.figures.page import TEMPLATES, render
from exoplanets.figures.report import COLUMNS, describe_verdict, make_rows, make_verdicts
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
    about = [
        f"Data: {describe(data)}. Seed {provenance['seed']}.",
        "A star is called a host if its score is at least the threshold. Brackets hold 95 % "
        "intervals. Cite only rows of equalised light curves: the others contain the leaks. "
        "A click on a figure opens it in full size.",
    ]
    steps = {
        step: [
            {"title": name, "lines": [caption], "picture": f"{name}.png", "target": f"{name}.png"}
            for name, caption in captions.items()
            if name in figures
        ]
        for step, captions in CAPTIONS.items()
    }
    # No line breaks inside the brackets of an interval.
    rows = [
        [cell.replace(", ", ",\N{NO-BREAK SPACE}") for cell in row] for row in make_rows(content)
    ]
    verdicts = content["vetting"]["verdicts"] if content["vetting"] else ()
    return render(
        TEMPLATES / "run.html",
        title="Exoplanet hosts: one run",
        about=about,
        warning=SIMULATED if data["source"] == "simulated" else "",
        columns=COLUMNS.values(),
        rows=rows,
        systems=make_verdicts(content),
        verdicts=[[describe_verdict(verdict)] for verdict in verdicts],
        steps=steps,
        files=[[link] for link in links.items()],
    )


def write_run_page(plots_dir, data_dir, content, provenance):
    """Write `index.html` into the folder of the figures; see `make_run_page`."""
    figures = [path.stem for path in plots_dir.glob("*.png")]
    links = {name: os.path.relpath(data_dir / name, plots_dir) for name in FILES}
    links |= {name: name for name in ("results.md", "results.tex")}
    if (plots_dir / "stars" / "index.html").is_file():
        links["pages of scored stars"] = "stars/index.html"
    write_text(plots_dir / "index.html", make_run_page(content, provenance, figures, links))
