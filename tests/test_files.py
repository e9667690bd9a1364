"""exoplanets/files.py: how a script ends, what can be written, and that it is written whole."""

import importlib
import os
import signal
import subprocess
import sys
import time

import pytest
from conftest import ROOT

from exoplanets import files
from exoplanets.files import (
    DataError,
    atomic_write,
    check_writable,
    read_json,
    run,
    track,
    write_text,
)


def ending(main, capsys):
    """Exit code of `run`, and what it said on standard error."""
    with pytest.raises(SystemExit) as exit_:
        run(main)
    return exit_.value.code, capsys.readouterr().err


def raising(error):
    def main():
        raise error

    return main


# ----------------------------------------------------------------------------------- the end
@pytest.mark.parametrize("code", [None, 0, 1])
def test_exit_code_is_what_main_returns(code, capsys):
    assert ending(lambda: code, capsys) == (code, "")


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (DataError("'a.csv' is empty: fetch it again"), "'a.csv' is empty: fetch it again\n"),
        (OSError(28, "No space left on device", "/x/y"), "cannot use '/x/y': No space left on"),
        (OSError(28, "No space left on device"), "cannot use: No space left on device"),
        (OSError("16 requested and 0 written"), "cannot use: 16 requested and 0 written"),
    ],
)
def test_a_users_mistake_is_one_line_and_exit_code_2(error, said, capsys):
    code, err = ending(raising(error), capsys)
    assert code == 2
    assert err.count("\n") == 1
    assert said in err


SCRIPT = """
import sys, time
from exoplanets.files import run
def main():
    print("ready", flush=True)
    time.sleep(60)
run(main)
"""


def interrupt(*command, wait):
    """Start a command, interrupt it after a line of output; its exit code and standard error."""
    child = subprocess.Popen(
        [sys.executable, *command],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    wait(child)
    child.send_signal(signal.SIGINT)
    _, err = child.communicate(timeout=60)
    return child.returncode, err


def test_an_interrupt_is_one_line_and_exit_code_130():
    code, err = interrupt("-c", SCRIPT, wait=lambda child: child.stdout.readline())
    assert code == 130
    assert err == "-c: interrupted; nothing half-written was left\n"


IN_A_CALLBACK = """
import sys, time, weakref
from exoplanets.files import run
class Star: pass
def wait(_):
    print("ready", flush=True)
    time.sleep(60)
def main():
    star = Star()
    kept = weakref.ref(star, wait)
    del star
    time.sleep(60)
run(main)
"""


def test_an_interrupt_within_a_callback_that_would_swallow_it_is_not_lost():
    code, err = interrupt("-c", IN_A_CALLBACK, wait=lambda child: child.stdout.readline())
    assert (code, err) == (130, "-c: interrupted; nothing half-written was left\n")


STEP_2 = """
import runpy, sys
from exoplanets.commands import options
begin = options.begin
def announced(make_command_line):
    begin(make_command_line)
    print("ready", flush=True)
options.begin = announced
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


@pytest.mark.parametrize("delay", [0, 0.1, 0.3, 0.8, 1.5, 3.0])
def test_a_script_can_be_interrupted_from_its_imports_on(delay, data_dir, tmp_path):
    script = str(ROOT / "data_analysis.py")
    dirs = ["--data-dir", str(data_dir), "--plots-dir", str(tmp_path / "plots")]
    code, err = interrupt(
        "-c", STEP_2, script, *dirs, wait=lambda c: c.stdout.readline() and time.sleep(delay)
    )
    said = [line for line in err.splitlines() if not line.endswith("...")]  # but for progress
    assert code in (130, 0)  # 0: it was faster
    assert said == ["data_analysis.py: interrupted; nothing half-written was left"] * (code == 130)
    assert not list(tmp_path.rglob("*partial*"))


STEP_4 = """
import runpy, sys, time
class Announce:
    def find_spec(self, name, *_):
        if name == "exoplanets.commands":  # of the library, all but `files` is imported later
            print("ready", flush=True)
            time.sleep(10)
sys.meta_path.insert(0, Announce())
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


def test_step_4_can_be_interrupted_before_its_imports():
    script = str(ROOT / "cnn_classifier.py")
    code, err = interrupt("-c", STEP_4, script, wait=lambda child: child.stdout.readline())
    assert (code, err) == (130, "cnn_classifier.py: interrupted; nothing half-written was left\n")


def test_a_name_without_letters_for_it_is_shown_escaped():
    done = subprocess.run(
        [sys.executable, "-c", "from exoplanets.files import run\nrun(lambda: print('é'))"],
        cwd=ROOT,
        env=os.environ | {"PYTHONIOENCODING": "ascii"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "\\xe9\n", "")


BROKEN = """
import sys
from exoplanets.files import run, write_text
def main():
    print("x" * 100_000, flush=True)
    write_text(sys.argv[1], "whole")
run(main)
"""


@pytest.mark.parametrize(
    ("shell", "said"),
    [("| head -0", "Broken pipe"), ("> /dev/full", "No space left on device"), (">&-", "")],
)
def test_output_that_breaks_costs_no_result_and_is_one_line(shell, said, tmp_path):
    done = subprocess.run(
        f'"{sys.executable}" -c \'{BROKEN}\' "{tmp_path}/a.json" {shell}',
        cwd=ROOT,
        shell=True,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (tmp_path / "a.json").read_text() == "whole"
    assert done.stderr == (f"-c: cannot use: {said}\n" if said else "")


# ------------------------------------------------------------------------ what can be written
def test_what_can_be_written_passes_and_nothing_is_made(tmp_path):
    check_writable(tmp_path / "new" / "folder" / "figure.png", tmp_path / "metrics.json")
    (tmp_path / "old.json").write_text("{}")
    check_writable(tmp_path / "old.json")
    assert [path.name for path in tmp_path.iterdir()] == ["old.json"]


def test_what_cannot_be_written_is_named(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    (tmp_path / "leaks.json").mkdir()
    with pytest.raises(DataError, match=r"leaks.json' is a folder: a file is to be written there"):
        check_writable(tmp_path / "leaks.json")
    with pytest.raises(DataError, match=r"file' is a file: a folder is needed for 'a.png'"):
        check_writable(tmp_path / "file" / "plots" / "a.png")
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with pytest.raises(
        DataError, match=r"cannot be written to, and 'a.png' is to go there: choose.* --plots-dir"
    ):
        check_writable(tmp_path / "a.png")


@pytest.mark.parametrize("name", ["data_visualization", "data_analysis", "data_preprocessing"])
def test_scripts_look_before_they_work(name, data_dir, tmp_path, capsys):
    (tmp_path / "file").touch()
    before = sorted(path.name for path in data_dir.iterdir())
    dirs = ["--data-dir", str(data_dir), "--plots-dir", str(tmp_path / "file")]
    script = importlib.import_module(name)
    with pytest.raises(SystemExit) as exit_:
        run(lambda: script.main(dirs))
    out, err = capsys.readouterr()
    assert (exit_.value.code, out) == (2, "")
    assert f"'{tmp_path / 'file'}' is a file: a folder is needed" in err
    assert sorted(path.name for path in data_dir.iterdir()) == before


# ------------------------------------------------------------------------------- whole files
def test_a_file_is_replaced_at_once_and_nothing_is_left_on_failure(tmp_path):
    path = tmp_path / "metrics.json"
    path.write_text("old")
    with open(path) as reader:
        with atomic_write(path) as temporary:
            temporary.write_text("new")
            assert temporary.parent == path.parent  # a rename across file systems is not atomic
            assert temporary.suffix == ".json"  # savers choose their format by it
            assert path.read_text() == "old"
        assert reader.read() == "old"  # another file took its name; it was not written into
    assert path.read_text() == "new"
    with pytest.raises(RuntimeError), atomic_write(path) as temporary:  # noqa: PT012
        temporary.write_text("never seen")
        raise RuntimeError
    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]
    plain = tmp_path / "plain"
    plain.touch()
    assert path.stat().st_mode == plain.stat().st_mode  # readable by whom other files are


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (OSError(28, "No space left on device"), "No space left on device"),
        (OSError("96 requested and 0 written"), "96 requested and 0 written"),  # NumPy's way
    ],
)
def test_a_full_disk_names_the_file_that_was_asked_for(error, reason, tmp_path):
    with pytest.raises(OSError) as caught, atomic_write(tmp_path / "a.npz"):  # noqa: PT011
        raise error
    assert caught.value.strerror == reason
    assert caught.value.filename == str(tmp_path / "a.npz")
    with pytest.raises(FileNotFoundError) as caught, atomic_write(tmp_path / "no" / "a.npz"):
        pass
    assert caught.value.filename == str(tmp_path / "no" / "a.npz")
    with pytest.raises(FileNotFoundError) as caught, atomic_write(tmp_path / "a.npz"):
        (tmp_path / "another").read_text()
    assert caught.value.filename == str(tmp_path / "another")
    assert list(tmp_path.iterdir()) == []


FULL = """
import resource, runpy, sys
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]),) * 2)  # as a full disk would end it
sys.argv = sys.argv[2:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


@pytest.mark.parametrize("name", ["data_visualization", "data_analysis", "data_preprocessing"])
def test_a_full_disk_is_one_line_and_leaves_nothing_half_written(name, data_dir, tmp_path):
    dirs = ["--data-dir", str(data_dir), "--plots-dir", str(tmp_path / "plots")]
    done = subprocess.run(
        [sys.executable, "-c", FULL, "4000", str(ROOT / f"{name}.py"), *dirs],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert "None" not in done.stderr
    assert f"{name}.py: cannot use '{tmp_path / 'plots'}/" in done.stderr.splitlines()[-1]
    assert "File too large" in done.stderr.splitlines()[-1]
    assert not list(tmp_path.rglob("*partial*"))


def test_two_writers_do_not_mix(tmp_path):
    path = tmp_path / "a.json"
    with atomic_write(path) as first, atomic_write(path) as second:
        second.write_text("second")
        first.write_text("first")
        assert first != second
    assert path.read_text() == "first"
    assert list(tmp_path.iterdir()) == [path]


WRITER = """
import sys, time
from exoplanets.files import atomic_write
with atomic_write(sys.argv[1]) as temporary:
    temporary.write_text("half")
    print("writing", flush=True)
    time.sleep(60)
"""


def test_what_a_killed_run_left_is_removed_and_what_is_being_written_is_not(tmp_path):
    path = tmp_path / "a [1].json"
    other = tmp_path / ".a-12345678.partial.json"
    other.write_text("of another file")
    writers = [
        subprocess.Popen([sys.executable, "-c", WRITER, path], cwd=ROOT, stdout=subprocess.PIPE)
        for _ in range(2)
    ]
    try:
        assert [writer.stdout.readline() for writer in writers] == [b"writing\n"] * 2
        left = sorted(tmp_path.glob("*1*.partial.json"))
        for unfinished in (*left, other):
            os.utime(unfinished, (1, 1))  # long ago
        writers[0].kill()
        writers[0].wait()
        assert len(list(tmp_path.iterdir())) == 3
        write_text(path, "whole")
        assert len(list(tmp_path.iterdir())) == 3  # one was removed, `path` was added
        assert other.exists()
    finally:
        for writer in writers:
            writer.kill()
            writer.wait()
            writer.stdout.close()
    write_text(path, "whole")
    assert set(tmp_path.iterdir()) == {path, other}


def test_a_pipe_is_no_file_and_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "a.json")
    with pytest.raises(OSError, match="no ordinary file"):
        read_json(tmp_path / "a.json")


def test_json_that_is_nested_too_deeply_is_damaged(tmp_path):
    (tmp_path / "a.json").write_text("[" * 200_000)
    with pytest.raises(ValueError, match="nested too deeply"):
        read_json(tmp_path / "a.json")


def test_writing_a_file_leaves_the_umask_alone(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "umask", None)
    write_text(tmp_path / "a.json", "{}")


def test_what_takes_long_says_how_far_it_is(capsys, monkeypatch):
    assert list(track("abc", "letters")) == ["a", "b", "c"]
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(files, "SILENCE", -1.0)
    assert list(track(iter("abc"), "letters", 3)) == ["a", "b", "c"]
    said = capsys.readouterr()
    assert said.err == "  letters: 1 of 3\n  letters: 2 of 3\n  letters: 3 of 3\n"
    assert said.out == ""


def test_a_results_file_says_where_it_is(tmp_path, capsys):
    write_text(tmp_path / "leaks.json", "{}\n")
    assert capsys.readouterr().out == f"results: {tmp_path / 'leaks.json'}\n"
    assert (tmp_path / "leaks.json").read_text() == "{}\n"
