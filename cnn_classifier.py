"""Step 4: train the network, tune its threshold, test it.

Reads `data/preprocessed_data.pkl` of step 3:

    python cnn_classifier.py
    python cnn_classifier.py --normalization identity   # as the published code really ran

Writes `plots/CMtrain.png`, `CMtest.png` and `Trainevo.png`, and into the data directory
`metrics.json`, `test_predictions.csv`, `training_history.csv` and `published.keras`.
"""

import dataclasses
import importlib.metadata
import json
import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # before TensorFlow: it greets on import

import keras
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import tensorflow as tf
from keras import layers
from tqdm.keras import TqdmCallback

from data import kepler, scores
from data_preprocessing import SPLIT_FILE, load_split
from data_visualization import COLORS, house_style, make_parser, save_figure

SPLITS = ("train", "validation", "test")
PACKAGES = ("numpy", "scipy", "pandas", "scikit-learn", "imbalanced-learn", "keras", "tensorflow")


def setting(default, text):
    """A hyper-parameter: a field with its default and the help of its flag."""
    return dataclasses.field(default=default, metadata={"help": text})


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


def add_settings(parser, settings):
    """Give a parser one flag per hyper-parameter."""
    group = parser.add_argument_group(settings.__doc__.partition(";")[0])
    for field in dataclasses.fields(settings):
        flag = f"--{field.name.replace('_', '-')}"
        options = {"default": field.default, "help": field.metadata["help"]}
        if field.name == "normalization":
            group.add_argument(flag, choices=("adapted", "identity"), **options)
        elif isinstance(field.default, tuple):
            group.add_argument(flag, type=int, nargs="+", **options)
        else:
            group.add_argument(flag, type=type(field.default), **options)


def read_settings(args, settings):
    """The hyper-parameters of parsed arguments."""
    values = {field.name: getattr(args, field.name) for field in dataclasses.fields(settings)}
    values = {k: tuple(v) if isinstance(v, list) else v for k, v in values.items()}
    return settings(**values)


def make_reproducible(seed):
    """Seed Python, NumPy and Keras, and forbid TensorFlow any order that varies."""
    keras.utils.set_random_seed(seed)
    tf.config.experimental.enable_op_determinism()


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


def train_published(view, settings, seed):
    """Train the published network on one view of the stars.

    Parameters
    ----------
    view : dict of ndarray
        See `data_preprocessing`; early stopping watches the validation stars.
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
    model = make_published_network(view["x_train"], settings)
    history = model.fit(
        view["x_train"][..., np.newaxis],
        view["y_train"],
        validation_data=(view["x_validation"][..., np.newaxis], view["y_validation"]),
        class_weight={0: 1.0, 1: settings.host_weight},
        batch_size=settings.batch_size,
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


def predict(model, x, batch_size=256):
    """Score of each star, ndarray of shape (n_stars,), float32."""
    return model.predict(x[..., np.newaxis], batch_size=batch_size, verbose=0)[:, 0]


def score_splits(model, view):
    """Scores of every split of a view; refuses a network that has diverged."""
    scored = {split: predict(model, view[f"x_{split}"]) for split in SPLITS}
    if not all(np.isfinite(score).all() for score in scored.values()):
        raise kepler.DataError(
            f"the {model.name} network has diverged (a score is not finite): lower --learning-rate"
        )
    return scored


def evaluate_splits(network, light_curves, view, scored, seed):
    """Result rows of one network on one view, threshold tuned on the validation stars."""
    threshold = scores.tune_threshold(view["y_validation"], scored["validation"])
    names = {"network": network, "light_curves": light_curves}
    return [
        names
        | {"split": split}
        | scores.evaluate(view[f"y_{split}"], scored[split], threshold, seed)
        for split in SPLITS
    ]


def print_table(rows):
    """Print result rows: counts first, then ratios with their 95 % intervals."""
    head = ["network", "light curves", "split", "TP", "FP", "FN", "TN", "precision", "recall", "F1"]
    lines = [[*head, "average precision", "ROC AUC"]]
    for row in rows:
        cells = [row["network"], row["light_curves"], row["split"]]
        cells += [str(row[k]) for k in ("tp", "fp", "fn", "tn")]
        for name in ("precision", "recall", "f1", "average_precision", "roc_auc"):
            cells.append(format_metric(row, name))
        lines.append(cells)
    widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
    for line in lines:
        print(
            "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        )
    print("a star is called a host if score >= threshold; in brackets: 95 % intervals")


def format_metric(row, name):
    """A metric and its interval as text, such as `0.80 [0.38, 0.96]`."""
    if row[name] is None:
        return "undefined"
    interval = row[f"{name}_interval"]
    return f"{row[name]:.3f}" + (f" [{interval[0]:.2f}, {interval[1]:.2f}]" if interval else "")


def draw_confusion(row, title):
    """Confusion matrix of one result row: counts, with the rate of the true class beneath.

    Returns
    -------
    matplotlib.figure.Figure
    """
    counts = np.array([[row["tn"], row["fp"]], [row["fn"], row["tp"]]])
    rates = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    names = ("non-host", "host")
    with house_style():
        figure, axis = plt.subplots(figsize=(4.8, 4.6))
        axis.imshow(rates, cmap="Greys", vmin=0, vmax=2.5)
        for i, j in np.ndindex(2, 2):
            axis.text(
                j, i - 0.06, f"{counts[i, j]}", ha="center", va="center", fontsize=22,
                color=COLORS[names[i]],
            )  # fmt: skip
            axis.text(j, i + 0.2, f"{rates[i, j]:.1%} of {names[i]}s", ha="center", va="center")
        axis.set_xticks([0, 1], [f"called {name}" for name in names])
        axis.set_yticks(
            [0, 1],
            [f"{name}\n({n} stars)" for name, n in zip(names, counts.sum(axis=1), strict=True)],
        )
        axis.tick_params(length=0)
        axis.spines[:].set_visible(False)
        axis.set_title(
            f"{title}\nF1 {format_metric(row, 'f1')}, threshold {row['threshold']:.3g}", fontsize=10
        )
    return figure


def draw_history(history, title):
    """Loss, recall and average precision against the epoch, best epoch marked.

    Returns
    -------
    matplotlib.figure.Figure
    """
    panels = {
        "loss": "loss",
        "recall": "recall at score 0.5",
        "average_precision": "average precision",
    }
    best = int(history["epoch"][history["val_loss"].idxmin()]) + 1
    epochs = history["epoch"] + 1
    with house_style():
        figure, axes = plt.subplots(1, 3, figsize=(11, 3.6))
        for axis, (name, label) in zip(axes, panels.items(), strict=True):
            axis.plot(epochs, history[name], color="#555555", label="fit stars")
            axis.plot(
                epochs, history[f"val_{name}"], color="#009E73", ls="--", label="validation stars"
            )
            axis.axvline(best, color="#bbbbbb", lw=0.8, zorder=0)
            axis.set_xlabel("epoch")
            axis.set_ylabel(label)
            axis.set_ylim(*((0, None) if name == "loss" else (-0.03, 1.03)))
        axes[0].legend()
        axes[1].set_title(f"grey line: lowest validation loss (epoch {best})", fontsize=9)
        figure.suptitle(title, x=0.01, ha="left", fontsize=12)
    return figure


def write_text(path, text):
    """Write a results file at once, or not at all, and print where it is."""
    with kepler.atomic_write(path) as temporary:
        temporary.write_text(text)
    print(f"results: {path}")


def make_parser_of_step():
    """The command line of this script."""
    parser = make_parser(__doc__)
    add_settings(parser, PublishedSettings)
    return parser


def main(argv=None):
    args = make_parser_of_step().parse_args(argv)
    settings = read_settings(args, PublishedSettings)
    split = load_split(args.data_dir / SPLIT_FILE)
    data = split["provenance"]
    if args.simulated and data["source"] != "simulated":
        raise kepler.DataError(
            f"'{args.data_dir / SPLIT_FILE}' holds real stars: run "
            "`python data_preprocessing.py --simulated` first"
        )
    print(f"data: {kepler.describe(data)}")

    view = split["distributed"]
    model, history = train_published(view, settings, args.seed)
    scored = score_splits(model, view)
    rows = evaluate_splits("published", "distributed", view, scored, args.seed)
    history.insert(0, "network", "published")
    history.insert(1, "light_curves", "distributed")
    predictions = pd.DataFrame({"row": view["row_test"], "label": view["y_test"]})
    predictions["published_distributed"] = scored["test"]
    print_table(rows)

    provenance = {
        "data": data,
        "preprocessing": split["settings"],
        "seed": args.seed,
        "settings": {"published": dataclasses.asdict(settings)},
        "versions": {name: importlib.metadata.version(name) for name in PACKAGES},
    }
    results = {"provenance": provenance, "results": rows}
    with kepler.atomic_write(args.data_dir / "published.keras") as temporary:
        model.save(temporary)
    write_text(
        args.data_dir / "metrics.json", json.dumps(results, indent=1, allow_nan=False) + "\n"
    )
    write_text(args.data_dir / "test_predictions.csv", predictions.to_csv(index=False))
    write_text(args.data_dir / "training_history.csv", history.to_csv(index=False))
    by_split = {row["split"]: row for row in rows}
    name = "published network, flux as distributed"
    figures = {
        "CMtrain": draw_confusion(by_split["train"], f"Training stars after balancing, {name}"),
        "CMtest": draw_confusion(by_split["test"], f"Test stars, {name}"),
        "Trainevo": draw_history(history, f"Training of the {name}"),
    }
    for name, figure in figures.items():
        save_figure(figure, args.plots_dir / f"{name}.png", data)


if __name__ == "__main__":
    kepler.run(main)
