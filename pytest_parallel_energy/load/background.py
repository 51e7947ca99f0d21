"""The background load: one training that runs round after round until it is stopped.

::

    with BackgroundLoad(["python", "train.py"]) as load:
        ...  # it was seen to work; what happens here runs alongside it
    print(load.coverage_ratio, load.report())
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from msgspec.structs import replace

from ..errors import LoadError, ProcessError
from ..processes.child import Supervised, start_supervised
from ..processes.command import Command, checked_words, command_name, with_own_python
from ..processes.outcome import GuardStatus, Outcome
from ..processes.rules import Supervision
from ..processes.visible_devices import DEVICE_VARIABLES, device_environment
from ..records.masking import mask_arguments
from ..records.record import LoadReport
from .gpu_memory import check_allocator, memory_environment
from .request import DRIVER, LoadSettings
from .rounds_seen import failed_rounds_only, rounds_in_words, spans_in_window, status_remarks
from .script import find_program, loop_script, words_of_round
from .tally import NO_FIGURES, figures, since

__all__ = ["BackgroundLoad"]

_TAIL_BYTES = 64 << 10
_PRIVATE = 0o600  # /bin/sh reads the script: it need not be executable
_OOM_SCORE_ADJ = 500  # halfway: the load goes before pytest and the training under measurement


class BackgroundLoad:
    """A background load.

    As a context manager it counts its coverage from the moment at which it is ready to the end of the block.

    Args:
        command: what each round runs: a list of words, in the current folder, or a ``Command``. In a list, ``python``
            and ``python3`` are the interpreter that runs this program.
        name: stands in messages and records; the program or its script by default.
        folder: gets ``loop.sh`` and one ``round-N.log`` per round; created if missing. By default a temporary folder
            that is removed when the load has stopped.
        settings: the conditions under which it runs.

    Raises:
        ConfigError: the command is a text or empty, or ``gpu_memory_fraction`` is set where no limit can be enforced:
            there is no GPU, or the command's interpreter has no PyTorch whose allocator knows the option.
    """

    def __init__(
        self,
        command: Command | Sequence[object],
        *,
        name: str | None = None,
        folder: Path | str | None = None,
        settings: LoadSettings | None = None,
    ) -> None:
        self.settings = settings or LoadSettings()
        if not isinstance(command, Command):
            words = checked_words(command)
            name, command = name or command_name(words), Command(argv=with_own_python(words))
        env = {
            **command.env,
            **device_environment(self.settings.devices),
            **memory_environment(self.settings.gpu_memory_fraction, {**os.environ, **command.env}),
        }
        self.command = replace(command, cwd=(command.cwd or Path.cwd()).absolute(), env=env)
        """The command of a round, with the variables that select its devices and limit its GPU memory."""
        check_allocator(self.command, self.settings.gpu_memory_fraction)
        self.name = name or command_name(command.argv)
        self._scratch = None if folder else tempfile.TemporaryDirectory(prefix="parallel-energy-load-")
        self.log_dir = Path(folder or (self._scratch.name if self._scratch else "")).absolute()
        """The folder of ``round-N.log``."""
        self._child: Supervised | None = None
        self._outcome: Outcome | None = None
        self._asked_to_end = False  # known before the outcome is: another thread may call trouble() meanwhile
        self._before: GuardStatus | None = None
        self._opened: tuple[float, float] | None = None
        self._closed: tuple[float, float] | None = None
        self._status_at_opening: GuardStatus | None = None
        self.remarks: list[str] = []
        """Remarks from the checks of its work, for the report."""
        self._window_flags: tuple[str, ...] = ()

    @property
    def script(self) -> Path:
        """The loop script, which is what really runs; a user can read it and run it by hand."""
        return self.log_dir / "loop.sh"

    # --- life -----------------------------------------------------------------------------------------------------

    def start(self) -> Self:
        """Write the script, run it, and return when the load is ready.

        Raises:
            LoadError: the command cannot be found or executed; or it did not become ready in time, or loops in vain.
                The message ends with the tail of its log. No process is left running.
            ConfigError: the command contains a value that a shell script cannot hold.
        """
        if self._child is not None:
            raise LoadError(f"the background load {self.name!r} was started before; create a new one to run it again")
        self._write_script(find_program(self.command, self.name))
        # the script exports the variables of its rounds itself; the guard must know which GPUs are the load's
        devices = {name: self.command.env[name] for name in DEVICE_VARIABLES if name in self.command.env}
        env = {"PARALLEL_ENERGY_SUPERVISED": "1", **devices}
        try:
            self._child = start_supervised(
                Command(argv=("/bin/sh", str(self.script)), cwd=self.log_dir, env=env), self._supervision()
            )
        except ProcessError as error:
            raise LoadError(f"the background load {self.name!r} could not be started: {error}") from error
        try:
            ready = self._child.await_ready(self.settings.longest_wait_s)
            reason = "" if ready else self._why_not_ready(self._child)
        except BaseException:
            self.stop()
            raise
        if reason:
            self.stop()
            raise LoadError(reason)
        return self

    def _supervision(self) -> Supervision:
        return Supervision(
            log=self.log_dir,
            rounds=self.settings.rounds,
            ready=replace(self.settings.ready, patience_s=self.settings.ready_timeout_s),
            container=self.settings.container,
            grace_s=self.settings.grace_s,
            log_limit_bytes=self.settings.log_limit_bytes,
            log_tail_bytes=_TAIL_BYTES,
            oom_score_adj=_OOM_SCORE_ADJ,
            max_processes=self.settings.max_processes,
            intensity=self.settings.intensity,
            target_gpu_percent=self.settings.target_gpu_utilisation,
            batch=None if self.settings.batch is None else self.settings.batch.first,
            nvml=self.settings.nvml,
            shared_memory=self.settings.shared_memory,
        )

    def _write_script(self, program: str) -> None:
        command = replace(self.command, argv=(program, *self.command.argv[1:]))
        settings = self.settings
        text = loop_script(
            command, name=self.name, folder=self.log_dir, batch=settings.batch, template=settings.template
        )
        try:
            self.log_dir.mkdir(parents=True, exist_ok=True)
            self.script.touch(mode=_PRIVATE)
            self.script.chmod(_PRIVATE)  # before there is anything to read: it exports the load's environment
            self.script.write_bytes(os.fsencode(text))
        except OSError as error:
            raise LoadError(f"the loop script {self.script} cannot be written: {error.strerror}") from error

    def _why_not_ready(self, child: Supervised) -> str:
        if child.vain:
            return self._in_vain(child.vain)
        if not child.alive:
            return f"the background load {self.name!r} was stopped before it was ready"
        status = child.status()
        tail = status.tail.strip() if status is not None else ""
        used = "" if status is None else f" It has used {status.cpu_s:.1f} s of CPU."
        return (
            f"the background load {self.name!r} was not ready ({self.settings.ready}) within "
            f"{self.settings.longest_wait_s:g} s.{used} Its log ends with:\n{tail or '(nothing)'}"
        )

    def _in_vain(self, why: str) -> str:
        return f"the background load {self.name!r} loops in vain: {why}"

    def trouble(self) -> str | None:
        """Return what went wrong with the load while a test runs alongside it; ``None`` for nothing.

        It reads only what the guard has already sent, so that the call does not disturb a measurement.
        """
        child = self._child
        if child is None or self._asked_to_end or child.ready_s is None:
            return None
        if not child.alive and not self._asked_to_end:
            return f"the background load {self.name!r} has ended"
        return self._in_vain(child.vain) if child.vain and not self._asked_to_end else None

    def stop(self) -> LoadReport:
        """Stop the load and return its report; a second call returns the report again."""
        self._asked_to_end = True
        if self._child is not None and self._outcome is None:
            self._outcome = self._child.stop()
        if self._scratch is not None:
            self._scratch.cleanup()
        return self.report()

    def __repr__(self) -> str:
        if self._child is None:
            return f"<background load {self.name!r}, not started>"
        state = "running" if self._outcome is None else f"stopped ({self._outcome.stopped})"
        return f"<background load {self.name!r}, {state}, logs in {self.log_dir}>"

    def __enter__(self) -> Self:
        self.start()
        self.window_opened()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self.window_closed()
        finally:
            self.stop()

    # --- the window -----------------------------------------------------------------------------------------------

    def begin_attempt(self) -> None:
        """Count rounds, times and CPU seconds from now on: those before belong to the previous attempt."""
        self._before = self.status()

    def window_opened(self) -> None:
        """Begin to count for how much of the measurement window the load runs."""
        if self._child is not None:
            self._child.freeze_batch()
        self._opened, self._closed = self._mark(), None
        self._status_at_opening = self.status()

    def window_continues(self) -> None:
        """Forget the end that ``window_closed`` noted: the window is still open."""
        self._closed = None

    def window_closed(self) -> None:
        """Keep the coverage as it is now, and flag batch sizes that changed during the window."""
        if self._closed is None:
            self._closed = self._mark()
            before = self._status_at_opening
            changed = self.report().batch_sizes[max(0, len(before.batch_sizes) - 1 if before else 0) :]
            if len(changed) > 1:
                words = ", ".join(map(str, changed))
                self._window_flags = (f"its batch size changed during the window: {words}",)

    def _mark(self) -> tuple[float, float]:
        """Return the monotonic clock, and the seconds that the load has run up to now."""
        status = self.status()
        if status is None:
            return time.monotonic(), 0.0
        # A load that has ended does not run on: its last figures are of its end, the clock is not.
        return (status.now_s if self.alive else time.monotonic()), status.ran_s - status.stalled_s - status.hung_s

    @property
    def coverage_ratio(self) -> float | None:
        """Share of the window during which a round ran, 0 to 1, up to now or its end; ``None`` before it opens."""
        if self._opened is None or self._is_lost():
            return None
        now_s, ran_s = self._closed or self._mark()
        opened_s, ran_before_s = self._opened
        if now_s <= opened_s:
            return 1.0 if self.alive else 0.0
        return min(1.0, max(0.0, (ran_s - ran_before_s) / (now_s - opened_s)))

    def check_rounds(self) -> None:
        """Check that the rounds that ended in the window did not all fail: such a load did not train.

        A round that ran out of memory, and whose batch was halved for the next one, does not count.

        Raises:
            LoadError: at least one round failed and none was completed. The message ends with the failed round's log.
        """
        status = self.status()
        if not self.settings.coverage_min_ratio or status is None or self._status_at_opening is None:
            return
        problem = failed_rounds_only(self._status_at_opening, status, self.log_dir)
        if problem is not None:
            raise LoadError(f"the background load {self.name!r} did not train: {problem}")

    def check_coverage(self) -> None:
        """Check that the load ran for enough of the window.

        Raises:
            LoadError: it ran for less, or its guard was killed, so that the coverage is unknown.
        """
        least_ratio = self.settings.coverage_min_ratio
        if not least_ratio or self._opened is None:
            return
        ratio = self.coverage_ratio
        status = self.status()
        if ratio is None or status is None:
            raise LoadError(f"the background load {self.name!r} was killed externally; how long it ran is unknown")
        if ratio < least_ratio:
            ours = "; the test itself stopped it, which a lower coverage_min allows" if self._asked_to_end else ""
            raise LoadError(
                f"the background load {self.name!r} ran {ratio:.1%} of the window, and must run {least_ratio:.0%}: "
                f"{rounds_in_words(status)}{ours}. "
                f"Its log ends with:\n{status.tail.strip() or '(nothing)'}"
            )

    # --- figures --------------------------------------------------------------------------------------------------

    def status(self) -> GuardStatus | None:
        """Return all that its guard knows now; ``None`` before its start, and when its guard was killed."""
        return None if self._child is None else self._child.status()

    def _is_lost(self) -> bool:
        return self._child is not None and self._child.outcome is not None and self._child.outcome.status is None

    @property
    def alive(self) -> bool:
        """True from the start of the load to its end; a load between two rounds is alive too."""
        return self._child is not None and self._child.alive

    @property
    def rounds_completed(self) -> int:
        """Rounds that ended with exit code 0.

        Raises:
            LoadError: its guard was killed, so that the number is unknown.
        """
        status = self._known_status()
        return 0 if status is None else status.completed

    @property
    def rounds_failed(self) -> int:
        """Rounds that ended with another exit code.

        Raises:
            LoadError: its guard was killed, so that the number is unknown.
        """
        status = self._known_status()
        return 0 if status is None else status.failed

    def _known_status(self) -> GuardStatus | None:
        """Return its figures; ``None`` before it was started."""
        status = self.status()
        if status is None and self._child is not None:
            raise LoadError(f"the background load {self.name!r} was killed externally; its rounds are unknown")
        return self._of_attempt(status)

    def _of_attempt(self, status: GuardStatus | None) -> GuardStatus | None:
        return status if status is None or self._before is None else since(self._before, status)

    @property
    def pids(self) -> tuple[int, ...]:
        """Its processes now, as this process and NVML see them."""
        status = self.status()
        return () if status is None else status.pids

    @property
    def guard_pid(self) -> int | None:
        """Pid of the process that holds all processes of the load; ``None`` before it was started."""
        return None if self._child is None else self._child.guard_pid

    def report(self) -> LoadReport:
        """Return everything that is known up to now."""
        status = None if self._child is None else self._child.status(spans=True)
        of_attempt, child, outcome = self._of_attempt(status), self._child, self._outcome
        opened, closed_s = self._opened, None if self._closed is None else self._closed[0]
        return LoadReport(
            name=self.name,
            command=mask_arguments(words_of_round(self.command.argv, self.settings.template, status)),
            script=str(self.script),
            log_dir=str(self.log_dir),
            coverage_ratio=self.coverage_ratio,
            ready_s=None if child is None else child.ready_s,
            stop=None if outcome is None else outcome.stopped,
            container=None if child is None else child.container,
            flags=self._flags(status),
            round_spans_s=() if opened is None or status is None else spans_in_window(status, opened[0], closed_s),
            **(figures(of_attempt, self.settings) if of_attempt else NO_FIGURES if child else {}),
        )

    def _flags(self, status: GuardStatus | None) -> tuple[str, ...]:
        flags = [*self._window_flags, *(() if status is None else status.flags), *self.remarks]
        if status is not None:
            flags += status_remarks(status, self.settings.ready)
        if self.settings.devices and not self.settings.nvml and not DRIVER.exists():
            flags.append(f"it was given the devices {self.settings.devices}, but no NVIDIA driver is loaded here")
        if status is not None and status.lost_log_bytes:
            flags.append(f"the disk refused {status.lost_log_bytes} bytes of its log")
        if self._outcome is not None:
            flags += [flag for flag in self._outcome.flags if flag not in flags]
            flags += [f"could not be killed: {process}" for process in self._outcome.stuck]
        return tuple(flags)
