"""classifiers/judge.py: planets are told from eclipsing binaries, where anything can be told."""

import dataclasses

import numpy as np
import pytest
from sklearn import metrics as reference

from exoplanets.classifiers import judge
from exoplanets.classifiers.keras_tools import make_reproducible
from exoplanets.classifiers.transit import TransitSettings, make_padded
from exoplanets.search.orbit import N_FEATURES, NUMBERS
from exoplanets.stars import CADENCE_DAYS

SMALL = TransitSettings(systems=384, heads=2, candidates=2, judge_epochs=25)
N = 1469


def draw_flux(seed, n_stars=40):
    """Raw flux of quiet stars, e-/s."""
    rng, times = np.random.default_rng(seed), np.arange(N) * CADENCE_DAYS
    slow = np.sin(2 * np.pi * (times / rng.uniform(8, 30, (n_stars, 1)) + rng.random((n_stars, 1))))
    return rng.normal(0, 10, (n_stars, N)) + 40 * slow


def choose_strongest(numbers, views):
    """A weigher that takes the candidate of the highest signal-to-noise ratio."""
    snr = numbers[:, :, 0]
    return np.ones(len(snr)), snr.argmax(axis=1)


def make_orbits(seed, settings=SMALL, choose=choose_strongest):
    rng = np.random.default_rng(seed)
    return judge.make_orbits(draw_flux(seed), settings, rng, None, choose)


@pytest.fixture(scope="module")
def taught():
    """A network after a short training, and orbits of stars that it never saw."""
    make_reproducible(0)
    network = judge.make_judge(SMALL)
    orbits, answers = make_orbits(1)
    history = judge.train_judge(network, orbits, answers, SMALL, 0)
    return network, history, (orbits, answers), make_orbits(2)


def find_score(network, orbits):
    return judge.find_planet_score(make_padded(network)(orbits), orbits)


def test_a_short_training_tells_planets_from_binaries_in_unseen_stars(taught):
    network, history, _, (orbits, answers) = taught
    score = find_score(network, orbits)
    told = answers != judge.UNKNOWN
    assert reference.roc_auc_score(answers[told], score[told]) > 0.72  # most are faint
    assert 0 <= score.min() <= score.max() <= 1
    assert np.abs(np.median(score[~told]) - 0.5) < 0.25  # of stars without a system
    assert len(history) == SMALL.judge_epochs
    assert history["loss"].iloc[-1] < history["loss"].iloc[0]
    shuffled = np.random.default_rng(0).permutation(answers[told])
    assert reference.roc_auc_score(shuffled, score[told]) < 0.65


def test_the_answers_are_those_of_the_kinds(taught):
    orbits, answers = taught[2]
    assert orbits.shape == (384, N_FEATURES) and orbits.dtype == np.float32
    assert np.isfinite(orbits).all()
    assert set(answers.tolist()) == {0.0, 0.5, 1.0}
    assert np.mean(answers == 0.5) == pytest.approx(0.1, abs=0.06)


def test_what_does_not_repeat_teaches_nothing_but_that_nothing_can_be_told():
    few = dataclasses.replace(SMALL, systems=64)
    _, answers = make_orbits(3, few, lambda n, v: (np.zeros(len(n)), np.zeros(len(n), int)))
    assert set(answers.tolist()) == {judge.UNKNOWN}


def test_the_same_seed_gives_the_same_orbits():
    few = dataclasses.replace(SMALL, systems=64)
    one, again = make_orbits(4, few), make_orbits(4, few)
    for first, second in zip(one, again, strict=True):
        np.testing.assert_array_equal(first, second)


def test_one_core_describes_the_systems_as_many_do(monkeypatch):
    few = dataclasses.replace(SMALL, systems=200)  # two blocks
    many = make_orbits(5, few)
    monkeypatch.setattr("os.cpu_count", lambda: 1)
    for one, other in zip(make_orbits(5, few), many, strict=True):
        np.testing.assert_array_equal(one, other)


def test_no_weak_signal_is_surely_two_stars_unless_its_depth_is_known():
    orbits = np.zeros((3, N_FEATURES), np.float32)
    place = {name: k - len(NUMBERS) for k, name in enumerate(NUMBERS)}
    orbits[:, place["log_snr"]] = np.log([6.0, 6.0, 600.0])
    orbits[1, place["depth_is_known"]] = 1
    for sign in (1, -1):
        score = judge.find_planet_score(np.full((3, 4), sign * 9.0, np.float32), orbits)
        most = (6 / judge.TELLING_SNR) ** 2
        expected = 1 / (1 + np.exp(-sign * np.array([most, 9.0, 9.0])))
        np.testing.assert_allclose(score, expected, rtol=1e-5)
    none = judge.find_planet_score(np.zeros((3, 4), np.float32), orbits)
    np.testing.assert_array_equal(none, judge.UNKNOWN)
