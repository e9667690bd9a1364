"""classifiers/base.py: settings keep to their ranges, and what every classifier can do."""

import dataclasses

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from scipy.special import expit
from scipy.stats import expon, logistic, norm

from exoplanets.classifiers.base import (
    Classifier,
    Settings,
    setting,
    tune_stable_threshold,
    tune_threshold,
)


@dataclasses.dataclass(frozen=True)
class ToySettings(Settings):
    """Hyper-parameters of a toy."""

    rate: float = setting(0.5, "a rate", 0, 1)
    sizes: tuple[int, ...] = setting((3, 2), "sizes", 1, 10)
    kind: str = setting("good", "a kind", choices=("good", "bad"))


class Toy(Classifier):
    name = "toy"
    settings_class = ToySettings


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"rate": 1.5}, "rate must lie between 0 and 1, not 1.5"),
        ({"rate": -0.1}, "rate must lie between 0 and 1, not -0.1"),
        ({"rate": float("nan")}, "rate must lie between 0 and 1, not nan"),
        ({"sizes": (3, 0)}, "sizes must lie between 1 and 10, not 0"),
        ({"sizes": ()}, "sizes must have at least one value"),
        ({"kind": "ugly"}, "kind must be good or bad, not 'ugly'"),
    ],
)
def test_a_setting_out_of_its_range_is_refused(values, message):
    with pytest.raises(ValueError, match=f"^{message}$"):
        ToySettings(**values)


def test_a_setting_without_limits_is_still_a_finite_number():
    kind = dataclasses.make_dataclass(
        "Free", [("x", float, setting(1.0, "free"))], bases=(Settings,), frozen=True
    )
    assert kind(-1e30).x == -1e30
    with pytest.raises(ValueError, match="not inf"):
        kind(float("inf"))


def test_the_ends_of_a_range_are_in_it():
    assert ToySettings(rate=0, sizes=(1, 10)) == ToySettings(0, (1, 10), "good")
    assert ToySettings(rate=1).rate == 1


def test_a_classifier_has_its_default_settings_and_learns_nothing_by_default():
    toy = Toy()
    assert toy.settings == ToySettings()
    assert toy.key == ("toy", "equalised")
    assert toy.fit(None, None, 0) is toy
    assert Classifier().settings is None
    with pytest.raises(NotImplementedError):
        toy.score(None)


def test_a_copy_is_untuned_and_leaves_the_original_alone():
    toy = Toy(ToySettings(rate=0.25), campaign="a campaign")
    toy.tune(np.array([0, 1]), np.array([0.1, 0.9]))
    toy.history = "a history"
    other = toy.copy()
    assert (other.threshold, other.threshold_interval, other.history) == (None, None, None)
    assert (other.settings, other.campaign) == (toy.settings, "a campaign")
    other.tune(np.array([0, 1]), np.array([0.5, 0.6]))
    assert (toy.threshold, toy.threshold_interval) == (0.5, [0.5, 0.5])


def test_what_learns_from_hosts_is_tuned_as_the_study_does_all_else_stably():
    rng = np.random.default_rng(1)
    y = np.arange(60) < 12
    score = rng.normal(size=60) + y
    toy = Toy().tune(y, score, 3.0)
    expected = tune_stable_threshold(y, score, 3.0)
    assert (toy.threshold, *toy.threshold_interval) == expected
    toy.learns_from_hosts = True
    assert toy.copy().tune(y, score, 3.0).threshold == tune_threshold(y, score) != expected[0]


# ------------------------------------------------------------------------------ the threshold
@st.composite
def scored_stars(draw):
    """Labels with a host among them, and scores with ties."""
    n_stars = draw(st.integers(2, 40))
    y = draw(st.lists(st.integers(0, 1), min_size=n_stars, max_size=n_stars))
    y[draw(st.integers(0, n_stars - 1))] = 1
    score = st.sampled_from([0.1, 0.5, 0.9]) | st.floats(0, 1)
    return np.array(y), np.array(draw(st.lists(score, min_size=n_stars, max_size=n_stars)))


@given(scored_stars())
@example((np.array([1, 0]), np.array([0.1, np.nextafter(0.1, 0)])))  # no float lies between
@example((np.array([1, 0]), np.array([np.nextafter(0.1, 1), 0.1])))
def test_threshold_maximises_f1_over_all_cuts(stars):
    y, score = stars
    threshold = tune_threshold(y, score)

    def f1(called):
        return 2 * np.sum(y * called) / (np.sum(y) + np.sum(called))

    best = max(f1(score >= cut) for cut in score)  # every distinct calling
    assert f1(score >= threshold) == pytest.approx(best, abs=1e-12)


def test_threshold_is_the_middle_of_the_widest_best_gap():
    y = np.array([1, 1, 0, 0])
    assert tune_threshold(y, [0.9, 0.8, 0.2, 0.1]) == pytest.approx(0.5)
    # Calling one star or four has F1 2/3 each; the gap beneath decides.
    y = [1, 0, 0, 1, 0]
    assert tune_threshold(y, [0.9, 0.3, 0.2, 0.1, 0.0]) == pytest.approx(0.6)
    assert tune_threshold(y, [0.9, 0.8, 0.7, 0.6, 0.0]) == pytest.approx(0.3)
    assert tune_threshold([0, 1], [0.7, 0.3]) == 0.3  # all are called: nothing is below


@pytest.mark.parametrize("tune", [tune_threshold, tune_stable_threshold])
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_threshold_refuses_scores_that_are_not_finite(tune, bad):
    with pytest.raises(ValueError, match="1 of 3 scores are not finite"):
        tune([1, 0, 0], [0.5, bad, 0.1])
    with pytest.raises(ValueError, match="without a host"):
        tune([0, 0], [0.5, 0.1])


# ------------------------------------------------------------------------ the stable threshold
def find_mean_of_best_cuts(y, place, weight=1.0, n_draws=600):
    """The same threshold, draw by draw and cut by cut, with other random numbers."""
    rng, y, weight = np.random.default_rng(1), np.asarray(y) == 1, np.broadcast_to(weight, len(y))
    cuts, best = np.linspace(place.min(), place.max(), 400), []
    hosts, groups = place[y], [(each, place[~y & (weight == each)]) for each in set(weight[~y])]
    for _ in range(n_draws):
        drawn = rng.choice(hosts, len(hosts))
        width = max(hosts.std() * len(hosts) ** -0.2, 1e-9)
        hits = norm.sf((cuts - drawn[:, None]) / width).sum(axis=0)
        called = hits.copy()
        for each, group in groups:
            drawn, n = rng.choice(group, len(group)), len(group)
            start = sorted(group, reverse=True)[round(max(0.1 * n, min(20, 0.4 * n)))]
            beyond = [star - start for star in drawn if star > start]
            for k, cut in enumerate(cuts):
                if cut <= start:
                    called[k] += each * np.sum(drawn >= cut)
                elif beyond:
                    called[k] += each * len(beyond) * expon.sf(cut - start, scale=np.mean(beyond))
        f1 = 2 * hits / (called + y.sum())
        best.append(cuts[f1 >= f1.max() - 1e-9].mean())
    return np.mean(best), np.std(best)


APART = [1] * 6 + [0] * 30, np.append(np.linspace(2, 5, 6), np.linspace(-6, -2, 30))
# Without overlap but for one far non-host, F1 is flat between the classes, and best there.
ONE_FAR = (
    [0] + [1] * 20 + [0] * 200,
    np.concatenate([[5.0], np.linspace(1, 3, 20), np.linspace(-6, -1, 200)]),
)
# Two peaks: now the one is higher, now the other.
TWO_PEAKS = (
    [1] * 10 + [0] * 3 + [1] * 10 + [0] * 200,
    np.repeat([3.0, 1.5, 0.5, -3.0], [10, 3, 10, 200]),
)
OVERLAPPING = (
    np.arange(200) < 30,
    np.random.default_rng(5).normal(size=200) + 2 * (np.arange(200) < 30),
)


@pytest.mark.parametrize("weight", [1.0, 5.0, "two"])
@pytest.mark.parametrize("stars", [APART, ONE_FAR, TWO_PEAKS, OVERLAPPING])
def test_the_stable_threshold_is_the_mean_of_the_best_cuts(stars, weight):
    y, score = stars
    if weight == "two":  # every third star stands for nine others
        weight = np.where(np.arange(len(y)) % 3, 1.0, 9.0)
    threshold, low, high = tune_stable_threshold(y, score, weight)
    mean, spread = find_mean_of_best_cuts(y, score, weight)
    assert threshold == pytest.approx(mean, abs=0.2 * spread + 0.003 * np.ptp(score))
    assert low <= threshold <= high


def test_where_scores_part_the_classes_the_stable_threshold_lies_between_them():
    y = [1] * 6 + [0] * 30
    score = np.append(np.linspace(0.8, 0.95, 6), np.linspace(0.0, 0.2, 30))
    threshold, low, high = tune_stable_threshold(y, score)
    # Non-hosts are spread more widely than hosts: another one may lie well above the highest.
    assert 0.5 < threshold < 0.8
    assert 0.2 < low <= threshold <= high < 0.9
    # A star alone has no spread: every cut between is as good.
    assert tune_stable_threshold([0, 1], [0.1, 0.9]) == pytest.approx((0.5, 0.5, 0.5))
    threshold, low, high = tune_stable_threshold([0, 1, 0], [0.1, 0.9, 0.3])
    assert 0.3 < low <= threshold <= high < 0.9
    assert tune_stable_threshold([1, 1], [0.4, 0.7])[0] == pytest.approx(0.4, abs=0.01)


def test_scores_between_0_and_1_are_compared_as_log_odds():
    y, place = OVERLAPPING
    as_odds, plain = tune_stable_threshold(y, expit(place)), tune_stable_threshold(y, place)
    assert as_odds == pytest.approx(expit(np.array(plain)))
    # What is nearer to 0 or 1 than a millionth counts as that.
    ends = tune_stable_threshold([1, 0, 0], [1.0, 0.0, 0.0])
    assert ends == tune_stable_threshold([1, 0, 0], [1 - 1e-6, 1e-6, 1e-6])


@given(scored_stars(), st.sampled_from([1.0, 5.0]))
def test_the_stable_threshold_lies_in_its_interval_and_among_the_scores(stars, weight):
    y, score = stars
    threshold, low, high = tune_stable_threshold(y, score, weight)
    assert score.min() <= low <= threshold <= high <= score.max()


def test_the_interval_holds_what_other_stars_give_and_shrinks_with_more_stars():
    rng = np.random.default_rng(2)
    widths = []
    for n in (200, 1200):
        y = np.arange(n) < n // 6
        threshold, low, high = tune_stable_threshold(y, rng.normal(size=n) + 2 * y)
        draws = rng.normal(size=(8, n)) + 2 * y
        others = np.array([tune_stable_threshold(y, score)[0] for score in draws])
        assert low <= threshold <= high
        assert np.mean((low <= others) & (others <= high)) >= 0.5
        widths.append(high - low)
    assert widths[1] < 0.6 * widths[0]


def test_the_interval_holds_the_stable_threshold_even_where_no_draw_is_best_there():
    """Twenty samples of few hosts, whose best cuts are spread widely."""
    for seed in range(20):
        rng, y = np.random.default_rng(seed), np.arange(200) < 30
        threshold, low, high = tune_stable_threshold(y, rng.normal(size=200) + 2 * y)
        assert low <= threshold <= high


def test_more_non_hosts_behind_each_raise_the_stable_threshold_as_copies_of_them_would():
    rng = np.random.default_rng(3)
    y = np.arange(1200) < 200
    score = rng.normal(size=1200) + 2 * y
    weights = (0.2, 1, 5, 25)
    cuts = [tune_stable_threshold(y, score, weight)[0] for weight in weights]
    assert (np.diff(cuts) > 0.1).all()
    order = np.append(np.arange(1200), np.tile(np.flatnonzero(~y), 4))
    copies = tune_stable_threshold(y[order], score[order])[0]
    assert copies == pytest.approx(cuts[2], abs=0.15)
    # It is as good as any for other stars of the same kind, also where few non-hosts decide.
    grid = np.linspace(-2, 6, 1000)
    for cut, weight in zip(cuts, weights, strict=True):
        hits, alarms = (norm.sf(np.append(cut, grid) - middle) for middle in (2, 0))
        f1 = 2 * hits / (hits + 5 * weight * alarms + 1)
        assert f1[0] > 0.99 * f1[1:].max()


def test_few_non_hosts_that_stand_for_thousands_set_as_good_a_threshold():
    """Their highest says little: what lies above it is told by how they thin out."""
    hosts, others, grid = norm(0, 1.5), logistic(-4, 0.6), np.linspace(-8, 8, 2000)
    for n, share in ((35, 0.95), (200, 0.97)):
        got = []
        for seed in range(10):
            rng, y = np.random.default_rng(seed), np.arange(n + 30) < 30
            place = np.where(y, hosts.rvs(n + 30, rng), others.rvs(n + 30, rng))
            cuts = np.append(tune_stable_threshold(y, place, 4000 / n)[0], grid)
            f1 = 2 * hosts.sf(cuts) / (hosts.sf(cuts) + 135 * others.sf(cuts) + 1)
            got.append(f1[0] / f1[1:].max())
        assert np.mean(got) > share


def test_a_weight_of_each_star_is_that_of_so_many_copies():
    """Where few non-hosts weigh much more than others, the cut moves above these few alone."""
    rng = np.random.default_rng(4)
    y = np.arange(900) < 150
    score = rng.normal(size=900) + 3 * y
    heavy = ~y & (np.arange(900) % 5 == 0)
    score[heavy] += 1
    plain = tune_stable_threshold(y, score)[0]
    weighted = tune_stable_threshold(y, score, np.where(heavy, 12.0, 1.0))[0]
    order = np.append(np.arange(900), np.tile(np.flatnonzero(heavy), 11))
    copies = tune_stable_threshold(y[order], score[order])[0]
    assert weighted == pytest.approx(copies, abs=0.15)
    assert weighted > plain + 0.3
    # The weight of a host says nothing.
    anyhow = tune_stable_threshold(y, score, np.where(heavy, 12.0, np.where(y, 7.0, 1.0)))[0]
    assert anyhow == weighted


def test_equal_scores_are_called_together():
    """No cut lies among ties, and what is tied with all of the hosts is called with them."""
    y = np.array([1, 1, 0, 0, 0, 0])
    threshold, low, high = tune_stable_threshold(y, [0.6, 0.6, 0.6, 0.2, 0.2, 0.2])
    assert 0.2 < low <= threshold <= high < 0.6
    for score in (0.1, 0.3, 1e-9, 1.0):  # not a rounding above: all are called
        assert tune_stable_threshold(y, np.full(6, score)) == (score, score, score)
