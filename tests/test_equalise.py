"""Equalised light curves: identities, what is removed, what is kept."""

import dataclasses
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exoplanets.evaluation import metrics
from exoplanets.lightcurves import equalise, probes
from exoplanets.lightcurves.campaign import learn_campaign
from exoplanets.lightcurves.clock import find_cadences, find_measured
from exoplanets.lightcurves.detrend import WINDOW, find_spread, find_trend
from exoplanets.sources import survey
from exoplanets.stars import CADENCE_DAYS

N = 3197


@pytest.fixture(scope="module")
def stars():
    """Simulated stars, enough hosts for an interval to mean something."""
    made = survey.simulate(n_train=500, n_test=4, n_train_hosts=100, n_test_hosts=2, seed=11)
    return made.train_flux, made.train_labels == 2


@pytest.fixture(scope="module")
def campaign(stars):
    return learn_campaign(stars[0])


def red_noise(rng, n_stars, n_cadences=N):
    """White noise with a slow wander, never exactly repeating."""
    wander = np.cumsum(rng.normal(0, 0.1, (n_stars, n_cadences)), axis=1)
    return wander + rng.normal(0, 1, (n_stars, n_cadences))


def test_inverted_curves_are_treated_exactly_as_upright_ones(stars, campaign):
    for of in (None, campaign):
        upright = equalise.equalise_table(stars[0][:20], of).curves
        assert np.array_equal(equalise.equalise_table(-stars[0][:20], of).curves, -upright)
    star = -stars[0][0]
    assert np.array_equal(equalise_star(star), -equalise_star(-star))


@settings(max_examples=15, deadline=None)
@given(scale=st.floats(1e-3, 1e5), level=st.floats(-1e4, 1e4), seed=st.integers(0, 99))
def test_scale_and_level_make_no_difference(scale, level, seed):
    curve = red_noise(np.random.default_rng(seed), 1, 600)
    assert equalise.equalise(scale * curve + level) == pytest.approx(
        equalise.equalise(curve), abs=2e-3
    )


def test_every_star_has_median_0_spread_1_and_no_repeat(stars, campaign):
    curves, rows, dropped = equalise.equalise_table(stars[0], campaign)
    assert curves.shape == (len(stars[0]), N)
    assert curves.dtype == np.float32
    assert not dropped
    assert np.array_equal(rows, np.arange(len(stars[0])))
    assert np.abs(np.median(curves, axis=1)).max() < 1e-6
    assert 1.4826 * np.median(np.abs(curves), axis=1) == pytest.approx(1, abs=1e-3)
    assert find_measured(curves).mean() > 0.9999


@pytest.mark.parametrize("rows", [[7], [7, 40], [*range(60, 0, -1)], [*range(3, 140, 5)]])
def test_a_star_is_the_same_bits_alone_and_among_others(stars, campaign, rows):
    flux = stars[0][:140]
    for shared in (None, campaign):
        together = equalise.equalise_table(flux, shared).curves
        some = equalise.equalise_table(flux[rows], shared).curves
        assert np.array_equal(some, together[rows])


def test_a_light_curve_of_ones_own_is_the_same_bits_alone_and_among_others():
    rng = np.random.default_rng(3)
    flux = [star[: N - 7 * (i % 2)] for i, star in enumerate(red_noise(rng, 40))]
    flux += [np.append(star, star) for star in red_noise(rng, 5)]
    for star, among_others in zip(flux, equalise.equalise_stars(flux), strict=True):
        assert np.array_equal(equalise.equalise_stars([star])[0], among_others, equal_nan=True)


def test_filling_a_gap_or_leaving_it_out_gives_the_same_curve():
    rng = np.random.default_rng(3)
    whole = red_noise(rng, 1)[0]
    gone = np.zeros(N, bool)
    gone[5::12] = True
    filled, missing = whole.copy(), whole.copy()
    filled[gone] = filled[np.flatnonzero(gone) - 1]
    missing[gone] = np.nan
    known = equalise.equalise_table(missing[None]).curves
    assert np.array_equal(equalise.equalise_table(filled[None]).curves, known)
    late = rng.normal(size=gone.sum())  # rows that lost cadences run on to later ones
    short = np.concatenate([whole[~gone], late])
    cadences = np.concatenate([np.flatnonzero(~gone), N + np.arange(len(late))])
    placed = equalise.equalise_table(short[None], None, cadences[None]).curves
    assert np.array_equal(placed, known)


def test_equal_light_curves_of_a_host_and_of_a_non_host_come_out_equal(campaign):
    """The leak itself: one star, written in both ways of the files."""
    lost = campaign.lost
    star = 20 * red_noise(np.random.default_rng(4), 1, N + 400)[0]
    last = np.maximum.accumulate(np.where(lost, 0, np.arange(N)))
    kept = np.concatenate([np.flatnonzero(~lost), np.arange(N, N + 400)])[:N]
    both = np.stack([star[:N][last], star[kept]])
    host, non_host = equalise.equalise_table(both, campaign).curves
    np.testing.assert_allclose(host, non_host, atol=1e-5)


def test_periods_in_days_are_periods_of_the_equalised_curve(stars, campaign):
    """A dip of 2.5 h every 2.2024 d, put into a non-host at true times, stays at true times."""
    flux = stars[0][150:170]
    cadences = find_cadences(flux, campaign)

    def phase_of(cadence):
        return (cadence * CADENCE_DAYS / 2.2024) % 1

    depth = 8 * np.std(np.diff(flux, axis=1), axis=1, keepdims=True)
    dipped = flux - depth * (phase_of(cadences) < 0.05)
    curves = equalise.equalise_table(dipped, campaign, cadences).curves
    inside = phase_of(np.arange(N)) < 0.05
    for part in (slice(0, 1000), slice(2200, N)):
        drop = curves[:, part][:, inside[part]].mean(axis=1)
        assert np.median(drop) < -2


def test_no_trace_of_the_making_is_left_and_noise_colour_is_weakened(stars, campaign):
    """The guard of the whole audit: any change that lets a probe back in fails here."""
    flux, is_host = stars
    before = probes.measure_all([flux])
    order = equalise.spread_order(len(flux))
    curves = equalise.equalise_table(flux, campaign).curves[order]
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


# ------------------------------------------------------------------------ what transits keep
def filter_snr(without, injected, template):
    """Response of the template's filter to the injection over the spread of its noise."""
    template = template - template.mean()
    spectrum = np.conj(np.fft.rfft(template))
    noise = np.fft.irfft(np.fft.rfft(without) * spectrum, without.shape[1])
    spread = 1.4826 * np.median(np.abs(noise - np.median(noise)))
    return ((injected - without) * template).sum() / spread


@pytest.mark.parametrize("period", [1.0, 5.0, 20.0])
@pytest.mark.parametrize("hours", [1.5, 3.0, 6.0])
def test_an_injected_transit_keeps_its_matched_filter_snr(stars, campaign, period, hours):
    """At least nine tenths of what detrending alone leaves, at the median."""
    flux = stars[0][100:140]  # non-hosts
    cadences = find_cadences(flux, campaign)
    dip = -((np.arange(N + 400) * CADENCE_DAYS) % period < hours / 24).astype(float)
    pairs = []
    for star, cadence in zip(flux, cadences, strict=True):
        template = dip[cadence]
        depth = 15 * 1.4826 * np.median(np.abs(star - find_trend(star[None])[0]))
        pair = np.stack([star, star + depth / np.sqrt(-template.sum()) * template])
        pair[:, ~find_measured(star)] = np.nan
        pairs.append(pair)
    together = equalise.equalise_table(np.concatenate(pairs), campaign, cadences.repeat(2, axis=0))
    equalised = together.curves.astype(float).reshape(len(pairs), 2, 1, -1)
    ratios = []
    for pair, after, cadence in zip(pairs, equalised, cadences, strict=True):
        plain = np.where(np.isnan(pair), 0, pair)
        before = filter_snr(*(plain - find_trend(plain))[:, None], dip[cadence][None])
        ratios.append(filter_snr(*after, dip[None, :N]) / before)
    assert np.median(ratios) >= 0.9


@pytest.mark.parametrize("period", [0.8, 2.0, 7.0])
@pytest.mark.parametrize("hours", [1.5, 3.0])
def test_a_deeper_transit_is_never_seen_less_clearly(period, hours):
    """Noise is measured, outliers are cut, and neither may eat what is deep."""
    noise = red_noise(np.random.default_rng(8), 12)
    phase = (np.arange(N) * CADENCE_DAYS / period) % 1 * period * 24
    dip = -np.clip((hours / 2 - np.abs(phase - hours)) / 0.5 + 0.5, 0, 1)[None]
    seen = []
    for depth in 2.0 ** np.arange(-1, 7):
        curves = equalise.equalise(noise + depth * dip).astype(float)
        out = dip[0] == 0
        spread = 1.4826 * np.median(np.abs(curves[:, out]), axis=1)
        seen.append(np.sum(curves * dip, axis=1) / spread / np.sqrt(np.sum(dip**2)))
    seen = np.array(seen)
    beyond_doubt = 200.0  # sigma; from there on it may vary
    assert np.all(seen[1:] > 0.98 * seen[:-1].clip(None, beyond_doubt))
    assert seen[-1].min() > beyond_doubt


# ------------------------------------------------------------------------- one star by itself
def equalise_star(flux):
    return equalise.equalise_stars([flux])[0]


def test_one_star_is_equalised_as_in_a_table():
    star = red_noise(np.random.default_rng(6), 1)[0]
    star[[100, 101, 900]] = np.nan
    np.testing.assert_array_equal(
        equalise_star(star), equalise.equalise_table(star[None]).curves[0]
    )


def test_long_gaps_stay_gaps_and_do_not_mix_what_they_part():
    rng = np.random.default_rng(7)
    star = red_noise(rng, 1, 4000)[0]
    star[1000:2000] = np.nan
    star[2500:2510] = np.nan  # a short gap is filled
    curve = equalise_star(star)
    # Nor is what lies right beside a long gap used: the trend is known from one side only.
    missing = np.arange(1000 - equalise.EDGE, 2000 + equalise.EDGE)
    np.testing.assert_array_equal(np.flatnonzero(np.isnan(curve)), missing)
    changed = star.copy()
    changed[2000:] *= 3
    changed[2000:] += 50
    again = equalise_star(changed)
    np.testing.assert_array_equal(again[:1000], curve[:1000])
    np.testing.assert_allclose(again[2000:], curve[2000:], atol=1e-3)


@pytest.mark.parametrize("edge", [equalise.EDGE, 0])
def test_short_stretches_share_their_noise_and_the_shortest_are_left_out(edge, monkeypatch):
    monkeypatch.setattr(equalise, "EDGE", edge)
    star = red_noise(np.random.default_rng(9), 1, 1500)[0]
    for first in (300, 700, 1100):
        star[first : first + 60] = np.nan
    star[1250:] = np.nan
    star[1400 : 1400 + WINDOW - 1] = 1 + np.arange(WINDOW - 1)
    curve = equalise_star(star)
    kept = np.isfinite(curve)
    expected = np.arange(len(star)) < 1100
    for first in (300, 700):
        expected[first - edge : first + 60 + edge] = False
    np.testing.assert_array_equal(kept, expected)
    if not edge:  # of all that was equalised, with what is left out beside gaps
        assert np.abs(np.median(curve[kept])) < 1e-6
        assert 1.4826 * np.median(np.abs(curve[kept])) == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize("n_first", [WINDOW - 1, WINDOW, WINDOW + 1])
def test_a_stretch_of_about_one_window_is_used_or_left_out(n_first):
    star = red_noise(np.random.default_rng(12), 1, 900)[0]
    star[n_first : n_first + 64] = np.nan
    curve = equalise_star(star)
    edge = equalise.EDGE
    assert np.isfinite(curve[n_first + 64 + edge :]).all()
    assert np.isfinite(curve[: n_first - edge]).all() == (n_first > WINDOW)


def test_neighbouring_stretches_make_groups_of_enough_cadences():
    """Three of 200 cadences are more than 500; what is left over joins the last group."""
    flux = np.random.default_rng(0).normal(size=10 * 300)
    flux.reshape(10, 300)[:, 200:] = np.nan
    groups = equalise.find_stretches(flux)
    assert [len(group) for group in groups] == [3, 3, 4]
    assert sum(groups, ()) == tuple((start, start + 200) for start in range(0, 3000, 300))


def test_a_gap_of_a_day_is_filled_and_a_longer_one_parts():
    for n_gap in (equalise.LONGEST_GAP, equalise.LONGEST_GAP + 1):
        star = red_noise(np.random.default_rng(13), 1, 1500)[0]
        star[700 : 700 + n_gap] = np.nan
        filled = np.isfinite(equalise_star(star)[700 : 700 + n_gap])
        assert filled.all() == (n_gap == equalise.LONGEST_GAP) == filled.any()


def test_a_very_long_star_takes_memory_in_proportion():
    import tracemalloc

    star = red_noise(np.random.default_rng(10), 1, 60_000)[0]
    tracemalloc.start()
    curve = equalise_star(star)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    n_parts = -(-len(star) // equalise.LONGEST)  # each with a noise of its own
    assert np.isnan(curve).sum() == (n_parts - 1) * 2 * equalise.EDGE
    assert peak < 60 * star.nbytes


@pytest.mark.parametrize("sign", [1, -1])
def test_what_comes_with_every_gap_is_no_dip(sign):
    """A telescope that was turned away warms or cools, and a gap a month makes it periodic."""
    rng = np.random.default_rng(5)
    star, month = red_noise(rng, 1, 12_000)[0], 1470
    for gap in range(month, len(star) - month, month):
        star[gap : gap + 60] = np.nan
        star[gap + 60 : gap + 70] += sign * 25 * star[:1000].std() * np.exp(-np.arange(10) / 3)
    curve = equalise_star(star)
    assert np.nanmin(curve) > -8 and np.nanmax(curve) < 8


def test_too_little_of_one_star_is_refused_with_both_numbers():
    star = red_noise(np.random.default_rng(11), 1, 700)[0]
    star[300:400] = np.nan
    star[460:540] = np.nan
    error = equalise_star(star)  # not raised: the other stars go on
    assert isinstance(error, ValueError)
    assert re.match(r"has 460 cadences .*: 500 are needed", str(error))
    star = red_noise(np.random.default_rng(11), 1, 900)[0]
    star[::2] = np.nan  # they span enough, and half of them are used
    assert re.match(r"has 450 cadences .*: 500 are needed", str(equalise_star(star)))
    assert str(equalise_star(np.full(600, np.nan))).startswith("has 0 cadences")


# --------------------------------------------------------------------------------- the table
def test_the_order_of_the_view_spreads_every_run_of_rows():
    for n in (10, 255, 5087):
        order = equalise.spread_order(n)
        assert np.array_equal(np.sort(order), np.arange(n))
        place = np.argsort(order)
        for start in (0, n // 3):
            run = place[start : start + max(n // 10, 5)]
            assert abs(run.mean() / n - 0.5) < 0.12


def test_stars_with_too_few_measured_cadences_are_dropped_by_name(campaign):
    flux = red_noise(np.random.default_rng(1), 3)
    flux[1, 400:1400] = np.nan
    curves, rows, dropped = equalise.equalise_table(flux)
    assert rows.tolist() == [0, 2]
    assert len(curves) == 2
    assert dropped == [(1, "only 2197 of 3197 cadences were measured")]
    _, _, dropped = equalise.equalise_table(flux, campaign)
    n_known = np.count_nonzero(~campaign.missing)
    assert [row for row, _ in dropped] == [1]
    assert dropped[0][1].endswith(f"of {n_known} cadences were measured")
    for n_gone, kept in ((200, [0, 1, 2]), (201, [0, 2])):  # four fifths are enough
        flux = red_noise(np.random.default_rng(1), 3)[:, :1000]
        flux[1, 400 : 400 + n_gone] = np.nan
        curves, rows, _ = equalise.equalise_table(flux)
        assert rows.tolist() == kept and len(curves) == len(kept)


def test_a_table_of_another_length_is_refused_with_both_numbers(campaign):
    with pytest.raises(ValueError, match="400 cadences cannot be equalised: 500 are needed"):
        equalise.equalise_table(np.zeros((2, 400)))
    with pytest.raises(ValueError, match="600 cadences are not of a campaign of 3197"):
        equalise.equalise_table(np.zeros((2, 600)), campaign)


def test_without_whitening_a_curve_is_flattened_and_its_gaps_stay():
    """Noise keeps its colour, and a transit its shape."""
    flux = red_noise(np.random.default_rng(5), 3, 900)
    flux[:, 100:110] = np.nan
    flat, rows, dropped = equalise.equalise_table(flux, whiten=False)
    assert rows.tolist() == [0, 1, 2] and not dropped and flat.dtype == np.float32
    np.testing.assert_array_equal(np.isnan(flat), np.isnan(flux))
    known, plain = np.isfinite(flux), equalise.flatten(flux)
    np.testing.assert_array_equal(flat[known], (plain / find_spread(plain))[known])
    whole = equalise.equalise_table(flux).curves
    np.testing.assert_array_equal(equalise.recolour(equalise.even_noise(plain)), whole)
    assert np.abs(flat[known] - whole[known]).max() > 0.5


def test_flattening_leaves_dips_alike_where_the_noise_differs(campaign):
    """What evens out noise would make two dips, and both sides of one, unlike."""
    rng = np.random.default_rng(8)
    uneven = np.where(np.arange(3197) % 2 == 1, 3.0, 1.0).astype("f4")
    campaign = dataclasses.replace(
        campaign, scatter=uneven, missing=np.zeros(3197, bool), modes=campaign.modes[:0]
    )
    noise = rng.normal(size=(1, 3197)) * np.where(np.arange(3197) < 1600, 1.0, 5.0)
    dips = np.zeros(3197)
    dips[[*range(800, 806), *range(2400, 2406)]] = 1e4
    cadences = np.arange(3197)[None]
    flat = equalise.equalise_table(noise - dips, campaign, cadences, whiten=False).curves[0]
    depths = -flat[dips > 0]
    assert depths.max() / depths.min() < 1.02
    even = equalise.even_noise(equalise.flatten(noise - dips, campaign), campaign)[0]
    assert even[dips > 0].min() / even[dips > 0].max() > 3


@pytest.mark.parametrize("scale", [1.0, 250.0])
def test_the_unit_of_a_flattened_curve_is_found_from_its_noise(scale):
    flux = scale * red_noise(np.random.default_rng(6), 1, 2000)[0]
    flux[300:320] = np.nan
    unit = equalise.find_unit(flux, flux / (3 * scale), 1000.0)
    assert unit == pytest.approx(3 * scale / 1000)
    flat = equalise.equalise_table(flux[None], whiten=False).curves[0]
    dipped = flux - 40 * scale * (np.arange(2000) % 400 < 6)
    change = flat - equalise.equalise_table(dipped[None], whiten=False).curves[0]
    deepest = np.nanmedian(change[(np.arange(2000) % 400 < 6)])
    assert deepest * equalise.find_unit(flux, flat, 1000.0) == pytest.approx(0.04 * scale, rel=0.15)
    assert np.isnan(equalise.find_unit(flux, flat, np.nan))
