"""commands/settings.py: one flag per hyper-parameter, checked, hidden until they are asked for."""

import argparse
import dataclasses

import pytest

import cnn_classifier
from exoplanets.classifiers.base import Classifier, Settings, setting
from exoplanets.classifiers.registry import CLASSIFIERS
from exoplanets.commands.settings import add_settings, name_options, read_settings

KINDS = [cnn_classifier.Published, cnn_classifier.PublishedOnEqualised, *CLASSIFIERS]
ALL = [kind.settings_class for kind in KINDS[1:] if kind.settings_class]


def read(*options, kinds=KINDS):
    parser = argparse.ArgumentParser(prog="step")
    add_settings(parser, kinds)
    return read_settings(parser, parser.parse_args([str(o) for o in options]), kinds)


def test_defaults_of_the_published_network_are_the_studys():
    assert dataclasses.asdict(read()[cnn_classifier.PublishedSettings]) == {
        "filters": (11, 7), "kernel_size": 2, "l2": 0.01, "pool_dropout": 0.4,
        "dense": (50, 30, 12), "dense_dropout": 0.3, "learning_rate": 1e-2,
        "decay_steps": 10_000, "decay_rate": 0.8, "host_weight": 2.5, "batch_size": 128,
        "epochs": 40, "patience": 8, "normalization": "adapted",
    }  # fmt: skip


@pytest.mark.parametrize("settings", ALL)
def test_every_setting_is_a_flag(settings):
    """Each flag changes its own setting and no other."""
    defaults = settings()
    for name, field in name_options(KINDS)[settings].items():
        limits = field.metadata
        if limits["choices"]:
            value, text = limits["choices"][-1], [limits["choices"][-1]]
        elif isinstance(field.default, tuple):
            value, text = (4, 5, 6), ["4", "5", "6"]
        else:
            step = 1 if isinstance(field.default, int) else 0.1 * field.default + 1e-4
            inside = field.default + step <= limits["high"]
            value = field.default + step if inside else field.default - step
            text = [str(value)]
        found = read(f"--{name.replace('_', '-')}", *text)
        assert found[settings] == dataclasses.replace(defaults, **{field.name: value}), name
        assert hash(found[settings])  # frozen all through
        for other in set(ALL) - {settings}:
            assert found[other] == other()


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (["--kernel-size", 5000], "--kernel-size: must lie between 1 and 30, not 5000"),
        (["--pool-dropout", 1.5], "--pool-dropout: must lie between 0 and 0.99, not 1.5"),
        (["--l2", "nan"], "--l2: must lie between 0 and 10, not nan"),
        (["--learning-rate", -1], "--learning-rate: must lie between"),
        (["--filters", "3", "0"], "--filters: must lie between 1 and 512, not 0"),
        (["--epochs", "2.5"], "--epochs: '2.5' is no whole number"),
        (["--l2", "x"], "--l2: 'x' is no number"),
        (["--normalization", "none"], "--normalization: must be adapted or identity, not 'none'"),
    ],
)
def test_a_value_out_of_range_is_refused_before_any_work(options, reason, capsys):
    with pytest.raises(SystemExit) as exit_:
        read(*options)
    assert exit_.value.code == 2
    assert capsys.readouterr().err.splitlines()[-1].startswith(f"step: error: argument {reason}")


@dataclasses.dataclass(frozen=True)
class OneSettings(Settings):
    """Settings of one."""

    low: float = setting(1.0, "the lower", 0, 100)
    high: float = setting(2.0, "the upper: 50 % more", 0, 100)

    def __post_init__(self):
        super().__post_init__()
        if self.low > self.high:
            raise ValueError(f"low must not exceed high: {self.low:g} and {self.high:g}")


class One(Classifier):
    name = "one"
    settings_class = OneSettings


class Two(Classifier):
    name = "two"
    settings_class = dataclasses.make_dataclass(
        "TwoSettings", [("low", int, setting(5, "another", 1, 9))], bases=(Settings,), frozen=True
    )


def test_values_that_do_not_fit_each_other_are_refused(capsys):
    with pytest.raises(SystemExit):
        read("--low", 3, kinds=[One])
    assert "step: error: low must not exceed high: 3 and 2" in capsys.readouterr().err


def test_a_name_that_is_taken_gets_that_of_its_classifier_in_front():
    found = read("--low", 1.5, "--two-low", 7, kinds=[One, One, Two])
    assert found == {OneSettings: OneSettings(low=1.5), Two.settings_class: Two.settings_class(7)}


def test_flags_are_shown_by_help_all_alone(capsys):
    texts = {}
    for option in ("--help", "--help-all"):
        with pytest.raises(SystemExit) as exit_:
            read(option, kinds=[One, Two])
        assert exit_.value.code == 0
        texts[option] = capsys.readouterr().out
    assert "--two-low" not in texts["--help"] and "Settings of one" not in texts["--help"]
    assert "--help-all" in texts["--help"]
    assert "--two-low" in texts["--help-all"] and "Settings of one" in texts["--help-all"]
    assert "the upper: 50 % more (default: 2.0)" in texts["--help-all"]
