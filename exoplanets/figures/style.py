"""How figures look, are signed with their data, and are saved."""

import itertools
from pathlib import Path

import matplotlib

matplotlib.use("Agg")  # figures are saved, never shown: no screen is needed

import matplotlib.pyplot as plt

from exoplanets.files import atomic_write
from exoplanets.stars import describe

STYLE = Path(__file__).with_name("house.mplstyle")
COLORS = {"non-host": "#0072B2", "host": "#D55E00"}  # Okabe & Ito 2008; the same everywhere
SPARE_COLORS = ("#56B4E9", "#882255", "#999933", "#332288")  # of classifiers that choose none
LEGEND_LINE = 0.2  # inches of a line of `draw_legend`


def save_figure(figure, path, provenance, run=None):
    """Save a figure, signed with the data it shows, and print where it is.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
        Closed afterwards.
    path : path
        Replaced at once, or not at all.
    provenance : dict
        Of the tables; see `kaggle.load`.
    run : str, optional
        Identity of the run; see `evaluation.runs`.
    """
    text = describe(provenance)
    if run:
        text += ("; " if figure.get_figwidth() > 5 else "\n") + f"run {run}"
    sign_figure(figure, text, provenance["source"] == "simulated")
    write_figure(figure, path)
    print(f"figure: {path}")


def sign_figure(figure, text, simulated):
    """Put where a figure comes from at its bottom, in red if anything of it is simulated."""
    figure.supxlabel(  # constrained layout leaves room for it, unlike for plain text
        text,
        x=0.995,
        ha="right",
        fontsize=9 if simulated else 7,
        fontweight="bold" if simulated else "normal",
        color="#B00020" if simulated else "#777777",
    )


def write_figure(figure, path):
    """Write a figure, at once or not at all, and close it."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(path) as temporary:
        figure.savefig(temporary, metadata={"Software": None})  # the same bytes on every run
    plt.close(figure)


def house_style():
    """Context in which a figure has the looks of `house.mplstyle`."""
    return plt.style.context(STYLE)


def find_colors(classifiers):
    """The colour of each classifier by name, its own or the next spare one."""
    spare, colors = itertools.cycle(SPARE_COLORS), {}
    for classifier in classifiers:
        if classifier.name not in colors:
            colors[classifier.name] = classifier.color or next(spare)
    return colors


def name_classifier(network, light_curves):
    """A classifier and its light curves in words."""
    kind = "flux as distributed" if light_curves == "distributed" else "equalised flux"
    return f"{network.replace('_', ' ')}, {kind}"


def title_figure(figure, text, fontsize=9.5):
    """Put a figure's message at its top left."""
    figure.suptitle(text, x=0.01, ha="left", fontsize=fontsize)


def draw_legend(axis, drawn):
    """Let a whole axis be the legend of what is drawn on another: too long to lie on it."""
    axis.set_axis_off()
    axis.legend(*drawn.get_legend_handles_labels(), loc="upper left", fontsize=8, borderpad=0)
