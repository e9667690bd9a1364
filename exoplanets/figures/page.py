"""Web pages that need no network and no server: cards with pictures, and a table to sort.

A page is one HTML file beside its pictures. It loads nothing else, and can be opened from a disk
or put on a server as it is.
"""

from html import escape
from urllib.parse import quote

STYLE = """
body{font:16px/1.45 system-ui,sans-serif;color:#222;background:#fff;max-width:84rem;margin:auto;
padding:1rem}
h1{font-size:1.5rem;margin:.2rem 0}h2{font-size:1.15rem;margin:1.6rem 0 .6rem}p{margin:.3rem 0}
.about{color:#555}.warning{color:#b00020;font-weight:bold}
.cards{display:grid;grid-template-columns:repeat(auto-fill,minmax(17rem,1fr));gap:1rem}
.card{border:1px solid #ccc;border-left:.4rem solid #0072b2;border-radius:.3rem;padding:.6rem}
.card.host{border-left-color:#d55e00}.card img{width:100%;height:auto;display:block}
.card strong{overflow-wrap:anywhere}
table{border-collapse:collapse;width:100%;font-size:.9rem}.wide{overflow-x:auto}
th,td{padding:.25rem .6rem;text-align:right;border-bottom:1px solid #ddd;white-space:nowrap}
th:first-child,td:first-child{text-align:left;white-space:normal;overflow-wrap:anywhere;min-width:9rem}
th button{all:unset;cursor:pointer;font-weight:bold}th button:focus-visible{outline:2px solid}
th[aria-sort=descending] button::after{content:" \\25BC"}
th[aria-sort=ascending] button::after{content:" \\25B2"}
"""

# A click on a column's name sorts by it, the greatest first; another click turns the order round.
# Cells that hold nothing stay last.
SCRIPT = """
for (const table of document.querySelectorAll("table")) {
  const heads = [...table.tHead.rows[0].cells], body = table.tBodies[0];
  heads.forEach((head, column) => head.firstChild.addEventListener("click", () => {
    const down = head.getAttribute("aria-sort") !== "descending";
    const key = row => row.cells[column].dataset.value;
    const rows = [...body.rows].sort((a, b) => {
      const [x, y] = [key(a), key(b)];
      if (!x || !y) return !x - !y;
      const order = isNaN(x) || isNaN(y) ? x.localeCompare(y, undefined, {numeric: true}) : x - y;
      return down ? -order : order;
    });
    heads.forEach(other => other.removeAttribute("aria-sort"));
    head.setAttribute("aria-sort", down ? "descending" : "ascending");
    body.append(...rows);
  }));
}
"""


def make_page(title, about, body, warning=""):
    """The text of a whole page.

    `about` is a list of paragraphs that say what the page shows; `body` is HTML, see `make_cards`
    and `make_table`. A `warning` is seen at once, such as that no real star is shown.
    """
    paragraphs = "\n".join(f'<p class="about">{escape(text)}</p>' for text in about)
    if warning:
        paragraphs += f'\n<p class="warning">{escape(warning)}</p>'
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(title)}</title>
<style>{STYLE}</style>
</head>
<body>
<h1>{escape(title)}</h1>
{paragraphs}
{body}
<script>{SCRIPT}</script>
</body>
</html>
"""


def make_cards(cards):
    """HTML of some cards, side by side as the window allows; see `make_card`."""
    return '<div class="cards">\n' + "\n".join(cards) + "\n</div>"


def make_card(title, lines, picture, target, links=(), is_host=False):
    """HTML of one picture with words; it has the colour of hosts if a star is called one.

    `picture` and `target`, what a click on it opens, are paths from the page. The lines stand
    below, a paragraph each; links are pairs of a name and an address.
    """
    lines = "".join(f"<p>{escape(line)}</p>" for line in lines)
    links = " &middot; ".join(_link(*link) for link in links)
    return (
        f'<div class="card{" host" if is_host else ""}">'
        f'<a href="{quote(target)}"><img src="{quote(picture)}" loading="lazy" '
        f'alt="{escape(title)}"></a><p><strong>{escape(title)}</strong></p>{lines}'
        f"{f'<p>{links}</p>' if links else ''}</div>"
    )


def make_table(columns, rows):
    """HTML of a table that is sorted by a click on a column's name.

    Each cell of the rows is a number, a text, None, or a pair of a text and the path it links to.
    """
    head = "".join(f'<th scope="col"><button>{escape(name)}</button></th>' for name in columns)
    body = "\n".join(f"<tr>{''.join(map(_make_cell, row))}</tr>" for row in rows)
    return (
        f'<div class="wide"><table>\n<thead><tr>{head}</tr></thead>\n'
        f"<tbody>\n{body}\n</tbody>\n</table></div>"
    )


def _make_cell(cell):
    text, path = cell if isinstance(cell, tuple) else (cell, None)
    text = "" if text is None else escape(str(text))
    return f'<td data-value="{text}">{_link(text, quote(path)) if path else text}</td>'


def _link(text, address):
    return f'<a href="{escape(address)}">{text}</a>'
