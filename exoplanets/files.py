"""What belongs to the shell and the disk: messages, mistakes of users, and whole files."""

import contextlib
import os
import sys
import tempfile
from pathlib import Path


class DataError(Exception):
    """Input that cannot be used. The message is one line: what was found, and the next step."""


def say(message):
    """Print progress or a warning on standard error; results go to standard output."""
    print(message, file=sys.stderr, flush=True)


def run(main):
    """Exit with what `main` returns; a user's mistake becomes one line and exit code 2."""
    try:
        sys.exit(main())
    except DataError as error:
        say(f"{Path(sys.argv[0]).name}: {error}")
        sys.exit(2)
    except OSError as error:
        where = f" '{error.filename}'" if error.filename else ""
        say(f"{Path(sys.argv[0]).name}: cannot use{where}: {error.strerror or error}")
        sys.exit(2)
    except KeyboardInterrupt:
        say(f"{Path(sys.argv[0]).name}: interrupted; nothing half-written was left")
        sys.exit(130)


@contextlib.contextmanager
def atomic_write(path):
    """Yield a temporary path beside `path` that replaces it when the block ends well.

    Readers see the old file or the whole new one, never a part, and two writers do not mix.
    """
    path = Path(path)
    handle, name = tempfile.mkstemp(
        dir=path.parent, prefix=f".{path.stem}-", suffix=f".partial{path.suffix}"
    )
    os.close(handle)
    try:
        yield Path(name)
        os.chmod(name, 0o666 & ~_umask())  # mkstemp makes private files; ours are ordinary ones
        os.replace(name, path)
    finally:
        Path(name).unlink(missing_ok=True)


def _umask():
    mask = os.umask(0)
    os.umask(mask)
    return mask


def write_text(path, text):
    """Write a results file at once, or not at all, and print where it is."""
    with atomic_write(path) as temporary:
        temporary.write_text(text)
    print(f"results: {path}")
