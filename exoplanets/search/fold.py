"""Candidates: the periods at which the dips of a light curve repeat best.

The multiple-event statistic of the Kepler pipeline [1]_, in NumPy: nothing is learnt here. What the
network learns is which candidates are planets (`transit.py`).

References
----------
.. [1] Jenkins 2002, ApJ 575, 493.
.. [2] Staelin 1969, Proc. IEEE 57, 724: folding many periods by sums that they share.
"""

import functools
from typing import NamedTuple

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from exoplanets.search.events import LEAST, compress_events, find_place
from exoplanets.stars import CADENCE_DAYS


class PeriodRange(NamedTuple):
    """A range of trial periods."""

    step: int  # cadences between two trial epochs, over which events are averaged
    shortest: float  # trial period, days
    longest: float
    duration: int  # of `DURATIONS`: a transit lasts the longer, the longer its period
    fewest: int = 2  # transits in the light curve, at the longest trial period


SEARCHES = (
    PeriodRange(2, 0.55, 2.2, 5),
    PeriodRange(3, 2.2, 8.0, 7),
    PeriodRange(4, 8.0, 33.0, 7),
)
# Periods too long for a window: for them, a light curve longer than `LONGEST` is searched whole.
RARE = (PeriodRange(6, 33.0, np.inf, 11, fewest=3),)
N_RARE_DRIFTS = 5  # as `N_DRIFTS`, for these periods: their steps are longer
DRIFT = 3.0  # steps by which two neighbouring trial periods differ over the light curve
MOST = 3.5  # of an event in the search: no lone dip makes a period
APART = 0.012  # relative: candidates nearer than this in period are one
AT_A_TIME = 2000  # transits that are followed at a time: about what a processor's cache holds
# A followed period may be off by so many steps to either side: more where it is followed over a
# gap, in proportion to how far it is followed; too many would make planets of noise.
DRIFT_STEP = 2.0  # cadences, from first to last
N_DRIFTS, MOST_DRIFTS, DRIFTS_PER_RATIO = 3, 60, 0.7
# Without gaps, each pass follows a period over 2.52 times the span of the pass before.
GROWTH = 2.52
SHIFTS = np.arange(-3, 4)  # cadences that a followed epoch may be off
MARGIN = 7  # cadences beyond a light curve that these reach, and one more
LONGEST = 4000  # cadences (82 d) searched at once; longer light curves are searched in windows


class Candidates(NamedTuple):
    """Ephemerides; ndarrays with a row per candidate."""

    star: np.ndarray  # row of the light curve
    period: np.ndarray  # cadences
    epoch: np.ndarray  # cadences, the middle of any one transit
    duration: np.ndarray  # place in `DURATIONS`
    snr: np.ndarray  # a column per duration: sum of the events over the root of their number


class Plan(NamedTuple):
    """How a series of some length is folded; per trial period, shortest first."""

    periods: np.ndarray  # steps
    lags: list  # one and two periods, rounded so that the second holds
    cycles: list  # ndarrays, the first steps of all cycles, four after four
    # 1 / sqrt(number of events), 0 for fewer than two, and at how many phases, from the first on.
    scales: list

    def find_scale(self, i):
        """1 / sqrt(number of events) at every phase of trial period i, ndarray of float32."""
        return np.repeat(*self.scales[i])


@functools.lru_cache(maxsize=32)
def _plan(n_steps, shortest, longest, fewest=2):
    """The `Plan` for trial periods from `shortest` to `longest` steps; None if there are none."""
    longest = min(longest, n_steps / fewest)
    if longest <= shortest:
        return None
    n_periods = int(np.ceil(np.log(longest / shortest) / np.log1p(DRIFT / n_steps)))
    periods = shortest * (1 + DRIFT / n_steps) ** np.arange(n_periods)
    plan = Plan(periods, [], [], [])
    for period in periods:
        two = round(2 * period)
        fours = np.rint(np.arange(0, n_steps, 4 * period)).astype(int)
        cycles = (fours[:, None] + [0, two // 2, two, two + two // 2]).ravel()
        cycles = cycles[cycles < n_steps]
        n_phases = int(period) + 1
        ends = np.sort(n_steps - cycles)  # the first phase at which each cycle is over
        ends = ends[ends < n_phases]
        n_events = len(cycles) - np.arange(len(ends) + 1)
        scale = np.where(n_events > 1, 1 / np.sqrt(np.maximum(n_events, 1)), 0)
        plan.lags.append((two // 2, two))
        plan.cycles.append(cycles)
        plan.scales.append((scale.astype(np.float32), np.diff([0, *ends, n_phases])))
    return plan


def fold_series(series, plan):
    """Strength of every trial period: the largest, over phase, of the sum of events.

    Sums of four cycles are shared by neighbouring periods [2]_, and stars are side by side in
    memory, so that a fold is a few additions of long rows.

    Parameters
    ----------
    series : ndarray of shape (n_steps, n_stars), float32
    plan : Plan

    Returns
    -------
    ndarray of shape (n_periods, n_stars), float32
        Sum of the n events at the best phase over the root of n.
    """
    n_steps, n_stars = series.shape
    width = int(plan.periods[-1]) + 2
    padded = np.concatenate([series, np.zeros((2 * width + 1, n_stars), series.dtype)])
    # What begins after the last step is 0 and stays so.
    two, four = np.zeros_like(padded), np.zeros_like(padded)
    sums = np.empty((width, n_stars), series.dtype)
    strength = np.empty((len(plan.periods), n_stars), series.dtype)
    lags_now, n_fours = None, 0
    for i, (lags, cycles) in enumerate(zip(plan.lags, plan.cycles, strict=True)):
        firsts, scale = cycles[::4].tolist(), plan.find_scale(i)[:, np.newaxis]
        n_needed = n_steps if len(firsts) > 1 else len(scale)
        if lags != lags_now or n_needed > n_fours:
            n_twos = min(n_needed + lags[1], n_steps)
            np.add(padded[:n_twos], padded[lags[0] :][:n_twos], out=two[:n_twos])
            np.add(two[:n_needed], two[lags[1] :][:n_needed], out=four[:n_needed])
            lags_now, n_fours = lags, n_needed
        so_far, at_phase = four[: len(scale)], sums[: len(scale)]
        for first in firsts[1:]:
            so_far = np.add(so_far, four[first : first + len(scale)], out=at_phase)
        np.multiply(so_far, scale, out=at_phase)
        np.maximum.reduce(at_phase, axis=0, out=strength[i])
    return strength


def _find_phase(series, plan, i):
    """The phase, in steps, at which one star's events at trial period i are strongest.

    `series` shows the star's series from each of its steps on.
    """
    scale = plan.find_scale(i)
    return np.argmax(series[plan.cycles[i], : len(scale)].sum(axis=0) * scale)


def search_periods(events, n_best, searches=SEARCHES):
    """Search the events of light curves for periods.

    Parameters
    ----------
    events : ndarray of shape (n_stars, len(DURATIONS), n_cadences)
        See `events.find_events`.
    n_best : int
        Candidates per star.
    searches : tuple of PeriodRange

    Returns
    -------
    period, epoch : ndarray of shape (n_stars, n_best)
        Cadences.
    noise : ndarray of shape (n_stars, 3)
        Strength that 50, 10 and 1 % of the trial periods exceed.
    """
    n_stars, _, n = events.shape
    strengths, grids = [], []
    for step, shortest, longest, duration, fewest in searches:
        n_steps, unit = n // step, step * CADENCE_DAYS
        plan = _plan(n_steps, shortest / unit, longest / unit, fewest)
        if plan is None:
            continue
        its_events = events[:, find_place(duration), : n_steps * step].clip(LEAST, MOST)
        # The mean of a step: its maximum would make much of the noise beside a weak event.
        series = functools.reduce(np.add, [its_events[:, k::step] for k in range(step)]) / step
        strengths.append(fold_series(np.ascontiguousarray(series.T), plan))
        width = int(plan.periods[-1]) + 2
        padded = np.pad(series, ((0, 0), (0, width)))
        grids.append((sliding_window_view(padded, width, axis=1), step, plan))
    # All ranges compete, each trial period with its best phase.
    strength = np.concatenate(strengths).T
    trial = np.concatenate([plan.periods * step for _, step, plan in grids])
    ends = np.cumsum([len(plan.periods) for *_, plan in grids])
    places = (len(trial) * np.array([0.5, 0.9, 0.99])).astype(int)
    noise = np.partition(strength, places, axis=1)[:, places]
    log_trial = np.log(trial)
    period, epoch = np.empty((2, n_stars, n_best))
    for k in range(n_best):
        chosen = strength.argmax(axis=1)
        period[:, k] = trial[chosen]
        of_grid = np.searchsorted(ends, chosen, side="right")
        for star, grid in enumerate(of_grid.tolist()):
            series, step, plan = grids[grid]
            phase = _find_phase(series[star], plan, chosen[star] - ends[grid])  # from its end
            epoch[star, k] = (phase + 0.5) * step - 0.5
        # The next candidate is another period, not the flank of this one's peak.
        strength[np.abs(log_trial - log_trial[chosen][:, None]) < APART] = -np.inf
    return period, epoch, noise


def lay_side_by_side(events, measured):
    """Events as `follow` wants them: what it needs of a cadence, and of its neighbours, in a row.

    Parameters
    ----------
    events : ndarray of shape (n_stars, len(DURATIONS), n_cadences)
    measured : ndarray of bool of shape (n_stars, n_cadences)

    Returns
    -------
    ndarray of shape (n_stars, n_cadences + 2 MARGIN, len(DURATIONS) + 1), float32
        Events, compressed, and 1 to count them by; 0 where nothing was measured, also before the
        first and after the last cadence.
    """
    n_stars, n_durations, n = events.shape
    laid = np.zeros((n_stars, n + 2 * MARGIN, n_durations + 1), np.float32)
    laid[:, MARGIN:-MARGIN, :-1] = compress_events(events).transpose(0, 2, 1)
    laid[:, MARGIN:-MARGIN, -1] = measured
    return laid


def follow(laid, star, period, epoch, first, last, middle, n_drifts):
    """Sharpen ephemerides: the best period, epoch and duration near those given.

    Parameters
    ----------
    laid : ndarray of shape (n_stars, n_cadences + 2 MARGIN, len(DURATIONS) + 1)
        See `lay_side_by_side`.
    star, period, epoch : ndarray of shape (n,)
        As in `Candidates`.
    first, last : ndarray of shape (n,)
        The cadences of each star that count.
    middle : ndarray of shape (n,)
        The cadence around which a period drifts: of what it is known from.
    n_drifts : ndarray of int of shape (n,)
        Drifts that are tried to either side, a step of `DRIFT_STEP` cadences apart.

    Returns
    -------
    Candidates
    """
    n_stars, _, n_values = laid.shape
    near = sliding_window_view(laid.reshape(n_stars, -1), len(SHIFTS) * n_values, axis=1)
    near = near[:, ::n_values]  # a row for each cadence at which the shifts may begin
    # Cycles are counted from the given epoch: the first in the span, and how many there are.
    span = last - first
    cycle = np.ceil((first - epoch) / period).astype(int)
    n_cycles = np.floor((last - epoch) / period).astype(int) - cycle + 1
    # Those with many cycles first: what still has a cycle k is then a slice.
    order = np.argsort(-n_cycles, kind="stable")
    # A row that needs fewer has its outermost several times.
    drifts = np.arange(-n_drifts.max(), n_drifts.max() + 1)
    drifts = DRIFT_STEP * np.clip(drifts, -n_drifts[:, None], n_drifts[:, None])
    columns = (star, period, epoch, middle, span, cycle, n_cycles, drifts)
    star, period, epoch, middle, span, cycle, n_cycles, drifts = (c[order] for c in columns)
    total = np.zeros((*drifts.shape, len(SHIFTS) * n_values), np.float32)
    together = max(AT_A_TIME * (2 * N_DRIFTS + 1) // drifts.size, 1)
    for k in range(0, n_cycles[0], together):
        some = slice(np.searchsorted(-n_cycles, -k))  # that have a cycle k
        cycles = np.arange(k, k + together)
        middles = epoch[some, None] + (cycle[some, None] + cycles) * period[some, None]
        late = ((middles - middle[some, None]) / span[some, None])[:, :, None]
        late = late * drifts[some, None]
        place = np.rint(middles[:, :, None] + late).astype(int) + (MARGIN + SHIFTS[0])
        place = place.clip(0, near.shape[1] - 1)  # there is nothing at either end ...
        place[cycles >= n_cycles[some, None]] = 0  # ... nor where there is no cycle
        values = near[star[some, None, None], place]
        for cycle_values in values.swapaxes(0, 1):  # one by one: sums round as their order has it
            total[some] += cycle_values
    # The last value of each shift counts its events.
    total = total.reshape(*drifts.shape, len(SHIFTS), n_values)
    total, n_events = total[..., :-1], total[..., -1:]
    snr = np.where(n_events > 1, total / np.sqrt(np.maximum(n_events, 1)), LEAST)
    best = snr.reshape(len(star), -1).argmax(axis=1)
    drift, shift, duration = np.unravel_index(best, snr.shape[1:])
    row = np.arange(len(star))
    late, snr = drifts[row, drift] / span, snr[row, drift, shift]
    # A longer period moves the epoch away from the middle, about which it drifts.
    epoch = epoch + late * (epoch - middle) + SHIFTS[shift]
    back = np.argsort(order)
    return Candidates(
        *(column[back] for column in (star, period * (1 + late), epoch, duration, snr))
    )


def find_ephemerides(events, measured, n_best):
    """The strongest ephemerides of each light curve, of any length.

    Light curves longer than `LONGEST` are searched in windows, and as a whole for the periods that
    are too long for a window.

    Parameters
    ----------
    events : ndarray of shape (n_stars, len(DURATIONS), n_cadences)
        See `events.find_events`.
    measured : ndarray of bool of shape (n_stars, n_cadences)
        False in long gaps, where there is no event.
    n_best : int
        Candidates per star.

    Returns
    -------
    candidates : Candidates
        `n_best` rows per star, strongest first, stars in order.
    noise : ndarray of shape (n_stars * n_best, 3)
        Of the search that found each of them; see `search_periods`.
    """
    n_stars, _, n = events.shape
    laid = lay_side_by_side(events, measured)
    candidates, noise = _search_windows(events, measured, laid, n_best)
    if n > LONGEST and is_long(measured).any():
        rare, rare_noise = _search_rare(events, measured, laid, n_best)
        order = np.argsort(np.concatenate([candidates.star, rare.star]), kind="stable")
        both = map(np.concatenate, zip(candidates, rare, strict=True))
        candidates = Candidates(*(column[order] for column in both))
        noise = np.concatenate([noise, rare_noise])[order]
    chosen = _choose_best(candidates, n_stars, n_best)
    return Candidates(*(column[chosen] for column in candidates)), noise[chosen]


def _search_rare(events, measured, laid, n_best):
    """Candidates of a period too long for a window, and the noise of their search."""
    n_stars, _, n = events.shape
    period, epoch, noise = search_periods(events, n_best, RARE)
    star = np.repeat(np.arange(n_stars), n_best)
    first, last = np.zeros(len(star), int), np.full(len(star), n - 1)
    few = np.full(len(star), N_RARE_DRIFTS)
    found = follow(laid, star, period.ravel(), epoch.ravel(), first, last, last / 2, few)
    found.snr[~is_long(measured)[star]] = -np.inf  # others are chosen
    return found, noise[star]


def is_long(measured):
    """Whether each light curve was measured long enough for periods of `RARE`, (n_stars,)."""
    return measured.sum(axis=1) * CADENCE_DAYS > RARE[0].fewest * RARE[0].shortest


def _search_windows(events, measured, laid, n_best):
    """Candidates that show in a window of each light curve, and the noise of their search.

    What a window finds is followed through about twice as much of the light curve, the stronger
    half of it through twice as much again, and so on: noise weakens on the way, and a planet that
    is weak in each window does not. The noise is the mean over windows, each as if it had no gaps.
    """
    n_stars, _, n = events.shape
    n_windows = -(-n // LONGEST)
    length = -(-n // n_windows)
    firsts = np.linspace(0, n - length, n_windows).astype(int)
    windows, seen = (
        np.stack([values[..., first : first + length] for first in firsts], axis=1)
        for values in (events, measured)
    )
    period, epoch, noise = search_periods(windows.reshape(-1, *windows.shape[2:]), n_best)
    period = period.ravel()
    star = np.repeat(np.arange(n_stars), n_windows * n_best)
    first = np.tile(np.repeat(firsts, n_best), n_stars)
    epoch, last = epoch.ravel() + first, first + length - 1
    few = np.full(len(star), N_DRIFTS)
    followed = follow(laid, star, period, epoch, first, last, (first + last) / 2, few)
    while not np.all((first == 0) & (last == n - 1)):
        star, period, epoch, _, _ = followed
        earliest, latest = find_ends(measured, star, first, last)
        more = 3 * (last - first) // 4 + 1
        first, last = np.maximum(first - more, 0), np.minimum(last + more, n - 1)
        ends = find_ends(measured, star, first, last)
        # A candidate of nothing but gaps is known from nothing, and no drift makes it known.
        farther = (ends[1] - ends[0]) / np.where(latest > earliest, latest - earliest, np.inf)
        n_drifts = np.ceil(DRIFTS_PER_RATIO * farther).astype(int).clip(N_DRIFTS, MOST_DRIFTS)
        middle = np.where(farther > GROWTH, earliest + latest, first + last) / 2
        followed = follow(laid, star, period, epoch, first, last, middle, n_drifts)
        strength = followed.snr.max(axis=1).reshape(n_stars, -1)
        n_kept = max(strength.shape[1] // 2, min(2 * n_best, strength.shape[1]))
        kept = np.argsort(-strength, axis=1, kind="stable")[:, :n_kept]
        kept = (kept + np.arange(n_stars)[:, None] * strength.shape[1]).ravel()
        followed = Candidates(*(column[kept] for column in followed))
        first, last = first[kept], last[kept]
    # The sum of n events grows as the root of n, and so does that of a window with gaps.
    share = seen.mean(axis=2)
    noise = noise.reshape(n_stars, n_windows, -1) * np.sqrt(share)[:, :, np.newaxis]
    noise = noise.sum(axis=1) / share.sum(axis=1, keepdims=True)
    return followed, noise[followed.star]


def find_ends(measured, star, first, last):
    """The first and the last cadence measured, of those that count; see `follow`."""
    n = measured.shape[1]
    cadences = np.where(measured, np.arange(n), -1)
    latest = np.maximum.accumulate(cadences, axis=1)[star, last]
    cadences = np.where(measured, np.arange(n), n)
    earliest = np.minimum.accumulate(cadences[:, ::-1], axis=1)[:, ::-1][star, first]
    return earliest, latest


def _choose_best(candidates, n_stars, n_best):
    """Rows of the strongest candidates of each star, of different periods."""
    strength = candidates.snr.max(axis=1).reshape(n_stars, -1)
    period = candidates.period.reshape(strength.shape)
    chosen = np.empty((n_stars, n_best), int)
    for k in range(n_best):
        best = strength.argmax(axis=1)[:, None]
        chosen[:, k] = best[:, 0] + np.arange(n_stars) * strength.shape[1]
        near = np.abs(np.log(period / np.take_along_axis(period, best, axis=1))) < APART
        strength[near] -= 1e6  # of use only where there are too few other periods
        np.put_along_axis(strength, best, -np.inf, axis=1)
    return chosen.ravel()
