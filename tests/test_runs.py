"""evaluation/runs.py: results of one run are recognised as one run, a mixture is said."""

import json
import zipfile

import pandas as pd
import pytest

from exoplanets.evaluation import runs

PROVENANCE = {"seed": 1, "settings": {"a": {"rate": 0.5, "sizes": (1, 2)}}}


def write(folder, run):
    (folder / "metrics.json").write_text(json.dumps({"provenance": {"run": run}}))
    runs.write_table(folder / "stars.csv", pd.DataFrame({"row": [1, 2]}), run)
    with zipfile.ZipFile(folder / "transit.keras", "w") as archive:
        archive.writestr("scoring.json", json.dumps({"provenance": {"run": run}}))


def test_the_same_provenance_is_the_same_run_and_another_is_another():
    run = runs.identify(PROVENANCE)
    assert run == runs.identify(json.loads(json.dumps(PROVENANCE)))
    assert run != runs.identify(PROVENANCE | {"seed": 2})
    assert len(run) == 12


def test_results_of_one_run_are_no_mixture(tmp_path):
    assert runs.describe_mixture(tmp_path) is None
    write(tmp_path, "aaa")
    assert runs.find_runs(tmp_path) == dict.fromkeys(
        ["metrics.json", "stars.csv", "transit.keras"], "aaa"
    )
    assert runs.describe_mixture(tmp_path) is None
    assert pd.read_csv(tmp_path / "stars.csv").to_dict("list") == {
        "row": [1, 2], "run": ["aaa", "aaa"],
    }  # fmt: skip


@pytest.mark.parametrize("name", ["metrics.json", "stars.csv", "transit.keras"])
@pytest.mark.parametrize("damage", ["another run", "no run", "damaged", "empty", "nested"])
def test_a_mixture_is_said(name, damage, tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    write(other, "bbb")
    write(tmp_path, "aaa")
    if damage == "another run":
        (other / name).replace(tmp_path / name)
    elif damage == "no run":
        (tmp_path / name).write_text('{"provenance": {}}' if name.endswith("json") else "row\n1\n")
    else:
        content = {"damaged": b"\x00\xff", "empty": b"", "nested": b"[" * 200_000}
        (tmp_path / name).write_bytes(content[damage])
    told = runs.describe_mixture(tmp_path)
    assert told.startswith(f"the results in '{tmp_path}' are of several runs (")
    assert f"{name} of run {'bbb' if damage == 'another run' else 'unknown'}" in told
