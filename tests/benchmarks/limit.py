"""How near the search comes to what physics allows: planets recovered at 1 % false alarms.

    python tests/benchmarks/limit.py --data-dir DIR [--curves 1000] [--seeds 0 1 2] [--tls]
    python tests/benchmarks/limit.py --data-dir DIR --steps

White noise is laid out as the rows of the table, and planets of the transit model are put into it.
There an ideal search is known: boxes, folded at every period. Real noise is that of the non-hosts
of the data directory; half of them teach the network, and the other half is judged. Every search
has the threshold that one in a hundred light curves without a planet passes. Prints a row per kind
of noise and search, the mean over seeds, and draws `limit.png` in `--plots-dir`. `--tls` needs
`pip install transitleastsquares`. `--steps` shows instead what equalising costs: the ideal search
on white noise after each of its steps, and no network.
"""

import argparse
import sys
from collections import defaultdict
from concurrent.futures import ProcessPoolExecutor
from itertools import pairwise
from pathlib import Path
from unittest import mock

import matplotlib.pyplot as plt
import numpy as np
from recovery import search_tls
from scipy import sparse

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from exoplanets.classifiers.transit import Transit
from exoplanets.evaluation.completeness import draw_dips, find_false_positive_threshold
from exoplanets.figures.style import house_style, save_figure
from exoplanets.files import run
from exoplanets.lightcurves import equalise
from exoplanets.lightcurves.campaign import learn_campaign
from exoplanets.lightcurves.clock import find_cadences, place
from exoplanets.lightcurves.detrend import find_spread
from exoplanets.lightcurves.equalise import equalise_table
from exoplanets.lightcurves.injection import SUN_LIKE, inject
from exoplanets.search import box
from exoplanets.search.features import NUMBERS, find_features
from exoplanets.sources import kaggle
from exoplanets.stars import CADENCE_DAYS, Stars

SNR_EDGES = (5, 6, 7, 8, 10, 12, 16)
N_BEST = 6  # candidates, of which the best is taken
# The ideal search: trial periods, days; hours by which the last transit is late from one of them to
# the next; and lengths of its boxes, in tenths of the duration in front of a star like the Sun.
PERIODS, DRIFT_HOURS, BOXES = (0.68, 21.0), 1.25, range(4, 14)


def search_ideally(flux, days):
    """Statistic of the best box of each light curve of white noise, ndarray of shape (n_stars,).

    The statistic is what is missing in the box, over the root of the number of its cadences. Flux
    has unit variance, (n_stars, n_cadences), and all light curves have the same times, days.
    """
    best, lost = np.zeros(len(flux), np.float32), -flux.T.astype(np.float32)
    step = DRIFT_HOURS / 24 / np.ptp(days)
    for log_period in np.arange(*np.log(PERIODS), step):
        period = np.exp(log_period)
        n_bins = int(period ** (2 / 3) / SUN_LIKE * 10)
        place = ((days / period) % 1 * n_bins).astype(int)
        cadence = np.ones(len(days), np.float32), (place, np.arange(len(days)))
        folded = sparse.csr_array(cadence, shape=(n_bins, len(days))) @ lost
        # The sum of a box is a difference of running sums; a box goes on over the orbit's end.
        sums = np.cumsum(np.concatenate([folded, folded[: BOXES[-1]]]), axis=0)
        counts = np.bincount(place, minlength=n_bins)
        counts = np.cumsum(np.concatenate([counts, counts[: BOXES[-1]]]))
        for length in BOXES:
            scale = 1 / np.sqrt(np.maximum(counts[length:] - counts[:-length], 1), dtype="f4")
            np.maximum(best, ((sums[length:] - sums[:-length]) * scale[:, None]).max(0), out=best)
    return best


def make_planets(flux, cadences, n_planets, rng):
    """Raw flux and cadences of stars with a planet each, and its signal-to-noise ratio."""
    star = np.resize(rng.permutation(len(flux)), n_planets)
    snr = np.exp(rng.uniform(*np.log([SNR_EDGES[0], SNR_EDGES[-1]]), n_planets))
    dips = [draw_dips(times, rng)[0] for times in cadences[star] * CADENCE_DAYS]
    raw = [inject(*each)[0] for each in zip(flux[star].astype(float), dips, snr, strict=True)]
    return np.stack(raw), cadences[star], snr


def make_searches(with_tls):
    """The searches: a function from equalised light curves to a statistic each, by name."""

    def find_best_snr(curves):
        return find_features(curves, N_BEST)[0][:, :, NUMBERS.index("snr")].max(axis=1)

    def search_with_tls(curves):
        with ProcessPoolExecutor() as pool:
            return np.array(list(pool.map(search_tls, curves)))

    searches = {
        "best snr of its candidates": find_best_snr,
        "box least squares": lambda curves: box.search(curves).statistic,
    }
    return searches | ({"transitleastsquares": search_with_tls} if with_tls else {})


def score_rows(network, flux, cadences, equalised):
    """Scores of the rows of a table that could be equalised, ndarray of shape (n_kept,)."""
    rows = equalised.rows
    return network.score(
        Stars(
            table=np.full(len(rows), "test"),
            row=rows,
            is_host=np.zeros(len(rows), bool),
            flux=flux[rows],
            cadence=cadences[rows],
            curves=equalised.curves,
        )
    )


def find_shares(without, planets, snr):
    """Share recovered in each bin of `SNR_EDGES`, from the statistics of both kinds of curves."""
    recovered = planets >= find_false_positive_threshold(without)
    bins = np.digitize(snr, SNR_EDGES[1:-1])
    return [recovered[bins == i].mean() for i in range(len(SNR_EDGES) - 1)]


def follow_steps(flux, cadences, campaign):
    """Light curves after each step of equalising, by name, on the cadences that are kept."""
    placed, _ = place(flux, campaign, cadences)
    flat = equalise.flatten(placed, campaign)
    even = equalise.even_noise(flat, campaign)
    with mock.patch.object(equalise, "REDNESS", 0):  # an ideal search is one in white noise
        white = equalise.recolour(even)
    steps = {"gaps": placed, "flattened": flat, "noise evened out": even, "whitened": white}
    kept = {name: np.nan_to_num(c)[:, ~campaign.missing] for name, c in steps.items()}
    return {name: curves / find_spread(curves) for name, curves in kept.items()}


def measure_steps(stars, n_curves, seed):
    """What `measure` does, of the ideal search after each step of `follow_steps`."""
    rng = np.random.default_rng(seed)
    campaign = learn_campaign(stars.flux[stars.table == "train"])
    flux = rng.normal(size=(n_curves, stars.flux.shape[1]))
    cadences = find_cadences(flux, campaign)
    raw, planet_cadences, snr = make_planets(flux, cadences, n_curves, rng)
    tables = (flux, cadences), (raw, planet_cadences)
    without, planets = (follow_steps(*table, campaign) for table in tables)
    days = np.flatnonzero(~campaign.missing) * CADENCE_DAYS
    shares = {}
    for name in without:
        both = (search_ideally(curves[name], days) for curves in (without, planets))
        shares["white", name] = find_shares(*both, snr)
    return shares


def measure(stars, n_curves, seed, with_tls):
    """The share recovered in each bin of `SNR_EDGES`, by noise and search."""
    rng = np.random.default_rng(seed)
    campaign = learn_campaign(stars.flux[stars.table == "train"])
    taught, unseen = np.array_split(rng.permutation(np.flatnonzero(~stars.is_host)), 2)
    network = Transit(campaign=campaign)
    network.fit(stars.select(taught), None, seed)
    noises = {
        "white": rng.normal(size=(n_curves, stars.flux.shape[1])),
        "real": stars.flux[unseen],
    }
    shares = {}
    for noise, flux in noises.items():
        cadences = find_cadences(flux, campaign)
        raw, planet_cadences, snr = make_planets(flux, cadences, n_curves, rng)
        tables = (flux, cadences), (raw, planet_cadences)
        curves = [equalise_table(flux, campaign, cadences) for flux, cadences in tables]
        found = {}
        if noise == "white":
            days = cadences[0] * CADENCE_DAYS
            without, planets = (search_ideally(flux, days) for flux, _ in tables)
            found["ideal search"] = without, planets[curves[1].rows]
        found["transit network"] = [
            score_rows(network, *table, c) for table, c in zip(tables, curves, strict=True)
        ]
        for name, search in make_searches(with_tls).items():
            found[name] = [search(c.curves) for c in curves]
        for name, both in found.items():
            shares[noise, name] = find_shares(*both, snr[curves[1].rows])
    return shares


@house_style()
def draw_limit(shares):
    """Share recovered against the signal-to-noise ratio; a panel per kind of noise."""
    figure, axes = plt.subplots(1, 2, figsize=(8, 3.2), sharey=True, layout="constrained")
    middles = [np.sqrt(low * high) for low, high in pairwise(SNR_EDGES)]
    names = list(dict.fromkeys(name for _, name in shares))
    for axis, noise in zip(axes, ("white", "real"), strict=True):
        for (its_noise, name), values in shares.items():
            if its_noise == noise:
                axis.plot(middles, values, "o-", color=f"C{names.index(name)}", label=name)
        axis.set(title=f"{noise} noise", xlabel="SNR of the planet (dimensionless)", ylim=(0, 1.02))
    axes[0].set_ylabel("share recovered at 1 % false alarms")
    axes[0].legend(fontsize=7)
    return figure


def main(argv=None):
    """Run the benchmark; see the module."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data-dir", type=Path, default=ROOT / "data")
    parser.add_argument("--plots-dir", type=Path, default=ROOT / "plots")
    parser.add_argument("--curves", type=int, default=1000, help="of each kind, with and without")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--tls", action="store_true")
    parser.add_argument("--steps", action="store_true")
    args = parser.parse_args(argv)
    stars, provenance = kaggle.load(args.data_dir)
    every = defaultdict(list)
    for seed in args.seeds:
        if args.steps:
            found = measure_steps(stars, args.curves, seed)
        else:
            found = measure(stars, args.curves, seed, args.tls)
        for key, values in found.items():
            every[key].append(values)
    shares = {key: np.mean(values, axis=0) for key, values in every.items()}
    print(f"{'':34s}" + "".join(f"{f'{low}-{high}':>7s}" for low, high in pairwise(SNR_EDGES)))
    for (noise, name), values in shares.items():
        print(f"{noise + ', ' + name:34s}" + "".join(f"{value:7.2f}" for value in values))
    if not args.steps:
        save_figure(draw_limit(shares), args.plots_dir / "limit.png", provenance)


if __name__ == "__main__":
    run(main)
