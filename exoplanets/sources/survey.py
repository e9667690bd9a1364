"""The simulated survey.

Where no real table can be had, `simulate` makes one: K2 Campaign 3 long-cadence light curves
(PDCSAP flux minus about its median, e-/s), hosts first. The sky in it is drawn by `sky`. It is
written like the real *file*, whose making tells hosts from non-hosts (`_write`); with
``leaks=False`` both are written alike.

Nothing is read or written::

    from exoplanets.sources import survey
    stars = survey.simulate(n_train=600, n_test=60, seed=1)
    time, flux = stars.light_curve("train", 0)  # one star with its own time

How hard the sky is was set by comparing it with 255 real stars (37 hosts), equalised as in step 3;
`tests/test_survey.py` holds more such numbers. In three surveys of that size:

=================================================== =============== ===============
of                                                  the real stars  the simulated
=================================================== =============== ===============
hosts above 5, 8, 15 of the box search's statistic  65, 32, 8 %     50, 30, 11 %
SNR of its best period, quartiles of hosts          6.9, 10.3, 15.4 5.0, 7.5, 12.3
depth in sigma, quartiles of the hosts above 5      2.2, 2.9, 5.9   1.9, 2.7, 3.9
non-hosts above 8, 15 (eclipsing binaries)          1.4, 0.5 %      1.5, 0.6 %
=================================================== =============== ===============
"""

from typing import NamedTuple

import numpy as np

from exoplanets.sources import sky
from exoplanets.stars import CADENCE_DAYS, HOST, NON_HOST
from exoplanets.transits import draw_lognormal

N_CADENCES = 3197
# Cadences, of 3197, that no star has, in the campaign of most stars and in another one. Their real
# counterparts share two thirds of these cadences and no systematics.
MISSING = (175, 158)
ELSEWHERE = 0.43  # fraction of hosts observed in the other campaign
LOST_MEDIAN, LOST_DEX, LOST_MOST = 12, 0.5, 85  # cadences one star lacks besides, of 3197
BLOCK = 128  # stars at a time: bounds memory and stays in the processor's cache


def _fill_forward(flux, missing):
    """Let each missing cadence repeat the last one measured; both (n, T)."""
    last = np.where(missing, 0, np.arange(flux.shape[1]))
    return np.take_along_axis(flux, np.maximum.accumulate(last, axis=1), axis=1)


def _less_median(flux):
    return flux - np.median(flux, axis=1, keepdims=True)


def _write(flux, lost, missing, n_cadences, how):
    """Light curves as the file has those of a "host" or a "non-host", or "alike"."""
    if how == "host":  # every missing cadence is filled; rounded last, to plain decimals
        # The median was taken with one cadence more than was kept, so few rows have exactly 0.
        filled = _fill_forward(flux, lost | missing)[:, : n_cadences + 1]
        return np.round(_less_median(filled)[:, :-1], 2)
    kept = np.flatnonzero(~missing)[:n_cadences]  # cadences that no star has are dropped
    if how == "alike":  # without a trace of the class: nothing lost or filled
        return np.round(_less_median(flux[:, kept]), 2)
    # Rounded first: the subtraction leaves float residue (-141.220000000001), and a median of
    # exactly 0 for an odd number of cadences. A star's own losses are filled.
    return _less_median(np.round(_fill_forward(flux[:, kept], lost[:, kept]), 2))


def _make_table(rng, campaigns, n_stars, n_hosts, n_cadences, leaks):
    """One table: flux (n_stars, n_cadences), labels and truth (n_stars,)."""
    stars = sky.draw_stars(rng, n_hosts, n_stars - n_hosts)
    n_here = n_hosts - int(ELSEWHERE * n_hosts)
    # No block holds both classes, or both campaigns.
    groups = (0, n_here), (n_here, n_hosts), (n_hosts, n_stars)
    stars["campaign"] = np.repeat([0, 1, 0], [last - first for first, last in groups])
    change = sky.draw_planets(rng, campaigns[0].time, stars, n_hosts)
    n_lost = np.minimum(draw_lognormal(rng, LOST_MEDIAN, LOST_DEX, n_stars), LOST_MOST)
    n_lost *= n_cadences / N_CADENCES

    table = np.empty((n_stars, n_cadences))
    starts = [start for first, last in groups for start in range(first, last, BLOCK)]
    for start, end in zip(starts, [*starts[1:], n_stars], strict=True):
        block, host = slice(start, end), start < n_hosts
        campaign = campaigns[stars["campaign"][start]]
        flux = sky.observe(rng, campaign, {name: values[block] for name, values in stars.items()})
        fragile = np.flatnonzero(campaign.fragile)
        odds = campaign.fragile[fragile] * n_lost[block, None]
        lost = np.zeros(flux.shape, dtype=bool)
        lost[:, fragile] = rng.random(odds.shape) < odds
        if host:
            flux += change[block]
        how = ("host" if host else "non-host") if leaks else "alike"
        table[block] = _write(flux, lost, campaign.missing, n_cadences, how)
    return table, np.repeat([HOST, NON_HOST], [n_hosts, n_stars - n_hosts]), stars


class Survey(NamedTuple):
    """Two tables of light curves, hosts first in each, and the truth about their stars."""

    train_flux: np.ndarray  # (n_stars, n_cadences), flux less its median, e-/s
    train_labels: np.ndarray  # (n_stars,), 2 for a host, 1 for a non-host
    test_flux: np.ndarray
    test_labels: np.ndarray
    # `truth["train"]`, `truth["test"]`: arrays of shape (n_stars,) by name, see `sky.draw_stars`
    # and `sky.draw_planets` (NaN for non-hosts), and `campaign`, 0 or 1. `truth["missing"]`: bool,
    # (2, T), the cadences that no star of campaign 0 and 1 has. `truth["leaks"]`: bool.
    truth: dict

    def find_times(self, table, row):
        """True time of every column of a star of the table "train" or "test", (n_cadences,).

        Days since the first cadence of the campaign, gaps included.
        """
        labels = self.train_labels if table == "train" else self.test_labels
        missing = self.truth["missing"][self.truth[table]["campaign"][row]]
        filled = self.truth["leaks"] and labels[row] == HOST
        cadences = np.arange(missing.size) if filled else np.flatnonzero(~missing)
        return cadences[: self.train_flux.shape[1]] * CADENCE_DAYS

    def light_curve(self, table, row):
        """Time (days) and flux (e-/s) of one star, as a telescope delivers them: (n_measured,).

        Only what was measured: no cadence that repeats the one before.
        """
        flux = (self.train_flux if table == "train" else self.test_flux)[row]
        measured = np.append(True, np.diff(flux) != 0)
        return self.find_times(table, row)[measured], flux[measured]


def simulate(
    n_train=5087, n_test=570, n_train_hosts=37, n_test_hosts=5, n_cadences=N_CADENCES, seed=0,
    leaks=True,
):  # fmt: skip
    """Simulate both tables: a `Survey` of so many stars, and hosts among them.

    With `leaks`, hosts and non-hosts are written differently, as in the real file; without, the
    same stars are written alike. The same arguments give the same bytes, another size other stars.
    ValueError if a table would lack a class, or a light curve be shorter than a day.
    """
    if n_cadences < 48:
        raise ValueError(f"n_cadences must be at least 48 (one day), not {n_cadences}")
    sizes = {"train": (n_train, n_train_hosts), "test": (n_test, n_test_hosts)}
    for name, (n_stars, n_hosts) in sizes.items():
        if not 0 < n_hosts < n_stars:
            rule = f"must leave stars of both classes among n_{name} = {n_stars}, not {n_hosts}"
            raise ValueError(f"n_{name}_hosts {rule}")
    streams = [np.random.default_rng(child) for child in np.random.SeedSequence(seed).spawn(3)]
    missing = [round(n * n_cadences / N_CADENCES) for n in MISSING]
    n_total = n_cadences + missing[0]
    campaigns = [sky.draw_campaign(streams[0], n_cadences, n, n_total) for n in missing]
    train = _make_table(streams[1], campaigns, *sizes["train"], n_cadences, leaks)
    test = _make_table(streams[2], campaigns, *sizes["test"], n_cadences, leaks)
    missing = np.stack([campaign.missing for campaign in campaigns])
    truth = {"train": train[2], "test": test[2], "missing": missing, "leaks": leaks}
    return Survey(*train[:2], *test[:2], truth)
