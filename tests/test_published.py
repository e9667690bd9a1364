"""cnn_classifier.py: the published network, layer by layer, and how it is trained."""

import argparse
import dataclasses
import json
import zipfile

import keras
import numpy as np
import pytest
from keras import layers
from sklearn import metrics as reference

import cnn_classifier
from exoplanets.classifiers import keras_tools
from exoplanets.files import DataError
from exoplanets.stars import Stars

DEFAULTS = cnn_classifier.PublishedSettings()


def fit_stars(n_stars=40, n_cadences=64, seed=0):
    rng = np.random.default_rng(seed)
    scale = rng.uniform(1, 1e4, n_cadences)
    return (rng.normal(3, 1, (n_stars, n_cadences)) * scale).astype(np.float32)


def make_stars(flux, is_host=None):
    """Stars with this flux."""
    n_stars = len(flux)
    is_host = np.arange(n_stars) % 2 if is_host is None else is_host
    table, row = np.full(n_stars, "train"), np.arange(n_stars)
    return Stars(table, row, np.asarray(is_host, bool), flux)


# ------------------------------------------------------------------------------ the network
def test_published_network_layer_by_layer():
    model = cnn_classifier.make_published_network(fit_stars(n_cadences=256), DEFAULTS)
    # n -> n - 1 -> n - 2 -> half of it: 256, 255, 254, 127; 127 x 7 = 889 inputs of Dense 50.
    expected = [
        (layers.InputLayer, (256, 1), 0),
        (layers.Normalization, (256, 1), 256 + 256 + 1),  # mean, variance, count
        (layers.Conv1D, (255, 11), (2 * 1 + 1) * 11),
        (layers.BatchNormalization, (255, 11), 4 * 11),
        (layers.Conv1D, (254, 7), (2 * 11 + 1) * 7),
        (layers.BatchNormalization, (254, 7), 4 * 7),
        (layers.MaxPooling1D, (127, 7), 0),
        (layers.Dropout, (127, 7), 0),
        (layers.Flatten, (889,), 0),
        (layers.Dense, (50,), (889 + 1) * 50),
        (layers.Dropout, (50,), 0),
        (layers.Dense, (30,), (50 + 1) * 30),
        (layers.Dropout, (30,), 0),
        (layers.Dense, (12,), (30 + 1) * 12),
        (layers.Dense, (1,), 12 + 1),
    ]
    found = [(type(layer), layer.output.shape[1:], layer.count_params()) for layer in model.layers]
    assert found == expected
    trainable = sum(int(np.prod(weight.shape)) for weight in model.trainable_weights)
    assert trainable == 33 + 22 + 161 + 14 + 44500 + 1530 + 372 + 13


def test_published_network_has_the_published_details():
    model = cnn_classifier.make_published_network(fit_stars(), DEFAULTS)
    by_type = {}
    for layer in model.layers:
        by_type.setdefault(type(layer).__name__, []).append(layer)
    assert [layer.rate for layer in by_type["Dropout"]] == [0.4, 0.3, 0.3]
    activations = [layer.activation.__name__ for layer in by_type["Dense"]]
    assert activations == ["relu", "relu", "relu", "sigmoid"]
    for convolution in by_type["Conv1D"]:
        assert convolution.kernel_size == (2,)
        assert convolution.activation.__name__ == "relu"
        penalty = convolution.kernel_regularizer(np.full((2, 1, 3), 2.0, np.float32))
        assert float(penalty) == pytest.approx(0.01 * 4 * 6)
    (pooling,) = by_type["MaxPooling1D"]
    assert (pooling.pool_size, pooling.strides) == ((2,), (2,))
    schedule = model.optimizer._learning_rate
    assert isinstance(model.optimizer, keras.optimizers.Adam)
    assert float(schedule(0)) == pytest.approx(1e-2)
    assert float(schedule(10_000)) == pytest.approx(0.8e-2)
    assert model.loss == "binary_crossentropy"


def test_adapted_normalisation_is_that_of_each_cadence_over_fit_stars():
    x = fit_stars()
    x[:, 5] = 7.0  # a constant cadence must not divide by 0
    model = cnn_classifier.make_published_network(x, DEFAULTS)
    normalised = keras.Model(model.inputs, model.layers[1].output).predict(
        x[..., np.newaxis], verbose=0
    )[..., 0]
    wide = x.astype(float)
    expected = (wide - wide.mean(axis=0)) / np.maximum(wide.std(axis=0), 1e-7)
    expected[:, 5] = 0
    np.testing.assert_allclose(normalised, expected, atol=1e-4)


def test_identity_normalisation_changes_nothing():
    x = fit_stars()
    settings = dataclasses.replace(DEFAULTS, normalization="identity")
    model = cnn_classifier.make_published_network(x, settings)
    normalised = keras.Model(model.inputs, model.layers[1].output).predict(
        x[..., np.newaxis], verbose=0
    )[..., 0]
    np.testing.assert_array_equal(normalised, x)


def read(batches):
    """Flux and labels of all batches, and how many stars each has."""
    x, y = zip(*batches.as_numpy_iterator(), strict=True)
    return np.concatenate(x)[..., 0], np.concatenate(y), list(map(len, y))


def test_every_setting_changes_the_network_or_its_training(monkeypatch):
    """Settings reach Keras: what `fit` and the network are given follows them."""
    settings = cnn_classifier.PublishedSettings(
        filters=(3, 2), kernel_size=3, l2=0.5, pool_dropout=0.1, dense=(5, 4), dense_dropout=0.2,
        learning_rate=0.5, decay_steps=10, decay_rate=0.5, host_weight=7.0, batch_size=9,
        epochs=4, patience=3,
    )  # fmt: skip
    model = cnn_classifier.make_published_network(fit_stars(), settings)
    convolutions = [layer for layer in model.layers if isinstance(layer, layers.Conv1D)]
    assert [layer.filters for layer in convolutions] == [3, 2]
    assert [layer.kernel_size for layer in convolutions] == [(3,), (3,)]
    assert float(convolutions[0].kernel_regularizer.l2) == 0.5
    dropouts = [layer.rate for layer in model.layers if isinstance(layer, layers.Dropout)]
    assert dropouts == [0.1, 0.2]
    dense = [layer.units for layer in model.layers if isinstance(layer, layers.Dense)]
    assert dense == [5, 4, 1]
    assert float(model.optimizer._learning_rate(20)) == pytest.approx(0.125)

    given = {}

    class Recorder:
        name = "published"
        optimizer, trainable_variables = argparse.Namespace(build=list), ()

        def fit(self, batches, validation_data, **options):
            given.update(options, fit=read(batches), held_out=read(validation_data))
            return argparse.Namespace(history={"loss": [1.0], "val_loss": [1.0]})

    monkeypatch.setattr(cnn_classifier, "make_published_network", lambda *_: Recorder())
    fit, held_out = make_stars(fit_stars(160), np.arange(160) % 2), make_stars(fit_stars(4))
    cnn_classifier.Published(settings).fit(fit, held_out, seed=1)
    assert given["class_weight"] == {0: 1.0, 1: 7.0}
    assert given["epochs"] == 4
    x, y, sizes = given["held_out"]
    np.testing.assert_array_equal(x, held_out.flux)
    np.testing.assert_array_equal(y, held_out.y)
    x, y, sizes = given["fit"]
    assert sizes == [9] * 17 + [7]
    assert not np.array_equal(x, fit.flux)
    labels = {curve.tobytes(): label for curve, label in zip(fit.flux, fit.y, strict=True)}
    assert {curve.tobytes(): label for curve, label in zip(x, y, strict=True)} == labels
    (stopping,) = [c for c in given["callbacks"] if isinstance(c, keras.callbacks.EarlyStopping)]
    assert (stopping.monitor, stopping.patience) == ("val_loss", 3)
    assert stopping.restore_best_weights


# ------------------------------------------------------------------------- its training
@pytest.fixture(scope="module")
def trained():
    """The published network on stars that are easy to tell apart: hosts have a deep dip."""
    rng = np.random.default_rng(7)
    parts = []
    for n_hosts, n_others in ((40, 200), (10, 50), (10, 90)):
        x = rng.normal(size=(n_hosts + n_others, 64)).astype(np.float32)
        y = np.arange(len(x)) < n_hosts
        x[y, 20:30] -= 4
        parts.append(make_stars(x, y))
    settings = dataclasses.replace(DEFAULTS, epochs=6, batch_size=32, patience=2)
    return cnn_classifier.Published(settings).fit(*parts[:2], seed=3), parts


def test_the_network_learns_what_can_be_learnt(trained):
    published, (_, _, test) = trained
    score = published.score(test)
    assert score.shape == (100,) and score.dtype == np.float64
    assert reference.average_precision_score(test.y, score) > 0.9


def test_the_best_epoch_is_kept(trained):
    published, (_, validation, test) = trained
    history = published.history
    assert history["epoch"].tolist() == list(range(len(history)))
    loss = published.model.evaluate(
        validation.flux[..., np.newaxis], validation.y, verbose=0, return_dict=True
    )["loss"]
    assert loss == pytest.approx(history["val_loss"].min(), rel=1e-4)
    measures = ("loss", "recall", "average_precision")
    assert set(history) == {"epoch", *measures, *(f"val_{name}" for name in measures)}
    # A second network's measures have the same names: Keras would number unnamed ones.
    again = cnn_classifier.make_published_network(test.flux, DEFAULTS)
    found = again.evaluate(test.flux[..., np.newaxis], test.y, verbose=0, return_dict=True)
    assert set(found) == set(measures)


def test_a_saved_network_gives_the_same_scores(trained, tmp_path):
    published, (_, _, test) = trained
    published.save(tmp_path / "published.keras", {"threshold": 0.25})
    model = keras.models.load_model(tmp_path / "published.keras")
    found = keras_tools.predict(model, test.flux)
    np.testing.assert_allclose(found, published.score(test), rtol=1e-5)
    with zipfile.ZipFile(tmp_path / "published.keras") as archive:
        assert json.loads(archive.read("scoring.json")) == {"threshold": 0.25}


def test_missing_cadences_are_interpolated(trained):
    published, (_, _, test) = trained
    gone, filled = test.flux.copy(), test.flux.copy()
    gone[:, 30] = np.nan
    filled[:, 30] = (filled[:, 29] + filled[:, 31]) / 2
    np.testing.assert_allclose(
        published.score(test.replace(flux=gone)),
        published.score(test.replace(flux=filled)),
        rtol=1e-5,
    )


def test_the_fit_stars_are_balanced_and_each_kind_reads_its_own_light_curves(monkeypatch):
    shown = {}

    class Recorder:
        name = "published"
        optimizer, trainable_variables = argparse.Namespace(build=list), ()

        def fit(self, batches, validation_data, **options):
            x, y, _ = read(batches)
            shown.update(x=x, y=y, held_out=read(validation_data)[0])
            return argparse.Namespace(history={"loss": [1.0], "val_loss": [1.0]})

    monkeypatch.setattr(cnn_classifier, "make_published_network", lambda *_: Recorder())
    stars = make_stars(fit_stars(88), np.arange(88) < 7).replace(curves=fit_stars(88, seed=1))
    for kind in (cnn_classifier.Published, cnn_classifier.PublishedOnEqualised):
        kind().fit(stars, stars.select(slice(4)), seed=0)
        curves = stars.light_curves(kind.light_curves)
        assert (np.sum(shown["y"] == 1), np.sum(shown["y"] == 0)) == (8, 40)  # SMOTE, 1 per 5
        known = {curve.tobytes() for curve in curves}
        assert sum(curve.tobytes() not in known for curve in shown["x"]) == 1  # made by SMOTE
        np.testing.assert_array_equal(shown["held_out"], curves[:4])


def test_curves_that_are_too_short_for_the_network_are_refused():
    settings = cnn_classifier.PublishedSettings(filters=(2, 2, 2), kernel_size=30)
    stars = make_stars(fit_stars(40), np.arange(40) < 10)
    with pytest.raises(DataError, match="of 64 cadences are too short .* lower --kernel-size"):
        cnn_classifier.Published(settings).fit(stars, stars, seed=0)
