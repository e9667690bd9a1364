"""The file of scores: what it holds after a run, after a kill, and beside other files."""

import csv
import errno
import io
import os
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from conftest import ROOT

from exoplanets.classifiers.verdict import PLANET
from exoplanets.files import DataError
from exoplanets.scoring import score_file
from exoplanets.scoring.result import DIGITS, Result
from exoplanets.scoring.score_file import COLUMNS, open_scores


def make_row(light_curve, name=None, score=0.5, network="net", campaign="", **numbers):
    result = Result(
        name=name or light_curve,
        score=score,
        called=True,
        threshold=0.123456789012,
        verdict=PLANET,
        n_cadences=3000,
        network=network,
        campaign=campaign,
        light_curve=light_curve,
        **numbers,
    )
    return result, True


def write(path, *rows, network="net", campaign=""):
    """One run that writes some rows; returns what it knew before."""
    with open_scores(path, network, campaign) as scores:
        known = dict(scores.known)
        scores.write(rows)
    return known


def write_and_die(path, *rows):
    """A run that ends in the middle, as one that is killed does."""
    with open_scores(path, "net", "") as scores:
        scores.write(rows)
        raise ZeroDivisionError


def read(path):
    with open(path, newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def test_the_file_holds_the_stars_of_this_run_in_their_order(tmp_path):
    path = tmp_path / "scores.csv"
    assert write(path, make_row("b"), make_row("a")) == {}
    assert [row["name"] for row in read(path)] == ["b", "a"]
    assert set(write(path, make_row("c"), make_row("a"))) == {"a", "b"}
    assert [row["name"] for row in read(path)] == ["c", "a"]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["scores.csv", "scores.previous.csv"]


def test_stars_not_asked_for_again_are_kept_beside_it(tmp_path, capsys):
    path = tmp_path / "scores.csv"
    write(path, make_row("a"), make_row("b"))
    before = path.read_bytes()
    write(path, make_row("a"), make_row("b"), make_row("c"))
    assert not (tmp_path / "scores.previous.csv").exists()  # nothing would be lost
    before = path.read_bytes()
    capsys.readouterr()
    write(path, make_row("b"))
    assert (tmp_path / "scores.previous.csv").read_bytes() == before
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and "2 rows of " in said and "not asked for now" in said
    assert "scores.previous.csv" in said


def test_a_run_that_writes_no_row_changes_nothing(tmp_path):
    path = tmp_path / "scores.csv"
    write(path, make_row("a"))
    before = path.read_bytes()
    write(path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]
    write(tmp_path / "other.csv")
    assert list(tmp_path.iterdir()) == [path]


def test_only_rows_of_the_same_network_and_campaign_are_known(tmp_path):
    path = tmp_path / "scores.csv"
    write(path, make_row("a", score=0.25))
    assert write(path, network="other") == {}
    assert write(path, campaign="other") == {}
    known = write(path)
    assert known["a"].score == 0.25


@pytest.mark.parametrize("n_cut", [0, 1, 5, 30, 45, 55])
def test_what_a_killed_run_measured_is_known_but_for_a_cut_row(tmp_path, n_cut):
    path, unfinished = tmp_path / "scores.csv", tmp_path / "scores.unfinished.csv"
    last = make_row("b", name="b\nin two lines, with a comma")
    with pytest.raises(ZeroDivisionError):
        write_and_die(path, make_row("a"), last)
    assert not path.exists()
    content = unfinished.read_bytes()
    unfinished.write_bytes(content[: len(content) - n_cut])
    known = write(path, make_row("a"), last, make_row("c"))
    assert set(known) == ({"a"} if n_cut else {"a", "b"})
    assert [row["name"] for row in read(path)] == ["a", last[0].name, "c"]
    assert list(tmp_path.iterdir()) == [path]


def test_a_cut_row_is_not_joined_to_the_next(tmp_path):
    path, unfinished = tmp_path / "scores.csv", tmp_path / "scores.unfinished.csv"
    for rows in ([make_row("a"), make_row("b")], [make_row("c")]):
        with pytest.raises(ZeroDivisionError):
            write_and_die(path, *rows)
        unfinished.write_bytes(unfinished.read_bytes()[:-3])
    assert set(write(path)) == {"a"}


@pytest.mark.parametrize("end", [0, 3, len(score_file.HEADER)])
def test_a_run_killed_in_its_header_is_gone_on_with(tmp_path, end):
    (tmp_path / "scores.unfinished.csv").write_bytes(score_file.HEADER[:end])
    write(tmp_path / "scores.csv", make_row("a"))
    assert [row["name"] for row in read(tmp_path / "scores.csv")] == ["a"]


@pytest.mark.parametrize("which", ["scores.csv", "scores.unfinished.csv", "scores.previous.csv"])
@pytest.mark.parametrize(
    "content", [b"a,b\n1,2", b"PK\x03\x04", b"SIMPLE  =", b"\x00", b"name\n", b"name"]
)
def test_a_file_of_another_kind_is_refused_untouched(tmp_path, which, content):
    if (which, content) == ("scores.unfinished.csv", b"name"):
        pytest.skip("a killed run may have left that; see the test above")
    (tmp_path / which).write_bytes(content)
    with pytest.raises(DataError, match="is left as it was") as caught:
        write(tmp_path / "scores.csv", make_row("a"))
    assert which in str(caught.value)
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == {which: content}


def test_a_folder_or_a_path_that_cannot_be_is_refused(tmp_path):
    (tmp_path / "scores.csv").mkdir()
    with pytest.raises(DataError, match=r"scores\.csv' is not an ordinary file"):
        write(tmp_path / "scores.csv")
    (tmp_path / "file").write_text("x")
    with pytest.raises(
        DataError, match=r"scores\.csv' cannot be written: File exists; choose .* --output"
    ):
        write(tmp_path / "file" / "scores.csv")


def make_full_row():
    """A row that has every number."""
    names = set(DIGITS) - {"score", "threshold", "n_cadences"}
    numbers = {name: 1.23456789 + i for i, name in enumerate(sorted(names))}
    return make_row("a", name="=1, 'b'", **numbers, notes="-x; y")


def test_what_is_read_is_what_was_written(tmp_path):
    path = tmp_path / "scores.csv"
    row = make_full_row()
    write(path, row)
    (again,) = write(path).values()
    for name in COLUMNS[1:-1]:
        if name != "notes":
            assert getattr(again, name) == getattr(row[0], name), name
    (cells,) = read(path)
    assert list(cells) == list(COLUMNS)
    assert (cells["called"], cells["n_cadences"], cells["score"]) == ("1", "3000", "0.500000")
    assert float(cells["threshold"]) == row[0].threshold == 0.123456789012


def test_an_unknown_number_is_an_empty_cell(tmp_path):
    write(tmp_path / "scores.csv", make_row("a"))
    (cells,) = read(tmp_path / "scores.csv")
    assert (cells["period_days"], cells["probability"]) == ("", "")
    (known,) = write(tmp_path / "scores.csv").values()
    assert np.isnan(known.period_days) and not known.has_period


@pytest.mark.parametrize("which", ["scores.csv", "scores.unfinished.csv"])
def test_a_changed_digit_or_letter_is_noticed_wherever_it_is(tmp_path, which):
    """Each byte of a row in turn: the row is never believed."""
    path = tmp_path / "scores.csv"
    rows = [make_full_row(), make_row("b")]
    if which == "scores.csv":
        write(path, *rows)
    else:
        with pytest.raises(ZeroDivisionError):
            write_and_die(path, *rows)
    content = (tmp_path / which).read_bytes()
    start = len(score_file.HEADER)
    for place in range(start, start + len(score_file.format_result(rows[0][0])) - 1):
        for new in (b"7", b"x"):
            if content[place : place + 1] == new:
                continue
            damaged = content[start:place] + new + content[place + 1 :]
            found = [result for result, _ in score_file.read_results(io.BytesIO(damaged))]
            assert found[0] is None, (place, new)
            assert "a" not in [result and result.light_curve for result in found]
    (tmp_path / which).write_bytes(content.replace(b",0.5", b",0.6", 1))
    assert set(write(path, make_row("a"))) == {"b"}


def test_the_users_own_lines_are_kept_beside_it(tmp_path, capsys):
    path = tmp_path / "scores.csv"
    write(path, make_row("a"))
    with open(path, "a") as stream:
        stream.write("my own line,1,2\n")
    before = path.read_bytes()
    assert set(write(path, make_row("a"))) == {"a"}
    assert (tmp_path / "scores.previous.csv").read_bytes() == before
    assert "kept in" in capsys.readouterr().err


def test_a_link_to_a_file_is_written_through(tmp_path):
    path, link = tmp_path / "there" / "mine.csv", tmp_path / "link.csv"
    write(path, make_row("a"))
    link.symlink_to(path)
    assert set(write(link, make_row("a"), make_row("b"))) == {"a"}
    assert link.is_symlink()
    assert [row["name"] for row in read(path)] == ["a", "b"]
    assert sorted(p.name for p in tmp_path.rglob("*")) == ["link.csv", "mine.csv", "there"]


HOLD = """
import sys
from exoplanets.scoring.score_file import open_scores
with open_scores(sys.argv[1], "net", ""):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_of_two_runs_on_one_file_the_second_refuses(tmp_path):
    path = tmp_path / "scores.csv"
    write(path, make_row("a"))
    before = path.read_bytes()
    command = [sys.executable, "-c", HOLD, str(path)]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment
    ) as other:
        assert other.stdout.readline() == b"held\n"
        with pytest.raises(DataError, match="is being written by another run"):
            write(path, make_row("b"))
        assert path.read_bytes() == before
        other.stdin.close()
    assert other.returncode == 0
    write(path, make_row("b"))
    assert [row["name"] for row in read(path)] == ["b"]


NAMES = [
    "a\nb", "a\rb", "a\r\nb", "a\u2028b", 'a"b', "a,b", "星", "\udcff", " a ", "-1.5", "=1+1",
    "+1", "@SUM(A1)", "\tx", "a'b", "0123",
]  # fmt: skip


def test_windows_is_refused_in_one_line(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "fcntl", None)  # as if it were not there
    with (
        pytest.raises(DataError, match="not on Windows itself"),
        open_scores(tmp_path / "scores.csv", "net", ""),
    ):
        pass
    assert not (tmp_path / "scores.csv").exists()


@pytest.mark.parametrize("name", NAMES)
def test_any_name_is_one_row_and_survives_a_second_run(tmp_path, name):
    path = tmp_path / "scores.csv"
    rows = [make_row("a", name=name), make_row("b")]
    write(path, *rows)
    content = path.read_bytes()
    assert set(write(path, *rows)) == {"a", "b"}
    assert path.read_bytes() == content
    found = read(path)
    assert len(found) == 2
    assert found[0]["name"].lstrip("'") == name.encode("utf-8", "backslashreplace").decode()
    assert found[0]["name"][0] not in "=+-@\t\r"
    assert pd.read_csv(path, dtype=str, keep_default_na=False)["name"][0] == found[0]["name"]


def test_numbers_stay_numbers(tmp_path):
    write(tmp_path / "scores.csv", make_row("a", epoch_days=-1.5))
    assert pd.read_csv(tmp_path / "scores.csv")["epoch_days"].dtype == np.float64


class FullDisk:
    """In the place of an open file."""

    def write(self, content):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_full_disk_is_one_line(tmp_path):
    scores = score_file.Scores(tmp_path / "scores.csv", {}, FullDisk(), FullDisk())
    with pytest.raises(DataError, match=r"scores\.csv' cannot be written: No space left"):
        scores.write([make_row("a")])
