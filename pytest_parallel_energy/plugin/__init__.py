"""The plugin: its options, markers and fixtures, and the hooks that other suites pay for. Start reading here.

pytest imports this module at every start: few and small modules are imported with it, and everything that only
experiments need is imported when there is one.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from ..plan.options import MARKERS, OPTIONS
from .fixtures import (
    RUN,
    asks_for_energy,
    background_load,
    energy_meter,
    hyperparameters,
    module_energy_meter,
    record_metric,
    session_energy_meter,
    threads,
    train,
)

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path
    from typing import Any

    from ..records.record import Record
    from .collection import Items

__all__ = [
    "background_load",
    "energy_meter",
    "hyperparameters",
    "items_of",
    "module_energy_meter",
    "pytest_addhooks",
    "pytest_addoption",
    "pytest_cmdline_main",
    "pytest_collect_file",
    "pytest_collection_finish",
    "pytest_configure",
    "pytest_generate_tests",
    "pytest_ignore_collect",
    "pytest_itemcollected",
    "pytest_load_initial_conftests",
    "record_metric",
    "session_energy_meter",
    "threads",
    "train",
]

_GIVEN: pytest.StashKey[bool] = pytest.StashKey()
"""``True`` when the user set an option of this plugin."""
_MEASURES_ALL: pytest.StashKey[bool] = pytest.StashKey()
_ITEMS: pytest.StashKey[Items] = pytest.StashKey()
_DOCUMENTS = frozenset({"json", "toml", "yaml", "yml"})
_LOOKING = ("collectonly", "showfixtures", "show_fixtures_per_test", "setupplan")
"""Options of pytest under which no test runs."""


def __dir__() -> list[str]:
    """Return fixtures and hooks alone: pytest and pluggy examine each name, for which every suite would pay."""
    return __all__


class _HookSpecifications:
    """The hooks that this plugin offers to others."""

    @staticmethod
    @pytest.hookspec
    def pytest_energy_record(config: pytest.Config, record: Record) -> None:
        """A record was put on the disk: one attempt of one experiment, whichever way it ended.

        Called in the process that reports (under xdist the controller), in the order of the records. An exception is
        shown as a problem below the table; the record is safe by then.
        """


def pytest_addhooks(pluginmanager: pytest.PytestPluginManager) -> None:
    """Offer the hooks that others may implement."""
    pluginmanager.add_hookspecs(_HookSpecifications)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options, their ini settings, and the options that print something and exit."""
    group = parser.getgroup(
        "energy", "energy of training experiments (example: pytest --energy-repeats=5 --energy-report=html)"
    )
    for option in OPTIONS:
        help_text = f"{option.help} (default: {option.default})" if option.default else option.help
        attributes: dict[str, Any] = {"dest": option.ini_name, "default": None, "help": help_text}
        if option.ini == "bool":
            attributes["action"] = "store_true"
        else:
            attributes["action"] = "append" if option.repeatable else "store"
            attributes["metavar"] = option.metavar
            if option.bare is not None:
                attributes |= {"nargs": "?", "const": option.bare}
        group.addoption(option.flag, **attributes)
        parser.addini(option.ini_name, help=f"{help_text}; same as {option.flag}", type=option.ini, default=None)
    group.addoption(
        "--energy-list",
        nargs="?",
        const="workloads",
        metavar="WHAT",
        help="print the workloads (the default), sensors or columns of the results, and exit",
    )
    group.addoption(
        "--energy-doctor",
        action="store_true",
        default=False,
        help="report which sensors work on this machine, why others do not, and how to fix them; exit with 0 or 1",
    )
    group.addoption(
        "--energy-reread",
        nargs="?",
        const="latest",
        metavar="RUN",
        help="read the logs of the latest run, or of --energy-reread=RUN, again with the patterns that the registries "
        "have now, repair its records, and exit",
    )


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests(early_config: pytest.Config, parser: pytest.Parser, args: list[str]) -> None:
    """Keep options with an optional value from swallowing a test path; runs before pytest loads conftest.py files."""
    if any(word.startswith("--energy-") for word in args):
        from .command_line import write_out_bare_options

        write_out_bare_options(args, parser, early_config.known_args_namespace)


@pytest.hookimpl(tryfirst=True)
def pytest_cmdline_main(config: pytest.Config) -> int | None:
    """Answer ``--energy-list``, ``--energy-doctor`` and ``--energy-reread`` instead of running tests."""
    if not (config.option.energy_list or config.option.energy_doctor or config.option.energy_reread):
        return None
    from .command_line import print_answer

    return print_answer(config)


def pytest_configure(config: pytest.Config) -> None:
    """Register the markers and the plugins that hold the state of the session."""
    for text in MARKERS.values():
        config.addinivalue_line("markers", text)
    given = config.stash[_GIVEN] = _any_given(config)
    config.stash[_MEASURES_ALL] = given and items_of(config).settings.measure_all
    config.stash[RUN] = lambda: items_of(config).session
    is_worker = hasattr(config, "workerinput")
    # xdist's controller does not know what its workers measure
    if given or is_worker or config.getoption("dist", "no") != "no":
        from .registration import register_at_start

        register_at_start(items_of(config), given=given, is_worker=is_worker)


def _any_given(config: pytest.Config) -> bool:
    """Return whether the command line, the environment or the ini file sets any option of the table."""
    variables = frozenset(os.environ)
    return any(
        getattr(config.option, option.ini_name) is not None
        or option.variable in variables
        or config.getini(option.ini_name) is not None
        for option in OPTIONS
    )


def items_of(config: pytest.Config) -> Items:
    """Return the experiments, with the state of the session; made at the first call."""
    if _ITEMS not in config.stash:
        from .collection import Items

        config.stash[_ITEMS] = Items(config, given=config.stash[_GIVEN])
    return config.stash[_ITEMS]


def _is_experiment(item: pytest.Item, fixture_names: Iterable[str]) -> bool:
    return item.config.stash[_MEASURES_ALL] or asks_for_energy(item, fixture_names)


def pytest_ignore_collect(collection_path: Path) -> bool | None:
    """Leave out the folders of runs: copies of checkouts in them contain tests, too."""
    name = collection_path.name
    # the name first: pytest asks for each file of a suite, and looking at the disk takes time
    if (name.startswith("latest") or name[:8].isdigit()) and (collection_path / "records.jsonl").is_file():
        return True
    return None


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    """Collect an experiment file as a module of tests."""
    stem, dot, suffix = file_path.name.rpartition(".")
    if not dot or suffix.lower() not in _DOCUMENTS:
        return None
    # pathlib knows no suffix of a name that begins with its only dot, such as ".energy.json"
    if stem[1:].endswith(".energy") or parent.session.isinitpath(file_path) or parent.config.stash[_GIVEN]:
        return items_of(parent.config).collect_file(file_path, parent)
    return None


@pytest.hookimpl(trylast=True)
def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Make one item of each repetition of each cell."""
    if _is_experiment(metafunc.definition, metafunc.fixturenames):
        items_of(metafunc.config).generate_tests(metafunc)


def pytest_itemcollected(item: pytest.Item) -> None:
    """Let ``-k learning_rate:0.0123`` find an item; start marked loads for a test that does not ask for them."""
    names = getattr(item, "fixturenames", None)
    if names is not None and _is_experiment(item, names):
        items_of(item.config).add_keywords(item, names)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_finish(session: pytest.Session) -> None:
    """Prepare for the experiments, if there are any; other suites never pass through the code that runs them.

    Runs before the terminal reporter's hook, which prints what was prepared here.
    """
    config = session.config
    if any(config.getoption(name, default=False) for name in _LOOKING):
        return
    experiments = [item for item in session.items if _is_experiment(item, getattr(item, "fixturenames", ()))]
    if experiments and not items_of(config).settings.plan:
        from .registration import prepare_and_register

        prepare_and_register(items_of(config), experiments)
