"""Settings: one table, one precedence, defaults that are what the help says."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from pytest_parallel_energy.errors import ConfigError
from pytest_parallel_energy.plan.options import OPTIONS
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
