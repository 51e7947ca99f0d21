"""The plugin: its options, markers and fixtures, and the hooks that other suites pay for. Start reading here.

pytest imports this module at every start. PYTEST_DONT_REWRITE spares it the rewriting of assertions, of which it has
none; everything that only experiments need is imported when there is one.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from ..plan.options import MARKERS
from .command_line import LIST_DEFAULT, LIST_FLAG, REREAD_FLAG, add_options, any_given, write_out_bare_options
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
    from .collection import Items
    from .reporting import Reporting

__all__ = [
    "background_load",
    "energy_meter",
    "hyperparameters",
    "module_energy_meter",
    "pytest_addhooks",
    "pytest_addoption",
    "pytest_cmdline_main",
    "pytest_collection_finish",
    "pytest_configure",
    "pytest_load_initial_conftests",
    "record_metric",
    "session_energy_meter",
    "threads",
    "train",
]

_HOOKS: pytest.StashKey[ItemHooks] = pytest.StashKey()
_DOCUMENTS = frozenset({"json", "toml", "yaml", "yml"})

_LISTS = (LIST_DEFAULT, "sensors", "columns")
"""Values of ``--energy-list``; not ``choices`` of argparse, which would refuse a test path after the option."""
_LOOKING = ("collectonly", "showfixtures", "show_fixtures_per_test", "setupplan")
"""Options of pytest under which no test runs."""


def pytest_addhooks(pluginmanager: pytest.PytestPluginManager) -> None:
    """Offer the hooks that others may implement."""
    from . import hookspecs as specs

    pluginmanager.add_hookspecs(specs)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options, their ini settings, and the options that print something and exit."""
    add_options(parser)
    group = parser.getgroup("energy")
    group.addoption(
        LIST_FLAG,
        nargs="?",
        const=LIST_DEFAULT,
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
        REREAD_FLAG,
        nargs="?",
        const="latest",
        metavar="RUN",
        help="read the logs of the latest run, or of --energy-reread=RUN, again with the patterns that the registries "
        "have now, repair its records, and exit",
    )


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests(early_config: pytest.Config, parser: pytest.Parser, args: list[str]) -> None:
    """Keep options with an optional value from swallowing a test path; runs before pytest loads conftest.py files."""
    write_out_bare_options(args, parser, early_config.known_args_namespace)


@pytest.hookimpl(tryfirst=True)
def pytest_cmdline_main(config: pytest.Config) -> int | None:
    """Answer ``--energy-list``, ``--energy-doctor`` and ``--energy-reread`` instead of running tests."""
    if not (config.option.energy_list or config.option.energy_doctor or config.option.energy_reread):
        return None
    if config.option.energy_list not in {None, *_LISTS}:
        raise pytest.UsageError(f"{LIST_FLAG}: invalid value {config.option.energy_list!r}; known: {', '.join(_LISTS)}")
    from ..errors import ParallelEnergyError
    from .configuration import settings_from

    settings = settings_from(config)
    try:
        if config.option.energy_doctor:
            from ..console.doctor import diagnose

            diagnosis = diagnose(sysfs_root=Path(settings.sysfs_root), sensors=settings.sensors)
            lines, status = diagnosis.lines, diagnosis.exit_status
        elif config.option.energy_reread:
            from ..console.reread import reread

            lines, status = tuple(reread(settings, config.rootpath, config.option.energy_reread)), 0
        else:
            from ..console.listings import listing

            lines, status = tuple(listing(settings, config.option.energy_list)), 0
    except ParallelEnergyError as error:
        raise pytest.UsageError(str(error)) from error
    for line in lines:
        print(line)  # noqa: T201 - the answer itself, for people and pipes
    return status


class ItemHooks:
    """The collection hooks. They leave the tests of other suites alone, without an import of what runs experiments.

    Args:
        config: pytest's.
        given: ``True`` when the user set an option of this plugin.
    """

    def __init__(self, config: pytest.Config, *, given: bool) -> None:
        self._config = config
        self._given = given
        self._items: Items | None = None
        self._measures_all = given and self.items.settings.measure_all

    @property
    def items(self) -> Items:
        """The experiments, with the state of the session; made at the first access."""
        if self._items is None:
            from .collection import Items

            self._items = Items(self._config, given=self._given)
        return self._items

    def is_experiment(self, item: pytest.Item, fixture_names: Iterable[str]) -> bool:
        """Return whether the item is measured."""
        return self._measures_all or asks_for_energy(item, fixture_names)

    def pytest_ignore_collect(self, collection_path: Path) -> bool | None:
        """Leave out the folders of runs: copies of checkouts in them contain tests, too."""
        name = collection_path.name
        # the name first: pytest asks for each file of a suite, and looking at the disk takes time
        if (name == "latest" or name[:8].isdigit()) and (collection_path / "records.jsonl").is_file():
            return True
        return None

    def pytest_collect_file(self, file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
        """Collect an experiment file as a module of tests."""
        stem, dot, suffix = file_path.name.rpartition(".")
        if not dot or suffix.lower() not in _DOCUMENTS:
            return None
        # pathlib knows no suffix of a name that begins with its only dot, such as ".energy.json"
        if not (stem[1:].endswith(".energy") or parent.session.isinitpath(file_path) or self._given):
            return None
        return self.items.collect_file(file_path, parent)

    @pytest.hookimpl(trylast=True)
    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """Make one item of each repetition of each cell."""
        if self.is_experiment(metafunc.definition, metafunc.fixturenames):
            self.items.generate_tests(metafunc)

    def pytest_itemcollected(self, item: pytest.Item) -> None:
        """Let ``-k learning_rate:0.0123`` find an item; start marked loads for a test that does not ask for them."""
        names = getattr(item, "fixturenames", None)
        if names is not None and self.is_experiment(item, names):
            self.items.add_keywords(item, names)


def pytest_configure(config: pytest.Config) -> None:
    """Register the markers and the plugins that hold the state of the session."""
    for text in MARKERS.values():
        config.addinivalue_line("markers", text)
    given = any_given(config, os.environ)
    hooks = ItemHooks(config, given=given)
    config.stash[_HOOKS] = hooks
    config.stash[RUN] = lambda: hooks.items.session
    config.pluginmanager.register(hooks, "parallel_energy_collection")
    reporting = None
    if hasattr(config, "workerinput"):
        from ..processes.controller import watch_controller

        watch_controller()
        _make_temporary_root(config)
    elif given or config.getoption("dist", "no") != "no":  # xdist's controller does not know what its workers measure
        reporting = _register_reporting(config, hooks.items)
        if given:
            _register_fleet(config, hooks.items, reporting)
    if given:
        from .selection import Sweeping

        config.pluginmanager.register(Sweeping(hooks.items, reporting), "parallel_energy_sweeping")


def _register_reporting(config: pytest.Config, items: Items) -> Reporting:
    from .reporting import Reporting

    reporting = Reporting(items)
    config.pluginmanager.register(reporting, "parallel_energy_reporting")
    return reporting


def _make_temporary_root(config: pytest.Config) -> None:
    """Make the folder above the worker's own, which only exists on the controller's host."""
    from .collection import HOST_INPUT

    if HOST_INPUT in config.workerinput and config.option.basetemp:  # type: ignore[attr-defined]
        Path(config.option.basetemp).parent.mkdir(parents=True, exist_ok=True)


def _register_fleet(config: pytest.Config, items: Items, reporting: Reporting) -> None:
    """Register what several hosts under pytest-xdist need, if the command line names any.

    Only for sessions with a setting of this plugin: other suites must work on several hosts as without it.
    """
    if config.getoption("dist", "no") == "no" or config.option.collectonly:
        return
    from .fleet import Fleet, names_hosts

    if names_hosts(config):
        from .lost_hosts import LostHosts

        fleet = Fleet(items, reporting)
        config.pluginmanager.register(fleet, "parallel_energy_fleet")
        config.pluginmanager.register(LostHosts(items, reporting, fleet), "parallel_energy_lost_hosts")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_finish(session: pytest.Session) -> None:
    """Prepare for the experiments, if there are any; other suites never pass through the code that runs them.

    Runs before the terminal reporter's hook, which prints what was prepared here.
    """
    config = session.config
    hooks = config.stash[_HOOKS]
    if any(config.getoption(name, default=False) for name in _LOOKING):
        return
    experiments = [item for item in session.items if hooks.is_experiment(item, getattr(item, "fixturenames", ()))]
    if not experiments or hooks.items.settings.plan:
        return
    from .running import Running

    items = hooks.items
    items.prepare()
    is_worker = hasattr(config, "workerinput")
    if not (is_worker or config.pluginmanager.hasplugin("parallel_energy_reporting")):
        _register_reporting(config, items)
    config.pluginmanager.register(Running(items, len(experiments)), "parallel_energy_running")
    if items.session.measures and not is_worker:
        from .live_progress import LiveProgress

        # Capture is suspended between items, so this is the terminal or the pipe that the person looks at.
        live = LiveProgress(items, frozenset(item.nodeid for item in experiments), os.dup(1))
        config.pluginmanager.register(live, "parallel_energy_progress")
