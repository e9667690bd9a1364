"""Web pages: what they hold, that they load nothing from elsewhere, and how they behave."""

import re
import shutil
import subprocess
from html.parser import HTMLParser

import matplotlib.pyplot as plt
import pytest
from jinja2 import UndefinedError

from exoplanets.figures.page import TEMPLATES, escape_latex, render

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
needs_browser = pytest.mark.skipif(not CHROMIUM, reason="Chromium is not installed")
HOSTILE = '<script>document.title = "run"</script>"&\'<b>'


class Reader(HTMLParser):
    """Collects the start tags of a page, and its text outside scripts and styles."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.text, self._inside = [], "", None
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        self._inside = tag

    def handle_endtag(self, tag):
        self._inside = None

    def handle_data(self, data):
        if self._inside not in ("script", "style"):
            self.text += data

    def every(self, tag):
        return [attributes for name, attributes in self.tags if name == tag]


def make_card(title, lines=(), target="a.png", **more):
    return {"title": title, "lines": lines, "picture": "a.png", "target": target} | more


def make_page(title, about=(), warning="", cards=(), columns=(), rows=()):
    """A page with cards and a table: that of a run, of which every other part is empty."""
    return render(
        TEMPLATES / "run.html", title=title, about=about, warning=warning, columns=columns,
        rows=rows, systems=((), ()), verdicts=(), steps={"step": cards}, files=(),
    )  # fmt: skip


def browse(path, script, folder):
    """What the page holds after a script has run in it: its DOM as Chromium writes it out."""
    page = path.read_text(encoding="utf-8")
    changed = path.with_name("changed.html")
    changed.write_text(page.replace("</body>", f"<script>{script}</script></body>"))
    options = (
        "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run "
        "--disable-background-networking --disable-component-update --disable-sync "
        "--virtual-time-budget=5000 --window-size=1200,2000 --dump-dom"
    )
    command = [CHROMIUM, *options.split(), f"--user-data-dir={folder}", changed.as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    return done.stdout


def test_text_stays_text_wherever_it_stands():
    cards = [make_card(HOSTILE, [HOSTILE], "b c.html", links=[("MAST", 'x"onclick="y')])]
    rows = [[HOSTILE], [(HOSTILE, "é#?.png")], [None], [1.5]]
    page = Reader(make_page(HOSTILE, [HOSTILE], HOSTILE, cards, [HOSTILE], rows))
    assert page.text.count(HOSTILE) == 9
    assert len(page.every("script")) == 1  # the page's own
    assert not page.every("b")
    assert not [tag for tag, attributes in page.tags if any(a.startswith("on") for a in attributes)]
    assert [a["href"] for a in page.every("a")] == [
        "%C3%A9%23%3F.png",
        "b%20c.html",
        'x"onclick="y',
    ]


def test_a_page_loads_nothing_but_its_pictures():
    links = [("MAST", "https://mast.stsci.edu/")]
    text = make_page("Stars", ["One."], cards=[make_card("a star", links=links, is_host=True)])
    page = Reader(text)
    assert [image["src"] for image in page.every("img")] == ["a.png"]
    assert not page.every("link") and not any("src" in script for script in page.every("script"))
    assert re.findall(r"https?://[^\"<]*", text) == ["https://mast.stsci.edu/"]
    assert page.every("img")[0]["alt"] == "a star"
    assert "card host" in [a.get("class") for a in page.every("div")]


def test_a_warning_is_said_apart():
    assert 'class="warning">SIMULATED' in make_page("Stars", warning="SIMULATED")
    assert 'class="warning"' not in make_page("Stars")


@needs_browser
def test_chromium_shows_the_pictures_and_sorts_the_table(tmp_path):
    figure, _ = plt.subplots(figsize=(1, 1))
    for name in ("a", "b"):
        figure.savefig(tmp_path / f"{name}.png")
    cards = [make_card(name, picture=f"{name}.png") for name in ("a", "b")]
    rows = [["star 10", 0.5, None], ["star 9", 12, 7], [("star 1", "a.png"), "1e-3", -1]]
    path = tmp_path / "index.html"
    path.write_text(make_page("Stars", cards=cards, columns=["name", "score", "depth"], rows=rows))
    script = """
        const click = i => document.querySelectorAll("th button")[i].click();
        const body = document.querySelector("tbody");
        const order = () => [...body.rows].map(row => row.cells[0].innerText);
        const said = [];
        for (const i of [1, 1, 2, 2, 0, 0]) { click(i); said.push(order().join(",")); }
        onload = () => {
          const images = [...document.images].filter(i => i.complete && i.naturalWidth > 0);
          document.title = [...said, images.length].join(";");
        };
    """
    title = re.search(r"<title>(.*)</title>", browse(path, script, tmp_path / "profile"))[1]
    assert title.split(";") == [
        "star 9,star 10,star 1",
        "star 1,star 10,star 9",
        "star 9,star 1,star 10",  # what has no depth stays last
        "star 1,star 9,star 10",
        "star 10,star 9,star 1",
        "star 1,star 9,star 10",
        "2",
    ]


def test_what_latex_would_take_for_a_command_is_written_out():
    assert escape_latex("100 % & a_b #1 $2 >= {x}") == r"100 \% \& a\_b \#1 \$2 $\ge$ \{x\}"
    assert escape_latex("\\~^") == r"\textbackslash{}\textasciitilde{}\textasciicircum{}"


def test_a_template_that_lacks_some_content_is_an_error():
    with pytest.raises(UndefinedError, match="tables"):
        render(TEMPLATES / "results.md", columns=[], rows=[], caption="")
