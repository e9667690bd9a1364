"""The gallery of scored stars: `index.html` beside their pages, the highest score first."""

import math
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

from exoplanets.figures.page import render
from exoplanets.figures.style import describe_training
from exoplanets.scoring.result import Result

TEMPLATE = Path(__file__).with_name("templates") / "gallery.html"
THUMBNAILS = "thumbnails"  # folder of the small pictures, beside the pages
MAST = "https://mast.stsci.edu/portal/Mashup/Clients/Mast/Portal.html?searchQuery="
EXOFOP = {
    "KIC": "https://exofop.ipac.caltech.edu/kepler/edit_target.php?id=",
    "EPIC": "https://exofop.ipac.caltech.edu/k2/edit_target.php?id=",
    "TIC": "https://exofop.ipac.caltech.edu/tess/target.php?id=",
}
COLUMNS = {  # of the table: column of the file of scores, and its digits
    "score": 3, "probability": 3, "period_days": 5, "duration_hours": 1, "depth_ppm": 0, "snr": 1,
    "n_cadences": 0,
}  # fmt: skip


class Drawn(NamedTuple):
    """A star that has a page."""

    page: str  # file name of its page, and of its thumbnail
    result: Result
    target: str  # number in an input catalogue, such as "KIC 757076", or ""


def find_links(target):
    """Names and addresses of two archives' pages about a star; none without a catalogue number."""
    catalogue, _, number = target.partition(" ")
    if catalogue not in EXOFOP or not number.isdigit():
        return ()
    return ("MAST", MAST + quote(target)), ("ExoFOP", EXOFOP[catalogue] + number)


def make_gallery(drawn, network):
    """The text of the page of some `Drawn` stars, which a `network.Network` scored."""
    drawn = sorted(drawn, key=lambda each: -each.result.score)  # of equal ones the first
    n_called = sum(each.result.called for each in drawn)
    about = [
        f"{len(drawn)} star{'s' * (len(drawn) != 1)}, the highest score first. Called hosts "
        f"(orange, {n_called}): score at least {network.threshold:.3f}."
    ]
    if math.isfinite(prevalence := drawn[0].result.prevalence):
        about[0] += f" Probabilities hold if 1 star in {1 / prevalence:.0f} is a host."
    trained_on, is_simulated = describe_training(network)
    trained_on = trained_on[0].upper() + trained_on[1:]
    if not is_simulated:
        about.append(trained_on)
    cards, rows = zip(*map(_show_star, drawn), strict=True)
    return render(
        TEMPLATE,
        title="Scored stars",
        about=about,
        warning=trained_on if is_simulated else "",
        cards=cards,
        columns=["name", "verdict", *COLUMNS],
        rows=rows,
    )


def _show_star(drawn):
    """The card of a star, and its row in the table."""
    result, is_host = drawn.result, drawn.result.called
    numbers = {column: getattr(result, column) for column in COLUMNS}
    shown = {
        column: f"{number:.{COLUMNS[column]}f}" if math.isfinite(number) else None
        for column, number in numbers.items()
    }
    lines = [f"score {shown['score']}: {'' if is_host else 'not '}called a host; {result.verdict}"]
    if result.has_period:
        lines.append(f"period {shown['period_days']} d, SNR {shown['snr']}")
    name, picture, links = result.name, f"{THUMBNAILS}/{drawn.page}", find_links(drawn.target)
    card = {"title": name, "lines": lines, "links": links, "is_host": is_host}
    row = [(name, drawn.page), result.verdict, *shown.values()]
    return card | {"picture": picture, "target": drawn.page}, row
