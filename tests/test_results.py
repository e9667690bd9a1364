"""figures/results.py: every figure of step 4 shows the numbers it was given."""

import numpy as np
import pandas as pd
import pytest
from sklearn import metrics as reference

from exoplanets.classifiers import box
from exoplanets.evaluation import metrics
from exoplanets.figures import results
from exoplanets.stars import CADENCE_DAYS


def row(tp, fp, fn, tn):
    y = [1] * (tp + fn) + [0] * (fp + tn)
    score = [0.9] * tp + [0.1] * fn + [0.9] * fp + [0.1] * tn
    return {"network": "n", "light_curves": "l", "split": "test"} | metrics.evaluate(
        y, score, 0.5, seed=0
    )


def test_confusion_matrix_shows_counts_where_they_belong():
    figure = results.draw_confusion(row(tp=4, fp=7, fn=1, tn=558), "title")
    axis = figure.axes[0]
    at = {}
    for text in axis.texts:
        x, y = text.get_position()
        at.setdefault((round(y), round(x)), []).append(text.get_text())
    assert at == {
        (0, 0): ["558", "98.8% of non-hosts"],
        (0, 1): ["7", "1.2% of non-hosts"],
        (1, 0): ["1", "20.0% of hosts"],
        (1, 1): ["4", "80.0% of hosts"],
    }
    assert [t.get_text() for t in axis.get_xticklabels()] == ["called non-host", "called host"]
    assert [t.get_text() for t in axis.get_yticklabels()] == [
        "non-host\n(565 stars)", "host\n(5 stars)",
    ]  # fmt: skip


def test_history_marks_the_best_epoch():
    loss = [0.9, 0.4, 0.6]
    curves = {"loss": [0.8, 0.7, 0.6], "recall": [0, 0.5, 1], "average_precision": [0.1, 0.2, 0.3]}
    history = pd.DataFrame(curves | {f"val_{name}": loss for name in curves}).rename_axis("epoch")
    history = history.reset_index()
    figure = results.draw_history(history, "title")
    best = int(np.argmin(history["val_loss"])) + 1
    assert f"(epoch {best})" in figure.axes[1].get_title(loc="left")
    for axis, name in zip(figure.axes, ("loss", "recall", "average_precision"), strict=True):
        fit, validation, marker = axis.lines
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
    figure = results.draw_precision_recall(y, scored, "title")
    (axis,) = figure.axes
    *curves, chance = axis.lines
    for line, ((network, light_curves), score) in zip(curves, scored.items(), strict=True):
        precision, recall, _ = reference.precision_recall_curve(y, score)
        np.testing.assert_allclose(line.get_xdata(), recall[::-1])
        np.testing.assert_allclose(line.get_ydata()[1:], precision[-2::-1])
        assert line.get_linestyle() == ("-" if light_curves == "equalised" else "--")
        area = reference.average_precision_score(y, score)
        assert line.get_label() == f"{network}, {light_curves} (AP {area:.2f})"
    assert set(chance.get_ydata()) == {0.1}
    assert "chance: 10.0% hosts" in axis.texts[0].get_text()
    assert len({line.get_color() for line in curves}) == 2


def test_candidates_are_folded_on_the_middle_of_their_dips():
    times = np.tile(np.arange(1200) * CADENCE_DAYS, (2, 1))
    away = (times - 1.1 + 1.6) % 3.2 - 1.6
    curves = np.where(np.abs(away) < 0.1, -5.0, 0.0)
    two = np.ones(2)
    found = box.Search(two, 3.2 * two, 1.1 * two, 0.2 * two, 5 * two, 30 * two)
    figure = results.draw_candidates(
        times, curves, found, ["row 5, host", "row 9, non-host"], np.array([True, False])
    )
    drawn = [axis for axis in figure.axes if axis.lines]
    assert [axis.get_title(loc="left") for axis in drawn] == ["row 5, host", "row 9, non-host"]
    for axis in drawn:
        points, medians = axis.lines
        hours, flux = points.get_xdata(), points.get_ydata()
        np.testing.assert_array_equal(flux < -2, np.abs(hours) < 2.4)  # 0.1 d either side
        middle = np.abs(medians.get_xdata()) < 1.5
        assert middle.any() and np.all(medians.get_ydata()[middle] == -5)
        assert axis.get_ylim()[0] < -5
    colors = [axis._left_title.get_color() for axis in drawn]
    assert colors == ["#D55E00", "#0072B2"]
    figure.supxlabel("the stamp of `save_figure` goes here")
    assert any("hours" in axis.get_xlabel() for axis in drawn)
