"""A campaign of the user's own: what is learnt, what it takes out, and what it leaves alone."""

import dataclasses

import numpy as np
import pytest

from exoplanets.files import DataError
from exoplanets.lightcurves.equalise import LONGEST_GAP
from exoplanets.scoring import own_campaign
from exoplanets.scoring.own_campaign import FEWEST_STARS, OwnCampaign, learn_own_campaign
from exoplanets.scoring.own_stars import Star
from exoplanets.stars import CADENCE_DAYS

N, LEVEL = 1200, 1e4
FIRST = 1_000_000  # cadence number


def make_systematics(rng):
    """Three light curves that all stars share: pointing, to and fro within hours."""
    wander = rng.normal(size=(3, N))
    kernel = np.exp(-(np.arange(-30, 31) ** 2) / 2 / 6**2)
    return np.array([np.convolve(each, kernel, "same") for each in wander]) / 4


def make_stars(n_stars, systematics, rng, clock="cadence", n_first=0, n_last=N):
    """Stars of white noise 1 that share systematics, each its own amount of them."""
    stars = []
    for i in range(n_stars):
        shared = rng.normal(size=len(systematics)) @ systematics
        flux = LEVEL + 5 * shared + rng.normal(size=N)
        flux[rng.integers(N, size=20)] = np.nan
        part = slice(n_first, n_last)
        number = np.arange(N)[part]
        time = 100 + number * CADENCE_DAYS + rng.uniform(-0.002, 0.002)
        cadence = FIRST + number if clock == "cadence" else None
        stars.append(Star(f"star {i}", flux[part], time, cadence=cadence))
    return stars


@pytest.fixture(scope="module")
def systematics():
    return make_systematics(np.random.default_rng(1))


def scatter(flux):
    """Scatter of means over three hours, where what is shared shows."""
    flux = flux[np.isfinite(flux)]
    flux = flux[: len(flux) // 6 * 6].reshape(-1, 6).mean(axis=1)
    return np.std(np.diff(flux))


@pytest.mark.parametrize("clock", ["cadence", "time"])
def test_what_stars_share_is_taken_out_of_others_of_their_campaign(systematics, clock):
    rng = np.random.default_rng(2)
    campaign = learn_own_campaign(iter(make_stars(120, systematics, rng, clock)))
    assert campaign.clock == {"cadence": "cadence numbers", "time": "times"}[clock]
    assert (campaign.n_stars, campaign.parts.tolist()) == (120, [[0, N]])
    assert 3 <= len(campaign.modes) <= 8
    ratios = []
    # Also of stars that begin later, in cadences of their own.
    for star in make_stars(20, systematics, rng, clock, n_first=200):
        flux = campaign.remove_shared(star)
        assert campaign.find_share(star) == 1
        assert np.array_equal(np.isnan(flux), np.isnan(star.flux))
        ratios.append(scatter(flux) / scatter(star.flux))
    assert np.median(ratios) < 0.5


def test_every_part_of_a_long_campaign_has_its_own_modes(systematics, monkeypatch):
    monkeypatch.setattr(own_campaign, "LONGEST", N // 3)
    rng = np.random.default_rng(2)
    campaign = learn_own_campaign(make_stars(120, systematics, rng))
    assert campaign.parts.tolist() == [[0, 400], [400, 800], [800, 1200]]
    ratios = []
    for star in make_stars(20, systematics, rng):
        flux = campaign.remove_shared(star)
        parts = zip(np.split(flux, 3), np.split(star.flux, 3), strict=True)
        ratios.append([scatter(after) / scatter(before) for after, before in parts])
    assert (np.median(ratios, axis=0) < 0.5).all()


def test_transits_and_stars_that_share_nothing_are_left_alone(systematics):
    rng = np.random.default_rng(3)
    campaign = learn_own_campaign(make_stars(120, systematics, rng))
    other = make_systematics(np.random.default_rng(99))
    for star in make_stars(10, other, rng):
        flux = campaign.remove_shared(star)
        assert np.nanstd(flux - star.flux) < 0.35 * np.nanstd(star.flux)
    (star,) = make_stars(1, np.zeros((3, N)), rng)
    inside = np.arange(N) % 97 < 5
    star.flux[inside] -= 20
    flux = campaign.remove_shared(star)
    depth = np.nanmedian(flux[~inside]) - np.nanmedian(flux[inside])
    assert depth == pytest.approx(20, abs=1.5)


def test_times_at_which_many_stars_dim_are_no_longer_measured(systematics):
    rng = np.random.default_rng(8)
    stars = make_stars(240, systematics, rng)
    quiet = learn_own_campaign(stars)
    assert not quiet.crowded.any()
    for star in stars[::20]:
        star.flux[600:606] -= 60
    campaign = learn_own_campaign(stars)
    assert campaign.crowded[601:605].all()
    assert not np.delete(campaign.crowded, np.s_[596:611]).any()
    (late,) = make_stars(1, systematics, rng, n_first=200)
    lost = np.isnan(campaign.remove_shared(late)) & ~np.isnan(late.flux)
    assert np.array_equal(lost, campaign.crowded[200:] & ~np.isnan(late.flux))


def test_stars_beyond_the_clock_are_not_touched(systematics):
    rng = np.random.default_rng(4)
    campaign = learn_own_campaign(make_stars(80, systematics, rng))
    (star,) = make_stars(1, systematics, rng)
    for moved in (
        dataclasses.replace(star, cadence=star.cadence + 10 * N),
        dataclasses.replace(star, cadence=None),
    ):
        assert campaign.find_share(moved) == 0
        assert np.array_equal(campaign.remove_shared(moved), star.flux, equal_nan=True)


def test_long_gaps_part_a_campaign_and_long_stretches_are_cut(monkeypatch):
    columns = np.r_[0:900, 1000:3000]
    kept = [(columns, None)] * own_campaign.FEWEST_STARS
    monkeypatch.setattr(own_campaign, "LONGEST", 1000)
    parts = own_campaign.find_parts(kept, 3000)
    assert parts == [(0, 900), (1000, 2000), (2000, 3000)]
    assert own_campaign.find_parts(kept[1:], 3000) == []
    for n_gap in (LONGEST_GAP, LONGEST_GAP + 1):
        columns = np.delete(np.arange(1000 + n_gap), np.s_[500 : 500 + n_gap])
        some = [(columns, np.zeros(len(columns)))] * FEWEST_STARS
        parted = own_campaign.find_parts(some, 1000 + n_gap)[0] == (0, 500)
        assert parted == (n_gap > LONGEST_GAP)


def test_a_campaign_is_the_same_after_it_was_kept_in_a_file(systematics, tmp_path):
    rng = np.random.default_rng(5)
    campaign = learn_own_campaign(make_stars(80, systematics, rng))
    path = tmp_path / "campaign.npz"
    campaign.save(path)
    (star,) = make_stars(1, systematics, rng)
    again = OwnCampaign.load(path)
    assert np.array_equal(again.remove_shared(star), campaign.remove_shared(star), equal_nan=True)


def test_a_file_that_holds_no_campaign_is_named(systematics, tmp_path):
    path = tmp_path / "campaign.npz"
    with pytest.raises(DataError, match=r"campaign\.npz' is missing"):
        OwnCampaign.load(path)
    campaign = learn_own_campaign(make_stars(60, systematics, np.random.default_rng(6)))
    campaign.save(path)
    whole = path.read_bytes()
    for content in (b"", b"junk" * 99, whole[: len(whole) // 2]):
        path.write_bytes(content)
        with pytest.raises(DataError, match=r"campaign\.npz' holds no campaign"):
            OwnCampaign.load(path)
    for changes in (
        {"clock": "sundial"},
        {"scatter": campaign.scatter * 0},
        {"crowded": campaign.crowded.astype(int)},
        {"crowded": campaign.crowded[1:]},
        {"modes": campaign.modes[:, 1:]},
        {"modes": campaign.modes * np.float32(np.nan)},
        {"parts": campaign.parts[:, ::-1]},
        {"zero": np.inf},
    ):
        dataclasses.replace(campaign, **changes).save(path)
        with pytest.raises(DataError, match=r"campaign\.npz' is damaged"):
            OwnCampaign.load(path)


def test_too_few_stars_on_one_clock_are_refused(systematics):
    rng = np.random.default_rng(7)
    stars = make_stars(60, systematics, rng)
    with pytest.raises(DataError, match="needs 50 stars .* of 49 there are 49"):
        learn_own_campaign(stars[:49])
    timeless = [dataclasses.replace(star, time=None, cadence=None) for star in stars]
    with pytest.raises(DataError, match="of 60 there are 0"):
        learn_own_campaign(timeless)
    scattered = [
        dataclasses.replace(star, cadence=star.cadence + 5000 * i) for i, star in enumerate(stars)
    ]
    with pytest.raises(DataError, match="give stars of one campaign"):
        learn_own_campaign(scattered)


def test_no_more_stars_are_read_than_are_used(systematics, monkeypatch):
    monkeypatch.setattr(own_campaign, "MOST_STARS", 60)
    stars = iter(make_stars(70, systematics, np.random.default_rng(8)))
    assert learn_own_campaign(stars).n_stars == 60
    assert len(list(stars)) == 10
