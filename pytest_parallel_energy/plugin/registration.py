"""The registration of the plugins that hold the state of a session: only where there is something for them to do."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from .collection import HOST_INPUT
from .reporting import Reporting

if TYPE_CHECKING:
    from .collection import Items

__all__ = ["prepare_and_register", "register_at_start"]


def register_at_start(items: Items, *, given: bool, is_worker: bool) -> None:
    """Register what must see the session from its start.

    Args:
        items: the experiments.
        given: ``True`` when the user set an option of this plugin.
        is_worker: ``True`` in a worker of pytest-xdist, whose controller reports.
    """
    reporting = None
    if is_worker:
        from ..processes.controller import watch_controller

        watch_controller()
        _make_temporary_root(items.config)
    else:
        reporting = _register_reporting(items)
        if given:
            _register_fleet(items, reporting)
    if given:
        from .selection import Sweeping

        items.config.pluginmanager.register(Sweeping(items, reporting), "parallel_energy_sweeping")


def _register_reporting(items: Items) -> Reporting:
    reporting = Reporting(items)
    items.config.pluginmanager.register(reporting, "parallel_energy_reporting")
    return reporting


def _make_temporary_root(config: pytest.Config) -> None:
    """Make the folder above the worker's own, which only exists on the controller's host."""
    if HOST_INPUT in config.workerinput and config.option.basetemp:  # type: ignore[attr-defined]
        Path(config.option.basetemp).parent.mkdir(parents=True, exist_ok=True)


def _register_fleet(items: Items, reporting: Reporting) -> None:
    """Register what several hosts under pytest-xdist need, if the command line names any.

    Only for sessions with a setting of this plugin: other suites must work on several hosts as without it.
    """
    config = items.config
    if config.getoption("dist", "no") == "no" or config.option.collectonly:
        return
    from .fleet import Fleet, names_hosts

    if names_hosts(config):
        from .lost_hosts import LostHosts

        fleet = Fleet(items, reporting)
        config.pluginmanager.register(fleet, "parallel_energy_fleet")
        config.pluginmanager.register(LostHosts(items, reporting, fleet), "parallel_energy_lost_hosts")


def prepare_and_register(items: Items, experiments: Sequence[pytest.Item]) -> None:
    """Prepare the machine and the results folder, and register what runs and reports the experiments.

    Raises:
        pytest.UsageError: see :meth:`Items.prepare`.
    """
    from .running import Running

    config = items.config
    items.prepare()
    is_worker = hasattr(config, "workerinput")
    if not (is_worker or config.pluginmanager.hasplugin("parallel_energy_reporting")):
        _register_reporting(items)
    config.pluginmanager.register(Running(items, len(experiments)), "parallel_energy_running")
    if items.session.measures and not is_worker:
        from .live_progress import LiveProgress

        # Capture is suspended between items, so this is the terminal or the pipe that the person looks at.
        live = LiveProgress(items, frozenset(item.nodeid for item in experiments), os.dup(1))
        config.pluginmanager.register(live, "parallel_energy_progress")
