"""A page about one star that was scored: what a vetter of planet candidates looks at first."""

import hashlib
import re
import textwrap
from pathlib import PurePath

import matplotlib.pyplot as plt
import numpy as np
from matplotlib import font_manager

from exoplanets.evaluation.occlusion import VISIBLE_STATISTIC
from exoplanets.figures.results import bin_medians, draw_fold, find_reach, fold
from exoplanets.figures.style import COLORS, house_style, sign_figure
from exoplanets.figures.vetting import describe_share, draw_occluded
from exoplanets.stars import CADENCE_DAYS, describe

A4 = (11.69, 8.27)  # inches, landscape
LONGEST_NAME = 80  # characters of a star's name that are shown, and kept in a file's
PARITIES = {"odd": ("o", "#000000"), "even": ("s", "#56B4E9")}  # marker and colour
WIDTH = 165  # characters of a line of numbers
TELLING = 3.0  # standard errors by which transits differ, or a dip between them stands out
PHASE_BINS = 100


def name_page(name):
    """File name of a star's page: the end of the star's name, and a digest of the whole.

    The digest tells stars apart whose names differ only in their folder, in case or in characters
    that file systems do not take.
    """
    digest = hashlib.sha256(name.encode("utf-8", "surrogateescape")).hexdigest()[:8]
    plain = re.sub(r"[^A-Za-z0-9.+]+", "_", PurePath(name).name).strip("._")[-LONGEST_NAME:]
    return f"{plain or 'star'}-{digest}.png"


def draw_star(examined, network):
    """Draw the page: light curve, occlusion, fold, odd against even transits, whole orbit.

    Parameters
    ----------
    examined : examination.Examined
    network : prediction.Network
        That gave the score.

    Returns
    -------
    matplotlib.figure.Figure
    """
    star, panel, found = examined.star, examined.panel, examined.found
    with house_style():
        figure = plt.figure(figsize=A4)
        grid = figure.add_gridspec(3, 3, height_ratios=(1.0, 1.2, 1.35))
        top = figure.add_subplot(grid[0, :])
        middle = figure.add_subplot(grid[1, :], sharex=top)
        below = [figure.add_subplot(grid[2, 0])]
        below += [figure.add_subplot(grid[2, k], sharey=below[0]) for k in (1, 2)]

        _draw_as_read(top, star, panel)
        top.set_title(_list_numbers(examined, network), fontsize=8.5, parse_math=False)
        points = draw_occluded(middle, panel, examined.occlusion["ordinary_fall"])
        middle.ticklabel_format(axis="x", style="plain", useOffset=False)
        middle.set_ylabel("equalised flux\n(robust std. deviations)")
        middle.set_xlabel(
            "time since the first cadence of the file (days)"
            if star.time is None
            else "time as in the file (days)"
        )
        hours = 24 * examined.hidden_days
        hidden = f"{hours:.1f} h" if hours < 48 else f"{hours / 24:.1f} d"
        share = "the box search found no period"
        if np.isfinite(found.statistic):
            share = f"triangles: transits of the box search; {describe_share(examined.occlusion)}"
        middle.set_title(f"Colour: fall in score when {hidden} are hidden; {share}", fontsize=9)
        bar = figure.colorbar(points, ax=[top, middle], shrink=0.5, anchor=(0, 0), pad=0.01)
        bar.set_label("fall in score (log-odds)", fontsize=9)
        bar.ax.tick_params(labelsize=8)

        if np.isfinite(found.statistic):
            _draw_folds(below, examined)
        else:
            for axis in below:
                axis.set_axis_off()
            below[1].text(0.5, 0.5, "the box search found no period to fold at", ha="center")
        is_host = examined.score >= network.threshold
        figure.suptitle(
            f"{_shorten(star.name)}\n{_describe_call(examined, network, is_host)}",
            x=0.01, ha="left", fontsize=12, color=COLORS["host" if is_host else "non-host"],
            parse_math=False,
        )  # fmt: skip
    trained_on = "light curves that its file does not name"
    if network.trained_on:
        trained_on = describe(network.trained_on)
    simulated = bool(network.trained_on) and network.trained_on["source"] == "simulated"
    sign_figure(figure, f"network {network.name} was trained on: {trained_on}", simulated)
    return figure


def _describe_call(examined, network, is_host):
    """Score, probability and decision in words."""
    probability = network.find_probability(examined.score)
    known = "not calibrated" if probability is None else f"calibrated probability {probability:.3g}"
    sign, call = ("≥", "called a host") if is_host else ("<", "not called a host")
    return f"score {examined.score:.3f} {sign} threshold {network.threshold:.3f}: {call}; {known}"


def _list_numbers(examined, network):
    """What is known of the star, in lines as wide as the page."""
    star, found, numbers = examined.star, examined.found, []
    if np.isfinite(found.statistic):
        numbers = [
            f"period {found.period:.4f} d",
            f"epoch {found.epoch:.4f} d",
            f"duration {24 * found.duration:.1f} h",
            f"depth {found.depth:.2f} robust SD",
            f"SNR {found.snr:.1f}",
            f"search statistic {found.statistic:.1f}",
        ]
    numbers.append(f"{len(examined.panel['curve'])} of {len(star.flux)} cadences used (dark)")
    lines = textwrap.wrap("   ".join(n.replace(" ", "\0") for n in numbers), WIDTH)
    lines = [line.replace("\0", " ") for line in lines]
    notes = f"network {network.name}   notes: {_printable('; '.join(star.notes)) or 'none'}"
    return "\n".join(lines + textwrap.wrap(notes, WIDTH, max_lines=2))


def _draw_as_read(axis, star, panel):
    """The light curve as it was read; a missing cadence is a gap."""
    days = np.arange(len(star.flux)) * CADENCE_DAYS if star.time is None else star.time
    used = np.isin(days, panel["days"])
    size = np.clip(120 / np.sqrt(len(days)), 1.0, 2.2)
    for which, color in ((~used, "#bbbbbb"), (used, "#444444")):
        axis.plot(days[which], star.flux[which], ".", ms=size, mew=0, color=color, rasterized=True)
    axis.set_xlim(days[0], days[-1])
    axis.tick_params(labelbottom=False)
    axis.set_ylabel("flux as read\n(unit of the file)")
    axis.ticklabel_format(axis="y", style="sci", scilimits=(-3, 5))


def _draw_folds(axes, examined):
    """All transits on one another, odd against even ones, and the whole orbit."""
    curve, time, found = examined.panel["curve"], examined.panel["days"], examined.found
    period, epoch, duration = found.period, found.epoch, found.duration
    draw_fold(axes[0], time, curve, period, epoch, duration)
    clear = found.statistic >= VISIBLE_STATISTIC
    doubt = "" if clear else f" (below {VISIBLE_STATISTIC:g}: may well be noise)"
    axes[0].set_title(
        f"Fold of {len(examined.panel['middles'])} transits\n"
        f"search statistic {found.statistic:.2f}{doubt}",
        fontsize=9,
    )
    axes[0].set_ylabel("equalised flux\n(robust std. deviations)")

    reach = find_reach(period, duration)
    edges = np.linspace(-24 * reach, 24 * reach, 26)
    for (name, (marker, color)), shift in zip(PARITIES.items(), (0, period), strict=True):
        away = 24 * fold(time, 2 * period, epoch + shift)
        near = np.abs(away) < 24 * reach
        axes[1].plot(away[near], curve[near], ".", ms=2, mew=0, color="#bbbbbb", rasterized=True)
        depth, error, _ = examined.depths[name]
        label = f"{name}: {depth:.2f} ± {error:.2f}"
        where = bin_medians(away[near], curve[near], edges)
        axes[1].plot(*where, marker, ms=3.5, color=color, label=label, zorder=3)
    axes[1].legend(loc="lower right", fontsize=8, handletextpad=0.1, borderpad=0)
    axes[1].set_title(f"Odd against even transits: mean depths\n{_compare(examined)}", fontsize=9)
    for axis in axes[:2]:
        axis.set_xlabel("time from the middle of a transit (hours)")

    phase = (fold(time, period, epoch) / period + 0.25) % 1 - 0.25
    axes[2].plot(phase, curve, ".", ms=1.5, mew=0, color="#bbbbbb", rasterized=True)
    where = bin_medians(phase, curve, np.linspace(-0.25, 0.75, PHASE_BINS + 1))
    axes[2].plot(*where, "o", ms=2.2, color="#000000")
    axes[2].axvline(0.5, color="#888888", lw=0.8, ls=":", zorder=0)
    axes[2].set_xlim(-0.25, 0.75)
    axes[2].set_xlabel("phase (periods)")
    depth, error, n_dips = examined.depths["between"]
    telling = n_dips and depth > TELLING * error
    remark = ": an eclipsing binary?" if telling else ""
    half = f"depth {depth:.2f} ± {error:.2f}{remark}" if n_dips else "never seen"
    axes[2].set_title(f"Whole orbit; half a period after transit:\n{half}", fontsize=9)
    for axis in axes[1:]:
        axis.tick_params(labelleft=False)


def _compare(examined):
    """In words, whether odd and even transits are equally deep."""
    (odd, odd_error, n_odd), (even, even_error, n_even) = (
        examined.depths[name] for name in ("odd", "even")
    )
    if not (n_odd and n_even):
        return "only one kind was seen"
    difference = abs(odd - even) / max(np.hypot(odd_error, even_error), 1e-9)
    remark = ": an eclipsing binary?" if difference > TELLING else ""
    return f"differ by {difference:.1f} standard errors{remark}"


def _shorten(name):
    """The end of a star's name, which tells more than its beginning."""
    name = _printable(name)
    return name if len(name) <= LONGEST_NAME else "..." + name[3 - LONGEST_NAME :]


def _printable(text):
    """Text with what the figure's font cannot draw written out as Python does."""
    font = font_manager.get_font(font_manager.findfont(font_manager.FontProperties()))
    return "".join(
        c
        if c.isprintable() and font.get_char_index(ord(c))
        else c.encode("unicode_escape").decode()
        for c in text
    )
