"""The transit network: how it is built, trained, saved and loaded.

Events are found by convolution, folded over trial periods, and the strengths at all periods are
weighed, the single- and multiple-event statistics of the Kepler pipeline [1]_ learnt. It sees no
host label: non-hosts teach it, half of them with injected transits (`lightcurves/injection.py`).

References
----------
.. [1] Jenkins 2002, ApJ 575, 493.
"""

import dataclasses
import json
import os
import zipfile

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # read when TensorFlow is imported

import keras
import numpy as np
import pandas as pd
import tensorflow as tf
from keras import layers
from tqdm.keras import TqdmCallback

from exoplanets.classifiers.base import setting
from exoplanets.classifiers.keras_layers import DURATIONS, Fold, Matched
from exoplanets.classifiers.keras_tools import make_reproducible
from exoplanets.files import DataError, atomic_write, say
from exoplanets.lightcurves.injection import TrainingSample

MODEL_LAYOUT = 3  # raised whenever the network or what scoring needs changes
STRIDE = 4  # cadences per step of the event series, 2 h
SMEAR = 3  # steps an event may be early or late: index is not quite time


@dataclasses.dataclass(frozen=True)
class TransitSettings:
    """Hyper-parameters of the transit network; each is a flag."""

    curves: int = setting(2500, "light curves in the training sample, half with transits")
    snr_low: float = setting(6.0, "least signal-to-noise ratio of an injected planet")
    snr_high: float = setting(150.0, "greatest signal-to-noise ratio of an injected planet")
    event_filters: int = setting(16, "filters of each convolution")
    event_epochs: int = setting(5, "epochs in which events are learnt")
    event_rate: float = setting(3e-3, "Adam's initial learning rate for events")
    comb_weight: float = setting(0.05, "weight of a planet's transits together in the loss")
    head_units: int = setting(16, "units of the layers that weigh periods")
    head_epochs: int = setting(16, "epochs in which periods are weighed")
    head_rate: float = setting(5e-3, "Adam's initial learning rate for periods")
    label_smoothing: float = setting(0.02, "of the labels: a non-host may have a planet")
    transit_batch_size: int = setting(64, "light curves per batch")


def make_events(n_filters):
    """Light curve to event statistics, one a step: two learnt, and those of matched filters.

    Of the learnt, the first is the log-odds that a step lies in a transit; the second is trained so
    that its sum over a planet's transits tells the true period from all others.
    """
    curve = keras.Input((None, 1), name="light_curve")
    boxes = layers.MaxPooling1D(STRIDE * SMEAR, STRIDE, padding="same")(Matched()(curve))

    def convolve(x, taps, **options):
        x = layers.Conv1D(n_filters, taps, padding="same", activation="relu", **options)(x)
        return layers.BatchNormalization()(x)

    x = keras.ops.arcsinh(curve / 4.0) * 4.0  # linear to about 4 sigma, then logarithmic
    x = convolve(convolve(x, 9, strides=2), 7, strides=STRIDE // 2)
    for dilation in (1, 2, 4):
        x = x + convolve(x, 5, dilation_rate=dilation)
    learnt = layers.Conv1D(2, 1, name="learnt")(x)
    return keras.Model(curve, [learnt, boxes], name="events")


def make_series(n_boxes):
    """Event statistics to the series that are folded, (n_stars, n_steps, n_boxes + 1)."""
    learnt = keras.Input((None, 2))
    boxes = keras.Input((None, n_boxes))
    event = layers.MaxPooling1D(SMEAR, 1, padding="same")(learnt[:, :, 1:])
    plain = boxes - keras.ops.mean(boxes, axis=1, keepdims=True)  # the maximum made it positive
    both = layers.Concatenate()([keras.ops.clip(event, -8.0, 8.0), plain])
    return keras.Model([learnt, boxes], both, name="series")


def make_contrast(n_features):
    """Strengths at all periods, measured against those at the star's other periods.

    So that a jumpy star is not strong at every period. The last feature, the logarithm of the
    period, stays as it is. Nothing is learnt here.
    """
    features = keras.Input((None, n_features))
    strengths = features[:, :, :-1]
    strengths = strengths - keras.ops.median(strengths, axis=1, keepdims=True)
    spread = keras.ops.median(keras.ops.abs(strengths), axis=1, keepdims=True)
    strengths = strengths / (4 * (1.4826 * spread + 0.02))
    both = layers.Concatenate()([strengths, features[:, :, -1:]])
    return keras.Model(features, both, name="contrast")


def make_head(n_features, n_units):
    """Contrasts at all periods to the probability of transits."""
    features = keras.Input((None, n_features))
    x = layers.Conv1D(n_units, 1, activation="relu")(features)
    x = layers.Conv1D(n_units, 1, activation="relu")(x)
    pooled = [layers.GlobalMaxPooling1D()(x), layers.GlobalAveragePooling1D()(x)]
    x = layers.Dense(n_units, activation="relu")(layers.Concatenate()(pooled))
    return keras.Model(features, layers.Dense(1, activation="sigmoid")(x), name="head")


def make_transit_network(settings):
    """The transit network: equalised light curve (n, any length, 1) to probability (n, 1)."""
    events, n_boxes = make_events(settings.event_filters), len(DURATIONS)
    series, n_features = make_series(n_boxes), 2 * (n_boxes + 1) + 1
    contrast, head = make_contrast(n_features), make_head(n_features, settings.head_units)
    curve = keras.Input((None, 1), name="light_curve")
    folded = Fold(name="fold")(series(events(curve)))
    return keras.Model(curve, head(contrast(folded)), name="transit")


def find_event_truth(sample):
    """What `make_event_loss` is told, ndarray of shape (n_curves, n_steps, 3), float32.

    Whether the step is in transit; whether it is the middle of one (in curves without transits: of
    another curve's, a period that must not be found); whether the curve has transits.
    """
    n_curves, length = sample.dips.shape
    n_steps = length // STRIDE
    steps = sample.dips[:, : n_steps * STRIDE].reshape(n_curves, n_steps, STRIDE).max(axis=2)
    inside = np.pad(steps > 0.5, ((0, 0), (1, 1))).astype(np.int8)
    star, first = np.nonzero(np.diff(inside, axis=1) == 1)
    _, last = np.nonzero(np.diff(inside, axis=1) == -1)
    comb = np.zeros(steps.shape, np.float32)
    comb[star, (first + last - 1) // 2] = 1
    has = sample.kinds == "transits"
    comb[~has] = np.resize(comb[has], (np.sum(~has), n_steps))
    label = np.broadcast_to(has[:, None], comb.shape)
    return np.stack([steps > 0.5, comb, label], axis=2).astype(np.float32)


def make_event_loss(comb_weight, margin=9.0):
    """Loss of the event statistics: every step by itself, and a planet's transits together.

    The first statistic has the binary cross-entropy of every step. The second is summed over the
    comb of the planet's transits at every circular shift of that comb: the true shift has to exceed
    all others (cross-entropy over shifts) and `margin`; without transits, no shift may.
    """

    def loss(truth, learnt):
        inside, comb, label = truth[..., 0], truth[..., 1], truth[:, 0, 2]
        each = tf.nn.sigmoid_cross_entropy_with_logits(inside, learnt[..., 0])
        event = tf.nn.max_pool1d(learnt[..., 1:], SMEAR, 1, "SAME")[..., 0]
        event = tf.signal.rfft(tf.clip_by_value(event, -8.0, 8.0))
        sums = tf.signal.irfft(event * tf.math.conj(tf.signal.rfft(comb)), [comb.shape[1]])
        here, anywhere = sums[:, 0], tf.reduce_logsumexp(sums, 1)
        found = anywhere - here + tf.nn.softplus(margin - here)
        together = tf.where(label > 0.5, found, tf.nn.softplus(anywhere - margin))
        return tf.reduce_mean(each, 1) + comb_weight * tf.minimum(together, 20.0)

    return loss


class Batches(keras.utils.PyDataset):
    """Shuffled batches of a training sample, shifted circularly and half of them reversed."""

    def __init__(self, curves, truth, batch_size, rng):
        super().__init__()
        self._curves, self._truth, self._size, self._rng = curves, truth, batch_size, rng
        self.on_epoch_end()

    def on_epoch_end(self):
        """Shuffle."""
        self._order = self._rng.permutation(len(self._curves))

    def __len__(self):
        return -(-len(self._curves) // self._size)

    def __getitem__(self, i):
        rows = self._order[i * self._size : (i + 1) * self._size]
        curves, truth = self._curves[rows], self._truth[rows]
        shift = int(self._rng.integers(truth.shape[1]))
        curves = np.roll(curves, shift * STRIDE, axis=1)
        truth = np.roll(truth, shift, axis=1)
        if self._rng.random() < 0.5:
            curves, truth = curves[:, ::-1], truth[:, ::-1]
        return np.ascontiguousarray(curves)[..., None], np.ascontiguousarray(truth)


def train_transit(flux, settings, seed, was_missing=None):
    """Train the transit network on the raw light curves of non-hosts alone.

    First the event statistics, against the injected transits; then, those frozen and every curve
    folded once, the weighing of periods, against whether transits were injected.

    Parameters
    ----------
    flux : ndarray of shape (n_stars, n_cadences)
        Raw flux of non-hosts, e-/s.
    settings : TransitSettings
    seed : int
        Of the sample, the weights and the batches.
    was_missing : ndarray of bool of shape (n_stars, n_cadences), optional
        Cadences that were filled in.

    Returns
    -------
    model : keras.Model
        See `make_transit_network`.
    history : pandas.DataFrame
        Loss per epoch, of events and then of periods (`stage`).
    """
    make_reproducible(seed)
    rng = np.random.default_rng(seed)
    say(f"injecting transits into {len(flux)} non-hosts: {settings.curves} light curves")
    snr_range = (settings.snr_low, settings.snr_high)
    sample = TrainingSample(flux, settings.curves, rng, snr_range, was_missing)
    model = make_transit_network(settings)
    events, head = model.get_layer("events"), model.get_layer("head")
    learner = keras.Model(events.input, events.output[0])
    contrasts = model.get_layer("contrast")(model.get_layer("fold").output)
    folding = keras.Model(model.input, contrasts)

    # An eclipse or a lone dip looks like a transit: only the head can tell them apart.
    clear = ~np.isin(sample.kinds, ("eclipses", "dips"))
    truth = find_event_truth(sample)
    batches = Batches(sample.curves[clear], truth[clear], settings.transit_batch_size, rng)
    n_batches = settings.event_epochs * len(batches)
    rate = keras.optimizers.schedules.CosineDecay(settings.event_rate, n_batches)
    learner.compile(keras.optimizers.Adam(rate), make_event_loss(settings.comb_weight))
    bar = TqdmCallback(verbose=0, desc="transit: events", leave=False)
    found = learner.fit(
        batches, epochs=settings.event_epochs, shuffle=False, verbose=0, callbacks=[bar]
    )

    folded = folding.predict(sample.curves[..., None], batch_size=128, verbose=0)
    n_batches = -(-len(folded) // settings.transit_batch_size) * settings.head_epochs
    rate = keras.optimizers.schedules.CosineDecay(settings.head_rate, n_batches)
    smoothed = keras.losses.BinaryCrossentropy(label_smoothing=settings.label_smoothing)
    head.compile(keras.optimizers.Adam(rate), smoothed)
    bar = TqdmCallback(verbose=0, desc="transit: periods", leave=False)
    weighed = head.fit(
        folded,
        (sample.kinds == "transits").astype(np.float32),
        batch_size=settings.transit_batch_size,
        epochs=settings.head_epochs,
        verbose=0,
        callbacks=[bar],
    )
    losses = {"events": found.history["loss"], "periods": weighed.history["loss"]}
    history = [
        {"epoch": epoch, "stage": stage, "loss": loss}
        for stage, values in losses.items()
        for epoch, loss in enumerate(values)
    ]
    return model, pd.DataFrame(history)


def save_transit(model, path, scoring):
    """Save the transit network with all that scoring needs, in one file.

    Parameters
    ----------
    model : keras.Model
    path : path
    scoring : dict
        JSON-ready: `settings` (of `TransitSettings`), `threshold`, `calibration`, `provenance`,
        `versions`; see `evaluation/prediction.py`. Kept as `scoring.json` inside the Keras archive.
    """
    content = json.dumps({"layout": MODEL_LAYOUT} | scoring, indent=1, allow_nan=False)
    with atomic_write(path) as temporary:
        model.save(temporary)
        with zipfile.ZipFile(temporary, "a") as archive:
            archive.writestr("scoring.json", content)


def load_transit(path):
    """Load what `save_transit` saved. Only numbers are read from the file: nothing in it is run.

    Returns
    -------
    model : keras.Model
        Built by this code, with the file's weights.
    scoring : dict

    Raises
    ------
    files.DataError
        If the file is missing, damaged, or of another layout.
    """
    again = "train one with `python cnn_classifier.py`"
    try:
        with zipfile.ZipFile(path) as archive:
            scoring = json.loads(archive.read("scoring.json"))
    except FileNotFoundError:
        raise DataError(f"'{path}' is missing: {again}") from None
    except (OSError, KeyError, ValueError, zipfile.BadZipFile, RuntimeError) as error:
        raise DataError(f"'{path}' is no transit network of this project: {again}") from error
    layout = scoring.get("layout") if isinstance(scoring, dict) else None
    if layout != MODEL_LAYOUT:
        raise DataError(
            f"'{path}' has layout {str(layout)[:20]}, this version reads {MODEL_LAYOUT}: {again}"
        )
    try:
        model = make_transit_network(TransitSettings(**scoring["settings"]))
        model.load_weights(path)
    except Exception as error:  # whatever a damaged archive of weights makes Keras raise
        reason = " ".join(str(error).split())[:100] or type(error).__name__
        raise DataError(f"'{path}' holds other weights ({reason}): {again}") from error
    return model, scoring
