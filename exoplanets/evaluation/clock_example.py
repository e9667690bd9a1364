"""An example of what the clock does: one star's dips, folded by column and on the clock."""

import numpy as np

from exoplanets.lightcurves.clock import find_cadences, find_measured
from exoplanets.lightcurves.detrend import detrend
from exoplanets.search import box
from exoplanets.stars import CADENCE_DAYS

N_LOOKED_AT = 6  # deepest stars, which are searched for a period
N_TRIALS = 401  # periods that are tried around that of the box search
DIPS = 0.01  # quantile of a light curve that stands for the depth of its dips


def find_example(stars, campaign):
    """Fold the star with the clearest periodic dips among the rows that the clock moves.

    Returns its name and its two folds, by column and on the clock, as `figures.clock.draw_clock`
    takes them. The list of folds is empty if there is no such star.
    """
    place = int(DIPS * stars.curves.shape[1])
    depth = np.partition(stars.curves, place, axis=1)[:, place]
    deepest = np.argsort(depth, kind="stable")
    cadences = find_cadences(stars.flux, campaign)
    moved = (cadences != np.arange(cadences.shape[1])).any(axis=1)
    tried = []
    for star in deepest[moved[deepest]][:N_LOOKED_AT]:
        # Columns beyond the grid of the campaign have no known time.
        flux = stars.flux[star, cadences[star] < campaign.n_cadences]
        measured = find_measured(flux)
        flux = detrend(np.where(measured, flux, np.nan)[np.newaxis])[0]
        times = cadences[star, : len(flux)] * CADENCE_DAYS
        search = box.search_star(flux, times)
        if not np.isnan(search.snr):
            tried.append((star, flux, measured, times, search))
    if not tried:
        return "", []
    star, flux, measured, *on_clock = max(tried, key=lambda each: each[-1].snr)
    columns = np.arange(len(flux)) * CADENCE_DAYS
    ways = (columns, box.search_star(flux, columns)), on_clock
    return stars.names[star], [fold_dips(flux, measured, *way) for way in ways]


def fold_dips(flux, measured, times, search):
    """Period of the dips, and phase and flux of the measured cadences; starts at a `box.Search`."""
    # The epoch is a dip in the middle of the time span: a change of period moves the others least.
    n_periods = np.round((np.median(times) - search.epoch) / search.period)
    epoch = search.epoch + search.period * n_periods
    period = refine_period(flux, times, search.period, epoch, search.duration)
    return period, find_phase(times, period, epoch)[measured], flux[measured]


def find_phase(times, period, epoch):
    """Phase of each time, from -0.5 to 0.5, 0 at the dips."""
    phase = (times - epoch) / period
    return phase - np.round(phase)


def refine_period(flux, times, period, epoch, duration):
    """The period within 0.2 % at which the mean flux of the dips is lowest, days."""
    trials = period * np.linspace(0.998, 1.002, N_TRIALS)
    inside = [np.abs(find_phase(times, trial, epoch)) * trial <= duration / 2 for trial in trials]
    return trials[np.argmin([flux[chosen].mean() for chosen in inside])]
