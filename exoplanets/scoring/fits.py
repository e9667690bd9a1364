"""Light curves of Kepler, K2 and TESS as FITS, from the missions' pipelines and from others.

Read are the archive's light curves of the three missions (PDCSAP flux), and EVEREST [1]_,
K2SFF [2]_, K2SC [3]_, QLP [4]_, TASOC [5]_ and CDIPS [6]_; any other binary table is read if it has
columns of time and flux.

References
----------
.. [1] Luger et al. 2016, AJ 152, 100.
.. [2] Vanderburg & Johnson 2014, PASP 126, 948.
.. [3] Aigrain, Parviainen & Pope 2016, MNRAS 459, 2408.
.. [4] Huang et al. 2020, RNAAS 4, 204.
.. [5] Handberg et al. 2021, AJ 162, 170; Lund et al. 2021, ApJS 257, 53.
.. [6] Bouma et al. 2019, ApJS 245, 13.
"""

import contextlib
import dataclasses
import functools
import gzip
import io
import re
import warnings
import zlib
from pathlib import Path

import numpy as np
from astropy.io import fits

from exoplanets.files import DataError
from exoplanets.scoring.samples import (
    EVERY_FLAG,
    KEPLER_FLAGS,
    TESS_FLAGS,
    UNKNOWN_SYSTEM,
    match_columns,
    name_target,
    name_time_system,
)
from exoplanets.sources.table import COMPRESSIONS, open_bytes, refuse_damage

# A column that only one product has, and the name of the product.
PRODUCTS = {
    "KSPSAP_FLUX": "QLP",
    "DET_FLUX": "QLP",
    "ARCLENGTH": "K2SFF",
    "CADN": "EVEREST",
    "MFLAGS": "K2SC",
    "PIXEL_QUALITY": "TASOC",
    "TMID_BJD": "CDIPS",
}
TASOC_FLAGS = 1 | 2  # of its column QUALITY: bad pixels, excluded by hand; others are corrected
CDIPS_GOOD = ("G", "0")  # of its columns of quality, which are letters
K2SC_TRENDS = ("TRTIME", "TREND_T")  # the star's own variation, which K2SC's flux lacks
MISSIONS = {  # flags of useless cadences, and the time system of files that do not name it
    "KEPLER": (KEPLER_FLAGS, "BKJD"),
    "K2": (KEPLER_FLAGS, "BKJD"),
    "TESS": (TESS_FLAGS, "BTJD"),
}
ZEROS = {"BKJD": 2454833, "BTJD": 2457000}  # Julian dates
HEADER_BYTES = 1 << 17  # more than the headers up to the first table have
MOST_FITS = 1 << 29  # bytes, uncompressed: three years at 20 s have as many
COLUMN_CARD = re.compile(rb"TFIELDS|T[A-Z]{3,5}\d")  # what a card about columns begins with
OTHER_CARD = re.compile(  # ... and all others that are looked at
    rb"XTENSION|BITPIX|NAXIS|PCOUNT|GCOUNT|BJDREF|TELESCOP|MISSION|KEPLERID|TICID|OBJECT|QUARTER|"
    rb"CAMPAIGN|SECTOR"
)
CARD, BLOCK = 80, 2880  # bytes
END = b"END".ljust(CARD)  # the last card of a header
MOST_CARDS = 20_000  # of a header; long ones have 1000
BINARY_TABLES = ("BINTABLE", "A3DTABLE")
NUMBERS = "BIJKED"  # formats of columns that are numbers, one after the other
PARTS = {"QUARTER": "quarter", "CAMPAIGN": "campaign", "SECTOR": "sector"}


def read_fits(path):
    """Yield the `Samples` of a FITS file, flagged where the archive advises to drop a cadence.

    DataError if it is damaged or no light curve.
    """
    with (
        open_bytes(path, most=MOST_FITS) as stream,
        # What `open_bytes` knows the meaning of is passed on to it.
        refuse_damage("is no whole FITS file", (EOFError, gzip.BadGzipFile, zlib.error)),
        warnings.catch_warnings(),
    ):
        warnings.simplefilter("ignore")  # of units and keywords that are not the standard's
        warnings.filterwarnings("error", message=".*truncated")
        # astropy takes a compressed file that breaks off for one that ends there.
        packed = Path(path).suffix.lower() in COMPRESSIONS
        stream = io.BytesIO(stream.read()) if packed else stream
        samples = _read_table(*_find_table(stream))
    yield samples


def _read_cards(stream):
    """The cards of a header that begins at the place of a stream, up to its end: list of bytes."""
    cards = []
    while END not in cards[-BLOCK // CARD :]:
        block = stream.read(BLOCK)
        if len(block) < BLOCK or len(cards) > MOST_CARDS:
            raise ValueError("a header is truncated")
        cards += [block[start : start + CARD] for start in range(0, BLOCK, CARD)]
    return cards


def _parse_cards(cards):
    """A header of the few cards that are looked at: parsing all of them took most of the time."""
    return fits.Header.fromstring(b"".join(filter(OTHER_CARD.match, cards)))


def _read_headers(stream):
    """Yield the header of each part of a FITS file, its cards, and where its data begin."""
    end, place = stream.seek(0, io.SEEK_END), 0
    while place < end:
        stream.seek(place)
        cards = _read_cards(stream)
        if not cards[0].startswith((b"SIMPLE  =", b"XTENSION=")):
            raise ValueError("a header has no beginning")
        header, start = _parse_cards(cards), stream.tell()
        place = start + header.data_size_padded
        if not start <= place <= end:
            raise ValueError("truncated")
        yield header, cards, start


class _Table:
    """A binary table of an open file.

    Its numbers are read as they lie in the file. Astropy describes every column anew for each file,
    twice, which takes two thirds of the time.
    """

    def __init__(self, stream, number, header, cards, start):
        self.stream, self.number, self.header, self.start = stream, number, header, start
        self.columns = _parse_columns(b"".join(filter(COLUMN_CARD.match, cards)))
        self.names = [name.upper() for name in self.columns.names]

    @functools.cached_property
    def rows(self):
        """All rows as the file has them."""
        dtype, n_rows = self.columns.dtype.newbyteorder(">"), self.header["NAXIS2"]
        self.stream.seek(self.start)
        return np.frombuffer(self.stream.read(n_rows * dtype.itemsize), dtype, n_rows)

    @functools.cached_property
    def data(self):
        """The table as astropy reads it, for columns that are not plain numbers."""
        self.stream.seek(0)
        return fits.open(self.stream, memmap=False, lazy_load_hdus=True)[self.number].data

    def read(self, place):
        """All numbers of the column at a position, ndarray of float64; NaN where one is missing."""
        column = self.columns[place]
        scale, zero = column.bscale or 1, column.bzero or 0
        if column.format.format in NUMBERS and (scale, zero) == (1, 0):
            values = self.rows[self.rows.dtype.names[place]].astype(np.float64)
        else:
            values = self.data.field(place)
            # An array of variable length is an object of its own in each row.
            values = np.concatenate(values) if values.dtype == object else values
            values = np.array(values, dtype=np.float64)
        if isinstance(column.null, int):  # TNULL: the integer that stands for no value
            values[values == column.null * scale + zero] = np.nan
        return values.reshape(-1)


@functools.lru_cache(maxsize=64)
def _parse_columns(cards):
    """The columns that cards of a header describe; all files of an archive have the same."""
    table = {"XTENSION": "BINTABLE", "BITPIX": 8, "NAXIS": 2, "NAXIS1": 0, "NAXIS2": 0}
    before = "".join(str(fits.Card(*card)) for card in (table | {"PCOUNT": 0, "GCOUNT": 1}).items())
    header = before.encode() + cards + b"END".ljust(CARD)
    return fits.BinTableHDU.fromstring(header.ljust(-(-len(header) // BLOCK) * BLOCK)).columns


def _read_table(header, table, columns):
    """Samples of a table, with what the file's primary header says."""
    n_rows = table.header["NAXIS2"]
    n_times, n_fluxes = (table.read(place).size for place in (columns.time, columns.flux))
    if n_rows > 1 and min(n_times, n_fluxes) > n_rows:
        raise DataError(
            f"has {n_rows} rows with an array of times each, one star a row: save each row as a "
            "file of its own"
        )

    def numbers(place):
        values = table.read(place)
        if values.size != n_times:
            name = table.names[place]
            raise DataError(f"has pixels in the column {name}: a light curve is needed")
        return values

    mission = str(header.get("TELESCOP", header.get("MISSION", ""))).upper()
    flags, system = MISSIONS.get(mission, (EVERY_FLAG, UNKNOWN_SYSTEM))
    about, shift = table.header, 0.0
    if "BJDREFI" in about:
        zero = float(about["BJDREFI"]) + float(about.get("BJDREFF", 0))
        # All files of a mission get its zero, or those of one star would lie centuries apart.
        shift = zero - ZEROS.get(system, zero)
        if system not in ZEROS:
            system = name_time_system(f"BJD - {zero:.10g}") if zero else "BJD"
    elif columns.time_system != UNKNOWN_SYSTEM:
        system = columns.time_system
    if "PIXEL_QUALITY" in table.names:
        flags = TASOC_FLAGS
    columns = columns._replace(flags=flags, kind=columns.kind or "flux", time_system=system)
    key = next((key for key in PARTS if header.get(key) is not None), "")
    samples = columns.make_samples(
        numbers,
        target=name_target(header),
        part=PARTS.get(key, "file"),
        part_number=str(header.get(key, "")),
    )
    samples = dataclasses.replace(samples, time=samples.time + shift) if shift else samples
    samples = _treat_product(samples, table, columns, numbers)
    trend = next((table.names.index(name) for name in K2SC_TRENDS if name in table.names), None)
    if trend is not None and np.isfinite(numbers(trend)).any():
        whole = samples.flux + numbers(trend) - np.nanmedian(numbers(trend))
        notes = (*samples.notes, "K2SC's trend in time added back")
        samples = dataclasses.replace(samples, flux=whole, notes=notes)
    return samples


def _treat_product(samples, table, columns, numbers):
    """Samples of TASOC and CDIPS as their documentation says how to use them."""
    if "PIXEL_QUALITY" in table.names:
        pixels = np.nan_to_num(numbers(table.names.index("PIXEL_QUALITY"))).astype(np.int64)
        flagged = (pixels & TESS_FLAGS) != 0
        if samples.flagged is not None:
            flagged |= samples.flagged
        flux = samples.flux
        if table.names[columns.flux] == "FLUX_CORR":
            flux = 1 + 1e-6 * flux  # it is relative, in ppm
        return dataclasses.replace(samples, flux=flux, flagged=flagged)
    letters = "IRQ" + table.names[columns.flux][-1]  # the quality in the same aperture
    if "TMID_BJD" in table.names and letters in table.names:
        letters = table.data.field(table.names.index(letters)).astype(str)
        return dataclasses.replace(samples, flagged=~np.isin(np.char.strip(letters), CDIPS_GOOD))
    return samples


def find_star(path):
    """The star that a FITS file says it is of, such as "EPIC 201912552 (K2SFF)", or None.

    Files with the same answer are parts of one star; those of another pipeline are not.
    """
    try:
        with open_bytes(path) as stream, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            start = stream.read(HEADER_BYTES)
            target = name_target(_parse_cards(_read_cards(io.BytesIO(start))))
            columns = re.findall(rb"TTYPE\d+ *= *'(\w+)", start)
    except Exception:  # whatever damage makes of astropy: reading the file will say what it is
        return None
    product = next((name for key, name in PRODUCTS.items() if key.encode() in columns), None)
    return f"{target} ({product})" if target and product else target or None


def _match(table):
    """The `Columns` of a table. An empty corrected flux of TASOC or CDIPS is passed over."""
    names = list(table.names)
    columns = _match_names(tuple(names), tuple(table.columns.units))
    while not columns.missing() and {"PIXEL_QUALITY", "TMID_BJD"} & {*names}:
        if np.isfinite(table.read(columns.flux)).any():
            break
        names[columns.flux] = ""
        columns = _match_names(tuple(names), tuple(table.columns.units))
    return columns


_match_names = functools.lru_cache(maxsize=64)(match_columns)  # files of an archive are alike


def _find_table(stream):
    """The primary header, the first table with columns of time and flux, and these columns."""
    headers, seen = _read_headers(stream), []
    primary, *_ = next(headers)
    binary = (
        _Table(stream, number, *parts)
        for number, parts in enumerate(headers, 1)
        if parts[0].get("XTENSION") in BINARY_TABLES
    )
    tables = ((table, _match(table)) for table in binary)
    for table, columns in tables:
        if not columns.missing():
            n_tables = 1
            # Damage beyond the light curve does not matter. K2SFF has twenty more tables by design.
            with contextlib.suppress(Exception):
                if not PRODUCTS.keys() & table.names:
                    n_tables += sum(not more.missing() for _, more in tables)
            if n_tables > 1:
                note = f"the first of {n_tables} tables with time and flux"
                columns = columns._replace(notes=(*columns.notes, note))
            return primary, table, columns
        seen += table.names[:5]
    instead = f", but {seen}" if seen else ""
    raise DataError(f"has no table with columns of time and flux{instead}: fetch a light curve")
