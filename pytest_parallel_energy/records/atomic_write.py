"""Files that other programs read: written whole, or not at all."""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Iterable
from pathlib import Path

from ..errors import RecordError

__all__ = ["append_file", "file_in_the_way", "replace_symlink", "why", "write_file"]


def write_file(
    path: Path, content: str | bytes | Iterable[bytes], *, synced: bool = True, private: bool = False
) -> Path:
    """Write ``content`` (text as UTF-8, or lines one by one) and return the path; no reader ever sees a part of it.

    Missing folders above it are made. The content reaches the disk before the old file goes, unless ``synced`` is off:
    then a power cut (but not a crash of a process) may leave an empty file. Only the user can read a ``private`` file.

    Raises:
        RecordError: it cannot be written; the message names the path and the reason, and no partial file stays.
    """
    text = content.encode("utf-8", "backslashreplace") if isinstance(content, str) else content
    lines = (text,) if isinstance(text, bytes) else text
    if path.exists() and not path.is_file():  # /dev/stdout, a pipe: nothing to replace
        return _write_special(path, b"".join(lines))
    beside = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with beside.open("wb") as file:
            if private:
                with contextlib.suppress(OSError):  # a file system without modes
                    os.fchmod(file.fileno(), 0o600)
            file.writelines(lines)
            if synced:
                file.flush()
                os.fsync(file.fileno())
        beside.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            beside.unlink(missing_ok=True)
        raise RecordError(f"{path} cannot be written: {why(error)}") from error
    return path


def _write_special(path: Path, data: bytes) -> Path:
    try:
        path.write_bytes(data)
    except OSError as error:
        raise RecordError(f"{path} cannot be written: {why(error)}") from error
    return path


def replace_symlink(link: Path, target: str) -> None:
    """Let ``link`` point to ``target`` in one step: it exists at every instant, and of two at once the last one stays.

    Raises:
        OSError: the file system has no symbolic links, or ``link`` is a folder.
    """
    beside = link.with_name(f".{link.name}.{secrets.token_hex(4)}")
    try:
        beside.symlink_to(target)
        beside.replace(link)
    finally:
        beside.unlink(missing_ok=True)


def why(error: OSError) -> str:
    """Return the system's own words for an error, in lower case, without number and path.

    >>> why(OSError(13, "Permission denied"))
    'permission denied'
    """
    words = error.strerror or str(error)
    return words[:1].lower() + words[1:]


def file_in_the_way(folder: Path) -> Path | None:
    """Return the file that has the name of a folder or of one above it; ``None`` where there is none."""
    return next((place for place in (folder, *folder.parents) if place.exists() and not place.is_dir()), None)


def append_file(path: Path, text: str) -> None:
    """Append text to a file that other programs write to as well, such as ``$GITHUB_STEP_SUMMARY``.

    Raises:
        RecordError: it cannot be written; the message names the path and the reason.
    """
    try:
        with path.open("a", encoding="utf-8", errors="backslashreplace") as file:
            file.write(text)
    except OSError as error:
        raise RecordError(f"{path} cannot be written: {why(error)}") from error
