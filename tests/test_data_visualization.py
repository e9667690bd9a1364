"""data_visualization.py: which stars are drawn, how, and what a saved figure says."""

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest

import data_visualization as step
from exoplanets.figures.light_curves import draw_light_curves, first_of_each
from exoplanets.figures.style import house_style, save_figure
from exoplanets.files import DataError
from exoplanets.stars import describe

USER = {
    "source": "user",
    "train": {"file": "exoTrain.csv", "sha256": "ab" * 32},
    "test": {"file": "exoTest.csv", "sha256": "cd" * 32},
}
SIMULATED = USER | {"source": "simulated"}


def panels(figure):
    return [axis for axis in figure.axes if axis.lines]


def draw(n_hosts, n_others, n_cadences=80):
    flux = np.random.default_rng(0).normal(size=(n_hosts + n_others, n_cadences))
    is_host = np.arange(n_hosts + n_others) < n_hosts
    rows = np.arange(n_hosts + n_others) * 10
    return draw_light_curves(flux, is_host, rows, "title"), flux, is_host, rows


def test_first_of_each_are_hosts_then_non_hosts_in_file_order():
    is_host = np.array([False, True, False, True, True, False])
    assert first_of_each(is_host, 2).tolist() == [1, 3, 0, 2]
    assert first_of_each(is_host, 9).tolist() == [1, 3, 4, 0, 2, 5]  # all there are


@pytest.mark.parametrize(("n_hosts", "n_others"), [(3, 3), (1, 1), (1, 4), (0, 2), (5, 0)])
def test_every_star_has_its_panel_in_days_in_its_colour(n_hosts, n_others):
    figure, flux, is_host, rows = draw(n_hosts, n_others)
    drawn = {axis.get_title(loc="left"): axis for axis in panels(figure)}
    assert len(drawn) == len(rows)
    for i, row in enumerate(rows):
        name = "host" if is_host[i] else "non-host"
        (line,) = drawn[f"row {row}, {name}"].lines
        np.testing.assert_array_equal(line.get_ydata(), flux[i])
        np.testing.assert_allclose(line.get_xdata(), np.arange(80) * 29.4244 / 1440)
        assert line.get_color() == {"host": "#D55E00", "non-host": "#0072B2"}[name]


def test_hosts_stand_left_of_non_hosts_and_axes_have_units():
    figure, *_ = draw(3, 3)
    titles = [axis.get_title(loc="left") for axis in panels(figure)]
    assert titles == [
        "row 0, host", "row 30, non-host", "row 10, host", "row 40, non-host",
        "row 20, host", "row 50, non-host",
    ]  # fmt: skip
    assert figure.get_supylabel() == "flux (e$^-$/s)"
    assert [axis.get_xlabel() for axis in panels(figure)][-2:] == [
        "time since the first cadence (days)"
    ] * 2


def test_style_stays_within_the_figure():
    before = dict(mpl.rcParams)
    figure, *_ = draw(1, 1)
    assert dict(mpl.rcParams) == before
    with house_style():
        assert mpl.rcParams["savefig.dpi"] == 150
    assert figure.get_layout_engine() is not None  # the stamp relies on it


@pytest.mark.parametrize("provenance", [USER, SIMULATED])
def test_saved_figure_says_where_its_stars_come_from(provenance, tmp_path, capsys):
    figure, *_ = draw(1, 1)
    path = tmp_path / "new" / "folder" / "figure.png"
    save_figure(figure, path, provenance)
    stamp = figure.get_supxlabel()
    assert stamp == describe(provenance)
    assert ("SIMULATED" in stamp) == (provenance is SIMULATED)
    assert capsys.readouterr().out == f"figure: {path}\n"
    assert not plt.fignum_exists(figure.number)
    assert [p.name for p in path.parent.iterdir()] == ["figure.png"]
    # The stamp is in the picture, not only on the object: it takes other pixels than without.
    bare, *_ = draw(1, 1)
    bare.savefig(tmp_path / "bare.png")
    one, two = plt.imread(path), plt.imread(tmp_path / "bare.png")
    assert one.shape == two.shape
    changed = np.argwhere((one != two).any(axis=2))
    assert changed[:, 0].max() > 0.9 * one.shape[0]  # at the bottom


def test_same_figure_same_bytes(tmp_path):
    for name in ("one", "two"):
        save_figure(draw(2, 2)[0], tmp_path / f"{name}.png", SIMULATED)
    assert (tmp_path / "one.png").read_bytes() == (tmp_path / "two.png").read_bytes()
    assert b"Matplotlib" not in (tmp_path / "one.png").read_bytes()


def test_main_prints_shapes_and_classes(dirs, capsys):
    step.main(dirs)
    out = capsys.readouterr().out
    assert "train: 100 stars x 640 cadences (13 days): 8 hosts (LABEL 2), 92 non-hosts" in out
    assert "test: 40 stars x 640 cadences (13 days): 5 hosts (LABEL 2), 35 non-hosts" in out
    assert out.startswith("data: user's light curves (exoTrain.csv ")


@pytest.mark.parametrize(
    ("options", "rows"),
    [
        ([], [0, 1, 2, 8, 9, 10]),
        (["--stars", "2"], [0, 1, 8, 9]),
        (["--rows", "7,99,40"], [7, 99, 40]),
    ],
)
def test_options_choose_the_stars(options, rows, dirs, stars, monkeypatch):
    drawn = []

    def kept(*args):
        drawn.append(args)
        return draw_light_curves(*args)

    monkeypatch.setattr(step, "draw_light_curves", kept)
    step.main([*dirs, *options])
    ((flux, is_host, its_rows, *_),) = drawn
    assert its_rows.tolist() == rows
    np.testing.assert_array_equal(flux, stars.train_flux[rows])
    np.testing.assert_array_equal(is_host, np.array(rows) < 8)


def test_a_row_that_is_not_there_is_refused(dirs):
    with pytest.raises(DataError, match=r"row 100 is not in 'exoTrain.csv': .* 0 to 99"):
        step.main([*dirs, "--rows", "3,100"])


@pytest.mark.parametrize(
    "options",
    [["--rows", "3,x"], ["--rows", "-1"], ["--rows", ""], ["--stars", "0"], ["--stars", "²"]],
)
def test_options_that_make_no_sense_are_refused(options, dirs, capsys):
    with pytest.raises(SystemExit) as exit_:
        step.main([*dirs, *options])
    assert exit_.value.code == 2
    assert f"argument {options[0]}" in capsys.readouterr().err
