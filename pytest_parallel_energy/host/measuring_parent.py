"""The pytest that measures this process already: a training may start pytest again, as Lightning's ``ddp`` does."""

from __future__ import annotations

import os
from collections.abc import Mapping

from ..processes.cookie import VARIABLE, Cookie
from ..processes.guard.procfs import read_stat

__all__ = ["MEASURED_BY", "measuring_parent"]

MEASURED_BY = "PYTEST_ENERGY_MEASURED_BY"
"""A pytest that measures sets this variable to its process id for the processes that it starts."""


def measuring_parent(environ: Mapping[str, str]) -> int | None:
    """Return the id of the pytest below which this process runs and which measures it; ``None`` without one.

    The variable alone decides nothing: a process that has left the tree of that pytest measures for itself. A training
    or load may be in a PID namespace of its own and not see its parents, but it cannot leave its guard.
    """
    text = environ.get(MEASURED_BY, "")
    if not text.isdecimal() or int(text) == os.getpid():
        return None
    pid = int(text)
    cookie = Cookie.parse(environ.get(VARIABLE, ""))
    if cookie is not None and cookie.owner_pid == pid:
        return pid
    above = os.getppid()
    while above not in {0, pid}:
        stat = read_stat(above)
        above = 0 if stat is None else stat.parent  # ``None``: it ended meanwhile
    return above or None
