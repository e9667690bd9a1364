"""evaluation/completeness.py: injected planets are what they claim, and are counted right."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from toys import N_CADENCES, Deepest, make_stars

from exoplanets.classifiers.verdict import BINARY, NOTHING, PLANET, UNCLEAR
from exoplanets.evaluation import completeness
from exoplanets.evaluation.completeness import (
    SimulatedSystems,
    count_verdicts,
    draw_injections,
    draw_systems,
    find_false_positive_threshold,
    measure_completeness,
    trace_recovery,
)
from exoplanets.lightcurves import injection
from exoplanets.lightcurves.equalise import equalise_table
from exoplanets.stars import CADENCE_DAYS


@pytest.fixture(scope="module")
def quiet():
    stars = make_stars()
    return stars.select(~stars.is_host)


@pytest.fixture(scope="module")
def injected(quiet):
    return draw_injections(quiet, 50, None, np.random.default_rng(0))


def test_injections_have_the_snr_they_claim(quiet, injected):
    change = injected.stars.flux - quiet.flux[injected.star]
    assert np.all(change < 1e-5)  # transits only dim, to rounding
    scatter = [injection.find_scatter(quiet.flux[i].astype(float)) for i in injected.star]
    np.testing.assert_allclose(np.linalg.norm(change, axis=1) / scatter, injected.snr, rtol=1e-4)
    low, high = completeness.SNR_EDGES[0], completeness.SNR_EDGES[-1]
    assert np.all((injected.snr >= low) & (injected.snr <= high))
    assert injected.snr.min() < 9 and injected.snr.max() > 40  # the whole range
    assert np.all((injected.period >= 0.7) & (injected.period <= 20))
    curves = equalise_table(injected.stars.flux.astype(float), None)[0]
    np.testing.assert_allclose(injected.stars.curves, curves, atol=1e-3)
    assert set(injected.star) == set(range(len(quiet)))  # each star in turn


def test_transits_are_periodic_in_true_time_not_in_the_index_of_the_file(quiet):
    """Where cadences are missing, the dips come early in the index and on time on the clock."""
    gaps = np.cumsum(1 + (np.arange(N_CADENCES) % 11 == 0)).astype(np.int32)
    late = quiet.replace(cadence=np.tile(gaps, (len(quiet), 1)))
    injected = draw_injections(late, 30, None, np.random.default_rng(3))
    n_checked = 0
    for star, period, flux in zip(injected.star, injected.period, injected.stars.flux, strict=True):
        inside = np.flatnonzero(flux - quiet.flux[star] < -1e-3)
        if not 1.0 < period < 3.0:
            continue
        n_checked += 1

        def find_spread(times, period=period, inside=inside):
            angle = np.exp(2j * np.pi * times[inside] / period)
            return 1 - abs(angle.mean())  # 0 if all lie at one phase

        assert find_spread(gaps * CADENCE_DAYS) < 0.1
        assert find_spread(np.arange(N_CADENCES) * CADENCE_DAYS) > find_spread(gaps * CADENCE_DAYS)
    assert n_checked >= 3


def test_what_is_missing_stays_missing(quiet):
    flux = quiet.flux.copy()
    flux[:, 100:120] = np.nan
    injected = draw_injections(quiet.replace(flux=flux), 10, None, np.random.default_rng(0))
    np.testing.assert_array_equal(np.isnan(injected.stars.flux), np.isnan(flux[injected.star]))
    assert np.isfinite(injected.stars.curves).all()


def test_radius_ratio_is_right_where_photon_noise_is_all():
    rng = np.random.default_rng(1)
    level = 1e5  # e-/s
    stars = make_stars(n_hosts=1, n_others=1).select([1])
    flux = rng.normal(0, np.sqrt(level / injection.EXPOSURE_SECONDS), stars.flux.shape)
    drawn = draw_injections(stars.replace(flux=flux), 10, None, rng)
    depth = np.max(flux - drawn.stars.flux, axis=1)
    # A depth is about the square of the radius ratio; limb darkening adds up to a third.
    expected = np.sqrt(depth / level)
    assert np.all(np.abs(drawn.radius_ratio / expected - 1) < 0.35)


@given(st.lists(st.sampled_from([0.1, 0.2, 0.5, 0.9]) | st.floats(0, 1), min_size=1, max_size=250))
def test_false_positive_threshold_is_the_lowest_that_keeps_the_rate(score):
    threshold = find_false_positive_threshold(score)
    score, allowed = np.array(score), max(1, len(score) // 100)
    assert np.sum(score >= threshold) <= allowed
    below = score[score < threshold]
    if len(below):
        assert np.sum(score >= below.max()) > allowed


def test_what_tells_nothing_recovers_nothing_and_an_oracle_all(injected):
    none = np.zeros(40, bool)
    blind = measure_completeness(0.5, np.full(40, 0.5), np.full(50, 0.5), injected, none)
    assert blind["tuned"]["all"]["fraction"] == 1  # at the price of every non-host
    assert blind["tuned"]["false_positives"] == 40
    assert blind["false_positives_1_percent"]["all"]["recovered"] == 0
    oracle = measure_completeness(0.5, np.zeros(40), injected.snr, injected, none)
    cut = oracle["false_positives_1_percent"]
    assert cut["all"]["recovered"] == cut["all"]["n"] == 50
    assert sum(b["n"] for b in cut["bins"]) == 50
    assert sum(cell["n"] for line in cut["grid"] for cell in line) == 50
    assert cut["above_20"]["n"] == np.sum(injected.snr > 20)


def test_each_bin_counts_its_own_planets(injected):
    found = np.where(injected.snr > 12, 1.0, 0.0)
    cut = measure_completeness(0.5, np.zeros(9), found, injected, np.zeros(9, bool))["tuned"]
    for row in cut["bins"]:
        assert row["fraction"] == float(row["snr"][0] >= 12)
        low, high = row["snr"]
        assert row["n"] == np.sum((injected.snr >= low) & (injected.snr < high))


def test_suspects_are_left_out_of_the_third_threshold_only(injected):
    planets = injected.select(slice(20))
    score, suspect = np.linspace(0, 1, 50), np.zeros(50, bool)
    suspect[-1] = True
    row = measure_completeness(0.5, score, np.full(20, 0.97), planets, suspect)
    assert row["false_positives_1_percent"]["non_hosts"] == 50
    assert row["false_positives_1_percent"]["all"]["recovered"] == 0
    assert row["false_positives_1_percent_without_suspects"]["all"]["recovered"] == 20
    assert row["false_positives_1_percent_without_suspects"]["non_hosts"] == 49


def test_a_deep_planet_scores_higher_than_its_star_without_it(quiet, injected):
    score = Deepest().score
    deep = injected.snr > 25
    before, after = score(quiet)[injected.star[deep]], score(injected.stars)[deep]
    assert np.mean(after > before) > 0.9


# ------------------------------------------------------------------------ recovery, rate by rate
@given(
    st.lists(st.sampled_from([0.1, 0.5, 0.9]) | st.floats(0, 1), min_size=1, max_size=400),
    st.lists(st.floats(0, 1), min_size=1, max_size=20),
)
def test_recovery_is_traced_at_the_rates_that_so_many_non_hosts_can_show(score, found):
    curve, found = trace_recovery(score, np.array(found)), np.array(found)
    n = len(score)
    allowed = [row["false_positives"] for row in curve]
    assert allowed == sorted({round(rate * n) for rate in completeness.RATES} - {0})
    for row in curve:
        assert row["rate"] == row["false_positives"] / n
        # The lowest cut that calls no more non-hosts than that.
        cuts = [
            cut for cut in (*score, *found) if np.sum(np.array(score) >= cut) <= row["rate"] * n
        ]
        assert row["recovered"] == max([0, *(np.sum(found >= cut) for cut in cuts)])
        assert row["n"] == len(found)
    recovered = [row["recovered"] for row in curve]
    assert recovered == sorted(recovered)


def test_recovery_by_chance_follows_the_rate():
    rng = np.random.default_rng(0)
    curve = trace_recovery(rng.random(4000), rng.random(20_000))
    assert [row["rate"] for row in curve] == pytest.approx(completeness.RATES, abs=2e-4)
    for row in curve:
        assert row["fraction"] == pytest.approx(row["rate"], rel=0.35, abs=1e-3)
    row = measure_completeness(0.5, *rng.random((2, 50)), NO_INJECTIONS, np.zeros(50, bool))
    assert row["curve"] and row["curve"][0]["n"] == 50


NO_INJECTIONS = completeness.Injections(None, None, *np.ones((3, 50)))


# ----------------------------------------------------------------------------- simulated systems
def test_systems_are_planets_and_binaries_by_turns_of_the_snr_they_claim(quiet):
    systems = draw_systems(quiet, 40, None, np.random.default_rng(0))
    assert systems.is_planet.tolist() == [True, False] * 20
    low, high = completeness.SYSTEM_SNR
    assert np.all((systems.snr >= low) & (systems.snr <= high))
    assert systems.snr.min() < 30 and systems.snr.max() > 250
    assert set(map(tuple, systems.stars.flux)).isdisjoint(map(tuple, quiet.flux))
    order = [quiet.names.index(name) for name in systems.stars.names]
    assert set(order) == set(range(40)) or len(set(order)) == 40  # each star in turn
    change = systems.stars.flux - quiet.flux[order]
    scatter = [injection.find_scatter(quiet.flux[i].astype(float)) for i in order]
    response = np.linalg.norm(change, axis=1) / scatter
    # Light between eclipses changes too, so that all of the change is no less than eclipses.
    assert (response > 0.7 * systems.snr).all()
    assert np.median(response / systems.snr) == pytest.approx(1, abs=0.1)
    curves = equalise_table(systems.stars.flux.astype(float), None)[0]
    np.testing.assert_allclose(systems.stars.curves, curves, atol=1e-3)
    again = draw_systems(quiet, 40, None, np.random.default_rng(0))
    np.testing.assert_array_equal(again.stars.flux, systems.stars.flux)
    alone = draw_systems(quiet, 6, None, np.random.default_rng(0), ("binary",))
    assert len(alone.stars) == 6 and not alone.is_planet.any()


def test_verdicts_are_counted_by_kind():
    systems = SimulatedSystems(None, np.array([True] * 4 + [False] * 4), np.full(8, 30.0))
    transit_score = np.array([0.9, 0.9, 0.9, 0.1, 0.9, 0.9, 0.1, 0.9])
    planet_score = np.array([0.9, 0.4, 0.1, 0.9, 0.9, 0.1, 0.1, 0.2])
    judged = np.column_stack([transit_score * planet_score, transit_score, planet_score])
    counts = count_verdicts(systems, judged, 0.5)
    planets, binaries = counts["planets"], counts["binaries"]
    assert {v: planets[v] for v in (PLANET, BINARY, UNCLEAR, NOTHING)} == {
        PLANET: 1, BINARY: 1, UNCLEAR: 1, NOTHING: 1,
    }  # fmt: skip
    assert {v: binaries[v] for v in (PLANET, BINARY, UNCLEAR, NOTHING)} == {
        PLANET: 1, BINARY: 2, UNCLEAR: 0, NOTHING: 1,
    }  # fmt: skip
    for counted in (planets, binaries):
        assert (counted["called"]["n"], counted["called"]["recovered"]) == (4, 1)
    assert counts["snr"] == list(completeness.SYSTEM_SNR)
    pairs = judged[:4, 0][:, None] - judged[4:, 0]
    assert counts["roc_auc"] == pytest.approx(np.mean((pairs > 0) + (pairs == 0) / 2))
    assert count_verdicts(systems, judged[:, :1], 0.5) is None
