"""The content of ``run.json``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import msgspec
from msgspec import Struct, field
from msgspec.structs import replace

from .codec import encode_value
from .energy_values import WindowResult
from .masking import mask_arguments, mask_environment
from .record import SCHEMA_VERSION, HostPart

__all__ = ["FleetHost", "RunInfo", "StudyPart", "read_run_info", "run_json"]


class StudyPart(Struct, frozen=True, kw_only=True):
    """The part of a sweep that a session ran."""

    id: str
    """The same in all shards of one sweep."""
    shard: int
    """Counts from 1 to ``count``."""
    count: int
    cells: tuple[str, ...] = ()
    """The names of the cells of all shards."""


class FleetHost(Struct, frozen=True, kw_only=True):
    """A host on which workers of pytest-xdist ran, as the controller saw it."""

    hostname: str
    workers: tuple[str, ...] = ()
    """Names of its workers, such as ``gw0``."""
    clock_offset_s: float = 0.0
    """Seconds by which its clock is ahead of the controller's, at the start of the session."""
    clock_u_s: float = 0.0
    """The true offset lies within so many seconds of it: half of the time that the answer took."""
    shares_results: bool = True
    """``False`` where it has a disk of its own: the folders of its experiments stay there."""


class RunInfo(Struct, frozen=True, kw_only=True):
    """One session of pytest.

    ``ended_at`` and ``exit_status`` are ``None`` while the run is in progress, and after a crash.
    """

    schema_version: int = SCHEMA_VERSION
    run_id: str
    name: str | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    started_at: str
    ended_at: str | None = None
    exit_status: int | None = None
    arguments: tuple[str, ...] = ()
    """The command line of the session."""
    sensors: tuple[str, ...] = ()
    """The sensors that measured, in words."""
    refusals: tuple[str, ...] = ()
    """The sensors that could not measure, with reason and remedy, in words."""
    settings: Mapping[str, str] = field(default_factory=dict)
    host: HostPart = field(default_factory=HostPart)
    study: StudyPart | None = None
    """``None`` for a session without ``--energy-shard``."""
    fleet: tuple[FleetHost, ...] = ()
    """The hosts of a session with several; empty for one host."""
    scopes: tuple[WindowResult, ...] = ()
    """The energy of whole modules and of the session, where a fixture measured them."""


def run_json(info: RunInfo) -> str:
    """Return the text of ``run.json``; what looks like a secret in the command line and the settings is masked."""
    masked = replace(info, arguments=mask_arguments(info.arguments), settings=mask_environment(info.settings))
    return msgspec.json.format(encode_value(masked), indent=2).decode() + "\n"


def read_run_info(folder: Path) -> RunInfo | None:
    """Read the run's ``run.json``; return ``None`` where it cannot be read: the records are complete without it."""
    try:
        return msgspec.json.decode((folder / "run.json").read_bytes(), type=RunInfo)
    except (OSError, msgspec.DecodeError, UnicodeDecodeError):
        return None
