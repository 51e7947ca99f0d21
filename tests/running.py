"""How tests start a process that must not outlive them."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Iterator, Sequence
from typing import Any

__all__ = ["running"]


@contextlib.contextmanager
def running(argv: Sequence[str], **options: Any) -> Iterator[subprocess.Popen[Any]]:
    """Start a process; when the block ends in any way, a failure or a timeout too, kill it and wait for it.

    ``with subprocess.Popen(...)`` alone waits for it: a failed test then hangs until its timeout, the process runs on,
    and the warning about it fails whichever test is next.
    """
    with subprocess.Popen(argv, **options) as process:
        try:
            yield process
        finally:
            process.kill()
