"""The stars made ready once for steps 2 and 3: on true time, and equalised.

Step 2 computes, step 3 takes what step 2 kept in `equalised.npz`, if it belongs to the same stars
and to this version of the code.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from exoplanets.dependencies import digest_code
from exoplanets.files import DataError, say
from exoplanets.lightcurves.campaign import Campaign, learn_campaign
from exoplanets.lightcurves.clock import Alignment, Clock, find_clock
from exoplanets.lightcurves.equalise import equalise_table
from exoplanets.sources.copies import read_copy, write_copy
from exoplanets.stars import TABLES, Stars

FILE = "equalised.npz"
MOSTLY_MISSING = 0.5  # a star with a larger share of missing values is left out of everything


@dataclass(frozen=True)
class Prepared:
    """Stars that can be used, ready for the audit and the split."""

    stars: Stars  # with `curves`, in the order of the files
    campaign: Campaign  # learnt on the training table, without its labels
    clock: Clock  # what tells that its time is the true one
    left_out: list  # of str: the stars that cannot be used, and why

    def describe(self):
        """Lines for the console: the clock, and what was left out."""
        n_crowded = np.count_nonzero(self.campaign.missing & ~self.clock.missing)
        return [
            describe_clock(self.clock),
            f"equalised: {len(self.stars)} stars, {self.stars.curves.shape[1]} cadences each, "
            f"{len(self.campaign.modes)} modes that all stars share taken out, and {n_crowded} "
            "cadences at which many stars dim or brighten at once",
            *(f"  left out: {line}" for line in self.left_out),
        ]


def describe_clock(clock):
    """One line: how the clock was found, and how well it holds."""
    if clock.alignment is None:
        return (
            f"clock: none found (of {clock.n_filled} filled rows too few agree, or no other rows "
            "follow their noise): a star's columns count as its cadences"
        )
    by_column, by_clock = (np.median(each) for each in clock.alignment[:2])
    return (
        f"clock: {clock.n_agreeing} of {clock.n_filled} filled rows agree on {clock.lost.sum()} "
        "lost cadences; the noise of the other rows follows theirs with a correlation of "
        f"{by_column:.2f} by column and of {by_clock:.2f} on the clock"
    )


def prepare(stars, provenance, data_dir):
    """Equalise all stars, or read what an earlier step kept: a `Prepared`.

    Stars and provenance are those of both tables (see `kaggle.load`); the result is kept in
    `data_dir` for later steps. DataError if one class has no star that can be used.
    """
    path = Path(data_dir) / FILE
    identity = [digest_code(__file__), *(provenance[name]["sha256"] for name in TABLES)]
    found = read_copy(path, identity, lambda *content: _unpack(stars, *content))
    if found is None:
        say(f"equalising {len(stars)} stars ...")
        arrays, left_out = _equalise(stars)
        note = {"identity": identity, "left_out": left_out}
        write_copy(path, arrays, note)
        return _unpack(stars, arrays, note)
    say(f"taking the equalised stars from '{path}'")
    return found


def _equalise(stars):
    """Arrays of the stars that can be used (`curves`, `rows`, `_pack`), and why others cannot."""
    share = np.mean(np.isnan(stars.flux), axis=1)
    is_whole = share <= MOSTLY_MISSING
    names = stars.names
    reasons = {
        int(row): f"{names[row]}: {share[row]:.0%} of its values are missing"
        for row in np.flatnonzero(~is_whole)
    }
    chosen, whole = stars.select(is_whole), np.flatnonzero(is_whole)
    _check_classes(chosen, reasons)
    train = chosen.flux[: np.sum(chosen.table == "train")]  # it comes first
    try:
        clock = find_clock(train)
        campaign = learn_campaign(train, clock)
        curves, rows, dropped = equalise_table(chosen.flux, campaign)
    except ValueError as error:  # the light curves are too short
        raise DataError(str(error)) from error
    reasons |= {int(whole[row]): f"{names[whole[row]]}: {reason}" for row, reason in dropped}
    _check_classes(chosen.select(rows), reasons)
    left_out = [reasons[row] for row in sorted(reasons)]
    return {"curves": curves, "rows": whole[rows], **_pack(campaign, clock)}, left_out


def _pack(campaign, clock):
    """Campaign and clock as plain arrays."""
    arrays = {f"campaign_{name}": array for name, array in campaign.to_arrays().items()}
    arrays["clock_rows"] = np.array([clock.n_filled, clock.n_agreeing])
    arrays["clock_missing"] = clock.missing
    if clock.alignment is not None:
        arrays |= {f"alignment_{name}": a for name, a in clock.alignment._asdict().items()}
    return arrays


def _unpack(stars, arrays, note):
    """What `_equalise` found of some stars: a `Prepared`; an error if that cannot be right."""

    def take(prefix):
        names = [name for name in arrays if name.startswith(prefix)]
        return {name.removeprefix(prefix): arrays[name] for name in names}

    rows, curves = arrays["rows"], arrays["curves"]
    campaign, alignment = Campaign.from_arrays(take("campaign_")), take("alignment_")
    n_cadences = stars.flux.shape[1]
    if campaign.n_cadences != n_cadences or curves.shape != (len(rows), n_cadences):
        raise ValueError("curves of another length")
    if curves.dtype != np.float32 or not np.isfinite(curves).all():
        raise ValueError("curves that are no numbers")
    if not (np.diff(rows) > 0).all() or not all(isinstance(line, str) for line in note["left_out"]):
        raise ValueError("rows in another order")
    n_filled, n_agreeing = map(int, arrays["clock_rows"])
    missing = arrays["clock_missing"]
    if missing.shape != (n_cadences,) or missing.dtype != bool:
        raise ValueError("a clock of another length")
    alignment = Alignment(**alignment) if alignment else None
    if alignment and (alignment.profiles.shape != (3, n_cadences) or alignment.by_clock.ndim != 1):
        raise ValueError("profiles of another length")
    usable = stars.select(np.isin(np.arange(len(stars)), rows)).replace(curves=curves)
    return Prepared(
        usable,
        campaign,
        Clock(campaign.lost, missing, n_filled, n_agreeing, alignment),
        note["left_out"],
    )


def _check_classes(stars, reasons):
    """Refuse tables of which a class has no star that can be used; `reasons` say why, by row."""
    for table in TABLES:
        for label, name in ((True, "host"), (False, "non-host")):
            if not np.any((stars.table == table) & (stars.is_host == label)):
                raise DataError(
                    f"no {name} of the {table} table can be used; the first star left out is "
                    f"{reasons[min(reasons)]}"
                )
