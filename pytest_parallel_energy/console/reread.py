"""``pytest --energy-reread``: the records of a run repaired, and its summary written anew."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import ConfigError

if TYPE_CHECKING:
    from ..plan.settings import Settings

__all__ = ["reread"]


def reread(settings: Settings, root: Path, requested: str) -> list[str]:
    """Read the logs of a run again, repair its records, and return what changed, one line each.

    Args:
        settings: with the registries and the folder of results.
        root: the folder that the folder of results is relative to.
        requested: ``latest``, a run's name, or a path to its folder.

    Raises:
        ConfigError: there is no such run, or a registry is not valid.
        RecordError: another session uses the run, or it cannot be written.
    """
    from ..plan.finished import find_run
    from ..reports.open_report import ReportContext, load_report
    from ..reports.writers import parse_target, write_report
    from ..run.log_repair import reread_run
    from ..training.registry import load_registry

    folder = find_run(root / settings.dir, requested)
    if folder is None:
        raise ConfigError(f"--energy-reread: {root / settings.dir} holds no run yet")
    lines = reread_run(folder, load_registry(settings.models))
    records = folder / "records.jsonl"
    report = load_report(records, ReportContext())
    written = write_report(report, parse_target("csv"), folder, [records])
    return [*lines, f"wrote {written}; 'pytest-parallel-energy report {folder.name}' writes the other reports again"]
