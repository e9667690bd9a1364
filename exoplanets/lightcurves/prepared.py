"""The stars made ready once for steps 2 and 3: on true time, equalised, judged by the outlier rule.

Step 2 computes, step 3 takes what step 2 kept in `equalised.npz`, if it belongs to the same stars
and to this version of the code.
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from exoplanets.files import DataError, say
from exoplanets.lightcurves.campaign import Campaign, learn_campaign
from exoplanets.lightcurves.clock import Alignment, Clock, find_clock
from exoplanets.lightcurves.equalise import equalise_table
from exoplanets.lightcurves.outliers import OutlierRule
from exoplanets.sources.copies import read_copy, write_copy
from exoplanets.stars import TABLES, Stars

FILE = "equalised.npz"
MOSTLY_MISSING = 0.5  # a star with a larger share of missing values is left out of everything


@dataclass(frozen=True)
class Prepared:
    """Stars that can be used, ready for the audit and the split."""

    stars: Stars  # with `curves`, in the order of the files
    is_outlier: np.ndarray  # (n_stars,), bool: training stars that `rule` flags
    rule: OutlierRule
    campaign: Campaign  # learnt on the training table, without its labels
    clock: Clock  # what tells that its time is the true one
    left_out: list  # of str: the stars that cannot be used, and why

    def describe(self):
        """Lines for the console: the clock, what was left out, and the outliers by name."""
        n_stars = int(np.sum(self.stars.table == "train"))
        n_crowded = np.count_nonzero(self.campaign.missing & ~self.clock.missing)
        outliers = self.stars.select(self.is_outlier)
        return [
            describe_clock(self.clock),
            f"equalised: {len(self.stars)} stars, {self.stars.curves.shape[1]} cadences each, "
            f"{len(self.campaign.modes)} modes that all stars share taken out, and {n_crowded} "
            "cadences at which many stars dim or brighten at once",
            *(f"  left out: {line}" for line in self.left_out),
            f"outlier stars (at least {self.rule.min_cadences} values more than "
            f"{self.rule.sigmas:g} standard deviations from their cadence's mean over stars): "
            f"{len(outliers)}",
            *(
                f"  {name} ({'host' if is_host else 'non-host'})"
                for name, is_host in zip(outliers.names, outliers.is_host, strict=True)
            ),
            f"  {self.rule.describe_reach(n_stars)}",
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


def prepare(stars, provenance, data_dir, sigmas=None, min_cadences=None, *, decide=False):
    """Equalise all stars and find the outliers among the training stars, or read what was kept.

    Stars and provenance are those of both tables (see `kaggle.load`); the result, `Prepared`, is
    kept in `data_dir` for later steps. Of the `OutlierRule`, what is None is as it was kept, or
    else the published study's; with `decide` this rule is kept even if another was kept before.
    DataError if one class has no star that can be used.
    """
    path = Path(data_dir) / FILE
    key = _digest_inputs(provenance)
    arrays, note = read_copy(path, lambda note: note["key"] == key)
    kept_rule = None
    if arrays is None:
        say(f"equalising {len(stars)} stars ...")
        arrays, left_out = _equalise(stars)
        note = {"key": key, "left_out": left_out}
    else:
        say(f"taking the equalised stars from '{path}'")
        kept_rule = OutlierRule(*note["rule"])
    is_usable = np.isin(np.arange(len(stars)), arrays["rows"])
    usable = stars.select(is_usable).replace(curves=arrays["curves"])
    _check_classes(usable, note["left_out"])

    asked = {"sigmas": sigmas, "min_cadences": min_cadences}
    asked = {name: value for name, value in asked.items() if value is not None}
    rule = (kept_rule or OutlierRule())._replace(**asked)
    if rule != kept_rule:
        train = usable.table == "train"
        arrays["is_outlier"] = np.zeros(len(usable), bool)
        arrays["is_outlier"][train] = rule.find(usable.flux[train])
        if decide or kept_rule is None:
            try:
                write_copy(path, arrays, {**note, "rule": rule})
            except OSError as error:  # a read-only or full directory
                say(f"'{path}' cannot be kept for the next step ({error.strerror or error})")
        else:
            say("the outlier rule asked for differs from that of step 2")
    campaign, clock = _unpack(arrays)
    return Prepared(usable, arrays["is_outlier"], rule, campaign, clock, note["left_out"])


def _digest_inputs(provenance):
    """What the result depends on: the content of both tables, and the code of this layer."""
    content = [provenance[name]["sha256"].encode() for name in TABLES]
    content += [path.read_bytes() for path in sorted(Path(__file__).parent.glob("*.py"))]
    return hashlib.sha256(b"".join(content)).hexdigest()


def _equalise(stars):
    """Arrays of the stars that can be used (`curves`, `rows`, `_pack`), and why others cannot."""
    share = np.mean(np.isnan(stars.flux), axis=1)
    reasons = {
        int(row): f"{share[row]:.0%} of its values are missing"
        for row in np.flatnonzero(share > MOSTLY_MISSING)
    }
    whole = np.flatnonzero(share <= MOSTLY_MISSING)
    chosen = stars.select(share <= MOSTLY_MISSING)
    train = chosen.flux[: np.sum(chosen.table == "train")]  # it comes first
    try:
        clock = find_clock(train)
        campaign = learn_campaign(train, clock)
        curves, rows, dropped = equalise_table(chosen.flux, campaign)
    except ValueError as error:  # the light curves are too short
        raise DataError(str(error)) from error
    reasons |= {int(whole[row]): reason for row, reason in dropped}
    names = stars.names
    left_out = [f"{names[row]}: {reasons[row]}" for row in sorted(reasons)]
    return {"curves": curves, "rows": whole[rows], **_pack(campaign, clock)}, left_out


def _pack(campaign, clock):
    """Campaign and clock as plain arrays."""
    arrays = {f"campaign_{name}": array for name, array in campaign.to_arrays().items()}
    arrays["clock_rows"] = np.array([clock.n_filled, clock.n_agreeing])
    arrays["clock_missing"] = clock.missing
    if clock.alignment is not None:
        arrays |= {f"alignment_{name}": a for name, a in clock.alignment._asdict().items()}
    return arrays


def _unpack(arrays):
    """What `_pack` packed."""

    def take(prefix):
        names = [name for name in arrays if name.startswith(prefix)]
        return {name.removeprefix(prefix): arrays[name] for name in names}

    campaign, alignment = Campaign.from_arrays(take("campaign_")), take("alignment_")
    rows = (int(n) for n in arrays["clock_rows"])
    alignment = Alignment(**alignment) if alignment else None
    return campaign, Clock(campaign.lost, arrays["clock_missing"], *rows, alignment)


def _check_classes(stars, left_out):
    """Refuse tables of which a class has no star that can be used."""
    for table in TABLES:
        for label, name in ((True, "host"), (False, "non-host")):
            if not np.any((stars.table == table) & (stars.is_host == label)):
                raise DataError(
                    f"no {name} of the {table} table can be used; the first star left out is "
                    f"{left_out[0]}"
                )
