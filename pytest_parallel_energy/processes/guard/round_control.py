"""Control of a load's rounds: when they begin, how they are judged, and when the load is ready."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from typing import Any

from .init_link import InitLink
from .logs import Logs
from .messages import AnswerScript, BecameReady, Freeze, LoopsInVain, Message, Thaw
from .owner_link import OwnerLink
from .pattern import PatternSearch
from .pulse import PULSE_S
from .readiness import Readiness
from .rounds import Rounds
from .throttle import Conditions
from .watches import Deadlines

__all__ = ["RoundControl"]

_LOOK_S = 0.025
_SHARED_MEMORY_WORDS = re.compile(rb"/dev/shm|shm_open|shared memory")
_SHARED_MEMORY_HINT = (
    "its log names shared memory: of /dev/shm it saw, read-only, what was there when it started, and what it created "
    "there was its own; --energy-shared-memory=writable lets it change what was there"
)


class RoundControl:
    """The rounds of one load; a command that runs once is a single round.

    Args:
        spec: the owner's specification.
        init: the init, which holds the load's processes.
        owner: gets the events.
        deadlines: where the next steps are put.
        order: sends an order to the init.
    """

    def __init__(
        self,
        spec: dict[str, Any],
        init: InitLink,
        owner: OwnerLink,
        deadlines: Deadlines,
        order: Callable[[Message], None],
    ) -> None:
        rules = spec["rounds"]
        self.logs = Logs(init.output, spec)
        self.leader_pid: int | None = None
        """The load's first process, as the owner sees it."""
        self.started_s: float | None = None
        """When the load was started."""
        self._rounds = Rounds(**{name: rules[name] for name in ("min_round_s", "backoff_s", "backoff_max_s")})
        self._vain_after: int = rules["vain_after"]
        self._is_script: bool = spec["marks"]
        self._readiness = Readiness(spec["ready"])
        self._conditions = Conditions(spec)
        self._ready_s: float | None = None
        self._stopping = False
        self._init = init
        self._deadlines = deadlines
        self._owner = owner
        self._order = order
        self._owner_stopped_s = 0.0
        self._failed_in_shared_memory = False
        self._matched_s: float | None = None
        self._left_running: list[tuple[int, list[str]]] = []
        if self._readiness.patterns:
            self.logs.pump.search = PatternSearch(self._readiness.patterns)

    @property
    def number(self) -> int:
        """Number of the present round, or of the last one; 0 before the first."""
        return self._rounds.number

    def open_log(self) -> None:
        """Open the log of the next round."""
        self.logs.open(self.number + 1)

    def request(self, at_s: float) -> None:
        """Begin the next round, at once after a good round and later after bad ones."""
        if not self._stopping:  # the script asked before it heard of the stop
            self._deadlines.set(self._let_go, at_s + self._rounds.delay_s())

    def cancel_request(self) -> None:
        """Forget that a round was requested: the loop script that requested it is gone."""
        self._deadlines.cancel(self._let_go)

    def _let_go(self, now_s: float) -> None:
        self.open_log()
        self.begin(now_s)
        self._order(AnswerScript(text=f"go {self._conditions.fit_batch()}".strip()))

    def begin(self, now_s: float) -> None:
        """Note that a round begins."""
        self._rounds.begin(now_s)
        if self._look_at_load not in self._deadlines:
            self._deadlines.set(self._look_at_load, self._conditions.begin(now_s))
        if not self._readiness.ready:
            self._readiness.begin(self._init.cpu_s())
            if self.logs.pump.search is not None:
                self.logs.pump.search.restart()
            self._deadlines.set(self._look_for_readiness, now_s)
        elif self._conditions.paced:
            self._deadlines.set(self._switch_duty, now_s)

    def end(self, now_s: float, code: int) -> None:
        """Note that the present round ended, and judge it; do nothing between rounds."""
        if self._rounds.began_s is None:
            return
        if self.logs.pump.drain():
            self._take_match()
        self._rounds.end(now_s, code)
        self._deadlines.cancel(self._switch_duty)
        self._conditions.rest(now_s)
        if self._conditions.paced and not self._stopping:
            self._order(Thaw())  # a freeze that was under way when the round ended would last for ever
        tail = self.logs.tail()
        if code != 0 and self._init.has_own_shared_memory and _SHARED_MEMORY_WORDS.search(tail):
            self._failed_in_shared_memory = True
        if self._conditions.learn(code, tail):
            self._rounds.bad_in_a_row = 0  # with half of the batch it is another load
        self._judge()

    def _judge(self) -> None:
        bad = self._rounds.bad_in_a_row
        went_well = not bad and self._rounds.last_code == 0
        if not self._readiness.ready and went_well and self._readiness.is_activity:
            self.become_ready()  # a whole round went well, and faster than activity could be seen
            return
        # A load that is ready is reported once per row of bad rounds: the owner may be hours from its end.
        vain = bad == self._vain_after if self._readiness.ready else bad >= self._vain_after
        if vain and self._is_script:
            self._owner.send(LoopsInVain(rounds=bad, code=self._rounds.last_code, tail=self.tail()))

    def note_left_running(self, commands: list[list[str]]) -> None:
        """Note processes that were still running when the present round ended."""
        self._left_running += [(self._rounds.number, command) for command in commands]

    def restart_delay_s(self, least_s: float) -> float:
        """Return how long to wait before a loop script that ended is started again."""
        return max(self._rounds.delay_s(), least_s)

    def stop(self) -> None:
        """Begin no further round; the present one is neither completed nor failed."""
        self._stopping = True
        self._rounds.break_off(time.monotonic())

    def become_ready(self) -> None:
        """Note that the load is ready, and tell the owner; a second call does nothing."""
        if self._ready_s is not None:
            return
        self._readiness.ready = True
        self._deadlines.cancel(self._look_for_readiness)
        now_s = time.monotonic()
        self._ready_s = self._since_start_s(now_s)
        self._owner.send(BecameReady(ready_s=self._ready_s))
        if self._conditions.paced and self._rounds.began_s is not None:
            self._deadlines.set(self._switch_duty, now_s)

    def move_output(self) -> None:
        """Move what the load has printed to its log."""
        if self.logs.pump.move():
            self._take_match()

    def _take_match(self) -> None:
        now_s = time.monotonic()
        self._matched_s = self._since_start_s(now_s)
        if self._readiness.take_match(now_s):
            self.become_ready()

    def _since_start_s(self, at_s: float) -> float:
        return at_s - (self.started_s if self.started_s is not None else at_s)

    def _look_for_readiness(self, now_s: float) -> None:
        if self._readiness.look(now_s, self._rounds.good_s(now_s), self._init.cpu_s()):
            self.become_ready()
        elif not self._readiness.ready and self._rounds.began_s is not None:
            self._deadlines.set(self._look_for_readiness, now_s + _LOOK_S)

    def _switch_duty(self, now_s: float) -> None:
        change, next_s = self._conditions.switch(now_s)
        self._deadlines.set(self._switch_duty, next_s)
        if change is not None:
            self._order(Freeze() if change else Thaw())

    def _look_at_load(self, now_s: float) -> None:
        if self._owner.is_stopped:
            self._owner_stopped_s += PULSE_S
        if self._rounds.began_s is None:  # the next round's first look is not of this time
            self._deadlines.set(self._look_at_load, self._conditions.begin(now_s))
            return
        pids = self._init.pids()
        if self._is_script:  # the loop script sleeps while its round runs, or is stopped
            pids = [pid for pid in pids if pid != self.leader_pid]
        next_s = self._conditions.look(now_s, pids, ready=self._readiness.ready)
        self._deadlines.set(self._look_at_load, next_s)

    def freeze_batch(self) -> None:
        """Let a fitted batch size only shrink from now on."""
        self._conditions.freeze_batch()

    def tail(self) -> str:
        """Return the end of the present log, 4 KiB at most."""
        return self.logs.tail().decode("utf-8", "replace")

    def problems(self) -> list[str]:
        """Return what a person should know about the load, one sentence each."""
        search = self.logs.pump.search
        found = [search.problem] if search is not None and search.problem else []
        stalled_s = self._conditions.stalled_s
        if stalled_s and not self._is_script:  # the report of a load has a field for it
            found.append(f"the command was stopped by a signal for {stalled_s:.1f} s")
        if self._owner_stopped_s:
            found.append(f"pytest was stopped by a signal for {self._owner_stopped_s:.1f} s")
        if self._failed_in_shared_memory:
            found.append(_SHARED_MEMORY_HINT)
        return found

    def figures(self) -> dict[str, Any]:
        """Return the fields of ``GuardStatus``, except for its flags."""
        now_s = time.monotonic()
        return {
            "now_s": now_s,
            **self._rounds.figures(now_s),
            "spans_s": self._rounds.spans_s(now_s),
            "running": self._rounds.began_s is not None,
            "cpu_s": self._init.cpu_s(),
            **self._conditions.figures(),
            "ready": self._readiness.ready,
            "ready_s": self._ready_s,
            "busy_s": None if self._readiness.busy_at_s is None else self._since_start_s(self._readiness.busy_at_s),
            "matched_s": self._matched_s,
            "left_running": self._left_running,
            "leader": self.leader_pid,
            "pids": self._init.pids(),
            "log_bytes": self.logs.pump.total_bytes,
            "lost_log_bytes": self.logs.lost_bytes,
            "tail": self.tail(),
        }
