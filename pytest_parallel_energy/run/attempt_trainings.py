"""The trainings of one attempt: where they ran, what they were, and what stays of them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from msgspec import Struct, field

from .outputs import tidy_outputs
from .record_parts import training_identity

if TYPE_CHECKING:
    from ..energy.window import Window
    from ..training.foreground import Training, TrainingResult
    from ..training.workload import Workload

__all__ = ["AttemptTrainings", "TrainedWorkload"]


class TrainedWorkload(Struct, frozen=True, kw_only=True):
    """A training that ended, with the values that it was given."""

    workload: Workload
    values: Mapping[str, Any]
    result: TrainingResult


class AttemptTrainings(Struct, kw_only=True):
    """The trainings that one attempt has started, in their order."""

    last: TrainedWorkload | None = None
    """The last training that has ended."""
    count: int = 0
    """Trainings that were begun; one that could not be started counts too."""
    checkouts: list[Path] = field(default_factory=list)
    """The folders of the workloads."""
    identities: list[Mapping[str, Any]] = field(default_factory=list)
    """Of each training, as it is part of the cell's identity."""

    def begin(self, training: Training, folder: Path) -> Path:
        """Note a training, and return the folder of its log and outputs, which exists.

        Args:
            training: about to start.
            folder: of the attempt; the first training uses it itself, each further one a folder in it.

        Raises:
            OSError: the folder cannot be made.
        """
        self.count += 1
        own = _training_folder(folder, self.count)
        own.mkdir(exist_ok=True)
        workload = training.workload
        self.checkouts.append(workload.path)
        self.identities.append(
            training_identity(workload, training.values, profile=training.profile, threads=training.threads)
        )
        return own

    def tidy(self, folder: Path, keep: Literal["outputs", "failed", "none"], *, passed: bool) -> None:
        """Remove what does not stay of the outputs; the arguments are as for ``tidy_outputs``."""
        if self.checkouts:
            folders = [_training_folder(folder, number) for number in range(1, self.count + 1)]
            tidy_outputs(folders, self.checkouts, keep, passed=passed)

    def progress(self, window: Window | None) -> dict[str, Any]:
        """Return epochs, milestones and units of work of the last training, as fields of a record.

        Args:
            window: the closed window around it; ``None`` where there was none.
        """
        if self.last is None:
            return {}
        from .progress_parts import progress_parts

        return progress_parts(self.last.workload, self.last.values, self.last.result, window)


def _training_folder(folder: Path, number: int) -> Path:
    return folder if number == 1 else folder / f"training-{number}"
