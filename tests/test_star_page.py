"""Pages about scored stars, and the gallery of them."""

import dataclasses
import itertools
import re
from types import SimpleNamespace

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.text import Text
from test_page import browse, needs_browser

from exoplanets.classifiers import keras_tools
from exoplanets.classifiers.transit import Dips
from exoplanets.classifiers.verdict import BINARY, NOTHING, PLANET
from exoplanets.figures.style import write_figure
from exoplanets.scoring import examination, gallery, prediction, star_page
from exoplanets.scoring.network import Network
from exoplanets.scoring.own_stars import Star
from exoplanets.scoring.result import Result
from exoplanets.scoring.signal_files import name_page
from exoplanets.stars import CADENCE_DAYS

SIMULATED = {
    "source": "simulated",
    "train": {"file": "a", "sha256": "0" * 64},
    "test": {"file": "b", "sha256": "1" * 64},
}


class DipReader:
    """In the place of a network: its score rests on the flux at some cadences, and on no other."""

    name = "dip reader"

    def __init__(self, *places):
        self.places = list(places)

    def predict_on_batch(self, x):
        """The deeper there, the higher the score."""
        return 1 / (1 + np.exp(0.1 * x[:, self.places, 0].sum(axis=1, keepdims=True)))


def make_dips(n_cadences, middles, depth=12.0):
    """White noise of deviation 1 around 1000, with dips of five cadences."""
    flux = 1000 + np.random.default_rng(n_cadences).normal(size=n_cadences)
    for middle in middles:
        flux[middle - 2 : middle + 3] -= depth
    return flux


def read_dips(threshold, calibration=None, name="abc", trained_on=None, period=110):
    """A network that reads one dip; see `DipReader`. It names dips of this period (cadences)."""
    reader = DipReader(170)
    candidate = np.array([[period], [60], [5]]) * CADENCE_DAYS

    def score(curves):
        return Dips(keras_tools.predict(reader, curves), *np.tile(candidate, len(curves)))

    def judge(orbits):
        return np.ones(len(orbits))

    return Network(score, threshold, calibration, 0.01, name, trained_on, judge=judge)


def examine(star, network):
    """One star, scored and examined."""
    job = prediction.Job(search_all=True)
    ((result, _),) = prediction.score_block([star], network, job, {})
    return examination.examine_again(star, result, network, job)


def texts(figure):
    """All that is written on a page outside its axes' ticks."""
    titles = [axis.get_title(loc="left") for axis in figure.axes]
    inside = [text.get_text() for axis in figure.axes for text in axis.texts]
    labels = [axis.get_xlabel() + axis.get_ylabel() for axis in figure.axes]
    return "\n".join([figure.get_suptitle(), *titles, *inside, *labels, figure.get_supxlabel()])


@pytest.mark.parametrize("n_cadences", [520, 1400, 4100])
def test_a_page_shows_what_the_score_rests_on(n_cadences):
    middles = np.arange(60, n_cadences - 10, 110)
    flux = make_dips(n_cadences, middles)
    flux[240:250] = np.nan
    time = 100 + np.arange(n_cadences) * CADENCE_DAYS
    network = read_dips(0.5, [1.0, -2.0], "abc", SIMULATED)
    star = Star("KIC 1", flux, time, ("sorted in time",), "BKJD", 1000.0)
    examined = examine(star, network)
    page = star_page.draw_star(examined, network)
    top, *rows = page.axes[:2]
    drawn = [line for line in top.lines if line.get_marker() == "."]
    assert all(line.get_linestyle() == "None" for line in drawn)  # no gap is bridged
    assert sum(np.isfinite(line.get_ydata()).sum() for line in drawn) == np.isfinite(flux).sum()
    colours = rows[0].collections[0]
    at = np.ma.getdata(colours.get_offsets())[:, 0]
    fall = np.asarray(colours.get_array())
    assert abs(at[fall.argmax()] - time[170]) < 10 * CADENCE_DAYS
    assert fall.max() > 0.2
    assert np.abs(fall[np.abs(at - time[170]) > 1.5]).max() < 1e-6
    # Each triangle stands at a dip, and none in a gap.
    marks = next(line for line in rows[0].lines if line.get_marker() == "^").get_xdata()
    assert np.abs(marks[:, None] - time[middles]).min(axis=1).max() < 3 * CADENCE_DAYS
    # Without its transits the star is one of noise.
    assert examined.masked_score == pytest.approx(0.5, abs=0.06)
    written = texts(page)
    assert examined.ephemeris.period == pytest.approx(110 * CADENCE_DAYS, rel=0.01)
    assert written.startswith("KIC 1: planet candidate\ncalled a host: score ")
    assert f"{examined.masked_score:.3f} with its transits hidden" in written
    assert "if 1 star in 100 is a host" in written
    result = examined.result
    number = star_page.with_error(result.period_days, result.period_error_days, 5)
    assert f"period {number} d" in written and "±" in number
    assert "time (BKJD = BJD − 2454833, days)" in written
    assert "flux as read\n(ppm)" in written
    assert re.search(r"depth \d{4,5} ± \d+ ppm", written)
    assert "sorted in time" in written and "abc" in written and "nan" not in written
    assert written.endswith("was trained on: SIMULATED survey (seed 0), not real stars")
    page.draw_without_rendering()


def test_three_wild_cadences_do_not_set_the_axis():
    flux = make_dips(1400, np.arange(60, 1390, 110))
    flux[[100, 500, 900]] = 3000, -500, 2000
    network = read_dips(0.5)
    page = star_page.draw_star(examine(Star("star", flux, level=1000.0), network), network)
    low, high = page.axes[0].get_ylim()
    assert -25_000 < low < -12_000 and 2000 < high < 10_000  # ppm: dips of 12,000 are seen
    assert "3 cadences beyond this axis" in texts(page)
    fold = page.axes[2]
    assert -25_000 < fold.get_ylim()[0] < -12_000


def test_a_star_without_level_or_times_is_drawn_in_the_files_own_unit():
    network = read_dips(0.5)
    flux = make_dips(1400, np.arange(60, 1390, 110)) - 1000
    written = texts(star_page.draw_star(examine(Star("star", flux), network), network))
    assert "flux as read\n(unit of the file)" in written and "ppm" not in written
    assert "time since the first cadence (days)" in written


def test_a_long_light_curve_is_drawn_in_several_rows():
    network = read_dips(0.5, period=700)
    n = round(400 / CADENCE_DAYS)
    time = np.arange(n) * CADENCE_DAYS
    flux = make_dips(n, np.arange(60, n, 700))
    flux[5000:9000] = np.nan
    examined = examine(Star("star", flux, time, level=1000.0), network)
    page = star_page.draw_star(examined, network)
    rows = page.axes[1:5]
    assert all("^" in [line.get_marker() for line in row.lines] for row in rows)
    edges = [row.get_xlim() for row in rows]
    assert [start for start, _ in edges[1:]] == [end for _, end in edges[:-1]]
    assert (edges[0][0], edges[-1][1]) == pytest.approx((time[0], time[-1]))
    page.draw_without_rendering()
    # No axis lies over another.
    boxes = [axis.get_position() for axis in page.axes]
    for k, box in enumerate(boxes):
        assert not any(box.overlaps(other) for other in boxes[:k])


def change(examined, **numbers):
    """The same star with other numbers in its result."""
    return examined._replace(result=dataclasses.replace(examined.result, **numbers))


def test_page_shows_the_numbers_of_the_row_and_its_verdict():
    network = read_dips(0.5)
    middles = np.arange(60, 1400, 110)
    unlike = make_dips(1400, middles)
    unlike += make_dips(1400, middles[::2], 8.0) - make_dips(1400, [])
    examined = examine(Star("s", unlike, level=1000.0), network)
    assert examined.result.odd_even_sigma > 5  # measured
    examined = change(
        examined, odd_even_sigma=8.25, secondary_ppm=-321.0, secondary_sigma=-2.5,
        secondary_phase=0.37, snr=123.4, depth_ppm=9876.0, depth_error_ppm=12.0,
        period_error_days=0.00042, radius_ratio=0.0987, impact=0.31, duration_hours=2.6,
        n_transits=12,
    )  # fmt: skip
    written = texts(star_page.draw_star(examined, network))
    period = examined.result.period_days
    for text in (
        "Fold of 12 transits", "12 transits   ", "depths 8.2 σ apart",
        "at phase 0.37 (dotted): -321 ppm, -2.5 σ", "SNR 123.4",
        "depth 9876 ± 12 ppm", f"period {period:.5f} ± 0.00042 d", "radius ratio 0.0987",
        "impact parameter 0.31", "duration 2.6 h",
    ):  # fmt: skip
        assert text in written, text
    assert "nan" not in written and "not calibrated" in written
    assert written.startswith("s: planet candidate\n") and "eclipsing" not in written
    binary = texts(star_page.draw_star(change(examined, verdict=BINARY), network))
    assert binary.startswith("s: eclipsing binary\n")


def test_folds_have_ten_points_in_a_transit():
    network = read_dips(0.5)
    n = round(200 / CADENCE_DAYS)
    examined = examine(Star("s", make_dips(n, np.arange(60, n, 110)), level=1000.0), network)
    page = star_page.draw_star(examined, network)
    hours = 24 * examined.ephemeris.duration
    for axis in page.axes[-4:-2]:
        medians = axis.lines[1].get_xdata()
        assert 8 <= np.sum(np.abs(medians) < hours / 2) <= 12
    phases = page.axes[-2].lines[1].get_xdata() * 24 * examined.ephemeris.period
    assert 8 <= np.sum(np.abs(phases) < hours / 2) <= 12


def test_titles_of_deep_dips_keep_to_their_panels():
    network = read_dips(0.5)
    flux = make_dips(1400, np.arange(60, 1390, 110))
    examined = examine(Star("deep", flux, level=1000.0), network)
    deep = {"secondary_ppm": -34_915.0, "secondary_sigma": -1123.5, "odd_even_sigma": 1234.5}
    page = star_page.draw_star(change(examined, **deep), network)
    page.draw_without_rendering()
    titles = [axis.get_title("left") for axis in page.axes[2:5]]
    written = {text.get_text(): text for text in page.findobj(Text)}
    ends = [written[title].get_window_extent() for title in titles]
    assert all(one.x1 < other.x0 for one, other in itertools.pairwise(ends))


def test_page_bears_a_gap_at_every_second_transit():
    network = read_dips(0.5)
    examined = examine(Star("half", make_dips(1400, np.arange(60, 1400, 110))), network)
    days, ephemeris = examined.star.days, examined.ephemeris
    odd = ephemeris.count(days) % 2 == 0
    near = ephemeris.in_transit(days, 2 * star_page.REACH + 0.1)
    detrended = np.where(odd & near, np.nan, examined.detrended)
    page = star_page.draw_star(examined._replace(detrended=detrended), network)
    _, odd_medians, _, even_medians = page.axes[3].lines
    assert np.isnan(odd_medians.get_ydata()).all()
    assert np.isfinite(even_medians.get_ydata()).sum() > 5
    page.draw_without_rendering()


def test_page_says_where_no_period_is_known():
    reader = DipReader(170)  # it gives bare scores
    network = Network(lambda x: keras_tools.predict(reader, x), 0.9, None, None, "abc")
    examined = examine(Star("quiet", make_dips(600, [])), network)
    page = star_page.draw_star(examined, network)
    assert "no period is known to fold at" in texts(page)
    assert "not called a host" in texts(page)
    assert "are hidden, if it stands out; no period" in texts(page)
    page.draw_without_rendering()
    star_page.draw_thumbnail(examined).draw_without_rendering()


def test_name_of_a_page_is_safe_recognisable_and_its_own():
    names = [
        "a/one.csv:3",
        "b/one.csv:3",
        "KIC 757076",
        "kic 757076",
        "KIC/757076",
        "../..",
        "\udcff",
    ]
    names += ["x" * 5000, "x" * 5001, "star\n$", "星"]
    pages = [name_page(name) for name in names]
    assert len({page.lower() for page in pages}) == len(names)
    for page in pages:
        assert len(page) < 110
        assert set(page) <= set(
            "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._+-"
        )
    assert pages[0].startswith("one.csv_3-")
    assert pages[2].startswith("KIC_757076-")


@pytest.mark.parametrize("name", ["$x$ {", "x" * 500, "星 \n\udcff", "τ Ceti"])
def test_page_bears_any_name(name, tmp_path):
    network = read_dips(0.5)
    star = Star(name, make_dips(520, [100, 300]), None, (name,) * 9)
    page = star_page.draw_star(examine(star, network), network)
    page.savefig(tmp_path / "page.png")  # a glyph the font lacks would be a warning, hence an error
    assert len(page.get_suptitle().splitlines()) == 2
    plt.close(page)


# ------------------------------------------------------------------------------------- gallery
def draw_gallery(folder, scores, network):
    """A gallery of made-up stars that have these scores; returns its path."""
    drawn = []
    for i, score in enumerate(scores):
        called = score >= network.threshold
        result = Result(
            name=f"star {i} <&>",
            score=score,
            called=called,
            threshold=network.threshold,
            verdict=PLANET if called else NOTHING,
            probability=score / 2,
            prevalence=0.01,
            period_days=i + 0.5 if i % 2 else np.nan,
            snr=7 * i if i % 2 else np.nan,
            n_cadences=3000,
            network=network.name,
        )
        picture = f"star{i}.png"
        for path in (folder / picture, folder / gallery.THUMBNAILS / picture):
            write_figure(plt.figure(figsize=(1, 1)), path)
        drawn.append(gallery.Drawn(picture, result, f"KIC {i}" if i else ""))
    path = folder / "index.html"
    path.write_text(gallery.make_gallery(drawn, network), encoding="utf-8")
    return path


@needs_browser
def test_the_gallery_shows_the_best_first_and_is_sorted_by_a_click(tmp_path):
    network = read_dips(0.5, [1.0, 0.0], trained_on=SIMULATED)
    path = draw_gallery(tmp_path, [0.2, 0.9, 0.5, 0.1], network)
    script = """
        const cards = [...document.querySelectorAll(".card strong")].map(c => c.innerText);
        const body = document.querySelector("tbody");
        const order = () => [...body.rows].map(row => row.cells[0].innerText);
        const said = [cards.join(","), order().join(",")];
        document.querySelectorAll("th button")[4].click();
        said.push(order().join(","));
        onload = () => {
          const images = [...document.images].filter(i => i.complete && i.naturalWidth > 0);
          document.title = [...said, images.length].join(";");
        };
    """
    page = browse(path, script, tmp_path / "profile")
    title = re.search(r"<title>(.*)</title>", page)[1].replace("&lt;&amp;&gt;", "<&>")
    best = ",".join(f"star {i} <&>" for i in (1, 2, 0, 3))
    by_period = ",".join(f"star {i} <&>" for i in (3, 1, 2, 0))
    assert title.split(";") == [best, best, by_period, "4"]


def test_the_gallery_links_to_the_archives_and_says_what_it_rests_on(tmp_path):
    network = read_dips(0.5, [1.0, 0.0], trained_on=SIMULATED)
    text = draw_gallery(tmp_path, [0.2, 0.9], network).read_text()
    assert 'class="warning">Network abc was trained on: SIMULATED survey' in text
    assert "Called hosts (orange, 1): score at least 0.500" in text
    assert "hold if 1 star in 100 is a host" in text
    links = re.findall(r'href="(https[^"]*)"', text)
    assert links == [
        "https://mast.stsci.edu/portal/Mashup/Clients/Mast/Portal.html?searchQuery=KIC%201",
        "https://exofop.ipac.caltech.edu/kepler/edit_target.php?id=1",
    ]


@pytest.mark.parametrize(
    ("target", "exofop"),
    [
        ("EPIC 201367065", "https://exofop.ipac.caltech.edu/k2/edit_target.php?id=201367065"),
        ("TIC 25155310", "https://exofop.ipac.caltech.edu/tess/target.php?id=25155310"),
        ("TIC x", None),
        ("tau Ceti", None),
        ("", None),
    ],
)
def test_links_are_of_catalogue_numbers_alone(target, exofop):
    assert dict(gallery.find_links(target)).get("ExoFOP") == exofop


def test_a_network_without_provenance_makes_a_gallery_too(tmp_path):
    network = SimpleNamespace(threshold=0.5, name="abc", trained_on=None)
    text = draw_gallery(tmp_path, [0.2], network).read_text()
    assert "light curves that its file does not name" in text
    assert 'class="warning"' not in text
