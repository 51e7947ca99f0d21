"""The experiments that an interrupted run has finished: a resumed run leaves them out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from msgspec import Struct, field

from ..errors import ConfigError
from ..records.latest_link import latest_run
from ..records.reader import RECORDS_NAME
from ..records.record import Phase, Record, Status

__all__ = ["Finished", "find_run"]

_Key = tuple[str, bool]


class Finished(Struct, frozen=True, kw_only=True):
    """The repetitions that passed.

    Args:
        done: (test's id, whether it was a warm-up) → the cells that passed under that id, each with its code.
        other_code: ids whose records are of another commit: they run again.
    """

    done: Mapping[_Key, frozenset[str]] = field(default_factory=dict)
    other_code: frozenset[str] = frozenset()

    @classmethod
    def of(cls, records: Iterable[Record], *, git_commit: str | None) -> Finished:
        """Return the repetitions that these records finish for code at this commit (``None``: no version control)."""
        done: dict[_Key, set[str]] = {}
        other = set()
        for record in records:
            if record.status not in {Status.PASSED, Status.XFAILED}:
                continue
            if record.host.git_commit != git_commit:
                other.add(record.nodeid)
                continue
            done.setdefault((record.nodeid, record.phase is Phase.WARMUP), set()).add(
                _key(record.planned_cell or record.cell, record.code)
            )
        return cls(
            done={key: frozenset(cells) for key, cells in done.items()},
            other_code=frozenset(other - {nodeid for nodeid, _ in done}),
        )

    def holds(self, nodeid: str, cell: str, code: str | None, *, warmup: bool = False) -> bool:
        """Return whether this repetition passed with the same configuration (its cell) and code (its files)."""
        return _key(cell, code) in self.done.get((nodeid, warmup), ())

    def __bool__(self) -> bool:
        return bool(self.done)

    def to_plain(self) -> list[Any]:
        """Return the same as lists and texts, for a worker of pytest-xdist."""
        done = [[nodeid, warmup, sorted(cells)] for (nodeid, warmup), cells in self.done.items()]
        return [done, sorted(self.other_code)]

    @classmethod
    def from_plain(cls, plain: Sequence[Any]) -> Finished:
        """Return what ``to_plain`` was given."""
        done, other = plain
        return cls(
            done={(nodeid, warmup): frozenset(cells) for nodeid, warmup, cells in done}, other_code=frozenset(other)
        )


def _key(cell: str, code: str | None) -> str:
    return f"{cell} {code}"


def find_run(results_dir: Path, requested: str) -> Path | None:
    """Return the folder of the run to resume.

    Args:
        results_dir: the folder that holds the runs.
        requested: ``latest``, a run's name, or a path to its folder.

    Returns:
        ``None`` when the latest is requested and there is none yet.

    Raises:
        ConfigError: no run has that name.
    """
    own = latest_run(results_dir) if requested == "latest" else results_dir / requested
    for folder in (own, Path(requested)):
        if (folder / RECORDS_NAME).is_file():
            return folder.resolve()
    if requested == "latest":
        return None
    runs = sorted(file.parent.name for file in results_dir.glob(f"*/{RECORDS_NAME}") if not file.parent.is_symlink())
    known = f"the newest runs are {', '.join(runs[-5:])}" if runs else f"{results_dir} holds no run yet"
    raise ConfigError(f"there is no run {requested!r} to resume; {known}")
