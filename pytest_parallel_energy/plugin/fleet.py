"""Several hosts under pytest-xdist: hosts that differ are refused, and their clocks are compared.

Registered in the controller if ``--tx`` names a host or another interpreter; a plain ``-n 2`` never comes here.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Generator, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from msgspec.structs import replace

from ..records.run_info import FleetHost
from .collection import HOST_INPUT

if TYPE_CHECKING:
    from ..records.record import Record
    from .collection import Items
    from .reporting import Reporting

__all__ = ["Fleet", "names_hosts"]

_CLOCK_S = 1.0
"""Clocks that differ by less are not worth a remark: NTP keeps them within milliseconds."""


def names_hosts(config: pytest.Config) -> bool:
    """Return whether ``--tx`` starts workers elsewhere than in this interpreter on this host."""
    return any(spec.rpartition("*")[2] != "popen" for spec in config.getoption("tx", None) or ())


class Fleet:
    """The hosts of one session.

    Args:
        collection: gives the session and its settings.
        reporting: the keeper of the records.
    """

    def __init__(self, collection: Items, reporting: Reporting) -> None:
        self._collection = collection
        self._reporting = reporting
        self._own: dict[str, Any] | None = None
        self.hosts: dict[str, FleetHost] = {}
        """By the id of the worker."""
        self.specs: dict[str, Any] = {}
        """How execnet reaches each host, by its name."""

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_sessionstart(self, session: pytest.Session) -> Generator[None, Any, Any]:
        """Refuse what does not work with several hosts, and report a host that cannot be reached in one line.

        Raises:
            pytest.UsageError: a host cannot be reached, differs from this one, or ``--dist`` does not fit.
        """
        config = session.config
        if config.getoption("dist") not in {"load", "worksteal"}:
            raise pytest.UsageError(
                f"--dist={config.getoption('dist')}: use --dist=load with several hosts; only load and worksteal can "
                "run the test of a lost host again on another one"
            )
        if config.getoption("maxschedchunk", None) is None:
            config.option.maxschedchunk = 1  # the default hands out the tests of the first minutes in large batches
        try:
            result = yield
        except (OSError, EOFError) as error:
            raise pytest.UsageError(f"a host of --tx cannot be used: {self._unreached(error)}") from error
        self._note_hosts()
        return result

    def _unreached(self, error: BaseException) -> str:
        known = [host.hostname for host in self.hosts.values()]
        done = f"{', '.join(known)} answered, the next one did not" if known else "the first one did not answer"
        return (
            f"{done} ({str(error) or type(error).__name__}); try its command by hand: it must start Python on that host"
        )

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: Any) -> None:
        """Compare a host with this one before pytest starts there, and look at its clock.

        Raises:
            pytest.UsageError: plugin, code or a registry differ there.
        """
        from ..host import remote_facts

        request = self._request()
        if self._own is None:
            self._own = remote_facts.describe(request)
        channel = node.gateway.remote_exec(remote_facts)
        channel.send(request)
        facts = channel.receive()
        before_s = time.time()
        channel.send(None)
        clock_s = channel.receive()
        after_s = time.time()
        channel.waitclose()
        differences = _differences(facts, self._own)
        if differences:
            raise pytest.UsageError(
                f"the host {facts['hostname']} (worker {node.gateway.id}) differs from this one: "
                f"{'; '.join(differences)}; nothing has run"
            )
        elsewhere = (facts["hostname"], facts["boot_id"]) != (self._own["hostname"], self._own["boot_id"])
        self.hosts[node.gateway.id] = FleetHost(
            hostname=facts["hostname"],
            workers=(node.gateway.id,),
            clock_offset_s=round(clock_s - (before_s + after_s) / 2, 3) if elsewhere else 0.0,
            clock_u_s=round((after_s - before_s) / 2, 3),
            shares_results=facts["root"] is not None and facts["root"] == self._own["root"],
        )
        self.specs[facts["hostname"]] = node.gateway.spec
        self._collection.session.fleet = self._by_name()
        if elsewhere:
            node.workerinput[HOST_INPUT] = facts["hostname"]

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self) -> None:
        """Report tests of one name that ran with different values on different hosts."""
        self._reporting.problems.extend(_other_values(self._reporting.records))

    def _request(self) -> dict[str, Any]:
        config = self._collection.config
        folder = config.invocation_params.dir
        named = [str(argument).partition("::")[0] for argument in config.args]
        return {
            "sys_path": [entry or str(Path.cwd()) for entry in sys.path],
            "root": str(config.rootpath),
            "code": [str(folder / name) for name in named],
            "registries": [str(path) for path in self._collection.settings.models],
        }

    def _by_name(self) -> tuple[FleetHost, ...]:
        """Return each host once, with all its workers."""
        merged: dict[str, FleetHost] = {}
        for host in self.hosts.values():
            known = merged.get(host.hostname)
            workers = (*known.workers, *host.workers) if known else host.workers
            merged[host.hostname] = replace(host, workers=workers)
        return tuple(merged.values())

    def _note_hosts(self) -> None:
        for host in self._collection.session.fleet:
            if abs(host.clock_offset_s) > _CLOCK_S + host.clock_u_s:
                ahead = "ahead of" if host.clock_offset_s > 0 else "behind"
                self._reporting.problems.append(
                    f"the clock of {host.hostname} is {abs(host.clock_offset_s):.0f} s {ahead} this host's: the "
                    "starting times of its records are off by that much; durations and energy are not"
                )
        if self._collection.config.pluginmanager.hasplugin("rerunfailures"):
            self._reporting.problems.append(
                "pytest-rerunfailures opens a socket to the controller that workers on other hosts cannot reach: "
                "switch it off with -p no:rerunfailures"
            )


def _differences(facts: dict[str, Any], own: dict[str, Any]) -> list[str]:
    """Return in words what must be the same on all hosts of a session, and is not."""
    found = []
    if facts["plugin_version"] is None:
        found.append(
            "pytest_parallel_energy cannot be imported there from the import path of this host; install the packages "
            "in the same place on all hosts"
        )
    elif facts["plugin_version"] != own["plugin_version"]:
        found.append(f"pytest-parallel-energy {facts['plugin_version']} is there, {own['plugin_version']} here")
    elif facts["plugin_code"] != own["plugin_code"]:
        found.append(f"the code of pytest-parallel-energy {own['plugin_version']} is another one there")
    if facts["root"] is None:
        found.append("the folder of the project does not exist there; use the same path on all hosts")
    elif facts["code"] != own["code"]:
        found.append("the code of the tests is another one there; copy or check out the same state")
    found += [
        f"the registry {path} is {'missing' if facts['registries'][path] is None else 'another one'} there"
        for path, digest in own["registries"].items()
        if facts["registries"][path] != digest
    ]
    return found


def _other_values(records: Sequence[Record]) -> Iterator[str]:
    """Yield a sentence per cell of which hosts ran different values, although its tests have the same names."""
    from ..statistics.grouping import cell_name

    hosts: dict[str, dict[str | None, str]] = {}
    for record in records:
        if record.values_id is not None:
            hosts.setdefault(cell_name(record.nodeid), {})[record.values_id] = record.host.hostname or "unknown"
    for name, by_values in hosts.items():
        if len(by_values) > 1:
            yield (
                f"{name} had other values on {' and '.join(by_values.values())} under the same name: its values come "
                "from something that differs between hosts"
            )
