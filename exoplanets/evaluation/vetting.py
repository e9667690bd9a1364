"""Vetting: what a classifier finds, what it finds where nothing is, and what it looks at.

A score on a handful of hosts proves little. As the Kepler catalogue did [1]_, `vet` measures

* completeness: transits injected into the raw flux of held-out non-hosts, and the share recovered;
* reliability: how much of the skill survives where no transit is left (flux upside down, dips
  masked), or where the transits are left but not their period (blocks of time shuffled);
* occlusion: how far the score falls when a stretch of time is hidden [2]_, and how much of that
  lies within transits;
* calibration: whether a score is a probability, and the two numbers that make it one [3]_.

Throughout, `y` is 1 for a host, and a star or an injected planet is called if `score >= threshold`.

References
----------
.. [1] Thompson et al. 2018, ApJS 235, 38 (Kepler DR25: injection, inversion, scrambling).
.. [2] Shallue & Vanderburg 2018, AJ 155, 94 (occlusion along a light curve).
.. [3] Platt 1999, in Advances in Large Margin Classifiers, 61.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from exoplanets.classifiers import box, keras_tools
from exoplanets.evaluation import metrics
from exoplanets.evaluation.calibration import measure_calibration
from exoplanets.evaluation.candidates import find_suspects
from exoplanets.evaluation.comparison import SPLITS
from exoplanets.evaluation.completeness import (
    HIGH_SNR,
    Injections,
    draw_injections,
    measure_completeness,
)
from exoplanets.evaluation.occlusion import occlude_clearest
from exoplanets.evaluation.reliability import TREATMENTS, measure_reliability, treat_stars
from exoplanets.files import say
from exoplanets.lightcurves.split import fill_missing

MOST_WITHOUT_TRANSITS = 0.60  # ROC AUC on inverted and on masked light curves
LEAST_RECOVERED = 0.90  # of planets above HIGH_SNR, at FALSE_POSITIVE_RATE
LEAST_IN_TRANSIT = 0.70  # of the drop in score, on clear hosts


class Level(NamedTuple):
    """How much is vetted: numbers of stars and of injections."""

    n_others: int  # held-out non-hosts at most
    n_injections: int
    n_slow: int  # injections, and non-hosts, that a slow scorer is given
    slow_reliability: bool  # whether a slow scorer's reliability is measured too
    n_clear: int  # hosts that are occluded
    n_false: int  # non-hosts that are occluded
    step: int  # cadences from one hidden stretch to the next
    n_resamples: int  # of the bootstrap


LEVELS = {
    "quick": Level(400, 600, 200, False, 4, 2, 8, 500),
    "full": Level(100_000, 4000, 1000, True, 10, 5, 4, 1000),
}


class Scorer(NamedTuple):
    """Something that scores light curves.

    Attributes
    ----------
    score : callable
        From light curves, ndarray of shape (n_stars, n_cadences), to (n_stars,) finite scores.
    threshold : float
        The tuned one.
    light_curves : {"equalised", "distributed"}
        What it is given: equalised curves, or the raw flux (treated or injected alike).
    knows_hosts : bool
        Whether labels of hosts in the fit part taught it: then those hosts are not used.
    slow : bool
        Whether a star takes so long that it is given fewer; see `Level`.
    """

    score: Callable
    threshold: float
    light_curves: str = "equalised"
    knows_hosts: bool = True
    slow: bool = False

    def of(self, flux, curves):
        """Score the same stars given both ways, ndarray of shape (n_stars,), float64."""
        given = curves if self.light_curves == "equalised" else flux
        return np.asarray(self.score(given), np.float64)


class Sample(NamedTuple):
    """Stars to vet with: every host, and the non-hosts held out of all training.

    Attributes
    ----------
    flux : ndarray of shape (n_stars, n_cadences)
        As distributed, e-/s, without NaN.
    curves : ndarray of shape (n_stars, n_measured)
        The same stars equalised.
    y : ndarray of shape (n_stars,)
        1 for a host.
    held_out : ndarray of bool of shape (n_stars,)
        Whether a star is of the validation or test part: True for every non-host.
    names : ndarray of str of shape (n_stars,)
        Such as "train row 7".
    prevalence : float
        Share of hosts among all labelled stars, of which these are a part.
    filled : ndarray of bool of shape (n_stars, n_cadences), optional
        Cadences that were missing.
    """

    flux: np.ndarray
    curves: np.ndarray
    y: np.ndarray
    held_out: np.ndarray
    names: np.ndarray
    prevalence: float
    filled: np.ndarray | None = None

    def of(self, index):
        """Some of the stars."""
        arrays = (self.flux, self.curves, self.y, self.held_out, self.names)
        filled = None if self.filled is None else self.filled[index]
        return Sample(*(a[index] for a in arrays), self.prevalence, filled)


def judge(content):
    """What was found, test by test and network by network.

    Parameters
    ----------
    content : dict
        `completeness`, `reliability`, `occlusion` and `network` of `vet`.

    Returns
    -------
    list of dict
        `network`, `test`, `value` (None where undefined), `limit`, `passed` (None where undefined)
        and `sentence`.
    """
    verdicts = []

    def add(network, test, value, limit, passed, sentence):
        verdicts.append(
            {
                "network": network,
                "test": test,
                "value": value,
                "limit": limit,
                "passed": None if value is None else bool(passed),
                "sentence": sentence,
            }
        )

    judged = set()
    what = {"inverted": "flux upside down", "masked": "the dips masked"}
    for row in content["reliability"]:
        if row["network"] in judged:  # by the larger of its samples, which comes first
            continue
        judged.add(row["network"])
        for treatment, words in what.items():
            auc = row[treatment]["roc_auc"]
            sentence = (
                f"with {words}, {row['hosts']} hosts are told from {row['non_hosts']} non-hosts "
                f"with ROC AUC {auc:.2f} (before: {row['original']['roc_auc']:.2f}; {row['stars']})"
            )
            passed = auc < MOST_WITHOUT_TRANSITS
            add(row["network"], treatment, auc, MOST_WITHOUT_TRANSITS, passed, sentence)
    for row in content["completeness"]:
        at = row["false_positives_1_percent"]
        value, n = at["above_20"]["fraction"], at["above_20"]["n"]
        sentence = (
            f"of {n} injected planets above SNR {HIGH_SNR:g}, {at['above_20']['recovered']} are "
            f"recovered where {at['false_positives']} of {at['non_hosts']} non-hosts are called"
        )
        passed = value is not None and value >= LEAST_RECOVERED
        add(row["network"], "recovery", value, LEAST_RECOVERED, passed, sentence)
    clear = [r["share_in_transit"] for r in content["occlusion"] if r["label"] == 1]
    known = [share for share in clear if share is not None]
    # Undefined where a score rests on many shallow transits and on none in particular: it is named.
    value = float(np.mean(known)) if known else None
    sentence = "no host is clear enough to be occluded"
    if clear:
        each = ", ".join("undefined" if s is None else f"{s:.2f}" for s in clear)
        sentence = f"share of the fall in score that lies within transits, clear hosts: {each}"
    passed = value is not None and value >= LEAST_IN_TRANSIT
    add(content["network"], "occlusion", value, LEAST_IN_TRANSIT, passed, sentence)
    return verdicts


def is_leaky(content, network):
    """Whether a network still tells hosts from non-hosts where no transit is left.

    Parameters
    ----------
    content : dict
        Of `vet`.
    network : str

    Raises
    ------
    ValueError
        If its reliability was not measured.
    """
    found = [v for v in content["verdicts"] if v["network"] == network]
    found = [v["passed"] for v in found if v["test"] in ("inverted", "masked")]
    if not found:
        raise ValueError(f"the reliability of '{network}' was not measured")
    return not all(found)


def vet(scorers, stars, network, level="quick", seed=0):
    """Vet a network, and others beside it.

    Parameters
    ----------
    scorers : dict of Scorer
        By name.
    stars : Sample
    network : str
        Name of the one whose occlusion and calibration are measured; its scores lie between 0
        and 1.
    level : {"quick", "full"}
    seed : int

    Returns
    -------
    content : dict
        JSON-ready; `metrics.json["vetting"]`. `level`, `seed`, `network`, `held_out_non_hosts`,
        `suspects`, and the lists and dicts of the parts; `verdicts` in words.
    drawn : dict
        Arrays that the figures need beside it.
    """
    settings = LEVELS[level]
    others = np.flatnonzero(stars.y == 0)
    if not np.all(stars.held_out[others]):
        raise ValueError("non-hosts that were trained on cannot be vetted with")
    rng = np.random.default_rng([seed, 0])
    if len(others) > settings.n_others:
        others = np.sort(rng.choice(others, settings.n_others, replace=False))
    # Non-hosts in random order, so that the first are a sample of all.
    stars = stars.of(np.concatenate([np.flatnonzero(stars.y == 1), rng.permutation(others)]))
    is_other = stars.y == 0
    quiet = stars.of(is_other)
    treated = treat_stars(stars, seed)
    scored = {}
    for name, scorer in scorers.items():
        if settings.slow_reliability or not scorer.slow:
            scored[name] = {t: scorer.of(*treated[t]) for t in TREATMENTS}

    injections = draw_injections(quiet, settings.n_injections, np.random.default_rng([seed, 1]))
    suspect = find_suspects(scored[network]["original"][is_other], quiet.curves)
    completeness = []
    for name, scorer in scorers.items():
        few = slice(settings.n_slow if scorer.slow else None)
        planets = Injections(*(a[few] for a in injections))
        if name in scored:
            score = scored[name]["original"][is_other][few]
        else:
            score = scorer.of(quiet.flux[few], quiet.curves[few])
        found = scorer.of(planets.flux, planets.curves)
        row = measure_completeness(scorer.threshold, score, found, planets, suspect[few])
        completeness.append({"network": name, "light_curves": scorer.light_curves} | row)

    reliability = []
    for name, of_treatment in scored.items():
        used = {"held-out stars": stars.held_out}
        if not scorers[name].knows_hosts:
            used = {"all hosts, held-out non-hosts": np.ones(len(stars.y), bool)} | used
        for which, kept in used.items():
            y = stars.y[kept]
            if not 0 < np.sum(y) < len(y):
                continue
            of_kept = {t: s[kept] for t, s in of_treatment.items()}
            row = measure_reliability(y, of_kept, seed, settings.n_resamples)
            names = {"network": name, "light_curves": scorers[name].light_curves, "stars": which}
            reliability.append(names | row)

    chosen = scorers[network]
    usable = stars.held_out if chosen.knows_hosts else np.ones(len(stars.y), bool)
    score = scored[network]["original"]
    occlusion, occluded = occlude_clearest(chosen, stars.of(usable), score[usable], settings)
    calibration = measure_calibration(stars.y[usable], score[usable], stars.prevalence, seed)
    content = {
        "level": level,
        "seed": seed,
        "network": network,
        "injections": len(injections.snr),
        "held_out_non_hosts": len(quiet.y),
        "suspects": sorted(str(name) for name in quiet.names[suspect]),
        "completeness": completeness,
        "reliability": reliability,
        "occlusion": occlusion,
        "calibration": calibration,
    }
    content["verdicts"] = judge(content)
    drawn = {
        "y": stars.y[usable],
        "treated": {t: s[usable] for t, s in scored[network].items()},
        "occluded": occluded,
    }
    return content, drawn


def gather_sample(tables, view):
    """The stars that are vetted with: all hosts, and the non-hosts held out of all training."""
    parts = []
    for split in SPLITS:
        table = getattr(tables, "test" if split == "test" else "train")
        kept = (view[f"y_{split}"] == 1) | (split != "train")
        rows = view[f"row_{split}"][kept]
        flux, was_missing = fill_missing(np.array(table.flux[rows]))
        names = [f"{'test' if split == 'test' else 'train'} row {row}" for row in rows]
        held_out = np.full(len(rows), split != "train")
        curves, y = view[f"x_{split}"][kept], view[f"y_{split}"][kept]
        parts.append((flux, curves, y, held_out, np.array(names), was_missing))
    flux, curves, y, held_out, names, filled = map(np.concatenate, zip(*parts, strict=True))
    prevalence = float(np.mean(np.concatenate([view[f"y_{split}"] for split in SPLITS])))
    return Sample(flux, curves, y, held_out, names, prevalence, filled)


def vet_contenders(contenders, models, tables, level, seed):
    """Vet the transit network, with the published one and box least squares beside it.

    Parameters
    ----------
    contenders : list of comparison.Contender
    models : dict of keras.Model
        See `comparison.train_contenders`.
    tables : stars.Tables
    level : {"quick", "full"}
    seed : int

    Returns
    -------
    content, drawn : dict
        See `vet`.
    """
    by_name = {(c.network, c.light_curves): c for c in contenders}
    transit = by_name["transit", "equalised"]
    sample = gather_sample(tables, transit.view)
    if ("box_least_squares", "equalised") in by_name:
        least = by_name["box_least_squares", "equalised"].threshold
    else:  # tuned on the validation hosts and some of the non-hosts: it takes its time
        view = transit.view
        some = np.append(
            np.flatnonzero(view["y_validation"]), np.flatnonzero(view["y_validation"] == 0)[:200]
        )
        statistic = box.search(view["x_validation"][some]).statistic
        least = metrics.tune_threshold(view["y_validation"][some], statistic)

    def ask(name):
        return lambda curves: keras_tools.predict(models[name], curves)

    scorers = {
        "transit": Scorer(ask("transit"), transit.threshold, knows_hosts=False),
        "published": Scorer(
            ask("published_equalised"), by_name["published", "equalised"].threshold
        ),
        "box_least_squares": Scorer(
            lambda curves: box.search(curves).statistic, least, knows_hosts=False, slow=True
        ),
    }
    say(f"vetting ({level}) ...")
    return vet(scorers, sample, "transit", level, seed)
