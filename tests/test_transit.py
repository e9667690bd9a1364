"""classifiers/transit.py: a network that folds what it learnt."""

import argparse
import dataclasses
from itertools import pairwise

import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy import linalg
from sklearn import metrics as reference

from exoplanets.classifiers import keras_tools
from exoplanets.classifiers.keras_layers import DURATIONS, QUIET, Fold, Matched, find_matched_filter
from exoplanets.classifiers.transit import (
    MODEL_LAYOUT,
    STRIDE,
    Batches,
    TransitSettings,
    find_event_truth,
    load_transit,
    make_event_loss,
    make_events,
    make_transit_network,
    save_transit,
    train_transit,
)
from exoplanets.files import DataError
from exoplanets.lightcurves import equalise, injection
from exoplanets.sources import survey
from exoplanets.stars import CADENCE_DAYS

TINY = TransitSettings(curves=64, event_filters=4, event_epochs=1, head_units=4, head_epochs=1)


def test_a_diverged_network_is_refused():
    class Diverged:
        name = "published"

        def predict(self, x, **options):
            return np.array([[0.5], [np.nan], [0.5]], np.float32)

        def get_weights(self):
            return self.weights

    network = Diverged()
    network.weights = [np.zeros(3), np.array([np.nan])]
    with pytest.raises(DataError, match="published network has weights .* training diverged"):
        keras_tools.predict(network, np.zeros((3, 64)))
    network.weights.pop()  # the light curves are to blame, not the training
    with pytest.raises(DataError, match="though its weights are: a light curve holds values"):
        keras_tools.predict(network, np.zeros((3, 64)))


# ------------------------------------------------------------------------------- the folding
def fold(series):
    """Strengths and lasting strengths of series of shape (n_stars, n_steps), and the periods."""
    layer = Fold()
    found = np.array(tf.function(layer)(np.asarray(series, np.float32)[..., np.newaxis]))
    return found[..., 0], found[..., 1], layer.periods


def fold_plainly(series, period):
    """What `Fold` says of one series and one period, as its docstring reads."""
    n_rows = int(np.ceil(len(series) / period))
    edges = [n_rows * quarter // 4 for quarter in range(5)]
    strengths, lastings = [], []
    for phase in range(int(period) + 1):
        places = [int(np.round(np.float32(k) * np.float32(period))) + phase for k in range(n_rows)]
        quarters = [
            [p for p in places[slice(*edge)] if p < len(series)] for edge in pairwise(edges)
        ]
        n = sum(map(len, quarters))
        if n < 2:
            strengths.append(0.0)
            lastings.append(0.0)
            continue
        sums = [sum(float(series[p]) for p in quarter) for quarter in quarters]
        strengths.append(sum(sums) / np.sqrt(n))
        n_left = max(n - int(np.ceil(n_rows / 4)), 1)
        lastings.append((sum(sums) - max(sums)) / n_left * np.sqrt(n))
    return max(strengths) / 4, max(lastings) / 4


@pytest.mark.parametrize("n_steps", [50, 61, 144])
def test_fold_equals_the_plain_one(n_steps):
    series = np.random.default_rng(n_steps).normal(size=(3, n_steps, 2)).astype(np.float32)
    options = {"shortest": 8.0, "longest": 40.0, "spacing": 0.11}
    layer = Fold(**options)
    found = np.array(layer(series))
    assert found.shape == layer.compute_output_shape(series.shape) == (3, len(layer.periods), 5)
    for star in range(3):
        for i, period in enumerate(layer.periods):
            plain = np.array([fold_plainly(series[star, :, j], period) for j in range(2)])
            np.testing.assert_allclose(found[star, i, :2], plain[:, 0], atol=1e-5)
            np.testing.assert_allclose(found[star, i, 2:4], plain[:, 1], atol=1e-5)
            assert found[star, i, 4] == pytest.approx(np.log(period / 50), abs=1e-6)


def test_trial_periods_are_dense_from_shortest_to_longest():
    periods = Fold().periods
    assert periods[0] == 8 and 328 < periods[-1] <= 330
    # From one trial to the next, the last of 720 steps moves by 4: the width of a dip.
    np.testing.assert_allclose(np.diff(periods) / periods[:-1], 4 / 720, rtol=1e-3)
    days = STRIDE * CADENCE_DAYS * periods[[0, -1]]
    assert days == pytest.approx([0.65, 27], rel=0.01)


@pytest.mark.parametrize(("periods", "n_steps"), [((11.3, 37, 151.5), 720), ((9.4, 37), 300)])
def test_fold_finds_a_planted_period(periods, n_steps):
    series = np.random.default_rng(1).normal(0, 0.3, (len(periods), n_steps))
    events = [np.round(np.arange(5, n_steps, period)).astype(int) for period in periods]
    for star, middles in enumerate(events):
        for near in (-1, 0, 1):  # events are smeared: index is not quite time
            series[star, (middles + near) % n_steps] = 3
    strength, lasting, trials = fold(series)
    for found in (strength, lasting):
        np.testing.assert_allclose(trials[np.argmax(found, axis=1)], periods, rtol=0.012)
    expected = [3 * np.sqrt(len(middles)) / 4 for middles in events]
    assert strength.max(axis=1) == pytest.approx(expected, rel=0.1)


def test_neither_a_deep_dip_nor_a_burst_lasts():
    lone, burst, planet = np.zeros((3, 720))
    lone[300] = 8
    burst[300:360:8] = 8 / 8
    planet[::60] = 8 / 12  # as much in all, in twelve places
    (lone_sum, _, planet_sum), lasting, _ = fold([lone, burst, planet])
    assert lone_sum.max() > 1.3 * planet_sum.max()  # by the sum alone the lone dip wins
    assert lasting[2].max() > 1.3 * lasting[0].max()
    assert lasting[2].max() > 1.3 * lasting[1].max()


def test_fold_takes_any_length_and_survives_being_saved():
    layer = Fold(shortest=9.0, longest=77.0, spacing=0.05, name="folded")
    config = keras.saving.serialize_keras_object(layer)
    again = keras.saving.deserialize_keras_object(config)
    assert again.get_config() == layer.get_config()
    assert again.get_config()["longest"] == 77
    for n_steps in (80, 125, 720):
        series = np.random.default_rng(0).normal(size=(2, n_steps, 3)).astype(np.float32)
        np.testing.assert_array_equal(np.array(layer(series)), np.array(again(series)))


# ------------------------------------------------------------------------------- its events
def test_matched_filters_find_their_boxes_best():
    """The oracle is the least-squares one, of the covariance of noise of the common colour."""
    n, rng = 400, np.random.default_rng(0)
    power = equalise.common_colour(np.abs(np.fft.fftfreq(n)))
    covariance = linalg.toeplitz(np.fft.ifft(power).real)
    for duration in DURATIONS:
        found = find_matched_filter(duration)
        box = np.zeros(n)
        box[200 : 200 + duration] = -1
        best = np.linalg.solve(covariance, box)
        best /= np.sqrt(best @ box)  # unit variance in that noise, and the greatest answer
        first = 200 - (len(found) - duration) // 2
        np.testing.assert_allclose(found, best[first : first + len(found)], atol=1e-4)
    noise = np.fft.ifft(np.fft.fft(rng.normal(size=(200, n))) * np.sqrt(power)).real
    assert np.std(noise[:, first : first + len(found)] @ found) == pytest.approx(1, abs=0.15)


def test_single_events_are_measured_in_the_scatter_around_them():
    rng = np.random.default_rng(0)
    curve = rng.normal(size=(1, 1200, 1)).astype(np.float32)
    curve[:, 480:720] *= 5  # five noisy days
    found = np.array(Matched()(curve))[0]
    assert found.shape == (1200, len(DURATIONS)) and found.max() <= 4
    loud, quiet = found[490:710], found[750:1190]
    np.testing.assert_allclose(np.std(loud, axis=0), np.std(quiet, axis=0), rtol=0.3)
    np.testing.assert_allclose(np.std(quiet, axis=0), 1, rtol=0.2)
    curve[0, 900:907] -= 6
    dipped = np.array(Matched()(curve))[0, :, 1]
    assert 900 <= np.argmax(dipped) <= 906 and dipped.max() == 4


def test_a_curve_shifted_by_whole_blocks_has_its_events_shifted():
    keras.utils.set_random_seed(0)
    events, steps = make_events(4), QUIET // STRIDE
    curve = np.random.default_rng(2).normal(size=(2, 8 * QUIET, 1)).astype(np.float32)
    moved = np.roll(curve, QUIET, axis=1)
    ends = slice(2 * steps + 2, -steps - 2)  # beyond the reach of what was rolled around
    before, after = (events.predict(x, verbose=0) for x in (curve, moved))
    for one, two in zip(before, after, strict=True):
        np.testing.assert_allclose(np.roll(one, steps, axis=1)[:, ends], two[:, ends], atol=1e-4)


def test_event_truth_is_where_the_sample_has_its_transits():
    sample = argparse.Namespace(
        dips=np.zeros((3, 43), np.float32), kinds=np.array(["nothing", "transits", "bumps"])
    )
    sample.dips[1, [*range(8, 13), *range(29, 36)]] = 1  # steps 2 to 3, and 7 to 8
    truth = find_event_truth(sample)
    assert truth.shape == (3, 10, 3)
    assert np.flatnonzero(truth[1, :, 0]).tolist() == [2, 3, 7, 8]
    assert np.flatnonzero(truth[1, :, 1]).tolist() == [2, 7]  # one for each transit
    assert not truth[[0, 2], :, 0].any()
    for other in (0, 2):  # a planet's period that must not be found in them
        np.testing.assert_array_equal(truth[other, :, 1], truth[1, :, 1])
    assert truth[:, :, 2].tolist() == [[0] * 10, [1] * 10, [0] * 10]


def test_event_loss_wants_a_planets_transits_together():
    loss = make_event_loss(comb_weight=1.0)
    comb = np.zeros(120, np.float32)
    comb[5:85:20] = 1
    truth = np.stack([0 * comb, comb, 1 + 0 * comb], axis=1)[None]

    def of(series, has_transits=True):
        learnt = np.stack([0 * comb - 20, series], axis=1)[None].astype(np.float32)
        told = truth * [1, 1, has_transits]
        return float(loss(told.astype(np.float32), learnt)[0])

    right, wrong, silent = of(6 * comb), of(6 * np.roll(comb, 10)), of(0 * comb)
    assert right < 1.2 < 10 < silent < wrong  # of its ln 3: a comb one step off does as well
    assert of(6 * comb, has_transits=False) > 5 > of(0 * comb, has_transits=False)


def test_batches_show_every_curve_once_an_epoch_and_move_truth_along():
    curves = np.tile(np.arange(40, dtype=np.float32), (10, 1)) + 100 * np.arange(10)[:, None]
    steps = np.arange(10, dtype=np.float32)  # of the four cadences 4 k to 4 k + 3
    truth = np.repeat(np.tile(steps, (10, 1))[:, :, None], 3, axis=2)
    batches = Batches(curves, truth, 4, np.random.default_rng(0))
    assert len(batches) == 3
    seen, shifts, reversed_ = [], set(), 0
    for _ in range(6):
        epoch = [batches[i] for i in range(len(batches))]
        for x, y in epoch:
            assert x.shape[2] == 1
            for curve, its_truth in zip(x[..., 0], y, strict=True):
                cadence = curve % 100
                expected = np.repeat(its_truth[:, 0], STRIDE)
                np.testing.assert_array_equal(cadence // STRIDE, expected)
                shifts.add(cadence[0])
                reversed_ += (cadence[1] - cadence[0]) % 40 == 39
        seen.append(sorted(int(curve[0, 0] // 100) for x, _ in epoch for curve in x))
        batches.on_epoch_end()
    assert all(rows == list(range(10)) for rows in seen)
    assert len(shifts) > 5
    assert 0 < reversed_ < 60


# --------------------------------------------------------------------------- ours as a whole
N_TAUGHT = 1000  # cadences: 20 d


@pytest.fixture(scope="module")
def taught():
    """The transit network after a short training on simulated non-hosts, and stars it never saw."""
    made = survey.simulate(122, 202, 2, 2, n_cadences=N_TAUGHT, seed=4)
    settings = TransitSettings(
        curves=512, event_filters=8, event_epochs=4, head_epochs=6, snr_low=20.0
    )
    model, history = train_transit(made.train_flux[2:], settings, seed=1)
    flux, has = made.test_flux[2:].copy(), np.arange(200) < 100
    rng = np.random.default_rng(0)
    times = np.arange(N_TAUGHT) * CADENCE_DAYS
    for i in np.flatnonzero(has):
        dip, _ = injection.draw_transits(rng, times, (0.7, times[-1] / 3))
        flux[i] = injection.inject(flux[i], dip, 40)[0]
    curves = equalise.equalise_table(flux)[0]
    return settings, model, history, curves, has, keras_tools.predict(model, curves)


def test_a_short_training_tells_injected_transits_in_unseen_stars(taught):
    _, model, history, curves, has, score = taught
    assert reference.roc_auc_score(has, score) > 0.85
    assert score.dtype == np.float32 and 0 <= score.min() <= score.max() <= 1
    # Turned upside down, the same stars have no transit.
    upside_down = keras_tools.predict(model, -curves)
    assert abs(reference.roc_auc_score(has, upside_down) - 0.5) < 0.15
    assert history.groupby("stage", sort=False)["epoch"].apply(list).to_dict() == {
        "events": [0, 1, 2, 3], "periods": [0, 1, 2, 3, 4, 5],
    }  # fmt: skip
    for _, stage in history.groupby("stage"):
        assert stage["loss"].iloc[-1] < stage["loss"].iloc[0]


def test_a_shift_in_time_changes_scores_little(taught):
    """A long one breaks the period where the ends meet, and moves events to the other half."""
    _, model, _, curves, has, score = taught
    for steps, likeness in ((1, 0.99), (-1, 0.99), (40, 0.8)):
        moved = keras_tools.predict(model, np.roll(curves, steps * STRIDE, axis=1))
        assert np.corrcoef(moved, score)[0, 1] > likeness
        assert reference.roc_auc_score(has, moved) > 0.85
    backwards = keras_tools.predict(model, curves[:, ::-1])
    assert np.corrcoef(backwards, score)[0, 1] > 0.95


def test_batches_make_no_difference_to_scores(taught):
    _, model, _, curves, _, score = taught
    few = keras_tools.predict(model, curves[:5], batch_size=2)
    np.testing.assert_allclose(few, score[:5], atol=1e-5)


def test_a_saved_network_gives_the_same_scores(taught, tmp_path):
    settings, model, _, curves, _, score = taught
    model.save(tmp_path / "plain.keras")
    again = keras.models.load_model(tmp_path / "plain.keras")
    np.testing.assert_array_equal(keras_tools.predict(again, curves), score)
    scoring = {"settings": dataclasses.asdict(settings), "threshold": 0.25}
    save_transit(model, tmp_path / "transit.keras", scoring)
    again, found = load_transit(tmp_path / "transit.keras")
    np.testing.assert_array_equal(keras_tools.predict(again, curves), score)
    assert found == {"layout": MODEL_LAYOUT} | scoring


def test_the_network_is_small_and_takes_any_length():
    model = make_transit_network(TransitSettings())
    assert model.count_params() < 20_000
    assert model.output_shape == (None, 1)
    rng = np.random.default_rng(0)
    for length in (equalise.SHORTEST, 733, 3197):
        score = keras_tools.predict(model, rng.normal(size=(2, length)).astype(np.float32))
        assert score.shape == (2,) and np.isfinite(score).all()


def test_every_transit_setting_reaches_the_training(monkeypatch):
    """Settings are the sample's, the layers' or the fits'; none is a dead flag."""
    read = set()

    class Watched:
        def __getattr__(self, name):
            read.add(name)
            return getattr(TINY, name)

    made = survey.simulate(30, 4, 2, 2, n_cadences=560, seed=4)
    monkeypatch.setattr(
        keras.Model, "fit", lambda *a, **k: argparse.Namespace(history={"loss": []})
    )
    monkeypatch.setattr(keras.Model, "predict", lambda model, x, **k: np.zeros((len(x), 9, 7)))
    train_transit(made.train_flux[2:], Watched(), seed=0)
    assert read == {field.name for field in dataclasses.fields(TransitSettings)}


def test_lookalikes_that_dip_teach_the_head_only(monkeypatch):
    """An eclipse or a lone dip is an event: only their pattern in time tells them apart."""
    shown = {}

    def fit(model, x, *args, **options):
        shown[model.name] = x
        return argparse.Namespace(history={"loss": [0.0]})

    made = survey.simulate(30, 4, 2, 2, n_cadences=560, seed=4)
    monkeypatch.setattr(keras.Model, "fit", fit)
    monkeypatch.setattr(keras.Model, "predict", lambda model, x, **k: np.zeros((len(x), 9, 7)))
    train_transit(made.train_flux[2:], TINY, seed=0)
    events, head = (next(x for name, x in shown.items() if is_head == (name == "head"))
                    for is_head in (False, True))  # fmt: skip
    counts = {kind: round(share * TINY.curves) for kind, share in injection.KINDS.items()}
    assert len(head) == sum(counts.values())
    assert len(events._curves) == len(head) - counts["eclipses"] - counts["dips"]
