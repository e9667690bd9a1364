"""Files about the signals of stars, beside the file of scores: all signals, transit times, folds.

`signals.csv` has a row per signal, `transit_times.csv` one per transit that was measured. `folds`
is a folder with a file per signal. They are written only when they are asked for.
"""

import contextlib
import hashlib
import os
import re
from pathlib import Path, PurePath

import numpy as np

from exoplanets.files import atomic_write
from exoplanets.scoring.result import SIGNAL_COLUMNS
from exoplanets.scoring.score_file import check_ours, format_line, write_cell

SIGNALS, TRANSITS, FOLDS = "signals.csv", "transit_times.csv", "folds"
HEADERS = {
    SIGNALS: format_line(("name", "signal", *SIGNAL_COLUMNS)),
    TRANSITS: format_line(("name", "signal", "transit", "time_days", "time_error_days")),
}
LONGEST_NAME = 80  # characters of a star's name that are kept in a file's
FOLD_HEADER = "hours_from_mid_transit,flux_ppm"  # or in the unit of the file, without a level


def name_signal_files(output):
    """Paths of `signals.csv`, `transit_times.csv` and the folder `folds` of a file of scores."""
    folder = Path(os.path.realpath(output)).parent
    return [folder / name for name in (SIGNALS, TRANSITS, FOLDS)]


def name_page(name):
    """File name of a star's page or fold, without its suffix: the end of its name, and a digest.

    The digest tells stars apart whose names differ only in their folder, in case or in characters
    that file systems do not take.
    """
    digest = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:8]
    plain = re.sub(r"[^A-Za-z0-9.+]+", "_", PurePath(name).name).strip("._")[-LONGEST_NAME:]
    return f"{plain or 'star'}-{digest}"


@contextlib.contextmanager
def open_signal_files(output, with_signals, with_folds):
    """Write the files that are asked for: yields a function that takes each `Result`.

    The two tables are replaced when the block ends well. DataError if a table is there that
    `--predict` did not write.
    """
    *tables, folds = name_signal_files(output)
    with contextlib.ExitStack() as stack:
        streams = []
        for path in tables if with_signals else ():
            check_ours(path, HEADERS[path.name])
            path.parent.mkdir(parents=True, exist_ok=True)
            temporary = stack.enter_context(atomic_write(path))
            streams.append(stack.enter_context(open(temporary, "wb")))
            streams[-1].write(HEADERS[path.name])
        if with_folds:
            folds.mkdir(parents=True, exist_ok=True)

        def write(result):
            for number, signal in enumerate(result.signals, 1):
                if with_signals:
                    _write_signal(streams, result, number, signal)
                if with_folds and signal.has_period:
                    columns = np.column_stack(result.fold(number))
                    path = folds / f"{name_page(result.name)}-{number}.csv"
                    with atomic_write(path) as temporary:
                        np.savetxt(temporary, columns, "%.5f,%.7g", header=FOLD_HEADER, comments="")

        yield write


def _write_signal(streams, result, number, signal):
    """The row of a signal, and those of its transits."""
    head = write_cell("name", result.name), number
    cells = (write_cell(name, getattr(signal, name)) for name in SIGNAL_COLUMNS)
    streams[0].write(format_line([*head, *cells]))
    transits = signal.fit.transit_times[:3] if signal.fit else ((), (), ())
    for number, *times in zip(*transits, strict=True):
        time, error = ("" if np.isnan(days) else format(days, ".6f") for days in times)
        streams[1].write(format_line([*head, number, time, error]))
