"""Several hosts under pytest-xdist: hosts that differ are refused, a lost host does not end the session.

Registered in the controller if ``--tx`` names a host or another interpreter; a plain ``-n 2`` never comes here.
"""

from __future__ import annotations

import contextlib
import copy
import dataclasses
import datetime as dt
import hashlib
import sys
import time
from collections.abc import Generator, Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from ..errors import ParallelEnergyError
from ..records.record import HostPart, MeterPart, Record, Status
from ..records.run_info import FleetHost
from .collection import HOST_INPUT

if TYPE_CHECKING:
    from .collection import Items
    from .reporting import Reporting

__all__ = ["Fleet", "names_hosts"]

_CLOCK_S = 1.0
"""Clocks that differ by less are not worth a remark: NTP keeps them within milliseconds."""
_HASH_DIGITS = 12


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
        self._hosts: dict[str, FleetHost] = {}
        """By the id of the worker."""
        self._specs: dict[str, Any] = {}
        """How to reach each host, by its name; a lost host is left out."""
        self._started: dict[str, tuple[str, float]] = {}
        """When each test that runs began: wall clock as text, and monotonic seconds."""
        self._lost: dict[str, tuple[FleetHost, str, float]] = {}
        """Tests whose worker was lost, with its host, the wall clock and the seconds it ran."""

    # --- the start -----------------------------------------------------------------------------------------------

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
        self._survive_lost_hosts(session)
        self._note_hosts()
        return result

    def _unreached(self, error: BaseException) -> str:
        known = [host.hostname for host in self._hosts.values()]
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
        self._hosts[node.gateway.id] = FleetHost(
            hostname=facts["hostname"],
            workers=(node.gateway.id,),
            clock_offset_s=round(clock_s - (before_s + after_s) / 2, 3) if elsewhere else 0.0,
            clock_u_s=round((after_s - before_s) / 2, 3),
            shares_results=facts["root"] is not None and facts["root"] == self._own["root"],
        )
        self._specs[facts["hostname"]] = node.gateway.spec
        if elsewhere:
            node.workerinput[HOST_INPUT] = facts["hostname"]

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

    def _note_hosts(self) -> None:
        merged: dict[str, FleetHost] = {}
        for host in self._hosts.values():
            known = merged.get(host.hostname)
            workers = (*known.workers, *host.workers) if known else host.workers
            merged[host.hostname] = dataclasses.replace(host, workers=workers)
        for host in merged.values():
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
        self._collection.session.fleet = tuple(merged.values())

    # --- a lost host -----------------------------------------------------------------------------------------------

    def _survive_lost_hosts(self, session: pytest.Session) -> None:
        """Let xdist continue without a host that cannot be reached any more.

        xdist replaces a worker that died by one on the same host, and ends with an internal error when that host is
        gone. There is no public hook for this choice, so the method is replaced, if this version of xdist has it. The
        other workers do the rest; where they have ended already, another host gets a new one.
        """
        scheduler: Any = session.config.pluginmanager.get_plugin("dsession")
        clone = getattr(scheduler, "_clone_node", None)
        if clone is None:
            return

        def clone_where_possible(node: Any) -> Any:
            try:
                return clone(node)
            except (OSError, EOFError):
                host = self._hosts[node.gateway.id]
                self._specs.pop(host.hostname, None)
                self._reporting.problems.append(f"the host {host.hostname} was lost and does not answer any more")
            others = [worker for worker in scheduler.sched.nodes if not worker.shutting_down]
            if others or scheduler.sched.tests_finished:
                return None
            for name, spec in list(self._specs.items()):
                with contextlib.suppress(OSError, EOFError):
                    return clone(SimpleNamespace(gateway=SimpleNamespace(spec=copy.copy(spec))))
                del self._specs[name]
            raise session.Interrupted("all hosts were lost; --energy-resume resumes the run")

        scheduler._clone_node = clone_where_possible  # noqa: SLF001 - as above

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        """Note when a test began, for the record of a test whose host is lost."""
        self._started[nodeid] = dt.datetime.now().astimezone().isoformat(timespec="milliseconds"), time.monotonic()

    def pytest_runtest_logfinish(self, nodeid: str) -> None:
        """Forget a test that ended."""
        self._started.pop(nodeid, None)

    @pytest.hookimpl(optionalhook=True)
    def pytest_handlecrashitem(self, crashitem: str, report: pytest.TestReport, sched: Any) -> None:
        """Run the test of a lost worker once more, on whatever host is free."""
        worker = report.node.gateway.id
        host = self._hosts.get(worker, FleetHost(hostname="unknown", workers=(worker,)))
        started_at, started_s = self._started.pop(crashitem, ("", time.monotonic()))
        if crashitem in self._lost:
            self._reporting.problems.append(f"{crashitem} lost its worker twice and is not run again")
            return
        self._lost[crashitem] = host, started_at, time.monotonic() - started_s
        sched.mark_test_pending(crashitem)
        self._reporting.problems.append(
            f"worker {worker} on {host.hostname} was lost while it ran {crashitem}, which is run once more"
        )

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self) -> None:
        """Keep a record of each test whose host took its own record along."""
        run = self._collection.session
        self._reporting.problems.extend(_other_values(self._reporting.records))
        if not self._lost or not run.has_store:
            return
        from ..records.reader import unfinished_records

        crashed = [record.nodeid for record in self._reporting.records if record.status is Status.CRASHED]
        known = {record.record_id for record in self._reporting.records}
        try:
            unfinished = unfinished_records(run.open_store().folder, known)
            found = {*crashed, *(record.nodeid for record in unfinished)}
        except ParallelEnergyError as error:
            self._reporting.problems.append(str(error))
            return
        for nodeid, (host, started_at, seconds) in self._lost.items():
            if nodeid not in found:
                self._reporting.keep(self._crashed(nodeid, host, started_at, seconds))

    def _crashed(self, nodeid: str, host: FleetHost, started_at: str, seconds: float) -> Record:
        """Return the record of a test of which the controller knows no more than that it began."""
        run_id = self._collection.session.run_folder.name
        again = next((record for record in self._reporting.records if record.nodeid == nodeid), None)
        digest = hashlib.sha256(f"{run_id} {nodeid} {host.workers}".encode()).hexdigest()
        return Record(
            record_id=digest[:32],
            run_id=run_id,
            nodeid=nodeid,
            cell=again.cell if again else digest[:_HASH_DIGITS],
            planned_cell=again.planned_cell if again else None,
            repetition=again.repetition if again else 0,
            values_id=again.values_id if again else None,
            status=Status.CRASHED,
            reason=f"the host {host.hostname} was lost while this test ran",
            started_at=started_at,
            duration_s=seconds,
            meter=MeterPart(flags=("written by the controller: the lost host kept what it had measured",)),
            host=HostPart(hostname=host.hostname),
        )


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
