"""The table of results: plain for the console, Markdown and LaTeX for a report, and its caption."""

import numpy as np

from exoplanets.classifiers.verdict import VERDICTS
from exoplanets.evaluation.candidates import N_CANDIDATES
from exoplanets.figures.page import TEMPLATES, render
from exoplanets.figures.results import format_metric
from exoplanets.figures.style import name_class

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
    "matched_auc": "matched AUC",
}
VERDICTS_CAPTION = (
    "What the transit network takes simulated planets and eclipsing binaries for, which were "
    "injected into non-hosts that taught nothing. A star is called if it is a planet candidate."
)
COUNTS = ("tp", "fp", "fn", "tn")
NAMES = ("network", "light_curves", "split")
MODEL_CARD = (
    "Intended use: ranking light curves of one K2-like long-cadence survey for a closer look; "
    "teaching how to detect and remove a leak.",
    "Not for: announcing planets. A high score says that dips repeat and look like a planet's.",
    "Simulation alone taught `transit` to tell planets from eclipsing binaries. It cannot tell a "
    "blend, whose eclipses another star in the aperture dilutes: that takes pixels. Of two stars "
    "nearly alike, found at half their period, only the shape tells. Of a weak signal no shape is "
    "seen: its planet score says little.",
    "The `distributed` rows and `repeat_count` show the leak: do not cite them as skill.",
    "`transit` was trained without any host label, on injected planets and eclipsing binaries; "
    "labels tuned its threshold and its calibration. About half of the set's hosts show no transit "
    "in this photometry.",
)


def format_cell(row, name):
    """One cell of a result row, of `COLUMNS` or of `COUNTS`, as text."""
    if name in COUNTS:
        return str(row[name])
    if name == "counts":
        return "/".join(str(row[key]) for key in COUNTS)
    return row[name] if name in NAMES else format_metric(row, name)


def make_rows(content):
    """Cells of a report's rows, of `COLUMNS`: stars that no threshold and no training has seen."""
    rows = [row for row in content["results"] if row["split"] in ("test", "cross-validation")]
    return [[format_cell(row, name).replace("_", " ") for name in COLUMNS] for row in rows]


def make_verdicts(content):
    """What simulated systems are taken for: columns, and a row for planets and for binaries.

    Each cell is a text: a count and its share. Nothing, twice, without a vetting or where the
    network does not tell them apart.
    """
    systems = content["vetting"] and content["vetting"]["systems"]
    if not systems:
        return [], []
    rows = []
    for kind in ("planets", "binaries"):
        counts, called = systems[kind], systems[kind]["called"]
        n = max(called["n"], 1)
        row = [f"simulated {kind}", str(called["n"])]
        row += [f"{counts[verdict]} ({counts[verdict] / n:.1%})" for verdict in VERDICTS]
        share = {"share": called["fraction"], "share_interval": called["interval"]}
        rows.append([*row, format_metric(share, "share")])
    return ["truth", "number", *VERDICTS, "share called"], rows


def make_text(rows):
    """The table for the console, a count a column, and how a star is called a host."""
    columns = COLUMNS | {"split": "split"}
    places = [place for name in columns for place in (COUNTS if name == "counts" else [name])]
    lines = [[columns.get(name, name.upper()) for name in places]]
    lines += [[format_cell(row, name) for name in places] for row in rows]
    rule = "a star is called a host if score >= threshold; in brackets: 95 % intervals"
    return "\n".join([*_align_columns(lines), rule])


def _align_columns(lines):
    """Lines of cells, the cells of a column beneath each other."""
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    ]


def describe_fit(star):
    """The fit of one row of `stars.csv` in words."""
    if np.isnan(star.snr):
        return "no transit could be measured"
    return (
        f"period {star.period_days:9.5f} +- {star.period_error_days:.5f} d"
        f"  duration {star.duration_hours:4.1f} h  SNR {star.snr:5.1f}"
    )


def make_report(content, listed):
    """The results of a run for the console: the content of `metrics.json` and of `stars.csv`."""
    suspects, lines = content["suspects"], [make_text(content["results"])]
    lines.append("highest-scored test stars (SNR is that of the fit):")
    test = listed[listed["table"] == "test"].sort_values("score", ascending=False, kind="stable")
    for star in test.head(N_CANDIDATES).itertuples():
        lines.append(
            f"  row {star.row:4d}  {name_class(star.label):8}  score {star.score:.3f}"
            f"  {star.verdict:16}  planet score {star.planet_score:.2f}  {describe_fit(star)}"
            f"{'  suspect label' if star.suspect_label else ''}"
        )
    if suspects["test_rows"]:
        lines.append(f"without the suspects (test rows {suspects['test_rows']}):")
        lines.append(make_text(suspects["results_without"]))
    if content["cross_validation"]:
        lines.append(f"{describe_folds(content['cross_validation'])}:")
        lines += [f"  {line}" for line in summarise_seeds(content["cross_validation"])]
    if content["vetting"]:
        lines.append(f"vetting ({content['vetting']['level']}):")
        lines += [f"  {describe_verdict(v)}" for v in content["vetting"]["verdicts"]]
        columns, rows = make_verdicts(content)
        lines += [f"  {line}" for line in _align_columns([columns, *rows] if rows else [])]
    return "\n".join(lines)


def describe_folds(cross_validation):
    """Folds and seeds of the cross-validation, in words."""
    seeds = ", ".join(map(str, cross_validation["seeds"]))
    return f"cross-validation in {cross_validation['folds']} folds over all stars, seeds {seeds}"


def make_caption(content, data, provenance):
    """The sentences under the table: data, seed, thresholds and intervals; see `make_markdown`."""
    tables = {name: provenance["data"][name] for name in ("train", "test")}
    counts = " and ".join(
        f"{table['n_stars']} {name} stars ({table['n_hosts']} hosts)"
        for name, table in tables.items()
    )
    text = (
        f"Data: {data}, {counts}. Seed {provenance['seed']}, run {provenance['run']}. A star is "
        "called a host if score >= threshold. Thresholds are tuned for F1 on stars of the training "
        f"table whose label taught nothing: {describe_thresholds(content['thresholds'])}. In "
        "brackets 95 % intervals: Wilson for precision and recall, resampled stars for thresholds, "
        "stratified bootstrap for the others. Matched AUC: each host is ranked among ten "
        "non-hosts, to which an adversary that sees no dips gives the most similar probability "
        "(Rosenbaum & Rubin 1983)."
    )
    if content["cross_validation"]:
        folds = describe_folds(content["cross_validation"])
        text += f" Of the {folds}, the rows are the pooled out-of-fold figures of the first seed."
    return text


def describe_thresholds(thresholds):
    """The threshold of each classifier, with its interval where it has one, in words."""
    texts = []
    for name, found in thresholds.items():
        interval = found["interval"]
        interval = f" [{interval[0]:.3g}, {interval[1]:.3g}]" if interval else ""
        texts.append(f"{name.replace('_', ' ')} {found['threshold']:.3g}{interval}")
    return ", ".join(texts)


def summarise_seeds(cross_validation):
    """A line per classifier and metric: mean, standard deviation and value of each repetition.

    There is none without a cross-validation.
    """
    lines = []
    for row in cross_validation["results"] if cross_validation else ():
        for name in ("average_precision", "roc_auc", "matched_auc", "f1"):
            summary, mean = row[name], "undefined"
            if summary["mean"] is not None:
                values = ", ".join(f"{value:.3f}" for value in summary["values"])
                spread = "" if summary["sd"] is None else f", sd {summary['sd']:.3f}"
                mean = f"mean {summary['mean']:.3f}{spread} ({values})"
            metric = name.replace("_", " ")
            lines.append(f"{row['network']}, {row['light_curves']}: {metric} {mean}")
    return lines


def describe_verdict(verdict):
    """A verdict of the vetting as one line."""
    outcome = {True: "holds", False: "FAILS", None: "no skill to lose"}[verdict["passed"]]
    if verdict["value"] is None:
        outcome = "undefined"
    name = f"{verdict['network']} on {verdict['light_curves']}"
    return f"{name}, {verdict['test']}: {outcome}: {verdict['sentence']}"


def make_markdown(content, data, provenance):
    """The results as Markdown, `plots/results.md`.

    `content` and `provenance` are those of `metrics.json`; `data` comes from `stars.describe`.
    """
    verdicts = content["vetting"]["verdicts"] if content["vetting"] else ()
    sections = {
        "Spread over seeds": summarise_seeds(content["cross_validation"]),
        "Vetting": [describe_verdict(verdict) for verdict in verdicts],
        "Model card": MODEL_CARD,
    }
    return _render("results.md", content, data, provenance, sections=sections)


def make_latex(content, data, provenance):
    """The table as LaTeX (booktabs), `plots/results.tex`; see `make_markdown`."""
    return _render("results.tex", content, data, provenance)


def _render(template, content, data, provenance, **more):
    """A template with the columns and rows of the table and its caption."""
    tables = [(list(COLUMNS.values()), make_rows(content)), make_verdicts(content)]
    return render(
        TEMPLATES / template,
        tables=[table for table in tables if table[1]],
        captions=[make_caption(content, data, provenance), VERDICTS_CAPTION],
        **more,
    )
