"""The simulated survey: true transits, stars like the real ones, the leaks asked for."""

import batman
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from exoplanets.sources import sky, survey
from exoplanets.transits import draw_planet, scaled_separation, transit_duration, transit_flux

TIME = np.arange(1200) * survey.CADENCE_DAYS
JUPITER = {"period": 3.2, "epoch": 1.1, "radius_ratio": 0.1, "impact": 0.3}

# Aggregates over 255 real stars (37 hosts): 25, 50, 75 % over stars. Autocorrelation is held
# as 1 - r, the part of the variance that does not last a cadence: r itself saturates at 1.
REAL = {
    ("spread", "host"): (35.4, 90.6, 211),
    ("spread", "non-host"): (7.71, 25.2, 77.7),
    ("1 - autocorrelation", "host"): (0.055, 0.132, 0.221),
    ("1 - autocorrelation", "non-host"): (0.206, 0.303, 0.447),
    ("low / high frequency power", "host"): (53.4, 122, 496),
    ("low / high frequency power", "non-host"): (17.6, 34.2, 64.1),
    ("repeats", "host"): (172, 182, 200),
    ("repeats", "non-host"): (6, 13, 31.8),
}
# Of 218 real non-hosts, detrended, scaled and clipped: per cent of the variance in the leading
# singular vectors, and what 4, 8, 16 and 32 of them leave of the scatter of 6-cadence means in
# stars that were not used to find the vectors.
REAL_VARIANCES = (10.0, 7.9, 5.7, 5.2, 4.6, 3.9, 3.0, 2.8, 2.2, 2.0)
REAL_SCATTER = (0.87, 0.76, 0.67, 0.61)
HOSTS, HERE = 160, 92  # of `leaking`: hosts, and those of the campaign of the non-hosts


@pytest.fixture(scope="module")
def leaking():
    return survey.simulate(n_train=560, n_train_hosts=160, n_test=12, n_test_hosts=4, seed=2)


@pytest.fixture(scope="module")
def clean():
    return survey.simulate(
        n_train=560, n_train_hosts=160, n_test=12, n_test_hosts=4, seed=2, leaks=False
    )


def instantaneous(time, impact=0.0, limb_darkening=(0.45, 0.2), **planet):
    """Plain batman, no exposure: the oracle."""
    params = batman.TransitParams()
    params.t0, params.per, params.rp = planet["epoch"], planet["period"], planet["radius_ratio"]
    params.a = float(scaled_separation(planet["period"], planet.get("stellar_density", 1.41)))
    params.inc = np.degrees(np.arccos(impact / params.a))
    params.ecc, params.w, params.u, params.limb_dark = (
        0.0,
        90.0,
        list(limb_darkening),
        "quadratic",
    )
    return batman.TransitModel(params, np.ascontiguousarray(time)).light_curve(params)


def exposed(time, n_samples=201, **planet):
    """Plain batman averaged over the middles of `n_samples` parts of every exposure."""
    parts = ((np.arange(n_samples) + 0.5) / n_samples - 0.5) * survey.CADENCE_DAYS
    flux = instantaneous((time[:, None] + parts).ravel(), **planet)
    return flux.reshape(time.size, n_samples).mean(axis=1)


def auc(scores, labels):
    """Chance that a host scores above a non-host, ties half."""
    hosts, others = scores[labels == 2], scores[labels == 1]
    above = (hosts[:, None] > others).mean() + 0.5 * (hosts[:, None] == others).mean()
    return float(above)


def repeats(flux):
    return (np.diff(flux, axis=1) == 0).sum(axis=1)


def residue(flux):
    """Fraction of samples that are no plain two-digit decimals."""
    return (flux != np.round(flux, 2)).mean(axis=1)


def line_power(flux, spacing):
    """Power of the line at 1/spacing cycles per cadence over that of its surroundings."""
    middle = np.median(flux, axis=1, keepdims=True)
    scale = 1.4826 * np.median(np.abs(flux - middle), axis=1, keepdims=True)
    clipped = np.clip((flux - middle) / scale, -5, 5)
    power = np.abs(np.fft.rfft(clipped - clipped.mean(axis=1, keepdims=True), axis=1)) ** 2
    at = round(flux.shape[1] / spacing)
    around = np.concatenate([power[:, at - 25 : at - 5], power[:, at + 6 : at + 26]], axis=1)
    return power[:, at - 2 : at + 3].max(axis=1) / np.median(around, axis=1)


# ------------------------------------------------------------------------------- the transit
planets = st.fixed_dictionaries(
    {
        "period": st.floats(0.6, 25),
        "epoch": st.floats(-30, 30),
        "radius_ratio": st.floats(0.01, 0.2),
        "impact": st.floats(0, 0.95),
        "stellar_density": st.floats(0.8, 6),
    }
)


@settings(max_examples=25, deadline=None)
@given(planets)
def test_flux_is_batman_averaged_over_each_exposure(planet):
    flux, oracle = transit_flux(TIME, **planet), exposed(TIME, **planet)
    depth = max(1 - oracle.min(), 1e-5)
    np.testing.assert_allclose(flux, oracle, rtol=0, atol=2e-3 * depth)


def test_central_transit_of_a_uniform_star_is_as_deep_as_the_area_hidden():
    planet = {"period": 9.0, "epoch": TIME[300], "radius_ratio": 0.08, "limb_darkening": (0, 0)}
    assert 1 - transit_flux(TIME, **planet)[300] == pytest.approx(0.08**2, rel=1e-6)


def test_dips_come_exactly_once_a_period():
    flux = transit_flux(TIME, **JUPITER)
    phase = (TIME - JUPITER["epoch"] + 1.6) % 3.2 - 1.6
    half = transit_duration(3.2, 0.1, 0.3) / 2
    assert np.all(
        flux[np.abs(phase) > half + survey.CADENCE_DAYS / 2] == pytest.approx(1, abs=1e-12)
    )
    assert np.all(flux[np.abs(phase) < half - survey.CADENCE_DAYS] < 0.9915)
    orbits = np.rint((TIME - JUPITER["epoch"]) / 3.2)
    n_dips = np.unique(orbits[flux < 0.995]).size
    assert n_dips == np.sum((JUPITER["epoch"] + 3.2 * np.arange(20)) < TIME[-1])


@settings(max_examples=25, deadline=None)
@given(planets, st.integers(-40, 40))
def test_any_transit_may_serve_as_epoch(planet, n):
    moved = {**planet, "epoch": planet["epoch"] + n * planet["period"]}
    flux = transit_flux(TIME, **planet)
    np.testing.assert_allclose(transit_flux(TIME, **moved), flux, rtol=0, atol=1e-9)


def test_exposure_smears_but_loses_no_light():
    fine = np.arange(20000) * 1e-4
    sharp = transit_flux(fine, **JUPITER, exposure_days=1e-4)
    smeared = transit_flux(fine, **JUPITER, exposure_days=0.1)
    assert np.sum(sharp < 1 - 1e-6) < np.sum(smeared < 1 - 1e-6) - 900  # 0.09 days longer
    assert np.sum(1 - smeared) == pytest.approx(np.sum(1 - sharp), rel=1e-5)
    np.testing.assert_allclose(sharp, instantaneous(fine, **JUPITER), rtol=0, atol=2e-5)


def test_duration_is_first_to_last_contact():
    fine = np.arange(-0.3, 0.3, 1e-5)
    flux = instantaneous(fine, **{**JUPITER, "epoch": 0.0})
    measured = np.sum(flux < 1) * 1e-5
    assert transit_duration(3.2, 0.1, 0.3, 1.41) == pytest.approx(measured, abs=4e-5)
    # The Earth crosses the Sun in 13 hours (Winn 2010, equation 19); one that misses, in none.
    assert transit_duration(365.25, 0.0092) * 24 == pytest.approx(13.1, abs=0.1)
    assert transit_duration(10.0, 0.1, 1.2) == 0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"period": 0}, "period must be positive and finite, not 0"),
        ({"period": np.nan}, "period .* not nan"),
        ({"epoch": np.inf}, "epoch must be finite, not inf"),
        ({"radius_ratio": 0}, "radius_ratio must lie between 0 and 1, not 0"),
        ({"radius_ratio": 1.0}, "radius_ratio .* not 1.0"),
        ({"impact": 1.2}, r"impact must lie in \[0, 1 \+ radius_ratio\), not 1.2"),
        ({"impact": -0.1}, "impact .* not -0.1"),
        ({"stellar_density": -1}, "stellar_density .* not -1"),
        ({"limb_darkening": (0.9, 0.3)}, r"limb_darkening .* not \(0.9, 0.3\)"),
        ({"exposure_days": 0}, "exposure_days .* not 0"),
        ({"period": 0.05}, r"a/R\* must exceed 1 \+ radius_ratio = 1.1 for the period 0.05 d"),
    ],
)
def test_impossible_planets_are_refused_by_name(change, message):
    with pytest.raises(ValueError, match=message):
        transit_flux(TIME, **{**JUPITER, **change})


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32), st.floats(0.6, 10), st.floats(1, 3), st.floats(0.01, 0.1))
def test_drawn_planets_transit_within_the_ranges_asked(seed, shortest, factor, smallest):
    ranges = {
        "period_range": (shortest, shortest * factor),
        "radius_ratio_range": (smallest, smallest * 1.5),
    }
    planet = draw_planet(np.random.default_rng(seed), **ranges)
    assert shortest <= planet["period"] * (1 + 1e-12)
    assert planet["period"] <= shortest * factor * (1 + 1e-12)
    assert smallest * (1 - 1e-12) <= planet["radius_ratio"] <= smallest * 1.5 * (1 + 1e-12)
    assert 0 <= planet["epoch"] <= planet["period"]
    assert transit_flux(np.array([planet["epoch"]]), **planet)[0] < 1


# -------------------------------------------------------------------------------- the survey
def test_sizes_labels_and_truth(leaking):
    assert leaking.train_flux.shape == (560, survey.N_CADENCES)
    assert leaking.test_flux.shape == (12, survey.N_CADENCES)
    assert leaking.train_flux.dtype == np.float64
    assert np.isfinite(leaking.train_flux).all()
    assert leaking.train_labels.tolist() == [2] * 160 + [1] * 400
    assert leaking.test_labels.tolist() == [2] * 4 + [1] * 8
    truth = leaking.truth["train"]
    assert all(values.shape == (560,) for values in truth.values())
    hosts = leaking.train_labels == 2
    for name in ("period", "epoch", "duration", "depth", "radius_ratio", "snr"):
        np.testing.assert_array_equal(np.isfinite(truth[name]), hosts)
    assert sorted(np.unique(truth["kind"][~hosts])) == sorted([*sky.KINDS, "wild"])
    assert set(truth["kind"][hosts]) <= {"quiet", "rotator"}


@pytest.mark.parametrize("leaks", [True, False])
@settings(max_examples=8, deadline=None)
@given(n_cadences=st.integers(48, 400), seed=st.integers(0, 2**32))
def test_same_arguments_same_bytes(leaks, n_cadences, seed):
    def make(seed):
        return survey.simulate(6, 4, 2, 1, n_cadences=n_cadences, seed=seed, leaks=leaks)

    one, two, other = make(seed), make(seed), make(seed + 1)
    assert one.train_flux.shape == (6, n_cadences)
    assert one.train_flux.tobytes() == two.train_flux.tobytes()
    assert one.test_flux.tobytes() == two.test_flux.tobytes()
    assert one.train_flux.tobytes() != other.train_flux.tobytes()
    np.testing.assert_array_equal(one.truth["missing"], two.truth["missing"])
    for table in ("train", "test"):
        for name, values in one.truth[table].items():
            np.testing.assert_array_equal(values, two.truth[table][name])


def test_impossible_sizes_are_refused_by_name():
    with pytest.raises(ValueError, match="n_train_hosts .* n_train = 5, not 5"):
        survey.simulate(n_train=5, n_train_hosts=5)
    with pytest.raises(ValueError, match="n_test_hosts .* not 0"):
        survey.simulate(n_test_hosts=0)
    with pytest.raises(ValueError, match="n_cadences must be at least 48 .* not 47"):
        survey.simulate(n_cadences=47)


@pytest.mark.parametrize("fixture", ["leaking", "clean"])
def test_injected_planets_are_periodic_in_true_time(fixture, request):
    stars = request.getfixturevalue(fixture)
    truth = stars.truth["train"]
    depths = {0: [], 1: []}
    for row in np.flatnonzero(truth["snr"] > 150):
        time, flux = stars.light_curve("train", row)
        phase = (time - truth["epoch"][row]) / truth["period"][row]
        distance = np.abs(phase - np.rint(phase)) * truth["period"][row]
        inside = distance < 0.25 * truth["duration"][row]
        near = distance < truth["duration"][row]
        outside = near & (distance > 0.6 * truth["duration"][row])
        last = time > 45  # an error of the clock grows with time
        if not (last & inside).any():
            continue
        depth = np.median(flux[outside & last]) - np.mean(flux[inside & last])
        depths[truth["campaign"][row]].append(depth / truth["level"][row] / truth["depth"][row])
    for of_campaign in depths.values():
        assert len(of_campaign) > 5
        assert 0.85 < np.median(of_campaign) < 1.05  # the deepest cadence is the deepest


def test_transits_range_from_obvious_to_invisible(leaking):
    # A box search sees half of those of SNR 50, which red noise makes fewer (see the module).
    snr = leaking.truth["train"]["snr"][:HOSTS]
    assert 0.15 < np.mean(snr < 15) < 0.4
    assert 0.4 < np.mean(snr > 30) < 0.65
    assert 0.1 < np.mean(snr > 150) < 0.25


def test_eclipsing_binaries_are_as_rare_as_real_ones(leaking):
    kind = leaking.truth["train"]["kind"][HOSTS:]
    assert 1 <= np.sum(kind == "eclipsing binary") <= 8  # of 400; real: one to four of 218


# --------------------------------------------------------------------------------- the clock
def test_filled_light_curves_agree_on_the_missing_cadences(leaking):
    repeated = np.append(np.zeros((HOSTS, 1)), np.diff(leaking.train_flux[:HOSTS]) == 0, axis=1)
    missing = leaking.truth["missing"]
    assert missing.shape == (2, survey.N_CADENCES + 175)
    assert missing.sum(axis=1).tolist() == [175, 158]
    assert not missing[:, survey.N_CADENCES :].any()
    campaign = leaking.truth["train"]["campaign"]
    assert campaign.tolist() == [0] * HERE + [1] * (HOSTS - HERE) + [0] * 400
    for number, rows in enumerate((slice(0, HERE), slice(HERE, HOSTS))):
        share = repeated[rows].mean(axis=0)
        np.testing.assert_array_equal(np.flatnonzero(share > 0.97), np.flatnonzero(missing[number]))
        assert share[~missing[number, : survey.N_CADENCES]].max() < 0.5
    # The cadences of most hosts are those of the campaign of the non-hosts.
    consensus = np.flatnonzero(repeated.mean(axis=0) > 0.5)
    np.testing.assert_array_equal(consensus, np.flatnonzero(missing[0]))


def test_both_classes_share_the_grid_of_true_time(leaking, clean):
    host = np.rint(leaking.find_times("train", 0) / survey.CADENCE_DAYS).astype(int)
    np.testing.assert_array_equal(host, np.arange(survey.N_CADENCES))
    kept = np.flatnonzero(~leaking.truth["missing"][0])
    for stars, table, row in ((leaking, "train", 300), (leaking, "test", 6), (clean, "train", 0)):
        cadence = np.rint(stars.find_times(table, row) / survey.CADENCE_DAYS).astype(int)
        np.testing.assert_array_equal(cadence, kept)
    assert kept[-1] == survey.N_CADENCES + 174


def test_light_curve_holds_only_what_was_measured(leaking):
    for row in (0, HERE, HOSTS):
        time, flux = leaking.light_curve("train", row)
        assert time.size == flux.size == survey.N_CADENCES - repeats(leaking.train_flux)[row]
        assert np.all(np.diff(flux) != 0)
        cadence = np.rint(time / survey.CADENCE_DAYS).astype(int)
        missing = leaking.truth["missing"][leaking.truth["train"]["campaign"][row]]
        assert not missing[cadence].any()
    one, other = leaking.light_curve("test", 0)[1], leaking.light_curve("train", 0)[1]
    assert one.tolist() != other.tolist()


def on_true_time(stars, rows):
    """Light curves on the grid of true time, detrended, scaled, clipped; 0 where not measured."""
    n_cadences = stars.truth["missing"].shape[1]
    curves = np.zeros((len(rows), n_cadences))
    for curve, row in zip(curves, rows, strict=True):
        time, flux = stars.light_curve("train", row)
        cadence = np.rint(time / survey.CADENCE_DAYS).astype(int)
        full = np.interp(np.arange(n_cadences), cadence, flux)
        left = (full - ndimage.median_filter(full, 97, mode="nearest"))[cadence]
        # A steep curve is its own running median: a wild star may have no scatter at all.
        scale = max(1.4826 * np.median(np.abs(left)), 0.01)
        curve[cadence] = np.clip(left / scale, -4, 4)
    return curves


@pytest.fixture(scope="module")
def gridded(leaking):
    """Hosts of the campaign, hosts of the other one, and non-hosts on the grid of true time."""
    groups = np.arange(40), np.arange(HERE, HERE + 40), np.arange(HOSTS, HOSTS + 218)
    return [on_true_time(leaking, rows) for rows in groups]


def test_systematics_are_as_rich_as_the_real_ones(gridded):
    power = np.linalg.svd(gridded[2], compute_uv=False) ** 2
    ratio = 100 * power[:10] / power.sum() / REAL_VARIANCES
    assert np.all((ratio > 0.6) & (ratio < 1.6)), ratio


def take_out(curves, modes):
    """Light curves without their projections on orthonormal modes."""
    return curves - curves @ modes.T @ modes


def scatter(curves):
    """Robust scatter of the means of 6 neighbours, as far as measured; (n_stars,)."""
    means = curves[:, : curves.shape[1] // 6 * 6].reshape(len(curves), -1, 6).mean(axis=2)
    return np.median(np.abs(means - np.median(means, axis=1, keepdims=True)), axis=1)


def test_shared_systematics_can_be_taken_out_as_of_real_stars(gridded):
    here, elsewhere, others = gridded
    modes = np.linalg.svd(others[:170], full_matrices=False)[2]

    def left(curves, n_modes):
        return np.median(scatter(take_out(curves, modes[:n_modes])) / scatter(curves))

    unseen = [left(others[170:], n_modes) for n_modes in (4, 8, 16, 32)]
    assert np.all(np.abs(np.subtract(unseen, REAL_SCATTER)) < 0.13), unseen
    assert unseen == sorted(unseen, reverse=True)
    assert left(here, 32) < 0.88 < 0.93 < left(elsewhere, 32)  # the other campaign shares nothing


def test_some_cadences_are_bad_for_many_stars(gridded):
    events = np.abs(gridded[2]) >= 4
    share = np.sort(events.mean(axis=0))[::-1]
    worst = share[: share.size // 10].sum() / share.sum()
    assert 0.4 < worst < 0.8  # of 218 real non-hosts: 0.64


# --------------------------------------------------------------------------------- the leaks
def test_leak_1_repeats_separate_the_classes(leaking):
    count = repeats(leaking.train_flux)
    assert auc(count, leaking.train_labels) == 1
    assert count[:160].min() >= 150 and count[:160].max() <= 320
    assert 0 < np.median(count[160:]) < 25 and count[160:].max() <= 113


def test_leak_2_thruster_line_lies_where_the_time_axis_puts_it(leaking):
    every_12 = auc(line_power(leaking.train_flux, 12), leaking.train_labels)
    every_11 = auc(line_power(leaking.train_flux, 11.2), leaking.train_labels)
    assert every_12 > 0.85 and every_11 < 0.4
    fills = np.flatnonzero(leaking.truth["missing"][0])
    assert np.bincount(fills % 12, minlength=12).max() > 0.85 * fills.size  # real: 0.89


def test_leak_3_median_is_exactly_0_in_non_hosts(leaking):
    median = np.median(leaking.train_flux, axis=1)
    assert np.all(median[160:] == 0)
    assert 0.65 < np.mean(median[:160] != 0) < 0.9


def test_leak_4_float_residue_in_non_hosts_only(leaking):
    share = residue(leaking.train_flux)
    assert np.all(share[:160] == 0)
    assert np.median(share[160:]) > 0.85


def test_without_leaks_every_probe_of_the_file_is_at_chance(clean):
    flux, labels = clean.train_flux, clean.train_labels
    assert np.all(np.median(flux, axis=1) == 0)
    assert np.all(residue(flux) == 0)
    # Equal neighbours by chance: fainter stars have a few more, nobody 20 in 3196.
    assert repeats(flux).max() < 20
    brightness = clean.truth["train"]["magnitude"]
    alike = (brightness > 12) & (brightness < 14)
    assert 0.35 < auc(repeats(flux)[alike], labels[alike]) < 0.65
    # The 12-cadence line may stand out more in bright stars (true), never as a line at the
    # spacing of the other class: both keep time alike.
    difference = line_power(flux, 12) / line_power(flux, 11.2)
    assert 0.38 < auc(difference, labels) < 0.62


def test_leaks_change_the_writing_not_the_stars(leaking, clean):
    for name, values in leaking.truth["train"].items():
        np.testing.assert_array_equal(values, clean.truth["train"][name])
    likeness = [
        np.corrcoef(leaking.train_flux[row], clean.train_flux[row])[0, 1] for row in (200, 300, 400)
    ]
    assert min(likeness) > 0.95


# --------------------------------------------------------------------------------- like K2
def statistics(flux):
    """The four statistics of `REAL` for one star; repeats deleted before the spectral ones."""
    kept = flux[np.append(True, np.diff(flux) != 0)][:2880]
    spread = 1.4826 * np.median(np.abs(kept - np.median(kept)))
    scaled = np.clip((kept - np.median(kept)) / spread, -5, 5)
    scaled -= scaled.mean()
    power, frequency = np.abs(np.fft.rfft(scaled)) ** 2, np.fft.rfftfreq(scaled.size)
    low, high = power[(frequency > 0) & (frequency < 1 / 48)], power[frequency > 1 / 4]
    return {
        "spread": 1.4826 * np.median(np.abs(flux - np.median(flux))),
        "1 - autocorrelation": 1 - (scaled[1:] @ scaled[:-1]) / (scaled @ scaled),
        "low / high frequency power": low.mean() / high.mean(),
        "repeats": np.sum(np.diff(flux) == 0),
    }


def test_stars_are_like_the_real_ones(leaking):
    of_star = [statistics(flux) for flux in leaking.train_flux]
    for (name, which), expected in REAL.items():
        rows = of_star[:160] if which == "host" else of_star[160:]
        quartiles = np.percentile([row[name] for row in rows], [25, 50, 75])
        ratio = quartiles / expected
        assert np.all((ratio > 0.4) & (ratio < 2.5)), f"{name} of {which}s: {quartiles}"


def test_hosts_are_truly_quieter(clean):
    smooth = np.array([-statistics(flux)["1 - autocorrelation"] for flux in clean.train_flux])
    assert 0.62 < auc(smooth, clean.train_labels) < 0.9


def test_two_stars_rule_cadences_of_their_own_at_full_size():
    stars = survey.simulate(n_test=3, n_test_hosts=1, n_cadences=600)
    flux, kind = stars.train_flux, stars.truth["train"]["kind"]
    beyond = np.abs(flux - flux.mean(axis=0)) > 60 * flux.std(axis=0)
    flagged = np.flatnonzero(beyond.sum(axis=1) > 1)
    assert kind[flagged].tolist() == ["crossed", "crossed"]
    assert 5e5 < np.abs(flux).max() < 2e6
