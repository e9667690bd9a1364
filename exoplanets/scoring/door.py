"""The door for Python: score light curves that are in memory, as `--predict` scores files."""

import os
import warnings
from pathlib import Path

import numpy as np
import pandas as pd

from exoplanets.commands.options import parse_positive
from exoplanets.files import DataError
from exoplanets.scoring import own_stars, prediction
from exoplanets.scoring.command import SHIPPED_MODEL
from exoplanets.scoring.network import load_network, wrap_classifier
from exoplanets.scoring.own_stars import Star, Unreadable
from exoplanets.scoring.result import COLUMNS
from exoplanets.scoring.samples import Samples


def score(time, flux=None, *, planets=1, model=None, magnitudes=None, name="star"):
    """Score one light curve.

    The numbers are those of the command line with `--search-all`, bit for bit.

    Parameters
    ----------
    time : array-like of shape (n_samples,), or a light curve
        Days, in any order. Arrays, Astropy's `Quantity` and `Time`, columns of pandas, or None if
        the samples are 29.4 minutes apart. Or one object that has a `time` and a `flux`, such as a
        light curve of lightkurve or a star of `read`; then no flux is given.
    flux : array-like of shape (n_samples,), optional
        In any linear unit, or magnitudes; NaN or masked where it is missing.
    planets : int
        Signals to look for at most, 1 or more; all are in `Result.signals`.
    model : path or classifier, optional
        File of a network; by default the one that comes with this package. Or a function from
        equalised light curves, ndarray of shape (n_stars, n_cadences), to scores, ndarray of shape
        (n_stars,); or an object with a method `score` of stars, such as a
        `classifiers.base.Classifier`, that reads their `curves`.
    magnitudes : bool, optional
        True if the flux is in magnitudes, False if it is not. By default flux that looks like
        magnitudes is refused, except with a unit that says so.
    name : str
        What the star is called.

    Returns
    -------
    Result
        Its attributes are the columns of `scores.csv`, as numbers with the unit in the name:
        `score`, `called`, `period_days`, `depth_ppm`, ...; NaN where nothing is known.
        `Result.fold` and `Result.plot` show it.

    Raises
    ------
    ValueError
        If an argument cannot be used.
    DataError
        If the light curve cannot be scored (too short, too coarse, constant, ...), or the file of
        the model cannot be used.

    Examples
    --------
    >>> import numpy as np
    >>> import exoplanets
    >>> time, flux = np.loadtxt(exoplanets.EXAMPLE_STAR, delimiter=",", skiprows=1).T
    >>> result = exoplanets.score(time, flux)
    >>> bool(result.score >= result.threshold)
    True
    >>> hours, ppm = result.fold()
    >>> bool(ppm[abs(hours) < 1].mean() < -200)
    True
    """
    star = time if isinstance(time, Star) else _take_star(time, flux, magnitudes, name)
    network, job = _find_network(model), _make_job(planets)
    (row,) = _score([star], network, job)
    if isinstance(row, Unreadable):
        raise DataError(str(row))
    return row


def score_many(stars, *, model=None, magnitudes=None):
    """Score many light curves.

    Parameters
    ----------
    stars : iterable
        Stars of `read`, or other objects with a `time` (days) and a `flux`, each of shape
        (n_samples,); see `score`.
    model, magnitudes
        See `score`.

    Returns
    -------
    pandas.DataFrame
        A row per star that could be scored, in their order, with the columns of `scores.csv` as
        numbers. `attrs["unreadable"]` lists the others, as texts; a warning tells of them.

    Raises
    ------
    ValueError
        If an argument cannot be used.
    DataError
        If the file of the model cannot be used.

    Examples
    --------
    >>> import exoplanets
    >>> table = exoplanets.score_many(exoplanets.read(exoplanets.EXAMPLE_STAR))
    >>> table[["called", "n_cadences"]].to_numpy().tolist()
    [[True, 3037]]
    """
    network, job = _find_network(model), _make_job(1)._replace(keep_star=False)
    readable = (
        star if isinstance(star, Star) else _take_star(star, None, magnitudes, f"star {i}")
        for i, star in enumerate(stars)
    )
    rows, unreadable = [], []
    for row in _score(readable, network, job):
        (unreadable if isinstance(row, Unreadable) else rows).append(row)
    _warn(unreadable)
    table = pd.DataFrame([[getattr(row, name) for name in COLUMNS] for row in rows], None, COLUMNS)
    table.attrs["unreadable"] = [str(each) for each in unreadable]
    return table


def read(paths, *, magnitudes=None):
    """Read light curves as `--predict` does.

    Parameters
    ----------
    paths : path or iterable of paths
        Files, folders (all known kinds below them) and globs.
    magnitudes : bool, optional
        See `score`.

    Returns
    -------
    list of Star
        With `name`, `time` (days, None if the file has no times), `flux` (NaN where missing), both
        ndarray of shape (n_cadences,) with a value every 29.4 minutes, and `notes`. A warning tells
        of each kind of file, or of row, that cannot be used.

    Raises
    ------
    DataError
        If there is no file.

    Examples
    --------
    >>> import exoplanets
    >>> [len(star.flux) for star in exoplanets.read(exoplanets.EXAMPLE_STAR)]
    [3197]
    """
    paths = [paths] if isinstance(paths, str | os.PathLike) else list(paths)
    files, unreadable = own_stars.find_files(paths)
    if not files:
        raise DataError("; ".join(own_stars.summarise_unreadable(unreadable)) or "no path is given")
    stars = []
    for target in own_stars.group_files(files):
        for star in prediction.read_safely(target, magnitudes):
            (unreadable if isinstance(star, Unreadable) else stars).append(star)
    _warn(unreadable)
    return stars


def _warn(unreadable):
    """Tell of what cannot be used, each reason once."""
    for line in own_stars.summarise_unreadable(unreadable):
        warnings.warn(line, stacklevel=3)


def _make_job(planets):
    try:
        planets = parse_positive(str(planets))
    except Exception:
        raise ValueError(f"planets must be a whole number of at least 1, not {planets!r}") from None
    return prediction.Job(search_all=True, planets=planets, keep_star=True)


def _find_network(model):
    """The network of a file, the shipped one, or that of a classifier."""
    if model is None or isinstance(model, str | os.PathLike):
        return load_network(Path(SHIPPED_MODEL if model is None else model))
    return wrap_classifier(model)


def _score(stars, network, job):
    """Yield a `Result` or an `Unreadable` of each star."""

    def draw(result):
        examination, star_page = _import_pages()
        examined = examination.examine_again(result.star, result, network, job)
        return star_page.draw_star(examined, network)

    for block in prediction.score_blocks(prediction.make_blocks(stars), network, job, {}):
        for row in block:
            if isinstance(row, Unreadable):
                yield row
            else:
                yield row[0] if row[0].star is None else row[0].with_page(draw)


def _import_pages():
    """The modules that draw, at their first use; Matplotlib's backend stays that of the user."""
    import matplotlib

    backend = dict.__getitem__(matplotlib.rcParams, "backend")  # without choosing one
    from exoplanets.scoring import examination, star_page

    if isinstance(backend, str):
        matplotlib.use(backend)
    else:  # none was chosen so far
        matplotlib.rcParams["backend"] = backend
    return examination, star_page


# -------------------------------------------------------------------------------- light curves
def _take_star(time, flux, magnitudes, name):
    """The `Star` of times and flux, or of one object that has both; or an `Unreadable`."""
    system = "as in the file"
    if flux is None:
        if not (hasattr(time, "time") and hasattr(time, "flux")):
            raise ValueError(
                f"a light curve has a time and a flux, a {type(time).__name__} has not: give "
                "score(time, flux), or one light curve"
            )
        curve = time
        time, flux = curve.time, curve.flux
        label = getattr(curve, "label", None) or getattr(curve, "name", None)
        name = label if isinstance(label, str) and label else name
        kind = getattr(time, "format", None)
        system = kind.upper() if isinstance(kind, str) else system
    values, kind = _read_flux(flux)
    days = None if time is None else _read_days(time)
    if values.ndim != 1 or (days is not None and days.shape != values.shape):
        shapes = f"{values.shape}" if days is None else f"{days.shape} and {values.shape}"
        raise ValueError(f"time and flux must be of one length, (n_samples,), not {shapes}")
    samples = Samples(values, days, kind=kind, time_system=system)
    return own_stars.make_star(samples, name, magnitudes)


def _read_days(time):
    """Times as days, float64: those of an astropy `Time` as its format counts them."""
    if hasattr(time, "jd"):  # an astropy Time
        value = time.value
        time = value if np.asarray(value).dtype.kind in "fiu" else time.jd
    elif hasattr(time, "unit") and time.unit is not None:
        try:
            time = time.to_value("day")
        except Exception as error:  # of astropy, which need not be imported here
            raise ValueError(f"the unit of time, '{time.unit}', is none of time") from error
    return _to_floats(time, "time")


def _read_flux(flux):
    """Flux as float64, and what its unit says it is; see `Samples.kind`."""
    unit, kind = getattr(flux, "unit", None), ""
    if unit is not None:
        kind = "magnitudes" if "mag" in str(unit) else "flux" if str(unit) else ""
        flux = flux.value
    return _to_floats(flux, "flux"), kind


def _to_floats(values, what):
    """Numbers as a float64 array of their own, NaN where they are masked."""
    try:
        values = np.ma.asarray(values) if hasattr(values, "mask") else np.asarray(values)
        return np.ma.filled(values.astype(np.float64), np.nan)
    except (TypeError, ValueError) as error:
        raise ValueError(f"the {what} is no array of numbers: {error}") from None
