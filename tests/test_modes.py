"""Modes and campaigns: what stars share is found and taken out, and nothing else."""

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from exoplanets.files import DataError
from exoplanets.lightcurves import modes
from exoplanets.lightcurves.campaign import Campaign, learn_campaign
from exoplanets.lightcurves.clock import find_cadences
from exoplanets.lightcurves.equalise import equalise_table
from exoplanets.lightcurves.injection import find_scatter
from exoplanets.sources import survey

N, N_STARS, N_SHARED = 1000, 200, 5


def smooth(rng, n, width=8):
    """Independent light curves of a correlation time of some cadences, variance 1."""
    noise = rng.normal(size=(n, N + 4 * width))
    kernel = np.hanning(2 * width + 1)
    curves = np.array([np.convolve(star, kernel, "same") for star in noise])[:, 2 * width :][:, :N]
    return curves / curves.std(axis=1, keepdims=True)


@pytest.fixture(scope="module")
def stars():
    """Stars that share five light curves, and those orthonormal."""
    rng = np.random.default_rng(0)
    shared = np.linalg.qr(smooth(rng, N_SHARED).T)[0].T
    curves = rng.normal(size=(N_STARS, N_SHARED)) @ shared * np.sqrt(N / N_SHARED)
    curves += rng.normal(size=(N_STARS, N))
    return (curves / np.sqrt(2)).astype(np.float32), shared


def test_what_stars_share_is_found_and_nothing_besides(stars):
    curves, shared = stars
    found = modes.learn_modes(curves)
    assert (found.shape, found.dtype) == ((N_SHARED, N), np.float32)
    np.testing.assert_allclose(found @ found.T, np.eye(N_SHARED), atol=1e-4)
    overlap = np.linalg.svd(found @ shared.T, compute_uv=False)
    assert overlap.min() > 0.97  # the same space


def test_stars_that_share_nothing_have_no_modes():
    rng = np.random.default_rng(1)
    assert len(modes.learn_modes(rng.normal(size=(N_STARS, N)).astype(np.float32))) == 0


def test_modes_do_not_depend_on_the_number_of_cores(stars):
    curves = np.tile(stars[0], (1, 3))  # so many that threads of BLAS would share the work
    made = []
    for n_threads in (1, 2, 4):
        with threadpool_limits(n_threads, "blas"):
            made.append(modes.learn_modes(curves))
    np.testing.assert_array_equal(made[1], made[0])
    np.testing.assert_array_equal(made[2], made[0])


def test_no_mode_is_one_stars_dips(stars):
    curves, shared = stars
    deep = curves.copy()
    deep[3, 50::100] -= 500
    deep[3, 51::100] -= 500
    found = modes.learn_modes(deep)
    assert len(found) == N_SHARED
    assert np.linalg.svd(found @ shared.T, compute_uv=False).min() > 0.97


def test_an_unseen_star_loses_what_it_shares(stars):
    curves, shared = stars
    rng = np.random.default_rng(2)
    noise = rng.normal(size=(20, N)) / np.sqrt(2)
    part = rng.normal(size=(20, N_SHARED)) @ shared * np.sqrt(N / N_SHARED / 2)
    found = modes.find_shared(noise + part, modes.learn_modes(curves))
    left = np.sum((part - found) ** 2, axis=1) / np.sum(part**2, axis=1)
    assert np.median(left) < 0.05


def test_dips_do_not_bend_the_fit(stars):
    curves, shared = stars
    learnt = modes.learn_modes(curves)
    rng = np.random.default_rng(3)
    star = rng.normal(size=N_SHARED) @ shared * np.sqrt(N / N_SHARED / 2) + rng.normal(size=N) / 2
    dips = np.zeros(N)
    dips[20::110] = dips[21::110] = dips[22::110] = -1
    without, mild, deep = (
        modes.find_shared((star + d * dips)[None], learnt)[0] for d in (0, 5, 50)
    )
    # Of a least-squares fit the error would be ten times as large for dips ten times as deep.
    assert np.abs(deep - without).max() < 1.5 * np.abs(mild - without).max() + 0.05
    assert np.abs(deep - without).max() < 0.5


def test_a_star_that_shares_nothing_is_left_as_it_is(stars):
    learnt = modes.learn_modes(stars[0])
    alone = smooth(np.random.default_rng(4), 60)
    found = modes.find_shared(alone, learnt)
    share = np.sum(found**2, axis=1) / np.sum(alone**2, axis=1)
    assert np.median(share) == 0
    plain = np.sum((alone @ learnt.T) ** 2, axis=1) / np.sum(alone**2, axis=1)
    assert share.mean() < 0.7 * plain.mean()


def test_evidence_compares_with_the_mean_over_all_shifts(stars):
    learnt = modes.learn_modes(stars[0])
    star = smooth(np.random.default_rng(5), 1)
    shifted = [np.sum((star @ np.roll(learnt, shift, axis=1).T) ** 2) for shift in range(N)]
    for factor, evidence in ((0.9, 0), (1.4, 0.4), (3, 1)):
        fitted = np.full((1, 4), np.sqrt(factor * np.mean(shifted) / 4))
        found = modes.find_evidence(star, fitted, learnt)
        assert found == pytest.approx(evidence, abs=1e-3)


def test_inverted_light_curves_share_the_inverse(stars):
    curves, _ = stars
    learnt = modes.learn_modes(curves)
    np.testing.assert_array_equal(
        modes.find_shared(-curves[:9], learnt), -modes.find_shared(curves[:9], learnt)
    )


def test_cadences_that_are_bad_for_all_are_found():
    rests = np.random.default_rng(6).normal(size=(400, N))
    rests[:, 100:110] *= 3
    scatter = modes.find_shared_scatter(rests)
    assert scatter.dtype == np.float32
    assert np.median(scatter) == pytest.approx(1, abs=0.01)
    assert scatter[100:110] == pytest.approx(3, rel=0.15)
    assert np.delete(scatter, np.s_[100:110]) == pytest.approx(1, abs=0.2)


def test_cadences_at_which_many_stars_dim_or_brighten_are_found():
    rests = np.random.default_rng(7).normal(size=(400, N)).astype(np.float32)
    assert not modes.find_crowded(rests).any()
    for star in range(0, 400, 20):  # planets of one star in twenty, each with its own period
        for middle in range(star, N, 150 + star):
            rests[star, middle : middle + 5] -= 15
    assert not modes.find_crowded(rests).any()
    rests[3:400:40, 600:605] -= 15
    rests[8:400:40, 600:605] += 15
    found = modes.find_crowded(rests)
    assert found[600:605].all()
    assert not np.delete(found, np.s_[596:609]).any()
    np.testing.assert_array_equal(modes.find_crowded(-rests), found)


# ---------------------------------------------------------------------------------- campaigns
@pytest.fixture(scope="module")
def simulated():
    return survey.simulate(n_train=160, n_test=4, n_train_hosts=20, n_test_hosts=2, seed=3)


@pytest.fixture(scope="module")
def campaign(simulated):
    return learn_campaign(simulated.train_flux)


def test_a_campaign_is_learnt_without_labels_and_in_any_order(simulated, campaign):
    flux = simulated.train_flux
    assert campaign.lost.sum() > 0.03 * flux.shape[1]
    assert campaign.modes.shape[1] == campaign.n_cadences == flux.shape[1]
    assert len(campaign.modes) > 0
    assert campaign.n_stars == len(flux)
    again = learn_campaign(flux)
    for name, array in campaign.to_arrays().items():
        np.testing.assert_array_equal(again.to_arrays()[name], array)
    shuffled = learn_campaign(flux[np.random.default_rng(0).permutation(len(flux))])
    np.testing.assert_array_equal(shuffled.lost, campaign.lost)
    n_modes = min(len(shuffled.modes), len(campaign.modes), 3)
    overlap = np.linalg.svd(shuffled.modes @ campaign.modes[:n_modes].T, compute_uv=False)
    assert overlap.min() > 0.95


def test_a_few_stars_teach_a_clock_but_no_modes(simulated):
    campaign = learn_campaign(simulated.train_flux[: modes.FEWEST_STARS - 1])
    assert campaign.lost.any()
    assert len(campaign.modes) == 0
    assert np.all(campaign.scatter == 1)


def test_crowded_cadences_are_missing_from_every_row(simulated, campaign):
    flux, crowd = simulated.train_flux.copy(), np.arange(1500, 1506)
    on_clock = find_cadences(flux, campaign)
    dimmed = np.arange(0, len(flux), 8)
    for star in dimmed:
        there = np.isin(on_clock[star], crowd)
        flux[star, there] -= 40 * find_scatter(flux[star])
    learnt = learn_campaign(flux)
    assert learnt.missing[crowd].all()
    np.testing.assert_array_equal(learnt.lost, campaign.lost)
    seen, kept = (equalise_table(flux[dimmed], one).curves for one in (campaign, learnt))
    assert np.median(seen[:, crowd].min(axis=1)) < -10
    assert np.median(kept[:, crowd].min(axis=1)) > -4


@pytest.mark.parametrize("spike", [1e5, 1e9, 1e13, 9e14])
def test_one_star_moves_the_others_no_more_than_a_missing_value_does(simulated, spike):
    flux, others = simulated.train_flux[::2].copy(), np.arange(80) != 40

    def equalise_others():
        return equalise_table(flux, learn_campaign(flux)).curves[others]

    before = equalise_others()
    flux[40, 1500] = np.nan
    by_a_gap = np.abs(equalise_others() - before).max()
    flux[40, 1500] = spike
    assert np.abs(equalise_others() - before).max() < max(2 * by_a_gap, 0.5)


def test_a_campaign_travels_as_plain_arrays(campaign):
    arrays = campaign.to_arrays()
    again = Campaign.from_arrays(arrays)
    for name, array in again.to_arrays().items():
        assert array.dtype == arrays[name].dtype
        np.testing.assert_array_equal(array, arrays[name])


@pytest.mark.parametrize(
    ("name", "wrong", "message"),
    [
        ("lost", np.zeros(7, bool), "do not fit together"),
        ("missing", np.zeros(3197, int), "do not fit together"),
        ("modes", np.zeros(3197, np.float32), "do not fit together"),
        ("modes", np.full((2, 3197), np.nan, np.float32), "no numbers"),
        ("scatter", np.zeros(3197, np.float32), "no numbers"),
        ("n_stars", np.zeros(2, int), "do not fit together"),
        ("clock", np.zeros(2, int), "holds"),
    ],
)
def test_arrays_that_are_no_campaign_are_refused(campaign, name, wrong, message):
    with pytest.raises(DataError, match=message):
        Campaign.from_arrays(campaign.to_arrays() | {name: wrong})
