"""Light curves of one star as text: columns of time and flux, separated by almost anything.

Commas, semicolons (with decimal points or commas), tabs or blanks; a first line of names, names in
a comment, or no names at all (time, flux and perhaps its error); comments after `#` or `%`; and the
IPAC tables of the NASA Exoplanet Archive.
"""

import contextlib
import re

import numpy as np
import pandas as pd
from astropy.io import ascii as astropy_ascii

from exoplanets.files import DataError, one_line
from exoplanets.scoring.samples import (
    MOST_BYTES,
    MOST_SAMPLES,
    Columns,
    find_target,
    match_columns,
    name_target,
)
from exoplanets.sources.table import LONGEST_LINE, open_bytes, refuse_damage

CONTROL = re.compile(rb"[\x00-\x08\x0e-\x1f]")  # bytes that no text begins with
MISSING = ("-", "--", "---")  # beside what pandas takes for missing: "", "nan", "null", "N/A"...
BLANKS = r"\s+"
ROWS_AT_A_TIME = 1 << 18
MOST_COMMENTS = 100_000  # lines before the first of the table
MOST_IPAC = 1 << 25  # bytes: about 30 times as many lie in memory, and a quarter has 1 MB


def read_text(path):
    """Yield the `Samples` of a text file.

    DataError if it has no columns of time and flux, or a cell that is no number.
    """
    with open_bytes(path, most=MOST_BYTES) as stream:
        start = stream.read(4096)
        if CONTROL.search(start):
            raise DataError("is not a text file: fetch it again, or save it as plain UTF-8")
        stream.seek(0)
        samples = _read_ipac(stream) if start[:1] in (b"\\", b"|") else _read_columns(stream)
    yield samples


def find_archive_star(path):
    """The star in the name of one of the archive's tables, such as "KIC 757076", or None."""
    return find_target(path.name) if path.name.lower().startswith("kplr") else None


def _read_columns(stream):
    """Samples of a text with one sample a line."""
    n_skipped, mark, separator, decimal, columns = _find_layout(stream)
    stream.seek(0)
    places = sorted({place for place in columns[:4] if place is not None})
    try:
        blocks = pd.read_csv(
            stream,
            header=None,
            skiprows=n_skipped,
            usecols=places,
            dtype=np.float64,
            sep=separator,
            decimal=decimal,
            comment=mark,
            na_values=MISSING,
            skipinitialspace=True,
            encoding_errors="replace",  # numbers have plain characters
            chunksize=ROWS_AT_A_TIME,
        )
        blocks = _collect(block.to_numpy() for block in blocks)
        values = dict(zip(places, np.concatenate(blocks).T, strict=True))
    except (pd.errors.EmptyDataError, pd.errors.ParserError) as error:
        reason = one_line(str(error).rpartition("C error: ")[2])
        raise DataError(f"has no rows that can be read ({reason}): fetch it again") from None
    except ValueError as error:
        raise DataError(
            f"has a cell that is no number ({one_line(error)}): correct it, or empty it if the "
            "value is missing"
        ) from None
    return columns.make_samples(lambda place: values[place])


def _collect(blocks):
    """A list of blocks of rows, refused when they are too many."""
    kept, n_rows = [], 0
    for block in blocks:
        kept.append(block)
        n_rows += len(block)
        if n_rows > MOST_SAMPLES:
            raise DataError(f"has more than {MOST_SAMPLES} rows: give the star in parts")
    return kept


def _find_layout(stream):
    """Lines to skip, mark of comments, separator of cells, decimal sign, and columns of a text."""
    lines, mark, comment, n_read = _read_head(stream)
    # The first row is the first line of numbers; a title, names and units, which may have one among
    # words, may stand before it. Some tables have more words than numbers in their rows.
    likely = [line for share in (0.5, 1e-9) for line in lines if _find_share(line[1]) >= share]
    n_skipped, row = next(iter(likely), (n_read, ""))
    above = [text for number, text in lines if number < n_skipped]
    separator = _find_separator(row)
    cells = _split(row, separator)
    rows = [text for number, text in lines if number >= n_skipped]
    decimal = "," if separator != "," and re.search(r",\d", "".join(rows)) else "."
    heads = [_split_names(text, separator, len(cells)) for text in above or [comment]]
    found = [
        match_columns(names, units if len(units) == len(names) else ())
        for names, units in zip(heads, [*heads[1:], ()], strict=True)
    ]
    columns = next((columns for columns in found if not columns.missing()), found[0])
    if not above and (columns.missing() or len(heads[0]) != len(cells)):
        if not 2 <= len(cells) <= 3 or not all(map(_find_share, cells)):
            raise DataError(
                f"has rows of {len(cells)} values and no names of columns: name them in its first "
                "line, as in time,flux"
            )
        columns = Columns(0, 1, kind="unnamed")
    elif columns.missing():
        raise DataError(
            f"has no column of {columns.missing()}: its first line begins {above[0][:40]!a}; name "
            "them there, as in time,flux"
        )
    return n_skipped, mark, separator, decimal, columns


def _read_head(stream):
    """The first three lines with text, with their numbers; more about the lines read for them.

    That is: the mark that comments begin with, the last comment before, and how many were read.
    """
    lines, mark, comment, n_read = [], "#", "", 0
    while len(lines) < 3 and (line := stream.readline(LONGEST_LINE)):
        if stream.tell() > LONGEST_LINE or n_read > MOST_COMMENTS:
            raise DataError(
                f"has a line, or comments, of over {LONGEST_LINE >> 20} MB or {MOST_COMMENTS} "
                "lines: fetch it again"
            )
        text = line.decode("utf-8-sig", "replace").strip()
        if text.startswith(("#", "%")):
            mark, comment = text[0], comment if lines else text.lstrip("#% ")
        elif text:
            lines.append((n_read, text.partition(mark)[0]))
        n_read += 1
    if not lines:
        raise DataError("has no lines but comments: fetch it again")
    return lines, mark, comment, n_read


def _find_share(text):
    """Share of numbers among a line's cells that are not empty."""
    cells = [cell for cell in _split(text, _find_separator(text)) if cell not in ("", *MISSING)]
    n_numbers = 0
    for cell in cells:
        with contextlib.suppress(ValueError):
            float(cell.replace(",", "."))
            n_numbers += 1
    return n_numbers / max(len(cells), 1)


def _find_separator(line):
    """What separates the cells of a line, for pandas."""
    return next((sign for sign in ";\t," if sign in line), BLANKS)


def _split(line, separator):
    """The cells of a line; "Time (BJD)" and "BJD - 2457000" are one also where blanks separate."""
    if separator == BLANKS:
        return re.findall(
            r"[A-Za-z][^\s(\[-]*\s*-\s*24\d[\d.]*|[^\s(\[]+(?:\s*[(\[][^)\]]*[)\]])?", line
        )
    return [cell.strip().strip('"').strip() for cell in line.split(separator)]


def _split_names(line, separator, n_cells):
    """The names of columns; another separator than that of the rows, if only that one fits."""
    options = [_split(line, sign) for sign in (separator, _find_separator(line), BLANKS)]
    options.append(re.split(r"\s{2,}", line.strip()))  # as in "time  normalised flux  err"
    return next((names for names in options if len(names) == n_cells), options[1])


def _read_ipac(stream):
    """Samples of an IPAC table."""
    text = stream.read(MOST_IPAC + 1)
    if len(text) > MOST_IPAC:
        raise DataError(f"is an IPAC table of over {MOST_IPAC >> 20} MB: save it as CSV")
    text = text.decode("utf-8", "replace")
    with refuse_damage("is no IPAC table"):
        table = astropy_ascii.read(text, format="ipac", guess=False)
    columns = match_columns(table.colnames, [table[name].unit for name in table.colnames])
    if columns.missing():
        raise DataError(f"has no column of {columns.missing()}: it has {table.colnames[:5]}")

    def numbers(place):
        values = np.ma.asarray(table.columns[place])
        if values.dtype.kind not in "fiu":
            raise DataError(f"has text in the column {table.colnames[place]}: numbers are needed")
        return values.astype(np.float64).filled(np.nan)

    keywords = table.meta.get("keywords", {})
    header = {name.upper(): each.get("value") for name, each in keywords.items()}
    return columns.make_samples(numbers, target=name_target(header))
