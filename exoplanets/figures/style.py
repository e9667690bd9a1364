"""How figures look, are signed with their data, and are saved."""

from pathlib import Path

import matplotlib

matplotlib.use("Agg")  # figures are saved, never shown: no screen is needed

import matplotlib.pyplot as plt

from exoplanets.files import atomic_write
from exoplanets.stars import describe

STYLE = Path(__file__).with_name("house.mplstyle")
COLORS = {"non-host": "#0072B2", "host": "#D55E00"}  # Okabe & Ito 2008; the same everywhere


def save_figure(figure, path, provenance):
    """Save a figure, signed with the data it shows, and print where it is.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
        Closed afterwards.
    path : path
        Replaced at once, or not at all.
    provenance : dict
        Of the tables; see `stars.Tables`.
    """
    sign_figure(figure, describe(provenance), provenance["source"] == "simulated")
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
