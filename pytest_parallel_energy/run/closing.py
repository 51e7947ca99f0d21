"""The end of a run: every record on a disk, the folder closed, the summary written, whatever becomes of each step."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence

from msgspec import Struct

from ..errors import ParallelEnergyError, RecordError
from ..records.record import Record
from ..records.rescue import rescue_records
from ..records.store import RunStore
from ..reports.csv_table import write_summary
from ..units import count_of

__all__ = ["Closed", "close_run", "save_unstored"]


class Closed(Struct, frozen=True, kw_only=True):
    """The result of closing a run."""

    adopted: tuple[Record, ...] = ()
    """Records of attempts that crashed, or that a worker left."""
    problems: tuple[str, ...] = ()
    """One sentence per step that failed."""
    complete: bool = True
    """``True`` when every record of the run is in its folder."""


def close_run(store: RunStore, exit_status: int) -> Closed:
    """Close a run; each step is done whatever becomes of the others.

    Pending records come first: an attempt whose own record waits for room on the disk must not be adopted as crashed.

    Args:
        store: the run's; it is released, so that another session may resume it.
        exit_status: the session's.
    """
    adopted: list[Record] = []
    missing: list[str] = []
    problems: list[str] = []
    steps: list[tuple[Callable[[], object], list[str]]] = [
        (lambda: _write_pending(store, missing), missing),
        (lambda: adopted.extend(store.adopt_unfinished()), missing),
        (lambda: store.end_run(exit_status), problems),
        (store.release, problems),
        (lambda: write_summary(store.folder), problems),
    ]
    with contextlib.ExitStack() as stack:  # also after a KeyboardInterrupt in the middle
        for step, sentences in reversed(steps):
            stack.callback(_attempt, step, sentences)
    return Closed(adopted=tuple(adopted), problems=(*missing, *problems, *store.problems), complete=not missing)


def save_unstored(run_id: str, records: Sequence[Record]) -> Closed:
    """Save records of a run whose folder could not be made at all."""
    if not records:
        return Closed()
    sentence = rescue_records(run_id, records)
    problem = f"no results folder for {count_of(len(records), 'record')}; {sentence}"
    return Closed(problems=(problem,), complete=False)


def _write_pending(store: RunStore, missing: list[str]) -> None:
    try:
        store.flush()
    except RecordError as error:
        missing.append(f"{error}; {store.rescue()}")


def _attempt(step: Callable[[], object], problems: list[str]) -> None:
    try:
        step()
    except ParallelEnergyError as error:
        problems.append(str(error))
    except Exception as error:  # noqa: BLE001 - a fault of one step must not cost the records of the others
        problems.append(f"a step of closing the run failed: {type(error).__name__}: {error}")
