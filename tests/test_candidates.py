"""evaluation/candidates.py: who is looked at, and whose label is suspect."""

import numpy as np
import pytest
from toys import make_stars

from exoplanets.classifiers.box import BoxLeastSquares
from exoplanets.evaluation import candidates
from exoplanets.stars import CADENCE_DAYS, Stars


class Given(BoxLeastSquares):
    """A box search with a tuned threshold, as any classifier has."""

    threshold = 0.5


@pytest.fixture(scope="module")
def dips():
    """Four hosts and ten non-hosts; 3 and 5 have the same periodic dips, 8 a single one."""
    rng = np.random.default_rng(0)
    curves = rng.normal(size=(14, 3197)).astype(np.float32)
    time = np.arange(3197) * CADENCE_DAYS
    for star in (3, 5):
        curves[star] -= 6 * ((time % 3.3) < 0.15)
    curves[8, 700:712] -= 60
    y = np.arange(14) < 4
    return Stars(
        np.full(14, "test"), rng.permutation(14), y, curves, curves=curves,
        split=np.full(14, "test"),
    )  # fmt: skip


def list_stars(stars, chosen):
    score, unseen = np.linspace(0.9, 0.1, len(stars)), np.ones(len(stars), bool)
    found = candidates.search_stars(BoxLeastSquares(), stars, chosen)
    return found, candidates.list_stars(stars, score, score >= 0.5, unseen, found)


def test_a_non_host_with_periodic_dips_is_a_suspect_a_host_is_none(dips):
    found, listed = list_stars(dips, np.ones(14, bool))
    assert listed["suspect_label"].tolist() == [i == 5 for i in range(14)]
    np.testing.assert_array_equal(candidates.find_suspects(dips, found), listed["suspect_label"])
    assert listed["visible_transit"].tolist() == [i == 3 for i in range(14)]


def test_a_star_is_listed_with_what_was_found_in_it(dips):
    chosen = np.isin(np.arange(14), [3, 5, 9])
    _, listed = list_stars(dips, chosen)
    names = ["table", "row", "label", "score", "out_of_fold", "called", "period_days"]
    names += ["epoch_days", "duration_hours", "depth_sigma", "snr", "statistic"]
    assert list(listed) == [*names, "visible_transit", "suspect_label"]
    np.testing.assert_array_equal(listed["period_days"].notna(), chosen)
    np.testing.assert_array_equal(listed["row"], dips.row)
    np.testing.assert_array_equal(listed["label"], dips.y)
    np.testing.assert_array_equal(listed["called"], listed["score"] >= 0.5)
    clear = listed.iloc[[3, 5]]
    np.testing.assert_allclose(clear["period_days"], 3.3, rtol=2e-4)
    np.testing.assert_allclose(clear["depth_sigma"], 6, rtol=0.2)
    np.testing.assert_allclose(clear["duration_hours"], 3.6, rtol=0.3)
    np.testing.assert_allclose(clear["epoch_days"], 0.075, atol=0.02)


def test_hosts_called_stars_and_the_highest_scored_are_searched():
    stars = make_stars(n_hosts=12, n_others=588)
    score = np.random.default_rng(0).permutation(600) / 600.0
    chosen = candidates.choose_stars(stars, score, threshold=0.95)
    assert chosen[stars.is_host].all() and chosen[score >= 0.95].all()
    test = np.flatnonzero(stars.split == "test")
    assert chosen[test[np.argsort(-score[test])[: candidates.N_CANDIDATES]]].all()
    held_out = np.flatnonzero(~stars.is_host & (stars.split != "train"))
    highest = held_out[np.argsort(-score[held_out])]
    assert chosen[highest[: round(0.03 * len(held_out))]].all()
    # Stars that taught the network do not take the place of held-out ones, however they score.
    favoured = candidates.choose_stars(stars, score + (stars.split == "train"), threshold=3.0)
    assert favoured[highest[: round(0.03 * len(held_out))]].all()
    chosen = candidates.choose_stars(stars, score, threshold=2.0)  # none is called
    assert chosen.sum() <= 12 + candidates.N_CANDIDATES + round(0.03 * len(held_out))
