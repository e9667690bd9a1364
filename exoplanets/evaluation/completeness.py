"""Completeness: the share of injected planets that a classifier recovers.

As in the Kepler catalogue [1]_, planets are injected into the raw flux of held-out non-hosts. They
are periodic in true time. What draws them here shares no random numbers and no choices with what
draws the training sample (`lightcurves/injection.py`), and its transits have another shape: here
limb-darkened ones (`transits.py`), there trapeziums. The unit of the signal-to-noise ratio is the
same.

References
----------
.. [1] Thompson et al. 2018, ApJS 235, 38 (Kepler DR25).
"""

from itertools import pairwise
from typing import NamedTuple

import numpy as np

from exoplanets.classifiers.verdict import VERDICTS, find_verdict
from exoplanets.evaluation.metrics import find_roc_auc, ratio, wilson
from exoplanets.lightcurves.binaries import make_system
from exoplanets.lightcurves.equalise import equalise_table
from exoplanets.lightcurves.injection import estimate_level, inject
from exoplanets.stars import CADENCE_DAYS, Stars
from exoplanets.transits import draw_planet, transit_flux

PERIODS = (0.7, 20.0)  # days, of the injected planets
FEWEST_TRANSITS = 2  # within the light curve
SNR_EDGES = (6.0, 8.0, 12.0, 20.0, 60.0)  # of the matched filter in the raw flux
HIGH_SNR = 20.0  # above it a survey has to find nine in ten
PERIOD_EDGES = (0.7, 1.5, 3.0, 6.0, 12.0, 20.0)  # days
RATIO_EDGES = (0.0, 0.01, 0.02, 0.04, 0.08, np.inf)  # planet-to-star radius, lower limits
FALSE_POSITIVE_RATE = 0.01  # of the strict thresholds
RATES = tuple(np.geomspace(1e-3, 0.1, 9))  # false-positive rates of the curve of recovery
SYSTEM_SNR = (15.0, 600.0)  # of eclipses and transits of which a verdict is asked


class Injections(NamedTuple):
    """Non-hosts with an injected planet each; ndarrays with a row per injection."""

    stars: Stars  # with the planet in `flux` and in `curves`
    star: np.ndarray  # index of the non-host that it was injected into
    period: np.ndarray  # days
    snr: np.ndarray  # of the matched filter; see `injection.inject`
    radius_ratio: np.ndarray  # planet-to-star, a lower limit; see `injection.estimate_level`

    def select(self, index):
        """Some of the injections."""
        return Injections(self.stars.select(index), *(values[index] for values in self[1:]))


def draw_dips(times, rng):
    """A planet drawn at random, and the depth of its transits in units of the deepest.

    Returns the dips, 0 outside of transits and 1 at the deepest cadence, the keyword arguments of
    `transit_flux`, and the relative depth of the deepest cadence.
    """
    while True:
        planet = draw_planet(rng, period_range=PERIODS, radius_ratio_range=(0.01, 0.1))
        dip = 1 - transit_flux(times, **planet)
        depth = dip.max()
        if depth > 0:
            number = np.round((times - planet["epoch"]) / planet["period"])
            if len(np.unique(number[dip > 0.5 * depth])) >= FEWEST_TRANSITS:
                return dip / depth, planet, depth


def draw_injections(stars, n_injections, campaign, rng):
    """Inject a planet into raw light curves of non-hosts, each in turn, and equalise them.

    Period and signal-to-noise ratio are log-uniform, the rest as `transits.draw_planet`; at least
    two transits. The depth is scaled to the ratio drawn. `campaign` may be None.
    """
    star = np.resize(rng.permutation(len(stars)), n_injections)
    injected = stars.select(star)
    flux = injected.flux.astype(np.float64)
    truth = np.empty((3, n_injections))
    for i, cadence in enumerate(injected.cadence):
        known = np.isfinite(flux[i])
        dip, planet, planet_depth = draw_dips(cadence[known] * CADENCE_DAYS, rng)
        snr = np.exp(rng.uniform(np.log(SNR_EDGES[0]), np.log(SNR_EDGES[-1])))
        level = estimate_level(flux[i, known])
        flux[i, known], depth = inject(flux[i, known], dip, snr)
        # A planet's depth goes as the square of its radius.
        radius_ratio = planet["radius_ratio"] * np.sqrt(depth / level / planet_depth)
        truth[:, i] = planet["period"], snr, radius_ratio
    curves, kept, _ = equalise_table(flux, campaign, injected.cadence)
    injected = injected.select(kept).replace(flux=flux[kept].astype(np.float32), curves=curves)
    return Injections(injected, star[kept], *truth[:, kept])


class SimulatedSystems(NamedTuple):
    """Non-hosts with a simulated planet or eclipsing binary each; a row per star."""

    stars: Stars  # with the system in `flux` and in `curves`
    is_planet: np.ndarray  # (n_stars,), bool
    snr: np.ndarray  # (n_stars,)


def draw_systems(stars, n_systems, campaign, rng, kinds=("planet", "binary")):
    """Planets and eclipsing binaries in raw light curves of non-hosts, by turns, and equalise them.

    What draws them also drew those that taught the network (`lightcurves/binaries.py`), with other
    random numbers; these stars taught nothing.
    """
    star = np.resize(rng.permutation(len(stars)), n_systems)
    injected = stars.select(star)
    flux, kind = injected.flux.astype(np.float64), np.resize(kinds, n_systems)
    snr = np.exp(rng.uniform(*np.log(SYSTEM_SNR), n_systems))
    for i, cadence in enumerate(injected.cadence):
        ratio = snr[i], snr[i] * (1 + 1e-9)
        flux[i], _ = make_system(flux[i], cadence, kind[i], rng, ratio)
    curves, kept, _ = equalise_table(flux, campaign, injected.cadence)
    injected = injected.select(kept).replace(flux=flux[kept].astype(np.float32), curves=curves)
    return SimulatedSystems(injected, kind[kept] == "planet", snr[kept])


def count_verdicts(systems, judged, threshold):
    """What simulated planets and binaries are taken for, or None if the classifier does not tell.

    `judged` has the columns of `transit.Transit`. Returns a dict: `snr`, their range, and for
    `planets` and `binaries` the number of each verdict and how many are `called`; and `roc_auc` of
    the score, planets against binaries.
    """
    if judged.shape[1] < 3:
        return None
    score, transit_score, planet_score = judged[:, :3].T
    called, repeats = score >= threshold, transit_score >= threshold
    verdicts = np.array(
        [find_verdict(*each) for each in zip(called, repeats, planet_score, strict=True)]
    )
    counts = {"snr": list(SYSTEM_SNR), "roc_auc": find_roc_auc(systems.is_planet, score)}
    for name, mine in (("planets", systems.is_planet), ("binaries", ~systems.is_planet)):
        numbers = {verdict: int(np.sum(verdicts[mine] == verdict)) for verdict in VERDICTS}
        counts[name] = numbers | {"called": count_recovered(called[mine])}
    return counts


def trace_recovery(score, recovered_score):
    """Share of injected planets recovered at each of `RATES` that so many non-hosts can show.

    `score` is that of the non-hosts, `recovered_score` that of the injections. Returns a list of
    dicts: `rate`, the share of non-hosts that is called, and `count_recovered`.
    """
    ranked, curve = np.sort(np.asarray(score, float))[::-1], []
    numbers = sorted({round(rate * len(ranked)) for rate in RATES} - {0})
    for n_called in numbers:
        # Just above the next one: not one more is called.
        cut = np.nextafter(ranked[n_called], np.inf) if n_called < len(ranked) else -np.inf
        row = {"rate": n_called / len(ranked), "false_positives": n_called}
        curve.append(row | count_recovered(recovered_score >= cut))
    return curve


def find_false_positive_threshold(score):
    """The lowest threshold at which at most 1 % of the non-hosts, or one of few, are called.

    Of n non-hosts, k = max(1, floor(n / 100)) may be called: the threshold is just above the score
    of the next, the (k + 1)-th highest. With ties fewer are called.
    """
    score = np.sort(np.asarray(score, np.float64))[::-1]
    allowed = max(1, int(FALSE_POSITIVE_RATE * len(score)))
    return float(np.nextafter(score[allowed], np.inf) if allowed < len(score) else score[-1])


def split_by_edges(values, edges):
    """Per bin a mask of its values; the first and the last bin take what lies beyond them."""
    place = np.digitize(values, edges[1:-1])
    return [place == i for i in range(len(edges) - 1)]


def count_recovered(recovered):
    """`n`, `recovered`, `fraction` and its Wilson interval of some injections."""
    n, found = len(recovered), int(np.sum(recovered))
    return {"n": n, "recovered": found, "fraction": ratio(found, n), "interval": wilson(found, n)}


def measure_completeness(threshold, score, found, injections, suspect):
    """Recovery of injected planets at the tuned threshold and at a 1 % false-positive rate.

    `threshold` is the tuned one. `score` is that of the non-hosts before injection, which sets the
    false-positive rate; `found` is that of the injections. `suspect`, ndarray of bool of shape
    (n_stars,), marks non-hosts whose label is suspect: a third threshold is set without them.

    Returns a dict per threshold: what it calls of the non-hosts, and `count_recovered` in bins of
    SNR, of `all`, `above_20`, and in a `grid`, rows of cells of period and radius ratio; and
    `curve`, see `trace_recovery`.
    """
    strict, trusted = "false_positives_1_percent", score[~suspect]
    cuts = {
        "tuned": (float(threshold), score),
        strict: (find_false_positive_threshold(score), score),
        f"{strict}_without_suspects": (find_false_positive_threshold(trusted), trusted),
    }
    in_snr = split_by_edges(injections.snr, SNR_EDGES)
    in_period = split_by_edges(injections.period, PERIOD_EDGES)
    in_ratio = split_by_edges(injections.radius_ratio, RATIO_EDGES)
    measured = {"curve": trace_recovery(score, found)}
    for name, (cut, others) in cuts.items():
        recovered = found >= cut
        measured[name] = {
            "threshold": cut,
            "false_positives": int(np.sum(others >= cut)),
            "non_hosts": len(others),
            "bins": [
                {"snr": list(edges)} | count_recovered(recovered[inside])
                for edges, inside in zip(pairwise(SNR_EDGES), in_snr, strict=True)
            ],
            "all": count_recovered(recovered),
            "above_20": count_recovered(recovered[injections.snr > HIGH_SNR]),
            "grid": [
                [count_recovered(recovered[inside & row]) for inside in in_period]
                for row in in_ratio
            ],
        }
    return measured
