"""classifiers/base.py: settings keep to their ranges, and what every classifier can do."""

import dataclasses

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from exoplanets.classifiers.base import Classifier, Settings, setting, tune_threshold


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
    assert (other.threshold, other.history) == (None, None)
    assert (other.settings, other.campaign) == (toy.settings, "a campaign")
    other.tune(np.array([0, 1]), np.array([0.5, 0.6]))
    assert toy.threshold == 0.5


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


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_threshold_refuses_scores_that_are_not_finite(bad):
    with pytest.raises(ValueError, match="1 of 3 scores are not finite"):
        tune_threshold([1, 0, 0], [0.5, bad, 0.1])
    with pytest.raises(ValueError, match="without a host"):
        tune_threshold([0, 0], [0.5, 0.1])
