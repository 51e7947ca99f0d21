"""The progress of a run, in one line for people and one file for programs."""

from __future__ import annotations

import time
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from ..units import format_joules, format_seconds, format_watts

__all__ = ["LiveFigures", "Progress"]


class LiveFigures(Struct, frozen=True, kw_only=True):
    """The power and energy of the open window now; ``None`` is unknown."""

    watts: float | None = None
    joules: float | None = None
    quality: str = ""
    """The worst quality of the window's sensors; empty is unknown."""


class Progress(Struct, frozen=True, kw_only=True):
    """The progress of a run. Times are of the monotonic clock.

    Args:
        total: experiments to run; ``None`` is not known yet.
        finished: those that ended.
        current: id of the one that runs; ``None`` between two.
        started_s: when the run began.
        current_started_s: when the current one began.
        spent_s: seconds that the finished ones took.
        joules: what the finished ones used; ``None`` where that is not known of each.
    """

    total: int | None = None
    finished: int = 0
    current: str | None = None
    started_s: float = 0.0
    current_started_s: float = 0.0
    spent_s: float = 0.0
    joules: float | None = 0.0

    @classmethod
    def begin(cls, total: int | None, now_s: float | None = None) -> Progress:
        """Return the progress of a run that begins now."""
        now_s = time.monotonic() if now_s is None else now_s
        return cls(total=total, started_s=now_s, current_started_s=now_s)

    def starts(self, nodeid: str, now_s: float) -> Progress:
        """Return the progress after an experiment has started."""
        return replace(self, current=nodeid, current_started_s=now_s)

    def ends(self, joules: float | None, now_s: float) -> Progress:
        """Return the progress after the current experiment has ended."""
        known = self.joules is not None and joules is not None
        return replace(
            self,
            current=None,
            finished=self.finished + 1,
            spent_s=self.spent_s + now_s - self.current_started_s,
            joules=(self.joules or 0.0) + (joules or 0.0) if known else None,
        )

    def left_s(self, now_s: float) -> float | None:
        """Return the seconds left, if the others take the mean time of the finished ones; ``None`` before the first.

        An experiment that takes longer than that mean raises it with each second, so that the time left keeps moving.
        """
        if self.total is None or not self.finished:
            return None
        each_s = self.spent_s / self.finished
        if self.current is None:
            return max(0.0, (self.total - self.finished) * each_s)
        running_s = now_s - self.current_started_s
        others = max(self.total - self.finished - 1, 0)
        if running_s > each_s:
            return others * (self.spent_s + running_s) / (self.finished + 1)
        return (others + 1) * each_s - running_s

    def line(self, reading: LiveFigures, now_s: float) -> str:
        """Return one line: number and name of the experiment, elapsed time, watts, joules, time left.

        >>> Progress(total=12, finished=2, current="t.py::test_a[lr=0.1-rep0]", spent_s=20.0).line(
        ...     LiveFigures(watts=87.4, joules=612.0), 7.0)
        'experiment 3 of 12: test_a[lr=0.1-rep0], 7.0 s, 87.4 W, 612 J; about 1 min 33 s left'
        """
        number = self.finished + (self.current is not None)
        parts = [f"experiment {number} of {'?' if self.total is None else self.total}"]
        if self.current is not None:
            parts[0] += f": {self.current.rpartition('::')[2]}"
            parts.append(format_seconds(now_s - self.current_started_s))
        parts += [text for text in (_known(format_watts(reading.watts)), _known(format_joules(reading.joules))) if text]
        if reading.quality == "estimated" and (reading.watts, reading.joules) != (None, None):
            parts[-1] += " (estimated)"
        left_s = self.left_s(now_s)
        if left_s is not None:
            parts[-1] += f"; about {format_seconds(left_s)} left" if left_s else "; longer than the ones before"
        return ", ".join(parts)

    def status(self, reading: LiveFigures, now_s: float, state: str) -> dict[str, Any]:
        """Return the content of ``status.json``: times in seconds, energy in joules, ``None`` if unknown."""
        return {
            "schema_version": 1,
            "state": state,
            "total": self.total,
            "finished": self.finished,
            "current": self.current,
            "current_elapsed_s": None if self.current is None else round(now_s - self.current_started_s, 3),
            "current_w": reading.watts,
            "current_j": reading.joules,
            "current_quality": reading.quality or None,
            "elapsed_s": round(now_s - self.started_s, 3),
            "finished_j": self.joules,
            "left_s": self.left_s(now_s),
        }


def _known(text: str) -> str:
    return "" if text == "–" else text
