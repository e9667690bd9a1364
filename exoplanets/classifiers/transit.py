"""The transit network: how it is built, trained, saved and loaded.

A search finds the few periods at which a light curve's dips repeat best (`fold.py`); each is
described by numbers and by the light curve folded at it (`features.py`); the network weighs these
candidates, and the star's score is theirs together. So do the pipelines of Kepler [1]_ and the
networks that vet their candidates [2]_; here both are one.

It sees no host label: non-hosts teach it, half of them with injected transits
(`lightcurves/injection.py`). Each planet is shown twice, with shallow and with deep transits, and
the deeper one has to have the higher score.

References
----------
.. [1] Jenkins 2002, ApJ 575, 493.
.. [2] Shallue & Vanderburg 2018, AJ 155, 94.
"""

import dataclasses
import functools
import json
import zipfile
from pathlib import Path

import numpy as np
from numpy.lib.format import read_array

from exoplanets.classifiers.base import Classifier, Settings, setting
from exoplanets.classifiers.keras_layers import FoldedCandidates
from exoplanets.classifiers.keras_tools import (
    check_scores,
    keras,
    make_reproducible,
    save_model,
    tf,
    train,
)
from exoplanets.files import DataError, one_line, say
from exoplanets.lightcurves.campaign import Campaign
from exoplanets.lightcurves.injection import make_training_sample
from exoplanets.search.features import NUMBERS, POINTS, VIEWS, find_features

layers = keras.layers
MODEL_LAYOUT = 4  # raised whenever the network or what scoring needs changes
CAMPAIGN = "campaign/"  # folder of the saved file that holds the campaign's arrays
AT_ONCE = 64  # stars that the heads are given
RISE = 0.7  # log-odds by which the deeper planet of a pair has to be above the other, at least
FARTHEST = 4.0  # standard deviations; a number farther from its mean counts as if it were there


@dataclasses.dataclass(frozen=True)
class TransitSettings(Settings):
    """Hyper-parameters of the transit network; each is a flag."""

    curves: int = setting(6000, "light curves in the training sample, half with transits", 64)
    snr_low: float = setting(5.5, "least signal-to-noise ratio of an injected planet", 0.1)
    snr_high: float = setting(1500.0, "greatest signal-to-noise ratio of an injected planet", 1)
    candidates: int = setting(6, "trial periods per star that the network is shown", 1, 100)
    heads: int = setting(8, "networks whose log-odds are averaged", 1, 100)
    view_filters: int = setting(9, "filters of the convolutions over a folded light curve", 1)
    units: int = setting(22, "units of the dense layers", 1)
    transit_dropout: float = setting(
        0.1, "share of the units that a step of the training leaves out", 0, 0.9
    )
    transit_epochs: int = setting(12, "epochs of each of these networks", 1)
    transit_rate: float = setting(4e-3, "AdamW's initial learning rate", 1e-9)
    weight_decay: float = setting(1e-4, "AdamW's weight decay", 0)
    order_weight: float = setting(0.5, "weight in the loss of a deeper planet's lower score", 0)
    transit_batch_size: int = setting(64, "pairs of light curves per batch", 1)

    def __post_init__(self):
        super().__post_init__()
        if not self.snr_low < self.snr_high:
            raise ValueError(f"snr_low must be less than snr_high, which is {self.snr_high:g}")


def make_head(settings, name):
    """Numbers and views of a star's candidates to the log-odds that it has transits, (n, 1).

    All candidates are weighed by the same layers; the odds of the star are the sum of theirs.
    """
    n_best, n_views = settings.candidates, len(VIEWS)
    numbers = keras.Input((n_best, len(NUMBERS)), name="numbers")
    views = keras.Input((n_best, POINTS, n_views), name="views")
    x = keras.ops.reshape(keras.ops.arcsinh(views / 4), (-1, POINTS, n_views))
    for taps in (5, 3):
        x = layers.Conv1D(
            settings.view_filters, taps, strides=2, padding="same", activation="relu"
        )(x)
    x = layers.Dense(settings.units // 2, activation="relu")(layers.Flatten()(x))
    seen = keras.ops.reshape(x, (-1, n_best, settings.units // 2))
    x = layers.Normalization(name="scale")(keras.ops.arcsinh(numbers / 2))
    x = layers.Dense(settings.units, activation="relu")(keras.ops.clip(x, -FARTHEST, FARTHEST))
    x = layers.Dropout(settings.transit_dropout)(layers.Concatenate()([x, seen]))
    x = layers.Dense(settings.units, activation="relu")(x)
    each = layers.Dense(1)(x)
    return keras.Model([numbers, views], keras.ops.logsumexp(each, axis=1), name=name)


def make_transit_network(settings):
    """The transit network: equalised light curves (n, any length, 1) to scores (n, 1)."""
    curves = keras.Input((None, 1), name="light_curve")
    features = FoldedCandidates(settings.candidates, name="candidates")(curves)
    heads = [make_head(settings, f"head_{k}") for k in range(settings.heads)]
    odds = [head(features) for head in heads]
    mean = layers.Average()(odds) if len(odds) > 1 else odds[0]
    return keras.Model(curves, keras.ops.sigmoid(mean), name="transit")


def make_learner(heads):
    """Two stars side by side through each head, so that their order can be taught.

    The heads share the batches and nothing else. Output (n, n_heads, 2): log-odds.
    """
    pairs = [keras.Input((2, *part.shape[1:])) for part in heads[0].inputs]
    stars = [keras.ops.reshape(part, (-1, *part.shape[2:])) for part in pairs]
    odds = [keras.ops.reshape(head(stars), (-1, 1, 2)) for head in heads]
    odds = layers.Concatenate(axis=1)(odds) if len(odds) > 1 else odds[0]
    return keras.Model(pairs, odds, name="transit")


def make_loss(order_weight):
    """Per head, cross-entropy of both curves of a pair, and what the deeper lacks of `RISE`."""

    def loss(truth, odds):
        truth = keras.ops.expand_dims(truth, 1)
        crossed = keras.ops.softplus(odds) - truth * odds
        fall = keras.ops.relu(RISE + odds[..., :1] - odds[..., 1:])
        return keras.ops.mean(crossed + order_weight * truth * fall, axis=2)

    return loss


def train_transit(flux, settings, seed, campaign=None):
    """Train the transit network on the raw light curves of non-hosts alone.

    For the flux and the `Campaign` see `make_training_sample`, for what is returned
    `train_on_sample`. The seed is that of the sample, the weights and the batches.
    """
    make_reproducible(seed)
    rng = np.random.default_rng(seed)
    say(f"injecting transits into {len(flux)} non-hosts: {settings.curves} light curves")
    snr_range = (settings.snr_low, settings.snr_high)
    sample = make_training_sample(flux, settings.curves, rng, snr_range, campaign)
    return train_on_sample(sample, settings, seed)


def train_on_sample(sample, settings, seed):
    """Train the transit network on a list of `injection.Pairs`, perhaps of several surveys.

    The seed sets the order of the batches; `make_reproducible` was given that of the weights.
    Returns the model and a DataFrame with the loss of each epoch, the mean over heads.
    """
    numbers, views = find_pair_features(sample, settings.candidates)
    has = np.concatenate([pairs.kinds == "transits" for pairs in sample]).astype(np.float32)
    model = make_transit_network(settings)
    heads = [model.get_layer(f"head_{k}") for k in range(settings.heads)]
    for head in heads:
        head.get_layer("scale").adapt(np.arcsinh(numbers / 2).reshape(-1, *numbers.shape[2:]))
    learner = make_learner(heads)
    batch_size, epochs = settings.transit_batch_size, settings.transit_epochs
    n_batches = -(-len(has) // batch_size) * epochs
    rate = keras.optimizers.schedules.CosineDecay(settings.transit_rate, n_batches)
    learner.compile(
        keras.optimizers.AdamW(rate, weight_decay=settings.weight_decay),
        make_loss(settings.order_weight),
    )
    truth = np.stack([has, has], axis=1)
    return model, train(learner, (numbers, views), truth, batch_size, epochs, seed)


def find_pair_features(sample, n_best):
    """Numbers and views of all pairs of a sample, ndarrays of shape (n_pairs, 2, n_best, ...)."""
    parts = [find_features(np.concatenate(pairs.curves), n_best)[:2] for pairs in sample]
    numbers, views = map(np.concatenate, zip(*parts, strict=True))
    return [array.reshape(-1, 2, *array.shape[1:]) for array in (numbers, views)]


def save_transit(model, path, scoring, campaign=None):
    """Save the transit network with all that scoring needs, in one file.

    `scoring` is JSON-ready: `settings` (of `TransitSettings`), `threshold`, `calibration`,
    `provenance`. With the `Campaign` of the stars that taught it, its other stars are equalised.
    """
    arrays = {} if campaign is None else campaign.to_arrays()
    arrays = {f"{CAMPAIGN}{name}": array for name, array in arrays.items()}
    save_model(model, path, {"layout": MODEL_LAYOUT} | scoring, arrays)


def load_transit(path):
    """Load what `save_transit` saved. Only numbers are read from the file: nothing in it is run.

    Returns the model, and `scoring` as it was saved, with `campaign`, a `Campaign` or None.
    DataError if the file is missing, damaged, or of another layout.
    """
    again = "train one with `python cnn_classifier.py`"
    try:
        with zipfile.ZipFile(path) as archive:
            scoring = json.loads(archive.read("scoring.json"))
            arrays = {}
            for name in archive.namelist():
                if name.startswith(CAMPAIGN):
                    with archive.open(name) as stream:
                        arrays[Path(name).stem] = read_array(stream, allow_pickle=False)
    except FileNotFoundError:
        raise DataError(f"'{path}' is missing: {again}") from None
    except (OSError, EOFError, KeyError, ValueError, zipfile.BadZipFile, RuntimeError) as error:
        raise DataError(f"'{path}' is no transit network of this project: {again}") from error
    layout = scoring.get("layout") if isinstance(scoring, dict) else None
    if layout != MODEL_LAYOUT:
        raise DataError(
            f"'{path}' has layout {str(layout)[:20]}, this version reads {MODEL_LAYOUT}: {again}"
        )
    try:
        model = make_transit_network(TransitSettings(**scoring["settings"]))
        model.load_weights(path)
        scoring["campaign"] = Campaign.from_arrays(arrays) if arrays else None
    except Exception as error:  # whatever a damaged archive of weights makes Keras raise
        raise DataError(f"'{path}' holds other weights ({one_line(error)}): {again}") from error
    return model, scoring


@functools.lru_cache(maxsize=1)  # TensorFlow takes half a second to make it
def make_scorer(model):
    """A function that several threads may call, from equalised light curves to their scores.

    From (n_stars, n_cadences) to (n_stars,), float32. A star's score is the same, bit for bit,
    whatever other stars are scored with it: the heads are always given `AT_ONCE` stars, for a
    product of matrices rounds as the number of its rows has it.
    """
    layer = model.get_layer("candidates")
    weigh = tf.function(keras.Model(layer.output, model.output), reduce_retracing=True)

    def score(curves):
        features, scores = find_features(curves, layer.n_best)[:2], []
        for start in range(0, len(curves), AT_ONCE):
            some = [array[start : start + AT_ONCE] for array in features]
            n_more = AT_ONCE - len(some[0])
            padded = [np.pad(array, [(0, n_more), *[(0, 0)] * (array.ndim - 1)]) for array in some]
            scores.append(weigh(padded).numpy()[: AT_ONCE - n_more, 0])
        return check_scores(model, np.concatenate(scores))

    return score


class Transit(Classifier):
    """The transit network; see the module. `fit` sets `model`."""

    name = "transit"
    settings_class = TransitSettings
    color = "#009E73"
    file = "transit.keras"

    def fit(self, stars, validation, seed):
        """Teach it with the raw flux of the non-hosts among some stars."""
        flux = stars.flux[~stars.is_host]
        self.model, self.history = train_transit(flux, self.settings, seed, self.campaign)
        return self

    def score(self, stars):
        """Score of each star, between 0 and 1."""
        return make_scorer(self.model)(stars.curves).astype(float)

    def save(self, path, scoring):
        """Save it with its settings, its campaign, and what scoring needs; see `load_transit`."""
        settings = dataclasses.asdict(self.settings)
        save_transit(self.model, path, scoring | {"settings": settings}, self.campaign)
