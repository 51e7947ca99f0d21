"""Settings: one table, one precedence, defaults that are what the help says."""

from __future__ import annotations

import re
from pathlib import Path
from types import SimpleNamespace

import pytest

from pytest_parallel_energy.errors import ConfigError
from pytest_parallel_energy.host.cooldown import CoolDown
from pytest_parallel_energy.plan.option_values import PARSERS
from pytest_parallel_energy.plan.options import MARKERS, OPTIONS
from pytest_parallel_energy.plan.settings import Settings
from pytest_parallel_energy.plugin.configuration import settings_from


class Config:
    """What ``settings_from`` reads of pytest's config."""

    inipath = None

    def __init__(self, tmp_path, command_line=None, ini=None):
        self.rootpath = tmp_path
        self.invocation_params = SimpleNamespace(dir=tmp_path, args=())
        self.command_line = command_line or {}
        self.ini = ini or {}

    def getoption(self, name):
        return self.command_line.get(name)

    def getini(self, name):
        return self.ini.get(name)


@pytest.mark.parametrize("option", OPTIONS, ids=lambda option: option.field)
def test_help_tells_the_default(option):
    """The default in the help text is the default in ``Settings``."""
    default = getattr(Settings(), option.field)
    if option.default and default is not None:
        parsed = option.parse(option.default)
        assert parsed == default
    else:  # none, or one that depends on the machine, in words
        assert default in {None, False, ()}


def test_precedence(tmp_path):
    """Command line before environment before ini before default; a marker before all of them."""
    environ = {"PYTEST_ENERGY_REPEATS": "3"}
    assert settings_from(Config(tmp_path), {}).repeats == 1
    assert settings_from(Config(tmp_path, ini={"energy_repeats": 2}), {}).repeats == 2
    assert settings_from(Config(tmp_path, ini={"energy_repeats": 2}), environ).repeats == 3
    chosen = settings_from(Config(tmp_path, {"energy_repeats": "4"}, {"energy_repeats": 2}), environ)
    assert chosen.repeats == 4
    assert chosen.for_test({"repeats": 5}).repeats == 5


def test_registries_add_up(tmp_path):
    """A registry of the command line stands beside those of the ini file, which are relative to it."""
    config = Config(tmp_path, {"energy_models": ["mine.json"]}, {"energy_models": ["shipped.json"]})
    assert settings_from(config, {}).models == (tmp_path / "shipped.json", tmp_path / "mine.json")


def test_an_unknown_marker_argument():
    """A misspelt argument names the right one."""
    with pytest.raises(ConfigError, match="did you mean 'warmup'"):
        Settings().for_test({"warmups": 1})


def test_sysfs_root(tmp_path):
    """Containers and tests may have another root."""
    assert settings_from(Config(tmp_path), {"PYTEST_ENERGY_SYSFS_ROOT": "/host/sys"}).sysfs_root == "/host/sys"


def test_the_marker_takes_none_as_the_default():
    """None is not the text 'None': it selects the default, also where the command line sets something else."""
    settings = Settings(profile="quick", repeats=3).for_test({"profile": None, "repeats": None, "cooldown": None})
    assert (settings.profile, settings.repeats, settings.cooldown) == (None, 1, None)


@pytest.mark.parametrize("wrong", [{"profile": 3}, {"repeats": True}, {"repeats": 1.5}, {"coverage_min": "most"}])
def test_a_marker_value_of_another_type(wrong):
    """A value is not turned into text and read back: a wrong type is refused with the marker's argument."""
    ((name, value),) = wrong.items()
    with pytest.raises(ConfigError, match=re.escape(f"the marker energy({name}={value!r}):")):
        Settings().for_test(wrong)


def test_settings_hold_parsed_values(tmp_path):
    """Text is read once, where settings are built; run.json gets text again."""
    given = {
        "energy_cooldown": "temp:50", "energy_compare_fail": ["total_j:5%"], "energy_report": ["md:out.md"],
        "energy_price": "0.31 EUR/kWh; bill", "energy_tag": ["a=b"], "energy_save_baseline": "",
    }  # fmt: skip
    settings = settings_from(Config(tmp_path, given), {})
    assert settings.cooldown == CoolDown(until="temperature", temperature_c=50.0)
    assert settings.compare_fail[0].quantity == "total_j"
    assert (settings.report[0].kind, settings.report[0].path) == ("md", Path("out.md"))
    assert (settings.price.value, settings.save_baseline, settings.labels()) == (0.31, "default", {"a": "b"})
    text = settings.as_text()
    assert (text["cooldown"], text["compare_fail"]) == ("temp:50", "('total_j:5%',)")
    assert (text["report"], text["tag"]) == ("('md:out.md',)", "('a=b',)")


def test_the_energy_marker_names_each_of_its_keywords():
    """What ``pytest --markers`` prints comes from the option table, with the defaults."""
    assert "governor=None" in MARKERS["energy"]
    assert all(f"{option.field}=" in MARKERS["energy"] for option in OPTIONS if option.marker)


def test_each_option_has_a_parser():
    """The table names kinds; each of them can be read."""
    assert {option.kind for option in OPTIONS} == set(PARSERS)
