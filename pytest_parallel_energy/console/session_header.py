"""The lines that pytest prints before experiments: the sensors, the threads, the results folder, killed leftovers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..plan.cells import PUBLISHED
from ..run.sensor_words import refusals_in_words, sensors_in_words
from ..units import count_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..host.launcher import Rank
    from ..processes.leftovers import Leftover
    from ..run.session import Run

__all__ = ["header_lines", "leftover_lines", "rank_words"]


def header_lines(session: Run, *, quiet: bool = False) -> list[str]:
    """Return the lines of the header of a session that measures; opens the sensors.

    Args:
        session: the session.
        quiet: one line, besides warnings.
    """
    lines = leftover_lines(session.swept, session.unswept)
    if quiet:
        return [f"energy: {line}" for line in (*lines, _short_line(session))]
    lines += _sensor_lines(session)
    if session.rank is not None:
        lines.append(f"{rank_words(session.rank)}; this rank measures the node for all of its ranks")
    profile = session.settings.profile
    if profile and profile != PUBLISHED:
        lines.append(
            f"hyperparameters of the profile {profile!r}, not the published ones "
            f"(--energy-profile={PUBLISHED} trains with those)"
        )
    lines.append(
        f"{count_of(session.threads, 'CPU thread')} for a training that train() starts, with and without a background "
        "load; in pytest's own process only for tests with the fixture 'threads'"
    )
    lines.append(f"results in {session.run_folder}")
    return [f"energy: {line}" for line in lines]


def _short_line(session: Run) -> str:
    """Return the sensors, what differs from an ordinary session, and the results folder in one line."""
    meter = session.open_meter()
    parts = [", ".join(dict.fromkeys(f"{s.description.source} ({s.description.quality})" for s in meter.sensors))]
    parts = [parts[0] or "no sensor works on this machine (see pytest --energy-doctor)"]
    if session.rank is not None:
        parts.append(rank_words(session.rank))
    if session.settings.profile and session.settings.profile != PUBLISHED:
        parts.append(f"profile {session.settings.profile!r}")
    return "; ".join([*parts, count_of(session.threads, "CPU thread"), f"results in {session.run_folder}"])


def rank_words(rank: Rank) -> str:
    """Return the place of a rank in its job, with the node and the key that the records of all nodes share."""
    node = "" if rank.node is None else f", node {rank.node}" + ("" if rank.nodes is None else f" of {rank.nodes}")
    return f"{rank}{node}, job {rank.job}"


def leftover_lines(killed: Sequence[Leftover], remaining: Sequence[Leftover]) -> list[str]:
    """Return one warning per leftover process, killed or still there; empty when there were none."""
    lines = [
        f"warning: killed process {process.pid}, left over from the crashed session {process.owner_pid}: "
        f"{process.command}"
        for process in killed
    ]
    return lines + [
        f"warning: process {process.pid} of the crashed session {process.owner_pid} is still running and disturbs the "
        f"measurement; if it belongs to another user, run: sudo pytest-parallel-energy kill-background "
        f"({process.command})"
        for process in remaining
    ]


def _sensor_lines(session: Run) -> list[str]:
    lines = [f"sensor {text}" for text in sensors_in_words(session.open_meter())] or ["no sensor works on this machine"]
    refusals = refusals_in_words(session.open_meter())
    lines += [f"  no {text}" for text in refusals]
    if refusals:
        lines.append("  run 'pytest --energy-doctor' to see how to fix that")
    return lines
