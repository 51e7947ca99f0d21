"""Shards of a sweep: each host runs a part of the cells, and all repetitions of a cell stay on one host."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping

from msgspec import Struct

from ..errors import ConfigError

__all__ = ["Shard", "parse_shard", "shard_of_cells", "study_id"]

_FORM = "write it as 2/5 (the second of five), auto, or auto/5 where the environment tells only the index"


class Shard(Struct, frozen=True, kw_only=True):
    """One part of a sweep. ``index`` counts from 1 to ``count``."""

    index: int
    count: int

    def __post_init__(self) -> None:
        if self.count < 1:
            raise ConfigError(f"a sweep has at least 1 shard, not {self.count}; {_FORM}")
        if not 1 <= self.index <= self.count:
            raise ConfigError(f"there is no shard {self.index} of {self.count}; shards count from 1 to {self.count}")

    def __str__(self) -> str:
        return f"{self.index}/{self.count}"


def parse_shard(text: str, environ: Mapping[str, str]) -> Shard:
    """Return the shard that ``--energy-shard`` asks for.

    Args:
        text: ``2/5``; ``auto`` takes index and count from the job array or CI matrix that this process is part of;
            ``auto/5`` takes the index alone from there (Kubernetes does not tell the count).
        environ: the environment variables. Understood are Slurm's ``SLURM_ARRAY_TASK_ID`` with ``_MIN``, ``_STEP`` and
            ``_COUNT`` (sbatch(1)), GitLab's ``CI_NODE_INDEX`` and ``CI_NODE_TOTAL``, and Kubernetes'
            ``JOB_COMPLETION_INDEX``, which counts from 0.

    Raises:
        ConfigError: another form, an index outside of the range, or ``auto`` where the environment tells nothing.
    """
    match = re.fullmatch(r"\s*(auto|\d+)\s*(?:/\s*(\d+)\s*)?", text)
    if match is None or (match[1] != "auto" and match[2] is None):
        raise ConfigError(f"{text!r} is not a shard; {_FORM}")
    count = None if match[2] is None else int(match[2])
    if match[1] != "auto":
        return Shard(index=int(match[1]), count=int(match[2]))
    index, environment_count = _from_environment(environ)
    if index is None:
        raise ConfigError(
            f"{text!r}: none of SLURM_ARRAY_TASK_ID, CI_NODE_INDEX and JOB_COMPLETION_INDEX is set; {_FORM}"
        )
    if count is not None and environment_count is not None and count != environment_count:
        raise ConfigError(f"{text!r}: the environment says that there are {environment_count} shards, not {count}")
    count = count or environment_count
    if count is None:
        raise ConfigError(f"{text!r}: the environment tells the index {index} and not the number of shards; {_FORM}")
    return Shard(index=index, count=count)


def _from_environment(environ: Mapping[str, str]) -> tuple[int | None, int | None]:
    """Return index (from 1) and count, ``None`` where the environment does not tell."""

    def number(name: str, default: int | None = None) -> int | None:
        text = environ.get(name, "")
        return int(text) if text.isdecimal() else default

    task = number("SLURM_ARRAY_TASK_ID")
    if task is not None:
        first, step = number("SLURM_ARRAY_TASK_MIN", 0) or 0, number("SLURM_ARRAY_TASK_STEP", 1) or 1
        return (task - first) // step + 1, number("SLURM_ARRAY_TASK_COUNT")
    node = number("CI_NODE_INDEX")
    if node is not None:
        return node, number("CI_NODE_TOTAL")
    completion = number("JOB_COMPLETION_INDEX")
    return (None if completion is None else completion + 1), None


def shard_of_cells(expected_s: Mapping[str, float], count: int) -> dict[str, int]:
    """Return the shard (from 1) of each cell, so that the shards take about the same time.

    The longest cell first, each to the shard that has the least so far: at most 4/3 − 1/(3·count) times the best
    possible split (Graham 1969, "Bounds on multiprocessing timing anomalies", theorem 2). Hosts that know the same
    cells and times get the same answer, in whatever order they collected them.

    Args:
        expected_s: seconds that all repetitions of a cell are expected to take, by the cell's name.
        count: number of shards, 1 or more.

    >>> shard_of_cells({"a": 3.0, "b": 2.0, "c": 2.0, "d": 1.0}, 2)
    {'a': 1, 'b': 2, 'c': 2, 'd': 1}
    """
    loads_s = [0.0] * count
    shards = {}
    for cell in sorted(expected_s, key=lambda name: (-expected_s[name], name)):
        shard = min(range(count), key=lambda index: (loads_s[index], index))
        loads_s[shard] += expected_s[cell]
        shards[cell] = shard + 1
    return shards


def study_id(shards: Mapping[str, int], count: int) -> str:
    """Return the name that all shards of one study share: 12 hexadecimal digits of a hash over the whole assignment.

    Hosts that collected other cells, or balanced them by another history, get another name: their shards do not
    belong together, and ``merge`` says so.
    """
    text = "\n".join([str(count), *(f"{shard} {cell}" for cell, shard in sorted(shards.items()))])
    return hashlib.sha256(text.encode()).hexdigest()[:12]
