"""What belongs to the shell and the disk: messages, mistakes of users, and whole files."""

import contextlib
import errno
import glob
import io
import json
import os
import signal
import sys
import threading
import time
from pathlib import Path

_console = 2  # descriptor by which the user is reached; another one while `quiet`
SILENCE = 5.0  # seconds; what takes longer says how far it is
ABANDONED = 10.0  # seconds; an unfinished file that nobody wrote to for longer may be removed


class DataError(Exception):
    """Input that cannot be used. The message is one line: what was found, and the next step."""


def one_line(error, most=100):
    """What an error says, on one line of at most so many characters."""
    return " ".join(str(error).split())[:most] or type(error).__name__


def say(message):
    """Print progress or a warning on standard error; results go to standard output."""
    print(message, file=sys.stderr, flush=True)


def track(items, what, n_items=None):
    """Yield some items; how many are done is said every `SILENCE` seconds, on standard error."""
    n_items = len(items) if n_items is None else n_items
    last = time.monotonic()
    for number, item in enumerate(items):
        yield item
        if time.monotonic() - last > SILENCE:
            last = time.monotonic()
            say(f"  {what}: {number + 1} of {n_items}")


@contextlib.contextmanager
def quiet():
    """Keep from the user what libraries write to standard error, unless they raise an error.

    TensorFlow's messages about drivers and processors come from C++: only redirecting the file
    descriptor stops them. Not for one thread among several, for it is that of the process.
    """
    import tempfile  # here: a script that ends at once need not wait for it

    global _console
    outer, _console = _console, os.dup(2)
    with tempfile.TemporaryFile() as kept:
        os.dup2(kept.fileno(), 2)
        try:
            yield
        except Exception:  # not an interrupt: what libraries said has nothing to do with it
            kept.seek(0)
            os.write(_console, kept.read())
            raise
        finally:
            os.dup2(_console, 2)
            os.close(_console)
            _console = outer


def stop(*_):
    """End the process at an interrupt: one line, exit code 130. For the time before `run`."""
    name = Path(sys.argv[0]).name
    os.write(
        _console, f"{name}: interrupted; nothing half-written was left\n".encode(errors="replace")
    )
    os._exit(130)


class _Output(io.FileIO):
    """Standard output that may break, on a full disk or when its reader ends: the work goes on."""

    broken = None  # the first error

    @classmethod
    def take_over(cls):
        """Put it in place of `sys.stdout`; names of files are shown escaped, as on stderr."""
        old = sys.stdout
        output = cls(old.fileno(), "w", closefd=False)
        sys.stdout = io.TextIOWrapper(
            io.BufferedWriter(output), old.encoding, "backslashreplace", None, old.line_buffering
        )
        return output

    def write(self, data):
        """Write some bytes, or remember why they could not be written."""
        try:
            return super().write(data)
        except OSError as error:
            self.broken = self.broken or error
            return len(data)


@contextlib.contextmanager
def _lose_no_interrupt():
    """Send an interrupt again that Python dropped.

    It drops one that falls into the callback of a weak reference, and figures have thousands of
    these. A thread sends it a moment later, when the callback is over.
    """
    report = sys.unraisablehook

    def send_again(failure):
        if issubclass(failure.exc_type, KeyboardInterrupt):
            mine = threading.main_thread().ident, signal.SIGINT
            threading.Timer(0.01, signal.pthread_kill, mine).start()
        else:
            report(failure)

    sys.unraisablehook = send_again
    try:
        yield
    finally:
        sys.unraisablehook = report


def run(main):
    """Exit with what `main` returns; a user's mistake becomes one line and exit code 2."""
    name = Path(sys.argv[0]).name
    for stream in ("stdout", "stderr"):
        if getattr(sys, stream) is None:  # closed, as by >&-: what is printed goes nowhere
            setattr(sys, stream, open(os.devnull, "w"))  # noqa: SIM115
    output = _Output.take_over() if sys.stdout is sys.__stdout__ else None
    try:
        signal.signal(signal.SIGINT, signal.default_int_handler)  # from here on, clean up first
        with _lose_no_interrupt():
            code = main()
        if output:
            sys.stdout.flush()  # a full disk shows only now
            if output.broken:
                raise output.broken
    except DataError as error:
        say(f"{name}: {error}")
        code = 2
    except OSError as error:
        where = f" '{error.filename}'" if error.filename else ""
        say(f"{name}: cannot use{where}: {error.strerror or error}")
        code = 2
    except KeyboardInterrupt:
        stop()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # all is written: only Python has to end
    sys.exit(code)


def open_file(path):
    """Open an ordinary file to read its bytes; OSError for a pipe, which would be waited for."""
    if os.path.exists(path) and not os.path.isfile(path):
        raise OSError(errno.EINVAL, "it is no ordinary file", str(path))
    return open(path, "rb")


def read_json(path):
    """The content of a JSON file; ValueError if it is damaged, OSError if it cannot be read."""
    try:
        with open_file(path) as stream:
            return json.load(stream)
    except RecursionError:
        raise ValueError("its content is nested too deeply") from None


def check_writable(*paths):
    """Refuse, before any work is done, files that could not be written.

    A DataError names the first, and why. Folders that do not exist yet will be made.
    """
    for path in map(Path, paths):
        if path.is_dir():
            raise DataError(f"'{path}' is a folder: a file is to be written there, remove it")
        folder = next(parent for parent in path.parents if parent.exists())
        if not folder.is_dir():
            raise DataError(f"'{folder}' is a file: a folder is needed for '{path.name}'")
        if not os.access(folder, os.W_OK | os.X_OK):
            raise DataError(
                f"'{folder}' cannot be written to, and '{path.name}' is to go there: choose "
                "another folder with --data-dir or --plots-dir"
            )


@contextlib.contextmanager
def atomic_write(path):
    """Yield a temporary path beside `path` that replaces it when the block ends well.

    Readers see the old file or the whole new one, never a part, and two writers do not mix. What
    killed runs left of this file is removed.
    """
    path = Path(path)
    prefix, suffix = f".{path.stem}-", f".partial{path.suffix}"
    name, handle = path.with_name(f"{prefix}{os.urandom(4).hex()}{suffix}"), None
    try:
        for left in path.parent.glob(f"{glob.escape(prefix)}????????{glob.escape(suffix)}"):
            _remove_abandoned(left)
        handle = os.open(name, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o666)  # less the user's umask
        _take_lock(handle)  # as long as it is written
        yield name
        os.replace(name, path)
    except OSError as error:
        if error.filename and not Path(error.filename).name.startswith(prefix):
            raise  # it is about another file
        raise OSError(error.errno, error.strerror or str(error), str(path)) from error
    finally:
        if handle is not None:
            name.unlink(missing_ok=True)
            os.close(handle)


def _take_lock(handle):
    """Lock an open file until it is closed; False if another process holds it."""
    try:
        import fcntl  # Windows has none

        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (OSError, ModuleNotFoundError):
        return False
    return True


def _remove_abandoned(path):
    """Remove an unfinished file, unless a run is still writing it."""
    with contextlib.suppress(OSError):
        handle = os.open(path, os.O_RDWR)
        try:
            if time.time() - os.fstat(handle).st_mtime > ABANDONED and _take_lock(handle):
                path.unlink()
        finally:
            os.close(handle)


def write_text(path, text):
    """Write a results file at once, or not at all, and print where it is."""
    with atomic_write(path) as temporary:
        temporary.write_text(text)
    print(f"results: {path}")
