"""Modes: the light curves that all stars of a campaign share, learnt from the stars themselves.

Pointing, focus and temperature move the flux of all stars together, each star's by its own amount.
What they share are the leading right singular vectors of the table of light curves, as are the
cotrending basis vectors of the Kepler pipeline [1]_ [2]_. The part of each light curve that they
explain is taken out. Some cadences are still bad for all stars then: the scatter over stars is
large there. At others many stars dim or brighten at once, more than planets explain: no transit can
be trusted there, as in the vetting of Kepler's last catalogue [3]_.

* No mode is one star's: light curves are clipped, and a mode has to hold more variance than a table
  of noise gives to a mode. A single star holds less.
* No star alone makes a cadence bad: at each cadence the star farthest out does not count.
* A dip does not bend the fit: what the fit leaves is clipped, and fitted again.
* A star that shares nothing is left as it is: the modes have to explain more of it than the same
  modes do when they are shifted in time.

References
----------
.. [1] Twicken et al. 2010, Proc. SPIE 7740, 77401U (presearch data conditioning).
.. [2] Smith et al. 2012, PASP 124, 1000 (a maximum a posteriori fit of cotrending basis vectors).
.. [3] Thompson et al. 2018, ApJS 235, 38 ("skye": transits that cluster in time are false alarms).
"""

import numpy as np
from scipy.fft import next_fast_len, rfft
from scipy.ndimage import uniform_filter1d
from scipy.special import pdtrc
from threadpoolctl import threadpool_limits

from exoplanets.lightcurves.detrend import even_out, find_spread, map_blocks, map_rows

FEWEST_STARS = 50  # of fewer, what is shared cannot be told from what each star does
MOST_MODES = 64
CLIP = 4.0  # robust standard deviations of a light curve
CLIP_REST = 3.0  # ... and of what the modes leave of it
CLIP_SCATTER = 6.0  # ... and in the scatter of a cadence over stars
FITS = 2  # fits after the first, to rests clipped
EVENT = 5  # cadences (2.5 h); a star stands out where the mean of so many is high or low ...
STANDS_OUT = 6.0  # ... by so many robust standard deviations of such means
# A cadence is crowded if more stars stand out there than so many times the mean of all cadences,
# and more than one campaign in a hundred has at any cadence by chance.
TOO_MANY, BY_CHANCE = 5.0, 0.01
SPARE = 16  # vectors followed beyond MOST_MODES, so that the last modes converge too
PASSES = 6  # of the decomposition; after every second one the rests are clipped anew


def learn_shared(curves):
    """What many stars share: modes, scatter, and crowded cadences.

    The curves are those of `learn_modes`; see there, `find_shared_scatter` and `find_crowded`.
    """
    modes = learn_modes(curves)

    def find_rests(rows):
        return even_out(curves[rows] - find_shared(curves[rows], modes))

    rests = np.concatenate(map_blocks(find_rests, len(curves)))
    return modes, find_shared_scatter(rests), find_crowded(rests)


@threadpool_limits.wrap(1, "blas")
def learn_modes(curves):
    """Find the light curves that many stars share, orthonormal, (n_modes, n_cadences), float32.

    They are up to `MOST_MODES` singular vectors whose singular values exceed all that as many stars
    of white noise would have [2]_, by block power iteration [1]_ from random vectors. The curves,
    (n_stars, n_cadences), float32, are detrended, of robust standard deviation 1, on one clock. One
    thread is as fast as several, and keeps the last digits from depending on the number of cores.

    References
    ----------
    .. [1] Halko, Martinsson & Tropp 2011, SIAM Review 53, 217.
    .. [2] Marchenko & Pastur 1967, Math. USSR Sbornik 1, 457.
    """
    n_stars, n_cadences = curves.shape
    clipped = curves.clip(-CLIP, CLIP)
    n_vectors = min(MOST_MODES + SPARE, n_stars, n_cadences)
    vectors = np.random.default_rng(0).normal(size=(n_cadences, n_vectors)).astype(np.float32)
    of_noise = (1 + np.sqrt(n_stars / n_cadences)) ** 2
    for number in range(1, PASSES + 1):
        vectors, _ = np.linalg.qr(clipped.T @ (clipped @ vectors))
        loads, value, turn = np.linalg.svd(clipped @ vectors, full_matrices=False)
        energy = np.einsum("ij,ij->", clipped, clipped) / n_stars
        n_modes = np.count_nonzero(value[:MOST_MODES] ** 2 > energy * of_noise)
        modes = turn[:n_modes] @ vectors.T
        if number % 2 == 0 and number < PASSES:
            shared = (loads[:, :n_modes] * value[:n_modes]) @ modes
            clipped = shared + clip_rest(curves - shared)
    return modes


def clip_rest(rest):
    """Cut what the modes leave of each light curve at `CLIP_REST` robust standard deviations."""
    limit = CLIP_REST * find_spread(rest)
    return np.clip(rest, -limit, limit)


def find_shared(curves, modes):
    """The part of each light curve that the modes explain; both are as in `learn_modes`."""
    modes = modes.astype(curves.dtype)
    clipped = curves.clip(-CLIP, CLIP)
    fitted = multiply_rows(clipped, modes.T)
    for _ in range(FITS):
        shared = multiply_rows(fitted, modes)
        fitted = fitted + multiply_rows(clip_rest(curves - shared), modes.T)
    return find_evidence(clipped, fitted, modes) * multiply_rows(fitted, modes)


def multiply_rows(rows, matrix):
    """`rows @ matrix`, each row by itself, so that no row changes the bits of another.

    One product of matrices would be faster, and rounds a row as its place among the others has it.
    """
    return (rows[:, np.newaxis] @ matrix)[:, 0]


def find_evidence(curves, fitted, modes):
    """How far the modes are a star's own, as a column: from 0 to 1.

    0 where they explain no more of it than they would by chance, 1 from twice as much. By chance is
    the mean over all shifts of the modes in time (circular ones): by Parseval's theorem the sum
    over frequencies of the star's power times that of the modes.
    """
    n = next_fast_len(curves.shape[1], real=True)
    power = np.abs(map_rows(lambda rows: rfft(rows, n, axis=1), curves)) ** 2
    of_modes = np.sum(np.abs(rfft(modes, n, axis=1)) ** 2, axis=0)
    both_signs = np.where(2 * np.arange(len(of_modes)) % n == 0, 1, 2)
    by_chance = multiply_rows(power, (both_signs * of_modes)[:, np.newaxis])[:, 0] / n**2
    explained = np.einsum("ij,ij->i", fitted, fitted)
    return np.clip(explained / np.maximum(by_chance, 1e-100) - 1, 0, 1)[:, np.newaxis]


def find_shared_scatter(rests):
    """Scatter over stars of each cadence, over its median: above 1 where a cadence is bad for all.

    From the rests that the modes leave of many stars, robust standard deviation 1. At each cadence
    the star that is farthest out does not count: no single star makes a cadence bad for all others.
    """
    squares = rests.clip(-CLIP_SCATTER, CLIP_SCATTER) ** 2
    scatter = np.sqrt(squares.sum(axis=0) - squares.max(axis=0))
    return (scatter / np.median(scatter)).astype(np.float32)


def find_crowded(rests):
    """Cadences at which far more stars than usual dim or brighten: bool, (n_cadences,).

    From the rests that the modes leave of many stars, (n_stars, n_cadences). Without a label: the
    transits of a few hosts would have to fall together as often.
    """

    def count(rows):
        means = uniform_filter1d(rests[rows], EVENT, axis=1)
        return np.count_nonzero(np.abs(means) > STANDS_OUT * find_spread(means), axis=0)

    n_outstanding = np.sum(map_blocks(count, len(rests)), axis=0)
    usual = n_outstanding.mean()
    chance = pdtrc(n_outstanding - 1, usual)  # of as many, or more, in a Poisson distribution
    return (n_outstanding > TOO_MANY * usual) & (chance <= BY_CHANCE / rests.shape[1])
