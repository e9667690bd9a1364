"""Vetting and its figures: planted truths, toy scorers, leaky ones to be caught."""

import json

import numpy as np
import pytest
from conftest import N_CADENCES
from hypothesis import given
from hypothesis import strategies as st
from scipy.ndimage import uniform_filter1d
from sklearn import metrics as reference

from exoplanets.evaluation import metrics, vetting
from exoplanets.evaluation.calibration import measure_calibration
from exoplanets.evaluation.completeness import (
    draw_injections,
    find_false_positive_threshold,
    measure_completeness,
)
from exoplanets.evaluation.occlusion import (
    HIDDEN,
    TAPER,
    follow_transits,
    hide_stretches,
    measure_occlusion,
)
from exoplanets.evaluation.reliability import (
    LEAST_SKILL,
    find_dips,
    mask_dips,
    mask_raw_dips,
    measure_reliability,
    scramble,
)
from exoplanets.figures import vetting as vetting_figures
from exoplanets.lightcurves import equalise, injection, probes
from exoplanets.stars import CADENCE_DAYS, HOST

SMALL = vetting.Level(60, 60, 30, True, 2, 1, 12, 100)


def deepest(curves):
    """A toy network: how deep the deepest three hours are, between 0 and 1."""
    depth = -uniform_filter1d(curves, 6, axis=1).min(axis=1)
    return 1 / (1 + np.exp(-2 * (depth - 3.5)))


@pytest.fixture(scope="module")
def sample(stars):
    """Hosts and non-hosts of the simulated survey, the leaks of its making in."""
    flux = np.concatenate([stars.train_flux, stars.test_flux])
    y = (np.concatenate([stars.train_labels, stars.test_labels]) == HOST).astype(int)
    curves, kept, _ = equalise.equalise_table(flux)
    names = np.array([f"star {i}" for i in kept])
    held_out = (y[kept] == 0) | (kept >= 100)
    return vetting.Sample(flux[kept], curves, y[kept], held_out, names, 13 / 140)


@pytest.fixture(scope="module")
def planted(sample):
    """Non-hosts alone, a fifth of them given a clear planet and called hosts: no leak at all."""
    others = sample.of(sample.y == 0)
    rng = np.random.default_rng(5)
    flux, y = others.flux.copy(), np.zeros(len(others.y), int)
    y[rng.permutation(len(y))[:25]] = 1
    times = np.arange(N_CADENCES) * CADENCE_DAYS
    for i in np.flatnonzero(y):
        dip, _ = injection.draw_transits(rng, times, (1.5, 3.5), fewest=3)
        flux[i], _ = injection.inject(flux[i], dip, 90.0)
    curves, _, _ = equalise.equalise_table(flux)
    return vetting.Sample(flux, curves, y, np.ones(len(y), bool), others.names, 0.1)


@pytest.fixture(scope="module")
def vetted(planted):
    """What `vet` says of the toy network on the planted planets."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(vetting.LEVELS, "quick", SMALL)
        scorers = {
            "transit": vetting.Scorer(deepest, 0.5, knows_hosts=False),
            "nothing": vetting.Scorer(lambda curves: np.full(len(curves), 0.5), 0.5),
        }
        return vetting.vet(scorers, planted, "transit", seed=3)


# --------------------------------------------------------------------------- who is caught
def test_honest_scorer_passes_and_loses_its_skill_without_transits(vetted):
    content, _ = vetted
    row = content["reliability"][0]
    assert row["original"]["roc_auc"] > 0.9
    assert row["masked"]["surviving_share"] < 0.3
    assert row["inverted"]["surviving_share"] < 0.3
    assert not vetting.is_leaky(content, "transit")


@pytest.mark.parametrize(
    "leak",
    [probes.count_repeats, probes.find_lag_one, probes.find_clean_decimals],
    ids=["repeats", "noise colour", "decimals"],
)
def test_leaky_scorer_on_distributed_curves_is_caught(sample, monkeypatch, leak):
    monkeypatch.setitem(vetting.LEVELS, "quick", SMALL)
    scorers = {
        "transit": vetting.Scorer(deepest, 0.5),
        "leaky": vetting.Scorer(leak, 1.0, light_curves="distributed", knows_hosts=False),
    }
    content, _ = vetting.vet(scorers, sample, "transit")
    row = next(r for r in content["reliability"] if r["network"] == "leaky")
    assert row["original"]["roc_auc"] > 0.7
    assert vetting.is_leaky(content, "leaky")
    failed = {v["test"] for v in content["verdicts"] if v["network"] == "leaky" and not v["passed"]}
    assert failed >= {"recovery"}  # what knows the file finds no planet


def test_content_is_json_and_the_same_on_every_run(vetted, planted, monkeypatch):
    monkeypatch.setitem(vetting.LEVELS, "quick", SMALL)
    content, _ = vetted
    scorers = {
        "transit": vetting.Scorer(deepest, 0.5, knows_hosts=False),
        "nothing": vetting.Scorer(lambda curves: np.full(len(curves), 0.5), 0.5),
    }
    again, _ = vetting.vet(scorers, planted, "transit", seed=3)
    assert json.dumps(again, allow_nan=False) == json.dumps(content, allow_nan=False)
    assert all(v["sentence"] for v in content["verdicts"])


def test_non_hosts_that_were_trained_on_are_refused(sample):
    seen = sample._replace(held_out=np.zeros(len(sample.y), bool))
    with pytest.raises(ValueError, match="trained on"):
        vetting.vet({"transit": vetting.Scorer(deepest, 0.5)}, seen, "transit")


def test_is_leaky_needs_a_measured_network(vetted):
    with pytest.raises(ValueError, match="'another' was not measured"):
        vetting.is_leaky(vetted[0], "another")


# --------------------------------------------------------------------------- completeness
def test_injections_have_the_snr_they_claim(sample):
    others = sample.of(sample.y == 0)
    drawn = draw_injections(others, 40, np.random.default_rng(0))
    change = drawn.flux - others.flux[drawn.star]
    assert np.all(change < 1e-9)  # e-/s: transits only dim, to rounding
    scatter = [injection.find_scatter(others.flux[i]) for i in drawn.star]
    np.testing.assert_allclose(np.linalg.norm(change, axis=1) / scatter, drawn.snr, rtol=1e-6)
    assert np.all((drawn.snr >= 6) & (drawn.snr <= 150))
    assert np.all((drawn.period >= 0.7) & (drawn.period <= 20))
    np.testing.assert_array_equal(drawn.curves, equalise.equalise_table(drawn.flux)[0])


def test_radius_ratio_is_right_where_photon_noise_is_all(sample):
    rng = np.random.default_rng(1)
    level = 1e5  # e-/s
    flux = rng.normal(0, np.sqrt(level / injection.PHOTONS), (1, 3197))
    star = vetting.Sample(flux, flux, np.zeros(1), np.ones(1, bool), np.array(["a"]), 0.1)
    drawn = draw_injections(star, 10, rng)
    depth = np.array([np.max(flux[0] - made) for made in drawn.flux])
    # A depth is about the square of the radius ratio; limb darkening adds up to a third.
    expected = np.sqrt(depth / level)
    assert np.all(np.abs(drawn.radius_ratio / expected - 1) < 0.35)


@given(st.lists(st.sampled_from([0.1, 0.2, 0.5, 0.9]) | st.floats(0, 1), min_size=1, max_size=250))
def test_false_positive_threshold_is_the_lowest_that_keeps_the_rate(score):
    found = find_false_positive_threshold(score)
    score, allowed = np.array(score), max(1, len(score) // 100)
    assert found["false_positives"] == np.sum(score >= found["threshold"]) <= allowed
    below = score[score < found["threshold"]]
    if len(below):
        assert np.sum(score >= below.max()) > allowed


def test_scorer_that_tells_nothing_recovers_nothing_and_an_oracle_all(sample, vetted):
    drawn = draw_injections(sample.of(sample.y == 0), 50, np.random.default_rng(0))
    none = np.zeros(40, bool)
    blind = measure_completeness(0.5, np.full(40, 0.5), np.full(50, 0.5), drawn, none)
    assert blind["tuned"]["all"]["fraction"] == 1  # at the price of every non-host
    assert blind["tuned"]["false_positives"] == 40
    assert blind["false_positives_1_percent"]["all"]["recovered"] == 0
    oracle = measure_completeness(0.5, np.zeros(40), drawn.snr, drawn, none)
    at = oracle["false_positives_1_percent"]
    assert at["all"]["recovered"] == at["all"]["n"] == 50
    assert sum(b["n"] for b in at["bins"]) == 50
    assert sum(cell["n"] for line in at["grid"] for cell in line) == 50
    assert at["above_20"]["n"] == np.sum(drawn.snr > 20)


def test_suspects_are_left_out_of_the_third_threshold_only(sample):
    drawn = draw_injections(sample.of(sample.y == 0), 20, np.random.default_rng(0))
    score, suspect = np.linspace(0, 1, 50), np.zeros(50, bool)
    suspect[-1] = True
    row = measure_completeness(0.5, score, np.full(20, 0.97), drawn, suspect)
    assert row["false_positives_1_percent"]["non_hosts"] == 50
    assert row["false_positives_1_percent"]["all"]["recovered"] == 0
    assert row["false_positives_1_percent_without_suspects"]["all"]["recovered"] == 20


# --------------------------------------------------------------------------- reliability
def test_masking_takes_transits_out_and_leaves_the_noise(planted):
    hosts = planted.curves[planted.y == 1]
    masked = mask_dips(hosts, np.random.default_rng(0))
    dips = find_dips(hosts)
    np.testing.assert_array_equal(masked[~dips], hosts[~dips])
    assert np.median(deepest(hosts)) > 0.9
    assert np.median(deepest(masked)) < 0.2
    quiet = planted.curves[planted.y == 0]
    masked = mask_dips(quiet, np.random.default_rng(0))
    before, after = probes.find_lag_one(quiet), probes.find_lag_one(masked)
    assert abs(np.median(after - before)) < 0.05  # the colour stays


def test_masked_stretches_join_what_is_kept():
    curve = np.repeat([2.0, -1.0], 1000)
    for first in range(100, 2000, 190):
        curve[first : first + 20] = -9
    masked = mask_dips(curve[None], np.random.default_rng(0))[0]
    first = np.flatnonzero(np.diff(find_dips(curve[None])[0].astype(int)) == 1)
    # Noise from the other half would step by 3.
    assert np.abs(masked[first + 1] - masked[first]).max() < 1


def test_masking_raw_flux_changes_only_dips_and_keeps_the_leak(sample):
    masked = mask_raw_dips(sample.flux, np.random.default_rng(0))
    changed = np.mean(masked != sample.flux, axis=1)
    assert 0 < np.median(changed) < 0.5
    repeats = probes.count_repeats(masked)
    assert metrics.rank_statistics(sample.y, repeats)[0][0] > 0.95


@pytest.mark.parametrize("curve", [np.full(200, -9.0), np.zeros(200)], ids=["all dip", "flat"])
def test_masking_bears_stars_without_anything_to_keep(curve):
    assert np.isfinite(mask_dips(curve[None], np.random.default_rng(0))).all()


def test_scrambling_moves_whole_blocks():
    curves = np.arange(2 * 100.0).reshape(2, 100)
    scrambled = scramble(curves, np.random.default_rng(0))
    np.testing.assert_array_equal(np.sort(scrambled, axis=1), curves)
    np.testing.assert_array_equal(scrambled[:, 96:], curves[:, 96:])  # the rest stays
    assert np.sum(np.diff(scrambled[0]) != 1) <= 4
    assert np.any(scrambled != curves)


def test_surviving_share_is_relative_to_the_skill():
    y = np.repeat([0, 1], 50)
    rng = np.random.default_rng(0)
    noise, perfect = rng.random(100), y + 0.5 * rng.random(100)
    scored = {"original": perfect, "inverted": -perfect, "masked": noise, "scrambled": perfect}
    row = measure_reliability(y, scored, seed=0, n_resamples=200)
    assert row["original"]["surviving_share"] == row["scrambled"]["surviving_share"] == 1
    assert row["inverted"]["surviving_share"] == 0
    auc = reference.roc_auc_score(y, noise)
    assert row["masked"]["surviving_share"] == pytest.approx(max(0, 2 * auc - 1))
    assert row["masked"]["interval"][0] < auc < row["masked"]["interval"][1]
    scored["original"] = noise
    if abs(auc - 0.5) < LEAST_SKILL:
        assert measure_reliability(y, scored, 0)["masked"]["surviving_share"] is None


# --------------------------------------------------------------------------- occlusion
def test_transits_are_followed_where_index_drifts_from_time():
    rng = np.random.default_rng(0)
    missing = (np.arange(3000) % 11 == 3) & (np.arange(3000) < 1100)
    times = CADENCE_DAYS * np.cumsum(1 + missing)
    phase = (times - 2.0 + 1.75) % 3.5 - 1.75
    curve = rng.normal(size=3000) - 6.0 * (np.abs(phase) < 0.08)
    truth = np.array([np.argmin(np.abs(times - t)) for t in np.arange(2.0, times[-1], 3.5)])
    # The mean period in the index, as a box search would find it.
    slope, start = np.polyfit(np.arange(len(truth)), truth * CADENCE_DAYS, 1)
    strict = (start + slope * np.arange(len(truth))) / CADENCE_DAYS
    assert np.abs(strict - truth).max() > 10  # without following, half of them are missed
    found = follow_transits(curve, np.arange(3000) * CADENCE_DAYS, slope, start, 0.16)
    assert len(found) == len(truth)
    assert np.abs(found - truth).max() <= 3


@pytest.mark.parametrize(
    ("where", "share"), [("transits", 1.0), ("elsewhere", 0.0), ("nowhere", None)]
)
def test_occlusion_finds_what_the_score_rests_on(where, share):
    rng = np.random.default_rng(0)
    curve, middles = rng.normal(size=1000), np.arange(100, 1000, 200)
    read = {"transits": middles, "elsewhere": middles + 90, "nowhere": []}[where]
    for middle in read:
        curve[middle - 2 : middle + 3] = -8

    def score(curves):
        total = -sum((curves[:, m - 2 : m + 3].mean(axis=1) for m in read), np.zeros(len(curves)))
        return 1 / (1 + np.exp(-total / 20 - 0.001 * curves[:, ::7].sum(axis=1)))

    row, arrays = measure_occlusion(score, curve, middles, 5 * CADENCE_DAYS, step=4)
    if share is None:
        # Only noise is left, and little of it: what exceeds an ordinary stretch's is no transit's.
        assert row["share_in_transit"] is None or row["share_in_transit"] < 0.5
    else:
        assert row["share_in_transit"] == pytest.approx(share, abs=0.05)
    assert len(arrays["falls"]) == len(arrays["centres"]) == len(arrays["in_transit"])
    assert row["share_by_chance"] == pytest.approx(5 * 21 / 1000, abs=0.02)


def test_transits_in_a_gap_are_not_followed():
    times = np.arange(1000) * CADENCE_DAYS
    curve, middles = np.zeros(1000), np.arange(50, 1000, 100)
    for middle in middles:
        curve[middle - 2 : middle + 3] = -8
    kept = (np.arange(1000) < 240) | (np.arange(1000) >= 560)
    planet = 100 * CADENCE_DAYS, times[50], 5 * CADENCE_DAYS
    found = follow_transits(curve[kept], times[kept], *planet, wander=0)
    seen = [50, 150, 650, 750, 850, 950]
    np.testing.assert_allclose(times[kept][found], times[seen], atol=1.1 * CADENCE_DAYS)
    assert len(follow_transits(curve, times, np.nan, np.nan, np.nan)) == 0


def test_hiding_a_stretch_hides_it_and_nothing_far_away():
    hidden = hide_stretches(np.ones(100), [50])[0]
    assert np.sum(hidden == 0) == HIDDEN
    assert np.sum(hidden != 1) == HIDDEN + 2 * TAPER
    assert np.all(np.diff(hidden[50:]) >= 0)  # smooth, without a step of more than a third
    assert np.abs(np.diff(hidden)).max() <= 1 / 3 + 1e-12


# --------------------------------------------------------------------------- calibration
def test_calibration_recovers_slope_and_offset():
    rng = np.random.default_rng(0)
    z = rng.normal(0, 2, 20000)
    y = (rng.random(20000) < 1 / (1 + np.exp(-(0.7 * z - 1.5)))).astype(int)
    score = 1 / (1 + np.exp(-z))
    found = measure_calibration(y, score, y.mean(), seed=0)
    assert found["slope"] == pytest.approx(0.7, abs=0.03)
    assert found["offset"] == pytest.approx(-1.5, abs=0.05)
    assert found["brier_before"] == pytest.approx(reference.brier_score_loss(y, score))
    assert found["brier_after"] < found["brier_before"]
    for row in found["bins_after"]:
        assert row["interval"][0] - 0.02 <= row["probability"] <= row["interval"][1] + 0.02
    assert sum(row["hosts"] for row in found["bins_after"]) == y.sum()


def test_calibration_of_noise_is_no_better_than_the_prevalence():
    rng = np.random.default_rng(1)
    y, score = (rng.random(400) < 0.2).astype(int), rng.random(400)
    found = measure_calibration(y, score, y.mean(), seed=0)
    # Fitted to the very labels it is judged by, it would come out below.
    assert found["brier_of_prevalence"] < found["brier_after"] + 1e-3 < found["brier_before"]
    own = metrics.calibrate(score, found["slope"], found["offset"])
    assert found["brier_after"] > reference.brier_score_loss(y, own)


def test_calibration_has_the_prevalence_it_is_told():
    rng = np.random.default_rng(2)
    y = np.repeat([1, 0], 500)
    score = np.clip(0.5 + 0.2 * (y - 0.5) + rng.normal(0, 0.15, 1000), 0.01, 0.99)
    found = measure_calibration(y, score, 0.02, seed=0)
    probability = metrics.calibrate(score, found["slope"], found["offset"])
    weight = np.where(y == 1, 1.0, 49.0)
    assert np.average(probability, weights=weight) == pytest.approx(0.02, abs=0.003)


def test_calibration_bears_a_perfect_score():
    y = np.repeat([1, 0], 20)
    found = measure_calibration(y, y.astype(float), 0.5, seed=0)
    assert np.isfinite([found["slope"], found["offset"], found["brier_after"]]).all()


# --------------------------------------------------------------------------- figures
def test_figures_show_what_was_found(vetted):
    content, drawn = vetted
    recovery = vetting_figures.draw_injection_recovery(content)
    assert "of 60 planets" in recovery.axes[0].get_legend().texts[0].get_text()
    reliability = vetting_figures.draw_reliability(content, drawn)
    assert "survive" in reliability.get_suptitle()
    occlusion = vetting_figures.draw_occlusion(content, drawn)
    titles = [axis.get_title(loc="left") for axis in occlusion.axes]
    assert any("of the fall in transit" in t or "no stretch" in t for t in titles)
    calibration = vetting_figures.draw_calibration(content)
    labels = [axis.get_xlabel() for axis in (*recovery.axes, *occlusion.axes, *calibration.axes)]
    assert {"period (days)", "time since the first cadence (days)"} <= set(labels)
    for figure in (recovery, reliability, occlusion, calibration):
        figure.draw_without_rendering()


def test_occlusion_figure_bears_no_clear_star(vetted):
    content, drawn = vetted
    figure = vetting_figures.draw_occlusion(content | {"occlusion": []}, drawn | {"occluded": []})
    figure.draw_without_rendering()
