"""Equalised light curves: identities, what is removed, what is kept."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exoplanets.evaluation import metrics
from exoplanets.lightcurves import equalise, probes
from exoplanets.sources import survey
from exoplanets.stars import CADENCE_DAYS

N = 3197


@pytest.fixture(scope="module")
def stars():
    """Simulated stars, enough hosts for an interval to mean something."""
    made = survey.simulate(n_train=500, n_test=4, n_train_hosts=100, n_test_hosts=2, seed=11)
    return made.train_flux, made.train_labels == 2


def red_noise(rng, n_stars, n_cadences=N):
    """White noise with a slow wander, never exactly repeating."""
    wander = np.cumsum(rng.normal(0, 0.1, (n_stars, n_cadences)), axis=1)
    return wander + rng.normal(0, 1, (n_stars, n_cadences))


def test_inverted_curves_are_treated_exactly_as_upright_ones(stars):
    upright = equalise.equalise_table(stars[0][:20])[0]
    assert np.array_equal(equalise.equalise_table(-stars[0][:20])[0], -upright)


@settings(max_examples=15, deadline=None)
@given(scale=st.floats(1e-3, 1e5), level=st.floats(-1e4, 1e4), seed=st.integers(0, 99))
def test_scale_and_level_make_no_difference(scale, level, seed):
    curve = red_noise(np.random.default_rng(seed), 1, 600)
    assert equalise.equalise(scale * curve + level) == pytest.approx(
        equalise.equalise(curve), abs=1e-3
    )


def test_every_star_has_median_0_spread_1_and_no_repeat(stars):
    curves, rows, dropped = equalise.equalise_table(stars[0])
    assert curves.shape == (len(stars[0]), 2880)
    assert curves.dtype == np.float32
    assert not dropped
    assert np.array_equal(rows, np.arange(len(stars[0])))
    assert np.abs(np.median(curves, axis=1)).max() < 1e-3
    assert 1.4826 * np.median(np.abs(curves), axis=1) == pytest.approx(1, abs=1e-3)


def test_a_star_does_not_depend_on_its_neighbours_or_its_place(stars):
    flux = stars[0][:300]
    order = np.random.default_rng(0).permutation(len(flux))
    together = equalise.equalise_table(flux)[0]
    assert np.array_equal(equalise.equalise_table(flux[order])[0], together[order])
    assert np.array_equal(equalise.equalise_table(flux[7:8])[0][0], together[7])


def test_filling_a_gap_or_dropping_it_gives_the_same_curve():
    rng = np.random.default_rng(3)
    whole = red_noise(rng, 1)[0]
    gone = np.zeros(N, bool)
    gone[5::12] = True
    filled, missing = whole.copy(), whole.copy()
    filled[gone] = filled[np.flatnonzero(gone) - 1]
    missing[gone] = np.nan
    known = equalise.equalise_table(whole[None], gone[None])[0]
    assert np.array_equal(equalise.equalise_table(filled[None])[0], known)
    assert np.array_equal(equalise.equalise_table(missing[None])[0], known)


def test_no_trace_of_the_making_is_left_and_noise_colour_is_weakened(stars):
    """The guard of the whole audit: any change that lets a probe back in fails here."""
    flux, is_host = stars
    before = probes.measure_all([flux])
    order = equalise.spread_order(len(flux))
    curves = equalise.equalise_table(flux)[0][order]
    after, y = probes.measure_all([curves]), is_host[order]
    rng = np.random.default_rng(0)
    for probe in probes.PROBES:
        auc = {
            "before": metrics.rank_statistics(is_host, before[probe.name])[0][0],
            "after": metrics.rank_statistics(y, after[probe.name])[0][0],
        }
        low, high = metrics.roc_auc_interval(y, after[probe.name], rng)
        if probe.leak == "L6":
            # Deep transits are themselves autocorrelated: only the robust probe is free of them.
            share = 0.5 if probe.name == "smoothness" else 1
            assert abs(auc["after"] - 0.5) < share * abs(auc["before"] - 0.5), probe.name
        else:
            # A hundred hosts make an interval of about 0.12: slack for one that just misses 0.5.
            assert low - 0.02 <= 0.5 <= high + 0.02, (probe.name, auc)
        if probe.name in ("exact repeats", "clean decimals"):
            assert auc["before"] == 1


def test_shuffled_labels_tell_every_probe_nothing(stars):
    flux, is_host = stars
    y = np.random.default_rng(5).permutation(is_host)
    for name, value in probes.measure_all([flux]).items():
        assert abs(metrics.rank_statistics(y, value)[0][0] - 0.5) < 0.12, name


@pytest.mark.parametrize("period", [1.0, 5.0, 20.0])
@pytest.mark.parametrize("hours", [1.5, 3.0, 6.0])
def test_an_injected_transit_keeps_four_fifths_of_its_matched_filter_snr(stars, period, hours):
    flux = stars[0][100:140]  # non-hosts
    before, after = matched_filter_snr(flux, period, hours / 24, snr=15)
    assert np.median(after / before) >= 0.8


def matched_filter_snr(flux, period, duration, snr):
    """SNR of an injected box of transits, detrended only and equalised.

    The output of the matched filter at the injected place over the robust spread of its output
    everywhere: it counts red noise as noise. The repeats of the raw star are dropped in all curves,
    so that an injection which undoes an accidental repeat does not shift the rest.
    """
    time = np.arange(N) * CADENCE_DAYS
    inside = (time % period) < duration
    ratios = []
    for star in flux:
        kept = equalise.find_measured(star)
        raw, template = star[kept][None, :2880], -inside[kept][None, :2880].astype(float)
        rest = raw - equalise.find_trend(raw)
        depth = snr * 1.4826 * np.median(np.abs(rest)) / np.sqrt(inside.sum())
        injected = raw + depth * template
        detrended = [curve - equalise.find_trend(curve) for curve in (raw, injected)]
        equalised = [equalise.equalise(curve).astype(float) for curve in (raw, injected)]
        ratios.append([filter_snr(*pair, template) for pair in (detrended, equalised)])
    return np.array(ratios).T


def filter_snr(without, injected, template):
    """Response of the template's filter to the injection over the spread of its noise."""
    template = template - template.mean()
    spectrum = np.conj(np.fft.rfft(template))
    noise = np.fft.irfft(np.fft.rfft(without) * spectrum, without.shape[1])
    spread = 1.4826 * np.median(np.abs(noise - np.median(noise)))
    return ((injected - without) * template).sum() / spread


def test_the_order_of_the_view_spreads_every_run_of_rows():
    for n in (10, 255, 5087):
        order = equalise.spread_order(n)
        assert np.array_equal(np.sort(order), np.arange(n))
        place = np.argsort(order)
        for start in (0, n // 3):
            run = place[start : start + max(n // 10, 5)]
            assert abs(run.mean() / n - 0.5) < 0.12


def test_stars_with_too_few_measured_cadences_are_dropped_by_name():
    flux = red_noise(np.random.default_rng(1), 3)
    flux[1, 400:900] = np.nan
    curves, rows, dropped = equalise.equalise_table(flux)
    assert rows.tolist() == [0, 2]
    assert len(curves) == 2
    assert dropped == [(1, "only 2697 of 3197 cadences were measured")]


def test_a_table_too_short_is_refused_with_both_numbers():
    with pytest.raises(ValueError, match="400 cadences cannot be equalised: 500 .* takes 556"):
        equalise.equalise_table(np.zeros((2, 400)))
    assert equalise.common_length(556) == 500
    assert equalise.common_length(3197) == 2880
