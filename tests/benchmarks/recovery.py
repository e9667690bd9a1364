"""Planets recovered at 1 % false positives: the transit network beside a practitioner's tools.

    pip install transitleastsquares wotan   # for this benchmark only
    python tests/benchmarks/recovery.py --data-dir DIR [--planets 200] [--no-tls]

Half of the non-hosts teach the network; planets of the transit model, periodic in true time, are
injected into the other half, which sets the thresholds too. Signal-to-noise ratios are log-uniform
from 6 to 60, periods from 0.7 to 22 d, at least two transits. Box least squares and
transitleastsquares are given the same equalised curves; and, after `wotan`, the file as it is:
columns taken for time, as its users do.
"""

import argparse
import sys
import warnings
from concurrent.futures import ProcessPoolExecutor
from itertools import pairwise
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from exoplanets.classifiers.transit import TransitSettings, make_scorer, train_transit
from exoplanets.lightcurves.campaign import learn_campaign
from exoplanets.lightcurves.clock import find_cadences
from exoplanets.lightcurves.equalise import equalise_table
from exoplanets.lightcurves.injection import count_dips, inject
from exoplanets.search import box
from exoplanets.sources import kaggle
from exoplanets.stars import CADENCE_DAYS
from exoplanets.transits import draw_planet, transit_flux

SNR_EDGES = (6, 8, 12, 20, 60)
PERIODS = (0.7, 22.0)  # days
BINS = list(pairwise(SNR_EDGES))
FALSE_POSITIVES = 0.01
DIP = 2e-4  # relative flux of one standard deviation of an equalised curve, for tools that want it
TALLEST = 4.0  # standard deviations; brightenings are cut there


def inject_planets(flux, campaign, n_planets, rng):
    """Planets in raw flux: the flux, the true cadences, and the signal-to-noise ratios."""
    star = np.resize(rng.permutation(len(flux)), n_planets)
    cadences = find_cadences(flux, campaign)[star]
    snr = np.exp(rng.uniform(*np.log([SNR_EDGES[0], SNR_EDGES[-1]]), n_planets))
    raw = flux[star].astype(float)
    for i, times in enumerate(cadences * CADENCE_DAYS):
        while True:
            dip = 1 - transit_flux(times, **draw_planet(rng, period_range=PERIODS))
            if dip.max() > 0 and count_dips(dip) >= 2:
                break
        raw[i], _ = inject(raw[i], dip / dip.max(), snr[i])
    return raw, cadences, snr


def flatten(flux):
    """The file as it is, column after column, flattened with wotan's biweight; sigma units."""
    from wotan import flatten as wotan_flatten

    times = np.arange(len(flux)) * CADENCE_DAYS
    level = 1e3 * np.median(np.abs(np.diff(flux)))  # the file has no level: any large one does
    flat = wotan_flatten(times, 1 + flux / level, method="biweight", window_length=1.0)
    rest = np.nan_to_num(flat - 1)
    return rest / (1.4826 * np.median(np.abs(rest)))


def search_tls(curve):
    """Signal detection efficiency of transitleastsquares, columns taken for time."""
    from transitleastsquares import transitleastsquares

    times = 1 + np.arange(len(curve)) * CADENCE_DAYS
    flux = 1 + np.minimum(curve, TALLEST).astype(float) * DIP
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        result = transitleastsquares(times, flux, np.full(len(flux), DIP)).power(
            use_threads=1, show_progress_bar=False, period_min=0.6, period_max=25, n_transits_min=2
        )
    return float(np.nan_to_num(result.SDE))


def report(name, on_stars, on_planets, snr):
    """Print a row: the share recovered, in all and by signal-to-noise ratio."""
    allowed = max(1, int(FALSE_POSITIVES * len(on_stars)))
    recovered = on_planets > np.sort(on_stars)[-allowed - 1]
    bins = np.digitize(snr, SNR_EDGES[1:-1])
    shares = " ".join(f"{np.mean(recovered[bins == i]):6.2f}" for i in range(len(SNR_EDGES) - 1))
    print(f"{name:44s} {np.mean(recovered):6.2f} {shares}", flush=True)


def main():
    """Run the benchmark; see the module."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data-dir", type=Path, default=ROOT / "data")
    parser.add_argument("--planets", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--no-tls", action="store_true")
    args = parser.parse_args()
    rng = np.random.default_rng(args.seed)
    stars, _ = kaggle.load(args.data_dir)
    campaign = learn_campaign(stars.flux[stars.table == "train"])
    others = rng.permutation(np.flatnonzero(~stars.is_host))
    taught, unseen = np.array_split(others, 2)
    flux = stars.flux[unseen]
    raw, cadences, snr = inject_planets(flux, campaign, args.planets, rng)
    on_clock = [
        equalise_table(flux, campaign).curves,
        equalise_table(raw, campaign, cadences).curves,
    ]
    counts = [int(np.sum((snr >= low) & (snr < high))) for low, high in BINS]
    print(f"{len(unseen)} unseen non-hosts; planets by SNR {SNR_EDGES}: {counts}")
    print(f"{'':44s} {'all':>6s} " + " ".join(f"{low:>3d}-{high:<2d}" for low, high in BINS))
    model, _ = train_transit(stars.flux[taught], TransitSettings(), args.seed, campaign)
    find = make_scorer(model).find
    report("transit network", *(find(curves).transit_score for curves in on_clock), snr)
    report("box least squares, equalised", *(box.search(c).statistic for c in on_clock), snr)
    if args.no_tls:
        return
    as_it_is = [np.stack([flatten(star) for star in rows]) for rows in (flux, raw)]
    report(
        "wotan and box least squares, file as it is",
        *(box.search(c).statistic for c in as_it_is),
        snr,
    )
    with ProcessPoolExecutor() as pool:
        for name, both in (("equalised", on_clock), ("after wotan, file as it is", as_it_is)):
            statistics = [np.array(list(pool.map(search_tls, curves))) for curves in both]
            report(f"transitleastsquares, {name}", *statistics, snr)


if __name__ == "__main__":
    main()
