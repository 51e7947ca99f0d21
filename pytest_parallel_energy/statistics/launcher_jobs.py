"""The jobs whose launcher gave them the same key, told apart by their time.

``torchrun`` with a fixed address and port, and without an id of its own, names its jobs by these alone: the next job
there has the same key. A node cannot know its job without asking the others, but a port belongs to one job at a time.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from ..records.job_part import REPEATED_KEYS, JobPart
from ..records.record import Record

__all__ = ["by_job"]

_Session = tuple[int, int, str]
"""The ranks of the job, the rank that measured a node, and the run that has its records."""
_LEAST_OVERLAP_RATIO = 0.5
"""Of the shorter one: the nodes of a job run the same tests at the same time, but their clocks differ."""


class _Interval(NamedTuple):
    """Seconds of the wall clock of one node."""

    start_s: float
    end_s: float

    def overlap_s(self, other: _Interval) -> float:
        """Return for how long both were, if that is enough to be one job; else a number below 0."""
        overlap_s = min(self.end_s, other.end_s) - max(self.start_s, other.start_s)
        shorter_s = min(self.end_s - self.start_s, other.end_s - other.start_s)
        return overlap_s if overlap_s >= _LEAST_OVERLAP_RATIO * shorter_s else -1.0

    def around(self, other: _Interval) -> _Interval:
        """Return the shortest interval that holds both."""
        return _Interval(min(self.start_s, other.start_s), max(self.end_s, other.end_s))


def by_job(members: Sequence[tuple[JobPart, Record]]) -> list[list[tuple[JobPart, Record]]]:
    """Return the records of one key, apart by job, in the order of their first records.

    A key with an id is that of one job, unless a rank has several runs: then the job was started again. Otherwise the
    runs of a job overlap by half of the shorter one or more, and each rank has one of them: the pairs that overlap
    longest are joined first. A record without a known time overlaps all others.
    """
    sessions: dict[_Session, list[tuple[JobPart, Record]]] = {}
    for job, record in members:
        sessions.setdefault((job.size, job.rank, record.run_id), []).append((job, record))
    ranks = [rank for _, rank, _ in sessions]
    if len(set(ranks)) == len(ranks) and not members[0][0].key.startswith(REPEATED_KEYS):
        return [list(members)]
    groups = {session: {session} for session in sessions}
    for one, other in _pairs(sessions):
        joined = groups[one] | groups[other]
        if len({rank for _, rank, _ in joined}) == len(joined):
            groups |= dict.fromkeys(joined, joined)
    jobs: list[list[tuple[JobPart, Record]]] = []
    done: set[_Session] = set()
    for session, group in groups.items():
        if session not in done:
            done |= group
            jobs.append([member for each in sessions if each in group for member in sessions[each]])
    return jobs


def _pairs(sessions: dict[_Session, list[tuple[JobPart, Record]]]) -> list[tuple[_Session, _Session]]:
    """Return the pairs of sessions that may be of one job, the longest overlap first."""
    times: dict[_Session, _Interval] = {}
    for session, members in sessions.items():
        for _, record in members:
            time = _time(record)
            times[session] = times.get(session, time).around(time)
    overlaps = {
        (one, other): times[one].overlap_s(times[other])
        for one, other in itertools.combinations(sessions, 2)
        if one[0] == other[0]
    }
    return sorted((pair for pair, overlap_s in overlaps.items() if overlap_s >= 0), key=lambda pair: -overlaps[pair])


def _time(record: Record) -> _Interval:
    try:
        start_s = datetime.fromisoformat(record.started_at).timestamp()
    except ValueError:
        return _Interval(-math.inf, math.inf)
    return _Interval(start_s, start_s + record.duration_s)
