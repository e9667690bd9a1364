"""The second judgement, of a star whose dips repeat: a planet, or two stars.

A small network reads the whole orbit of the best candidate (`search/orbit.py`) and gives the
`planet_score`. Simulated planets and eclipsing binaries teach it (`lightcurves/binaries.py`), no
label does. It must also know when it cannot tell: stars without any system are in its sample with
the answer one half, and weak signals of both kinds, in which no shape is seen, lead there too.

    orbit of the best candidate -> standardised, clipped -> per head: dense, dense -> mean -> odds

`score` is the product of both judgements: the dips repeat, and it is a planet that makes them.
"""

import numpy as np

from exoplanets.classifiers.heads import dense
from exoplanets.classifiers.keras_tools import keras, train
from exoplanets.classifiers.verdict import LEAST_JUDGED, UNKNOWN
from exoplanets.lightcurves.binaries import make_systems
from exoplanets.search.ephemeris import Ephemeris
from exoplanets.search.features import find_features
from exoplanets.search.orbit import N_FEATURES, describe_orbit
from exoplanets.stars import CADENCE_DAYS

layers = keras.layers
ANSWERS = {"planet": 1.0, "binary": 0.0, "nothing": UNKNOWN}
FARTHEST = 4.0  # standard deviations; a number farther from its mean counts as if it were there


def make_judge(settings):
    """Features of orbits (n, N_FEATURES) to log-odds of a planet, per head: (n, n_heads)."""
    orbits = keras.Input((N_FEATURES,), name="orbits")
    x = keras.ops.clip(layers.Normalization(name="scale")(orbits), -FARTHEST, FARTHEST)
    x = dense("ai,hio->aho", x, settings.heads, settings.judge_units, "relu")
    x = layers.Dropout(settings.judge_dropout)(x)
    x = dense("ahi,hio->aho", x, settings.heads, settings.judge_units // 2, "relu")
    x = layers.Dropout(settings.judge_dropout)(x)
    x = dense("ahi,hio->aho", x, settings.heads, 1)
    return keras.Model(orbits, x[:, :, 0], name="judge")


def make_orbits(flux, settings, rng, campaign, choose):
    """Orbits of simulated systems in non-hosts, (n, N_FEATURES), and the right answers (n,).

    `choose` gives of numbers and views of candidates (see `features.find_features`) the transit
    score of each star and the place of its best candidate.
    """
    orbits, answers = [], []
    snr_range = (settings.snr_low, settings.snr_high)
    for systems in make_systems(flux, settings.systems, rng, snr_range, campaign):
        numbers, views, ephemerides = find_features(systems.curves, settings.candidates)
        score, best = choose(numbers, views)
        times = np.arange(systems.flat.shape[1]) * CADENCE_DAYS
        for i in np.flatnonzero((score >= LEAST_JUDGED) | (systems.kinds == "nothing")):
            candidate = Ephemeris(*ephemerides[i, best[i]])
            about = systems.unit[i], systems.sampling[i]
            orbits.append(describe_orbit(times, systems.flat[i], candidate, *about)[0])
            answers.append(ANSWERS[systems.kinds[i]])
    return np.array(orbits), np.array(answers, np.float32)


def train_judge(judge, orbits, answers, settings, seed):
    """Teach a network of `make_judge` with what `make_orbits` returns; a DataFrame of losses."""
    judge.get_layer("scale").adapt(orbits)
    n_batches = -(-len(orbits) // settings.transit_batch_size) * settings.judge_epochs
    rate = keras.optimizers.schedules.CosineDecay(settings.transit_rate, n_batches)

    def loss(truth, odds):
        truth = keras.ops.reshape(truth, (-1, 1))
        return keras.ops.mean(keras.ops.softplus(odds) - truth * odds, axis=1)

    judge.compile(keras.optimizers.AdamW(rate, weight_decay=1e-3), loss)
    batches = settings.transit_batch_size, settings.judge_epochs
    return train(judge, orbits, answers, *batches, seed)
