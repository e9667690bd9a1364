"""evaluation/vetting.py and its figures: honest classifiers pass, leaky ones are caught."""

import json
from typing import ClassVar

import numpy as np
import pytest
from toys import Deepest, Leaky, Memory, make_stars

from exoplanets.classifiers.verdict import PLANET, VERDICTS
from exoplanets.evaluation import candidates, reliability, vetting
from exoplanets.evaluation.calibration import measure_calibration
from exoplanets.evaluation.comparison import fit_classifiers
from exoplanets.figures import vetting as vetting_figures
from exoplanets.figures.style import find_colors

SMALL = vetting.Level(60, 60, 16, 20, True, 2, 1, 12, 100)


@pytest.fixture(scope="module")
def stars():
    """Hosts with transits, and with a leak: the first value of their flux is larger."""
    stars = make_stars(n_hosts=24, n_others=96)
    flux = stars.flux.copy()
    flux[:, 0] = 20 + stars.is_host
    return stars.replace(flux=flux)


class TwoJudgements(Deepest):
    """Depth as both scores; a candidate of the ephemeris of `make_stars`' shortest planets."""

    columns = ("score", "transit_score", "planet_score", "period", "epoch", "duration")

    def judge(self, stars):
        score = self.score(stars)
        ephemeris = np.tile([2.0, 1.0, 0.1], (len(stars), 1))
        return np.column_stack([score, score, np.where(score > 0.5, 0.9, 0.1), ephemeris])


class SlowDeepest(Deepest):
    name = "slow"
    is_slow = True
    sizes: ClassVar = []

    def score(self, stars):
        self.sizes.append(len(stars))
        return super().score(stars)


@pytest.fixture(scope="module")
def compared(stars):
    views = dict.fromkeys(("equalised", "distributed"), stars)
    return fit_classifiers([TwoJudgements(), Leaky(), Memory(), SlowDeepest()], views, 0)


@pytest.fixture(scope="module")
def vetted(compared, stars):
    chosen = candidates.choose_stars(stars, compared[0].judged, np.full(len(stars), 0.9))
    fits = candidates.measure_stars(stars, compared[0].judged, chosen)
    suspect = np.zeros(len(stars), bool)
    suspect[np.flatnonzero(~stars.is_host & (stars.split == "test"))[:2]] = True
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(vetting.LEVELS, "quick", SMALL)
        content, drawn = vetting.vet(compared, fits, suspect, seed=3)
        again, _ = vetting.vet(compared, fits, suspect, seed=3)
    assert json.dumps(again, allow_nan=False) == json.dumps(content, allow_nan=False)
    return content, drawn, np.array(stars.names)[suspect]


PAIR = np.array([0, 1]), np.array([0.1, 0.9])


def verdicts(content, network):
    return {v["test"]: v["passed"] for v in content["verdicts"] if v["network"] == network}


def test_an_honest_classifier_loses_its_skill_without_transits(vetted):
    content = vetted[0]
    row = content["reliability"][0]
    assert (row["network"], row["stars"]) == ("deepest", "all hosts, held-out non-hosts")
    assert row["original"]["roc_auc"] > 0.9
    assert row["masked"]["surviving_share"] < 0.3
    assert row["inverted"]["surviving_share"] < 0.3
    found = verdicts(content, "deepest")
    assert found["inverted"] and found["masked"]


def test_a_leaky_classifier_on_distributed_curves_is_caught(vetted):
    content = vetted[0]
    row = next(r for r in content["reliability"] if r["network"] == "leaky")
    assert row["original"]["roc_auc"] == row["inverted"]["roc_auc"] == 1
    assert verdicts(content, "leaky") == {"inverted": False, "masked": False, "recovery": False}
    named = {(v["network"], v["light_curves"]) for v in content["verdicts"]}
    assert ("leaky", "distributed") in named


def test_hosts_that_taught_a_classifier_are_left_out(vetted):
    rows = [r for r in vetted[0]["reliability"] if r["network"] == "memory"]
    assert [r["stars"] for r in rows] == ["held-out stars"]
    assert (rows[0]["hosts"], rows[0]["non_hosts"]) == (16, 60)
    # It had seen the validation stars as well; no test star has a score but 0.
    deepest = [r for r in vetted[0]["reliability"] if r["network"] == "deepest"]
    assert [(r["hosts"], r["non_hosts"]) for r in deepest] == [(24, 60), (16, 60)]


def test_only_held_out_non_hosts_are_vetted_with(vetted):
    content, _, suspects = vetted
    assert content["held_out_non_hosts"] == 60  # of 64
    assert set(content["suspects"]) <= set(suspects)


def test_a_slow_classifier_is_given_fewer(vetted):
    content = vetted[0]
    row = next(r for r in content["completeness"] if r["network"] == "slow")
    assert row["tuned"]["non_hosts"] == row["tuned"]["all"]["n"] == 20
    assert SlowDeepest.sizes[:3] == [120, 20, 20]  # to be tuned, then vetted
    other = next(r for r in content["completeness"] if r["network"] == "deepest")
    assert other["tuned"]["non_hosts"] == other["tuned"]["all"]["n"] == 60


def test_simulated_systems_are_judged_by_the_first_classifier(vetted, compared):
    systems = vetted[0]["systems"]
    for name in ("planets", "binaries"):
        counted = systems[name]
        assert sum(counted[verdict] for verdict in VERDICTS) == counted["called"]["n"] == 8
        # What is called is a planet candidate, and this classifier is never unclear.
        assert counted[PLANET] == counted["called"]["recovered"]
    assert systems["planets"][PLANET] > 4
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(vetting.LEVELS, "quick", SMALL._replace(n_clear=0, n_false=0))
        plain = [compared[1]._replace(classifier=Deepest().tune(*PAIR)), *compared[:1]]
        none = np.zeros(len(compared[0].stars), bool)
        content, _ = vetting.vet(plain, [None] * len(none), none, seed=3)
    assert content["systems"] is None  # one score tells nothing of two kinds


def test_every_verdict_is_a_sentence_and_follows_its_limit(vetted):
    content = vetted[0]
    assert len(content["verdicts"]) == 3 * 4 + 1  # and the occlusion of the first
    for verdict in content["verdicts"]:
        assert verdict["sentence"]
        below = verdict["test"] in ("inverted", "masked")
        if verdict["value"] is None:
            assert verdict["passed"] is None
        elif below:
            assert verdict["passed"] in (None, verdict["value"] < verdict["limit"])
        else:
            assert verdict["passed"] == (verdict["value"] >= verdict["limit"])


@pytest.mark.parametrize(
    ("original", "inverted", "passed"),
    [(0.9, 0.55, True), (0.9, 0.65, False), (0.55, 0.42, None), (0.42, 0.65, False)],
)
def test_who_had_no_skill_has_none_to_lose(original, inverted, passed):
    row = {"network": "n", "light_curves": "l", "stars": "all", "hosts": 9, "non_hosts": 9}
    aucs = {"original": original, "inverted": inverted, "masked": inverted}
    row |= {name: {"roc_auc": auc} for name, auc in aucs.items()}
    content = {"network": "n", "reliability": [row], "occlusion": []}
    cut = {"above_20": {"fraction": 0.95, "n": 20, "recovered": 19}}
    cut |= {"false_positives": 1, "non_hosts": 90}
    content["completeness"] = [row | {"false_positives_1_percent": cut}]
    verdict, _, _, _ = vetting.judge(content)
    assert verdict["test"] == "inverted" and verdict["passed"] is passed


def test_an_undefined_share_is_named_and_left_out_of_the_mean():
    rows = [{"label": 1, "share_in_transit": share} for share in (0.6, None, 1.0)]
    names = {"network": "deepest", "light_curves": "equalised"}
    fraction = {"fraction": 0.95, "n": 20, "recovered": 19}
    cut = {"above_20": fraction, "false_positives": 1, "non_hosts": 90}
    content = {"network": "deepest", "reliability": [], "occlusion": rows}
    content["completeness"] = [names | {"false_positives_1_percent": cut}]
    recovery, occlusion = vetting.judge(content)
    assert recovery["passed"] and recovery["value"] == 0.95
    assert occlusion["value"] == pytest.approx(0.8) and occlusion["passed"]
    assert "0.60, undefined, 1.00" in occlusion["sentence"]
    content["occlusion"] = [{"label": 0, "share_in_transit": 1.0}]
    _, occlusion = vetting.judge(content)
    assert occlusion["passed"] is None and "no host is clear enough" in occlusion["sentence"]


# --------------------------------------------------------------------------- figures
@pytest.fixture(scope="module")
def figures(vetted, compared, stars):
    content, drawn, _ = vetted
    colors = find_colors([c.classifier for c in compared])
    calibration, _ = measure_calibration(stars.y, compared[0].score, 0.1, 0)
    return {
        "recovery": vetting_figures.draw_injection_recovery(content, colors),
        "reliability": vetting_figures.draw_reliability(content, drawn, colors),
        "occlusion": vetting_figures.draw_occlusion(content, drawn),
        "calibration": vetting_figures.draw_calibration(calibration, "deepest", "#000000"),
    }, calibration


def test_recovery_is_drawn_as_it_was_counted(vetted, figures):
    left, right = figures[0]["recovery"].axes[:2]
    rows = vetted[0]["completeness"]
    *curves, diamond = left.lines
    for row, line, band in zip(rows, curves, left.collections, strict=True):
        points = [(p["rate"], p["fraction"]) for p in row["curve"]]
        np.testing.assert_allclose(line.get_xydata(), points)
        edges = band.get_paths()[0].vertices[:, 1]
        assert edges.min() == min(p["interval"][0] for p in row["curve"])
        assert edges.max() == max(p["interval"][1] for p in row["curve"])
        cut = row["false_positives_1_percent"]
        kind = "flux as distributed" if row["network"] == "leaky" else "equalised flux"
        assert line.get_label() == (
            f"{row['network']}, {kind}: {cut['all']['recovered']} of {cut['all']['n']} planets "
            f"where {cut['false_positives']} of {cut['non_hosts']} non-hosts are called"
        )
    cut, tuned = rows[0]["false_positives_1_percent"], rows[0]["tuned"]
    assert diamond.get_ydata() == tuned["all"]["fraction"]
    low, high = left.get_xlim()
    assert low < diamond.get_xdata() < high and left.get_xscale() == "log"
    for which, line in ((cut, right.lines[0]), (tuned, right.lines[-2])):
        drawn = [b["fraction"] for b in which["bins"] if b["n"]]
        np.testing.assert_array_equal(line.get_ydata(), drawn)
    # The leaky one has other light curves: it stands on the left alone.
    assert len(right.lines) == len(rows) - 1 + 2
    title = figures[0]["recovery"].get_suptitle()
    assert title.startswith(f"The deepest network recovers {cut['all']['recovered']} of 60 planets")
    assert "the best other on the same light curves, slow, " in title


def test_recovery_is_drawn_of_too_few_non_hosts_for_a_curve(vetted):
    content = vetted[0]
    row = content["completeness"][0] | {"curve": []}
    colors = {"deepest": "#000000"}
    figure = vetting_figures.draw_injection_recovery(content | {"completeness": [row]}, colors)
    figure.draw_without_rendering()
    assert "the best other" not in figure.get_suptitle()


def test_reliability_is_drawn_for_every_classifier_and_treatment(vetted, figures):
    content, drawn, _ = vetted
    top, bottom = figures[0]["reliability"].axes[:2]
    values = [line.get_ydata() for line in bottom.lines]
    markers = [float(value[0]) for value in values if len(value) == 1]
    expected = [r[t]["roc_auc"] for r in content["reliability"] for t in reliability.TREATMENTS]
    np.testing.assert_allclose(markers, expected)
    lengths = {len(line.get_ydata()) for line in top.lines}
    assert {int(np.sum(drawn["y"] == 0)), int(np.sum(drawn["y"] == 1))} <= lengths
    assert "keeps" in figures[0]["reliability"].get_suptitle()


def test_occlusion_is_drawn_star_by_star(vetted, figures):
    titles = [axis.get_title(loc="left") for axis in figures[0]["occlusion"].axes]
    rows = vetted[0]["occlusion"]
    for row in rows:
        share = row["share_in_transit"]
        told = "no stretch" if share is None else f"{share:.0%} of the fall in transit"
        assert any(title.startswith(f"{row['star']}, ") and told in title for title in titles)
        assert any(f"{row['period']:.2f} d, SNR {row['snr']:.0f}: " in title for title in titles)
    unknown = vetted[0] | {"occlusion": [rows[0] | {"period": None, "snr": None}]}
    figure = vetting_figures.draw_occlusion(unknown, vetted[1])
    assert "no period, SNR not measured" in figure.axes[0].get_title(loc="left")


def test_calibration_is_drawn_bin_by_bin(figures):
    calibration = figures[1]
    for axis, when in zip(figures[0]["calibration"].axes, ("before", "after"), strict=True):
        drawn = [float(line.get_ydata()[0]) for line in axis.lines if len(line.get_ydata()) == 1]
        np.testing.assert_allclose(drawn, [r["fraction"] for r in calibration[f"bins_{when}"]])
        counts = [int(text.get_text()) for text in axis.texts]
        assert sum(counts) == calibration["hosts"] + calibration["non_hosts"]


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        (0.08, 0.05, "calibration lowers the Brier score: 0.0800 before, 0.0500 after"),
        (0.05, 0.08, "calibration does not lower the Brier score: 0.0500 before, 0.0800 after"),
        (0.05, None, "calibration could not be measured on so few stars"),
    ],
)
def test_the_title_of_the_calibration_claims_only_what_is_so(figures, before, after, said):
    measured = figures[1] | {"brier_before": before, "brier_after": after}
    title = vetting_figures.draw_calibration(measured, "deepest", "#000000").get_suptitle()
    assert f"deepest network: {said}" in title


def test_figures_have_units_and_can_be_drawn(figures):
    labels = [axis.get_xlabel() for figure in figures[0].values() for axis in figure.axes]
    false_alarms = "false alarms: share of non-hosts called"
    assert {false_alarms, "time since the first cadence (days)"} <= set(labels)
    for figure in figures[0].values():
        figure.draw_without_rendering()


def test_without_skill_or_clear_star_the_figures_say_so(vetted):
    content, drawn, _ = vetted
    bare = content | {"occlusion": []}
    bare["verdicts"] = vetting.judge(bare)
    figure = vetting_figures.draw_occlusion(bare, drawn | {"occluded": []})
    figure.draw_without_rendering()
    assert "no star is clear enough" in figure.axes[0].texts[0].get_text()
    row = dict(content["reliability"][0])
    for treatment in reliability.TREATMENTS:
        row[treatment] = row[treatment] | {"surviving_share": None}
    colors = {"deepest": "#000000"}
    figure = vetting_figures.draw_reliability(content | {"reliability": [row]}, drawn, colors)
    assert "no skill to lose" in figure.get_suptitle()
