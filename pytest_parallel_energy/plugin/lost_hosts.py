"""A host that is lost in the middle of a session of pytest-xdist: the session continues, and no record is missing."""

from __future__ import annotations

import contextlib
import copy
import datetime as dt
import hashlib
import time
from collections import Counter
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from msgspec import Struct

from ..errors import ParallelEnergyError
from ..records.cell import CELL_DIGITS
from ..records.record import HostPart, MeterPart, Record, Status
from ..records.run_info import FleetHost

if TYPE_CHECKING:
    from .collection import Items
    from .fleet import Fleet
    from .reporting import Reporting

__all__ = ["LostHosts"]


class _Loss(Struct, frozen=True, kw_only=True):
    """A host that was lost while it ran a test."""

    nodeid: str
    host: FleetHost
    started_at: str
    """The wall clock when the test began, as text."""
    duration_s: float


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
        self._losses: list[_Loss] = []
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
        is_second = any(loss.nodeid == crashitem for loss in self._losses)
        self._losses.append(
            _Loss(nodeid=crashitem, host=host, started_at=started_at, duration_s=time.monotonic() - started_s)
        )
        if is_second:
            self._reporting.problems.append(f"{crashitem} lost its worker twice and is not run again")
            return
        self._ended.discard(crashitem)
        sched.mark_test_pending(crashitem)
        self._reporting.problems.append(
            f"worker {worker} on {host.hostname} was lost while it ran {crashitem}, which is run once more"
        )

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self) -> None:
        """Keep a record of each attempt whose host took its own record along."""
        run = self._collection.session
        if not self._losses or not run.has_store:
            return
        from ..records.reader import unfinished_records

        crashed = [record for record in self._reporting.records if record.status is Status.CRASHED]
        known = {record.record_id for record in self._reporting.records}
        try:
            unfinished = unfinished_records(run.open_store().folder, known)
            found = Counter((record.nodeid, record.host.hostname) for record in (*crashed, *unfinished))
        except ParallelEnergyError as error:
            self._reporting.problems.append(str(error))
            return
        measured = {record.nodeid for record in self._reporting.records}
        for loss in self._losses:
            is_plain = loss.nodeid in self._ended and loss.nodeid not in measured  # it ran again and left no record
            own = loss.nodeid, loss.host.hostname
            if found[own]:
                found[own] -= 1
            elif not is_plain:
                self._reporting.keep(self._crashed(loss))

    def _host_of(self, worker: str) -> FleetHost:
        return self._fleet.hosts.get(worker, FleetHost(hostname="unknown", workers=(worker,)))

    def _crashed(self, loss: _Loss) -> Record:
        """Return the record of a test of which the controller knows no more than that it began."""
        run_id = self._collection.session.run_folder.name
        again = next((record for record in self._reporting.records if record.nodeid == loss.nodeid), None)
        digest = hashlib.sha256(f"{run_id} {loss.nodeid} {loss.host.workers}".encode()).hexdigest()
        return Record(
            record_id=digest[:32],
            run_id=run_id,
            nodeid=loss.nodeid,
            cell=again.cell if again else digest[:CELL_DIGITS],
            planned_cell=again.planned_cell if again else None,
            repetition=again.repetition if again else 0,
            values_id=again.values_id if again else None,
            status=Status.CRASHED,
            reason=f"the host {loss.host.hostname} was lost while this test ran",
            started_at=loss.started_at,
            duration_s=loss.duration_s,
            meter=MeterPart(flags=("written by the controller: the lost host kept what it had measured",)),
            host=HostPart(hostname=loss.host.hostname),
        )
