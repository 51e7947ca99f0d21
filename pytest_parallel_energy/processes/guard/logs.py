"""The logs of one load: one file for a command that runs once, one per round for a loop script."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

from .logfile import Pump, RingLog

__all__ = ["TAIL_SENT_BYTES", "Logs"]

TAIL_SENT_BYTES = 4096
_FIRST_KEPT, _LAST_KEPT = 20, 80


class Logs:
    """The log files of one load.

    Args:
        output: read end of the pipe that is the load's standard output and error.
        spec: ``log log_times marks log_limit_bytes log_tail_bytes``.
    """

    def __init__(self, output: int, spec: dict[str, Any]) -> None:
        self.pump = Pump(output)
        self._spec = spec
        self._lost_bytes = 0
        if spec.get("log_times"):
            from .output_times import OutputTimes

            self.pump.times = OutputTimes()

    def open(self, number: int) -> None:
        """Close the present log, and begin that of round ``number``."""
        path = self._spec["log"]
        if self._spec["marks"]:
            path = str(Path(path, f"round-{number}.log"))
            self._drop(number - _LAST_KEPT)
        self.close()
        self.pump.log = RingLog(
            path, limit_bytes=self._spec["log_limit_bytes"], tail_bytes=self._spec["log_tail_bytes"]
        )

    def _drop(self, number: int) -> None:
        """Remove an old log: a load that crashes for hours keeps its first and its last logs, not a million files."""
        if number > _FIRST_KEPT:
            with contextlib.suppress(OSError):  # gone already, or the disk refuses (EROFS, EIO): never the load's end
                Path(self._spec["log"], f"round-{number}.log").unlink()

    def close(self) -> None:
        """Write what belongs to the end of the log, and close it."""
        if self.pump.log is not None:
            self.pump.log.close()
            self._lost_bytes += self.pump.log.lost_bytes
            self.pump.log = None
            if self.pump.times is not None:
                self.pump.times.write(self._spec["log_times"])

    @property
    def lost_bytes(self) -> int:
        """Bytes that the disk refused."""
        return self._lost_bytes + (self.pump.log.lost_bytes if self.pump.log is not None else 0)

    def tail(self) -> bytes:
        """Return the end of the present log, 4 KiB at most."""
        return b"" if self.pump.log is None else self.pump.log.tail(TAIL_SENT_BYTES)
