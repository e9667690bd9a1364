"""scoring/fits.py: light curves of the archive, of other pipelines, and files that are none."""

import gzip
import warnings

import numpy as np
import pytest
from astropy.io import fits

from exoplanets.files import DataError
from exoplanets.scoring.fits import find_star, read_fits
from exoplanets.stars import CADENCE_DAYS

N = 600
TIME = 2000 + np.arange(N) * CADENCE_DAYS
FLUX = np.random.default_rng(0).normal(1e4, 1, N).astype(np.float32)
QUALITY = np.zeros(N, int)
QUALITY[[100, 200, 201, 202]] = 1, 32, 8192, 1 << 24
# The third is a cosmic ray elsewhere for Kepler, the fourth EVEREST's own: good data.
FLAGGED = [100, 200]
NUMBER = np.arange(N) + 7000

OF_KEPLER = {"TELESCOP": "Kepler", "MISSION": "Kepler", "KEPLERID": 757076, "QUARTER": 3}
OF_K2 = {"TELESCOP": "Kepler", "MISSION": "K2", "KEPLERID": 201912552, "CAMPAIGN": 1}
OF_TESS = {"TELESCOP": "TESS", "TICID": 123, "SECTOR": 8}
BKJD, BTJD = {"BJDREFI": 2454833, "BJDREFF": 0.0}, {"BJDREFI": 2457000, "BJDREFF": 0.0}
ZEROS = np.zeros(N)
PRODUCTS = {  # cards of the file, of its table, its columns; the star, the piece, the time system
    "Kepler": (
        OF_KEPLER | {"OBJECT": "KIC 757076"}, BKJD,
        {"TIME": TIME, "TIMECORR": ZEROS, "CADENCENO": NUMBER, "SAP_FLUX": ZEROS,
         "SAP_BKG": ZEROS, "PDCSAP_FLUX": FLUX, "PDCSAP_FLUX_ERR": ZEROS, "SAP_QUALITY": QUALITY},
        "KIC 757076", "quarter", "BKJD",
    ),
    "TESS": (
        OF_TESS, BTJD,
        {"TIME": TIME, "CADENCENO": NUMBER, "SAP_FLUX": ZEROS, "PDCSAP_FLUX": FLUX,
         "QUALITY": QUALITY},
        "TIC 123", "sector", "BTJD",
    ),
    "EVEREST": (
        OF_K2, BKJD,
        {"CADN": NUMBER.astype(float), "FLUX": FLUX, "FRAW": ZEROS, "QUALITY": QUALITY,
         "TIME": TIME, "FCOR": ZEROS},
        "EPIC 201912552 (EVEREST)", "campaign", "BKJD",
    ),
    "K2SFF": (
        OF_K2, BKJD,
        {"T": TIME, "FRAW": ZEROS, "FCOR": FLUX, "ARCLENGTH": ZEROS,
         "MOVING": np.isin(np.arange(N), FLAGGED).astype(int), "CADENCENO": NUMBER},
        "EPIC 201912552 (K2SFF)", "campaign", "BKJD",
    ),
    "K2SC": (
        OF_K2, {},
        {"CADENCE": NUMBER, "QUALITY": QUALITY, "TIME": TIME, "FLUX": FLUX - 100 * np.sin(TIME),
         "TRPOSI": ZEROS, "TRTIME": 5 + 100 * np.sin(TIME) - np.median(100 * np.sin(TIME)),
         "MFLAGS": QUALITY},
        "EPIC 201912552 (K2SC)", "campaign", "BKJD",
    ),
    "QLP": (
        OF_TESS, BTJD,
        {"TIME": TIME, "CADENCENO": NUMBER, "SAP_FLUX": ZEROS, "KSPSAP_FLUX": FLUX,
         "QUALITY": QUALITY},
        "TIC 123 (QLP)", "sector", "BTJD",
    ),
    "QLP since sector 56": (
        OF_TESS, BTJD,
        {"TIME": TIME, "CADENCENO": NUMBER, "SAP_FLUX": ZEROS, "DET_FLUX": FLUX,
         "QUALITY": QUALITY},
        "TIC 123 (QLP)", "sector", "BTJD",
    ),
    "another": (
        {"OBJECT": "TIC 55"}, {},
        {"BJD": TIME, "PSF_FLUX_RAW": ZEROS, "PSF_FLUX_COR": FLUX, "FLUX_ERR": ZEROS,
         "CADENCENO": NUMBER, "QUALITY": np.isin(np.arange(N), FLAGGED).astype(int)},
        "TIC 55", "file", "BJD",
    ),
}  # fmt: skip


def write_fits(path, cards, table_cards, columns, n_more=0):
    """Write a FITS file with a table of columns, and tables without flux after it."""
    kinds = {"f": "E", "i": "J", "U": "1A"}
    made = [
        fits.Column(name, "D" if array.dtype == float else kinds[array.dtype.kind], array=array)
        for name, array in columns.items()
    ]
    primary, table = fits.PrimaryHDU(), fits.BinTableHDU.from_columns(made)
    primary.header.update(cards)
    table.header.update(table_cards)
    more = [fits.BinTableHDU.from_columns([fits.Column("T", "D", array=TIME)])] * n_more
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fits.HDUList([primary, table, *more]).writeto(path, overwrite=True)
    return path


def write_kepler(path, time=TIME, flux=FLUX, **cards):
    """Write a quarter of a Kepler star as the archive has them."""
    columns = {"TIME": time, "CADENCENO": NUMBER, "PDCSAP_FLUX": flux, "SAP_QUALITY": QUALITY}
    size = {name: array[: time.size] for name, array in columns.items()}
    return write_fits(path, OF_KEPLER | cards, BKJD, size)


def read(path):
    (samples,) = read_fits(path)
    return samples


@pytest.mark.parametrize("name", ["a.fits", "a.fits.gz"])
@pytest.mark.parametrize("product", PRODUCTS)
def test_every_product_is_read_exactly(tmp_path, product, name):
    cards, table_cards, columns, star, part, system = PRODUCTS[product]
    path = write_fits(tmp_path / name, cards, table_cards, columns, n_more=3)
    samples = read(path)
    assert find_star(path) == star
    assert samples.target == star.partition(" (")[0]
    assert (samples.part, samples.time_system, samples.kind) == (part, system, "flux")
    assert np.array_equal(samples.time, TIME)
    if product == "K2SC":  # the star's own variation is added back, without changing the level
        assert np.allclose(samples.flux, FLUX - np.median(100 * np.sin(TIME)), atol=1e-3)
        assert samples.notes == ("K2SC's trend in time added back",)
    else:
        assert np.array_equal(samples.flux, FLUX)
    assert samples.flux.dtype == np.float64 and samples.flux.dtype.isnative
    assert samples.cadence.tolist() == NUMBER.tolist()
    assert np.flatnonzero(samples.flagged).tolist() == FLAGGED


def test_raw_flux_is_read_only_where_there_is_no_better_and_said(tmp_path):
    columns = {"TIME": TIME, "SAP_FLUX": FLUX}
    samples = read(write_fits(tmp_path / "a.fits", OF_TESS, BTJD, columns))
    assert np.array_equal(samples.flux, FLUX)
    assert samples.notes == ("flux from the column SAP_FLUX",)


OF_TASOC = OF_TESS | {"ORIGIN": "TASOC/Aarhus"}
TASOC = {
    "TIME": TIME, "TIMECORR": ZEROS, "CADENCENO": NUMBER, "FLUX_RAW": FLUX, "FLUX_RAW_ERR": ZEROS,
    "FLUX_BKG": ZEROS, "FLUX_CORR": 1e6 * (FLUX / np.median(FLUX) - 1), "FLUX_CORR_ERR": ZEROS,
    # A jump that was corrected is no fault; what a cosmic ray hit and what is excluded are.
    "QUALITY": np.where(np.arange(N) == 50, 16, 0) + 2 * (np.arange(N) == 60),
    "PIXEL_QUALITY": QUALITY,
}  # fmt: skip


def test_tasoc_is_read_corrected_and_raw(tmp_path):
    path = write_fits(tmp_path / "a.fits", OF_TASOC, BTJD, TASOC)
    samples = read(path)
    assert find_star(path) == "TIC 123 (TASOC)"
    assert np.allclose(samples.flux, FLUX / np.median(FLUX), rtol=1e-9)  # no longer in ppm
    assert (samples.part, samples.part_number, samples.time_system) == ("sector", "8", "BTJD")
    assert np.flatnonzero(samples.flagged).tolist() == [60, 100, 200] and samples.notes == ()
    columns = TASOC | {"FLUX_CORR": ZEROS * np.nan}
    samples = read(write_fits(tmp_path / "a.fits", OF_TASOC, BTJD, columns))
    assert np.array_equal(samples.flux, FLUX) and samples.kind == "flux"
    assert samples.notes == ("flux from the column FLUX_RAW",)
    columns["FLUX_RAW"] = ZEROS * np.nan
    with pytest.raises(DataError, match="no table with columns of time and flux"):
        read(write_fits(tmp_path / "a.fits", OF_TASOC, BTJD, columns))


def test_cdips_is_read_as_magnitudes(tmp_path):
    magnitudes = 12 - 2.5 * np.log10(FLUX / np.median(FLUX))
    columns = {"TMID_UTC": TIME, "TMID_BJD": TIME + 2457000}
    for aperture in "123":
        columns |= {f"IFL{aperture}": FLUX, f"IFE{aperture}": ZEROS, f"IRE{aperture}": ZEROS}
        columns |= {f"{kind}{aperture}": ZEROS + 9 for kind in ("IRM", "PCA", "TFA")}
        columns[f"IRQ{aperture}"] = np.full(N, "G")
    columns["IRQ2"] = np.where(np.isin(np.arange(N), FLAGGED), "X", "G")
    columns["TFA2"] = magnitudes
    path = tmp_path / "hlsp_cdips_tess_ffi_gaiatwo0005318059532750974720-0008_tess_v01_llc.fits"
    samples = read(write_fits(path, OF_TESS, {}, columns))
    assert find_star(path) == "TIC 123 (CDIPS)"
    assert np.array_equal(samples.flux, magnitudes) and samples.kind == "magnitudes"
    assert np.array_equal(samples.time, TIME + 2457000) and samples.time_system == "BJD"
    assert np.flatnonzero(samples.flagged).tolist() == FLAGGED
    assert samples.notes == ("flux from the column TFA2",)
    columns |= {f"TFA{aperture}": ZEROS * np.nan for aperture in "123"}
    columns["PCA2"] = magnitudes
    samples = read(write_fits(path, OF_TESS, {}, columns))
    assert np.array_equal(samples.flux, magnitudes)
    assert samples.notes == ("flux from the column PCA2",)


@pytest.mark.parametrize(
    ("cards", "table_cards", "system"),
    [(OF_KEPLER, BKJD, "BKJD"), (OF_TESS, BTJD, "BTJD")],
)
def test_all_files_of_a_mission_get_its_zero(tmp_path, cards, table_cards, system):
    columns = {"TIME": TIME, "PDCSAP_FLUX": FLUX}
    usual = read(write_fits(tmp_path / "a.fits", cards, table_cards, columns))
    columns["TIME"] = TIME + table_cards["BJDREFI"]
    zero = {"BJDREFI": 0, "BJDREFF": 0.0}
    other = read(write_fits(tmp_path / "a.fits", cards, zero, columns))
    assert usual.time_system == other.time_system == system
    assert np.allclose(usual.time, other.time, rtol=0, atol=1e-8)


@pytest.mark.parametrize(
    ("cards", "column", "system"),
    [
        ({"BJDREFI": 2400000, "BJDREFF": 0.5}, "TIME", "BJD - 2400000.5"),
        ({"BJDREFI": 2455000}, "TIME", "BJD - 2455000"),
        ({}, "BTJD", "BTJD"),
        ({}, "TIME", "as in the file"),
    ],
)
def test_the_time_system_is_what_the_file_says(tmp_path, cards, column, system):
    path = write_fits(tmp_path / "a.fits", {}, cards, {column: TIME, "FLUX": FLUX})
    assert read(path).time_system == system
    assert find_star(path) is None


@pytest.mark.parametrize(
    ("unit", "per_day", "notes"),
    [
        ("s", 86400, ("time given in seconds",)),
        ("h", 24, ("time given in hours",)),
        ("BJD - 2454833, days", 1, ()),
        ("d", 1, ()),
    ],
)
def test_times_in_other_units_become_days(tmp_path, unit, per_day, notes):
    columns = {"TIME": TIME * per_day, "FLUX": FLUX}
    samples = read(write_fits(tmp_path / "a.fits", {}, {"TUNIT1": unit}, columns))
    assert np.allclose(samples.time, TIME, rtol=1e-14) and samples.notes == notes


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("share", [0.02, 0.1, 0.2, 0.3, 0.6, 0.9])
def test_a_truncated_file_is_one_line(tmp_path, share, packed):
    path = write_kepler(tmp_path / "a.fits")
    content = path.read_bytes()
    if packed:
        path, content = tmp_path / "a.fits.gz", gzip.compress(content)
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(DataError, match="fetch") as error:
        read(path)
    assert str(error.value).isprintable() and len(str(error.value)) < 200
    assert find_star(path) in (None, "KIC 757076")


@pytest.mark.parametrize("damage", range(20))
def test_a_damaged_file_is_read_or_told_in_one_line(tmp_path, damage):
    path = write_kepler(tmp_path / "a.fits")
    content = np.frombuffer(path.read_bytes(), np.uint8).copy()
    rng = np.random.default_rng(damage)
    place = rng.integers(content.size - 50)
    content[place : place + 50] = rng.integers(256, size=50)
    path.write_bytes(content.tobytes())
    find_star(path)
    try:
        said = str(read(path).flux.ndim)
    except DataError as error:
        said = str(error)
    assert said.isprintable() and len(said) < 200


def test_images_pixels_and_other_tables_are_no_light_curves(tmp_path):
    fits.PrimaryHDU(np.zeros((3, 3))).writeto(tmp_path / "image.fits")
    with pytest.raises(DataError, match="has no table with columns of time and flux: fetch"):
        read(tmp_path / "image.fits")
    pixels = fits.Column("FLUX", "6E", array=np.ones((N, 6)))
    table = fits.BinTableHDU.from_columns([fits.Column("TIME", "D", array=TIME), pixels])
    fits.HDUList([fits.PrimaryHDU(), table]).writeto(tmp_path / "pixels.fits")
    with pytest.raises(DataError, match="has pixels in the column FLUX"):
        read(tmp_path / "pixels.fits")
    path = write_fits(tmp_path / "other.fits", {}, {}, {"RA": TIME, "DEC": FLUX})
    with pytest.raises(DataError, match=r"flux, but \['RA', 'DEC'\]: fetch"):
        read(path)


def write_columns(path, *tables):
    """Write tables, each a list of `fits.Column`."""
    hdus = [fits.BinTableHDU.from_columns(columns) for columns in tables]
    fits.HDUList([fits.PrimaryHDU(), *hdus]).writeto(path)
    return path


@pytest.mark.parametrize(
    ("kind", "null", "zero", "scale"),
    [("J", -999, 0, 1), ("K", -(2**63), 0, 1), ("I", -32768, 100, 0.1), ("I", 0, 32768, 1)],
)
def test_integers_that_stand_for_no_value_are_missing(tmp_path, kind, null, zero, scale):
    stored = np.full(N, null, np.int64)
    stored[5:] = np.arange(N - 5) % 50 + 1
    column = fits.Column("FLUX", kind, array=stored.astype({"J": "i4", "K": "i8", "I": "i2"}[kind]))
    time = fits.Column("TIME", "D", array=TIME)
    path = write_columns(tmp_path / "a.fits", [time, column])
    with fits.open(path, mode="update") as hdus:
        hdus[1].header.update({"TNULL2": null, "TZERO2": zero, "TSCAL2": scale})
    flux = read(path).flux
    assert np.isnan(flux[:5]).all()
    assert np.allclose(flux[5:], stored[5:] * scale + zero, rtol=1e-6)


def test_columns_of_the_same_names_and_another_format_are_read_as_they_are(tmp_path):
    """What is known of the columns of one file is not taken for those of the next."""
    for k, form in enumerate(("E", "D", "J", "I", "K", "E")):
        flux = (FLUX + k).astype({"E": "f4", "D": "f8", "J": "i4", "I": "i2", "K": "i8"}[form])
        columns = [
            fits.Column("FLUX", form, array=flux),
            fits.Column("CADENCENO", "K", bzero=2**63, array=NUMBER.astype(np.uint64)),
            fits.Column("TIME", "D", array=TIME, unit="h" if k % 2 else "d"),
            fits.Column("QUALITY", "L", array=QUALITY > 0),
        ]
        samples = read(write_columns(tmp_path / f"{k}.fits", columns[k % 2 :] + columns[: k % 2]))
        assert np.array_equal(samples.flux, flux)
        assert np.array_equal(samples.cadence, NUMBER)  # unsigned: too large for float64 as stored
        assert np.allclose(samples.time, TIME / 24 if k % 2 else TIME, rtol=1e-14)
        assert np.array_equal(samples.flagged, QUALITY > 0)


def test_a_table_with_one_star_a_row_is_refused_unless_it_has_one_row(tmp_path):
    for n_rows, form in ((1, f"{N}D"), (1, "PD()"), (2, f"{N}D"), (2, "PD()")):
        columns = [
            fits.Column(name, form, array=np.array([values] * n_rows))
            for name, values in {"TIME": TIME, "FLUX": FLUX.astype(float)}.items()
        ]
        path = write_columns(tmp_path / f"{n_rows}{form}.fits", columns)
        if n_rows == 1:
            assert np.array_equal(read(path).flux, FLUX)
            continue
        with pytest.raises(DataError, match="has 2 rows with an array of times each, one star a"):
            read(path)
    starts_and_ends = fits.Column("TIME", "2D", array=np.column_stack([TIME, TIME]))
    path = write_columns(
        tmp_path / "a.fits", [starts_and_ends, fits.Column("FLUX", "E", array=FLUX)]
    )
    with pytest.raises(DataError, match="has pixels"):
        read(path)


def test_a_damaged_header_makes_no_warning_of_another_program(tmp_path):
    path = write_kepler(tmp_path / "a.fits")
    content = path.read_bytes()
    path.write_bytes(content.replace(b"TELESCOP=", b"TELESC\xffP=", 1))
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        assert find_star(path)
    assert seen == []


def test_more_tables_with_a_light_curve_are_told_but_not_loaded_where_they_are_usual(tmp_path):
    columns = [fits.Column("TIME", "D", array=TIME), fits.Column("FLUX", "E", array=FLUX)]
    path = write_columns(tmp_path / "a.fits", columns, columns[:1], columns)
    assert read(path).notes == ("the first of 2 tables with time and flux",)
    assert np.array_equal(read(path).flux, FLUX)
    content = path.read_bytes()
    path.write_bytes(content[: content.rindex(b"XTENSION") + 900])  # the last one is cut off
    assert np.array_equal(read(path).flux, FLUX)
    columns += [fits.Column("ARCLENGTH", "E", array=FLUX)]
    path = write_columns(tmp_path / "k2sff.fits", columns, columns)
    assert read(path).notes == ()
