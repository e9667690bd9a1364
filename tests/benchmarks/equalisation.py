"""What equalising costs a transit, and what it takes from the leaks: the trade, as a table.

    python tests/benchmarks/equalisation.py --data-dir DIR  # your stars; else simulated ones

For each variant: ROC AUC of the two noise-colour probes (0.5 tells nothing) and the matched-filter
signal-to-noise ratio that transits injected into the raw flux of non-hosts keep, median (tenth
percentile) over periods of 1, 2, 5, 10 and 20 d, durations of 1.5, 3 and 6 h, and stars.
"""

import argparse
import sys
import tempfile
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from exoplanets.evaluation import metrics
from exoplanets.lightcurves import equalise, probes
from exoplanets.sources import kaggle
from exoplanets.stars import CADENCE_DAYS, describe

SNR = 15
N_STARS = 30


def detrended(curves):
    """Repeats deleted, detrended, scaled: nothing done about the noise."""
    rest = curves - equalise.find_trend(curves)
    return rest / (1.4826 * np.median(np.abs(rest), axis=1, keepdims=True))


def cleaned(curves):
    """The same, lone outliers replaced first."""
    return detrended(equalise.replace_lone_outliers(curves))


def noised(curves):
    """The same, with white noise added until differences and values spread alike in all stars."""
    rest = cleaned(curves)
    steps = 1.4826 * np.median(np.abs(np.diff(rest, axis=1)), axis=1, keepdims=True)
    wanted = np.quantile(steps, 0.9)
    extra = np.sqrt(np.maximum(wanted**2 - steps**2, 0) / 2)
    rest = rest + extra * np.random.default_rng(0).normal(size=rest.shape)
    return rest / (1.4826 * np.median(np.abs(rest), axis=1, keepdims=True))


def whitened(curves):
    """A flat common spectrum."""
    curves = equalise.replace_lone_outliers(curves)
    return equalise.recolour(curves - equalise.find_trend(curves), redness=0)


VARIANTS = {
    "detrended only": detrended,
    "lone outliers replaced": cleaned,
    "white noise added": noised,
    "whitened": whitened,
    "common colour (used)": equalise.equalise,
}


def filter_snr(without, injected, template):
    """Matched filter's response to the injection over the robust spread of its output."""
    template = template - template.mean()
    spectrum = np.conj(np.fft.rfft(template))
    noise = np.fft.irfft(np.fft.rfft(without) * spectrum, len(without))
    spread = 1.4826 * np.median(np.abs(noise - np.median(noise)))
    return np.sum((injected - without) * template) / spread


def find_kept_snr(variant, stars):
    """SNR after the variant over SNR of the detrended raw flux, for every injection."""
    kept = []
    time = np.arange(stars.shape[1]) * CADENCE_DAYS
    length = equalise.common_length(stars.shape[1])
    for period in (1, 2, 5, 10, 20):
        for hours in (1.5, 3, 6):
            inside = ((time + period / 3) % period) < hours / 24
            for star in stars:
                measured = np.flatnonzero(equalise.find_measured(star))[:length]
                raw, template = star[measured], -inside[measured].astype(float)
                rest = raw - equalise.find_trend(raw[np.newaxis])[0]
                scale = 1.4826 * np.median(np.abs(rest))
                depth = SNR * scale / np.sqrt(inside[measured].sum())
                pair = np.stack([raw, raw + depth * template])
                before = pair - equalise.find_trend(pair)
                after = [np.asarray(variant(c[np.newaxis])[0], float) for c in pair]
                kept.append(filter_snr(*after, template) / filter_snr(*before, template))
    return np.array(kept)


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data-dir", type=Path)
    args = parser.parse_args(argv)
    with tempfile.TemporaryDirectory() as scratch:
        stars, provenance = kaggle.load(args.data_dir or scratch, args.data_dir is None)
        flux, y = stars.flux, stars.y == 1
        print(f"data: {describe(provenance)}")
    others = np.flatnonzero(~y)
    stars = flux[others[:: max(len(others) // N_STARS, 1)][:N_STARS]]
    length = equalise.common_length(flux.shape[1])
    raw = np.stack([star[equalise.find_measured(star)][:length] for star in flux])
    print("| variant | lag-1 autocorrelation | smoothness | SNR kept |\n|---|---|---|---|")
    for name, variant in VARIANTS.items():
        curves = np.concatenate([variant(raw[i : i + 128]) for i in range(0, len(raw), 128)])
        found = [
            metrics.rank_statistics(y, find(curves))[0][0]
            for find in (probes.find_lag_one, probes.find_smoothness)
        ]
        kept = find_kept_snr(variant, stars)
        print(
            f"| {name} | {found[0]:.2f} | {found[1]:.2f} | "
            f"{np.median(kept):.2f} ({np.quantile(kept, 0.1):.2f}) |",
            flush=True,
        )


if __name__ == "__main__":
    main()
