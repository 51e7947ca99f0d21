"""The plugin: its options, markers and fixtures, and the hooks that hold no state. Start reading here."""

from __future__ import annotations

import os

import pytest

from ..errors import ParallelEnergyError
from ..plan.options import MARKERS
from .collection import Items
from .configuration import LIST_DEFAULT, LIST_FLAG, add_options, write_out_bare_options
from .fixtures import background_load, energy_meter, hyperparameters, record_metric, train
from .reporting import Reporting

__all__ = [
    "background_load",
    "energy_meter",
    "hyperparameters",
    "pytest_addhooks",
    "pytest_addoption",
    "pytest_cmdline_main",
    "pytest_collection_finish",
    "pytest_configure",
    "pytest_load_initial_conftests",
    "record_metric",
    "train",
]

_COLLECTION: pytest.StashKey[Items] = pytest.StashKey()

_LISTS = (LIST_DEFAULT, "sensors", "columns")
"""Values of ``--energy-list``; not ``choices`` of argparse, which would refuse a test path after the option."""
_LOOKING = ("collectonly", "showfixtures", "show_fixtures_per_test", "setupplan")
"""Options of pytest's under which no test runs."""


def pytest_addhooks(pluginmanager: pytest.PytestPluginManager) -> None:
    """Offer the hooks that others may implement."""
    from . import hookspecs as specs

    pluginmanager.add_hookspecs(specs)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options and their ini twins, and what prints and exits."""
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
        help="say what can be measured on this machine, why not, and what would mend it; exit with 0 or 1",
    )


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests(early_config: pytest.Config, parser: pytest.Parser, args: list[str]) -> None:
    """Keep options with an optional value from swallowing a test path; runs before pytest loads conftest.py files."""
    write_out_bare_options(args, parser, early_config.known_args_namespace)


@pytest.hookimpl(tryfirst=True)
def pytest_cmdline_main(config: pytest.Config) -> int | None:
    """Answer ``--energy-list`` and ``--energy-doctor`` instead of running tests."""
    if not (config.option.energy_list or config.option.energy_doctor):
        return None
    if config.option.energy_list not in {None, *_LISTS}:
        raise pytest.UsageError(f"{LIST_FLAG}: invalid value {config.option.energy_list!r}; known: {', '.join(_LISTS)}")
    from .configuration import settings_from

    settings = settings_from(config)
    try:
        if config.option.energy_doctor:
            from pathlib import Path

            from ..console.doctor import diagnose

            diagnosis = diagnose(sysfs_root=Path(settings.sysfs_root), sensors=settings.sensors)
            lines, status = diagnosis.lines, diagnosis.exit_status
        else:
            from ..console.listings import listing

            lines, status = tuple(listing(settings, config.option.energy_list)), 0
    except ParallelEnergyError as error:
        raise pytest.UsageError(str(error)) from error
    for line in lines:
        print(line)  # noqa: T201 - the answer itself, for people and pipes
    return status


def pytest_configure(config: pytest.Config) -> None:
    """Register the markers, and what holds the session's state."""
    for text in MARKERS.values():
        config.addinivalue_line("markers", text)
    collection = Items(config)
    config.stash[_COLLECTION] = collection
    config.pluginmanager.register(collection, "parallel_energy_collection")
    reporting = None
    if hasattr(config, "workerinput"):
        from ..processes.controller import watch_controller

        watch_controller()
    else:
        reporting = Reporting(collection)
        config.pluginmanager.register(reporting, "parallel_energy_reporting")
    if collection.settings_if_any is not None:
        from .selection import Sweeping

        config.pluginmanager.register(Sweeping(collection, reporting), "parallel_energy_sweeping")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_finish(session: pytest.Session) -> None:
    """Where there are experiments to run, prepare for them; other suites never pass through what runs them.

    First of its kind, because the terminal's tells afterwards what was prepared.
    """
    collection: Items = session.config.stash[_COLLECTION]
    looks_only = any(session.config.getoption(name, default=False) for name in _LOOKING)
    if looks_only or not any(map(collection.is_experiment, session.items)):
        return
    if collection.settings.plan:
        return
    from .running import Running

    collection.prepare()
    session.config.pluginmanager.register(Running(collection), "parallel_energy_running")
    if collection.session.measures and not hasattr(session.config, "workerinput"):
        from .live_progress import LiveProgress

        names = frozenset(item.nodeid for item in session.items if collection.is_experiment(item))
        # Capture is suspended between items, so this is the terminal or the pipe that the person looks at.
        live = LiveProgress(collection, names, os.dup(1))
        session.config.pluginmanager.register(live, "parallel_energy_progress")
