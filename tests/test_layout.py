"""Layout: what stands where, who imports whom, and that importing does nothing."""

import ast
import functools
import json
import shutil
import subprocess
import sys

import pytest
from conftest import ROOT, SCRIPTS

# From top to bottom. A module may import from its own layer and from those below it.
LAYERS = (
    "scripts", "scoring", "commands", "figures", "evaluation",
    "classifiers", "search", "lightcurves", "sources", "ground",
)  # fmt: skip
# Behind the wall: what only a user's own stars need. One script hands --predict over to it.
DOORS = ("exoplanets.scoring", "cnn_classifier")
LIBRARY = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts): path
    for path in sorted((ROOT / "exoplanets").rglob("*.py"))
    if path.stem != "__init__"
}
MODULES = LIBRARY | {name: ROOT / f"{name}.py" for name in SCRIPTS}
TOP_LEVEL = {
    "data", "plots", "exoplanets", "tests", *(f"{name}.py" for name in SCRIPTS),
    "requirements.txt", "README.md", "Makefile", "pyproject.toml", "LICENSE",
    "CITATION.cff", "CHANGELOG.md",
    ".ci", ".gitignore",
}  # fmt: skip
# Calls that have to come before the import that follows them.
EARLY_CALLS = {"matplotlib.use", "os.environ.setdefault"}
MOST_LINES = 420


@functools.cache
def tree(name):
    return ast.parse(MODULES[name].read_text())


def layer(name):
    """Place of a module in `LAYERS`."""
    package, *rest = name.split(".")
    if package != "exoplanets":
        return LAYERS.index("scripts")
    return LAYERS.index(rest[0] if len(rest) > 1 else "ground")


@functools.cache
def imported(source):
    """Modules that some code imports, anywhere, also inside functions; names in them count too."""
    names = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "relative import"
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return names


def find_faults(sources):
    """Imports that go up, through the wall, between scripts, or in a circle.

    Parameters
    ----------
    sources : dict of str
        Code of every module, by its dotted name.

    Returns
    -------
    list of str
    """
    ahead = {name: imported(code) & set(sources) - {name} for name, code in sources.items()}
    faults = [
        f"{name} imports {other}"
        for name, others in ahead.items()
        for other in sorted(others)
        if layer(other) < layer(name)
        or layer(other) == LAYERS.index("scripts")
        or (other.startswith(DOORS[0]) and not name.startswith(DOORS))
    ]

    def reaches(start, goal, seen):
        fresh = ahead[start] - seen
        seen |= fresh
        return goal in ahead[start] or any(reaches(name, goal, seen) for name in fresh)

    return faults + [f"{name} imports itself" for name in ahead if reaches(name, name, set())]


def functions(name):
    kinds = (ast.FunctionDef, ast.ClassDef)
    return [node for node in tree(name).body if isinstance(node, kinds)]


def test_imports_go_down_and_never_in_circles():
    assert find_faults({name: path.read_text() for name, path in MODULES.items()}) == []


@pytest.mark.parametrize(
    ("name", "code", "fault"),
    [
        ("lightcurves.fake", "def f():\n    from exoplanets.evaluation import metrics", "metrics"),
        ("stars", "def f():\n    import exoplanets.files, exoplanets.sources.table", "table"),
        ("figures.fake", "from exoplanets.commands.options import ROOT", "options"),
        ("commands.fake", "def f():\n    import cnn_classifier", "cnn_classifier"),
        ("evaluation.metrics", "def f():\n    from exoplanets.evaluation import vetting", "itself"),
        ("figures.fake", "def f():\n    from exoplanets.scoring import own_stars", "own_stars"),
    ],
)
def test_an_import_that_goes_up_or_in_a_circle_is_reported(name, code, fault):
    sources = {name: path.read_text() for name, path in MODULES.items()}
    faults = find_faults(sources | {f"exoplanets.{name}": code})
    assert [f for f in faults if f.startswith(f"exoplanets.{name} ") and f.endswith(fault)]


def test_a_script_that_imports_a_script_is_reported():
    sources = {name: path.read_text() for name, path in MODULES.items()}
    sources["data_analysis"] = "def main():\n    from data_visualization import main"
    assert find_faults(sources) == ["data_analysis imports data_visualization"]


@pytest.mark.parametrize("script", ["data_visualization", "data_analysis", "data_preprocessing"])
def test_a_script_of_the_study_that_reaches_behind_the_wall_is_reported(script):
    sources = {name: path.read_text() for name, path in MODULES.items()}
    sources[script] = "def main():\n    from exoplanets.scoring import command"
    assert find_faults(sources) == [f"{script} imports exoplanets.scoring.command"]


def test_every_module_lies_in_a_layer():
    packages = {path.parent.name for path in LIBRARY.values()} - {"exoplanets"}
    assert packages == set(LAYERS) - {"scripts", "ground"}


@pytest.mark.parametrize("name", MODULES)
def test_no_file_is_long(name):
    n_lines = len(MODULES[name].read_text().splitlines())
    assert n_lines <= MOST_LINES


def test_packages_import_nothing():
    folders = {path.parent for path in LIBRARY.values()}
    for folder in folders - {ROOT / "exoplanets"}:  # the door; see test_door.py
        code = ast.parse((folder / "__init__.py").read_text())
        assert ast.get_docstring(code) and len(code.body) == 1, folder


def test_no_code_among_light_curves_and_figures():
    assert not [*(ROOT / "data").rglob("*.py"), *(ROOT / "plots").rglob("*.py")]


def test_no_function_is_defined_twice():
    homes = {}
    for name in MODULES:
        for function in functions(name):
            if function.name not in ("main", "make_command_line"):  # one in every script
                homes.setdefault(function.name, []).append(name)
    assert {k: v for k, v in homes.items() if len(v) > 1} == {}


@pytest.mark.parametrize("name", MODULES)
def test_every_module_and_public_function_says_what_it_is(name):
    assert ast.get_docstring(tree(name))
    silent = [
        f.name
        for f in functions(name)
        if f.name != "main" and not f.name.startswith("_") and not ast.get_docstring(f)
    ]
    assert silent == []


@pytest.mark.parametrize("name", MODULES)
def test_top_level_only_defines(name):
    for node in tree(name).body:
        if isinstance(node, ast.Expr):
            is_docstring = isinstance(node.value, ast.Constant)
            is_early = (
                isinstance(node.value, ast.Call) and ast.unparse(node.value.func) in EARLY_CALLS
            )
            assert is_docstring or is_early, f"line {node.lineno}: {ast.unparse(node)}"
        elif isinstance(node, ast.If):
            assert ast.unparse(node.test) == "__name__ == '__main__'"
        else:
            kinds = (ast.Import, ast.ImportFrom, ast.Assign, ast.AnnAssign, ast.ClassDef)
            assert isinstance(node, (*kinds, ast.FunctionDef)), f"line {node.lineno}"


@pytest.mark.parametrize("name", SCRIPTS)
def test_script_ends_in_main_and_its_guard_and_names_its_command(name):
    *_, main, guard = tree(name).body
    assert isinstance(main, ast.FunctionDef)
    assert main.name == "main"
    assert ast.unparse(main.args) == "argv=None"
    assert ast.unparse(guard) == "if __name__ == '__main__':\n    run(main)"
    assert f"python {name}.py" in ast.get_docstring(tree(name))


@pytest.mark.parametrize("name", MODULES)
def test_only_main_and_named_printers_print(name):
    """Functions compute or draw and return; what is printed is printed where one looks for it."""
    may = ("main", "print_", "save_", "write_", "say", "clean")
    for function in functions(name):
        prints = [
            node
            for node in ast.walk(function)
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "print"
        ]
        assert not prints or function.name.startswith(may), function.name


WATCH = """
import contextlib, io, json, os, sys
written, root, here = [], sys.argv[1], os.getcwd()
def watch(event, args):
    if event == "open":
        path, mode, flags = args
        writes = any(c in mode for c in "wax+") if mode else flags & (os.O_WRONLY | os.O_RDWR)
    else:
        path, writes = args[0] if args else "", event in ("os.mkdir", "os.rename", "os.remove")
    if writes and isinstance(path, (str, bytes, os.PathLike)):
        path = os.path.abspath(os.fsdecode(path))
        if path.startswith((root + os.sep, here + os.sep)):
            written.append(path)
sys.addaudithook(watch)
sys.path.insert(0, root)
sys.dont_write_bytecode = True
out = io.StringIO()
with contextlib.redirect_stdout(out):
    for name in sys.argv[2:]:
        __import__(name)
print(json.dumps([out.getvalue(), written]))
"""


def test_importing_a_script_does_nothing(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", WATCH, str(ROOT), *MODULES],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    assert json.loads(done.stdout) == ["", []]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(
    not shutil.which("git") or not (ROOT / ".git").exists(), reason="no git checkout"
)
def test_top_level_holds_what_was_asked_for_and_nothing_beside():
    tracked = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.splitlines()
    assert {path.split("/")[0] for path in tracked} <= TOP_LEVEL
    results = {path for path in tracked if path.startswith(("data/", "plots/"))}
    pictures = {path for path in results if path.startswith("plots/readme/")}
    assert results - pictures == {"data/README.md", "plots/README.md"}
    assert all(path.endswith(".png") for path in pictures)
    assert all((ROOT / path).stat().st_size <= 200_000 for path in pictures)
