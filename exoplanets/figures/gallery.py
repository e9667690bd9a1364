"""The gallery of scored stars: `index.html` beside their pages, the highest score first."""

from typing import NamedTuple
from urllib.parse import quote

from exoplanets.figures import page
from exoplanets.figures.style import describe_training

THUMBNAILS = "thumbnails"  # folder of the small pictures, beside the pages
MAST = "https://mast.stsci.edu/portal/Mashup/Clients/Mast/Portal.html?searchQuery="
EXOFOP = {
    "KIC": "https://exofop.ipac.caltech.edu/kepler/edit_target.php?id=",
    "EPIC": "https://exofop.ipac.caltech.edu/k2/edit_target.php?id=",
    "TIC": "https://exofop.ipac.caltech.edu/tess/target.php?id=",
}
COLUMNS = {  # of the table: column of the file of scores, and its digits
    "score": 3, "probability": 3, "period_days": 5, "duration_hours": 1, "depth_ppm": 0, "snr": 1,
    "statistic": 1, "n_cadences": 0,
}  # fmt: skip


class Drawn(NamedTuple):
    """A star that has a page."""

    page: str  # file name of its page, and of its thumbnail
    cells: dict  # texts of its row in the file of scores
    target: str  # number in an input catalogue, such as "KIC 757076", or ""


def find_links(target):
    """Names and addresses of two archives' pages about a star; none without a catalogue number."""
    catalogue, _, number = target.partition(" ")
    if catalogue not in EXOFOP or not number.isdigit():
        return ()
    return ("MAST", MAST + quote(target)), ("ExoFOP", EXOFOP[catalogue] + number)


def make_gallery(drawn, network):
    """The text of the page of some `Drawn` stars, which a `prediction.Network` scored."""
    drawn = sorted(drawn, key=lambda each: -float(each.cells["score"]))  # of equal ones the first
    n_called = sum(each.cells["called"] == "1" for each in drawn)
    about = [
        f"{len(drawn)} star{'s' * (len(drawn) != 1)}, the highest score first. Called hosts "
        f"(orange, {n_called}): score at least {network.threshold:.3f}."
    ]
    if prevalence := drawn[0].cells["prevalence"]:
        about[0] += f" Probabilities hold if 1 star in {1 / float(prevalence):.0f} is a host."
    trained_on, is_simulated = describe_training(network)
    trained_on = trained_on[0].upper() + trained_on[1:]
    if not is_simulated:
        about.append(trained_on)
    table = page.make_table(["name", "called", *COLUMNS], map(_list_cells, drawn))
    body = f"{page.make_cards(map(_describe_star, drawn))}\n<h2>All stars</h2>\n{table}"
    return page.make_page("Scored stars", about, body, trained_on if is_simulated else "")


def _describe_star(drawn):
    cells, shown = drawn.cells, _show_cells(drawn.cells)
    is_host = cells["called"] == "1"
    lines = [f"score {shown['score']}: {'' if is_host else 'not '}called a host"]
    if cells["period_days"]:
        lines.append(f"period {shown['period_days']} d, SNR {shown['snr']}")
    picture, links = f"{THUMBNAILS}/{drawn.page}", find_links(drawn.target)
    return page.Card(cells["name"], lines, picture, drawn.page, links, is_host)


def _list_cells(drawn):
    cells = drawn.cells
    called = "host" if cells["called"] == "1" else "no"
    return [(cells["name"], drawn.page), called, *_show_cells(cells).values()]


def _show_cells(cells):
    """The cells of `COLUMNS` with few digits; None where nothing is known."""
    return {
        column: f"{float(cells[column]):.{digits}f}" if cells[column] else None
        for column, digits in COLUMNS.items()
    }
