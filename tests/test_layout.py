"""STYLE's layout rules: what stands where, who imports whom, and that importing does nothing."""

import ast
import json
import shutil
import subprocess
import sys

import pytest
from conftest import ROOT, SCRIPTS

FOLDERS = ("data", "plots")
MODULES = {
    f"{folder}/{path.stem}": path
    for folder in FOLDERS
    for path in sorted((ROOT / folder).glob("*.py"))
    if path.stem != "__init__"
}
LIBRARY, FIGURES = ([name for name in MODULES if name.startswith(f"{f}/")] for f in FOLDERS)
MODULES |= {name: ROOT / f"{name}.py" for name in SCRIPTS}
TOP_LEVEL = {
    "data", "plots", "tests", *(f"{name}.py" for name in SCRIPTS), "requirements.txt",
    "README.md", "Makefile", "pyproject.toml", "LICENSE", "CITATION.cff", ".ci", ".gitignore",
}  # fmt: skip
# Calls that have to come before the import that follows them.
EARLY_CALLS = {"matplotlib.use", "os.environ.setdefault"}


def tree(name):
    return ast.parse(MODULES[name].read_text())


def imported(name, on_import_only=False):
    """Modules of this repository that a module imports, at the top or within a function."""
    own = {*MODULES, *FOLDERS}
    names = set()
    for node in tree(name).body if on_import_only else ast.walk(tree(name)):
        if isinstance(node, ast.Import):
            names |= {alias.name.replace(".", "/") for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name}: relative import"
            module = node.module.replace(".", "/")
            whole = {f"{module}/{alias.name}" for alias in node.names}
            names |= whole if module in FOLDERS else {module}
    return names & own


def functions(name):
    kinds = (ast.FunctionDef, ast.ClassDef)
    return [node for node in tree(name).body if isinstance(node, kinds)]


@pytest.mark.parametrize("name", MODULES)
def test_a_stage_imports_only_earlier_stages_and_data(name):
    if name in LIBRARY:
        allowed = set(LIBRARY)
    elif name in FIGURES:
        allowed = {*LIBRARY, *FIGURES, SCRIPTS[0]}  # the house's looks are step 1's
    else:
        allowed = {*LIBRARY, *SCRIPTS[: SCRIPTS.index(name)]}
        allowed |= set(FIGURES) if name == SCRIPTS[-1] else set()
    assert imported(name) <= allowed


def test_modules_do_not_import_each_other_in_circles():
    ahead = {name: imported(name, on_import_only=True) for name in MODULES}

    def reaches(start, goal, seen=()):
        return any(
            n == goal or (n not in seen and reaches(n, goal, (*seen, n))) for n in ahead[start]
        )

    assert not [name for name in MODULES if reaches(name, name)]


def test_no_function_is_defined_twice():
    homes = {}
    for name in MODULES:
        for function in functions(name):
            if function.name != "main":
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
    assert ast.unparse(guard) == "if __name__ == '__main__':\n    kepler.run(main)"
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
        if path.startswith((root, here)):
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
    names = [name.replace("/", ".") for name in MODULES]
    done = subprocess.run(
        [sys.executable, "-c", WATCH, str(ROOT), *names],
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
    shipped = ["data/pretrained/transit.keras"]  # so that scoring works right after cloning
    results = [p for p in tracked if p.startswith(("data/", "plots/")) and p not in shipped]
    assert all(path.endswith((".py", ".mplstyle")) for path in results), results


def test_every_script_has_its_test_file():
    for name in SCRIPTS:
        assert (ROOT / "tests" / f"test_{name}.py").is_file(), name
