"""The second judgement, of a star whose dips repeat: a planet, or two stars.

A small network reads the whole orbit of the best candidate (`search/orbit.py`) and gives the
`planet_score`. Simulated planets and eclipsing binaries teach it (`lightcurves/binaries.py`), no
label does. It must also know when it cannot tell: stars without any system are in its sample with
the answer one half, and weak signals of both kinds, in which no shape is seen, lead there too.

    orbit of the best candidate -> standardised, clipped -> per head: dense, dense -> mean -> odds

`score` is the product of both judgements: the dips repeat, and it is a planet that makes them.
"""

import numpy as np
from scipy.special import expit

from exoplanets.classifiers.heads import HeadDense
from exoplanets.classifiers.keras_tools import keras, train
from exoplanets.classifiers.verdict import LEAST_JUDGED, UNKNOWN
from exoplanets.files import track
from exoplanets.lightcurves.binaries import BLOCK, make_systems
from exoplanets.lightcurves.equalise import find_unit
from exoplanets.search.ephemeris import Ephemeris
from exoplanets.search.features import find_features
from exoplanets.search.orbit import N_FEATURES, NUMBERS, describe_orbit
from exoplanets.stars import CADENCE_DAYS

layers = keras.layers
ANSWERS = {"planet": 1.0, "binary": 0.0, "nothing": UNKNOWN}
TELLING_SNR = 30.0  # of a signal whose shape may change the odds by a factor of e
FARTHEST = 4.0  # standard deviations; a number farther from its mean counts as if it were there


def make_judge(settings):
    """Features of orbits (n, N_FEATURES) to log-odds of a planet, per head: (n, n_heads)."""
    orbits = keras.Input((N_FEATURES,), name="orbits")
    x = keras.ops.clip(layers.Normalization(name="scale")(orbits), -FARTHEST, FARTHEST)
    for units in (settings.judge_units, settings.judge_units // 2):
        x = HeadDense(settings.heads, units, "relu")(x)
        x = layers.Dropout(settings.judge_dropout)(x)
    x = HeadDense(settings.heads, 1)(x)
    return keras.Model(orbits, keras.ops.transpose(x[:, :, 0]), name="judge")


def make_orbits(flux, settings, rng, campaign, choose):
    """Orbits of simulated systems in non-hosts, (n, N_FEATURES), and the right answers (n,).

    `choose` gives of numbers and views of candidates (see `features.find_features`) the transit
    score of each star and the place of its best candidate.
    """

    def describe(systems):
        flat, curves = systems.flatten()
        numbers, views, ephemerides = find_features(curves, settings.candidates)
        score, best = choose(numbers, views)
        times = np.arange(flat.shape[1]) * CADENCE_DAYS
        rows = np.flatnonzero((score >= LEAST_JUDGED) | (systems.kinds == "nothing"))
        orbits = []
        for i in rows:
            unit = find_unit(systems.flux[i], flat[i], systems.level[i])
            candidate = Ephemeris(*ephemerides[i, best[i]])
            orbits.append(describe_orbit(times, flat[i], candidate, unit, systems.sampling[i])[0])
        answers = [ANSWERS[kind] for kind in systems.kinds[rows]]
        return np.reshape(orbits, (-1, N_FEATURES)), np.array(answers, np.float32)

    snr_range = (settings.snr_low, settings.snr_high)
    blocks = make_systems(flux, settings.systems, rng, snr_range, campaign)
    blocks = track(blocks, "blocks of simulated systems", -(-settings.systems // BLOCK))
    return tuple(map(np.concatenate, zip(*map(describe, blocks), strict=True)))


def train_judge(judge, orbits, answers, settings, seed):
    """Teach a network of `make_judge` with what `make_orbits` returns; a DataFrame of losses."""
    judge.get_layer("scale").adapt(orbits)
    batch_size = 2 * settings.transit_batch_size  # as many light curves as so many pairs
    n_batches = -(-len(orbits) // batch_size) * settings.judge_epochs
    rate = keras.optimizers.schedules.CosineDecay(settings.transit_rate, n_batches)

    def loss(truth, odds):
        truth = keras.ops.reshape(truth, (-1, 1))
        return keras.ops.mean(keras.ops.softplus(odds) - truth * odds, axis=1)

    # The same layers, compiled apart: Keras alone can read the file of a network without a loss.
    learner = keras.Model(judge.inputs, judge.outputs, name=judge.name)
    learner.compile(keras.optimizers.AdamW(rate, weight_decay=1e-3), loss)
    return train(learner, orbits, answers, batch_size, settings.judge_epochs, seed)


def find_planet_score(odds, orbits):
    """Planet score of each star, (n,), from the log-odds per head and the features of its orbit.

    What a shape tells grows as the square of the signal-to-noise ratio: no weak signal is surely
    two stars, whatever noise makes it look like. A depth that is known tells of itself.
    """
    numbers = dict(zip(NUMBERS, orbits[:, -len(NUMBERS) :].T.astype(float), strict=True))
    most = (np.exp(numbers["log_snr"]) / TELLING_SNR) ** 2
    most = np.where(numbers["depth_is_known"] == 1, np.inf, most)
    return expit(np.clip(odds.astype(float).mean(axis=1), -most, most))
