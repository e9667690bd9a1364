"""classifiers/transit.py: repeated transits are told, whatever else a star does."""

import argparse
import dataclasses
import zipfile

import numpy as np
import pytest
from sklearn import metrics as reference

from exoplanets.classifiers import transit
from exoplanets.classifiers.heads import HeadDense
from exoplanets.classifiers.keras_tools import keras
from exoplanets.classifiers.transit import (
    MODEL_LAYOUT,
    Transit,
    TransitSettings,
    find_best,
    load_transit,
    make_loss,
    make_scorer,
    make_transit_network,
    save_transit,
    train_transit,
)
from exoplanets.files import DataError
from exoplanets.lightcurves import campaign, equalise
from exoplanets.scoring.command import SHIPPED_MODEL
from exoplanets.search.features import NUMBERS, POINTS, VIEWS
from exoplanets.search.orbit import N_FEATURES
from exoplanets.stars import CADENCE_DAYS, Stars
from exoplanets.transits import transit_flux

TINY = TransitSettings(
    curves=64, heads=1, candidates=2, view_filters=2, units=4, transit_epochs=1, systems=64,
    judge_units=4, judge_epochs=1,
)  # fmt: skip
N = 1469  # cadences: 30 d
YEAR = round(365.25 / CADENCE_DAYS)
PLANET = {"period": 3.3, "epoch": 1.1, "radius_ratio": 0.05, "impact": 0.3}


def observe(rng, n_stars, n, planet=None, snr=0.0):
    """Raw flux of quiet stars, e-/s, with a planet if one is given: of that SNR in 30 days.

    The planet is of the transit model, not of the shapes that the training draws.
    """
    times = np.arange(n) * CADENCE_DAYS
    slow = np.sin(2 * np.pi * (times / rng.uniform(8, 30, (n_stars, 1)) + rng.random((n_stars, 1))))
    flux = rng.normal(0, 10, (n_stars, n)) + 40 * slow
    if planet is None:
        return flux
    dip = 1 - transit_flux(times, **planet)
    return flux - snr * 10 * dip / np.sqrt(np.sum(dip[:N] ** 2))


def find_score(model, curves):
    """Transit score of equalised light curves."""
    return make_scorer(model).find(curves).transit_score


@pytest.fixture(scope="module")
def taught():
    """A transit network after a short training, and stars it never saw: half have planets."""
    rng = np.random.default_rng(0)
    settings = TransitSettings(curves=1200, heads=4, systems=64, judge_epochs=1)  # seconds
    model, history = train_transit(observe(rng, 60, N), settings, seed=1)
    has = np.arange(120) < 60
    raw = observe(rng, 120, N)
    for i in np.flatnonzero(has):
        planet = PLANET | {"period": rng.uniform(0.8, 9), "epoch": rng.uniform(0, 9)}
        raw[i] = observe(rng, 1, N, planet, snr=rng.uniform(10, 60))
    curves = equalise.equalise_table(raw).curves
    return argparse.Namespace(
        settings=settings,
        model=model,
        history=history,
        curves=curves,
        has=has,
        score=find_score(model, curves),
    )


@pytest.fixture(scope="module")
def shipped():
    """The network that comes with the repository, for what takes a longer training."""
    return argparse.Namespace(model=transit.load_transit(SHIPPED_MODEL)[0])


def score_raw(taught, flux):
    return find_score(taught.model, equalise.equalise_table(flux).curves).astype(float)


# ----------------------------------------------------------------------------- what it tells
def test_a_short_training_tells_transits_in_unseen_stars(taught):
    assert reference.roc_auc_score(taught.has, taught.score) > 0.95
    assert taught.score.dtype == np.float32
    assert 0 <= taught.score.min() <= taught.score.max() <= 1
    # Turned upside down, the same stars have no transit.
    upside_down = find_score(taught.model, -taught.curves)
    assert reference.roc_auc_score(taught.has, upside_down) < 0.6
    assert upside_down.mean() < 0.25
    assert taught.history["epoch"].tolist() == list(range(12))
    assert taught.history["loss"].iloc[-1] < taught.history["loss"].iloc[0]


def test_the_scale_of_the_numbers_is_that_of_the_sample(taught):
    for part, n in (("weigher", len(NUMBERS)), ("judge", N_FEATURES)):
        mean, variance, _ = taught.model.get_layer(part).get_layer("scale").get_weights()
        assert mean.shape == variance.shape == (n,)
        assert np.count_nonzero(mean) > 0.9 * n and (variance >= 0).all()


def test_the_scale_of_a_raw_light_curve_makes_no_difference(taught):
    flux = observe(np.random.default_rng(3), 4, N, PLANET, 20)
    np.testing.assert_allclose(score_raw(taught, 1e4 * flux), score_raw(taught, flux), atol=1e-4)


def test_a_reversed_or_a_shifted_light_curve_has_about_the_same_score(taught):
    """A shift breaks the period where the ends meet."""
    for moved in (taught.curves[:, ::-1], np.roll(taught.curves, 7, axis=1)):
        again = find_score(taught.model, np.ascontiguousarray(moved))
        assert np.corrcoef(again, taught.score)[0, 1] > 0.95


def test_dips_that_do_not_repeat_score_below_those_that_do(taught):
    """The same dips at times that do not repeat."""
    rng = np.random.default_rng(4)
    times = np.arange(N) * CADENCE_DAYS
    flux = observe(rng, 12, N)
    for star in flux:
        wild = times.copy()
        middles = np.arange(PLANET["epoch"], times[-1], PLANET["period"])
        for middle in middles:
            near = np.abs(times - middle) < PLANET["period"] / 2
            wild[near] = times[near] + rng.uniform(-0.4, 0.4) * PLANET["period"]
        dip = 1 - transit_flux(wild, **PLANET)
        star -= 25 * 10 * dip / np.sqrt(np.sum(dip**2))
    scattered = score_raw(taught, flux)
    regular = score_raw(taught, observe(rng, 12, N, PLANET, 25))
    assert np.median(regular) > 0.9 and scattered.max() < regular.min()


# --------------------------------------------------------------------------- more is never less
CLEAR = 0.9  # of a score: beyond, a star is a clear host to this briefly taught network
MOST_FALL = 0.02  # of its score


def find_fall(score):
    """How far a row of scores falls, at most, once it is clear."""
    highest = np.maximum.accumulate(score)
    return np.max(np.where(highest >= CLEAR, highest - score, 0))


def test_deeper_transits_never_have_a_lower_score(taught):
    factors = np.array([0.3, 0.5, 0.75, 1, 1.5, 2, 3, 5, 10])
    rows = []
    for seed in range(12):
        planet = PLANET | {"period": 1.1 + 0.6 * seed, "epoch": 0.3 + 0.1 * seed}
        flux = [observe(np.random.default_rng(seed), 1, N, planet, 25 * f)[0] for f in factors]
        rows.append(score_raw(taught, np.stack(flux)))
    assert sum(row[-1] >= CLEAR for row in rows) >= 11
    assert sum(row[0] < CLEAR for row in rows) >= 6  # they start from where it is open
    assert max(map(find_fall, rows)) < MOST_FALL


def test_more_transits_never_have_a_lower_score(shipped):
    n_transits = (3, 4, 5, 6, 7, 8, 9)
    times = np.arange(N) * CADENCE_DAYS
    for seed in range(6):
        dips = observe(np.random.default_rng(seed), 1, N, PLANET, 80)[0]
        none = observe(np.random.default_rng(seed), 1, N)[0]
        lasts = PLANET["epoch"] + (np.array(n_transits) - 0.5) * PLANET["period"]
        score = score_raw(shipped, np.where(times < lasts[:, None], dips, none))
        assert score[-1] > 0.95
        assert find_fall(score) < MOST_FALL


@pytest.mark.parametrize("n", [730, N, 3197, 2 * 3197, YEAR, 4 * YEAR])
def test_scores_are_right_at_any_length(taught, shipped, n):
    """From 15 days to 4 years; transits of the depth that is clear in 30 days stay clear.

    That noise is no planet, however long it lasts, takes more than seconds of training to learn.
    """
    rng = np.random.default_rng(n)
    planets = observe(rng, 2, n, PLANET, 45)
    if n > N:  # where 30 days show nothing, four years may
        assert score_raw(taught, planets).min() > 0.97
    else:
        assert score_raw(taught, planets).min() > 0.9
    assert score_raw(shipped, observe(rng, 4, n)).max() < 0.3


# ------------------------------------------------------------------------------- what it is
@pytest.mark.parametrize("order_weight", [0.0, 0.5, 3.0])
def test_the_loss_is_a_plain_sum(order_weight):
    """Cross-entropy of both curves, and of planets what the deeper lacks of `RISE`."""
    rng = np.random.default_rng(0)
    truth, odds = rng.choice([0.0, 1.0], 40).repeat(2).reshape(-1, 2), rng.normal(0, 2, (40, 3, 2))
    expected = np.empty((40, 3))
    for pair, head in np.ndindex(40, 3):
        p = 1 / (1 + np.exp(-odds[pair, head]))
        crossed = -np.log(p if truth[pair, 0] else 1 - p).mean()
        lacking = max(transit.RISE - np.diff(odds[pair, head])[0], 0) if truth[pair, 0] else 0
        expected[pair, head] = crossed + order_weight * lacking
    np.testing.assert_allclose(make_loss(order_weight)(truth, odds), expected, rtol=1e-6)


def test_huge_log_odds_have_a_finite_loss():
    odds, truth = np.array([[[1e4, -1e4]]], np.float32), np.ones((1, 2), np.float32)
    expected = 0.5e4 + 2e4 + transit.RISE
    np.testing.assert_allclose(np.array(make_loss(1.0)(truth, odds)), expected, rtol=1e-5)


def test_the_network_is_a_plain_computation():
    """Star by star and candidate by candidate: views are read four points at a time, side by side.

    The layers of each part are told by how many numbers they read.
    """
    settings = dataclasses.replace(TINY, heads=2, candidates=3, view_filters=4, units=6)
    model, rng = make_transit_network(settings), np.random.default_rng(0)
    numbers = rng.normal(2, 3, (5, 3, len(NUMBERS))).astype(np.float32)
    views = rng.normal(0, 4, (5, 3, POINTS, len(VIEWS))).astype(np.float32)
    orbits = rng.normal(1, 2, (5, N_FEATURES)).astype(np.float32)
    dense, scaled = {}, {}
    for name, values in (("weigher", np.arcsinh(numbers / 2)), ("judge", orbits)):
        part = model.get_layer(name)
        scale = part.get_layer("scale")
        scale.adapt(values[:2])  # few: others are far away
        mean, variance, _ = scale.get_weights()
        scaled[name] = np.clip((values - mean) / np.sqrt(variance), -4, 4)
        assert (np.abs(scaled[name]) == 4).any()
        for layer in part.layers:
            if isinstance(layer, HeadDense):
                for weight in layer.weights:
                    weight.assign(rng.normal(0, 0.3, weight.shape))
                dense[name, layer.kernel.shape[1]] = [
                    w.numpy().astype(float) for w in layer.weights
                ]
    assert len(dense) == 8

    def find(name, x, head, last=False):
        kernel, bias = (weight[head] for weight in dense[name, len(x)])
        y = x @ kernel + bias[0]
        return y.item() if last else np.maximum(y, 0)

    def weigh(star, k, head):
        seen = np.arcsinh(views[star, k].astype(float) / 4)
        parts = [find("weigher", seen[i : i + 4].ravel(), head) for i in range(0, POINTS, 4)]
        seen = find("weigher", np.concatenate(parts), head)
        x = find("weigher", scaled["weigher"][star, k], head)
        return find("weigher", find("weigher", np.concatenate([x, seen]), head), head, last=True)

    odds, told = (np.array(each) for each in model([numbers, views, orbits]))
    expected = [[[weigh(star, k, head) for head in (0, 1)] for k in range(3)] for star in range(5)]
    np.testing.assert_allclose(odds, expected, rtol=1e-3, atol=1e-4)
    for head in range(2):
        for star, x in enumerate(scaled["judge"]):
            x = find("judge", find("judge", x, head), head)
            assert told[star, head] == pytest.approx(find("judge", x, head, last=True), abs=1e-4)


def test_candidates_are_weighed_alike(taught):
    """The order in which candidates come makes no difference, and each can only add."""
    weigher = taught.model.get_layer("weigher")
    rng, n_best = np.random.default_rng(0), taught.settings.candidates
    numbers = rng.normal(3, 2, (5, n_best, len(NUMBERS))).astype(np.float32)
    views = rng.normal(0, 3, (5, n_best, POINTS, len(VIEWS))).astype(np.float32)
    order = rng.permutation(n_best)
    odds = np.array(weigher([numbers, views]))
    assert odds.shape == (5, n_best, taught.settings.heads)
    permuted = np.array(weigher([numbers[:, order], views[:, order]]))
    np.testing.assert_allclose(permuted, odds[:, order], rtol=1e-4, atol=1e-5)
    score = transit.find_score(odds)
    for k in range(n_best):
        assert (score > transit.find_score(odds[:, [k]])).all()
    # The sum of the odds of all candidates, its logarithm meant over the heads.
    total = np.log(np.exp(odds.astype(float)).sum(axis=1)).mean(axis=1)
    np.testing.assert_allclose(score, 1 / (1 + np.exp(-total)), rtol=1e-5)


@pytest.mark.parametrize("part", ["weigher", "judge"])
def test_heads_share_nothing_but_the_scale(part):
    """Another weight of one head changes the log-odds of that head alone."""
    network = make_transit_network(dataclasses.replace(TINY, heads=3)).get_layer(part)
    rng = np.random.default_rng(0)
    given = [rng.normal(size=(4, *each.shape[1:])).astype(np.float32) for each in network.inputs]
    before = np.array(network(given if len(given) > 1 else given[0]))
    assert len(np.unique(before.reshape(-1, 3)[0])) == 3  # each starts elsewhere
    n_changed = 0
    for weight in network.trainable_weights:
        values = weight.numpy()
        assert values.shape[0] == 3 and values.ndim == 3  # heads come first
        changed = values.copy()
        changed[1] += 0.5
        weight.assign(changed)
        after = np.array(network(given if len(given) > 1 else given[0]))
        weight.assign(values)
        np.testing.assert_array_equal(after[..., [0, 2]], before[..., [0, 2]])
        n_changed += not np.array_equal(after[..., 1], before[..., 1])
    assert n_changed >= len(network.trainable_weights) - 2


@pytest.mark.parametrize("rows", [[7], [7, 40], [*range(100, 3, -1)]])
def test_a_star_has_the_same_bits_alone_and_among_others(taught, rows):
    scorer = make_scorer(taught.model)
    some = scorer.find(taught.curves[rows])
    for values, whole in zip(some, scorer.find(taught.curves), strict=True):
        np.testing.assert_array_equal(values, whole[rows])
    orbits = np.random.default_rng(0).normal(size=(120, N_FEATURES)).astype(np.float32)
    np.testing.assert_array_equal(scorer.judge(orbits[rows]), scorer.judge(orbits)[rows])


def test_no_star_has_no_score_and_a_score_that_is_no_number_is_refused(taught):
    scorer = make_scorer(taught.model)
    assert scorer.judge(np.zeros((0, N_FEATURES), np.float32)).shape == (0,)
    with pytest.raises(DataError, match="not finite"):
        scorer.judge(np.full((1, N_FEATURES), np.nan, np.float32))


def test_the_best_candidate_is_where_the_transits_are(taught):
    flux = observe(np.random.default_rng(5), 6, N, PLANET, 40)
    dips = make_scorer(taught.model).find(equalise.equalise_table(flux).curves)
    np.testing.assert_allclose(dips.period, PLANET["period"], rtol=2e-3)
    away = (dips.epoch - PLANET["epoch"]) / PLANET["period"]
    np.testing.assert_allclose(away - np.rint(away), 0, atol=0.01)
    assert ((dips.duration > 0.04) & (dips.duration < 0.3)).all()


def test_of_candidates_it_is_as_sure_of_the_strongest_is_the_best():
    """Deep dips make it sure of multiples of the period too; a weak one it trusts is not left."""
    odds = np.array([[5.0, 6.5, 2.0], [5.0, 9.0, 2.0], [-3.0, -2.5, -2.0]])
    heads = np.stack([odds - 1, odds + 1], axis=2)
    numbers = np.zeros((3, 3, len(NUMBERS)))
    numbers[:, :, NUMBERS.index("snr")] = [[30, 20, 40], [30, 20, 40], [7, 9, 8]]
    assert find_best(heads, numbers).tolist() == [0, 1, 1]


def test_the_network_is_small():
    model = make_transit_network(TransitSettings())
    assert model.count_params() < 120_000  # of eight heads, both judgements
    one = make_transit_network(TransitSettings(heads=1))
    assert one.count_params() < 20_000
    assert [shape[1:] for shape in model.output_shape] == [(6, 8), (8,)]


def test_the_same_seed_gives_the_same_network():
    flux = observe(np.random.default_rng(0), 20, 600)
    first, second = (train_transit(flux, TINY, 3)[0].get_weights() for _ in range(2))
    for one, two in zip(first, second, strict=True):
        np.testing.assert_array_equal(one, two)


@pytest.fixture
def untrained(monkeypatch):
    """Without the fit, which takes the time, all else of a training is done."""
    done = argparse.Namespace(history={"loss": []})
    monkeypatch.setattr(keras.Model, "fit", lambda *args, **options: done)


@pytest.mark.usefixtures("untrained")
def test_another_seed_begins_with_other_weights():
    flux = observe(np.random.default_rng(0), 20, 600)
    one, other = (train_transit(flux, TINY, seed)[0] for seed in (3, 4))
    for part in ("weigher", "judge"):
        weights = [
            np.concatenate([w.numpy().ravel() for w in model.get_layer(part).trainable_weights])
            for model in (one, other)
        ]
        assert not np.array_equal(*weights)


@pytest.mark.usefixtures("untrained")
def test_every_setting_reaches_the_training(monkeypatch):
    """Settings are the sample's, the layers' or the fits'; none is a dead flag."""
    read = set()

    class Watched:
        def __getattr__(self, name):
            read.add(name)
            return getattr(TINY, name)

    # A copy with fewer systems per survey is the settings' own.
    monkeypatch.setattr(transit.dataclasses, "replace", lambda settings, **changed: settings)
    train_transit(observe(np.random.default_rng(0), 20, 600), Watched(), seed=0)
    assert read == {field.name for field in dataclasses.fields(TransitSettings)}


def test_settings_that_contradict_are_refused():
    with pytest.raises(ValueError, match="snr_low must be less than snr_high"):
        TransitSettings(snr_low=30, snr_high=20)


def test_the_classifier_is_taught_by_non_hosts_alone(monkeypatch):
    """Neither hosts nor the validation stars reach the training, and the campaign does."""
    shown = {}

    def train(flux, settings, seed, known):
        shown.update(flux=flux, seed=seed, campaign=known)
        return "network", "history"

    monkeypatch.setattr(transit, "train_transit", train)
    rng = np.random.default_rng(0)
    is_host = np.arange(9) % 3 == 0
    stars = Stars(np.full(9, "train"), np.arange(9), is_host, rng.normal(size=(9, 600)))
    classifier = Transit(TINY, campaign="campaign")
    assert classifier.fit(stars, stars.select(is_host), seed=5) is classifier
    np.testing.assert_array_equal(shown["flux"], stars.flux[~is_host])
    assert (shown["seed"], shown["campaign"]) == (5, "campaign")
    assert (classifier.model, classifier.history) == ("network", "history")


# ------------------------------------------------------------------------------- on the disk
@pytest.fixture
def saved(taught, tmp_path):
    """A saved network with a campaign."""
    rng = np.random.default_rng(0)
    known = campaign.Campaign(
        lost=rng.random(N) < 0.05,
        missing=rng.random(N) < 0.06,
        modes=rng.normal(size=(3, N)).astype(np.float32),
        scatter=rng.uniform(0.8, 2, N).astype(np.float32),
        n_stars=77,
    )
    classifier = Transit(taught.settings, known)
    classifier.model = taught.model
    classifier.save(tmp_path / "transit.keras", {"threshold": 0.25, "provenance": {"a": 1}})
    return tmp_path / "transit.keras", known


def test_a_saved_network_gives_the_same_scores(taught, saved):
    path, known = saved
    model, scoring = load_transit(path)
    np.testing.assert_array_equal(find_score(model, taught.curves), taught.score)
    found = scoring.pop("campaign")
    assert scoring == {
        "layout": MODEL_LAYOUT,
        "settings": dataclasses.asdict(taught.settings),
        "threshold": 0.25,
        "provenance": {"a": 1},
    }
    for name, array in known.to_arrays().items():
        np.testing.assert_array_equal(found.to_arrays()[name], array)
    orbits = np.random.default_rng(0).normal(size=(70, N_FEATURES)).astype(np.float32)
    planet_score = make_scorer(taught.model).judge(orbits)
    np.testing.assert_array_equal(make_scorer(model).judge(orbits), planet_score)
    assert len(np.unique(planet_score)) > 60
    again = keras.models.load_model(path)  # Keras alone reads it too
    np.testing.assert_array_equal(make_scorer(again).judge(orbits), planet_score)
    np.testing.assert_array_equal(find_score(again, taught.curves), taught.score)


def test_a_network_without_a_campaign_is_saved_without_one(taught, tmp_path):
    settings = {"settings": dataclasses.asdict(taught.settings)}
    save_transit(taught.model, tmp_path / "transit.keras", settings)
    assert load_transit(tmp_path / "transit.keras")[1]["campaign"] is None


def test_the_same_network_is_saved_as_the_same_bytes_of_scoring(taught, tmp_path):
    for name in ("a.keras", "b.keras"):
        save_transit(taught.model, tmp_path / name, {"settings": {}})
    dates = {
        zipfile.ZipFile(tmp_path / n).getinfo("scoring.json").date_time
        for n in ("a.keras", "b.keras")
    }
    assert dates == {(1980, 1, 1, 0, 0, 0)}


def rewrite(path, **changed):
    """Replace members of an archive; None leaves one out."""
    with zipfile.ZipFile(path) as archive:
        content = {name: archive.read(name) for name in archive.namelist()}
    content |= {name.replace("__", "/").replace("_dot_", "."): new for name, new in changed.items()}
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in content.items():
            if data is not None:
                archive.writestr(name, data)


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (lambda path: path.unlink(), "is missing: train one with"),
        (lambda path: path.write_bytes(b""), "is no transit network of this project"),
        (lambda path: path.write_bytes(path.read_bytes()[:3000]), "is no transit network"),
        (lambda path: rewrite(path, scoring_dot_json=None), "is no transit network"),
        (lambda path: rewrite(path, scoring_dot_json=b"{"), "is no transit network"),
        (lambda path: rewrite(path, scoring_dot_json=b"[3]"), "has layout None"),
        (lambda path: rewrite(path, scoring_dot_json=b'{"layout": "old"}'), "has layout old, this"),
        (
            lambda path: rewrite(path, scoring_dot_json=b'{"layout": %d}' % MODEL_LAYOUT),
            "holds other weights",
        ),
        (lambda path: rewrite(path, campaign__modes_dot_npy=b"none"), "is no transit network"),
        (lambda path: rewrite(path, campaign__lost_dot_npy=None), "holds other weights"),
        (
            lambda path: rewrite(path, model_dot_weights_dot_h5=b"none"),
            "holds other weights",
        ),
    ],
)
def test_a_damaged_file_is_refused_in_one_line(saved, damage, says):
    path, _ = saved
    damage(path)
    with pytest.raises(DataError, match=says) as raised:
        load_transit(path)
    assert str(path) in str(raised.value) and "\n" not in str(raised.value)
    assert "train one with `python cnn_classifier.py`" in str(raised.value)


# ----------------------------------------------------------------------------- the same path
def test_training_injects_with_the_campaign(saved):
    _, known = saved
    flux = observe(np.random.default_rng(0), 20, N)
    losses = [train_transit(flux, TINY, 7, each)[1]["loss"].item() for each in (known, known, None)]
    assert losses[0] == losses[1] != losses[2]
