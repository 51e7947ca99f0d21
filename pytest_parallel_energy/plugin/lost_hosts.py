"""A host that is lost in the middle of a session of pytest-xdist: the session continues, and no record is missing."""

from __future__ import annotations

import contextlib
import copy
import datetime as dt
import hashlib
import time
from collections.abc import Iterator, Sequence
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from ..errors import ParallelEnergyError
from ..records.cell import CELL_DIGITS
from ..records.record import HostPart, MeterPart, Record, Status
from ..records.run_info import FleetHost

if TYPE_CHECKING:
    from .collection import Items
    from .fleet import Fleet
    from .reporting import Reporting

__all__ = ["LostHosts"]


class LostHosts:
    """The keeper of what lost hosts took along.

    Args:
        collection: gives the session.
        reporting: the keeper of the records.
        fleet: the hosts of the session.
    """

    def __init__(self, collection: Items, reporting: Reporting, fleet: Fleet) -> None:
        self._collection = collection
        self._reporting = reporting
        self._fleet = fleet
        self._started: dict[str, tuple[str, float]] = {}
        """When each test that runs began: wall clock as text, and monotonic seconds."""
        self._lost: dict[str, tuple[FleetHost, str, float]] = {}
        """Tests whose worker was lost, with its host, the wall clock and the seconds it ran."""
        self._ended: set[str] = set()

    @pytest.hookimpl(trylast=True)
    def pytest_sessionstart(self, session: pytest.Session) -> None:
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
                host = self._host_of(node.gateway.id)
                self._fleet.specs.pop(host.hostname, None)
                self._reporting.problems.append(f"the host {host.hostname} was lost and does not answer any more")
            others = [worker for worker in scheduler.sched.nodes if not worker.shutting_down]
            if others or scheduler.sched.tests_finished:
                return None
            for name, spec in list(self._fleet.specs.items()):
                with contextlib.suppress(OSError, EOFError):
                    return clone(SimpleNamespace(gateway=SimpleNamespace(spec=copy.copy(spec))))
                del self._fleet.specs[name]
            raise session.Interrupted("all hosts were lost; --energy-resume resumes the run")

        scheduler._clone_node = clone_where_possible  # noqa: SLF001 - as above

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        """Note when a test began, for the record of a test whose host is lost."""
        self._started[nodeid] = dt.datetime.now().astimezone().isoformat(timespec="milliseconds"), time.monotonic()

    def pytest_runtest_logfinish(self, nodeid: str) -> None:
        """Forget a test that ended."""
        self._started.pop(nodeid, None)
        self._ended.add(nodeid)

    @pytest.hookimpl(optionalhook=True)
    def pytest_handlecrashitem(self, crashitem: str, report: pytest.TestReport, sched: Any) -> None:
        """Run the test of a lost worker once more, on whatever host is free."""
        worker = report.node.gateway.id
        host = self._host_of(worker)
        started_at, started_s = self._started.pop(crashitem, ("", time.monotonic()))
        if crashitem in self._lost:
            self._reporting.problems.append(f"{crashitem} lost its worker twice and is not run again")
            return
        self._lost[crashitem] = host, started_at, time.monotonic() - started_s
        self._ended.discard(crashitem)
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
        measured = {record.nodeid for record in self._reporting.records}
        for nodeid, (host, started_at, seconds) in self._lost.items():
            is_plain = nodeid in self._ended and nodeid not in measured  # it ran again and left no record
            if nodeid not in found and not is_plain:
                self._reporting.keep(self._crashed(nodeid, host, started_at, seconds))

    def _host_of(self, worker: str) -> FleetHost:
        return self._fleet.hosts.get(worker, FleetHost(hostname="unknown", workers=(worker,)))

    def _crashed(self, nodeid: str, host: FleetHost, started_at: str, seconds: float) -> Record:
        """Return the record of a test of which the controller knows no more than that it began."""
        run_id = self._collection.session.run_folder.name
        again = next((record for record in self._reporting.records if record.nodeid == nodeid), None)
        digest = hashlib.sha256(f"{run_id} {nodeid} {host.workers}".encode()).hexdigest()
        return Record(
            record_id=digest[:32],
            run_id=run_id,
            nodeid=nodeid,
            cell=again.cell if again else digest[:CELL_DIGITS],
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
