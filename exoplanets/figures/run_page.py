"""One page per run, `plots/index.html`: the data, the results, every figure and what it says.

It needs no network: any browser opens it from the disk.
"""

from exoplanets.figures.captions import CAPTIONS
from exoplanets.figures.page import Card, make_cards, make_page, make_table
from exoplanets.figures.report import COLUMNS, describe_verdict, make_rows

SIMULATED = "These stars are SIMULATED. No number on this page says anything about real stars."
STEPS = {
    1: "1. What the stars look like",
    2: "2. What is wrong with the data",
    3: "3. What the network may see",
    4: "4. What the networks find",
}


def make_run_page(data, is_simulated, rows, verdicts, figures, links):
    """The text of the page.

    Parameters
    ----------
    data : str
        See `stars.describe`.
    is_simulated : bool
        Then a banner says that no real star is shown.
    rows : list of dict
        Result rows of `metrics.json` to show.
    verdicts : list of dict
        Of the vetting; may be empty.
    figures : list of str
        Names of the figures beside the page, without `.png`.
    links : dict of str
        Per results file, its path from the page.

    Returns
    -------
    str
    """
    warning = ""
    if is_simulated:
        warning = (
            "These stars are SIMULATED. No number on this page says anything about real stars."
        )
    body = ["<h2>Results</h2>", make_table(list(COLUMNS.values()), make_rows(rows))]
    if verdicts:
        lines = [[describe_verdict(verdict)] for verdict in verdicts]
        body += ["<h2>Vetting</h2>", make_table(["verdict"], lines)]
    for step, title in STEPS.items():
        names = [name for name, (of_step, _) in CAPTIONS.items() if of_step == step]
        cards = [
            Card(name, (CAPTIONS[name][1],), f"{name}.png", f"{name}.png")
            for name in names
            if name in figures
        ]
        if cards:
            body += [f"<h2>{title}</h2>", make_cards(cards)]
    body += [
        "<h2>Files</h2>",
        make_table(["file"], [[(name, path)] for name, path in links.items()]),
    ]
    about = [
        f"Data: {data}.",
        "A star is called a host if its score is at least the threshold. Brackets hold 95 % "
        "intervals. Cite only rows of equalised light curves: the others contain the leaks.",
    ]
    return make_page("Exoplanet hosts: one run", about, "\n".join(body), warning)
