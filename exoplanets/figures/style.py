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
    """Save a figure, signed with its data and the identity of its run, and print where it is.

    `provenance` is what `stars.describe` takes. The figure is closed afterwards.
    """
    text = describe(provenance)
    if run:
        text += ("; " if figure.get_figwidth() > 5 else "\n") + f"run {run}"
    sign_figure(figure, text, provenance["source"] == "simulated")
    write_figure(figure, path)
    print(f"figure: {path}")


def sign_figure(figure, text, simulated):
    """Put where a figure comes from at its bottom, in red if anything of it is simulated."""
    looks = {"fontsize": 7, "color": "#777777"}
    if simulated:
        looks = {"fontsize": 9, "color": "#B00020", "fontweight": "bold"}
    # Constrained layout leaves room for this label, unlike for plain text.
    figure.supxlabel(text, x=0.995, ha="right", **looks)


def describe_training(network):
    """What light curves a network was trained on, in words, and whether they are simulated."""
    source = network.trained_on
    data = describe(source) if source else "light curves that its file does not name"
    is_simulated = bool(source) and source["source"] == "simulated"
    return f"network {network.name} was trained on: {data}", is_simulated


def write_figure(figure, path):
    """Write a figure, at once or not at all, and close it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(path) as temporary:
        figure.savefig(temporary, metadata={"Software": None})  # the same bytes on every run
    plt.close(figure)


def house_style():
    """Context or decorator that gives figures the looks of `house.mplstyle`."""
    return plt.style.context(STYLE)


def find_colors(classifiers):
    """The colour of each classifier by name, its own or the next spare one."""
    spare, colors = itertools.cycle(SPARE_COLORS), {}
    for classifier in classifiers:
        if classifier.name not in colors:
            colors[classifier.name] = classifier.color or next(spare)
    return colors


def name_class(is_host):
    """The name of a star's class, as in `COLORS`."""
    return "host" if is_host else "non-host"


def split_classes(is_host):
    """Name and stars of each class; hosts come last, so that the rare class is drawn on top."""
    return ("non-host", ~is_host), ("host", is_host)


def name_classifier(network, light_curves):
    """A classifier and its light curves in words."""
    kind = "flux as distributed" if light_curves == "distributed" else "equalised flux"
    return f"{network.replace('_', ' ')}, {kind}"


def title_figure(figure, text, fontsize=9.5, **looks):
    """Put a figure's message at its top left."""
    figure.suptitle(text, x=0.01, ha="left", fontsize=fontsize, **looks)


def draw_legend(axis, drawn):
    """Let a whole axis be the legend of what is drawn on another: too long to lie on it."""
    axis.set_axis_off()
    axis.legend(*drawn.get_legend_handles_labels(), loc="upper left", fontsize=8, borderpad=0)
