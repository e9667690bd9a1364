"""What every classifier has in common: a name, settings, `fit`, `score` and a threshold.

A new classifier is one file with a subclass of `Classifier` and one line in `registry.py`. It then
appears in the results table, the cross-validation, the vetting and the figures.

Throughout, a star is called a host if `score >= threshold`.
"""

import copy
import dataclasses
import math

import numpy as np
from scipy.special import expit, logit, ndtr


def setting(default, text, low=-math.inf, high=math.inf, choices=None):
    """A hyper-parameter: a field of `Settings` with default, help of its flag, and range.

    Both ends of the range are allowed, and meant for each element of a tuple; a text has `choices`.
    """
    metadata = {"help": text, "low": low, "high": high, "choices": choices}
    return dataclasses.field(default=default, metadata=metadata)


def check_setting(field, value):
    """Raise a ValueError if a value is out of the range of a `setting` (a dataclass field).

    Its message is the rest of a sentence that begins with the setting's name.
    """
    _, low, high, choices = field.metadata.values()
    if choices:
        if value not in choices:
            raise ValueError(f"must be {' or '.join(choices)}, not '{value}'")
    elif not (low <= value <= high and math.isfinite(value)):  # a NaN fails both comparisons
        raise ValueError(f"must lie between {low:g} and {high:g}, not {value:g}")


@dataclasses.dataclass(frozen=True)
class Settings:
    """Hyper-parameters of a classifier; a subclass is a frozen dataclass, a `setting` per line.

    A value out of its range raises a ValueError that names the setting, the range and the value.
    """

    def __post_init__(self):
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            values = value if isinstance(value, tuple) else (value,)
            if not values:
                raise ValueError(f"{field.name} must have at least one value")
            for each in values:
                try:
                    check_setting(field, each)
                except ValueError as error:
                    raise ValueError(f"{field.name} {error}") from None


class Classifier:
    """Something that gives each star a score; a subclass has its own `score` and perhaps `fit`."""

    name = ""  # in the results table, such as "transit"
    light_curves = "equalised"  # the kind that it reads; or "distributed"
    settings_class = None  # its subclass of `Settings`; each setting becomes a flag
    learns_from_hosts = False  # if so, the vetting leaves out the hosts of the fit stars
    columns = ("score",)  # of `judge`
    is_slow = False  # if a star takes so long that the vetting gives it fewer stars
    color = None  # in every figure; None takes one from a cycle
    file = None  # its name in the data directory; None if it is not saved

    def __init__(self, settings=None, campaign=None):
        self.settings = settings or (self.settings_class and self.settings_class())
        # A `campaign.Campaign`, clock and shared systematics of the stars: what a classifier needs
        # that injects transits into raw flux and equalises the result by itself.
        self.campaign = campaign
        self.threshold = None  # set by `tune` ...
        self.threshold_interval = None  # ... with the 95 % interval of what other stars would give
        self.history = None  # set by `fit`: a DataFrame, a row per epoch, with a column `epoch`

    @property
    def key(self):
        """(name, light_curves): what tells two classifiers of a comparison apart."""
        return self.name, self.light_curves

    def copy(self):
        """Another one with the same settings, to be fitted to other stars."""
        other = copy.copy(self)
        other.threshold = other.threshold_interval = other.history = None
        return other

    def fit(self, stars, validation, seed):
        """Learn from some `Stars`; `validation` are others, which may stop it. Returns itself."""
        return self

    def score(self, stars):
        """Score `Stars`: ndarray of shape (n_stars,), float64, finite; the higher, the likelier."""
        raise NotImplementedError

    def judge(self, stars):
        """All that it says of `Stars`, a column each of `columns`: (n_stars, n_columns)."""
        return self.score(stars)[:, np.newaxis]

    def tune(self, y, score, weight_of_others=1.0):
        """Set the threshold; a non-host stands for so many stars (a number, or one of each star).

        What learns from hosts takes the highest F1 (`tune_threshold`), as the study does; all else
        a threshold that other stars would hardly change (`tune_stable_threshold`).
        """
        if self.learns_from_hosts:
            self.threshold = tune_threshold(y, score)
        else:
            stable = tune_stable_threshold(y, score, weight_of_others)
            self.threshold, self.threshold_interval = stable[0], list(stable[1:])
        return self

    def save(self, path, scoring):
        """Save it with what scoring needs, a JSON-ready dict; called only where `file` is given."""
        raise NotImplementedError


N_RESAMPLES = 400  # of the stars, for a stable threshold
N_CUTS = 400  # that are tried
LEAST_SCORE = 1e-6  # and 1 less it: what is nearer to 0 or 1 counts as this
# The tail of non-hosts: a tenth of them, or twenty if that is more, but then two fifths at most.
SHARE_IN_TAIL, FEWEST_IN_TAIL, MOST_IN_TAIL = 0.1, 20, 0.4


def _count_hosts(place, draws, cuts):
    """How many hosts of each draw lie above each cut, (n_draws, n_cuts): each is a Gaussian."""
    width = max(place.std() * len(place) ** -0.2, 1e-9)
    return draws @ ndtr((place[:, np.newaxis] - cuts) / width)


def _count_others(place, draws, cuts):
    """How many non-hosts of each draw lie above each cut, (n_draws, n_cuts).

    From the start of the tail on they thin out exponentially, at the rate that the draw shows.
    """
    n = len(place)
    n_tail = round(max(SHARE_IN_TAIL * n, min(FEWEST_IN_TAIL, MOST_IN_TAIL * n)))
    start = np.sort(place)[n - 1 - n_tail]
    beyond = (place - start).clip(0)
    in_tail = draws @ (beyond > 0)
    mean_beyond = (draws @ beyond / np.maximum(in_tail, 1)).clip(1e-9)
    tail = np.exp(-(cuts - start).clip(0) / mean_beyond[:, np.newaxis])
    body = draws @ (place[:, np.newaxis] >= cuts)
    return np.where(cuts > start, in_tail[:, np.newaxis] * tail, body)


def tune_stable_threshold(y, score, weight_of_others=1.0):
    """A threshold of high F1 that other stars would hardly change, and its 95 % interval.

    Stars are drawn anew within their class, again and again. Each host counts as a small Gaussian
    around its score (a smoothed bootstrap [1]_). The highest of few non-hosts says little of how
    high others are. So the highest tenth of them is taken for an exponential tail (peaks over a
    threshold [2]_): at least 20, or two fifths if they are fewer than 50. The threshold is the mean
    of the cuts of highest F1, one of each draw; the interval holds 95 % of them, and that mean.
    Scores between 0 and 1 are compared as log-odds.

    Parameters
    ----------
    y, score : ndarray of shape (n_stars,)
        1 for a host; finite.
    weight_of_others : float or ndarray of shape (n_stars,)
        How many non-hosts each of these stands for.

    Returns
    -------
    threshold, low, high : float

    References
    ----------
    .. [1] Efron & Tibshirani 1993, An Introduction to the Bootstrap, 16.5; Scott's bandwidth.
    .. [2] Coles 2001, An Introduction to Statistical Modeling of Extreme Values, chapter 4.
    """
    y, score = np.asarray(y) == 1, np.asarray(score, float)
    if not y.any():
        raise ValueError("a threshold cannot be tuned without a host")
    if not np.isfinite(score).all():
        raise ValueError(f"{np.sum(~np.isfinite(score))} of {len(score)} scores are not finite")
    in_odds = score.min() >= 0 and score.max() <= 1
    place = logit(score.clip(LEAST_SCORE, 1 - LEAST_SCORE)) if in_odds else score
    weight_of_others = np.broadcast_to(weight_of_others, y.shape)
    cuts, rng = np.linspace(place.min(), place.max(), N_CUTS), np.random.default_rng(0)

    def draw(mine, count):
        n = np.count_nonzero(mine)
        return count(place[mine], rng.multinomial(n, np.full(n, 1 / n), N_RESAMPLES), cuts)

    hits = draw(y, _count_hosts)
    called = hits.copy()
    for each in np.unique(weight_of_others[~y]):  # what has another weight, by itself
        called += each * draw(~y & (weight_of_others == each), _count_others)
    f1 = 2 * hits / (called + y.sum())
    # Classes that lie apart have many cuts that are equally good: the mean of these.
    ties = f1 >= f1.max(axis=1, keepdims=True) - 1e-9
    best = ties @ cuts / ties.sum(axis=1)
    middle, (low, high) = best.mean(), np.percentile(best, [2.5, 97.5])
    numbers = np.array([middle, min(low, middle), max(high, middle)])
    # Log-odds and back again may round past the highest score, which would then not be called.
    return tuple((expit(numbers) if in_odds else numbers).clip(score.min(), score.max()).tolist())


def tune_threshold(y, score):
    """The threshold that maximises F1: the middle of the widest gap between best cuts, a float.

    It lies half-way between the lowest score called a host and the next one below, or is the lowest
    score itself if all are called. `y` (1 for a host) and `score` are ndarrays of shape (n_stars,).
    ValueError if there is no host, or a score is not finite: NaN would win every comparison.
    """
    y, score = np.asarray(y) == 1, np.asarray(score, float)
    if not y.any():
        raise ValueError("a threshold cannot be tuned without a host")
    if not np.isfinite(score).all():
        raise ValueError(f"{np.sum(~np.isfinite(score))} of {len(score)} scores are not finite")
    order = np.argsort(-score, kind="stable")
    value, hits = score[order], np.cumsum(y[order])
    last = np.append(np.flatnonzero(np.diff(value)), len(value) - 1)  # of each run of ties
    f1_of_cut = 2 * hits[last] / (last + 1 + y.sum())
    below = np.append(value[last[:-1] + 1], value[-1])
    best = np.flatnonzero(f1_of_cut == f1_of_cut.max())
    widest = best[np.argmax((value[last] - below)[best])]
    called, next_below = value[last[widest]], below[widest]
    middle = (called + next_below) / 2
    return float(middle if middle > next_below else called)  # neighbouring floats have no middle
