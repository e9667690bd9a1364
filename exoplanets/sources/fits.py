"""Light curves of Kepler, K2 and TESS as FITS, from the missions' pipelines and from others.

Read are the archive's light curves of the three missions (PDCSAP flux), and EVEREST [1]_,
K2SFF [2]_, K2SC [3]_ and QLP [4]_; any other binary table is read if it has columns of time and
flux.

References
----------
.. [1] Luger et al. 2016, AJ 152, 100.
.. [2] Vanderburg & Johnson 2014, PASP 126, 948.
.. [3] Aigrain, Parviainen & Pope 2016, MNRAS 459, 2408.
.. [4] Huang et al. 2020, RNAAS 4, 204.
"""

import contextlib
import dataclasses
import gzip
import io
import re
import warnings
import zlib
from pathlib import Path

import numpy as np
from astropy.io import fits

from exoplanets.files import DataError
from exoplanets.sources.formats import COMPRESSIONS
from exoplanets.sources.samples import (
    EVERY_FLAG,
    KEPLER_FLAGS,
    TESS_FLAGS,
    match_columns,
    name_target,
    name_time_system,
)
from exoplanets.sources.table import open_bytes, refuse_damage

# A column that only one product has, and the name of the product.
PRODUCTS = {
    "KSPSAP_FLUX": "QLP",
    "DET_FLUX": "QLP",
    "ARCLENGTH": "K2SFF",
    "CADN": "EVEREST",
    "MFLAGS": "K2SC",
}
K2SC_TRENDS = ("TRTIME", "TREND_T")  # the star's own variation, which K2SC's flux lacks
MISSIONS = {  # flags of useless cadences, and the time system of files that do not name it
    "KEPLER": (KEPLER_FLAGS, "BKJD"),
    "K2": (KEPLER_FLAGS, "BKJD"),
    "TESS": (TESS_FLAGS, "BTJD"),
}
TABLE_HEADER_BYTES = 1 << 16  # more than the header of the first table has
PARTS = {"QUARTER": "quarter", "CAMPAIGN": "campaign", "SECTOR": "sector"}


def read_fits(path):
    """Yield the `Samples` of a FITS file, flagged where the archive advises to drop a cadence.

    DataError if it is damaged or no light curve.
    """
    with (
        open_bytes(path) as stream,
        # What `open_bytes` knows the meaning of is passed on to it.
        refuse_damage("is no whole FITS file", (EOFError, gzip.BadGzipFile, zlib.error)),
        warnings.catch_warnings(),
    ):
        warnings.simplefilter("ignore")  # of units and keywords that are not the standard's
        warnings.filterwarnings("error", message=".*truncated")
        # astropy takes a compressed file that breaks off for one that ends there.
        packed = Path(path).suffix.lower() in COMPRESSIONS
        stream = io.BytesIO(stream.read()) if packed else stream
        with fits.open(stream, memmap=False, lazy_load_hdus=True) as hdus:
            samples = _read_table(*_find_table(hdus))
    yield samples


def _read_table(header, table, columns):
    """Samples of a table, with what the file's primary header says."""
    data, names = table.data, _names(table)
    both = columns.time, columns.flux
    if len(data) > 1 and min(np.size(data.field(place)[0]) for place in both) > 1:
        raise DataError(
            f"has {len(data)} rows with an array of times each, one star a row: save each row as a "
            "file of its own"
        )

    def flatten(place):
        values = data.field(place)
        # An array of variable length is an object of its own in each row.
        values = np.concatenate(values) if values.dtype == object else values
        return np.array(values, dtype=np.float64).reshape(-1)

    def numbers(place):
        values = flatten(place)
        if values.size != flatten(columns.time).size:
            raise DataError(f"has pixels in the column {names[place]}: a light curve is needed")
        column = table.columns[place]
        if isinstance(column.null, int):  # TNULL: the integer that stands for no value
            values[values == column.null * (column.bscale or 1) + (column.bzero or 0)] = np.nan
        return values

    mission = str(header.get("TELESCOP", header.get("MISSION", ""))).upper()
    flags, system = MISSIONS.get(mission, (EVERY_FLAG, columns.time_system))
    if "BJDREFI" in table.header:
        zero = float(table.header["BJDREFI"]) + float(table.header.get("BJDREFF", 0))
        system = name_time_system(f"BJD - {zero:.10g}")
    columns = columns._replace(flags=flags, kind=columns.kind or "flux", time_system=system)
    part = next((part for key, part in PARTS.items() if header.get(key) is not None), "file")
    samples = columns.make_samples(numbers, target=name_target(header), part=part)
    trend = next((names.index(name) for name in K2SC_TRENDS if name in names), None)
    if trend is not None and np.isfinite(numbers(trend)).any():
        whole = samples.flux + numbers(trend) - np.nanmedian(numbers(trend))
        notes = (*samples.notes, "K2SC's trend in time added back")
        samples = dataclasses.replace(samples, flux=whole, notes=notes)
    return samples


def find_star(path):
    """The star that a FITS file says it is of, such as "EPIC 201912552 (K2SFF)", or None.

    Files with the same answer are parts of one star; those of another pipeline are not.
    """
    try:
        with open_bytes(path) as stream, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            target = name_target(fits.Header.fromfile(stream))
            columns = re.findall(rb"TTYPE\d+ *= *'(\w+)", stream.read(TABLE_HEADER_BYTES))
    except Exception:  # whatever damage makes of astropy: reading the file will say what it is
        return None
    product = next((name for key, name in PRODUCTS.items() if key.encode() in columns), None)
    return f"{target} ({product})" if target and product else target or None


def _find_table(hdus):
    """The primary header, the first table with columns of time and flux, and these columns."""
    seen, binary = [], (hdu for hdu in hdus if isinstance(hdu, fits.BinTableHDU))
    tables = ((hdu, match_columns(_names(hdu), hdu.columns.units)) for hdu in binary)
    for hdu, columns in tables:
        if not columns.missing():
            n_tables = 1
            # Damage beyond the light curve does not matter. K2SFF has twenty more tables by design.
            with contextlib.suppress(Exception):
                if not PRODUCTS.keys() & _names(hdu):
                    n_tables += sum(not more.missing() for _, more in tables)
            if n_tables > 1:
                note = f"the first of {n_tables} tables with time and flux"
                columns = columns._replace(notes=(*columns.notes, note))
            return hdus[0].header, hdu, columns
        seen += _names(hdu)[:5]
    instead = f", but {seen}" if seen else ""
    raise DataError(f"has no table with columns of time and flux{instead}: fetch a light curve")


def _names(table):
    """Names of a table's columns, in capitals."""
    return [name.upper() for name in table.columns.names]
