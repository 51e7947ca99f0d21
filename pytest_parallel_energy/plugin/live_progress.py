"""The live line, the heartbeat, and ``status.json``: the progress of the run."""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import os
import threading
import time
from collections.abc import Collection, Generator
from typing import TYPE_CHECKING, Any

import pytest
from msgspec import Struct

from ..errors import ParallelEnergyError
from ..run.progress import LiveFigures, Progress
from .fixtures import EXPERIMENT
from .report_records import records_of

if TYPE_CHECKING:
    from ..run.experiment import Experiment
    from .collection import Items

__all__ = ["LiveProgress", "Pace"]

# Xterm control sequences (ECMA-48 and DEC VT100): index and up make sure that there is a row below the cursor.
_ROOM = "\x1bD\x1b[A"
_SAVE, _RESTORE = "\x1b7", "\x1b8"
_COLUMNS = 80
"""Used for a terminal that does not report its width."""
_STATUS_REST_S = 0.5
"""Least time between two writes of status.json: a suite of short tests must not pay for one file per test."""
_BOTTOM = "\x1b[999;1H\x1b[2K"


class Pace(Struct, frozen=True, kw_only=True):
    """Seconds between two outputs of each kind: the line, the heartbeat and ``status.json``."""

    line_s: float = 1.0
    heartbeat_s: float = 60.0
    status_s: float = 10.0
    trouble_s: float = 3.0
    """Seconds between two checks of the loads."""


class LiveProgress:
    """The display of the progress: in the process that reports, from a thread of its own while experiments run.

    Args:
        collection: gives the session, its store and its settings.
        experiments: ids of the experiments to run, or their number where workers of xdist know the ids.
        fd: a descriptor of the terminal, free of pytest's capture; closed at the end.
        pace: seconds between outputs.
    """

    def __init__(
        self, collection: Items, experiments: Collection[str] | int, fd: int, pace: Pace | None = None
    ) -> None:
        self._collection = collection
        self._names = None if isinstance(experiments, int) else experiments
        self._fd = fd
        self._pace = pace or Pace()
        self._mode = self._choose_mode()
        self._progress = Progress.begin(experiments if isinstance(experiments, int) else len(experiments))
        self._item: pytest.Item | None = None
        self._last = (0.0, 0.0)
        self._reported_troubles: set[tuple[str, str]] = set()
        self._drawn = False
        self._status_due_s = 0.0
        self._joules: float | None = None
        self._measured = False
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="energy-progress", daemon=True)
        self._thread.start()

    def _choose_mode(self) -> str:
        wanted = self._collection.settings.progress
        if not self._collection.config.pluginmanager.hasplugin("terminalreporter"):
            return "off"
        if wanted != "auto":
            return wanted
        return "line" if os.isatty(self._fd) and os.environ.get("TERM", "dumb") != "dumb" else "heartbeat"

    # --- the hooks ---------------------------------------------------------------------------------------------------

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Generator[None, Any, Any]:
        """Remember the item that runs, for its window."""
        self._item = item
        try:
            return (yield)
        finally:
            self._item = None

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logstart(self, nodeid: str) -> None:
        """Show that an experiment starts."""
        with self._lock:
            self._erase()
            if self._names is None or nodeid in self._names:
                self._progress = self._progress.starts(nodeid, time.monotonic())
                self._joules, self._measured, self._last = 0.0, False, (0.0, 0.0)
                self._write_status("running")

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Clear the line for the output of pytest; add up the energy of the attempts."""
        with self._lock:
            self._erase()
            for record in records_of(report):
                self._measured = True
                joules = record.energy.total_j
                self._joules = None if joules is None or self._joules is None else self._joules + joules

    @pytest.hookimpl(trylast=True)
    def pytest_runtest_logfinish(self, nodeid: str) -> None:
        """Count an experiment that has ended."""
        with self._lock:
            if self._measured or (self._names is not None and nodeid in self._names):
                self._progress = self._progress.ends(self._joules if self._measured else 0.0, time.monotonic())
                self._write_status("running")

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self) -> None:
        """Stop the output before pytest prints its summary."""
        self._ended.set()
        self._thread.join()
        with self._lock:
            self._erase()
            self._write_status("finished")
        os.close(self._fd)

    # --- the output --------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        began_s = time.monotonic()
        next_beat_s, next_status_s = began_s + self._pace.heartbeat_s, began_s + self._pace.status_s
        check_s = min(self._pace.heartbeat_s, self._pace.status_s, self._pace.trouble_s)
        period_s = self._pace.line_s if self._mode == "line" else check_s
        while not self._ended.wait(period_s):
            now_s = time.monotonic()
            with self._lock:
                self._report_troubles()
                if self._mode == "line":
                    self._draw(self._progress.line(self._read(), now_s))
                elif self._mode == "heartbeat" and now_s >= next_beat_s:
                    next_beat_s = now_s + self._pace.heartbeat_s
                    self._write(f"\nenergy: {self._progress.line(self._read(), now_s)}\n")
                if now_s >= next_status_s:
                    next_status_s = now_s + self._pace.status_s
                    self._write_status("running")

    def _report_troubles(self) -> None:
        """Report a load that crashes repeatedly at once: its test may have hours to go."""
        experiment = self._experiment()
        if experiment is None or self._mode == "off":
            return
        for trouble in experiment.loads.troubles():
            if (experiment.cell.nodeid, trouble) not in self._reported_troubles:
                self._reported_troubles.add((experiment.cell.nodeid, trouble))
                self._erase()
                self._write(f"\nenergy: {experiment.cell.nodeid}: {trouble}\n")

    def _experiment(self) -> Experiment | None:
        item = self._item
        return item.stash.get(EXPERIMENT, None) if item is not None else None

    def _read(self) -> LiveFigures:
        """Return the watts since the last reading, and the joules of the open window."""
        experiment = self._experiment()
        window = experiment.window if experiment is not None else None
        if window is None or self._progress.current is None:
            return LiveFigures()
        try:
            shown = window.snapshot()
        except ParallelEnergyError:
            return LiveFigures()  # it is being opened or closed at this moment
        if shown.total_j is None or not shown.window_s:
            return LiveFigures(joules=shown.total_j, quality=shown.quality)
        seconds, joules = shown.window_s - self._last[0], shown.total_j - self._last[1]
        watts = joules / seconds if seconds > 0 else None
        self._last = (shown.window_s, shown.total_j)
        return LiveFigures(watts=watts, joules=shown.total_j, quality=shown.quality)

    def _draw(self, text: str) -> None:
        columns = 0
        with contextlib.suppress(OSError):
            columns = os.get_terminal_size(self._fd).columns
        columns = columns or _COLUMNS
        self._write(f"{_ROOM}{_SAVE}{_BOTTOM}{text[: columns - 1]}{_RESTORE}")
        self._drawn = True

    def _erase(self) -> None:
        if self._drawn:
            self._write(f"{_SAVE}{_BOTTOM}{_RESTORE}")
            self._drawn = False

    def _write(self, text: str) -> None:
        # A terminal that is gone, or a closed pipe, must not disturb a measurement.
        with contextlib.suppress(OSError):
            os.write(self._fd, text.encode("utf-8", "replace"))

    def _write_status(self, state: str) -> None:
        session = self._collection.session
        if not session.has_store:
            return
        from ..records.atomic_write import write_file

        now_s = time.monotonic()
        if state == "running" and now_s < self._status_due_s:
            return
        self._status_due_s = now_s + _STATUS_REST_S
        status = self._progress.status(self._read(), now_s, state)
        status |= {"run_id": session.open_store().run_id, "pid": os.getpid()}
        status["updated_at"] = dt.datetime.now().astimezone().isoformat(timespec="seconds")
        with contextlib.suppress(ParallelEnergyError):  # a full disk: the records say so, this file only repeats them
            write_file(session.open_store().folder / "status.json", json.dumps(status, indent=1) + "\n", synced=False)
