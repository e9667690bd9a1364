"""Step 4: train the networks, tune their thresholds, test and vet them.

Reads `data/preprocessed_data.pkl` of step 3 and nothing else:

    python cnn_classifier.py
    python cnn_classifier.py --normalization identity   # as the published code really ran
    python cnn_classifier.py --cross-validate 5         # all hosts of both tables, three times
    python cnn_classifier.py --vet full                 # thorough vetting, and five seeds
    python cnn_classifier.py --predict my_star.fits folder/   # score your own stars, no training

Compares on the same stars `published`, the network of the original study, which is built here, on
light curves as distributed and on equalised ones; and what `exoplanets/classifiers/registry.py`
lists: `transit`, our network; `box_least_squares`, no network at all; and `repeat_count`, which
learns nothing and finds the leak.

Writes figures, `results.md` and `results.tex` into the plots directory, and into the data directory
`published.keras`, `transit.keras`, `test_predictions.csv`, `training_history.csv`, `stars.csv` and,
last, `metrics.json`. `data/README.md` and `plots/README.md` say what is in them. With `--predict`
it scores stars instead: `python cnn_classifier.py --predict --help`.
"""

import signal
import sys

from exoplanets.files import quiet, run, stop

if __name__ == "__main__":
    signal.signal(signal.SIGINT, stop)  # Ctrl-C is one line, also during the imports below

from exoplanets.commands.options import begin, make_parser, parse_folds, parse_positive
from exoplanets.commands.settings import add_settings, read_settings
from exoplanets.scoring import command as own_stars

FULL_FOLDS, FULL_SEEDS = 5, 5  # of the cross-validation that --vet full brings along


def make_command_line(classifiers=()):
    """The parser of this script, with the settings of these classifiers."""
    parser = make_parser(__doc__)
    add = parser.add_argument
    add("--cross-validate", type=parse_folds, metavar="K", help="also cross-validate, in K folds")
    repeated = "how often the cross-validation is repeated (default: %(default)s)"
    add("--repetitions", type=parse_positive, default=3, metavar="N", help=repeated)
    searched = "whether all stars are box-searched; auto: up to 1000 stars (default: %(default)s)"
    choices = ("auto", "always", "never")
    add("--box-least-squares", choices=choices, default="auto", help=searched)
    vetted = (
        f"how thorough the vetting is; full cross-validates {FULL_SEEDS} times in "
        f"{FULL_FOLDS} folds too (default: %(default)s)"
    )
    add("--vet", choices=("quick", "full", "none"), default="quick", help=vetted)
    add_settings(parser, classifiers)
    return parser


if __name__ == "__main__":
    if own_stars.is_wanted(sys.argv[1:]):
        begin(own_stars.make_command_line)
        run(own_stars.main)  # ends here
    begin(make_command_line, knows_all=False)  # before the imports below, which take seconds
    with quiet():
        import tensorflow  # noqa: F401

import dataclasses
import importlib.metadata
import json
from types import MappingProxyType

import numpy as np

from exoplanets.classifiers import registry
from exoplanets.classifiers.base import Classifier, Settings, setting
from exoplanets.classifiers.keras_tools import (
    keras,
    make_batches,
    make_reproducible,
    predict,
    save_model,
    train,
)
from exoplanets.evaluation import runs
from exoplanets.evaluation.comparison import fit_classifiers
from exoplanets.evaluation.crossvalidation import check_folds
from exoplanets.evaluation.evaluate import evaluate_all
from exoplanets.figures import report
from exoplanets.figures.results import draw_figures
from exoplanets.figures.run_page import write_run_page
from exoplanets.figures.style import save_figure
from exoplanets.files import DataError, check_writable, say, write_text
from exoplanets.lightcurves.campaign import Campaign
from exoplanets.lightcurves.gaps import fill_gaps
from exoplanets.lightcurves.resampling import balance
from exoplanets.lightcurves.split import SPLIT_FILE, load_split, to_stars
from exoplanets.stars import LIGHT_CURVES, describe

layers = keras.layers
FEWEST_BATCHES = 16  # an epoch: running averages of momentum 0.99 forget the start in five epochs
PACKAGES = ("numpy", "scipy", "pandas", "scikit-learn", "imbalanced-learn", "keras", "tensorflow")


# ------------------------------------------------------------- the network of the published study
@dataclasses.dataclass(frozen=True)
class PublishedSettings(Settings):
    """Hyper-parameters of the published network.

    The defaults are the study's but for `normalization`: its code made that layer and never adapted
    it to the stars (`identity`). Of few stars the batches are smaller; see `Published.fit`.
    """

    filters: tuple[int, ...] = setting((11, 7), "filters of each convolution", 1, 512)
    kernel_size: int = setting(2, "cadences a convolution spans", 1, 30)
    l2: float = setting(0.01, "L2 penalty on convolution kernels", 0, 10)
    pool_dropout: float = setting(0.4, "dropout after pooling", 0, 0.99)
    dense: tuple[int, ...] = setting((50, 30, 12), "units of each dense layer", 1, 4096)
    dense_dropout: float = setting(0.3, "dropout between dense layers", 0, 0.99)
    learning_rate: float = setting(1e-2, "Adam's initial learning rate", 1e-8, 1)
    decay_steps: int = setting(10_000, "batches until the rate has decayed once", 1, 10**9)
    decay_rate: float = setting(0.8, "factor of one decay", 1e-3, 1)
    host_weight: float = setting(2.5, "weight of a host in the loss; a non-host has 1", 1e-3, 1e3)
    batch_size: int = setting(128, "stars per batch", 1, 65_536)
    epochs: int = setting(40, "epochs at most", 1, 10_000)
    patience: int = setting(8, "epochs without a lower validation loss until it stops", 1, 10_000)
    normalization: str = setting(
        "adapted",
        "adapted to the fit stars, or identity as the published code ran",
        choices=("adapted", "identity"),
    )


def make_published_network(x, settings):
    """The network of the published study, layer by layer, compiled.

    From flux, shape (n, n_cadences, 1), to the score of being a host, shape (n, 1). `x` is the flux
    of the fit stars, (n_stars, n_cadences): the normalisation learns each cadence's mean and
    variance from them.
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


class Published(Classifier):
    """The published network on light curves as distributed: its skill is in large part the leak."""

    name = "published"
    light_curves = "distributed"
    settings_class = PublishedSettings
    learns_from_hosts = True
    color = "#CC79A7"
    file = "published.keras"
    balancing = MappingProxyType({"smote": 0.1, "undersampling": 0.2})  # `main` sets step 3's

    def fit(self, stars, validation, seed):
        """Balance the stars, train, and keep the weights of the epoch of lowest validation loss."""
        make_reproducible(seed)
        x, y, _, _ = balance(self._read(stars), stars.y, seed, **self.balancing)
        fewest = len(self.settings.filters) * (self.settings.kernel_size - 1) + 2
        if x.shape[1] < fewest:
            raise DataError(
                f"light curves of {x.shape[1]} cadences are too short for the published network, "
                f"which spans {fewest}: lower --kernel-size"
            )
        self.model = make_published_network(x, self.settings)
        batch_size = min(self.settings.batch_size, max(len(y) // FEWEST_BATCHES, 1))
        if batch_size < self.settings.batch_size:
            say(
                f"batches of {batch_size} instead of {self.settings.batch_size}: batch "
                f"normalisation needs {FEWEST_BATCHES} an epoch, and there are {len(y)} fit stars"
            )
        held_out = self._read(validation)[..., np.newaxis], validation.y
        stopping = keras.callbacks.EarlyStopping(
            "val_loss", patience=self.settings.patience, restore_best_weights=True
        )
        self.history = train(
            self.model, x[..., np.newaxis], y, batch_size, self.settings.epochs, seed, [stopping],
            validation_data=make_batches(*held_out, batch_size),
            class_weight={0: 1.0, 1: self.settings.host_weight},
        )  # fmt: skip
        return self

    def score(self, stars):
        """The network's output, between 0 and 1."""
        return predict(self.model, self._read(stars)).astype(np.float64)

    def save(self, path, scoring):
        """Save the network; what scoring needs lies inside as `scoring.json`."""
        save_model(self.model, path, scoring)

    def _read(self, stars):
        """Its light curves without gaps, float32."""
        return fill_gaps(stars.light_curves(self.light_curves)).astype(np.float32, copy=False)


class PublishedOnEqualised(Published):
    """The same network on equalised light curves, where the leak is gone."""

    light_curves = "equalised"
    file = None


# ---------------------------------------------------------------------------------- the step
def load_views(args, classifiers, settings):
    """What step 3 passes on, and what tells this run from others.

    Returns the stars per kind of light curves, their `Campaign`, and the provenance of this run.
    """
    split = load_split(args.data_dir / SPLIT_FILE)
    if args.simulated and split["provenance"]["source"] != "simulated":
        raise DataError(
            f"'{args.data_dir / SPLIT_FILE}' holds real stars: run "
            "`python data_preprocessing.py --simulated` first"
        )
    named = {c.name: settings[c.settings_class] for c in classifiers if c.settings_class}
    options = ("vet", "cross_validate", "repetitions", "box_least_squares")
    provenance = {
        "data": split["provenance"],
        "preprocessing": split["settings"],
        "seed": args.seed,
        "options": {name: getattr(args, name) for name in options},
        "settings": {name: dataclasses.asdict(values) for name, values in named.items()},
        "versions": {name: importlib.metadata.version(name) for name in PACKAGES},
    }
    provenance["run"] = runs.identify(provenance)
    views = {kind: to_stars(split, kind) for kind in LIGHT_CURVES}
    return views, Campaign.from_arrays(split["campaign"]), provenance


def write_results(args, found, compared, figures, provenance):
    """Write all results; `metrics.json` goes first, and comes back when all others are there."""
    data_dir, plots_dir, run_id = args.data_dir, args.plots_dir, provenance["run"]
    (data_dir / runs.METRICS).unlink(missing_ok=True)
    for classifier, *_ in compared:
        if classifier.file:
            measured = found.content["calibration"][" on ".join(classifier.key)]
            scoring = {
                "threshold": classifier.threshold,
                "calibration": [measured["slope"], measured["offset"]],
                "prevalence": measured["prevalence"],
                "provenance": provenance,
            }
            classifier.save(data_dir / classifier.file, scoring)
            print(f"network: {data_dir / classifier.file}")
    listed = found.listed.sort_values(["table", "row"], ascending=[False, True])
    runs.write_table(data_dir / "test_predictions.csv", found.predictions, run_id)
    runs.write_table(data_dir / "training_history.csv", found.history, run_id)
    runs.write_table(data_dir / "stars.csv", listed, run_id)
    text = (found.content, describe(provenance["data"]), provenance)
    plots_dir.mkdir(parents=True, exist_ok=True)
    write_text(plots_dir / "results.md", report.make_markdown(*text))
    write_text(plots_dir / "results.tex", report.make_latex(*text))
    for name, figure in figures.items():
        save_figure(figure, plots_dir / f"{name}.png", provenance["data"], run_id)
    write_run_page(plots_dir, data_dir, found.content, provenance)
    content = json.dumps({"provenance": provenance} | found.content, indent=1, allow_nan=False)
    write_text(data_dir / runs.METRICS, content + "\n")


def main(argv=None):
    argv = sys.argv[1:] if argv is None else argv
    if own_stars.is_wanted(argv):  # a program of its own
        return own_stars.main(argv)
    kinds = [Published, PublishedOnEqualised, *registry.CLASSIFIERS]
    parser = make_command_line(kinds)
    args = parser.parse_args(argv)
    settings = read_settings(parser, args, kinds)
    if args.vet == "full" and not args.cross_validate:
        args.cross_validate, args.repetitions = FULL_FOLDS, FULL_SEEDS
    check_writable(args.data_dir / runs.METRICS, args.plots_dir / "results.md")
    views, campaign, provenance = load_views(args, kinds, settings)
    print(f"data: {describe(provenance['data'])}")
    if args.cross_validate:  # told now, not after the training
        check_folds(views["equalised"].y, args.cross_validate)
    if mixture := runs.describe_mixture(args.data_dir):
        say(f"{mixture}: this run replaces them all")

    classifiers = [kind(settings.get(kind.settings_class), campaign) for kind in kinds]
    for classifier in classifiers:  # folds and equalised curves are balanced as step 3 balanced
        classifier.balancing = provenance["preprocessing"]["balancing"]
    compared = fit_classifiers(classifiers, views, args.seed, args.box_least_squares)
    found = evaluate_all(
        compared,
        main=next(c for c in compared if c.classifier.name == registry.MAIN),
        test_stars=views["distributed"].select(views["distributed"].split == "test"),
        seed=args.seed,
        folds=args.cross_validate,
        repetitions=args.repetitions,
        level=args.vet,
    )
    print(report.make_report(found.content, found.listed))
    figures = draw_figures(found, compared, ("published", "distributed"))
    write_results(args, found, compared, figures, provenance)
    return 0


if __name__ == "__main__":
    run(main)
