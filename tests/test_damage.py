"""A few random damages of every kind of file; benchmarks/damage.py makes as many as wanted."""

from benchmarks import damage


def test_no_damage_makes_a_traceback_or_a_silent_change(tmp_path):
    outcomes, failures = damage.damage_all(60, seed=1, folder=tmp_path)
    assert failures == []
    assert sum(outcomes.values()) == 60
    assert {name for name, outcome in outcomes if outcome == damage.REFUSED} >= {
        "exoTrain.csv", "exoTest.csv", "preprocessed_data.pkl", "transit.keras", "own.npz"
    }  # fmt: skip
    assert outcomes["parsed.npz", damage.SAME] == outcomes["equalised.npz", damage.SAME] == 5


def test_a_silent_change_would_be_seen(tmp_path, monkeypatch):
    """The judge itself: a reader that trusts its file fails it."""

    def trust(folder):
        return (folder / damage.SPLIT_FILE).read_bytes(), "its name"

    monkeypatch.setattr(damage, "read_split", trust)
    _, failures = damage.damage_all(6, seed=1, folder=tmp_path)
    assert len(failures) == 1
    assert "another result under the same name" in failures[0]
