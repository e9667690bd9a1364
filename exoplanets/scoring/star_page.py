"""A page about one star that was scored: what a vetter of planet candidates looks at first."""

import textwrap

import matplotlib.pyplot as plt
import numpy as np
from matplotlib import font_manager
from matplotlib.colors import LinearSegmentedColormap

from exoplanets.classifiers.verdict import NOTHING
from exoplanets.figures.light_curves import draw_medians, draw_occluded
from exoplanets.figures.style import (
    COLORS,
    describe_training,
    house_style,
    name_class,
    sign_figure,
    title_figure,
)
from exoplanets.figures.vetting import describe_share
from exoplanets.search.ephemeris import Ephemeris

WIDTH, HEIGHT = 11.69, 8.27  # inches: A4, landscape; taller where the light curve has several rows
LONGEST_NAME = 80  # characters of a star's name that are shown
LONGEST_LINE = 150  # characters
ROW_DAYS, MOST_ROWS = 120, 4  # of the light curve: longer ones are drawn in several rows
PARITIES = {  # of transits: how they are drawn
    "odd": {"marker": "o", "color": "#000000"},
    "even": {"marker": "s", "color": "#56B4E9"},
}
IN_TRANSIT = 10  # bins of a fold in one duration of the transit ...
PER_BIN = 2  # ... or fewer and wider ones, of so many cadences on average
REACH = 4  # durations on either side of mid-transit that are drawn of a fold
PHASE_BINS = (60, 2000)  # of a whole orbit, at least and at most ...
PER_PHASE_BIN = 8  # ... and cadences in each, on average
DARK, PALE, FAINT = "#333333", "#8c8c8c", "#bbbbbb"
# Dark where nothing falls: near-white points would not be seen on white.
FALLS = LinearSegmentedColormap.from_list("falls", ["#0072B2", "#5a5a5a", "#FF7A00"])
ZERO_TIMES = {"BKJD": " = BJD − 2454833", "BTJD": " = BJD − 2457000"}


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
    bar.set_label("fall in transit score (log-odds)", fontsize=9)
    bar.ax.tick_params(labelsize=8)
    if examined.ephemeris:
        _draw_folds(below, examined)
    else:
        for axis in below:
            axis.set_axis_off()
        below[1].text(0.5, 0.5, "no period is known to fold at", ha="center")
    verdict = examined.result.verdict
    about = "" if verdict == NOTHING else f": {verdict}"
    title = f"{shorten(examined.star.name)}{about}\n{describe_call(examined, network)}"
    color = COLORS[name_class(examined.result.called)]
    title_figure(figure, title, 12, color=color, parse_math=False)
    sign_figure(figure, *describe_training(network))
    return figure


@house_style()
def draw_thumbnail(examined):
    """A small picture of a star for a gallery: its fold, or its light curve without a period."""
    panel = examined.panel
    figure, axis = plt.subplots(figsize=(3.2, 1.9))
    if examined.ephemeris:
        _draw_transits(axis, examined)
        axis.set_xlabel("hours from mid-transit", fontsize=8)
    else:
        axis.plot(panel["days"], panel["curve"], ".", ms=1.5, mew=0, color=DARK)
        axis.set_xlabel("time (days)", fontsize=8)
    axis.tick_params(labelsize=7)
    return figure


def describe_call(examined, network):
    """Decision, score and probability in words."""
    result = examined.result
    call = "called a host" if result.called else "not called a host"
    text = f"{call}: score {result.score:.3f} (threshold {network.threshold:.3f})"
    if np.isfinite(examined.masked_score):
        text += f", {examined.masked_score:.3f} with its transits hidden"
    if np.isnan(result.probability):
        return f"{text}; not calibrated"
    text += f"; probability {result.probability:.2g}"
    if np.isfinite(result.prevalence):
        text += f" if 1 star in {1 / result.prevalence:.0f} is a host"
    return text


def _list_numbers(examined, network):
    """What is known of the star, in lines as wide as the page: the numbers of its row."""
    star, result = examined.star, examined.result
    numbers = {
        "period {} d": with_error(result.period_days, result.period_error_days, 5),
        f"epoch {{}} ({star.time_system})": with_error(
            result.epoch_days, result.epoch_error_days, 4
        ),
        "duration {} h": with_error(result.duration_hours, np.nan, 1),
        "depth {} ppm": with_error(result.depth_ppm, result.depth_error_ppm, 0),
        "radius ratio {}": with_error(result.radius_ratio, np.nan, 4),
        "impact parameter {}": with_error(result.impact, np.nan, 2),
        "{} transits": with_error(result.n_transits, np.nan, 0),
        "SNR {}": with_error(result.snr, np.nan, 1),
    }
    texts = [text.format(number) for text, number in numbers.items() if number]
    texts.append(f"{result.n_cadences:.0f} of {len(star.flux)} cadences used")
    lines = textwrap.wrap("   ".join(text.replace(" ", "\0") for text in texts), LONGEST_LINE)
    lines = [line.replace("\0", " ") for line in lines]
    notes = f"network {network.name}   notes: {printable('; '.join(star.notes)) or 'none'}"
    return "\n".join(lines + textwrap.wrap(notes, LONGEST_LINE, max_lines=2))


def with_error(value, error, digits):
    """A number with its error, such as "6410 ± 20"; without one it has so many digits.

    An empty text if the number is not known.
    """
    if not np.isfinite(value):
        return ""
    if not np.isfinite(error):
        return f"{value:.{digits}f}"
    digits = int(np.clip(1 - np.floor(np.log10(max(error, 1e-9))), 0, 7))
    return f"{value:.{digits}f} ± {error:.{digits}f}"


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
    days = star.days
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
    """The equalised light curve in rows, coloured by how far the transit score falls; its points.

    Stretches that matter no more than an ordinary one have no colour.
    """
    star, found, days = examined.star, examined.occlusion, examined.star.days
    panel, ordinary = examined.panel, found["ordinary_fall"]
    falls = np.where(np.abs(panel["falls"]) > ordinary, panel["falls"], 0)
    top = max(np.abs(falls).max(), ordinary)
    size = np.clip(15_000 / len(panel["days"]) * len(axes), 1.5, 6)
    edges = np.linspace(days[0], days[-1], len(axes) + 1)
    for axis, start, end in zip(axes, edges[:-1], edges[1:], strict=True):
        # A row draws its own cadences and no others: there may be 70,000.
        first, last = np.searchsorted(panel["days"], (start, end), "left")
        last += end == edges[-1]  # the last cadence is in the last row
        middles = panel["middles"]
        part = {
            "days": panel["days"][first:last],
            "curve": panel["curve"][first:last],
            "centres": panel["centres"] - first,
            "falls": falls,
            "middles": middles[(first <= middles) & (middles < last)] - first,
        }
        if last - first:
            points = draw_occluded(axis, part, top, size, FALLS)
        axis.set_xlim(start, end)
        axis.ticklabel_format(axis="x", style="plain", useOffset=False)
    limits = np.array([axis.get_ylim() for axis in axes])
    for axis in axes:
        axis.set_ylim(limits[:, 0].min(), limits[:, 1].max())
    axes[len(axes) // 2].set_ylabel("equalised flux\n(robust std. deviations)")
    system = star.time_system + ZERO_TIMES.get(star.time_system, "")
    label = "since the first cadence (days)" if star.time is None else f"({system}, days)"
    axes[-1].set_xlabel(f"time {label}")
    hours = 24 * examined.hidden_days
    hidden = f"{hours:.1f} h" if hours < 48 else f"{hours / 24:.1f} d"
    share = "no period is known"
    if examined.ephemeris:
        share = f"triangles: transits; {describe_share(found)}"
    title = f"Colour: fall in transit score when {hidden} are hidden, if it stands out; {share}"
    axes[0].set_title(title, fontsize=9)
    return points


def _draw_fold(axis, examined, ephemeris, looks):
    """Dips on one another, in the flux as read less its trend, and medians of bins.

    The bins are tenths of the transit's duration, wider where there are few cadences. Returns the
    flux of the cadences that are drawn, and the medians.
    """
    known = np.isfinite(examined.detrended)
    days = ephemeris.since_transit(examined.star.days[known])
    own = examined.ephemeris
    reach = min(own.period / 2, REACH * own.duration)
    near = np.abs(days) < reach
    hours, flux = 24 * days[near], examined.detrended[known][near]
    n_bins = min(2 * reach / own.duration * IN_TRANSIT, len(flux) / PER_BIN)
    edges = np.linspace(-24 * reach, 24 * reach, max(int(n_bins), 1) + 1)
    points = {"ms": _find_size(len(flux)), "color": FAINT}
    medians = draw_medians(axis, hours, flux, edges, points, {"ms": 3.5} | looks)
    return flux, medians


def _find_size(n_points):
    """Size of the points of a fold: many are small, so that their density shows."""
    return float(np.clip(80 / np.sqrt(max(n_points, 1)), 0.5, 2.5))


def _draw_transits(axis, examined):
    """All transits on one another; the axis shows all but a few of the cadences."""
    looks = {"marker": "o", "color": "#000000"}
    flux, medians = _draw_fold(axis, examined, examined.ephemeris, looks)
    if len(flux):
        _limit(axis, flux, [np.nanmin(medians)])
    hours = np.linspace(*axis.get_xlim(), 400)
    model = examined.fit.model(hours) * (1 if examined.star.level is None else 1e6)
    axis.plot(hours, model, color="#CC79A7", lw=1.6, zorder=4)
    axis.ticklabel_format(axis="y", style="sci", scilimits=(-3, 6))


def _draw_folds(axes, examined):
    """All transits on one another, odd against even ones, and the whole orbit."""
    result, ephemeris = examined.result, examined.ephemeris
    _draw_transits(axes[0], examined)
    n_transits = with_error(result.n_transits, np.nan, 0) or "all"
    snr = with_error(result.snr, np.nan, 1) or "not measured"
    axes[0].set_title(f"Fold of {n_transits} transits\nSNR {snr}", fontsize=9)
    axes[0].set_ylabel(f"flux less its trend ({_unit(examined.star)})")
    for (name, looks), shift in zip(PARITIES.items(), (0, ephemeris.period), strict=True):
        every_second = Ephemeris(2 * ephemeris.period, ephemeris.epoch + shift, ephemeris.duration)
        _draw_fold(axes[1], examined, every_second, looks | {"label": name, "zorder": 3})
    axes[1].legend(loc="lower left", fontsize=8, handletextpad=0.1, borderpad=0)
    apart = with_error(result.odd_even_sigma, np.nan, 1)
    apart = f"depths {apart} σ apart" if apart else "only one of the two kinds was seen"
    axes[1].set_title(f"Odd and even transits\n{apart}", fontsize=9)
    for axis in axes[:2]:
        axis.set_xlabel("time from the middle of a transit (hours)")

    known = np.isfinite(examined.detrended)
    phase = (ephemeris.phase(examined.star.days[known]) + 0.25) % 1 - 0.25
    n_bins = int(np.clip(IN_TRANSIT * ephemeris.period / ephemeris.duration, *PHASE_BINS))
    edges = np.linspace(-0.25, 0.75, min(n_bins, max(len(phase) // PER_PHASE_BIN, 1)) + 1)
    points = {"ms": _find_size(len(phase)), "color": FAINT}
    medians = {"marker": "o", "ms": 2.2 if n_bins < 500 else 1.2, "color": "#000000"}
    draw_medians(axes[2], phase, examined.detrended[known], edges, points, medians)
    axes[2].set_xlim(-0.25, 0.75)
    axes[2].set_xlabel("phase (periods)")
    axes[2].set_title(f"Whole orbit\n{_describe_secondary(axes[2], result)}", fontsize=9)
    for axis in axes[1:]:
        axis.set_ylim(axes[0].get_ylim())
        axis.tick_params(labelleft=False)


def _describe_secondary(axis, result):
    """The secondary eclipse in words; its phase is marked."""
    sigma = with_error(result.secondary_sigma, np.nan, 1)
    if not sigma:
        return "secondary eclipse: not measured"
    phase = (result.secondary_phase + 0.25) % 1 - 0.25
    axis.axvline(phase, color="#888888", lw=0.8, ls=":", zorder=0)
    depth = with_error(result.secondary_ppm, np.nan, 0)
    depth = f"{depth} ppm, " if depth else ""
    return f"at phase {result.secondary_phase:.2f} (dotted): {depth}{sigma} σ"


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
