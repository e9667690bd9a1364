"""What is said of a star: one record of numbers, with units in the names.

Numbers stay numbers until `score_file` writes them. A number that is not known is NaN. Each number
is rounded once, when the record is made, to the digits of the file: Python, the file, and a run
that goes on from the file hold the same numbers.
"""

import dataclasses
import functools
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from exoplanets.scoring.own_stars import Star
from exoplanets.search.ephemeris import Ephemeris
from exoplanets.search.fit import TransitFit

NAN = float("nan")
DIGITS = {  # of a number, as Python's `format` takes them; "" keeps all
    "score": ".6f", "probability": ".6f", "prevalence": ".6g", "threshold": "",
    "transit_score": ".6f", "planet_score": ".6f", "period_days": ".6f",
    "period_error_days": ".3g", "epoch_days": ".6f", "epoch_error_days": ".3g",
    "duration_hours": ".6g", "depth_ppm": ".6g", "depth_error_ppm": ".3g", "radius_ratio": ".5g",
    "impact": ".4g", "n_transits": ".0f", "odd_even_sigma": ".4g", "secondary_ppm": ".6g",
    "secondary_sigma": ".4g", "secondary_phase": ".4f", "snr": ".6g", "n_cadences": ".0f",
}  # fmt: skip


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class Signal:
    """Dips of a star that repeat, and what the network says of them."""

    score: float  # of being a host, 0 to 1
    probability: float = NAN  # of being a host, if `prevalence` is the share of hosts
    prevalence: float = NAN
    called: bool  # whether `score >= threshold`
    threshold: float
    verdict: str  # one of `verdict.VERDICTS`
    transit_score: float = NAN  # that the dips repeat, 0 to 1
    planet_score: float = NAN  # planet rather than eclipsing binary, given dips, 0 to 1
    period_days: float = NAN
    period_error_days: float = NAN
    epoch_days: float = NAN  # middle of a transit, as the star's times count
    epoch_error_days: float = NAN
    duration_hours: float = NAN
    depth_ppm: float = NAN
    depth_error_ppm: float = NAN
    radius_ratio: float = NAN  # of the planet over that of the star
    impact: float = NAN  # impact parameter, in radii of the star
    n_transits: float = NAN  # that were measured
    odd_even_sigma: float = NAN  # difference of odd and even depths, in standard errors
    secondary_ppm: float = NAN  # depth of the secondary eclipse ...
    secondary_sigma: float = NAN  # ... in standard errors
    secondary_phase: float = NAN  # ... and where it is, 0 to 1
    snr: float = NAN  # signal-to-noise ratio of the transits
    fit: TransitFit | None = None  # no column: all that was measured, kept for folds and pages

    def __post_init__(self):
        for name, digits in DIGITS.items():
            value = getattr(self, name, NAN)  # a signal has no `n_cadences`
            if value == value and name != "n_cadences":
                object.__setattr__(self, name, float(format(float(value), digits)))

    @property
    def ephemeris(self):
        """Period, epoch, duration (days) and depth (ppm) as an `Ephemeris`; NaN if unknown."""
        return Ephemeris(
            self.period_days, self.epoch_days, self.duration_hours / 24, self.depth_ppm
        )

    @property
    def has_period(self):
        """Whether a period is known."""
        return bool(np.isfinite(self.period_days))


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class Result(Signal):
    """The row of a star; its signal is the clearest one. Attributes are columns of `scores.csv`."""

    name: str
    n_cadences: int  # that were measured and are used
    network: str  # first digits of the SHA-256 of its file
    campaign: str = ""  # the like of the campaign whose shared light curves were taken out
    light_curve: str = ""  # the like of flux and times
    notes: str = ""  # what was done to the light curve
    more: tuple = ()  # of `Signal`: further ones, the clearest first
    star: Star | None = None  # kept for folds
    page: Callable | None = None  # draws the star's page: from a `Result` to a Figure

    def __reduce__(self):
        # What draws the page holds a network, which cannot be sent to another process.
        names = [name for name in self.__dataclass_fields__ if name != "page"]
        return functools.partial(Result, **{name: getattr(self, name) for name in names}), ()

    @property
    def signals(self):
        """All signals of the star: this one, and further ones if several were asked for."""
        return (self, *self.more)

    def with_page(self, page):
        """The same result, whose page this function draws."""
        return dataclasses.replace(self, page=page)

    def fold(self, number=1):
        """The light curve folded at the period of a signal.

        Parameters
        ----------
        number : int
            Which of `signals`, from 1.

        Returns
        -------
        hours : ndarray of shape (n_measured,)
            Time from the middle of the nearest transit, increasing.
        ppm : ndarray of shape (n_measured,)
            Flux as read less its trend around the transits, in parts per million of the star's
            level; in the unit of the flux where it has no level.

        Raises
        ------
        ValueError
            If the star has no such signal, or its signal no period.
        """
        if self.star is None:
            raise ValueError(f"the light curve of '{self.name}' was not kept: score it once more")
        if not 1 <= number <= len(self.signals):
            raise ValueError(f"'{self.name}' has {len(self.signals)} signals: there is no {number}")
        if not self.signals[number - 1].has_period:
            raise ValueError(f"'{self.name}' cannot be folded: no period of it is known")
        signal = self.signals[number - 1]
        known = np.isfinite(signal.fit.detrended)  # also without the transits of signals before it
        flux = signal.fit.detrended[known] * (1 if self.star.level is None else 1e6)
        days, ppm = signal.ephemeris.fold(self.star.days[known], flux)
        return 24 * days, ppm

    def plot(self):
        """The page of the star: light curve, what the score rests on, folds.

        Returns
        -------
        matplotlib.figure.Figure
            Neither saved nor closed.

        Raises
        ------
        ValueError
            If the star was not scored by `exoplanets.score` or `score_many`.
        """
        if self.page is None:
            raise ValueError(f"'{self.name}' can be drawn by `exoplanets.score`: score it again")
        return self.page(self)


SIGNAL_COLUMNS = tuple(field.name for field in dataclasses.fields(Signal) if field.name != "fit")
COLUMNS = (
    "name", *SIGNAL_COLUMNS, "n_cadences", "network", "campaign", "light_curve", "notes",
)  # fmt: skip
