"""A trained network and what scoring needs of its file, which is checked before it is used."""

import functools
import hashlib
import json
import math
import zipfile
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import NamedTuple

import numpy as np

from exoplanets.evaluation import metrics
from exoplanets.files import DataError, quiet
from exoplanets.lightcurves.campaign import Campaign
from exoplanets.stars import describe

LAYOUT = 9  # raised whenever the same network measures the same star otherwise
LARGEST_TEXT = 1 << 20  # bytes of `scoring.json`, unpacked; ours has 4,000
LARGEST_FILE = 1 << 28  # bytes of all that a model file holds, unpacked; ours has 4 million
LARGEST_CALIBRATION = 1e6  # slope and offset
PLAIN_THRESHOLD = 0.5  # of a classifier that has none


class Network(NamedTuple):
    """A trained transit network and what scoring needs."""

    # From equalised light curves (n_stars, n_cadences), NaN in gaps, to scores (n_stars,) or
    # `transit.Dips`.
    score: Callable
    threshold: float  # a star is called a host if `score >= threshold`
    calibration: tuple | None  # slope and offset of the logit of the probability; `metrics`
    prevalence: float | None  # share of hosts among the stars that the calibration stands for
    name: str  # see `name_file`
    trained_on: dict | None = None  # provenance of the light curves; None if not recorded
    campaign: Campaign | None = None  # of those light curves
    # From features of orbits (n, N_FEATURES) to planet scores (n,); None if it does not tell
    # planets from binaries.
    judge: Callable | None = None

    def find_probability(self, score, prevalence=None):
        """Probability that a star of this score is a host, and the prevalence that it holds for.

        `prevalence` is the share of hosts among all such stars; None for that of the calibration.
        Another one changes the odds by the ratio of the prior odds (Bayes' theorem). What is not
        known is NaN.
        """
        prevalence = self.prevalence if prevalence is None else prevalence
        if self.calibration is None:
            return np.nan, np.nan
        slope, offset = self.calibration
        if None not in (prevalence, self.prevalence):
            offset += metrics.logit(prevalence) - metrics.logit(self.prevalence)
        probability = float(metrics.calibrate(score, slope, offset))
        return probability, np.nan if prevalence is None else prevalence


def name_file(path):
    """First digits of the SHA-256 of a file and, behind a point, the `LAYOUT` of this code."""
    return f"{hashlib.sha256(Path(path).read_bytes()).hexdigest()[:12]}.{LAYOUT}"


def read_scoring(path):
    """What a model file says about scoring, checked; TensorFlow is not needed for it.

    Returns a dict with `threshold`, `calibration` (None if it has none), `prevalence` (the same)
    and `trained_on`. DataError if the file is missing or damaged, would unpack to more than
    `LARGEST_FILE`, or holds a value of a wrong type or out of its range.
    """
    again = "train one with `python cnn_classifier.py`, or give another --model"
    try:
        with zipfile.ZipFile(path) as archive:
            sizes = {member.filename: member.file_size for member in archive.infolist()}
            is_bomb = sum(sizes.values()) > LARGEST_FILE
            if is_bomb or sizes.get("scoring.json", 0) > LARGEST_TEXT:
                raise DataError(f"'{path}' would unpack to {sum(sizes.values()):,} bytes: {again}")
            scoring = json.loads(archive.read("scoring.json"))
    except FileNotFoundError:
        raise DataError(f"'{path}' is missing: {again}") from None
    except (OSError, EOFError, KeyError, ValueError, zipfile.BadZipFile, RuntimeError) as error:
        raise DataError(f"'{path}' is no transit network of this project: {again}") from error
    checked = _check_scoring(scoring) if isinstance(scoring, dict) else "is no dict"
    if isinstance(checked, str):
        raise DataError(f"'{path}' cannot score: its scoring.json {checked}; {again}")
    return checked


def _check_scoring(scoring):
    """The checked values, or a text that says what is wrong."""
    threshold, prevalence = scoring.get("threshold"), scoring.get("prevalence")
    if not _is_number(threshold, 0, 1):
        return f"has the threshold {threshold!r:.40}, which is no number from 0 to 1"
    calibration = scoring.get("calibration")
    if calibration is not None:
        is_pair = isinstance(calibration, list) and len(calibration) == 2
        limits = -LARGEST_CALIBRATION, LARGEST_CALIBRATION
        if not (is_pair and all(_is_number(value, *limits) for value in calibration)):
            return f"has the calibration {calibration!r:.40}, which is not two numbers"
    if prevalence is not None and not (_is_number(prevalence, 0, 1) and 0 < prevalence < 1):
        return f"has the prevalence {prevalence!r:.40}, which is no number between 0 and 1"
    provenance = scoring.get("provenance", {})
    data = provenance.get("data") if isinstance(provenance, dict) else provenance
    try:
        if data is not None or not isinstance(provenance, dict):
            describe(data)
    except (KeyError, TypeError, AttributeError):
        return "has a provenance that does not name its light curves"
    return {
        "threshold": float(threshold),
        "calibration": calibration and tuple(map(float, calibration)),
        "prevalence": prevalence,
        "trained_on": data,
    }


def _is_number(value, low, high):
    """Whether a value of JSON is a number in a range; True is none, and NaN is in no range."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return is_number and low <= value <= high


def is_simulated(trained_on):
    """Whether a network was trained on simulated stars, by its provenance."""
    return bool(trained_on) and trained_on.get("source") == "simulated"


def load_network(path):
    """The network of a model file; see `transit.load_transit`. DataError if it cannot be used."""
    checked = read_scoring(path)
    return _load_model(Path(path), name_file(path))._replace(**checked)


@functools.lru_cache(maxsize=4)
def _load_model(path, name):
    """The network of a model file, loaded once as long as its bytes, and so its name, are those."""
    # Here, for it starts TensorFlow, which takes seconds.
    with quiet():
        from exoplanets.classifiers import keras_tools
        from exoplanets.classifiers.transit import load_transit, make_scorer

    keras_tools.start()
    model, scoring = load_transit(path)
    campaign = scoring.get("campaign")
    find, judge = make_scorer(model)
    return Network(find, np.nan, None, None, name, campaign=campaign, judge=judge)


def wrap_classifier(classifier):
    """A `Network` of any classifier of equalised light curves.

    `classifier` is a function from light curves, ndarray of shape (n_stars, n_cadences) with 0,
    their median, in gaps, to scores, ndarray of shape (n_stars,); or an object with a method
    `score` of `Stars`, as in `classifiers/base.py`, that reads their `curves` alone. Its
    `threshold` counts if it has one. It is not calibrated.
    """
    ask = classifier
    if not callable(classifier):
        if not hasattr(classifier, "score"):
            kind = type(classifier).__name__
            raise ValueError(f"a model is a file, a function or has a method `score`, not a {kind}")

        def ask(curves):
            return classifier.score(SimpleNamespace(curves=curves))

    def score(curves):
        return np.asarray(ask(np.nan_to_num(curves)), float)

    threshold = getattr(classifier, "threshold", None)
    threshold = PLAIN_THRESHOLD if threshold is None else float(threshold)
    if not math.isfinite(threshold):
        raise ValueError(f"the model has the threshold {threshold}: give it a number")
    name = getattr(classifier, "name", "") or getattr(classifier, "__name__", "classifier")
    return Network(score, threshold, None, None, str(name), {"description": "not recorded"})
