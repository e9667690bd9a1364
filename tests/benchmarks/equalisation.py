"""What equalising does for a transit, and what it takes from the leaks: the trade, as a table.

    python tests/benchmarks/equalisation.py --data-dir DIR  # your stars; else simulated ones

Clock, modes, scatter and crowded cadences are learnt on four fifths of the stars, without labels,
and used on the rest, in five folds. For each variant:

* signal-to-noise ratio of box transits injected into raw flux at true times, over that of the first
  variant: median and tenth percentile over stars; of the white filter matched to what is left of
  the injection, once with the robust spread of its output and once with its 99.9th percentile (what
  false alarms rest on) as noise;
* the ROC AUC of hosts against non-hosts of the noise-colour probes, of the lines, and of the
  adversary (0.5 tells nothing).
"""

import argparse
import sys
import tempfile
from pathlib import Path
from unittest import mock

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from exoplanets.evaluation import metrics
from exoplanets.evaluation.adversary import score_alike
from exoplanets.lightcurves import equalise, probes
from exoplanets.lightcurves.campaign import Campaign, learn_campaign
from exoplanets.lightcurves.clock import find_cadences, find_clock, find_measured, put_on_grid
from exoplanets.lightcurves.detrend import find_spread
from exoplanets.lightcurves.injection import find_scatter
from exoplanets.sources import kaggle
from exoplanets.stars import CADENCE_DAYS, describe

SNR = 12  # of the injections, in the raw flux
PERIODS, HOURS = (0.9, 20.0), (1.5, 6.0)  # days, and duration
N_FOLDS = 5
MOST_STARS = 1000  # more would change little


def without(campaign, found, clock=True, modes=True, scatter=True, crowded=True):
    """A campaign, of the clock `found`, less some of what it is."""
    n = campaign.n_cadences
    nothing = np.zeros(n, bool)
    missing = campaign.missing if crowded else found.missing
    return Campaign(
        campaign.lost if clock else nothing,
        missing if clock else nothing,
        campaign.modes if modes else campaign.modes[:0],
        campaign.scatter if scatter else np.ones(n, np.float32),
        campaign.n_stars,
    )


VARIANTS = {  # arguments of `without`
    "columns as cadences": {"clock": False, "modes": False, "scatter": False},
    "clock": {"modes": False, "scatter": False, "crowded": False},
    "clock, modes": {"scatter": False, "crowded": False},
    "clock, modes, scatter": {"crowded": False},
    "... and crowded cadences left out (used)": {},
}


def draw_dips(rng, n_stars, n_cadences):
    """Box transits with short slopes on the grid of true time, 1 at the deepest."""
    times, dips = np.arange(n_cadences) * CADENCE_DAYS, np.empty((n_stars, n_cadences))
    for dip in dips:
        period = np.exp(rng.uniform(*np.log(PERIODS)))
        duration = rng.uniform(*HOURS) / 24
        away = np.abs((times - rng.uniform(0, period)) % period - period / 2)
        dip[:] = np.clip((duration / 2 - away) / (0.15 * duration) + 0.5, 0, 1)
    return dips


def inject(flux, dips, cadences):
    """Raw flux with and without the dips, NaN where nothing was measured."""
    plain = np.where(find_measured(flux), flux, np.nan)
    grid = np.arange(dips.shape[1])
    injected = plain.copy()
    for star, dip, cadence in zip(injected, dips, cadences, strict=True):
        depth = SNR * find_scatter(star[np.isfinite(star)]) / np.sqrt(dip.sum())
        star -= depth * np.interp(cadence, grid, dip, right=0)
    return plain, injected


def measure_snr(without_dips, with_dips):
    """SNR of the matched filter in whitened curves: by the spread and by the tail of its noise."""
    left = (with_dips - without_dips).astype(float)
    spectrum = np.conj(np.fft.rfft(left, axis=1))
    noise = np.fft.irfft(np.fft.rfft(without_dips, axis=1) * spectrum, left.shape[1], axis=1)
    response = np.sum(left**2, axis=1)
    tail = np.quantile(-noise, 0.999, axis=1) / 3.09  # of Gaussian noise: its standard deviation
    return response / find_spread(noise)[:, 0], response / tail


def whiten(flux, campaign, cadences):
    """Equalised light curves, but of a flat spectrum."""
    curves = put_on_grid(flux, cadences, campaign.n_cadences)
    curves[:, campaign.missing] = np.nan
    with mock.patch.object(equalise, "REDNESS", 0):
        return equalise.recolour(equalise.even_noise(equalise.flatten(curves, campaign), campaign))


def print_variant(name, stars, folds, learnt, dips, first):
    """Measure one variant and print its row; returns its SNR by spread and by tail."""
    n_stars, n_cadences = stars.flux.shape
    snr, curves = np.empty((2, n_stars)), np.empty((n_stars, n_cadences), np.float32)
    for fold, (campaign, found) in enumerate(learnt):
        rows = np.flatnonzero(folds == fold)
        used = without(campaign, found, **VARIANTS[name])
        true = find_cadences(stars.flux[rows], campaign)  # where the transits are, in any variant
        taken = find_cadences(stars.flux[rows], used)
        pair = inject(stars.flux[rows], dips[rows], true)
        snr[:, rows] = measure_snr(*(whiten(flux, used, taken) for flux in pair))
        curves[rows] = equalise.equalise_table(stars.flux[rows], used).curves
    first = snr if first is None else first
    order = equalise.spread_order(n_stars)
    y, curves = stars.y[order], curves[order]
    spectrum = probes.find_spectrum(curves)
    told = [probes.find_lag_one(curves), probes.find_smoothness(curves)]
    told += [probes.measure_line(spectrum, [k / 12]) for k in (1, 2, 3)]
    told.append(score_alike(curves, y, 0))
    found = [metrics.find_roc_auc(y, values) for values in told]
    ratios = snr / first
    cells = [f"{np.median(r):.2f} ({np.quantile(r, 0.1):.2f})" for r in ratios]
    print(f"| {name} | {' | '.join(cells)} | {' | '.join(f'{a:.2f}' for a in found)} |", flush=True)
    return snr


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data-dir", type=Path)
    args = parser.parse_args(argv)
    with tempfile.TemporaryDirectory() as scratch:
        stars, provenance = kaggle.load(args.data_dir or scratch, args.data_dir is None)
        chosen = np.append(np.flatnonzero(stars.is_host), np.flatnonzero(~stars.is_host))
        stars = stars.select(np.sort(chosen[:MOST_STARS]))
        print(f"data: {describe(provenance)}, {len(stars)} stars of it")
    rng = np.random.default_rng(0)
    folds = rng.permutation(len(stars)) % N_FOLDS
    learnt = []
    for fold in range(N_FOLDS):
        flux = stars.flux[folds != fold]
        found = find_clock(flux)
        learnt.append((learn_campaign(flux, found), found))
    dips = draw_dips(rng, *stars.flux.shape)
    print("| variant | SNR (spread) | SNR (tail) | lag 1 | smoothness | 1/12 | 2/12 | 3/12 | all |")
    print("|---|" + "---|" * 8)
    first = None
    for name in VARIANTS:
        snr = print_variant(name, stars, folds, learnt, dips, first)
        first = snr if first is None else first


if __name__ == "__main__":
    main()
