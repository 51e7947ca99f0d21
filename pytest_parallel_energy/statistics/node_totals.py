"""The energy of one test over all nodes of a job: one record per node, added up."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence

from msgspec import Struct

from ..records.job_part import JobPart
from ..records.record import Record, Status
from .launcher_jobs import by_job
from .measured_as import measured_as

__all__ = ["NodeShare", "NodeTotal", "node_totals"]


class NodeShare(Struct, frozen=True, kw_only=True):
    """One node's part of a total; ``None`` where it is unknown."""

    host: str
    rank: int
    """Of the process that measured it."""
    total_j: float | None
    u95_j: float | None
    window_s: float | None


class NodeTotal(Struct, frozen=True, kw_only=True):
    """The sum over the nodes of one repetition of one test; ``total_j`` is ``None`` where a part of it is unknown."""

    key: str
    """The job's key."""
    nodeid: str
    recorded_nodes: int
    nodes: int | None
    """Nodes of the job; ``None`` where the launcher did not report it."""
    total_j: float | None
    u95_j: float | None
    """Half-width of the 95 % interval of ``total_j``."""
    window_s: float | None
    """The longest window of the nodes, seconds."""
    problems: tuple[str, ...] = ()
    """The reasons why there is no total."""
    members: tuple[NodeShare, ...] = ()
    """The nodes that have a record, by rank."""
    started_at: str | None = None
    """The time of its first record, where several jobs have this key; ``None`` where only one has it."""

    @property
    def job_name(self) -> str:
        """The key, with the time where it does not name one job."""
        return self.key if self.started_at is None else f"{self.key} of {self.started_at}"

    def __str__(self) -> str:
        of = "" if self.nodes is None else f" of {self.nodes}"
        place = f"{self.nodeid}, job {self.job_name}, {self.recorded_nodes}{of} nodes"
        if self.total_j is None:
            return f"{place}: the total is incomplete: {'; '.join(self.problems)}"
        interval = "" if self.u95_j is None else f" ± {self.u95_j:.4g} J"
        return f"{place}: {self.total_j:.6g} J{interval} in {self.window_s or 0.0:.4g} s (network not included)"


def node_totals(records: Iterable[Record]) -> tuple[NodeTotal, ...]:
    """Return the total of each test that ran on several nodes, in the order of the records.

    Joules are added, and the time is the longest one (Zeus adds up its ranks in the same way). A missing node makes the
    total incomplete, never smaller, and so do nodes that measured different parts or with different quality. Nodes with
    sensors of the same model err together, so that their half-widths add; those of different models are independent
    and add in quadrature (GUM, JCGM 100:2008, 5.1.2 and 5.2.2). Jobs of one key are told apart by their time.
    """
    keys: dict[str, list[tuple[JobPart, Record]]] = {}
    for record in records:
        job = record.job
        if job is not None and job.size > job.local_size:
            keys.setdefault(job.key, []).append((job, record))
    return tuple(total for key, members in keys.items() for total in _totals(key, members))


def _totals(key: str, members: Sequence[tuple[JobPart, Record]]) -> Iterator[NodeTotal]:
    jobs = by_job(members)
    for job in jobs:
        started_at = min(record.started_at for _, record in job) if len(jobs) > 1 else None
        # not by cell, whose hash holds the class of the host: the nodes of a job may differ
        tests: dict[str, list[tuple[JobPart, Record]]] = {}
        for part, record in job:
            tests.setdefault(record.nodeid, []).append((part, record))
        for nodeid, records in tests.items():
            yield _total(key, nodeid, records, started_at)


def _total(key: str, nodeid: str, members: Sequence[tuple[JobPart, Record]], started_at: str | None) -> NodeTotal:
    by_rank: dict[int, tuple[JobPart, Record]] = {}
    for job, record in members:
        known = by_rank.get(job.rank)
        # a retry or a requeued job: the attempt that passed counts, else the last one
        if known is None or known[1].status is not Status.PASSED or record.status is Status.PASSED:
            by_rank[job.rank] = (job, record)
    first = members[0][0]
    records = [record for _, record in by_rank.values()]
    problems = _problems([job for job, _ in by_rank.values()], records, first)
    if started_at is not None and len(by_rank) < (first.nodes or 2):
        problems += ("other records with this key are of another time: of other jobs, unless the clocks differ",)
    joules = [record.energy.total_j for record in records if record.energy.total_j is not None]
    windows_s = [record.energy.window_s for record in records if record.energy.window_s is not None]
    return NodeTotal(
        key=key,
        nodeid=nodeid,
        recorded_nodes=len(records),
        nodes=first.nodes,
        total_j=None if problems else math.fsum(joules),
        u95_j=None if problems else _combined_u95_j(records),
        window_s=max(windows_s, default=None),
        problems=problems,
        members=tuple(_share(job, record) for _, (job, record) in sorted(by_rank.items())),
        started_at=started_at,
    )


def _share(job: JobPart, record: Record) -> NodeShare:
    return NodeShare(
        host=record.host.hostname or "unknown host",
        rank=job.rank,
        total_j=record.energy.total_j,
        u95_j=record.energy.total_u95_j,
        window_s=record.energy.window_s,
    )


def _problems(jobs: Sequence[JobPart], records: Sequence[Record], first: JobPart) -> tuple[str, ...]:
    problems = []
    ranks = sum(job.local_size for job in jobs)
    if ranks != first.size:
        problems.append(f"the records cover {ranks} of {first.size} ranks")
    machines = [(record.host.machine_id, record.host.hostname) for record in records if record.host.hostname]
    if len(set(machines)) < len(machines):
        problems.append("several nodes are the same machine, which each of them measured as a whole")
    ways = {id(record): measured_as(record) for record in records}
    if len({(way.boundary, way.quality) for way in ways.values() if way is not None}) > 1:
        parts = [
            f"{record.host.hostname or 'a node'} {record.energy.total_j:.6g} J ({ways[id(record)]})"
            for record in records
            if record.energy.total_j is not None
        ]
        problems.append(f"the nodes did not measure the same: {', '.join(parts)}")
    problems += [
        f"the energy of {record.host.hostname or 'a node'} is unknown"
        for record in records
        if record.energy.total_j is None
    ]
    return tuple(problems)


def _combined_u95_j(records: Sequence[Record]) -> float | None:
    """Return the half-width of the sum; ``None`` where that of a node is unknown."""
    models: dict[frozenset[tuple[str, str]], float] = {}
    for record in records:
        u95_j = record.energy.total_u95_j
        if u95_j is None:
            return None
        model = frozenset((domain.source, domain.quality) for domain in record.energy.domains)
        models[model] = models.get(model, 0.0) + u95_j
    return math.hypot(*models.values())
