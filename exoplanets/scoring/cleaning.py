"""What no star can have, taken out of a light curve before anything is measured on it.

Impossible flux (1e12 in a star of 1e4), values that stand for "missing" (0 in a star of 210000),
times far from all others, and magnitudes, which are flux upside down.
"""

import dataclasses

import numpy as np

from exoplanets.files import DataError
from exoplanets.lightcurves.detrend import find_median, find_spread, find_trend
from exoplanets.lightcurves.gaps import fill_gaps

# A value is impossible if it is farther from the median than both. A flare of 10 times the flux is
# possible, also in a star that scatters by 1e-5 and whose median was subtracted.
FARTHEST_SPREAD = 1e6  # robust standard deviations
FARTHEST_LEVEL = 100.0  # median fluxes
# A flux that is this many times its scatter above 0 is never exactly 0.
LEAST_LEVEL = 5.0
SMALLEST, LARGEST = 1e-12, 1e12  # of a light curve's greatest flux; its square has to fit float32

# Robust standard deviations above the trend. No transit needs such cadences, and whitening would
# smear them over all others.
FLARE = 30.0
MOST_FLARES = 0.02  # of all cadences; with more, it is what the star always does

STRAY_GAP = 5.0  # days without a sample on both sides ...
MOST_TOGETHER = 10  # ... of so few samples: they are strays
MOST_STRAY = 0.02  # of all samples; with more, the times are not those of one light curve

MAGNITUDES = (3, 25)  # of stars that have light curves
SMALL_SCATTER = 0.75  # magnitudes from one sample to the next; the flux of so faint a star has more
DIFFERENTIAL = 2.0  # magnitudes: those relative to another star, or to their median, are smaller
MOST_FILLS = 0.1  # share of values that stand for "missing"; of flux about 0, half are below
CENTRAL = (0.02, 0.98)  # quantiles; what lies outside may be a value that stands for "missing"
FARTHEST_MAGNITUDE = 8.0  # from the median: a factor of 1600


def find_impossible(flux):
    """True where the flux of a light curve is no star's: infinite, absurdly far, or a fill value.

    Flux (n_samples,) is in any linear unit, with NaN where missing. A fill value stands for
    "missing": 0, or a negative value that is there more than once, where the star's flux is well
    above 0. Eclipses and flares stay, see `FARTHEST_SPREAD` and `FARTHEST_LEVEL`.
    """
    impossible = np.isinf(flux)
    known = np.flatnonzero(np.isfinite(flux))
    values = flux[known]
    if values.size < 2:
        return impossible
    with np.errstate(over="ignore"):
        median = find_median(values)[0]
        deviation = np.abs(values - median)
        spread = 1.4826 * find_median(deviation)[0]
        farthest = max(FARTHEST_SPREAD * spread, FARTHEST_LEVEL * abs(median))
    if farthest > 0:
        impossible[known] = deviation > farthest
    if median > LEAST_LEVEL * spread:
        low = known[values <= 0]
        _, place, count = np.unique(flux[low], return_inverse=True, return_counts=True)
        impossible[low] |= (flux[low] == 0) | (count[place] > 1)
    return impossible


def clean_flux(flux):
    """Flux without what is impossible, in a unit in which float32 loses nothing.

    Returns the flux (n_samples,), the number of values left out, and a note on the unit, or "".
    """
    impossible = find_impossible(flux)
    flux = np.where(impossible, np.nan, flux)
    greatest = np.nanmax(np.abs(flux), initial=0)
    if greatest == 0 or SMALLEST <= greatest <= LARGEST:
        return flux, int(impossible.sum()), ""
    power = -int(np.frexp(greatest)[1])  # a power of 2: no digit changes
    return np.ldexp(flux, power), int(impossible.sum()), f"flux multiplied by 2^{power}"


def find_flares(flux):
    """True for cadences of flares, which are far above the trend; see `FLARE`.

    Flux (n_cadences,) has a value every 29.4 minutes, and NaN in gaps; at least `SHORTEST` values.
    """
    known = np.isfinite(flux)
    curve = fill_gaps((flux - flux[known].mean()).astype(np.float32)[np.newaxis])
    rest = (curve - find_trend(curve))[0]
    flares = known & (rest > FLARE * find_spread(rest[known]))
    return flares if flares.mean() <= MOST_FLARES else np.zeros(flux.size, bool)


def find_stray(time):
    """True for samples whose times are far from all others, such as 0 among Julian dates.

    Times (n_samples,) are in days and increase; see `STRAY_GAP`.
    """
    edges = np.flatnonzero(np.diff(time) > STRAY_GAP) + 1
    sizes = np.diff([0, *edges, time.size])
    stray = np.repeat(sizes <= MOST_TOGETHER, sizes)
    return stray if stray.sum() <= max(1, MOST_STRAY * time.size) else np.zeros(time.size, bool)


def to_flux(samples, magnitudes=None):
    """`Samples` with flux in place of magnitudes; for `magnitudes` see `own_stars.read_stars`.

    DataError if they cannot be magnitudes, or if nobody has said whether they are.
    """
    values = samples.flux[np.isfinite(samples.flux)]
    if values.size < 2 or samples.kind == "flux":
        return samples
    median = np.median(values)
    if magnitudes or (magnitudes is None and samples.kind == "magnitudes"):
        wrong = np.abs(samples.flux - median) > FARTHEST_MAGNITUDE
        wrong |= (samples.flux == 0) & (median > MAGNITUDES[0])
        if not -40 < median < 40 or wrong.mean() > 0.5:
            raise DataError(
                f"has values from {values.min():g} to {values.max():g}: they are no magnitudes"
            )
        with np.errstate(over="ignore"):
            flux = 10 ** (-0.4 * (samples.flux - median))
        notes = (*samples.notes, "magnitudes turned into relative flux")
        return dataclasses.replace(samples, flux=np.where(wrong, np.inf, flux), notes=notes)
    if magnitudes is None and _may_be_magnitudes(values, median, samples.kind == "unnamed"):
        raise DataError(
            f"has values around {median:.4g} that may be magnitudes: add --magnitudes if they "
            "are, --flux if they are not"
        )
    return samples


def _may_be_magnitudes(values, median, unnamed):
    """Whether values that their file does not name may be magnitudes, of a star or differential."""
    if not 0 < np.median(np.abs(np.diff(values))) < SMALL_SCATTER:
        return False
    low, high = np.quantile(values, CENTRAL)
    if unnamed and -DIFFERENTIAL < low < 0 < high < DIFFERENTIAL:
        return True
    return MAGNITUDES[0] < median < MAGNITUDES[1] and np.mean(values <= 0) < MOST_FILLS
