"""Vetting: what a classifier finds, what it finds where nothing is, and what it looks at.

A score on a handful of hosts proves little. `vet` puts every classifier to the tests of
`completeness.py` and `reliability.py`, one of them to that of `occlusion.py` too, and says in words
what held.

Throughout, `y` is 1 for a host, and a star or an injected planet is called if `score >= threshold`.
"""

from typing import NamedTuple

import numpy as np

from exoplanets.evaluation.completeness import (
    HIGH_SNR,
    count_verdicts,
    draw_injections,
    draw_systems,
    measure_completeness,
)
from exoplanets.evaluation.occlusion import occlude_clearest
from exoplanets.evaluation.reliability import TREATMENTS, measure_reliability, treat_stars

# ---- what must hold
MOST_WITHOUT_TRANSITS = 0.60  # ROC AUC on inverted and on masked light curves
LEAST_RECOVERED = 0.90  # of planets above HIGH_SNR, at a false-positive rate of 1 %
LEAST_IN_TRANSIT = 0.70  # of the drop in score, on clear hosts


class Level(NamedTuple):
    """How much is vetted: numbers of stars and of injections."""

    n_others: int  # held-out non-hosts at most
    n_injections: int
    n_systems: int  # simulated planets and binaries, of which a verdict is asked
    n_slow: int  # injections, and non-hosts, that a slow classifier is given
    slow_reliability: bool  # whether a slow classifier's reliability is measured too
    n_clear: int  # hosts that are occluded
    n_false: int  # non-hosts that are occluded
    step: int  # cadences from one hidden stretch to the next
    n_resamples: int  # of the bootstrap


LEVELS = {
    "quick": Level(400, 600, 300, 200, False, 4, 2, 8, 1000),
    "full": Level(100_000, 4000, 2000, 1000, True, 10, 5, 4, 1000),
}


def vet(compared, fits, suspect, seed=0, level="quick"):
    """Vet some `Compared`; the first of them also by occlusion.

    The first one's scores lie between 0 and 1, and its stars have both kinds of light curves: all
    are vetted with these. Of those stars, `fits` are the `TransitFit`, None where none was made,
    and `suspect`, ndarray of bool of shape (n_stars,), marks non-hosts whose label is suspect.

    Returns `metrics.json["vetting"]`, a dict, and a dict of arrays that the figures need beside it.
    """
    settings, main = LEVELS[level], compared[0]
    # All hosts, and held-out non-hosts in random order, so that the first are a sample of all.
    others = np.flatnonzero(~main.stars.is_host & (main.stars.split != "train"))
    others = np.random.default_rng([seed, 0]).permutation(others)[: settings.n_others]
    chosen = np.append(np.flatnonzero(main.stars.is_host), others)
    stars, fits, suspect = main.stars.select(chosen), [fits[i] for i in chosen], suspect[chosen]
    quiet, is_suspect = stars.select(~stars.is_host), suspect[~stars.is_host]
    treated = treat_stars(stars, seed)
    rng = np.random.default_rng([seed, 1])
    injected = draw_injections(quiet, settings.n_injections, main.classifier.campaign, rng)

    completeness, reliability, drawn = [], [], {}
    for classifier, *_ in compared:
        names = {"network": classifier.name, "light_curves": classifier.light_curves}
        few = slice(settings.n_slow if classifier.is_slow else None)
        score, planets = classifier.score(quiet.select(few)), injected.select(few)
        recovered = classifier.score(planets.stars)
        row = measure_completeness(classifier.threshold, score, recovered, planets, is_suspect[few])
        completeness.append(names | row)
        if not classifier.is_slow or settings.slow_reliability:
            scored = {name: classifier.score(treated[name]) for name in TREATMENTS}
            for which, kept in _choose_samples(classifier, stars).items():
                y, of_kept = stars.y[kept], {name: s[kept] for name, s in scored.items()}
                row = measure_reliability(y, of_kept, seed, settings.n_resamples)
                reliability.append(names | {"stars": which} | row)
                drawn.setdefault(classifier.key, {"y": y, "treated": of_kept})  # larger sample

    unseen, drawn = main.is_unseen()[chosen], drawn[main.classifier.key]
    occlusion, drawn["occluded"] = occlude_clearest(
        main.classifier, stars.select(unseen), main.score[chosen][unseen],
        [fits[i] for i in np.flatnonzero(unseen)],
        settings.n_clear, settings.n_false, settings.step,
    )  # fmt: skip
    systems = draw_systems(quiet, settings.n_systems, main.classifier.campaign, rng)
    judged = main.classifier.judge(systems.stars)
    content = {
        "level": level,
        "seed": seed,
        "network": main.classifier.name,
        "injections": len(injected.snr),
        "held_out_non_hosts": len(quiet),
        "suspects": sorted(np.array(stars.names)[suspect].tolist()),
        "completeness": completeness,
        "systems": count_verdicts(systems, judged, main.classifier.threshold),
        "reliability": reliability,
        "occlusion": occlusion,
    }
    content["verdicts"] = judge(content)
    return content, drawn


def _choose_samples(classifier, stars):
    """Masks of the stars that its reliability is measured on, by name; the larger sample first."""
    samples = {"held-out stars": stars.split != "train"}
    if not classifier.learns_from_hosts:
        all_hosts = samples["held-out stars"] | stars.is_host
        samples = {"all hosts, held-out non-hosts": all_hosts} | samples
    return {name: kept for name, kept in samples.items() if len(np.unique(stars.y[kept])) == 2}


def judge(content):
    """The verdict of each test about each classifier, a list of dicts.

    `value` is None where undefined. `passed` is None there, and where a classifier has no skill to
    lose. `content` is that of `vet`, but for the verdicts.
    """
    verdicts = []

    def add(row, test, value, limit, passed, sentence):
        passed = None if value is None else bool(passed(value, limit))
        found = {"value": value, "limit": limit, "passed": passed, "sentence": sentence}
        names = {"network": row["network"], "light_curves": row["light_curves"], "test": test}
        verdicts.append(names | found)

    rows = {}
    for row in content["reliability"]:  # the larger of a classifier's samples comes first
        rows.setdefault((row["network"], row["light_curves"]), row)
    words = {"inverted": "flux upside down", "masked": "the dips masked"}
    for row in rows.values():
        for treatment, what in words.items():
            auc = row[treatment]["roc_auc"]
            sentence = (
                f"with {what}, {row['hosts']} hosts are told from {row['non_hosts']} non-hosts "
                f"with ROC AUC {auc:.2f} (before: {row['original']['roc_auc']:.2f}; {row['stars']})"
            )
            add(row, treatment, auc, MOST_WITHOUT_TRANSITS, np.less, sentence)
            # Without skill to begin with there is none to lose: that is no success.
            if verdicts[-1]["passed"] and row["original"]["roc_auc"] < MOST_WITHOUT_TRANSITS:
                verdicts[-1]["passed"] = None
    for row in content["completeness"]:
        cut = row["false_positives_1_percent"]
        deep = cut["above_20"]
        sentence = (
            f"of {deep['n']} injected planets above SNR {HIGH_SNR:g}, {deep['recovered']} are "
            f"recovered where {cut['false_positives']} of {cut['non_hosts']} non-hosts are called"
        )
        add(row, "recovery", deep["fraction"], LEAST_RECOVERED, np.greater_equal, sentence)
    clear = [r["share_in_transit"] for r in content["occlusion"] if r["label"] == 1]
    known = [share for share in clear if share is not None]
    # Undefined where a score rests on many shallow transits and on none in particular: it is named.
    value = float(np.mean(known)) if known else None
    sentence = "no host is clear enough to be occluded"
    if clear:
        each = ", ".join("undefined" if s is None else f"{s:.2f}" for s in clear)
        sentence = (
            f"share of the fall in transit score that lies within transits, clear hosts: {each}"
        )
    main = next(r for r in content["completeness"] if r["network"] == content["network"])
    add(main, "occlusion", value, LEAST_IN_TRANSIT, np.greater_equal, sentence)
    return verdicts
