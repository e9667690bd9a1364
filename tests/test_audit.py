"""figures/audit.py: figures of step 2 that stay readable, whatever the stars are like."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.colors import to_rgb

from exoplanets.figures.audit import compress, draw_density, draw_pairs
from exoplanets.figures.style import COLORS


@given(st.floats(-1e7, 1e7), st.floats(-1e7, 1e7))
def test_compressed_flux_keeps_order_and_sign(one, two):
    low, high = sorted([one, two])
    assert compress(low) <= compress(high)
    assert compress(-one) == -compress(one)
    assert compress(1e6) == pytest.approx(compress(1e5) + 1, abs=1e-6)  # a decade


def test_pair_plot_shows_every_star_hosts_on_top():
    flux = np.random.default_rng(2).normal(size=(60, 5)) * 10.0 ** np.arange(60)[:, None] / 1e50
    flux = np.clip(flux, -1e6, 1e6)
    is_host = np.arange(60) < 6
    figure = draw_pairs(flux, is_host, "title")
    below = [a for a in figure.axes if a.lines and a.lines[0].get_marker() == "o"]
    assert len(below) == 10
    for axis in below:
        others, hosts = axis.lines  # in the order in which they are drawn
        assert (others.get_color(), hosts.get_color()) == ("#0072B2", "#D55E00")
        assert (len(hosts.get_xdata()), len(others.get_xdata())) == (6, 54)
    assert [t.get_text() for t in figure.legends[0].get_texts()] == ["6 hosts", "54 non-hosts"]
    labels = [a.get_xlabel() for a in figure.axes if a.xaxis.get_visible() and a.get_xlabel()]
    assert labels == [f"FLUX.{i} (e$^-$/s)" for i in range(1, 6)]
    ticks = [t.get_text() for t in below[-1].get_xticklabels()]
    assert "0" in ticks
    assert len(ticks) <= 5  # readable although fluxes span many decades


@pytest.mark.parametrize("n_hosts", [1, 2])
def test_figures_bear_few_hosts_missing_values_and_constants(n_hosts):
    flux = np.random.default_rng(3).normal(0, 100, (30, 5))
    flux[4, 0] = np.nan
    flux[:n_hosts] = 7.0
    is_host = np.arange(30) < n_hosts
    draw_pairs(flux, is_host, "title")  # a warning would be an error here
    figure = draw_density(flux[:, 0], is_host, "title")
    labels = [text.get_text() for text in figure.axes[0].get_legend().get_texts()]
    assert f"non-host ({29 - n_hosts} stars)" in labels  # one has no first flux
    assert f"host ({n_hosts} star{'s' * (n_hosts > 1)})" in labels
    flux[:, 0] = np.nan  # a column without any value
    draw_pairs(flux, is_host, "title")
    labels = draw_density(flux[:, 0], is_host, "title").axes[0].get_legend().get_texts()
    assert [text.get_text() for text in labels] == ["non-host (0 stars)", "host (0 stars)"]


def test_each_class_has_a_density_of_unit_area():
    rng = np.random.default_rng(4)
    flux = np.concatenate([rng.normal(0, 5, 10), rng.normal(50, 200, 90)])
    figure = draw_density(flux, np.arange(100) < 10, "title")
    axis = figure.axes[0]
    areas = []
    for fill in axis.collections[:2]:  # the others are the stars below the axis
        path = fill.get_paths()[0].vertices
        x, y = path[:, 0], path[:, 1]
        areas.append(abs(np.sum(x * np.roll(y, -1) - np.roll(x, -1) * y)) / 2)
    assert areas == pytest.approx([1, 1], abs=0.02)
    hosts_on_top = axis.collections[1].get_facecolor()[0, :3]
    assert hosts_on_top == pytest.approx(to_rgb(COLORS["host"]))
    assert [len(rug.get_segments()) for rug in axis.collections[2:]] == [90, 10]
    labels = [text.get_text() for text in axis.get_legend().get_texts()]
    assert labels == ["non-host (90 stars)", "host (10 stars)"]
    assert "e$^-$/s" in axis.get_xlabel()
