"""evaluation/candidates.py: who is measured, what is said of each, and whose label is suspect."""

import numpy as np
import pytest
from toys import make_stars

from exoplanets.classifiers.verdict import BINARY, NOTHING, PLANET, UNCLEAR
from exoplanets.evaluation import candidates
from exoplanets.search.fit import TransitFit
from exoplanets.stars import CADENCE_DAYS, Stars

PERIOD, EPOCH, DURATION = 3.3, 0.675, 0.15  # days


@pytest.fixture(scope="module")
def dips():
    """Four hosts and ten non-hosts; 3, 5, 6 and 7 have the same periodic dips, 8 a single one."""
    rng = np.random.default_rng(0)
    flux = rng.normal(size=(14, 3197)).astype(np.float32)
    time = np.arange(3197) * CADENCE_DAYS
    for star in (3, 5, 6, 7):
        flux[star] -= 6 * (np.abs((time - EPOCH + 1) % PERIOD - 1) < DURATION / 2)
    flux[8, 700:712] -= 60
    y = np.arange(14) < 4
    return Stars(
        np.full(14, "test"), rng.permutation(14), y, flux,
        cadence=np.tile(np.arange(3197, dtype=np.int32), (14, 1)), split=np.full(14, "test"),
    )  # fmt: skip


@pytest.fixture(scope="module")
def judged():
    """The columns of the transit network: 3, 5, 7 are called; 6 is taken for a binary."""
    transit_score, planet_score = np.full(14, 0.1), np.full(14, 0.5)
    transit_score[[3, 5, 6, 7, 8, 9]] = 0.9
    planet_score[[3, 5, 7]], planet_score[6] = 0.9, 0.1
    ephemeris = np.tile([PERIOD + 0.001, EPOCH - 0.01, 0.8 * DURATION], (14, 1))
    return np.column_stack([transit_score * planet_score, transit_score, planet_score, ephemeris])


@pytest.fixture(scope="module")
def fits(dips, judged):
    chosen = np.isin(np.arange(14), [3, 5, 6, 8, 9])
    return candidates.measure_stars(dips, judged, chosen)


def list_stars(stars, judged, fits):
    threshold = np.full(len(stars), 0.5)
    return candidates.list_stars(stars, judged, threshold, np.arange(len(stars)) % 2 == 0, fits)


def test_the_best_candidate_of_each_chosen_star_is_fitted(fits):
    assert [i for i, fit in enumerate(fits) if fit] == [3, 5, 6, 8, 9]
    for star in (3, 5, 6):
        fit = fits[star]
        assert fit.period_days == pytest.approx(PERIOD, rel=2e-4)
        assert (fit.epoch_days - EPOCH + 1) % PERIOD == pytest.approx(1, abs=0.02)
        assert fit.depth == pytest.approx(6, rel=0.15)  # of the unit of the flux
        assert fit.duration_hours == pytest.approx(24 * DURATION, rel=0.3)
        assert fit.snr > 40 and np.isnan(fit.depth_ppm)
    assert not fits[9].snr > candidates.CLEAR_SNR


def test_a_fit_is_made_in_true_time(dips, judged):
    """Where cadences are missing the columns come early, and the dips are on time."""
    some = np.arange(14) == 5
    kept = np.arange(3197) % 9 > 0
    shorter = dips.replace(flux=dips.flux[:, kept], cadence=dips.cadence[:, kept])
    fit = candidates.measure_stars(shorter, judged, some)[5]
    assert fit.period_days == pytest.approx(PERIOD, rel=2e-4) and fit.snr > 40


def test_a_non_host_with_transits_is_a_suspect_a_host_is_none(dips, judged, fits):
    listed = list_stars(dips, judged, fits)
    # 3 is a host, 7 was not measured, 8 and 9 repeat nothing; 6, two stars, is mislabelled too.
    assert np.flatnonzero(listed["suspect_label"]).tolist() == [5, 6]
    verdicts = listed["verdict"].tolist()
    assert verdicts == [NOTHING] * 3 + [PLANET, NOTHING, PLANET, BINARY, PLANET] + [
        UNCLEAR, UNCLEAR, *[NOTHING] * 4
    ]  # fmt: skip
    # A verdict alone makes no suspect, and neither do transits that nobody could see.
    faint = [fit and TransitFit(3.3, 1.0, snr=candidates.SUSPECT_SNR - 0.1) for fit in fits]
    assert not list_stars(dips, judged, faint)["suspect_label"].any()
    clear = [TransitFit(3.3, 1.0, snr=candidates.SUSPECT_SNR) for _ in fits]
    suspects = list_stars(dips, judged, clear)["suspect_label"]
    assert np.flatnonzero(suspects).tolist() == [5, 6, 7]


def test_a_star_is_listed_with_what_was_found_in_it(dips, judged, fits):
    listed = list_stars(dips, judged, fits)
    names = ["table", "row", "label", "out_of_fold", "score", "called", "threshold", "verdict"]
    names += ["transit_score", "planet_score", *candidates.FITTED, "suspect_label"]
    assert list(listed) == names
    np.testing.assert_array_equal(listed["row"], dips.row)
    np.testing.assert_array_equal(listed["label"], dips.y)
    np.testing.assert_array_equal(listed["out_of_fold"], np.arange(14) % 2 == 0)
    np.testing.assert_array_equal(listed["called"], listed["score"] >= listed["threshold"])
    np.testing.assert_array_equal(listed[["score", "transit_score", "planet_score"]], judged[:, :3])
    np.testing.assert_array_equal(
        listed["period_days"].notna(), np.isin(np.arange(14), [3, 5, 6, 8, 9])
    )
    np.testing.assert_array_equal(listed["n_transits"].notna(), listed["period_days"].notna())
    for name in candidates.FITTED:
        assert listed[name][5] == pytest.approx(getattr(fits[5], name), nan_ok=True)


def test_each_star_is_called_by_its_own_threshold(dips, judged, fits):
    threshold = np.where(np.arange(14) == 5, 0.95, 0.5)
    listed = candidates.list_stars(dips, judged, threshold, np.ones(14, bool), fits)
    assert np.flatnonzero(listed["called"]).tolist() == [3, 7]
    assert listed["verdict"][5] == NOTHING


def test_hosts_stars_with_dips_and_the_highest_scored_are_measured():
    stars = make_stars(n_hosts=12, n_others=588)
    rng = np.random.default_rng(0)
    transit_score = rng.permutation(600) / 600.0
    score = transit_score * rng.uniform(size=600)
    judged = np.column_stack([score, transit_score])
    chosen = candidates.choose_stars(stars, judged, np.full(600, 0.95))
    assert chosen[stars.is_host].all() and chosen[transit_score >= 0.95].all()
    test = np.flatnonzero(stars.split == "test")
    highest = test[np.argsort(-score[test])[: candidates.N_CANDIDATES]]
    assert chosen[highest].all()
    assert chosen.sum() <= 12 + np.sum(transit_score >= 0.95) + candidates.N_CANDIDATES
    # Stars that taught the network do not take the place of test stars, however they score.
    favoured = judged + (stars.split == "train")[:, None]
    chosen = candidates.choose_stars(stars, favoured, np.full(600, 3.0))  # none is called
    assert chosen[highest].all()
    assert chosen.sum() == len({*highest, *np.flatnonzero(stars.is_host)})
    called = np.column_stack([np.full(600, 0.99), np.zeros(600)])
    assert candidates.choose_stars(stars, called, np.full(600, 0.95)).all()
