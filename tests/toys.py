"""Small stars and simple classifiers that several tests use."""

import numpy as np
from scipy.ndimage import uniform_filter1d
from scipy.special import expit

from exoplanets.classifiers.base import Classifier
from exoplanets.lightcurves.equalise import equalise_table
from exoplanets.stars import CADENCE_DAYS, Stars
from exoplanets.transits import transit_flux

N_CADENCES = 640


def make_stars(n_hosts=12, n_others=48, depth=12.0, seed=0):
    """Stars of white noise, in all three splits; hosts have transits, in robust deviations deep."""
    rng = np.random.default_rng(seed)
    n_stars = n_hosts + n_others
    flux = rng.normal(size=(n_stars, N_CADENCES))
    times = np.arange(N_CADENCES) * CADENCE_DAYS
    for star in flux[:n_hosts]:
        period = rng.uniform(1.5, 3.5)
        planet = {"period": period, "epoch": rng.uniform(0, period), "radius_ratio": 0.1}
        dip = 1 - transit_flux(times, **planet)
        star -= depth * dip / dip.max()
    curves = equalise_table(flux, None)[0]
    return Stars(
        table=np.where(np.arange(n_stars) % 3 == 2, "test", "train"),
        row=rng.permutation(n_stars),
        is_host=np.arange(n_stars) < n_hosts,
        flux=flux.astype(np.float32),
        cadence=np.tile(np.arange(N_CADENCES, dtype=np.int32), (n_stars, 1)),
        curves=curves,
        split=np.array(["train", "validation", "test"])[np.arange(n_stars) % 3],
    )


def find_depth(curves):
    """How deep the deepest three hours are, between 0 and 1."""
    return expit(2 * (-uniform_filter1d(curves, 6, axis=1).min(axis=1) - 3.5))


class Deepest(Classifier):
    """An honest classifier: how deep the deepest three hours are."""

    name = "deepest"

    def score(self, stars):
        return find_depth(stars.curves).astype(float)


class Leaky(Classifier):
    """A classifier that reads the label off the first value of the flux, as a leak would be."""

    name = "leaky"
    light_curves = "distributed"

    def score(self, stars):
        return np.abs(stars.flux[:, 0]).astype(float)


class Memory(Classifier):
    """A score of 1 for light curves that it was fitted to or watched, 0 for all others."""

    name = "memory"
    learns_from_hosts = True

    def fit(self, stars, validation, seed):
        shown = (
            *stars.light_curves(self.light_curves),
            *validation.light_curves(self.light_curves),
        )
        self.known = {curve.tobytes() for curve in shown}
        self.fitted = getattr(self, "fitted", [])
        self.fitted.append((stars, validation, seed))
        return self

    def score(self, stars):
        curves = stars.light_curves(self.light_curves)
        return np.array([float(curve.tobytes() in self.known) for curve in curves])
