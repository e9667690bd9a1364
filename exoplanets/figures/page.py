"""Pages and tables from Jinja templates.

A page is one HTML file beside its pictures. It needs no network and no server: it loads nothing but
its pictures. `templates/page.html` is the frame of every page; `templates/parts.html` holds cards
with pictures, and tables that are sorted by a click.
"""

from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

TEMPLATES = Path(__file__).with_name("templates")
LATEX = str.maketrans(
    {character: f"\\{character}" for character in "&%_#${}"}
    | {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}
)


def render(template, **content):
    """The text that a template makes of its content.

    `template` is the path of a file. It may extend and import the templates of this package. In
    HTML all content is escaped; in LaTeX, what is given to the filter `latex`. None is written as
    an empty text.
    """
    environment = Environment(
        loader=FileSystemLoader([template.parent, TEMPLATES]),
        autoescape=lambda name: name.endswith(".html"),
        finalize=lambda value: "" if value is None else value,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["latex"] = escape_latex
    return environment.get_template(template.name).render(content)


def escape_latex(text):
    """Text with LaTeX's special characters escaped."""
    return text.translate(LATEX).replace(">=", r"$\ge$")
