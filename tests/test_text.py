"""scoring/text.py: columns of time and flux, however they are separated, named or commented."""

import numpy as np
import pytest
from astropy.table import Table

from exoplanets.files import DataError
from exoplanets.scoring import text
from exoplanets.scoring.samples import match_columns
from exoplanets.scoring.text import read_text

N = 20
TIME = 2454833.123456789 + np.arange(N) / 48
FLUX = np.random.default_rng(0).normal(1e4, 1, N)


def write(path, head, columns=(TIME, FLUX), between=",", decimal="."):
    """Write columns of numbers below some lines, NaN as an empty cell."""
    rows = np.array(columns).T.tolist()
    cells = [["" if x != x else repr(x).replace(".", decimal) for x in row] for row in rows]
    path.write_text(head + "".join(between.join(row) + "\n" for row in cells))
    return path


def read(path):
    (samples,) = read_text(path)
    return samples


ERRORS = np.full(N, 0.5)
LAYOUTS = {  # what stands above the rows, columns, what is between them; and the time system
    "comma": ("time,flux\n", (TIME, FLUX), ",", "as in the file"),
    "mission": ("BJD,PDCSAP_FLUX\n", (TIME, FLUX), ",", "BJD"),
    "case": ("Btjd,Sap_Flux\n", (TIME, FLUX), ",", "BTJD"),
    "units": ("Time (BJD),Flux (e-/s)\n", (TIME, FLUX), ",", "BJD"),
    "unit line": ("Time,Flux\nBJD - 2454833,e-/s\n", (TIME, FLUX), ",", "BKJD"),
    "title with a number": (
        "Light curve of KIC 8462852\ntime,flux\n",
        (TIME, FLUX),
        ",",
        "as in the file",
    ),
    "names with a number": (
        "BJD - 2457000 Flux Err Sky\n",
        (TIME, FLUX, ERRORS, ERRORS),
        "   ",
        "BTJD",
    ),
    "names of words": (
        "BJD-2457000  normalised flux  err\n",
        (TIME, FLUX, ERRORS),
        " ",
        "BTJD",
    ),
    "title": ("My star\nTime (HJD),Flux\n", (TIME, FLUX), ",", "HJD"),
    "quoted": ('"TIME","FLUX"\n', (TIME, FLUX), ",", "as in the file"),
    "comment names": ("# made by hand\n# time,flux\n", (TIME, FLUX), ",", "as in the file"),
    "other names": ("# BKJD  Flux\n", (TIME, FLUX), ",", "BKJD"),
    "no names": ("", (TIME, FLUX), ",", "as in the file"),
    "no names, comment": ("# by hand, in 2024\n\n", (TIME, FLUX), ",", "as in the file"),
    "errors": ("", (TIME, FLUX, ERRORS), ",", "as in the file"),
    "blanks": ("time flux\n", (TIME, FLUX), "   ", "as in the file"),
    "blanks and units": ("# Time (BJD)  Flux (e-/s)  Err\n", (TIME, FLUX, ERRORS), " ", "BJD"),
    "blanks, no names": ("", (TIME, FLUX, ERRORS), " ", "as in the file"),
    "tabs": ("Time [MJD]\tFlux\n", (TIME, FLUX), "\t", "MJD"),
    "semicolons": ("Time;Flux\n", (TIME, FLUX), ";", "as in the file"),
    "byte order mark": ("\ufefftime,flux\n", (TIME, FLUX), ",", "as in the file"),
    "bare mark": ("\ufeff", (TIME, FLUX), ",", "as in the file"),
    "K2SFF": ("BJD - 2454833,Corrected Flux\n", (TIME, FLUX), " , ", "BKJD"),
    "ecsv": (
        "# %ECSV 1.0\n# ---\n# datatype:\n# - {name: time, datatype: float64}\ntime flux\n",
        (TIME, FLUX),
        " ",
        "as in the file",
    ),
    "order": ("flux_err,flux,date,time\n", (ERRORS, FLUX, ERRORS, TIME), ",", "as in the file"),
    "preferred": (
        "time,sap_flux,pdcsap_flux,timecorr\n",
        (TIME, ERRORS, FLUX, ERRORS),
        ",",
        "as in the file",
    ),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_is_read_back_exactly(tmp_path, layout):
    head, columns, between, system = LAYOUTS[layout]
    samples = read(write(tmp_path / "star.txt", head, columns, between))
    assert np.array_equal(samples.flux, FLUX) and np.array_equal(samples.time, TIME)
    assert samples.flux.dtype == samples.time.dtype == np.float64
    assert samples.time_system == system
    kinds = dict.fromkeys(("mission", "case", "preferred"), "flux")
    bare = ("no names", "no names, comment", "errors", "blanks, no names", "bare mark")
    assert samples.kind == (kinds | dict.fromkeys(bare, "unnamed")).get(layout, "")


def test_decimal_commas(tmp_path):
    for head in ("Time (BKJD);Flux\n", ""):
        path = write(tmp_path / "a.csv", head, (TIME, FLUX), ";", decimal=",")
        samples = read(path)
        assert np.array_equal(samples.flux, FLUX) and np.array_equal(samples.time, TIME)


def test_decimal_commas_after_a_row_of_whole_numbers(tmp_path):
    (tmp_path / "a.csv").write_text("Time;Flux\n100;1\n100,02043;0,998\n")
    assert read(tmp_path / "a.csv").time.tolist() == [100, 100.02043]
    (tmp_path / "a.csv").write_text("time;flux;notes\n1.5;2;\n2.5;3;good, by eye\n")
    assert read(tmp_path / "a.csv").time.tolist() == [1.5, 2.5]


def test_missing_values_comments_and_foreign_letters(tmp_path):
    rows = ["# K\u00f6nigsberg", "time flux", "", "1.0 5 # good", "2.0 -- ", "# 3.0 9", "4.0 nan"]
    for encoding in ("utf-8", "latin-1"):
        (tmp_path / "a.dat").write_text("\r\n".join(rows), encoding=encoding)
        samples = read(tmp_path / "a.dat")
        assert samples.time.tolist() == [1, 2, 4]
        assert np.array_equal(samples.flux, [5, np.nan, np.nan], equal_nan=True)


def test_rows_may_have_more_words_than_numbers(tmp_path):
    head = "JD,Magnitude,Band,Observer,Comparison,Chart\n"
    (tmp_path / "a.csv").write_text(head + "1.5,11,V,me,C1,X\n2.5,12,V,me,C1,X\n")
    assert read(tmp_path / "a.csv").flux.tolist() == [11, 12]


def test_comments_after_a_percent_sign(tmp_path):
    head = "% KIC 8462852, 2 columns\n% flux time\n"
    rows = "\n5 1 % good\n% 6 2\n7 3 % good\n8 4\n9 5\n% the end\n"
    (tmp_path / "a.txt").write_text(head + rows)
    samples = read(tmp_path / "a.txt")
    assert samples.time.tolist() == [1, 3, 4, 5] and samples.flux.tolist() == [5, 7, 8, 9]
    (tmp_path / "a.txt").write_text("time,flux (%)\n1,5\n# 2,6\n3,7\n")
    assert read(tmp_path / "a.txt").time.tolist() == [1, 3]


def test_a_comment_among_the_rows_names_nothing(tmp_path):
    (tmp_path / "a.dat").write_text("# by hand\n1 5\n# flux time\n2 6\n")
    assert read(tmp_path / "a.dat").time.tolist() == [1, 2]


def test_quality_and_cadence_numbers(tmp_path):
    quality = np.zeros(N)
    quality[[3, 9]] = 1, 8192  # the second is a cosmic ray elsewhere: good data
    columns = (TIME, FLUX, quality, np.arange(N) + 70.0)
    path = write(tmp_path / "a.csv", "time,flux,sap_quality,cadenceno\n", columns)
    assert np.flatnonzero(read(path).flagged).tolist() == [3]
    assert read(path).cadence.tolist() == list(range(70, 70 + N))
    path = write(tmp_path / "a.csv", "time,flux,quality,cadence\n", columns)
    assert np.flatnonzero(read(path).flagged).tolist() == [3, 9]  # flags of whatever meaning


def test_a_quality_that_is_no_sum_of_flags_is_a_flag(tmp_path):
    quality = np.zeros(N)
    quality[[2, 5, 7, 8]] = np.inf, -np.inf, 1e300, np.nan
    path = write(tmp_path / "a.csv", "time,flux,sap_quality\n", (TIME, FLUX, quality))
    assert np.flatnonzero(read(path).flagged).tolist() == [2, 5, 7]


@pytest.mark.parametrize(
    ("heading", "kind", "note"),
    [
        ("mag", "magnitudes", "flux from the column mag"),
        ("KEPMAG", "magnitudes", "flux from the column KEPMAG"),
        ("T_magnitude", "magnitudes", "flux from the column T_magnitude"),
        ("Flux (mag)", "magnitudes", ""),
        ("magnesium_flux", "", "flux from the column magnesium_flux"),
        ("detrended flux", "", "flux from the column detrended flux"),
        ("FCOR", "flux", ""),
    ],
)
def test_magnitudes_are_known_by_their_names(tmp_path, heading, kind, note):
    samples = read(write(tmp_path / "a.csv", f"time,mag_err,{heading}\n", (TIME, ERRORS, FLUX)))
    assert np.array_equal(samples.flux, FLUX)
    assert samples.kind == kind and samples.notes == ((note,) if note else ())


def test_flux_is_preferred_to_magnitudes():
    columns = match_columns(["JD", "Tmag", "rel_flux", "quality"])
    assert columns[:4] == (0, 2, 3, None) and columns.kind == ""
    assert match_columns(["time", "mag_err", "flux_err"]).missing() == "flux"
    assert match_columns(["a", "b"]).missing() == "time and flux"
    assert match_columns(["time", "y"], ["d", "mag"]).missing() == "flux"
    assert match_columns(["time", "flux"], ["BJD", "mag"]).kind == "magnitudes"


@pytest.mark.parametrize(
    "other",
    ["background flux", "sky_flux", "e_flux", "delta flux", "D Flux", "flux_uncertainty",
     "Flux uncert", "bg_flux", "BKGD_FLUX", "flux_e", "BGFLUX", "eflux"],
)  # fmt: skip
def test_errors_and_backgrounds_are_no_flux(other):
    assert match_columns(["time", other, "star flux"]).flux == 2
    assert match_columns(["time", other]).missing() == "flux"


def test_days_and_differential_magnitudes_are_no_errors():
    assert match_columns(["time_d", "flux"])[:2] == (0, 1)
    assert match_columns(["e_mag", "delta_mag", "JD"])[:2] == (2, 1)
    for heading in ("flux e-/s", "Flux_e_s", "star flux e/s"):
        assert match_columns(["time", heading]).flux == 1


@pytest.mark.parametrize(
    ("head", "per_day", "unit"),
    [
        ("time (hours),flux\n", 24, "hours"),
        ("Time [hr],flux\n", 24, "hours"),
        ("time_hours,flux\n", 24, "hours"),
        ("# made by hand\n# time[h],flux\n", 24, "hours"),
        ("time,flux\nmin,e-/s\n", 1440, "minutes"),
        ("Time (minutes since 2020),flux\n", 1440, "minutes"),
        ("TIME(s),flux\n", 86400, "seconds"),
        ("BTJD (sec),flux\n", 86400, "seconds"),
    ],
)
def test_times_in_other_units_become_days(tmp_path, head, per_day, unit):
    samples = read(write(tmp_path / "a.csv", head, (TIME * per_day, FLUX)))
    assert np.allclose(samples.time, TIME, rtol=1e-14)
    assert samples.notes == (f"time given in {unit}",)


@pytest.mark.parametrize(
    ("heading", "unit"),
    [
        ("time", ""), ("time", "d"), ("time_d", ""), ("Time (days)", ""), ("JD", ""),
        ("TIME", "BJD - 2454833, days"), ("BJD", "day"), ("HJD (30 min exposures)", ""),
        ("time", "fortnights"), ("star's time", ""), ("T", "BJD"), ("BJD_TDB", ""), ("MJD [m]", ""),
        ("Time (days, not hours)", ""),
    ],
)  # fmt: skip
def test_days_and_unknown_units_are_days(heading, unit):
    columns = match_columns([heading, "flux"], [unit, ""])
    assert (columns.time, columns.per_day, columns.notes) == (0, 1, ())


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("a,b\n1,2\n", "no column of time and flux: its first line begins 'a,b'"),
        ("time,b\n1,2\n", "no column of flux:"),
        ("b,flux\n1,2\n", "no column of time:"),
        ("<html>\n<p>Sign in", "its first line begins '<html>'"),
        ("time,flux\n1.0,bright\n", "'bright'): correct it, or empty it if the value is missing"),
        ("time,flux\n1.0,2\n2.0,1 2\n", "no number"),
        ("time,flux\n", "no rows that can be read"),
        ("# a comment\n", "no lines but comments"),
        ('1,2\n"1,2\n', "no rows that can be read"),
        ("1\n2\n", "rows of 1 values and no names"),
        ("1 2 3 4\n", "rows of 4 values and no names"),
        ("\\KEPLERID = 5\n 1 2 3\n", "is no IPAC table"),
        ("| TIME| FLUX|\n| double| char|\n  1.0    a b\n", "has text in the column FLUX"),
        ("| TIME|  MAGIC|\n| double|   int|\n    1.0      2\n", "no column of flux"),
    ],
)
def test_what_cannot_be_read_is_told_in_one_line(tmp_path, content, words):
    (tmp_path / "a.tbl").write_text(content)
    with pytest.raises(DataError) as error:
        read(tmp_path / "a.tbl")
    assert words in str(error.value)
    assert str(error.value).isprintable() and len(str(error.value)) < 200


def test_an_endless_line_is_refused_before_it_fills_the_memory(tmp_path, monkeypatch):
    monkeypatch.setattr(text, "LONGEST_LINE", 1 << 20)
    (tmp_path / "a.txt").write_text("time" * (1 << 20))
    with pytest.raises(DataError, match="a line, or comments, of over 1 MB"):
        read(tmp_path / "a.txt")


def test_endless_comments_are_refused_at_once(tmp_path):
    (tmp_path / "a.txt").write_text("#\n" * (text.MOST_COMMENTS + 2) + "1 2\n")
    with pytest.raises(DataError, match="comments, of over 16 MB or 100000 lines: fetch"):
        read(tmp_path / "a.txt")


def test_an_ipac_table_as_the_archive_has_them(tmp_path):
    flux = np.where(np.arange(N) == 4, np.nan, FLUX)
    columns = {"TIME": TIME, "CADENCENO": np.arange(N) + 9, "SAP_FLUX": FLUX, "PDCSAP_FLUX": flux}
    table = Table(columns | {"SAP_QUALITY": (np.arange(N) == 2) * 4, "NAME": ["a"] * N})
    table["TIME"].unit = "BJD - 2454833"
    table.meta["keywords"] = {"KEPLERID": {"value": 757076}, "TELESCOP": {"value": "Kepler"}}
    table.write(tmp_path / "a.tbl", format="ascii.ipac")
    samples = read(tmp_path / "a.tbl")
    assert np.array_equal(samples.flux, flux, equal_nan=True)
    assert np.array_equal(samples.time, TIME)
    assert samples.cadence.tolist() == list(range(9, 9 + N))
    assert np.flatnonzero(samples.flagged).tolist() == [2]
    assert samples.target == "KIC 757076" and samples.time_system == "BKJD"
    table["TIME"] *= 24
    table["TIME"].unit = "hr"
    table.write(tmp_path / "a.tbl", format="ascii.ipac", overwrite=True)
    samples = read(tmp_path / "a.tbl")
    assert np.allclose(samples.time, TIME, rtol=1e-14) and samples.notes == ("time given in hours",)


def test_cdips_as_text_is_read_as_magnitudes(tmp_path):
    rows = "".join(f"{2458000 + k / 48} 9 {12 + k % 7 / 1000} 9 9\n" for k in range(600))
    (tmp_path / "a.txt").write_text("# TMID_BJD IRM1 TFA2 TFA1 BGV\n" + rows)
    samples = read(tmp_path / "a.txt")
    assert np.allclose(samples.flux, 12 + np.arange(600) % 7 / 1000)
    assert (samples.kind, samples.time_system) == ("magnitudes", "BJD")
