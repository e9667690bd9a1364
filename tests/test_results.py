"""figures/results.py: every figure of step 4 shows the numbers it was given."""

import dataclasses

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_hex
from sklearn import metrics as reference

from exoplanets.classifiers.base import Classifier
from exoplanets.classifiers.verdict import VERDICTS
from exoplanets.evaluation import metrics
from exoplanets.figures import results
from exoplanets.figures.style import find_colors
from exoplanets.search.ephemeris import Ephemeris
from exoplanets.search.fit import TransitFit, measure_transits
from exoplanets.stars import CADENCE_DAYS


def row(tp, fp, fn, tn):
    y = [1] * (tp + fn) + [0] * (fp + tn)
    score = [0.9] * tp + [0.1] * fn + [0.9] * fp + [0.1] * tn
    return {"network": "n", "light_curves": "l", "split": "test"} | metrics.evaluate(
        y, score, 0.5, seed=0
    )


def test_confusion_matrix_shows_counts_where_they_belong_and_what_they_mean():
    figure = results.draw_confusion(row(tp=4, fp=7, fn=1, tn=558), "Test stars")
    axis = figure.axes[0]
    cells = {}
    for text in sorted(axis.texts, key=lambda text: text.get_position()[1]):
        x, y = text.get_position()
        cells.setdefault((int(y), int(x)), []).append(text.get_text())
    assert cells == {
        (0, 0): ["right", "558", "98.8% of non-hosts"],
        (0, 1): ["false alarm", "7", "1.2% of non-hosts"],
        (1, 0): ["missed", "1", "20.0% of hosts"],
        (1, 1): ["found", "4", "80.0% of hosts"],
    }
    assert [t.get_text() for t in axis.get_xticklabels()] == ["called non-host", "called host"]
    assert [t.get_text() for t in axis.get_yticklabels()] == ["non-hosts\n(565)", "hosts\n(5)"]
    assert axis.get_title(loc="left").startswith("4 of 5 hosts found, 7 false alarms\n")
    one = results.draw_confusion(row(tp=4, fp=1, fn=1, tn=5), "Test stars").axes[0]
    assert one.get_title(loc="left").startswith("4 of 5 hosts found, 1 false alarm\n")


def test_right_and_wrong_calls_have_their_own_colours():
    axis = results.draw_confusion(row(tp=4, fp=7, fn=1, tn=558), "Test stars").axes[0]
    right, wrong = (np.ma.getmaskarray(cells.get_array()) for cells in axis.collections)
    np.testing.assert_array_equal(right, [[False, True], [True, False]])
    np.testing.assert_array_equal(wrong, ~right)
    assert axis.collections[0].get_cmap()(1.0) != axis.collections[1].get_cmap()(1.0)


def test_history_marks_the_best_epoch():
    loss = [0.9, 0.4, 0.6]
    curves = {"loss": [0.8, 0.7, 0.6], "recall": [0, 0.5, 1], "average_precision": [0.1, 0.2, 0.3]}
    history = pd.DataFrame(curves | {f"val_{name}": loss for name in curves}).rename_axis("epoch")
    history = history.reset_index()
    figure = results.draw_history(history, "Published network")
    best = int(np.argmin(history["val_loss"])) + 1
    assert f"lowest validation loss in epoch {best} of 3" in figure.get_suptitle()
    for axis, name in zip(figure.axes, ("loss", "recall", "average_precision"), strict=True):
        fit, validation, marker = axis.lines
        assert fit.get_linestyle() != validation.get_linestyle()  # told apart in grey, too
        np.testing.assert_array_equal(fit.get_ydata(), history[name])
        np.testing.assert_array_equal(validation.get_ydata(), history[f"val_{name}"])
        assert fit.get_xdata()[0] == 1
        assert marker.get_xdata()[0] == best


@pytest.mark.parametrize(
    ("value", "interval", "text"),
    [
        (0.8, [0.376, 0.964], "0.800 [0.38, 0.96]"),
        (0.0, [0.0, 0.28], "0.000 [0.00, 0.28]"),
        (1.0, None, "1.000"),
        (None, None, "undefined"),
    ],
)
def test_metrics_are_written_with_their_interval(value, interval, text):
    assert results.format_metric({"f1": value, "f1_interval": interval}, "f1") == text


def test_precision_recall_curves_are_sklearns_and_chance_is_marked():
    rng = np.random.default_rng(0)
    y = np.arange(200) < 20
    scored = {
        ("transit", "equalised"): rng.normal(2.0 * y),
        ("published", "distributed"): np.round(rng.normal(1.0 * y), 1),
    }
    colors = {"transit": "#009E73", "published": "#CC79A7"}
    figure = results.draw_precision_recall(y, scored, colors)
    axis = figure.axes[0]
    *curves, chance = axis.lines
    for line, ((network, light_curves), score) in zip(curves, scored.items(), strict=True):
        precision, recall, _ = reference.precision_recall_curve(y, score)
        np.testing.assert_allclose(line.get_xdata(), recall)
        np.testing.assert_allclose(line.get_ydata()[:-1], precision[:-1])
        assert line.get_linestyle() == ("-" if light_curves == "equalised" else "--")
        assert line.get_color() == colors[network]
        area = reference.average_precision_score(y, score)
        kind = "equalised flux" if light_curves == "equalised" else "flux as distributed"
        assert line.get_label() == f"{network}, {kind} (AP {area:.2f})"
    assert set(chance.get_ydata()) == {0.1}
    assert "chance: 10.0% hosts" in axis.texts[0].get_text()
    # The best is named among those that the leak does not help.
    assert (
        f"transit, AP {reference.average_precision_score(y, scored['transit', 'equalised']):.2f}"
        in (axis.get_title(loc="left"))
    )


def test_candidates_are_folded_with_the_model_that_was_fitted():
    cadence = np.tile(np.arange(1200), (3, 1))
    days, rng = cadence[0] * CADENCE_DAYS, np.random.default_rng(0)
    flux = rng.normal(500, 1, 1200)
    flux[np.abs(Ephemeris(3.2, 1.1, 0.2).since_transit(days)) < 0.1] -= 50
    fit = measure_transits(days, flux, Ephemeris(3.2, 1.1, 0.2))
    fits = [fit, fit, TransitFit(np.nan, np.nan)]  # of the last nothing was measured
    stars = pd.DataFrame(
        {
            "row": [5, 9, 11],
            "label": [1, 0, 0],
            "score": [0.9, 0.8, 0.7],
            "verdict": ["planet candidate", "eclipsing binary", "nothing"],
            "suspect_label": [False, True, False],
        }
    )
    figure = results.draw_candidates(cadence, fits, stars)
    titles = [axis.get_title(loc="left").splitlines() for axis in figure.axes]
    measured = f"{fit.period_days:.4f} d, SNR {fit.snr:.1f}"
    assert titles[0] == ["row 5, host", "planet candidate, score 0.90", measured]
    assert titles[1][:2] == ["row 9, non-host, label suspect", "eclipsing binary, score 0.80"]
    assert titles[2][2] == "not measured" and not figure.axes[2].lines
    title = figure.get_suptitle()
    assert title.startswith("1 of the 3 highest-scored test stars are hosts; suspect label: row 9")
    for axis, color in zip(figure.axes[:2], ("#D55E00", "#0072B2"), strict=True):
        points, medians, model = axis.lines
        inside = np.abs(points.get_xdata()) < 2.2  # hours; 0.1 d is 2.4
        assert np.median(points.get_ydata()[inside]) == pytest.approx(-50, abs=2)
        np.testing.assert_allclose(model.get_ydata(), fit.model(model.get_xdata()))
        assert model.get_ydata().min() == pytest.approx(-50, abs=5)
        assert model.get_color() == axis._left_title.get_color() == color
        # Neither a median nor the model is cut off.
        assert axis.get_ylim()[0] < min(model.get_ydata().min(), np.nanmin(medians.get_ydata()))
    deeper = dataclasses.replace(fit, shape=fit.shape._replace(scale=3 * fit.shape.scale))
    axis = results.draw_candidates(cadence, [deeper], stars[:1]).axes[0]
    assert axis.get_ylim()[0] < axis.lines[-1].get_ydata().min() < -100
    assert "suspect" not in results.draw_candidates(cadence, fits, stars[:1]).get_suptitle()


def test_verdicts_are_counted_where_they_belong():
    called = {"planets": 70, "binaries": 9}
    counts = {"planets": (70, 1, 2, 7), "binaries": (9, 24, 5, 2)}
    systems = {"snr": [15, 600], "roc_auc": 0.935} | {
        kind: dict(zip(VERDICTS, values, strict=True)) | {"called": {"recovered": called[kind]}}
        for kind, values in counts.items()
    }
    figure = results.draw_verdicts(systems, "a_network")
    axis = figure.axes[0]
    cells = {}
    for text in sorted(axis.texts, key=lambda text: text.get_position()[1]):
        x, y = text.get_position()
        cells.setdefault((int(y), int(x)), []).append(text.get_text())
    assert cells[0, 0] == ["70", "87.5%"] and cells[1, 0] == ["9", "22.5%"]
    assert cells[1, 1] == ["24", "60.0%"] and cells[0, 3] == ["7", "8.8%"]
    assert [t.get_text() for t in axis.get_xticklabels()] == list(VERDICTS)
    assert [t.get_text() for t in axis.get_yticklabels()] == ["planets\n(80)", "binaries\n(40)"]
    title = figure.get_suptitle()
    assert title.startswith(
        "Of 40 simulated eclipsing binaries 9 are called planet candidates, of 80 planets 70\n"
    )
    assert "a network network; SNR 15 to 600" in title and "binaries: 0.94" in title
    undefined = results.draw_verdicts(systems | {"roc_auc": None}, "n").get_suptitle()
    assert undefined.endswith("binaries: undefined")
    # A planet that is taken for a binary is as wrong as a binary that is taken for a planet.
    drawn = [~np.ma.getmaskarray(part.get_array()) for part in axis.collections]
    shapes = {
        tuple(map(tuple, np.argwhere(part))): to_hex(cells.get_cmap()(1.0)).upper()
        for part, cells in zip(drawn, axis.collections, strict=True)
    }
    assert shapes[(0, 0), (1, 1)] == results.RIGHT and shapes[(0, 1), (1, 0)] == results.WRONG


def test_a_classifier_without_a_colour_gets_one_of_its_own():
    kinds = [type(f"Kind{i}", (Classifier,), {"name": f"kind {i}"})() for i in range(6)]
    green = type("Green", (Classifier,), {"name": "green", "color": "#00FF00"})()
    colors = find_colors([green, *kinds, green])
    assert colors["green"] == "#00FF00"
    assert len({colors[f"kind {i}"] for i in range(4)}) == 4
    assert len(colors) == 7
