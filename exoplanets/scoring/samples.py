"""One light curve as its file has it, which `own_stars` makes a star of; how columns are known."""

import re
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

# Names of columns, in order of preference: flux corrected for systematics comes before raw flux.
TIME_COLUMNS = ("TIME", "BTJD", "BKJD", "KBJD", "BJD", "HJD", "MJD", "JD", "T", "DAYS", "DAY")
FLUX_COLUMNS = (
    "FLUX", "PDCSAP_FLUX", "KSPSAP_FLUX", "DET_FLUX", "FCOR", "FLUX_CORR", "SAP_FLUX", "FLUX_RAW",
)  # fmt: skip
RAW_COLUMNS = ("SAP_FLUX", "FLUX_RAW")
# CDIPS: three apertures, of which the middle one suits most stars.
MAGNITUDE_COLUMNS = tuple(kind + aperture for kind in ("TFA", "PCA", "IRM") for aperture in "213")
CADENCE_COLUMNS = ("CADENCENO", "CADENCE", "CADN")
QUALITY_COLUMNS = ("SAP_QUALITY", "QUALITY", "MOVING")
# Words in names of columns that are not the flux itself, but its error or a part of it.
AUXILIARY = {
    "ERR", "ERROR", "E", "UNC", "UNCERT", "UNCERTAINTY", "SIGMA", "STD", "RAW", "CORR", "MODEL",
    "BKG", "BKGD", "BG", "BACKGROUND", "SKY",
}  # fmt: skip
DIFFERENCE = {"D", "DELTA"}  # likewise of flux; but "time_d" is in days, "delta_mag" is a star's
MAGNITUDE = re.compile(r"(.*_)?[A-Z]{0,4}MAG(S|NITUDES?)?(_.*)?")
UNITS_OF_TIME = {  # signs of a unit, its name, and how many of it make a day; days first
    "d|days?": ("days", 1),
    "h|hrs?|hours?": ("hours", 24),
    "min|mins|minutes?": ("minutes", 1440),
    "s|secs?|seconds?": ("seconds", 86400),
}
# What stands before a star's number in names, also of the archive's files.
CATALOGUES = {
    "KIC": "KIC[ _-]?|KPLR",
    "EPIC": "EPIC[ _-]?|KTWO|K2_(?:LIGHTCURVE|LLC)_",
    "TIC": r"TIC[ _-]?|TESS\d{13}-S\d{4}-",
}

# Flags of cadences without useful flux, as in the archive manuals of the two missions. Others,
# such as Kepler's cosmic rays, are corrected in the flux.
KEPLER_FLAGS = 1 | 2 | 4 | 8 | 32 | 256 | 16384 | 65536 | 1048576
TESS_FLAGS = 1 | 2 | 4 | 8 | 16 | 32 | 128 | 512 | 16384
EVERY_FLAG = -1

COLUMNS_ONLY = "since the first column"  # time system of a row in the Kaggle schema
UNKNOWN_SYSTEM = "as in the file"  # time system
# Bounds on one star, so that no file can fill the memory: 12 years at 20 s, and far more text than
# that many rows need.
MOST_SAMPLES = 20_000_000
MOST_BYTES = 1 << 30


class Unreadable(NamedTuple):
    """A file, or a row of one, that cannot be used; as text, the one line that says so."""

    name: str
    reason: str

    def __str__(self):
        return f"'{self.name}' {self.reason}"


@dataclass(frozen=True, eq=False)
class Samples:
    """One light curve as it was read; arrays have the shape (n_samples,)."""

    flux: np.ndarray  # in any linear unit, or magnitudes; NaN where missing
    time: np.ndarray | None = None  # days, in any order; NaN where unknown
    flagged: np.ndarray | None = None  # True where the file says that the flux must not be used
    cadence: np.ndarray | None = None  # the mission's number; float64, NaN where unknown
    row: int | str | None = None  # which star of a table this is; None if the file holds one star
    # Of `flux`: "flux" or "magnitudes" for certain, "" if only its column is called flux, and
    # "unnamed" if there is no name at all.
    kind: str = ""
    time_system: str = UNKNOWN_SYSTEM  # such as "BKJD"
    target: str = ""  # such as "KIC 757076"; "" if the file does not say
    part: str = "file"  # one of a star's files is a "quarter", "campaign", "sector" or "file"
    part_number: str = ""  # such as "3" of quarter 3; "" if the file does not say
    notes: tuple = ()  # what the user should know about how it was read


class Columns(NamedTuple):
    """Which columns of a table are read: their positions, None for those that are not there."""

    time: int | None
    flux: int | None
    quality: int | None = None
    cadence: int | None = None
    kind: str = ""
    time_system: str = UNKNOWN_SYSTEM
    flags: int = EVERY_FLAG  # bits of the quality that make a cadence useless
    notes: tuple = ()
    per_day: int = 1  # how many of the unit of time make a day

    def missing(self):
        """What there is no column of, such as "time and flux"; "" if both are there."""
        both = {"time": self.time, "flux": self.flux}
        return " and ".join(name for name, place in both.items() if place is None)

    def make_samples(self, numbers, **more):
        """`Samples` of these columns, with `more` of its attributes.

        `numbers` gives the column at a position as float64, with NaN for empty cells.
        """
        flagged = cadence = None
        if self.quality is not None:
            quality = numbers(self.quality)
            wild = np.abs(quality) >= 2.0**63  # inf too: no sum of flags, and not to be trusted
            bits = np.where(wild, 0, np.nan_to_num(quality)).astype(np.int64)
            flagged = wild | ((bits & self.flags) != 0)
        if self.cadence is not None:
            cadence = numbers(self.cadence)
        more |= {"kind": self.kind, "time_system": self.time_system, "notes": self.notes}
        time = numbers(self.time) / self.per_day
        return Samples(numbers(self.flux), time, flagged, cadence, **more)


def match_columns(headings, units=()):
    """Find time, flux, quality and cadence number among the headings of a table, as `Columns`.

    Headings are as in the file, such as "Time (BJD)"; `units` are those that it has apart.
    """
    units = [str(unit or "") for unit in units] or [""] * len(headings)
    tail = r"(?i)(?<=.)([\[({]|(?<![a-z])e-?[/_]s\b).*"  # in brackets, or "e-/s" without them
    bare = [re.sub(tail, "", heading) for heading in headings]
    names = [re.sub(r"[^A-Z0-9]+", "_", name.upper()).strip("_") for name in bare]
    words = [{*name.split("_"), name.removesuffix("FLUX")} for name in names]  # BGFLUX is BG
    main = [i for i in range(len(names)) if not words[i] & AUXILIARY]

    def first(wanted):
        return next((names.index(name) for name in wanted if name in names), None)

    time, flux, kind = first(TIME_COLUMNS), first(FLUX_COLUMNS), ""
    if time is None:
        time = next((i for i in main if words[i] & set(TIME_COLUMNS[:8])), None)
    if flux is None:
        own = (i for i in main if not words[i] & DIFFERENCE)
        flux = next((i for i in own if names[i].endswith("FLUX") or "FLUX" in words[i]), None)
    elif names[flux] != "FLUX":
        kind = "flux"  # a name of the missions' own pipelines
    if flux is None:
        flux = first(MAGNITUDE_COLUMNS)
        if flux is None:
            flux = next((i for i in main if MAGNITUDE.fullmatch(names[i])), None)
        kind = "magnitudes"
    elif re.search(r"\bmag(s|nitudes?)?\b", f"{headings[flux]} {units[flux]}".lower()):
        kind = "magnitudes"
    usual = flux is None or (names[flux] in FLUX_COLUMNS and names[flux] not in RAW_COLUMNS)
    notes = () if usual else (f"flux from the column {headings[flux].strip()}",)
    time_text = "" if time is None else f"{headings[time]} {units[time]}"
    unit, per_day = find_time_unit(time_text)
    notes += () if per_day == 1 else (f"time given in {unit}",)
    quality = first(QUALITY_COLUMNS)
    return Columns(
        time,
        flux,
        quality,
        first(CADENCE_COLUMNS),
        kind,
        name_time_system(time_text),
        KEPLER_FLAGS if quality is not None and names[quality] == "SAP_QUALITY" else EVERY_FLAG,
        notes,
        per_day,
    )


def find_time_unit(text):
    """The unit of time that a heading and a unit tell, and how many of it make a day."""
    text = text.lower().replace("_", " ")
    for signs, unit in UNITS_OF_TIME.items():
        # Not "30 min", which is an exposure.
        if re.search(rf"(?<![\w'])(?<!\d )({signs})(?![\w'])", text):
            return unit
    return "days", 1


def name_time_system(text):
    """The time system that a heading or a unit tells, such as "BKJD", or `UNKNOWN_SYSTEM`."""
    text = text.upper()
    for system, signs in {"BKJD": "2454833|BKJD|KBJD", "BTJD": "2457000|BTJD"}.items():
        if re.search(signs, text):
            return system
    match = re.search(r"(?<![A-Z])[BHM]?JD(?![A-Z])(\s*-\s*[\d.]+)?", text)
    return match[0] if match else UNKNOWN_SYSTEM


def show_name(name):
    """A name on one line, with escapes for what is no character or cannot be seen.

    A backslash is doubled, so that different names stay different.
    """
    return show_text(str(name).replace("\\", "\\\\"))


def show_text(text):
    """A text on one line, with escapes for what is no character or cannot be seen."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in str(text))


def name_target(header):
    """The star that the archive's keywords in a header tell, such as "KIC 757076", or ""."""
    for keyword, catalogue in {"KEPLERID": "KIC", "TICID": "TIC"}.items():
        number = str(header.get(keyword, "")).partition("/")[0].strip()
        if number.isdigit():  # K2's stars have their numbers, above 200 million, in KEPLERID too
            in_k2 = keyword == "KEPLERID" and int(number) > 200_000_000
            return f"{'EPIC' if in_k2 else catalogue} {int(number)}"
    return find_target(str(header.get("OBJECT", "")))


def find_target(text):
    """The star that a name of a star or of a file tells, such as "EPIC 201912552", or ""."""
    for catalogue, sign in CATALOGUES.items():
        if match := re.search(rf"(?<![A-Z])(?:{sign})0*([1-9]\d*)", text.upper()):
            return f"{catalogue} {match[1]}"
    return ""
