"""The transit network: how it is built, trained, saved and loaded.

A search finds the few periods at which a light curve's dips repeat best (`search/fold.py`); each is
described by numbers and by the light curve folded at it (`search/features.py`); the network weighs
these candidates: the `transit_score` of a star is that of all together. So do the pipelines of
Kepler [1]_ and the networks that vet their candidates [2]_; here both are one. A second, smaller
network judges whether the best candidate is a planet or two stars (`judge.py`).

    numbers (candidates, 22)            views (candidates, 24 points, 4)
       | arcsinh, standardise              | arcsinh
       | dense 32 relu                     | convolution 4, stride 4, 9 filters, relu
       |                                   | dense 16 relu
       +----------- join, dropout ---------+
                        | dense 32 relu
                        | dense 1: log-odds of each candidate
                        | log of the sum of the odds of all candidates; mean over the heads

All of it is there once per head (`heads.py`), and all candidates share the same layers.

It sees no host label: non-hosts teach it, and white noise, both with and without injected transits
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
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.lib.format import read_array
from scipy.special import expit

from exoplanets.classifiers import judge
from exoplanets.classifiers.base import Classifier, Settings, setting
from exoplanets.classifiers.heads import HeadDense
from exoplanets.classifiers.keras_tools import (
    check_scores,
    keras,
    make_reproducible,
    save_model,
    tf,
    train,
)
from exoplanets.classifiers.verdict import LEAST_JUDGED, UNKNOWN
from exoplanets.files import DataError, one_line, say
from exoplanets.lightcurves.campaign import Campaign
from exoplanets.lightcurves.equalise import equalise_table
from exoplanets.lightcurves.injection import make_training_sample
from exoplanets.search.ephemeris import Ephemeris
from exoplanets.search.features import NUMBERS, POINTS, VIEWS, find_features
from exoplanets.search.orbit import describe_orbit
from exoplanets.stars import CADENCE_DAYS

layers = keras.layers
MODEL_LAYOUT = 7  # raised whenever the network or what scoring needs changes
TAPS = 4  # points of a folded light curve that a filter sees at once; they divide `POINTS`
CAMPAIGN = "campaign/"  # folder of the saved file that holds the campaign's arrays
AT_ONCE = 64  # stars that the heads are given
RISE = 0.7  # log-odds by which the deeper planet of a pair has to be above the other, at least
FARTHEST = 4.0  # standard deviations; a number farther from its mean counts as if it were there
AS_SURE = 2.0  # log-odds below the best within which a candidate may be the true one as well


@dataclasses.dataclass(frozen=True)
class TransitSettings(Settings):
    """Hyper-parameters of the transit network; each is a flag."""

    curves: int = setting(20_000, "light curves in the training sample", 64)
    snr_low: float = setting(5.5, "least signal-to-noise ratio of an injected planet", 0.1)
    snr_high: float = setting(1500.0, "greatest signal-to-noise ratio of an injected planet", 1)
    candidates: int = setting(6, "trial periods per star that the network is shown", 1, 100)
    heads: int = setting(8, "networks whose log-odds are averaged", 1, 100)
    view_filters: int = setting(9, "filters of the convolution over a folded light curve", 1)
    units: int = setting(32, "units of the dense layers", 2)
    transit_dropout: float = setting(
        0.1, "share of the units that a step of the training leaves out", 0, 0.9
    )
    transit_epochs: int = setting(12, "epochs of each of these networks", 1)
    transit_rate: float = setting(4e-3, "AdamW's initial learning rate", 1e-9)
    weight_decay: float = setting(1e-4, "AdamW's weight decay", 0)
    order_weight: float = setting(0.5, "weight of the penalty when the deeper of two transits "
        "scores lower", 0)  # fmt: skip
    transit_batch_size: int = setting(64, "pairs of light curves per batch", 1)
    systems: int = setting(16_000, "planets and binaries that teach which is which", 64)
    judge_units: int = setting(48, "units of the first layer that tells them apart", 2)
    judge_dropout: float = setting(0.25, "share of its units that a step leaves out", 0, 0.9)
    judge_epochs: int = setting(20, "epochs of its training", 1)

    def __post_init__(self):
        super().__post_init__()
        if not self.snr_low < self.snr_high:
            raise ValueError(f"snr_low must be less than snr_high, which is {self.snr_high:g}")


def make_weigher(settings):
    """Numbers and views of candidates to the log-odds that each is a planet, per head.

    From (n, n_candidates, ...) to (n, n_candidates, n_heads).
    """
    n_best, n_heads = settings.candidates, settings.heads
    numbers = keras.Input((n_best, len(NUMBERS)), name="numbers")
    views = keras.Input((n_best, POINTS, len(VIEWS)), name="views")
    # Candidates in a row; from the first layer on, heads come first.
    seen = keras.ops.reshape(keras.ops.arcsinh(views / 4), (-1, TAPS * len(VIEWS)))
    seen = HeadDense(n_heads, settings.view_filters, "relu")(seen)  # a convolution, `TAPS` apart
    seen = keras.ops.reshape(seen, (n_heads, -1, POINTS // TAPS * settings.view_filters))
    seen = HeadDense(n_heads, settings.units // 2, "relu")(seen)
    x = layers.Normalization(name="scale")(keras.ops.arcsinh(numbers / 2))
    x = keras.ops.reshape(keras.ops.clip(x, -FARTHEST, FARTHEST), (-1, len(NUMBERS)))
    x = HeadDense(n_heads, settings.units, "relu")(x)
    x = layers.Dropout(settings.transit_dropout)(layers.Concatenate()([x, seen]))
    x = HeadDense(n_heads, settings.units, "relu")(x)
    x = HeadDense(n_heads, 1)(x)
    x = keras.ops.transpose(keras.ops.reshape(x, (n_heads, -1, n_best)), (1, 2, 0))
    return keras.Model([numbers, views], x, name="weigher")


def make_transit_network(settings):
    """Both judgements as one network: of candidates (`make_weigher`), and of an orbit (`judge`)."""
    parts = make_weigher(settings), judge.make_judge(settings)
    inputs = [keras.Input(each.shape[1:]) for part in parts for each in part.inputs]
    return keras.Model(inputs, [parts[0](inputs[:2]), parts[1](inputs[2])], name="transit")


def make_learner(weigher):
    """Two stars side by side through each head, so that their order can be taught.

    The heads share the batches and nothing else. Output (n, n_heads, 2): log-odds.
    """
    pairs = [keras.Input((2, *part.shape[1:])) for part in weigher.inputs]
    stars = [keras.ops.reshape(part, (-1, *part.shape[2:])) for part in pairs]
    odds = keras.ops.logsumexp(weigher(stars), axis=1)
    odds = keras.ops.reshape(odds, (-1, 2, odds.shape[-1]))
    return keras.Model(pairs, keras.ops.transpose(odds, (0, 2, 1)), name="transit")


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
    `train_on_sample`. The seed is that of the samples, the weights and the batches.
    """
    make_reproducible(seed)
    rng = np.random.default_rng(seed)
    say(f"injecting transits into {len(flux)} non-hosts: {settings.curves} light curves")
    snr_range = (settings.snr_low, settings.snr_high)
    sample = make_training_sample(flux, settings.curves, rng, snr_range, campaign)
    return train_on_sample(sample, [(flux, campaign)], settings, seed)


def train_on_sample(sample, surveys, settings, seed):
    """Train the transit network on `injection.Pairs`, perhaps of several surveys.

    `surveys` are pairs of the raw flux of non-hosts and their `Campaign`: simulated systems in them
    teach to tell planets from binaries. The seed sets the order of the batches and these systems;
    `make_reproducible` was given that of the weights. Returns the model and a DataFrame with the
    loss of each epoch, the mean over heads.
    """
    numbers, views, has = find_pair_features(sample, settings.candidates)
    model = make_transit_network(settings)
    weigher = model.get_layer("weigher")
    weigher.get_layer("scale").adapt(np.arcsinh(numbers / 2).reshape(-1, *numbers.shape[2:]))
    learner = make_learner(weigher)
    batch_size, epochs = settings.transit_batch_size, settings.transit_epochs
    n_batches = -(-len(has) // batch_size) * epochs
    rate = keras.optimizers.schedules.CosineDecay(settings.transit_rate, n_batches)
    learner.compile(
        keras.optimizers.AdamW(rate, weight_decay=settings.weight_decay),
        make_loss(settings.order_weight),
    )
    truth = np.stack([has, has], axis=1)
    history = train(learner, (numbers, views), truth, batch_size, epochs, seed)

    say(f"injecting planets and eclipsing binaries: {settings.systems} light curves")
    rng, weigh = np.random.default_rng([seed, 1]), make_padded(weigher)

    def choose(numbers, views):
        odds = weigh(numbers, views)
        return find_score(odds), find_best(odds, numbers)

    some = dataclasses.replace(settings, systems=settings.systems // len(surveys))
    taught = [judge.make_orbits(flux, some, rng, known, choose) for flux, known in surveys]
    orbits, answers = map(np.concatenate, zip(*taught, strict=True))
    judge.train_judge(model.get_layer("judge"), orbits, answers, settings, seed)
    return model, history


def find_pair_features(sample, n_best):
    """Numbers and views of all pairs of a sample, (n_pairs, 2, n_best, ...), and who has transits.

    The last is an ndarray of float32 of shape (n_pairs,). Light curves are let go as they come.
    """
    parts = []
    for curves, kinds in sample:
        numbers, views, _ = find_features(np.concatenate(curves), n_best)
        features = (each.reshape(-1, 2, *each.shape[1:]) for each in (numbers, views))
        parts.append((*features, (kinds == "transits").astype(np.float32)))
    return tuple(map(np.concatenate, zip(*parts, strict=True)))


def find_score(odds):
    """Transit score of each star, (n,), from the log-odds of its candidates per head."""
    return expit(np.logaddexp.reduce(odds, axis=1).mean(axis=1))


def find_best(odds, numbers):
    """Place of the best candidate of each star, (n,), from the log-odds per head and the numbers.

    Deep dips make the network sure of every candidate that shares some of them, at a multiple of
    the period too; of those it is nearly as sure of, the one whose dips are strongest together.
    """
    odds = odds.mean(axis=2)
    snr = numbers[:, :, NUMBERS.index("snr")]
    return np.where(odds >= odds.max(axis=1, keepdims=True) - AS_SURE, snr, -np.inf).argmax(axis=1)


def make_padded(model):
    """A function of arrays that several threads may call, with the same bits for the same star.

    A star's result does not depend on those beside it: the heads are always given `AT_ONCE` stars,
    for a product of matrices rounds as the number of its rows has it.
    """
    run = tf.function(lambda *parts: model(list(parts) if len(parts) > 1 else parts[0]))

    def ask(*arrays):
        done = [np.empty((0, *model.output_shape[1:]), np.float32)]
        for start in range(0, len(arrays[0]), AT_ONCE):
            some = [np.asarray(each[start : start + AT_ONCE], np.float32) for each in arrays]
            more = AT_ONCE - len(some[0])
            padded = [np.pad(each, [(0, more), *[(0, 0)] * (each.ndim - 1)]) for each in some]
            done.append(run(*padded).numpy()[: AT_ONCE - more])
        return check_scores(model, np.concatenate(done))

    return ask


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
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what Keras misses is said by its error, in one line
            model.load_weights(path)
        scoring["campaign"] = Campaign.from_arrays(arrays) if arrays else None
    except Exception as error:  # whatever a damaged archive of weights makes Keras raise
        raise DataError(f"'{path}' holds other weights ({one_line(error)}): {again}") from error
    return model, scoring


class Dips(NamedTuple):
    """The best candidate of each light curve; ndarrays of shape (n_stars,)."""

    transit_score: np.ndarray  # that dips repeat, 0 to 1
    period: np.ndarray  # days
    epoch: np.ndarray  # days from the first cadence to the middle of a transit
    duration: np.ndarray  # days


class Judge(NamedTuple):
    """What scoring asks of a trained network; see `make_scorer`."""

    find: Callable  # from equalised light curves (n_stars, n_cadences) to `Dips`
    judge: Callable  # from features of orbits (n, N_FEATURES) to planet scores (n,)


@functools.lru_cache(maxsize=1)  # TensorFlow takes half a second to make it
def make_scorer(model):
    """The two functions of a trained network, a `Judge`; several threads may call them."""
    weigher = model.get_layer("weigher")
    weigh, tell = make_padded(weigher), make_padded(model.get_layer("judge"))
    n_best = weigher.input_shape[0][1]

    def find(curves):
        numbers, views, ephemerides = find_features(curves, n_best)
        odds = weigh(numbers, views)
        best = find_best(odds, numbers)
        return Dips(find_score(odds), *ephemerides[np.arange(len(best)), best].T)

    return Judge(find, lambda orbits: judge.find_planet_score(tell(orbits), orbits))


class Transit(Classifier):
    """The transit network; see the module. `fit` sets `model`."""

    name = "transit"
    columns = ("score", "transit_score", "planet_score", "period", "epoch", "duration")
    settings_class = TransitSettings
    color = "#009E73"
    file = "transit.keras"

    def fit(self, stars, validation, seed):
        """Teach it with the raw flux of the non-hosts among some stars."""
        flux = stars.flux[~stars.is_host]
        self.model, self.history = train_transit(flux, self.settings, seed, self.campaign)
        return self

    def score_curves(self, curves):
        """Transit score of equalised light curves, (n_stars, n_cadences): that dips repeat."""
        return make_scorer(self.model).find(curves).transit_score

    def judge(self, stars):
        """All that it says of each star, a column each of `columns`; see `Dips`."""
        dips = make_scorer(self.model).find(stars.curves)
        planet_score = self.judge_dips(stars, dips)
        return np.column_stack(
            [dips.transit_score * planet_score, *dips[:1], planet_score, *dips[1:]]
        )

    def score(self, stars):
        """Score of each star, between 0 and 1: the dips repeat, and a planet makes them."""
        return self.judge(stars)[:, 0]

    def judge_dips(self, stars, dips):
        """Planet score of each star; `UNKNOWN` where no dips repeat."""
        score = np.full(len(stars), UNKNOWN)
        chosen = np.flatnonzero(dips.transit_score >= LEAST_JUDGED)
        if len(chosen):
            some = stars.select(chosen)
            flat, kept, _ = equalise_table(some.flux, self.campaign, some.cadence, whiten=False)
            chosen, times = chosen[kept], np.arange(flat.shape[1]) * CADENCE_DAYS
            orbits = [
                describe_orbit(times, one, Ephemeris(*(values[i] for values in dips[1:])))[0]
                for i, one in zip(chosen, flat, strict=True)
            ]
            if orbits:
                score[chosen] = make_scorer(self.model).judge(np.array(orbits))
        return score

    def save(self, path, scoring):
        """Save it with its settings, its campaign, and what scoring needs; see `load_transit`."""
        settings = dataclasses.asdict(self.settings)
        save_transit(self.model, path, scoring | {"settings": settings}, self.campaign)
