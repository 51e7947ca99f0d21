"""The sampling thread: one tick per period, kept on the grid of the period, stopped in a moment."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

__all__ = ["Sampler"]


class Sampler:
    """Calls ``tick`` every ``interval_s`` seconds from a daemon thread, until stopped.

    A late tick is not made up for: the next one is on the grid again. A tick never raises.
    """

    def __init__(self, tick: Callable[[], None], *, interval_s: float) -> None:
        self._tick = tick
        self._interval_s = interval_s
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="energy-sampler", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """Stop the thread and wait for it; a tick that is under way is finished first."""
        self._stopping.set()
        if self._thread is not threading.current_thread():
            self._thread.join()

    def _run(self) -> None:
        started_s = time.monotonic()
        while not self._stopping.wait(self._interval_s - (time.monotonic() - started_s) % self._interval_s):
            self._tick()
