"""What a result of some code depends on: all files of the library that the code imports.

What is kept for the next run says from which code it comes (`digest_code`), and is made anew when
that changed. `make` asks for the files themselves:

    python3 -m exoplanets.dependencies data_analysis.py cnn_classifier.py

Each is printed as `data_analysis.py:exoplanets/stars.py`. Nothing but Python itself is needed:
`make` asks before any package is installed.
"""

import ast
import functools
import hashlib
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
READ = {  # files that are no code, and who reads them
    "exoplanets/figures/house.mplstyle": "exoplanets/figures/style.py",
    "exoplanets/figures/templates/*": "exoplanets/figures/page.py",
}


@functools.cache
def find_imported(path):
    """Modules of the library that a Python file imports, also inside functions; a set of paths."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    files = {ROOT / f"{name.replace('.', '/')}.py" for name in names}
    return {file for file in files if file.is_file() and file != path}


def find_dependencies(script):
    """Every file of the library that a script needs, directly or not; sorted, from the root."""
    seen, ahead = set(), {ROOT / script}
    while ahead:
        file = ahead.pop()
        seen.add(file)
        ahead |= find_imported(file) - seen
    for files, reader in READ.items():
        if ROOT / reader in seen:
            seen |= set(ROOT.glob(files))
    return sorted(file.relative_to(ROOT).as_posix() for file in seen - {ROOT / script})


@functools.cache
def digest_code(module):
    """SHA-256 of a module (its path) and of every file of the library that it imports."""
    names = [Path(module).resolve().relative_to(ROOT).as_posix()]
    digest = hashlib.sha256()
    for name in names + find_dependencies(names[0]):
        digest.update(f"{name} ".encode() + (ROOT / name).read_bytes())
    return digest.hexdigest()


if __name__ == "__main__":
    print(*(f"{name}:{f}" for name in sys.argv[1:] for f in find_dependencies(name)))
