"""Records that the disk of the results did not take: saved where there is room, and taken back by a resume."""

from __future__ import annotations

import glob
import os
import secrets
import stat
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from ..errors import RecordError
from .atomic_write import write_file
from .codec import encode
from .record import Record

__all__ = ["rescue_records", "rescued_files"]

_TOKEN = "[0-9a-f]" * 8


def rescue_records(run_id: str, records: Sequence[Record]) -> str:
    """Save records of a run outside of its folder, and return where, as a sentence.

    The temporary folder comes first, then memory (``/dev/shm``), ``/var/tmp`` and the home folder. Where none of them
    has room, the sentence holds the records themselves as JSON lines.
    """
    data = b"".join(encode(record) + b"\n" for record in records)
    refusals = []
    for folder in _places():
        path = folder / f"{_prefix(run_id)}{secrets.token_hex(4)}.jsonl"
        try:
            write_file(path, data, private=True)
        except RecordError as error:
            refusals.append(str(error))
            continue
        return f"they were saved to {path}: --energy-resume={run_id} takes them over once there is room"
    return f"they could not be saved elsewhere ({'; '.join(refusals)}); the records are:\n{data.decode()}"


def rescued_files(run_id: str) -> Iterator[Path]:
    """Yield the files that :func:`rescue_records` of this user has written for a run.

    Other users can write to these folders: links and files of others are left alone.
    """
    for folder in _places():
        for path in sorted(folder.glob(f"{glob.escape(_prefix(run_id))}{_TOKEN}.jsonl")):
            status = path.lstat()
            if stat.S_ISREG(status.st_mode) and status.st_uid == os.geteuid():
                yield path


def _prefix(run_id: str) -> str:
    return f"pytest-energy-{run_id}-"


def _places() -> list[Path]:
    home = os.path.expanduser("~")  # noqa: PTH111 - Path.home() raises where there is none
    names = (tempfile.gettempdir(), "/dev/shm", "/var/tmp", home)  # noqa: S108 - places of last resort
    return [path for name in dict.fromkeys(names) if (path := Path(name)).is_dir()]
