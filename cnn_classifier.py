"""Step 4: train the networks, tune their thresholds, test them.

Reads `data/preprocessed_data.pkl` of step 3 and the light curves it was made of:

    python cnn_classifier.py
    python cnn_classifier.py --normalization identity   # as the published code really ran
    python cnn_classifier.py --cross-validate 5         # all hosts of both tables, three times
    python cnn_classifier.py --vet full                 # thorough vetting, and five seeds
    python cnn_classifier.py --predict my_star.fits folder/   # score your own stars, no training
    python cnn_classifier.py --predict my_star.fits --plots   # and draw a page about each

Compares, on the same stars: `transit`, our network, on equalised light curves; `published`, the
original study's, on light curves as distributed and on equalised ones; `box_least_squares`, no
network at all; and `repeat_count`, which learns nothing and finds every leak.

Writes `plots/CMtrain.png`, `CMtest.png`, `Trainevo.png`, `CMtest_transit.png`,
`precision_recall.png`, `top_candidates.png`, `injection_recovery.png`, `reliability.png`,
`occlusion.png`, `calibration.png`, `results.md` and `results.tex`, and into the data directory
`metrics.json`, `test_predictions.csv`, `stars.csv`, `training_history.csv`, `published.keras` and
`transit.keras`. What `--predict` writes is said in `exoplanets/commands/predict.py`.
"""

import dataclasses
import functools
import importlib.metadata
import json
import os
import sys
from typing import NamedTuple

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # read when TensorFlow is imported

import keras
import numpy as np
import pandas as pd
from keras import layers
from tqdm.keras import TqdmCallback

from exoplanets.classifiers.base import setting
from exoplanets.classifiers.keras_tools import make_reproducible
from exoplanets.classifiers.transit import TransitSettings, save_transit
from exoplanets.commands import predict
from exoplanets.commands.options import (
    add_settings,
    make_parser,
    parse_folds,
    parse_positive,
    read_settings,
)
from exoplanets.evaluation import metrics
from exoplanets.evaluation.candidates import (
    N_CANDIDATES,
    evaluate_without_suspects,
    find_candidates,
    list_stars,
)
from exoplanets.evaluation.comparison import MOST_SEARCHED, SPLITS, evaluate_split, train_contenders
from exoplanets.evaluation.crossvalidation import cross_validate, gather_stars, make_contenders
from exoplanets.evaluation.vetting import vet_contenders
from exoplanets.figures import report, results
from exoplanets.figures import vetting as vetting_figures
from exoplanets.figures.style import save_figure
from exoplanets.files import DataError, atomic_write, run, say, write_text
from exoplanets.lightcurves import probes
from exoplanets.lightcurves.split import SPLIT_FILE, load_split, split_rows
from exoplanets.sources import kaggle
from exoplanets.stars import TABLES, as_tables, describe

FEWEST_BATCHES = 16  # an epoch: running averages of momentum 0.99 forget the start in five epochs
PACKAGES = ("numpy", "scipy", "pandas", "scikit-learn", "imbalanced-learn", "keras", "tensorflow")
FULL_FOLDS, FULL_SEEDS = 5, 5  # of the cross-validation that --vet full brings along


@dataclasses.dataclass(frozen=True)
class PublishedSettings:
    """Hyper-parameters of the published network; each is a flag, the defaults are the study's."""

    filters: tuple[int, ...] = setting((11, 7), "filters of each convolution")
    kernel_size: int = setting(2, "cadences a convolution spans")
    l2: float = setting(0.01, "L2 penalty on convolution kernels")
    pool_dropout: float = setting(0.4, "dropout after pooling")
    dense: tuple[int, ...] = setting((50, 30, 12), "units of each dense layer")
    dense_dropout: float = setting(0.3, "dropout between dense layers")
    learning_rate: float = setting(1e-2, "Adam's initial learning rate")
    decay_steps: int = setting(10_000, "batches after which the learning rate has decayed once")
    decay_rate: float = setting(0.8, "factor of one decay")
    host_weight: float = setting(2.5, "weight of a host in the loss; a non-host has 1")
    batch_size: int = setting(128, "stars per batch")
    epochs: int = setting(40, "epochs at most")
    patience: int = setting(8, "epochs without a lower validation loss before stopping")
    normalization: str = setting("adapted", "adapted to the fit stars, or identity as published")


def make_published_network(x, settings):
    """The network of the published study, layer by layer, compiled.

    Parameters
    ----------
    x : ndarray of shape (n_stars, n_cadences)
        The fit stars: the normalisation learns each cadence's mean and variance from them.
    settings : PublishedSettings

    Returns
    -------
    keras.Model
        From flux, shape (n, n_cadences, 1), to the score of being a host, shape (n, 1).
    """
    if settings.normalization == "adapted":
        normalization = layers.Normalization(axis=1)
        normalization.adapt(x[..., np.newaxis])
    else:
        normalization = layers.Normalization(axis=None, mean=0.0, variance=1.0)
    inputs = keras.Input((x.shape[1], 1), name="flux")
    hidden = normalization(inputs)
    for n_filters in settings.filters:
        hidden = layers.Conv1D(
            n_filters,
            settings.kernel_size,
            activation="relu",
            kernel_regularizer=keras.regularizers.L2(settings.l2),
        )(hidden)
        hidden = layers.BatchNormalization()(hidden)
    hidden = layers.MaxPooling1D(pool_size=2, strides=2)(hidden)
    hidden = layers.Dropout(settings.pool_dropout)(hidden)
    hidden = layers.Flatten()(hidden)
    *first, last = settings.dense
    for units in first:
        hidden = layers.Dense(units, activation="relu")(hidden)
        hidden = layers.Dropout(settings.dense_dropout)(hidden)
    hidden = layers.Dense(last, activation="relu")(hidden)
    model = keras.Model(inputs, layers.Dense(1, activation="sigmoid")(hidden), name="published")
    schedule = keras.optimizers.schedules.ExponentialDecay(
        settings.learning_rate, settings.decay_steps, settings.decay_rate
    )
    model.compile(
        keras.optimizers.Adam(schedule),
        loss="binary_crossentropy",
        metrics=[
            keras.metrics.Recall(name="recall"),
            keras.metrics.AUC(curve="PR", name="average_precision"),
        ],
    )
    return model


def train_published(fit, validation, settings, seed):
    """Train the published network.

    Parameters
    ----------
    fit, validation : tuple of (x, y)
        Light curves, ndarray of shape (n_stars, n_cadences), and labels, (n_stars,), 1 for a host;
        early stopping watches the validation stars.
    settings : PublishedSettings
    seed : int

    Returns
    -------
    model : keras.Model
        With the weights of its best epoch.
    history : pandas.DataFrame
        A row per epoch: loss, recall and average precision, of fit and validation (`val_`) stars.
    """
    make_reproducible(seed)
    model = make_published_network(fit[0], settings)
    batch_size = min(settings.batch_size, max(len(fit[1]) // FEWEST_BATCHES, 1))
    if batch_size < settings.batch_size:
        say(
            f"batches of {batch_size} instead of {settings.batch_size}: batch normalisation needs "
            f"{FEWEST_BATCHES} an epoch, and there are {len(fit[1])} fit stars"
        )
    history = model.fit(
        fit[0][..., np.newaxis],
        fit[1],
        validation_data=(validation[0][..., np.newaxis], validation[1]),
        class_weight={0: 1.0, 1: settings.host_weight},
        batch_size=batch_size,
        epochs=settings.epochs,
        callbacks=[
            keras.callbacks.EarlyStopping(
                "val_loss", patience=settings.patience, restore_best_weights=True
            ),
            TqdmCallback(verbose=0, desc="published", leave=False),
        ],
        verbose=0,
    )
    return model, pd.DataFrame(history.history).rename_axis("epoch").reset_index()


def make_command_line():
    """The parser of this script; that of `--predict` is in `exoplanets/commands/predict.py`."""
    parser = make_parser(__doc__)
    parser.epilog = "To score your own stars: --predict FILE ...; its options: --predict --help"
    parser.add_argument(
        "--cross-validate", type=parse_folds, metavar="K", help="also cross-validate, in K folds"
    )
    parser.add_argument(
        "--repetitions", type=parse_positive, default=3, help="of the cross-validation"
    )
    parser.add_argument(
        "--box-least-squares",
        choices=("auto", "always", "never"),
        default="auto",
        help=f"box search of every star; auto: of up to {MOST_SEARCHED} stars",
    )
    parser.add_argument(
        "--vet",
        choices=("quick", "full", "none"),
        default="quick",
        help=f"how thoroughly; full: with {FULL_SEEDS} cross-validations in {FULL_FOLDS} folds",
    )
    add_settings(parser, PublishedSettings)
    add_settings(parser, TransitSettings)
    return parser


def load_tables(data_dir, split, simulated):
    """The very light curves that the split was made of."""
    source = split["provenance"]["source"]
    if simulated and source != "simulated":
        raise DataError(
            f"'{data_dir / SPLIT_FILE}' holds real stars: run "
            "`python data_preprocessing.py --simulated` first"
        )
    tables = as_tables(*kaggle.load(data_dir, simulated=source == "simulated"))
    if tables.provenance != split["provenance"]:
        raise DataError(
            f"the light curves in '{data_dir}' are not those of '{SPLIT_FILE}': run "
            "`python data_preprocessing.py` again"
        )
    return tables


def choose_training(args):
    """What `train_contenders` and `make_contenders` train with: both networks, and box search."""
    settings = read_settings(args, PublishedSettings)
    published = functools.partial(train_published, settings=settings)
    return published, read_settings(args, TransitSettings), args.box_least_squares


class Evaluation(NamedTuple):
    """All that was measured.

    Attributes
    ----------
    rows, suspects, cross_validation, vetting
        See `metrics.json`; None for what was not asked for.
    vetted : dict, or None
        Arrays for the figures; see `vetting.vet`.
    candidates, found, times
        See `candidates.find_candidates`.
    stars : pandas.DataFrame
        See `candidates.list_stars`.
    """

    rows: list
    suspects: dict
    cross_validation: dict | None
    vetting: dict | None
    vetted: dict | None
    candidates: pd.DataFrame
    found: tuple
    times: np.ndarray
    stars: pd.DataFrame


def evaluate_all(contenders, models, split, tables, args):
    """Measure how well the contenders do: an `Evaluation`."""
    colours = {name: probes.find_noise_colour(getattr(tables, name).flux) for name in TABLES}
    rows = [evaluate_split(c, name, colours, args.seed) for c in contenders for name in SPLITS]
    transit = next(c for c in contenders if c.network == "transit")
    candidates, found, times = find_candidates(transit, tables)
    suspects = evaluate_without_suspects(contenders, candidates, colours, args.seed)
    cross_validation = out_of_fold = vetting = vetted = None
    if args.cross_validate:
        stars = gather_stars(tables, split["equalised"], contenders[0].scored, colours)
        more, cross_validation, scored = cross_validate(
            stars.y,
            stars.colour,
            make_contenders(stars, tables, *choose_training(args)),
            args.cross_validate,
            range(args.seed, args.seed + args.repetitions),
            split_rows,
        )
        rows, out_of_fold = rows + more, scored["transit", "equalised"]
    if args.vet != "none":
        vetting, vetted = vet_contenders(contenders, models, tables, args.vet, args.seed)
    listed = list_stars(transit, tables, out_of_fold)
    return Evaluation(
        rows, suspects, cross_validation, vetting, vetted, candidates, found, times, listed
    )


def print_evaluation(evaluation):
    """Print what was measured."""
    print(report.make_text(evaluation.rows))
    print("highest-scored test stars (period in days; depth and SNR of the box search):")
    for star in evaluation.candidates.head(N_CANDIDATES).itertuples():
        print(
            f"  row {star.row:4d}  {'host' if star.label else 'non-host':8}  score {star.score:.3f}"
            f"  period {star.period:6.3f}  depth {star.depth:5.1f}  SNR {star.snr:5.1f}"
            f"{'  suspect label: periodic dips' if star.suspect else ''}"
        )
    suspects = evaluation.suspects
    if suspects["test_rows"]:
        print(f"without the suspects (test rows {suspects['test_rows']}):")
        print(report.make_text(suspects["results_without"]))
    if summary := evaluation.cross_validation:
        seeds = ", ".join(map(str, summary["seeds"]))
        print(f"cross-validation in {summary['folds']} folds, seeds {seeds}:")
        for line in report.summarise_seeds(summary):
            print(f"  {line}")
    if evaluation.vetting:
        print(f"vetting ({evaluation.vetting['level']}):")
        for verdict in evaluation.vetting["verdicts"]:
            print(f"  {report.describe_verdict(verdict)}")


def describe_run(split, args):
    """Data, settings and versions behind the results: the provenance of `metrics.json`."""
    settings = {"published": PublishedSettings, "transit": TransitSettings}
    return {
        "data": split["provenance"],
        "preprocessing": split["settings"],
        "seed": args.seed,
        "settings": {
            name: dataclasses.asdict(read_settings(args, kind)) for name, kind in settings.items()
        },
        "versions": {name: importlib.metadata.version(name) for name in PACKAGES},
    }


def write_results(data_dir, contenders, models, history, evaluation, split, provenance):
    """Write the networks, the metrics, and the scores of every star."""
    transit = next(c for c in contenders if c.network == "transit")
    calibration = metrics.fit_calibration(
        transit.view["y_validation"], transit.scored["validation"]
    )
    with atomic_write(data_dir / "published.keras") as temporary:
        models["published_distributed"].save(temporary)
    scoring = {
        "settings": provenance["settings"]["transit"],
        "threshold": transit.threshold,
        "calibration": calibration,
        "provenance": provenance,
    }
    save_transit(models["transit"], data_dir / "transit.keras", scoring)
    content = {
        "provenance": provenance,
        "results": evaluation.rows,
        "suspects": evaluation.suspects,
        "cross_validation": evaluation.cross_validation,
        "vetting": evaluation.vetting,
    }
    view = split["distributed"]
    predictions = pd.DataFrame({"row": view["row_test"], "label": view["y_test"]})
    for c in contenders:
        predictions[f"{c.network}_{c.light_curves}"] = c.of_rows(predictions["row"])
    predictions["transit_equalised_probability"] = metrics.calibrate(
        predictions["transit_equalised"], *calibration
    )
    write_text(data_dir / "metrics.json", json.dumps(content, indent=1, allow_nan=False) + "\n")
    write_text(data_dir / "test_predictions.csv", predictions.to_csv(index=False))
    write_text(data_dir / "training_history.csv", history.to_csv(index=False))
    write_text(data_dir / "stars.csv", evaluation.stars.to_csv(index=False))


def save_figures(plots_dir, contenders, history, evaluation, data):
    """Draw and save the figures of this step."""
    about = evaluation.candidates, evaluation.found, evaluation.times
    figures = results.draw_figures(contenders, evaluation.rows, history, *about)
    if evaluation.vetting:
        figures |= vetting_figures.draw_vetting(evaluation.vetting, evaluation.vetted)
    for name, figure in figures.items():
        save_figure(figure, plots_dir / f"{name}.png", data)


def main(argv=None):
    argv = sys.argv[1:] if argv is None else argv
    if predict.is_wanted(argv):
        return predict.main(argv)
    args = make_command_line().parse_args(argv)
    if args.vet == "full" and not args.cross_validate:
        args.cross_validate, args.repetitions = FULL_FOLDS, FULL_SEEDS
    split = load_split(args.data_dir / SPLIT_FILE)
    tables = load_tables(args.data_dir, split, args.simulated)
    print(f"data: {describe(tables.provenance)}")

    training = choose_training(args)
    contenders, models, history = train_contenders(tables, split, *training, args.seed)
    evaluation = evaluate_all(contenders, models, split, tables, args)
    print_evaluation(evaluation)
    provenance = describe_run(split, args)
    write_results(args.data_dir, contenders, models, history, evaluation, split, provenance)
    report.write_report(args.plots_dir, evaluation, provenance)
    save_figures(args.plots_dir, contenders, history, evaluation, tables.provenance)


if __name__ == "__main__":
    run(main)
