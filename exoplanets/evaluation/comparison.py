"""What is compared: scores of the stars of one view, and how well they do."""

from typing import NamedTuple

import pandas as pd

from exoplanets.classifiers import box, keras_tools
from exoplanets.classifiers.transit import train_transit
from exoplanets.evaluation import metrics
from exoplanets.files import say
from exoplanets.lightcurves import probes
from exoplanets.lightcurves.split import balance, fill_missing
from exoplanets.stars import TABLES

SPLITS = ("train", "validation", "test")
MOST_SEARCHED = 1000  # stars; with more, box least squares would take most of the run's time


def count_view_repeats(tables, view):
    """Exact repeats of every star of a view, counted in the flux as distributed.

    Returns
    -------
    dict of ndarray
        Per split, ndarray of shape (n_stars,).
    """
    of_table = {name: probes.count_repeats(getattr(tables, name).flux) for name in TABLES}
    return {
        split: of_table["test" if split == "test" else "train"][view[f"row_{split}"]]
        for split in SPLITS
    }


class Contender(NamedTuple):
    """A score of the stars of one view.

    Attributes
    ----------
    network, light_curves : str
        See `metrics.json`.
    view : dict of ndarray
    scored : dict of ndarray
        Per split, ndarray of shape (n_stars,).
    tuned_on : str
        Split on which its threshold is tuned.
    """

    network: str
    light_curves: str
    view: dict
    scored: dict
    tuned_on: str = "validation"

    @property
    def threshold(self):
        """Threshold that maximises F1 of `score >= threshold` on the split `tuned_on`."""
        return metrics.tune_threshold(self.view[f"y_{self.tuned_on}"], self.scored[self.tuned_on])

    def of_rows(self, rows):
        """Scores of the test stars in these rows of their file; NaN for one not in the view."""
        score = pd.Series(self.scored["test"], index=self.view["row_test"])
        return score.reindex(rows).to_numpy()


def evaluate_split(contender, split, colours, seed, kept=None):
    """A result row of one contender on one split.

    Parameters
    ----------
    contender : Contender
    split : str
    colours : dict of ndarray
        Per table, the noise colour of every star; see `probes.find_noise_colour`.
    seed : int
        Of the bootstrap.
    kept : ndarray of bool, optional
        The stars to count; all unless given.

    Returns
    -------
    dict
    """
    kept = slice(None) if kept is None else kept
    y, score = contender.view[f"y_{split}"][kept], contender.scored[split][kept]
    rows = contender.view[f"row_{split}"][kept]
    # A host that SMOTE made has no row, and no noise of its own: it is left out of the matching.
    real = rows >= 0
    colour = colours["test" if split == "test" else "train"][rows[real]]
    return (
        {"network": contender.network, "light_curves": contender.light_curves, "split": split}
        | metrics.evaluate(y, score, contender.threshold, seed)
        | {
            "recall_at_precision_0.9": metrics.recall_at_precision(y, score),
            "noise_matched_auc": metrics.noise_matched_auc(y[real], score[real], colour),
        }
    )


def train_contenders(tables, split, train_published, transit_settings, box_least_squares, seed):
    """Train both networks, and score all splits with them and with what needs no training.

    Parameters
    ----------
    tables : stars.Tables
    split : dict
        See `split.load_split`.
    train_published : callable
        From fit stars (x, y), validation stars (x, y) and `seed` to the published network and its
        training history.
    transit_settings : transit.TransitSettings
    box_least_squares : {"auto", "always", "never"}
        See `wants_search`.
    seed : int

    Returns
    -------
    contenders : list of Contender
    models : dict of keras.Model
        `published_distributed`, `published_equalised` and `transit`.
    history : pandas.DataFrame
        A row per network, light curves and epoch.
    """
    distributed, equalised = split["distributed"], split["equalised"]
    repeats = count_view_repeats(tables, equalised)
    contenders = [Contender("repeat_count", "distributed", equalised, repeats, "train")]
    models, histories = {}, []
    for light_curves, view in (("distributed", distributed), ("equalised", equalised)):
        x, y = view["x_train"], view["y_train"]
        if view is equalised:  # the view is not resampled; the study's network asks for it
            x, y, _, _ = balance(x, y, seed)
        held_out = view["x_validation"], view["y_validation"]
        model, history = train_published((x, y), held_out, seed=seed)
        scored = {name: keras_tools.predict(model, view[f"x_{name}"]) for name in SPLITS}
        contenders.append(Contender("published", light_curves, view, scored))
        models[f"published_{light_curves}"] = model
        histories.append(name_history(history, "published", light_curves))

    others = equalised["row_train"][equalised["y_train"] == 0]
    flux, was_missing = fill_missing(tables.train.flux[others])
    models["transit"], history = train_transit(flux, transit_settings, seed, was_missing)
    scored = {
        name: keras_tools.predict(models["transit"], equalised[f"x_{name}"]) for name in SPLITS
    }
    contenders.append(Contender("transit", "equalised", equalised, scored))
    histories.append(name_history(history, "transit", "equalised"))
    n_stars = sum(len(equalised[f"y_{name}"]) for name in SPLITS)
    if wants_search(box_least_squares, n_stars):
        contenders.append(search_splits(equalised))
    return contenders, models, pd.concat(histories)


def name_history(history, network, light_curves):
    """A training history with the network and the light curves it belongs to."""
    history.insert(0, "network", network)
    history.insert(1, "light_curves", light_curves)
    return history


def wants_search(choice, n_stars):
    """Whether to run box least squares on so many stars; says so if it takes too long."""
    if choice == "auto" and n_stars > MOST_SEARCHED:
        say(
            f"box least squares is left out: {n_stars} stars would take about "
            f"{n_stars * 0.04 / 120:.0f} minutes on two cores (--box-least-squares always)"
        )
    return choice == "always" or (choice == "auto" and n_stars <= MOST_SEARCHED)


def search_splits(view):
    """Box least squares on all stars of a view, as a contender."""
    say("box least squares ...")
    scored = {split: box.search(view[f"x_{split}"]).statistic for split in SPLITS}
    return Contender("box_least_squares", "equalised", view, scored)
