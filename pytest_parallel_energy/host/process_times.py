"""CPU seconds by owner: this process with all its descendants, apart from the loads that it has started.

The CPU time of living processes is a difference between two looks. What a process used before the first look is left
out, also if it ends later and its parent waits for it: the kernel then adds its whole life to its parent's account.
"""

from __future__ import annotations

import os
import resource
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

from ..processes.guard.killing import has_children
from ..processes.guard.procfs import Stat, all_pids, children, read_file, read_stat
from .cpu_info import TICK_S

__all__ = ["FOREGROUND", "ProcessTimes"]

FOREGROUND = "foreground"
_TOLERANCE_S = 2 * TICK_S
"""The account of a parent counts in ticks, and has two parts (user and system)."""
_COST_RATIO = 0.0005
"""Largest share of the time that looking at processes may take, apart from the ends of a window."""

_Key = tuple[int, int]
"""A process: its pid, and its start in ticks since boot."""


class _Seen(NamedTuple):
    """One process at one look."""

    owner: str
    parent: _Key | None
    depth: int
    own_s: float
    waited_s: float
    """CPU seconds of ended children that it has waited for, in their whole lives."""

    @property
    def life_s(self) -> float:
        return self.own_s + self.waited_s


class ProcessTimes:
    """CPU seconds by owner, since this object was made.

    A process that this one has started belongs to it also when its parent ends before it (an orphan): it was seen
    below this process, or it carries ``marker`` in its environment, or it is a copy of this process that a fork made.
    An orphan that begins and ends between two looks is not seen. Every method may be called from any thread.

    Args:
        loads: returns the owner of each process that holds a load, by its pid; that process and all below it are
            the owner's.
        marker: a variable with the beginning of its value, ``NAME=VALUE``, that the processes to be found carry; empty
            for none.
        root: the process whose descendants count; by default this process.
    """

    def __init__(
        self, loads: Callable[[], Mapping[int, str]] = dict, *, marker: str = "", root: int | None = None
    ) -> None:
        self._loads = loads
        self._marker = os.fsencode(marker)
        self._root = os.getpid() if root is None else root
        self._lock = threading.Lock()
        self._used_s: dict[str, float] = {}
        self._began_ticks = int(time.clock_gettime(time.CLOCK_BOOTTIME) / TICK_S)
        self._searches_from_s = self._looks_from_s = 0.0
        self._reaped = _reaped()
        self._seen: dict[_Key, _Seen] = {}
        self._unclaimed: list[tuple[_Key, _Seen]] = []
        self._once: list[_Seen] = []
        self._seen = dict(self._look(search=False))
        if len(self._seen) > 1:  # one of them may have ended while it was looked for
            self.look()
            self._used_s.clear()

    def look(self, *, thorough: bool = False) -> None:
        """Read the CPU times of all processes; call it at least once per second, so that short lives are seen.

        A call is left out where looking so often would cost too much: where the kernel lists no children
        (``CONFIG_PROC_CHILDREN``), a look reads all processes of the machine, and so does the search for orphans.

        Args:
            thorough: look, and search for unknown orphans, whatever it costs: at the end of a window.
        """
        with self._lock:
            began_s = time.monotonic()
            if not thorough and began_s < self._looks_from_s:
                return
            search = self._ever_had_children() and (thorough or began_s >= self._searches_from_s)
            now = dict(self._look(search=search))
            self._account(now)
            self._seen = now
            ended_s = time.monotonic()
            rest_s = (ended_s - began_s) / _COST_RATIO
            if search:
                self._searches_from_s = ended_s + rest_s
            else:
                self._looks_from_s = ended_s + rest_s

    def used_s(self) -> dict[str, float]:
        """Return the CPU seconds up to the last look, by owner; an owner without any is absent."""
        with self._lock:
            return dict(self._used_s)

    # --- one look ------------------------------------------------------------------------------------------------

    def _look(self, *, search: bool) -> Iterator[tuple[_Key, _Seen]]:
        """Yield every living process of any owner, parents first."""
        census = _Census(full=search)
        loads = self._loads()
        found: set[_Key] = set()
        yield from self._below(self._root, FOREGROUND, census, loads, found)
        orphans = [key for key in self._seen if key not in found and census.is_alive(key)]
        if search:
            orphans += [key for key in census.begun_since(self._began_ticks) if key not in found and self._is_copy(key)]
        for key in orphans:
            owner = self._seen[key].owner if key in self._seen else FOREGROUND
            yield from self._below(key[0], owner, census, loads, found)

    def _below(
        self, top: int, owner: str, census: _Census, loads: Mapping[int, str], found: set[_Key]
    ) -> Iterator[tuple[_Key, _Seen]]:
        queue: list[tuple[int, str, _Key | None, int]] = [(top, owner, None, 0)]
        while queue:
            pid, owner, parent, depth = queue.pop()
            stat = census.stat(pid)
            if stat is None or (key := (pid, stat.start_ticks)) in found:
                continue
            found.add(key)
            owner = loads.get(pid, owner)
            own_s, waited_s = _times_s(pid, stat)
            yield key, _Seen(owner, parent, depth, own_s, waited_s)
            if pid != os.getpid() or has_children():
                queue += [(child, owner, key, depth + 1) for child in census.children(pid)]

    def _ever_had_children(self) -> bool:
        return self._root != os.getpid() or len(self._seen) > 1 or _reaped() != self._reaped or has_children()

    def _is_copy(self, key: _Key) -> bool:
        """Return whether a process carries the marker, or is a fork of this one that has started no program."""
        pid = key[0]
        try:
            environment = read_file(pid, "environ")
            if self._marker and any(entry.startswith(self._marker) for entry in environment.split(b"\0")):
                return True
            return environment == read_file("self", "environ") and read_file(pid, "cmdline") == read_file(
                "self", "cmdline"
            )
        except OSError:  # it has ended, or belongs to another user
            return False

    # --- the account ---------------------------------------------------------------------------------------------

    def _account(self, now: Mapping[_Key, _Seen]) -> None:
        """Add what was used since the last look."""
        reaped_s: dict[_Key, float] = {}
        for key, seen in now.items():
            before = self._seen.get(key)
            if before is None and key[1] < self._began_ticks - 1:
                before = seen  # it is older than this object: what it used before now is not known to be inside
            own_s, waited_s = (0.0, 0.0) if before is None else (before.own_s, before.waited_s)
            self._add(seen.owner, seen.own_s - own_s)
            reaped_s[key] = seen.waited_s - waited_s
        lives, self._unclaimed = self._ended(now), []
        for key, seen in lives:
            # The growth of a parent's account holds the whole lives of the children it waited for. A life that does
            # not fit was not waited for, so that no account has it; or it ended during this look: try once more.
            if reaped_s[key] >= seen.life_s - _TOLERANCE_S:
                reaped_s[key] -= seen.life_s
                if seen.owner != FOREGROUND:
                    self._add(seen.owner, max(0.0, reaped_s[key]))  # what a load used between its last look and its end
                    reaped_s[key] = min(0.0, reaped_s[key])
            elif seen not in self._once:
                self._unclaimed.append((key, seen))
        for key, rest_s in reaped_s.items():
            self._add(now[key].owner, rest_s)

    def _add(self, owner: str, seconds: float) -> None:
        if seconds > 0:
            self._used_s[owner] = self._used_s.get(owner, 0.0) + seconds

    def _ended(self, now: Mapping[_Key, _Seen]) -> list[tuple[_Key, _Seen]]:
        """Return the processes that have ended with their nearest ancestors that live, parents first."""
        again = [(key, seen) for key, seen in self._unclaimed if key in now]
        self._once = [seen for _, seen in again]
        ended = []
        for key, seen in self._seen.items():
            if key in now:
                continue
            ancestor = seen.parent
            while ancestor is not None and ancestor not in now:
                ancestor = self._seen[ancestor].parent if ancestor in self._seen else None
            if ancestor is not None:
                ended.append((ancestor, seen))
        return again + sorted(ended, key=lambda each: each[1].depth)


class _Census:
    """The processes of the machine during one look; each is read once.

    Args:
        full: read all processes at once. A kernel without lists of children needs this anyway.
    """

    def __init__(self, *, full: bool) -> None:
        self._stats: dict[int, Stat | None] = {}
        self._below: dict[int, list[int]] | None = None
        if full:
            self._read_all()

    def _read_all(self) -> dict[int, list[int]]:
        self._below = {}
        for pid in all_pids():
            stat = self.stat(pid)
            if stat is not None:
                self._below.setdefault(stat.parent, []).append(pid)
        return self._below

    def stat(self, pid: int) -> Stat | None:
        if pid not in self._stats:
            self._stats[pid] = read_stat(pid)
        return self._stats[pid]

    def is_alive(self, key: _Key) -> bool:
        stat = self.stat(key[0])
        return stat is not None and stat.start_ticks == key[1]

    def children(self, pid: int) -> list[int]:
        if self._below is None and _KERNEL_LISTS_CHILDREN:
            return children(pid)
        return (self._read_all() if self._below is None else self._below).get(pid, [])

    def begun_since(self, ticks: int) -> list[_Key]:
        return [
            (pid, stat.start_ticks)
            for pid, stat in self._stats.items()
            if stat is not None and stat.start_ticks >= ticks
        ]


_KERNEL_LISTS_CHILDREN = os.path.exists(f"/proc/self/task/{os.getpid()}/children")  # noqa: PTH110 - 10 µs less


def _times_s(pid: int, stat: Stat) -> tuple[float, float]:
    """Return the CPU seconds of a process itself, and of the children it has waited for."""
    if pid == os.getpid():
        ended = resource.getrusage(resource.RUSAGE_CHILDREN)
        return time.process_time(), ended.ru_utime + ended.ru_stime
    try:
        # the CPU clock of another process in nanoseconds (clock_getcpuclockid(3)), where /proc counts in ticks
        return time.clock_gettime((~pid << 3) | 2), stat.waited_s
    except OSError:  # it has ended since
        return stat.cpu_s - stat.waited_s, stat.waited_s


def _reaped() -> tuple[float, int]:
    """Return what changes when this process has waited for a child."""
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    return ended.ru_utime + ended.ru_stime, ended.ru_minflt
