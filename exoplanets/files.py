"""What belongs to the shell and the disk: messages, mistakes of users, and whole files."""

import contextlib
import os
import signal
import sys
import tempfile
from pathlib import Path


class DataError(Exception):
    """Input that cannot be used. The message is one line: what was found, and the next step."""


def one_line(error, most=100):
    """What an error says, on one line of at most so many characters."""
    return " ".join(str(error).split())[:most] or type(error).__name__


def say(message):
    """Print progress or a warning on standard error; results go to standard output."""
    print(message, file=sys.stderr, flush=True)


def stop(*_):
    """End the process at an interrupt: one line, exit code 130. For the time before `run`."""
    name = Path(sys.argv[0]).name
    os.write(2, f"{name}: interrupted; nothing half-written was left\n".encode(errors="replace"))
    os._exit(130)


def run(main):
    """Exit with what `main` returns; a user's mistake becomes one line and exit code 2."""
    name = Path(sys.argv[0]).name
    for stream in ("stdout", "stderr"):
        if getattr(sys, stream) is None:  # closed, as by >&-: what is printed goes nowhere
            setattr(sys, stream, open(os.devnull, "w"))  # noqa: SIM115
    if hasattr(sys.stdout, "reconfigure"):  # names of files are shown escaped, as on stderr
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        signal.signal(signal.SIGINT, signal.default_int_handler)  # from here on, clean up first
        code = main()
        sys.stdout.flush()  # a full disk shows only now
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

    Readers see the old file or the whole new one, never a part, and two writers do not mix.
    """
    path = Path(path)
    prefix, name = f".{path.stem}-", None
    try:
        handle, name = tempfile.mkstemp(
            dir=path.parent, prefix=prefix, suffix=f".partial{path.suffix}"
        )
        os.close(handle)
        yield Path(name)
        umask = os.umask(0)
        os.umask(umask)
        os.chmod(name, 0o666 & ~umask)  # mkstemp makes private files; ours are ordinary ones
        os.replace(name, path)
    except OSError as error:
        if error.filename and not Path(error.filename).name.startswith(prefix):
            raise  # it is about another file
        raise OSError(error.errno, error.strerror or str(error), str(path)) from error
    finally:
        if name:
            Path(name).unlink(missing_ok=True)


def write_text(path, text):
    """Write a results file at once, or not at all, and print where it is."""
    with atomic_write(path) as temporary:
        temporary.write_text(text)
    print(f"results: {path}")
