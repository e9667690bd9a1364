"""A page about one star that was scored: what a vetter of planet candidates looks at first."""

import hashlib
import re
import textwrap
from pathlib import PurePath

import matplotlib.pyplot as plt
import numpy as np
from matplotlib import font_manager
from matplotlib.colors import LinearSegmentedColormap

from exoplanets.figures.light_curves import (
    draw_dip,
    draw_medians,
    draw_occluded,
    find_reach,
    fold,
)
from exoplanets.figures.style import (
    COLORS,
    describe_training,
    house_style,
    name_class,
    sign_figure,
    title_figure,
)
from exoplanets.figures.vetting import describe_share
from exoplanets.scoring.depths import find_days
from exoplanets.search.box import VISIBLE_STATISTIC

WIDTH, HEIGHT = 11.69, 8.27  # inches: A4, landscape; taller where the light curve has several rows
LONGEST_NAME = 80  # characters of a star's name that are shown, and kept in a file's
LONGEST_LINE = 150  # characters
ROW_DAYS, MOST_ROWS = 120, 4  # of the light curve: longer ones are drawn in several rows
PARITIES = {  # of transits: how they are drawn
    "odd": {"marker": "o", "color": "#000000"},
    "even": {"marker": "s", "color": "#56B4E9"},
}
TELLING = 3.0  # standard errors by which transits differ, or a dip between them stands out
PHASE_BINS = 100
BINARY = ": an eclipsing binary?"
DARK, PALE, FAINT = "#333333", "#8c8c8c", "#bbbbbb"
# Dark where nothing falls: near-white points would not be seen on white.
FALLS = LinearSegmentedColormap.from_list("falls", ["#0072B2", "#5a5a5a", "#FF7A00"])
ZERO_TIMES = {"BKJD": " = BJD − 2454833", "BTJD": " = BJD − 2457000"}


def name_page(name):
    """File name of a star's page: the end of the star's name, and a digest of the whole.

    The digest tells stars apart whose names differ only in their folder, in case or in characters
    that file systems do not take.
    """
    digest = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:8]
    plain = re.sub(r"[^A-Za-z0-9.+]+", "_", PurePath(name).name).strip("._")[-LONGEST_NAME:]
    return f"{plain or 'star'}-{digest}.png"


@house_style()
def draw_star(examined, network):
    """Draw the page: light curve, occlusion, fold, odd against even transits, whole orbit.

    `examined` comes from `examination.examine_star`; `network` is the one that gave the score.
    """
    days = examined.panel["days"]
    n_rows = int(np.clip(np.ceil((days[-1] - days[0]) / ROW_DAYS), 1, MOST_ROWS))
    figure = plt.figure(figsize=(WIDTH, HEIGHT + 1.3 * (n_rows - 1)))
    ratios = (1.0, *[1.2 if n_rows == 1 else 0.9] * n_rows, 1.35)
    grid = figure.add_gridspec(n_rows + 2, 3, height_ratios=ratios)
    top = figure.add_subplot(grid[0, :])
    rows = [figure.add_subplot(grid[k + 1, :]) for k in range(n_rows)]
    below = [figure.add_subplot(grid[-1, k]) for k in range(3)]

    _draw_as_read(top, examined)
    if n_rows == 1:
        top.tick_params(labelbottom=False)  # the row below has the same days
    top.set_title(_list_numbers(examined, network), fontsize=8.5, parse_math=False)
    points = _draw_occluded(rows, examined)
    bar = figure.colorbar(points, ax=[top, *rows], shrink=0.5, anchor=(0, 0), pad=0.01)
    bar.set_label("fall in score (log-odds)", fontsize=9)
    bar.ax.tick_params(labelsize=8)
    if examined.found:
        _draw_folds(below, examined)
    else:
        for axis in below:
            axis.set_axis_off()
        below[1].text(0.5, 0.5, "the box search found no period to fold at", ha="center")
    title = f"{shorten(examined.star.name)}\n{describe_call(examined, network)}"
    color = COLORS[name_class(examined.cells["called"] == "1")]
    title_figure(figure, title, 12, color=color, parse_math=False)
    sign_figure(figure, *describe_training(network))
    return figure


@house_style()
def draw_thumbnail(examined):
    """A small picture of a star for a gallery: its fold, or its light curve without a period."""
    panel = examined.panel
    figure, axis = plt.subplots(figsize=(3.2, 1.9))
    if examined.found:
        _draw_transits(axis, examined)
        axis.set_xlabel("hours from mid-transit", fontsize=8)
    else:
        axis.plot(panel["days"], panel["curve"], ".", ms=1.5, mew=0, color=DARK)
        axis.set_xlabel("time (days)", fontsize=8)
    axis.tick_params(labelsize=7)
    return figure


def describe_call(examined, network):
    """Decision, score and probability in words."""
    cells = examined.cells
    call = "called" if cells["called"] == "1" else "not called"
    text = f"{call} a host: score {float(cells['score']):.3f} (threshold {network.threshold:.3f})"
    if np.isfinite(examined.masked_score):
        n = len(examined.panel["middles"])
        which = "its transit" if n == 1 else f"all {n} transits"
        text += f", {examined.masked_score:.3f} with {which} hidden"
    if not cells["probability"]:
        return f"{text}; not calibrated"
    text += f"; probability {float(cells['probability']):.2g}"
    if cells["prevalence"]:
        text += f" if 1 star in {1 / float(cells['prevalence']):.0f} is a host"
    return text


def _list_numbers(examined, network):
    """What is known of the star, in lines as wide as the page."""
    star, found, numbers = examined.star, examined.found, []
    if found:
        depth = examined.depths["transits"]
        numbers = [
            f"period {found.period:.5f} d",
            f"epoch {found.epoch:.4f} ({star.time_system})",
            f"duration {24 * found.duration:.1f} h",
            f"depth {_format_depth(depth, star)}",
            f"SNR {found.snr:.1f}",
            f"search statistic {found.statistic:.1f}",
        ]
    numbers.append(f"{examined.cells['n_cadences']} of {len(star.flux)} cadences used")
    lines = textwrap.wrap("   ".join(n.replace(" ", "\0") for n in numbers), LONGEST_LINE)
    lines = [line.replace("\0", " ") for line in lines]
    notes = f"network {network.name}   notes: {printable('; '.join(star.notes)) or 'none'}"
    return "\n".join(lines + textwrap.wrap(notes, LONGEST_LINE, max_lines=2))


def _format_depth(depth, star):
    """A depth with its error and unit, such as "6410 ± 20 ppm"."""
    unit = "" if star.level is None else " ppm"
    if not depth.n_dips:
        return "not measured"
    if not np.isfinite(depth.error):
        return f"{depth.median:.4g}{unit}"
    digits = int(np.clip(1 - np.floor(np.log10(max(depth.error, 1e-9))), 0, 6))
    return f"{depth.median:.{digits}f} ± {depth.error:.{digits}f}{unit}"


def _unit(star):
    return "unit of the file" if star.level is None else "ppm"


def _limit(axis, values, shown):
    """Limits that show all but a few values, and the median of some; how many lie beyond."""
    low, high = np.percentile(values, [0.2, 99.8])
    low = min(low, np.nanmedian(shown)) if len(shown) else low
    margin = max(0.12 * (high - low), 1e-12)
    axis.set_ylim(low - margin, high + margin)
    return int(np.sum((values < low - margin) | (values > high + margin)))


def _draw_as_read(axis, examined):
    """The light curve as it was read; a missing cadence is a gap."""
    star, used_days = examined.star, examined.panel["days"]
    days = find_days(star)
    flux = star.flux if star.level is None else 1e6 * (star.flux / star.level - 1)
    used = np.isin(days, used_days)
    size = np.clip(150 / np.sqrt(len(days)), 1.2, 2.6)
    for which, color in ((~used, PALE), (used, DARK)):
        axis.plot(days[which], flux[which], ".", ms=size, mew=0, color=color, rasterized=True)
    middles = np.searchsorted(days, used_days[examined.panel["middles"]])
    n_beyond = _limit(axis, flux[np.isfinite(flux)], flux[middles])
    if n_beyond:
        axis.text(
            0.995, 0.97, f"{n_beyond} cadence{'s' * (n_beyond > 1)} beyond this axis",
            transform=axis.transAxes, ha="right", va="top", fontsize=8, color="#555555",
        )  # fmt: skip
    axis.set_xlim(days[0], days[-1])
    axis.set_ylabel(f"flux as read\n({_unit(star)})")
    axis.ticklabel_format(axis="y", style="sci", scilimits=(-3, 6))
    axis.ticklabel_format(axis="x", style="plain", useOffset=False)


def _draw_occluded(axes, examined):
    """The equalised light curve in rows, coloured by how far the score falls; its points."""
    star, found, days = examined.star, examined.occlusion, find_days(examined.star)
    size = np.clip(15_000 / len(examined.panel["days"]) * len(axes), 1.5, 6)
    edges = np.linspace(days[0], days[-1], len(axes) + 1)
    for axis, start, end in zip(axes, edges[:-1], edges[1:], strict=True):
        points = draw_occluded(axis, examined.panel, found["ordinary_fall"], size, FALLS)
        axis.set_xlim(start, end)
        axis.ticklabel_format(axis="x", style="plain", useOffset=False)
    axes[len(axes) // 2].set_ylabel("equalised flux\n(robust std. deviations)")
    system = star.time_system + ZERO_TIMES.get(star.time_system, "")
    label = "since the first cadence (days)" if star.time is None else f"({system}, days)"
    axes[-1].set_xlabel(f"time {label}")
    hours = 24 * examined.hidden_days
    hidden = f"{hours:.1f} h" if hours < 48 else f"{hours / 24:.1f} d"
    share = "the box search found no period"
    if examined.found:
        share = f"triangles: transits of the box search; {describe_share(found)}"
    axes[0].set_title(f"Colour: fall in score when {hidden} are hidden; {share}", fontsize=9)
    return points


def _draw_transits(axis, examined):
    """All transits on one another, in the flux as read less its trend, and medians of bins.

    Returns the days and the flux of the cadences that were measured.
    """
    found, known = examined.found, np.isfinite(examined.detrended)
    days, flux = find_days(examined.star)[known], examined.detrended[known]
    near, medians = draw_dip(axis, days, flux, found.period, found.epoch, found.duration, PALE)
    _limit(axis, near, [np.nanmin(medians)])
    axis.ticklabel_format(axis="y", style="sci", scilimits=(-3, 6))
    return days, flux


def _draw_folds(axes, examined):
    """All transits on one another, odd against even ones, and the whole orbit."""
    star, found, depths = examined.star, examined.found, examined.depths
    days, flux = _draw_transits(axes[0], examined)
    clear = found.statistic >= VISIBLE_STATISTIC
    doubt = "" if clear else f" (below {VISIBLE_STATISTIC:g}: may well be noise)"
    axes[0].set_title(
        f"Fold of {len(examined.panel['middles'])} transits\n"
        f"search statistic {found.statistic:.2f}{doubt}",
        fontsize=9,
    )
    axes[0].set_ylabel(f"flux less its trend ({_unit(star)})")
    _draw_parities(axes[1], days, flux, found)
    unit = "" if star.level is None else " ppm"
    both = (f"{n} {_format_depth(depths[n], star).removesuffix(unit)}" for n in PARITIES)
    axes[1].set_title(f"{', '.join(both)}{unit}\n{_compare(depths)}", fontsize=9)
    for axis in axes[:2]:
        axis.set_xlabel("time from the middle of a transit (hours)")

    phase = (fold(days, found.period, found.epoch) / found.period + 0.25) % 1 - 0.25
    edges = np.linspace(-0.25, 0.75, PHASE_BINS + 1)
    medians = {"marker": "o", "ms": 2.2, "color": "#000000"}
    draw_medians(axes[2], phase, flux, edges, {"ms": 1.5, "color": FAINT}, medians)
    axes[2].axvline(0.5, color="#888888", lw=0.8, ls=":", zorder=0)
    axes[2].set_xlim(-0.25, 0.75)
    axes[2].set_xlabel("phase (periods)")
    between = depths["between"]
    telling = between.n_dips and between.median > TELLING * between.error
    half = f"depth {_format_depth(between, star)}{BINARY if telling else ''}"
    axes[2].set_title(f"Whole orbit; half a period after transit:\n{half}", fontsize=9)
    for axis in axes[1:]:
        axis.set_ylim(axes[0].get_ylim())
        axis.tick_params(labelleft=False)


def _draw_parities(axis, days, flux, found):
    """Odd and even transits, each on one another."""
    reach = 24 * find_reach(found.period, found.duration)
    edges = np.linspace(-reach, reach, 26)
    for (name, looks), shift in zip(PARITIES.items(), (0, found.period), strict=True):
        away = 24 * fold(days, 2 * found.period, found.epoch + shift)
        near = np.abs(away) < reach
        medians = looks | {"ms": 3.5, "label": name, "zorder": 3}
        draw_medians(axis, away[near], flux[near], edges, {"ms": 2, "color": FAINT}, medians)
    axis.legend(loc="lower left", fontsize=8, handletextpad=0.1, borderpad=0)


def _compare(depths):
    """In words, whether odd and even transits are equally deep."""
    odd, even = depths["odd"], depths["even"]
    if not (odd.n_dips and even.n_dips):
        return "only one of the two kinds was seen"
    difference = abs(odd.median - even.median) / max(np.hypot(odd.error, even.error), 1e-9)
    return f"depths {difference:.1f} σ apart{BINARY if difference > TELLING else ''}"


def shorten(name):
    """The end of a star's name, which tells more than its beginning."""
    name = printable(name)
    return name if len(name) <= LONGEST_NAME else "..." + name[3 - LONGEST_NAME :]


def printable(text):
    """Text with what the figure's font cannot draw written out as Python does."""
    font = font_manager.get_font(font_manager.findfont(font_manager.FontProperties()))
    return "".join(
        c
        if c.isprintable() and font.get_char_index(ord(c))
        else c.encode("unicode_escape").decode()
        for c in text
    )
