"""The gallery of scored stars: `index.html` beside their pages, the highest score first."""

from typing import NamedTuple
from urllib.parse import quote

from exoplanets.figures import page
from exoplanets.stars import describe

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
    """A star that has a page.

    Attributes
    ----------
    page : str
        File name of its page, and of its thumbnail.
    cells : dict of str
        Of its row in the file of scores.
    target : str
        Number in an input catalogue, such as "KIC 757076", or "".
    """

    page: str
    cells: dict
    target: str


def find_links(target):
    """Names and addresses of two archives' pages about a star; none without a catalogue number."""
    catalogue, _, number = target.partition(" ")
    if catalogue not in EXOFOP or not number.isdigit():
        return ()
    return ("MAST", MAST + quote(target)), ("ExoFOP", EXOFOP[catalogue] + number)


def make_gallery(drawn, network):
    """The text of the page.

    Parameters
    ----------
    drawn : list of Drawn
    network : evaluation.prediction.Network
        That gave the scores.
    """
    drawn = sorted(drawn, key=lambda each: -float(each.cells["score"]))  # of equal ones the first
    n_called = sum(each.cells["called"] == "1" for each in drawn)
    about = [
        f"{len(drawn)} star{'s' * (len(drawn) != 1)}, the highest score first. Called hosts "
        f"(orange, {n_called}): score at least {network.threshold:.3f}."
    ]
    if prevalence := drawn[0].cells["prevalence"]:
        about[0] += f" Probabilities hold if 1 star in {1 / float(prevalence):.0f} is a host."
    source = network.trained_on
    trained_on = describe(source) if source else "light curves that its file does not name"
    trained_on = f"Network {network.name} was trained on: {trained_on}"
    is_simulated = bool(source) and source["source"] == "simulated"
    if not is_simulated:
        about.append(trained_on)
    table = page.make_table(["name", "called", *COLUMNS], [[*_list_cells(each)] for each in drawn])
    body = f"{page.make_cards(map(_describe_star, drawn))}\n<h2>All stars</h2>\n{table}"
    return page.make_page("Scored stars", about, body, trained_on if is_simulated else "")


def _describe_star(drawn):
    cells = drawn.cells
    is_host = cells["called"] == "1"
    lines = [f"score {_show_cell(cells, 'score')}: {'' if is_host else 'not '}called a host"]
    if cells["period_days"]:
        lines.append(f"period {_show_cell(cells, 'period_days')} d, SNR {_show_cell(cells, 'snr')}")
    picture = f"{THUMBNAILS}/{drawn.page}"
    return page.Card(
        cells["name"], tuple(lines), picture, drawn.page, find_links(drawn.target), is_host
    )


def _list_cells(drawn):
    yield drawn.cells["name"], drawn.page
    yield "host" if drawn.cells["called"] == "1" else "no"
    for column in COLUMNS:
        yield _show_cell(drawn.cells, column)


def _show_cell(cells, column):
    """A cell with few digits, or None."""
    return f"{float(cells[column]):.{COLUMNS[column]}f}" if cells[column] else None
