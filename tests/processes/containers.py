"""What can hold a load on this machine."""

from __future__ import annotations

import contextlib

from pytest_parallel_energy.errors import ProcessError
from pytest_parallel_energy.processes.child import start_supervised
from pytest_parallel_energy.processes.command import Command
from pytest_parallel_energy.processes.rules import Container, Supervision

ALL: tuple[Container, ...] = ("namespace", "cgroup", "subreaper")


def works(kind: Container) -> bool:
    """Whether a container can be had on this machine: tried in a child, as the product does."""
    with contextlib.suppress(ProcessError), start_supervised(Command(argv=("true",)), Supervision(container=kind)):
        return True
    return False
