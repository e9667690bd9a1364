"""The adversary sees what is no dip, and matching on it takes that advantage away."""

import numpy as np
import pytest

from exoplanets.evaluation import adversary, metrics

N_STARS, N_HOSTS, N = 300, 60, 1200


def draw(rng, difference=0.0):
    """Light curves of which the first are hosts, their noise redder by `difference`."""
    white = rng.normal(size=(N_STARS, N + 1))
    y = np.arange(N_STARS) < N_HOSTS
    red = np.where(y, difference, 0)[:, None] + rng.uniform(0, 0.3, (N_STARS, 1))
    return white[:, 1:] + red * white[:, :-1], y


def roc_auc(y, score):
    return metrics.rank_statistics(y, score)[0][0]


def test_the_adversary_finds_a_difference_and_none_where_there_is_none():
    rng = np.random.default_rng(0)
    curves, y = draw(rng, 0.25)
    score = adversary.score_alike(curves, y, 0)
    assert roc_auc(y, score) > 0.9
    np.testing.assert_array_equal(adversary.score_alike(curves, y, 0), score)  # bit for bit
    curves, y = draw(rng)
    assert roc_auc(y, adversary.score_alike(curves, y, 0)) == pytest.approx(0.5, abs=0.13)


def test_the_adversary_is_blind_to_dips():
    curves, y = draw(np.random.default_rng(1))
    plain = adversary.describe_brightenings(curves)
    curves[y, 100::400] -= 40
    curves[y, 101::400] -= 40
    dipped = adversary.describe_brightenings(curves)
    np.testing.assert_array_equal(dipped[~y], plain[~y])
    assert np.abs(dipped[y] - plain[y]).mean() < 0.03
    assert roc_auc(y, adversary.score_alike(curves, y, 0)) < 0.68
    curves[y, 100::400] += 80
    bumped = adversary.describe_brightenings(curves)
    assert np.abs(bumped[y] - plain[y]).mean() > 2 * np.abs(dipped[y] - plain[y]).mean()


def test_a_line_stands_out_from_its_surroundings_and_noise_does_not():
    curves = np.random.default_rng(6).normal(size=(40, 2400))
    first = len(adversary.BANDS) - 1  # of the numbers, behind the bands
    lines = slice(first, first + len(adversary.LINES))
    assert np.abs(adversary.describe_brightenings(curves)[:, lines].mean(axis=0)).max() < 0.3
    curves += np.sin(2 * np.pi * adversary.LINES[0] * np.arange(2400))
    assert adversary.describe_brightenings(curves)[:, first].min() > 2


def test_unit_and_level_make_no_difference():
    curves, _ = draw(np.random.default_rng(2))
    numbers = adversary.describe_brightenings(curves)
    assert numbers.shape == (N_STARS, 66)
    np.testing.assert_allclose(
        adversary.describe_brightenings(300 * curves - 7), numbers, atol=1e-6
    )
    short = adversary.describe_brightenings(curves[:3, :500])
    assert np.isfinite(short).all()


def test_no_star_is_scored_by_a_model_that_learnt_from_it(monkeypatch):
    curves, y = draw(np.random.default_rng(3))
    monkeypatch.setattr(adversary, "MOST_OTHERS", 100)
    numbers, learnt = adversary.describe_brightenings(curves), []

    class Recorder:
        def fit(self, x, label):
            self.seen = {row.tobytes() for row in x}
            learnt.append(len(x))
            return self

        def predict_proba(self, x):
            assert not self.seen & {row.tobytes() for row in x}
            return np.full((len(x), 2), 0.5)

    monkeypatch.setattr(adversary, "make_models", lambda seed: (Recorder(),))
    score = adversary.score_alike(curves, y, 0)
    assert np.all(score == 0) and len(score) == len(numbers)
    assert learnt == [(N_HOSTS + 100) * 4 // 5] * 5


def test_one_star_of_a_class_teaches_nothing():
    curves, _ = draw(np.random.default_rng(4))
    y = np.arange(N_STARS) == 3
    assert adversary.score_alike(curves, y, 0) is None


# ------------------------------------------------------------------------------- the matching
def test_a_score_that_follows_the_adversary_is_at_chance_once_matched():
    rng = np.random.default_rng(5)
    y = np.arange(3000) < 300
    alike = rng.normal(size=3000) + y
    score = alike + rng.normal(0, 0.3, 3000)
    assert roc_auc(y, score) > 0.7
    assert metrics.matched_auc(y, score, alike) == pytest.approx(0.5, abs=0.05)
    seen = score + 3 * y
    assert metrics.matched_auc(y, seen, alike) > 0.95


def test_perfect_inverted_and_constant_scores():
    rng = np.random.default_rng(6)
    y, alike = rng.random(200) < 0.2, rng.normal(size=200)
    assert metrics.matched_auc(y, y, alike) == 1
    assert metrics.matched_auc(y, ~y, alike) == 0
    assert metrics.matched_auc(y, 0 * alike, alike) == 0.5
    assert metrics.matched_auc(np.zeros(200), alike, alike) is None
    assert metrics.matched_auc(np.ones(200), alike, alike) is None


def test_only_the_nearest_count():
    y = np.array([1, 0, 0, 0, 0])
    alike = np.array([0.0, 0.1, -0.2, 5, 6])
    score = np.array([0.5, 0.1, 0.9, 0.9, 0.9])
    assert metrics.matched_auc(y, score, alike, n_nearest=1) == 1
    assert metrics.matched_auc(y, score, alike, n_nearest=2) == 0.5
    assert metrics.matched_auc(y, score, alike, n_nearest=10) == 0.25
