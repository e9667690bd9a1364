"""What the transit network is shown of a candidate: its numbers and its folded light curve."""

import functools
import os
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from exoplanets.search.events import DURATIONS, compress_events, find_events, find_place
from exoplanets.search.fold import SEARCHES, find_ephemerides
from exoplanets.stars import CADENCE_DAYS

BLOCK = 820_000  # cadences at a time (256 stars of 65 days): more leave the processor's cache
POINTS, REACH = 24, 3  # of a view: points, and transit durations it reaches to either side
DEEPEST, TALLEST = -12.0, 4.0  # of a light curve in a view, its standard deviations
LEAST_PERIOD = 0.9  # of the shortest trial period: candidates were followed a little from there
USUAL_DURATION = 5  # cadences, of `DURATIONS`, of the events that are counted
STRONG = 3.0  # scatters, of an event that is counted
VIEWS = ("all", "even", "odd", "half")  # transits, every second, the others, and half-way between
NUMBERS = (
    "snr",  # all events together: their sum over the root of their number
    "without_best",  # the same without the strongest event ...
    "without_two",  # ... without the strongest two ...
    "without_quarter",  # ... and without the strongest quarter of them
    "median_snr",  # the median event times the root of their number
    "weakest",  # the weakest event
    "chi_square",  # logarithm of the variance of the events
    "odd_even",  # difference of odd and even events over its error
    "weaker_parity",  # the weaker of odd and even events together
    "weaker_half",  # the weaker of those before and after the middle of the light curve
    "log_events",  # logarithm of the number of events
    "log_period",
    "log_duration",  # over the cube root of the period, as Kepler's third law has it
    *(f"snr_{duration}" for duration in DURATIONS),  # `snr` for each of them
    "noise_50",  # strength that half of the star's trial periods exceed ...
    "noise_10",  # ... a tenth ...
    "noise_1",  # ... a hundredth
    "other_dips",  # logarithm of the share of strong events that are not the candidate's ...
    "other_bumps",  # ... and of those that brighten
)


def _weaker(events, groups):
    """The weaker of two groups of events, each group's sum over the root of its number."""
    sums = [np.sum(events * g, axis=1) / np.sqrt(np.maximum(g.sum(axis=1), 1)) for g in groups]
    return np.minimum(*sums)


def _describe_events(events, used, is_odd, is_early):
    """The first ten of `NUMBERS`, of events (n, n_cycles) of which only some are there."""
    n_events, total = used.sum(axis=1), events.sum(axis=1)
    mean = total / n_events
    # Strongest first, so that sums of the strongest are at hand; what is not there comes last.
    falling = -np.sort(-np.where(used, events, -np.inf), axis=1)
    sums = np.cumsum(np.where(np.isfinite(falling), falling, 0), axis=1)

    def take(values, place):
        place = np.minimum(place, n_events - 1)
        return np.take_along_axis(values, place[:, None], axis=1)[:, 0]

    def leave_out(n_best):
        return (total - take(sums, n_best - 1)) / np.sqrt(np.maximum(n_events - n_best, 1))

    # A planet's odd and even transits are alike; two unlike stars eclipse each other by turns.
    even, odd = used & ~is_odd, used & is_odd
    n_even, n_odd = (np.maximum(parity.sum(axis=1), 1) for parity in (even, odd))
    difference = np.sum(events * even, axis=1) / n_even - np.sum(events * odd, axis=1) / n_odd
    squares = np.sum(used * (events - mean[:, None]) ** 2, axis=1)
    return [
        total / np.sqrt(n_events),
        leave_out(np.ones_like(n_events)),
        leave_out(np.full_like(n_events, 2)),
        leave_out(np.maximum(n_events // 4, 1)),
        take(falling, n_events // 2) * np.sqrt(n_events),
        take(falling, n_events - 1),
        np.log(0.1 + squares / np.maximum(n_events - 1, 1)),
        np.abs(difference) / np.sqrt(1 / n_even + 1 / n_odd),
        _weaker(events, (even, odd)),
        _weaker(events, (used & is_early, used & ~is_early)),
    ]


def describe_candidates(curves, events, measured, candidates, noise):
    """Numbers and views of candidates.

    Parameters
    ----------
    curves : ndarray of shape (n_stars, n_cadences)
        Equalised light curves, 0 where nothing was measured.
    events : ndarray of shape (n_stars, len(DURATIONS), n_cadences)
        See `events.find_events`.
    measured : ndarray of bool of shape (n_stars, n_cadences)
    candidates : fold.Candidates
    noise : ndarray of shape (n, 3)
        Of each candidate's search; see `fold.search_periods`.

    Returns
    -------
    numbers : ndarray of shape (n, len(NUMBERS)), float32
    views : ndarray of shape (n, POINTS, len(VIEWS)), float32
        Mean of the light curve around the transits, times the root of their number.
    """
    star, period, epoch, duration, snr = candidates
    n = curves.shape[1]
    # As many cycles whatever the periods: a sum rounds as the number of its terms has it.
    cycle = np.arange(int(n / (LEAST_PERIOD * SEARCHES[0].shortest / CADENCE_DAYS)) + 2)
    middles = np.rint((epoch % period)[:, None] + cycle * period[:, None]).astype(int)
    used = (middles < n) & measured[star[:, None], np.minimum(middles, n - 1)]
    used |= (middles < n) & ~used.any(axis=1, keepdims=True)  # a candidate of nothing but gaps
    n_events = used.sum(axis=1)
    # The event at each transit, of the duration that fits this candidate best.
    each = events[star[:, None], duration[:, None], np.minimum(middles, n - 1)]
    each = np.where(used, compress_events(each), 0)
    of_events = _describe_events(each, used, cycle % 2 == 1, middles < n / 2)

    # A row per transit: candidates differ too much in how many they have for a square table.
    # Beyond the light curves is 0, as far as any view reaches.
    beyond = REACH * max(DURATIONS) + int(period.max() / 2) + 2
    flux, plain = (
        np.pad(values, ((0, 0), (beyond, beyond)))
        for values in (np.clip(curves, DEEPEST, TALLEST), events[:, find_place(USUAL_DURATION)])
    )
    length = DURATIONS[duration]
    # The points of a view, in durations from the middle; as indices into all light curves in a row.
    offsets = (np.arange(POINTS) - (POINTS - 1) / 2) * 2 * REACH / POINTS
    candidate, k = np.nonzero(used)
    first = np.cumsum(n_events) - n_events
    middle = middles[candidate, k]
    around = np.rint(offsets * length[:, None]).astype(int)[candidate]
    around += (star[candidate] * flux.shape[1] + beyond + middle)[:, None]
    half_way = np.rint(middle + period[candidate] / 2).astype(int) - middle
    transits, between = flux.ravel()[around], flux.ravel()[around + half_way[:, None]]

    def add_up(rows, counted):
        """Mean of those rows of each candidate that count, times the root of their number."""
        n_counted = np.maximum(np.add.reduceat(counted, first), 1)
        return np.add.reduceat(rows * counted[:, None], first) / np.sqrt(n_counted)[:, None]

    odd = (k % 2).astype(np.float32)
    every = np.ones_like(odd)
    views = [
        add_up(transits, every),
        add_up(transits, 1 - odd),
        add_up(transits, odd),
        add_up(between, every),
    ]

    # Strong events that the candidate does not explain: a star of many dips is no planet's.
    near = plain.ravel()[around[:, np.abs(offsets) < 2]]

    def count_others(sign):
        strong = np.sum(sign * plain > STRONG, axis=1)[star]
        own = np.add.reduceat(np.sum(sign * near > STRONG, axis=1), first)
        own = own * length * 2 * REACH / POINTS  # cadences from one point to the next
        return np.log(
            1e-3 + np.maximum(strong - own, 0) / np.maximum(measured.sum(axis=1), 1)[star]
        )

    # Light curves of years have longer periods than any that taught the network.
    as_taught = np.minimum(period, SEARCHES[-1].longest / CADENCE_DAYS)
    numbers = [
        *of_events,
        np.log(n_events),
        np.log(as_taught / 100),
        np.log(length) - np.log(as_taught) / 3,
        *snr.T,
        *noise.T,
        count_others(1),
        count_others(-1),
    ]
    return np.stack(numbers, axis=1).astype(np.float32), np.stack(views, axis=2).astype(np.float32)


def find_features(curves, n_best):
    """The best candidates of light curves, described.

    Parameters
    ----------
    curves : ndarray of shape (n_stars, n_cadences)
        Equalised light curves, NaN in long gaps.
    n_best : int
        Candidates per star.

    Returns
    -------
    numbers : ndarray of shape (n_stars, n_best, len(NUMBERS)), float32
    views : ndarray of shape (n_stars, n_best, POINTS, len(VIEWS)), float32
    ephemerides : ndarray of shape (n_stars, n_best, 3)
        Period, epoch and duration, days; the epoch counts from the first cadence.
    """
    size = max(BLOCK // curves.shape[1], 1)
    blocks = [curves[start : start + size] for start in range(0, len(curves), size)]
    # NumPy releases the interpreter while it works; more threads than cores only fight for it.
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        done = list(pool.map(functools.partial(_find_block, n_best=n_best), blocks))
    return tuple(np.concatenate(parts) for parts in zip(*done, strict=True))


def _find_block(curves, n_best):
    """Features of so few light curves that a processor's cache holds what is made of them."""
    measured = np.isfinite(curves)
    curves = np.nan_to_num(curves)
    events = find_events(curves, measured)
    candidates, noise = find_ephemerides(events, measured, n_best)
    _, period, epoch, duration, _ = candidates
    ephemerides = np.stack([period, epoch, DURATIONS[duration]], axis=1) * CADENCE_DAYS
    features = *describe_candidates(curves, events, measured, candidates, noise), ephemerides
    return [part.reshape(len(curves), n_best, *part.shape[1:]) for part in features]
