"""Step 4: train the networks, tune their thresholds, test them.

Reads `data/preprocessed_data.pkl` of step 3 and the light curves it was made of:

    python cnn_classifier.py
    python cnn_classifier.py --normalization identity   # as the published code really ran
    python cnn_classifier.py --cross-validate 5         # all hosts of both tables, three times

Compares the published network on light curves as distributed, the same on equalised ones, and the
count of repeated values, which learns nothing and leaks everything.

Writes `plots/CMtrain.png`, `CMtest.png` and `Trainevo.png`, and into the data directory
`metrics.json`, `test_predictions.csv`, `training_history.csv` and `published.keras`.
"""

import argparse
import dataclasses
import importlib.metadata
import json
import os
from typing import NamedTuple

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # before TensorFlow: it greets on import

import keras
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import tensorflow as tf
from keras import layers
from sklearn.model_selection import StratifiedKFold
from tqdm.keras import TqdmCallback

from data import kepler, probes, scores
from data_preprocessing import SPLIT_FILE, balance, fill_missing, load_split, split_rows
from data_visualization import COLORS, house_style, make_parser, parse_positive, save_figure

FEWEST_BATCHES = 16  # an epoch: running averages of momentum 0.99 forget the start in five epochs
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
        kepler.say(
            f"batches of {batch_size} instead of {settings.batch_size}: of {len(fit[1])} fit stars, "
            f"{FEWEST_BATCHES} batches an epoch are what batch normalisation needs"
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


def predict(model, x, batch_size=256):
    """Score of each star, ndarray of shape (n_stars,), float32; refuses a diverged network."""
    score = model.predict(x[..., np.newaxis], batch_size=batch_size, verbose=0)[:, 0]
    if not np.isfinite(score).all():
        raise kepler.DataError(
            f"the {model.name} network has diverged (a score is not finite): lower --learning-rate"
        )
    return score


def count_repeats(tables, view):
    """Exact repeats of every star of a view, counted in the flux as distributed.

    Returns
    -------
    dict of ndarray
        Per split, ndarray of shape (n_stars,).
    """
    of_table = {name: probes.count_repeats(getattr(tables, name).flux) for name in kepler.TABLES}
    return {
        split: of_table["test" if split == "test" else "train"][view[f"row_{split}"]]
        for split in SPLITS
    }


def evaluate_splits(network, light_curves, view, scored, tuned_on, seed):
    """Result rows of one score on one view, its threshold tuned on the split `tuned_on`."""
    threshold = scores.tune_threshold(view[f"y_{tuned_on}"], scored[tuned_on])
    return [
        {"network": network, "light_curves": light_curves, "split": split}
        | scores.evaluate(view[f"y_{split}"], scored[split], threshold, seed)
        for split in SPLITS
    ]


class Stars(NamedTuple):
    """All labelled stars of both tables, for cross-validation.

    Attributes
    ----------
    y : ndarray of shape (n_stars,)
        1 for a host.
    distributed, equalised : ndarray of shape (n_stars, n_cadences) and (n_stars, n_measured)
        The two kinds of light curves, float32.
    repeats : ndarray of shape (n_stars,)
        Exact repeats in the flux as distributed.
    """

    y: np.ndarray
    distributed: np.ndarray
    equalised: np.ndarray
    repeats: np.ndarray


def gather_stars(tables, view, repeats):
    """The stars of every split of the equalised view, in this order."""
    flux = {name: getattr(tables, name).flux for name in kepler.TABLES}
    parts = [
        flux["test" if split == "test" else "train"][view[f"row_{split}"]].astype(np.float32)
        for split in SPLITS
    ]
    return Stars(
        np.concatenate([view[f"y_{split}"] for split in SPLITS]),
        fill_missing(np.concatenate(parts))[0],
        np.concatenate([view[f"x_{split}"] for split in SPLITS]),
        np.concatenate([repeats[split] for split in SPLITS]),
    )


def cross_validate(contenders, y, n_folds, seeds):
    """Repeated, stratified cross-validation over all hosts of both tables.

    Within each fold's other stars, 20 % are held out again to stop the training and to tune the
    threshold; every star is scored exactly once per repetition, by a network that has not seen it.

    Parameters
    ----------
    contenders : dict of callable
        Per (network, light curves): a function of the indices of fit stars and of validation
        stars, and the seed, that returns the scores of all stars.
    y : ndarray of shape (n_stars,)
    n_folds : int
    seeds : list of int
        One repetition each.

    Returns
    -------
    rows : list of dict
        Per contender, the pooled out-of-fold figures of the first repetition; its counts are made
        with each fold's own threshold.
    summary : list of dict
        Per contender and metric: mean, standard deviation and value of each repetition.
    """
    rows, summary = [], []
    pooled = {name: [] for name in contenders}
    for seed in seeds:
        folds = list(StratifiedKFold(n_folds, shuffle=True, random_state=seed).split(y, y))
        for name, contender in contenders.items():
            score, called = np.zeros(len(y)), np.zeros(len(y), bool)
            for k, (others, held_out) in enumerate(folds):
                kepler.say(
                    f"cross-validation, seed {seed}, fold {k + 1}/{n_folds}: {' '.join(name)}"
                )
                fit, validation = (others[part] for part in split_rows(y[others] == 1, seed))
                found = contender(fit, validation, seed)
                threshold = scores.tune_threshold(y[validation], found[validation])
                score[held_out] = found[held_out]
                called[held_out] = found[held_out] >= threshold
            pooled[name].append(scores.evaluate(y, score, None, seed, called=called))
    for (network, light_curves), repetitions in pooled.items():
        names = {"network": network, "light_curves": light_curves}
        rows.append(names | {"split": "cross-validation"} | repetitions[0])
        spread = {m: summarise([row[m] for row in repetitions]) for m in scores.METRICS}
        summary.append(names | spread)
    return rows, summary


def make_contenders(stars, settings):
    """The functions that `cross_validate` compares."""

    def published(x):
        def score(fit, validation, seed):
            x_fit, y_fit, _, _ = balance(x[fit], stars.y[fit], seed)
            held_out = x[validation], stars.y[validation]
            model, _ = train_published((x_fit, y_fit), held_out, settings, seed)
            return predict(model, x)

        return score

    return {
        ("repeat_count", "distributed"): lambda fit, validation, seed: stars.repeats,
        ("published", "distributed"): published(stars.distributed),
        ("published", "equalised"): published(stars.equalised),
    }


def summarise(values):
    """Mean, standard deviation (n - 1) and each of some values; None where one is undefined."""
    known = [value for value in values if value is not None]
    if len(known) < len(values):
        return {"mean": None, "sd": None, "values": values}
    sd = float(np.std(known, ddof=1)) if len(known) > 1 else None
    return {"mean": float(np.mean(known)), "sd": sd, "values": values}


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


def make_command_line():
    """The parser of this script."""
    parser = make_parser(__doc__)
    parser.add_argument(
        "--cross-validate", type=parse_folds, metavar="K", help="also cross-validate, in K folds"
    )
    parser.add_argument(
        "--repetitions", type=parse_positive, default=3, help="of the cross-validation"
    )
    add_settings(parser, PublishedSettings)
    return parser


def parse_folds(text):
    """A whole number of at least 2."""
    if not text.isdigit() or int(text) < 2:
        raise argparse.ArgumentTypeError(f"'{text}' is no number of folds, 2 or more")
    return int(text)


def load_tables(data_dir, split, simulated):
    """The very light curves that the split was made of."""
    source = split["provenance"]["source"]
    if simulated and source != "simulated":
        raise kepler.DataError(
            f"'{data_dir / SPLIT_FILE}' holds real stars: run "
            "`python data_preprocessing.py --simulated` first"
        )
    tables = kepler.load(data_dir, simulated=source == "simulated")
    if tables.provenance != split["provenance"]:
        raise kepler.DataError(
            f"the light curves in '{data_dir}' are not those of '{SPLIT_FILE}': run "
            "`python data_preprocessing.py` again"
        )
    return tables


def main(argv=None):
    args = make_command_line().parse_args(argv)
    settings = read_settings(args, PublishedSettings)
    split = load_split(args.data_dir / SPLIT_FILE)
    tables = load_tables(args.data_dir, split, args.simulated)
    data = split["provenance"]
    print(f"data: {kepler.describe(data)}")

    equalised, distributed = split["equalised"], split["distributed"]
    repeats = count_repeats(tables, equalised)
    rows = evaluate_splits("repeat_count", "distributed", equalised, repeats, "train", args.seed)
    predictions = pd.DataFrame({"row": distributed["row_test"], "label": distributed["y_test"]})
    predictions["repeat_count_distributed"] = of_rows(repeats["test"], equalised, predictions)
    histories = []
    for light_curves, view in (("distributed", distributed), ("equalised", equalised)):
        x, y = view["x_train"], view["y_train"]
        if (
            light_curves == "equalised"
        ):  # the pickle's is not resampled; the study's network needs it
            x, y, _, _ = balance(x, y, args.seed)
        validation = view["x_validation"], view["y_validation"]
        model, history = train_published((x, y), validation, settings, args.seed)
        scored = {name: predict(model, view[f"x_{name}"]) for name in SPLITS}
        rows += evaluate_splits("published", light_curves, view, scored, "validation", args.seed)
        predictions[f"published_{light_curves}"] = of_rows(scored["test"], view, predictions)
        history.insert(0, "network", "published")
        history.insert(1, "light_curves", light_curves)
        histories.append(history)
        if light_curves == "distributed":
            with kepler.atomic_write(args.data_dir / "published.keras") as temporary:
                model.save(temporary)

    cross_validation = None
    if args.cross_validate:
        seeds = list(range(args.seed, args.seed + args.repetitions))
        stars = gather_stars(tables, equalised, repeats)
        fewest = min(np.sum(stars.y == 1), np.sum(stars.y == 0))
        if fewest < 2 * args.cross_validate:
            raise kepler.DataError(
                f"{fewest} stars of one class are too few for {args.cross_validate} folds: use "
                f"--cross-validate {max(fewest // 2, 2)} or less"
            )
        contenders = make_contenders(stars, settings)
        found, summary = cross_validate(contenders, stars.y, args.cross_validate, seeds)
        rows += found
        cross_validation = {"folds": args.cross_validate, "seeds": seeds, "results": summary}
    print_table(rows)
    if cross_validation:
        print_cross_validation(cross_validation)

    provenance = {
        "data": data,
        "preprocessing": split["settings"],
        "seed": args.seed,
        "settings": {"published": dataclasses.asdict(settings)},
        "versions": {name: importlib.metadata.version(name) for name in PACKAGES},
    }
    results = {"provenance": provenance, "results": rows, "cross_validation": cross_validation}
    write_text(
        args.data_dir / "metrics.json", json.dumps(results, indent=1, allow_nan=False) + "\n"
    )
    write_text(args.data_dir / "test_predictions.csv", predictions.to_csv(index=False))
    write_text(args.data_dir / "training_history.csv", pd.concat(histories).to_csv(index=False))
    by_split = {row["split"]: row for row in rows if is_published(row, "distributed")}
    name = "published network, flux as distributed"
    figures = {
        "CMtrain": draw_confusion(by_split["train"], f"Training stars after balancing, {name}"),
        "CMtest": draw_confusion(by_split["test"], f"Test stars, {name}"),
        "Trainevo": draw_history(histories[0], f"Training of the {name}"),
    }
    for name, figure in figures.items():
        save_figure(figure, args.plots_dir / f"{name}.png", data)


def is_published(row, light_curves):
    """Whether a result row is that of the published network on these light curves."""
    return row["network"] == "published" and row["light_curves"] == light_curves


def of_rows(score, view, predictions):
    """Scores of a view's test stars in the order of `predictions`; NaN for a star not in it."""
    return pd.Series(score, index=view["row_test"]).reindex(predictions["row"]).to_numpy()


def print_cross_validation(cross_validation):
    """Print mean and standard deviation over the repetitions."""
    seeds = ", ".join(map(str, cross_validation["seeds"]))
    print(f"cross-validation in {cross_validation['folds']} folds, seeds {seeds}: mean (sd)")
    for row in cross_validation["results"]:
        cells = []
        for name in ("f1", "average_precision", "roc_auc"):
            mean, sd = row[name]["mean"], row[name]["sd"]
            spread = "" if sd is None else f" ({sd:.3f})"
            cells.append(f"{name} " + ("undefined" if mean is None else f"{mean:.3f}{spread}"))
        print(f"  {row['network']} {row['light_curves']}: {'  '.join(cells)}")


if __name__ == "__main__":
    kepler.run(main)
