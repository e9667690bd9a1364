"""The two networks: how they are built, trained and asked.

`published` is the network of the original study, layer by layer. `transit` is ours: events are
found by convolution, folded over trial periods, and the strengths at all periods are weighed, the
single- and multiple-event statistics of the Kepler pipeline [1]_ learnt. It sees no host label:
non-hosts teach it, half of them with injected transits (`data/injection.py`).

References
----------
.. [1] Jenkins 2002, ApJ 575, 493.
"""

import contextlib
import dataclasses
import functools
import itertools
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

from data import kepler
from data.equalise import common_colour
from data.injection import TrainingSample

FEWEST_BATCHES = 16  # an epoch: running averages of momentum 0.99 forget the start in five epochs
MODEL_LAYOUT = 3  # raised whenever the network or what scoring needs changes
STRIDE = 4  # cadences per step of the event series, 2 h
SMEAR = 3  # steps an event may be early or late: index is not quite time
DURATIONS = (4, 7, 12)  # cadences, 2 to 6 h, of the boxes that light curves are filtered with
SIDE = 12  # cadences a matched filter reaches beyond its box; the noise forgets within two
QUIET = 240  # cadences (5 d), the blocks in which the scatter is measured
QUARTERS = 4  # of the light curve: none of them may make a period by itself


def setting(default, text):
    """A hyper-parameter: a field with its default and the help of its flag."""
    return dataclasses.field(default=default, metadata={"help": text})


@dataclasses.dataclass(frozen=True)
class PublishedSettings:
    """Hyper-parameters of the published network; each is a flag, the defaults are the study's."""

    filters: tuple[int, ...] = setting((11, 7), "filters of each convolution")
    kernel_size: int = setting(2, "cadences a convolution spans")
    l2: float = setting(0.01, "L2 penalty on convolution kernels")
    pool_dropout: float = setting(0.4, "dropout after pooling")
    dense: tuple[int, ...] = setting((50, 30, 12), "units of each dense layer")
    dense_dropout: float = setting(0.3, "dropout between dense layers")
    learning_rate: float = setting(1e-2, "Adam's initial learning rate")
    decay_steps: int = setting(10_000, "batches after which the learning rate has decayed once")
    decay_rate: float = setting(0.8, "factor of one decay")
    host_weight: float = setting(2.5, "weight of a host in the loss; a non-host has 1")
    batch_size: int = setting(128, "stars per batch")
    epochs: int = setting(40, "epochs at most")
    patience: int = setting(8, "epochs without a lower validation loss before stopping")
    normalization: str = setting("adapted", "adapted to the fit stars, or identity as published")


def make_reproducible(seed):
    """Seed Python, NumPy and Keras, and forbid TensorFlow any order that varies.

    What Keras kept of networks trained before is let go: cross-validation makes dozens.
    """
    keras.backend.clear_session()
    keras.utils.set_random_seed(seed)
    tf.config.experimental.enable_op_determinism()


def share_gpus():
    """Scope in which a network is trained on all GPUs of the machine, where there are several."""
    several = len(tf.config.list_logical_devices("GPU")) > 1
    strategy = tf.distribute.MirroredStrategy() if several else tf.distribute.get_strategy()
    return strategy.scope()


def work_side_by_side():
    """Give each operation one core: right where whole blocks of stars share the cores.

    And forbid any order that varies, as `make_reproducible` does.
    """
    tf.config.experimental.enable_op_determinism()
    with contextlib.suppress(RuntimeError):  # TensorFlow runs already: slower, the same numbers
        tf.config.threading.set_intra_op_parallelism_threads(1)


def make_published_network(x, settings):
    """The network of the published study, layer by layer, compiled.

    Parameters
    ----------
    x : ndarray of shape (n_stars, n_cadences)
        The fit stars: the normalisation learns each cadence's mean and variance from them.
    settings : PublishedSettings

    Returns
    -------
    keras.Model
        From flux, shape (n, n_cadences, 1), to the score of being a host, shape (n, 1).
    """
    if settings.normalization == "adapted":
        normalization = layers.Normalization(axis=1)
        normalization.adapt(x[..., np.newaxis])
    else:
        normalization = layers.Normalization(axis=None, mean=0.0, variance=1.0)
    inputs = keras.Input((x.shape[1], 1), name="flux")
    hidden = normalization(inputs)
    for n_filters in settings.filters:
        hidden = layers.Conv1D(
            n_filters,
            settings.kernel_size,
            activation="relu",
            kernel_regularizer=keras.regularizers.L2(settings.l2),
        )(hidden)
        hidden = layers.BatchNormalization()(hidden)
    hidden = layers.MaxPooling1D(pool_size=2, strides=2)(hidden)
    hidden = layers.Dropout(settings.pool_dropout)(hidden)
    hidden = layers.Flatten()(hidden)
    *first, last = settings.dense
    for units in first:
        hidden = layers.Dense(units, activation="relu")(hidden)
        hidden = layers.Dropout(settings.dense_dropout)(hidden)
    hidden = layers.Dense(last, activation="relu")(hidden)
    model = keras.Model(inputs, layers.Dense(1, activation="sigmoid")(hidden), name="published")
    schedule = keras.optimizers.schedules.ExponentialDecay(
        settings.learning_rate, settings.decay_steps, settings.decay_rate
    )
    model.compile(
        keras.optimizers.Adam(schedule),
        loss="binary_crossentropy",
        metrics=[
            keras.metrics.Recall(name="recall"),
            keras.metrics.AUC(curve="PR", name="average_precision"),
        ],
    )
    return model


def train_published(fit, validation, settings, seed):
    """Train the published network.

    Parameters
    ----------
    fit, validation : tuple of (x, y)
        Light curves, ndarray of shape (n_stars, n_cadences), and labels, (n_stars,), 1 for a host;
        early stopping watches the validation stars.
    settings : PublishedSettings
    seed : int

    Returns
    -------
    model : keras.Model
        With the weights of its best epoch.
    history : pandas.DataFrame
        A row per epoch: loss, recall and average precision, of fit and validation (`val_`) stars.
    """
    make_reproducible(seed)
    with share_gpus():
        model = make_published_network(fit[0], settings)
    batch_size = min(settings.batch_size, max(len(fit[1]) // FEWEST_BATCHES, 1))
    if batch_size < settings.batch_size:
        kepler.say(
            f"batches of {batch_size} instead of {settings.batch_size}: batch normalisation needs "
            f"{FEWEST_BATCHES} an epoch, and there are {len(fit[1])} fit stars"
        )
    history = model.fit(
        fit[0][..., np.newaxis],
        fit[1],
        validation_data=(validation[0][..., np.newaxis], validation[1]),
        class_weight={0: 1.0, 1: settings.host_weight},
        batch_size=batch_size,
        epochs=settings.epochs,
        callbacks=[
            keras.callbacks.EarlyStopping(
                "val_loss", patience=settings.patience, restore_best_weights=True
            ),
            TqdmCallback(verbose=0, desc="published", leave=False),
        ],
        verbose=0,
    )
    return model, pd.DataFrame(history.history).rename_axis("epoch").reset_index()


def predict(model, x, batch_size=256):
    """Score of each star, ndarray of shape (n_stars,), float32; refuses a diverged network."""
    score = model.predict(x[..., np.newaxis], batch_size=batch_size, verbose=0)[:, 0]
    return _refuse_diverged(model, score)


def _refuse_diverged(model, score):
    """The scores, if all are finite."""
    if not np.isfinite(score).all():
        raise kepler.DataError(
            f"the {model.name} network has diverged (a score is not finite): lower --learning-rate"
        )
    return score


def make_scorer(model):
    """What `predict` does, for several threads at once, and traced once for curves of any length.

    Returns
    -------
    callable
        From light curves, ndarray of shape (n_stars, n_cadences), to scores, (n_stars,), float32.
    """

    @tf.function(input_signature=[tf.TensorSpec((None, None, 1), tf.float32)])
    def ask(x):
        return model(x, training=False)

    def score(x):
        return _refuse_diverged(model, ask(tf.constant(x[..., np.newaxis])).numpy()[:, 0])

    return score


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


@keras.saving.register_keras_serializable("exoplanet_hosts")
class Fold(layers.Layer):
    """Fold event series over trial periods: a box search on what was learnt.

    For every trial period and phase the n events at that phase are summed: `strength` is the sum
    over sqrt(n), `lasting` the strength that is left without the quarter of the light curve that
    gives most, scaled to n, so that neither one deep dip nor a burst of them makes a period. The
    largest of each over phase comes out for every period. Nothing is learnt here.

    Parameters
    ----------
    shortest, longest : float
        Trial periods, steps of the series: 0.65 to 27 days. A period needs two events.
    spacing : float
        Relative distance of trial periods: four steps of drift over 720.

    Notes
    -----
    Input (n_stars, n_steps, n_series), any n_steps; output (n_stars, n_periods, 2 n_series + 1):
    strengths / 4, lasting strengths / 4, and log(period / 50 steps).
    """

    def __init__(self, shortest=8.0, longest=330.0, spacing=4 / 720, **kwargs):
        super().__init__(**kwargs)
        self.shortest, self.longest, self.spacing = shortest, longest, spacing
        n_periods = int(np.log(longest / shortest) / np.log1p(spacing)) + 1
        self.periods = (shortest * (1 + spacing) ** np.arange(n_periods)).astype(np.float32)

    def get_config(self):
        """Arguments that make the same layer again."""
        names = ("shortest", "longest", "spacing")
        return super().get_config() | {name: getattr(self, name) for name in names}

    def compute_output_shape(self, shape):
        """Shape of the output, of that of the input."""
        return (shape[0], len(self.periods), 2 * shape[-1] + 1)

    def call(self, series):
        """Fold; see the class."""
        n_series = series.shape[-1]
        n_steps = tf.shape(series)[1]
        # (n_steps + 1, n_stars * n_series): a gather then copies whole rows; the last is 0.
        events = tf.reshape(tf.transpose(series, (1, 0, 2)), (n_steps, -1))
        events = tf.concat([events, tf.zeros_like(events[:1])], 0)

        def fold(period):
            n_rows = tf.cast(tf.math.ceil(tf.cast(n_steps, tf.float32) / period), tf.int32)
            first = tf.cast(tf.round(tf.cast(tf.range(n_rows), tf.float32) * period), tf.int32)
            index = first[:, None] + tf.range(tf.cast(period, tf.int32) + 1)
            n = tf.reduce_sum(tf.cast(index < n_steps, tf.float32), 0)[:, None]
            index = tf.minimum(index, n_steps)
            edges = [n_rows * quarter // QUARTERS for quarter in range(QUARTERS + 1)]
            sums = [
                tf.reduce_sum(tf.gather(events, index[low:high]), 0)
                for low, high in itertools.pairwise(edges)
            ]
            total, greatest = tf.add_n(sums), functools.reduce(tf.maximum, sums)
            n_left = n - tf.cast(tf.math.ceil(n_rows / QUARTERS), tf.float32)
            per_phase = tf.where(n > 1.5, tf.math.rsqrt(n), 0.0)
            strength = total * per_phase
            lasting = (total - greatest) * (per_phase * n / tf.maximum(n_left, 1.0))
            return tf.stack([tf.reduce_max(strength, 0), tf.reduce_max(lasting, 0)])

        n_periods = len(self.periods)
        best = tf.map_fn(fold, tf.constant(self.periods), parallel_iterations=4) / 4
        best = tf.reshape(best, (n_periods, 2, -1, n_series))
        best = tf.reshape(tf.transpose(best, (2, 0, 1, 3)), (-1, n_periods, 2 * n_series))
        log_period = tf.math.log(tf.constant(self.periods) / 50)[None, :, None]
        return tf.concat([best, tf.tile(log_period, (tf.shape(best)[0], 1, 1))], 2)


def find_matched_filter(duration):
    """Filter that finds a box in noise of the common colour best, of unit variance there.

    The box, filtered twice by what whitens that noise [1]_.

    Parameters
    ----------
    duration : int
        Of the box, cadences.

    Returns
    -------
    ndarray of shape (max(DURATIONS) + 2 SIDE,), float32
        Positive for a dip.
    """
    length = max(DURATIONS) + 2 * SIDE
    box = np.zeros(512)
    box[(length - duration) // 2 :][:duration] = -1
    power = common_colour(np.fft.rfftfreq(len(box)))
    matched = np.fft.irfft(np.fft.rfft(box) / power)
    return (matched / np.sqrt(matched @ box))[:length].astype(np.float32)


@keras.saving.register_keras_serializable("exoplanet_hosts")
class Matched(layers.Layer):
    """Single-event statistics of boxes of several durations: matched filters, nothing learnt.

    Each is measured in units of its own scatter in the blocks of `QUIET` cadences around: pointing
    noise comes and goes. Clipped, so that no single dip weighs more than four of its scatters.

    Notes
    -----
    Input (n_stars, n_cadences, 1), any n_cadences; output of one statistic per cadence and
    duration, (n_stars, n_cadences, len(DURATIONS)).
    """

    def build(self, shape):
        """Compute the filters."""
        filters = [find_matched_filter(duration) for duration in DURATIONS]
        self.filters = tf.constant(np.stack(filters, axis=1)[:, None])

    def compute_output_shape(self, shape):
        """Shape of the output, of that of the input."""
        return (*shape[:2], len(DURATIONS))

    def call(self, curve):
        """Filter; see the class."""
        curve = tf.clip_by_value(curve, -8.0, 2.0)  # filters answer half as much beside a bump
        found = tf.nn.conv1d(curve, self.filters, 1, "SAME")
        n_cadences = tf.shape(found)[1]
        n_blocks = n_cadences // QUIET
        some = found[:, : n_blocks * QUIET : 2]  # neighbours are much alike
        blocks = tf.reshape(some, (-1, n_blocks, QUIET // 2, len(DURATIONS)))
        scatter = 1.4826 * keras.ops.median(tf.abs(blocks), axis=2)
        least = 0.5 * keras.ops.median(scatter, axis=1, keepdims=True)
        scatter = tf.maximum(tf.maximum(scatter, least), 1e-6)
        block = tf.minimum(tf.range(n_cadences) // QUIET, n_blocks - 1)
        return tf.clip_by_value(found / tf.gather(scatter, block, axis=1), -8.0, 4.0)


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
    kepler.say(f"injecting transits into {len(flux)} non-hosts: {settings.curves} light curves")
    snr_range = (settings.snr_low, settings.snr_high)
    sample = TrainingSample(flux, settings.curves, rng, snr_range, was_missing)
    with share_gpus():
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
        `versions`; see `data/prediction.py`. Kept as `scoring.json` inside the Keras archive.
    """
    content = json.dumps({"layout": MODEL_LAYOUT} | scoring, indent=1, allow_nan=False)
    with kepler.atomic_write(path) as temporary:
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
    kepler.DataError
        If the file is missing, damaged, or of another layout.
    """
    again = "train one with `python cnn_classifier.py`"
    try:
        with zipfile.ZipFile(path) as archive:
            scoring = json.loads(archive.read("scoring.json"))
    except FileNotFoundError:
        raise kepler.DataError(f"'{path}' is missing: {again}") from None
    except (OSError, KeyError, ValueError, zipfile.BadZipFile, RuntimeError) as error:
        raise kepler.DataError(
            f"'{path}' is no transit network of this project: {again}"
        ) from error
    layout = scoring.get("layout") if isinstance(scoring, dict) else None
    if layout != MODEL_LAYOUT:
        raise kepler.DataError(
            f"'{path}' has layout {str(layout)[:20]}, this version reads {MODEL_LAYOUT}: {again}"
        )
    try:
        model = make_transit_network(TransitSettings(**scoring["settings"]))
        model.load_weights(path)
    except Exception as error:  # whatever a damaged archive of weights makes Keras raise
        reason = " ".join(str(error).split())[:100] or type(error).__name__
        raise kepler.DataError(f"'{path}' holds other weights ({reason}): {again}") from error
    return model, scoring
