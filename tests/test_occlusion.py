"""evaluation/occlusion.py: what is hidden, and where a score falls."""

import dataclasses

import numpy as np
import pytest
from toys import Deepest, find_depth, make_stars

from exoplanets.evaluation import occlusion
from exoplanets.evaluation.occlusion import find_transits, hide_stretches, measure_occlusion
from exoplanets.search.ephemeris import Ephemeris
from exoplanets.search.fit import TransitFit
from exoplanets.stars import CADENCE_DAYS


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

    times, planet = np.arange(1000) * CADENCE_DAYS, np.array([200, 100, 5]) * CADENCE_DAYS
    row, panel = measure_occlusion(score, curve, times, Ephemeris(*planet), step=4)
    np.testing.assert_array_equal(panel["middles"], middles)
    if share is None:
        # Only noise is left, and little of it: what exceeds an ordinary stretch's is no transit's.
        assert row["share_in_transit"] is None or row["share_in_transit"] < 0.5
    else:
        assert row["share_in_transit"] == pytest.approx(share, abs=0.05)
    assert len(panel["falls"]) == len(panel["centres"])
    assert row["share_by_chance"] == pytest.approx(5 * 21 / 1000, abs=0.02)


def test_a_score_that_nothing_changes_has_no_share():
    curve = np.random.default_rng(0).normal(size=500)
    times, planet = np.arange(500) * CADENCE_DAYS, Ephemeris(20.0, 2.0, 0.1)
    row, _ = measure_occlusion(lambda c: np.full(len(c), 0.3), curve, times, planet)
    assert row["share_in_transit"] is None and row["ordinary_fall"] == 0


def test_transits_are_the_cadences_nearest_to_their_middles_and_none_in_a_gap():
    times = np.arange(1000) * CADENCE_DAYS
    kept = (np.arange(1000) < 240) | (np.arange(1000) >= 560)
    planet = Ephemeris(100 * CADENCE_DAYS, times[50], 5 * CADENCE_DAYS)
    np.testing.assert_array_equal(find_transits(times, planet), np.arange(50, 1000, 100))
    seen = [50, 150, 650, 750, 850, 950]
    np.testing.assert_array_equal(times[kept][find_transits(times[kept], planet)], times[seen])
    later = dataclasses.replace(planet, epoch=times[650])  # the epoch may be any transit's
    np.testing.assert_array_equal(find_transits(times, later), np.arange(50, 1000, 100))
    shifted = dataclasses.replace(planet, epoch=times[50] + 2000.0)
    np.testing.assert_array_equal(find_transits(times + 2000.0, shifted), np.arange(50, 1000, 100))
    assert len(find_transits(times, Ephemeris(np.nan, np.nan, np.nan))) == 0


def test_as_many_cadences_are_hidden_at_every_place():
    asked = []

    def score(curves):
        asked.append(curves)
        return np.full(len(curves), 0.5)

    nothing = Ephemeris(np.nan, np.nan, np.nan)
    for n, width in ((200, 13), (201, 15), (64, 7)):
        occlusion.measure_occlusion(score, np.ones(n), np.arange(n), nothing, step=1, width=width)
        whole, *hidden = asked.pop()
        assert (whole == 1).all() and len(hidden) == n - width + 1
        assert [np.sum(curve == 0) for curve in hidden] == [width] * len(hidden)


def test_hiding_a_stretch_hides_it_and_nothing_far_away():
    hidden = hide_stretches(np.ones(100), [50])[0]
    assert np.sum(hidden == 0) == occlusion.HIDDEN
    assert np.sum(hidden != 1) == occlusion.HIDDEN + 2 * occlusion.TAPER
    assert np.all(np.diff(hidden[50:]) >= 0)  # smooth, without a step of more than a third
    assert np.abs(np.diff(hidden)).max() <= 1 / 3 + 1e-12


class Raw(Deepest):
    """The same on light curves as distributed."""

    light_curves = "distributed"

    def score(self, stars):
        return super().score(stars.replace(curves=stars.flux))


@pytest.mark.parametrize("classifier", [Deepest(), Raw()], ids=["equalised", "distributed"])
def test_the_clearest_hosts_and_the_highest_scored_non_hosts_are_hidden_in_part(classifier):
    stars = make_stars()
    score = np.linspace(0, 1, len(stars))
    fits = [None] * len(stars)
    for star in (*range(12), *range(50, 60)):  # the last hosts' transits do not show
        snr = occlusion.CLEAR_SNR - 0.1 * (6 <= star < 12)
        fits[star] = TransitFit(2.0, 1.0, half_duration=0.1, snr=snr if star != 59 else np.nan)
    rows, drawn = occlusion.occlude_clearest(classifier, stars, score, fits, 2, 1, 20)
    assert [row["star"] for row in rows] == [stars.names[i] for i in (5, 4, 59)]
    assert [row["label"] for row in rows] == [1, 1, 0]
    for row, panel, star in zip(rows, drawn, (5, 4, 59), strict=True):
        curve = stars.light_curves(classifier.light_curves)[star]
        np.testing.assert_array_equal(panel["curve"], curve)
        assert row["score"] == pytest.approx(classifier.score(stars)[star], rel=1e-6)
        assert row["period"] == 2.0
        assert row["snr"] == (occlusion.CLEAR_SNR if star < 12 else None)
        assert len(panel["middles"]) == row["transits"] == 7  # of 13 days


class Judging(Deepest):
    """Its score is not that of its light curve alone."""

    def score(self, stars):
        return 0.5 * super().score(stars)

    def score_curves(self, curves):
        self.asked = [*getattr(self, "asked", []), len(curves)]
        return find_depth(curves)


def test_a_classifier_of_two_judgements_is_asked_of_dips_alone():
    """What is hidden in an equalised curve is not hidden in the flux that the other one reads."""
    stars, classifier = make_stars(), Judging()
    score = np.linspace(0, 1, len(stars))
    fits = [TransitFit(2.0, 1.0, half_duration=0.1, snr=20.0) for _ in score]
    rows, drawn = occlusion.occlude_clearest(classifier, stars, score, fits, 1, 1, 20)
    assert classifier.asked == [1 + len(panel["centres"]) for panel in drawn]
    for row, star in zip(rows, (11, 59), strict=True):
        assert row["score"] == pytest.approx(find_depth(stars.curves[[star]])[0], rel=1e-6)
