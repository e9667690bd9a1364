"""The table of results: plain for the console, Markdown and LaTeX for a report, and its caption."""

from exoplanets.figures.results import format_metric
from exoplanets.files import write_text
from exoplanets.stars import describe

COLUMNS = {
    "network": "network",
    "light_curves": "light curves",
    "split": "stars",
    "counts": "TP/FP/FN/TN",
    "precision": "precision",
    "recall": "recall",
    "f1": "F1",
    "average_precision": "average precision",
    "roc_auc": "ROC AUC",
    "noise_matched_auc": "noise-matched AUC",
}
COUNTS = ("tp", "fp", "fn", "tn")
MODEL_CARD = (
    "Intended use: ranking light curves of one K2-like long-cadence survey for a closer look; "
    "teaching how a leak is found and removed.",
    "Not for: announcing planets. A high score says that dips repeat, not that a planet makes "
    "them: eclipsing binaries and labels that are wrong score high too.",
    "The `distributed` rows and `repeat_count` show the leak: they are not to be cited as skill.",
    "`transit` was trained without any host label, on injected transits; labels tuned its "
    "threshold and its calibration. About half of the set's hosts show no transit in this "
    "photometry.",
)


def format_cell(row, name):
    """One cell of a result row, of `COLUMNS` or of `COUNTS`, as text."""
    if name in COUNTS:
        return str(row[name])
    if name == "counts":
        return "/".join(str(row[key]) for key in COUNTS)
    if name in ("network", "light_curves", "split"):
        return row[name]
    if name == "noise_matched_auc":
        return "undefined" if row[name] is None else f"{row[name]:.3f}"
    return format_metric(row, name)


def make_rows(rows):
    """Cells of each result row, in the order of `COLUMNS`, for a report."""
    return [[format_cell(row, name).replace("_", " ") for name in COLUMNS] for row in rows]


def make_text(rows):
    """The table for the console, a count a column, and how a star is called a host."""
    columns = COLUMNS | {"split": "split"}
    places = [place for name in columns for place in (COUNTS if name == "counts" else [name])]
    lines = [[columns.get(name, name.upper()) for name in places]]
    lines += [[format_cell(row, name) for name in places] for row in rows]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    aligned = [
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    ]
    rule = "a star is called a host if score >= threshold; in brackets: 95 % intervals"
    return "\n".join([*aligned, rule])


def make_caption(data, provenance, cross_validation):
    """The sentence under the table: data, split, seeds and intervals.

    Parameters
    ----------
    data : str
        See `stars.describe`.
    provenance : dict
        Of `metrics.json`.
    cross_validation : dict or None
        Of `metrics.json`.

    Returns
    -------
    str
    """
    stars = {name: provenance["data"][name] for name in ("train", "test")}
    counts = " and ".join(
        f"{table['n_stars']} {name} stars ({table['n_hosts']} hosts)"
        for name, table in stars.items()
    )
    text = (
        f"Data: {data}, {counts}. Seed {provenance['seed']}. Thresholds maximise F1 on validation "
        "stars (of repeat_count: on training stars); a star is called a host if "
        "score >= threshold. In brackets 95 % intervals: Wilson for precision and recall, "
        "stratified bootstrap for the others."
    )
    if cross_validation:
        seeds = ", ".join(map(str, cross_validation["seeds"]))
        text += (
            f" Cross-validation: {cross_validation['folds']} folds over all stars, seeds {seeds}; "
            "its rows are the pooled out-of-fold figures of the first."
        )
    return text


def summarise_seeds(cross_validation):
    """A line per contender: mean, standard deviation and each value over the repetitions."""
    lines = []
    for row in cross_validation["results"]:
        for name in ("average_precision", "roc_auc", "f1"):
            found, mean = row[name], "undefined"
            if found["mean"] is not None:
                values = ", ".join(f"{value:.3f}" for value in found["values"])
                spread = "" if found["sd"] is None else f", sd {found['sd']:.3f}"
                mean = f"mean {found['mean']:.3f}{spread} ({values})"
            lines.append(
                f"{row['network']}, {row['light_curves']}: {name.replace('_', ' ')} {mean}"
            )
    return lines


def describe_verdict(verdict):
    """A verdict of the vetting as one line."""
    outcome = {True: "holds", False: "FAILS", None: "undefined"}[verdict["passed"]]
    return f"{verdict['network']}, {verdict['test']}: {outcome}: {verdict['sentence']}"


def make_markdown(rows, data, provenance, cross_validation=None, verdicts=()):
    """The results as Markdown, `plots/results.md`.

    Parameters
    ----------
    rows : list of dict
        Result rows of `metrics.json` to print.
    data, provenance, cross_validation
        See `make_caption`.
    verdicts : list of str
        What the vetting found.

    Returns
    -------
    str
    """
    lines = ["# Results", ""]
    lines += [f"| {' | '.join(COLUMNS.values())} |", "|" + "---|" * len(COLUMNS)]
    lines += [f"| {' | '.join(cells)} |" for cells in make_rows(rows)]
    lines += ["", make_caption(data, provenance, cross_validation), ""]
    if cross_validation:
        lines += ["## Spread over seeds", ""]
        lines += [f"* {line}" for line in summarise_seeds(cross_validation)] + [""]
    if verdicts:
        lines += ["## Vetting", ""] + [f"* {verdict}" for verdict in verdicts] + [""]
    lines += ["## Model card", ""] + [f"* {sentence}" for sentence in MODEL_CARD]
    return "\n".join(lines) + "\n"


def make_latex(rows, data, provenance, cross_validation=None):
    """The table as LaTeX (booktabs), `plots/results.tex`; see `make_markdown`."""
    head = " & ".join(COLUMNS.values())
    body = [" & ".join(map(_escape, cells)) + r" \\" for cells in make_rows(rows)]
    caption = _escape(make_caption(data, provenance, cross_validation))
    lines = [
        r"\begin{table*}",
        r"\centering\footnotesize",
        rf"\caption{{{caption}}}",
        r"\label{tab:exoplanet-hosts}",
        rf"\begin{{tabular}}{{lll{'r' * (len(COLUMNS) - 3)}}}",
        r"\toprule",
        head + r" \\",
        r"\midrule",
        *body,
        r"\bottomrule",
        r"\end{tabular}",
        r"\end{table*}",
    ]
    return "\n".join(lines) + "\n"


def write_report(plots_dir, evaluation, provenance):
    """Write both tables, `results.md` and `results.tex`.

    Parameters
    ----------
    plots_dir : path
    evaluation : object
        With `rows`, `cross_validation` and `vetting` of `metrics.json`.
    provenance : dict
        Of `metrics.json`.
    """
    rows = [row for row in evaluation.rows if row["split"] in ("test", "cross-validation")]
    about = rows, describe(provenance["data"]), provenance, evaluation.cross_validation
    verdicts = evaluation.vetting["verdicts"] if evaluation.vetting else []
    verdicts = [describe_verdict(verdict) for verdict in verdicts]
    plots_dir.mkdir(parents=True, exist_ok=True)
    write_text(plots_dir / "results.md", make_markdown(*about, verdicts))
    write_text(plots_dir / "results.tex", make_latex(*about))


def _escape(text):
    """Text with LaTeX's special characters escaped."""
    for character in "&%_#$":
        text = text.replace(character, "\\" + character)
    return text.replace(">=", r"$\ge$")
