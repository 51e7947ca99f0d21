"""The controller of pytest-xdist, as its worker knows it: a worker's trainings must not outlive it.

The plugin takes the pidfd once, when the worker is configured. Taken later it could be that of init: after the
controller has died, the worker's parent is another process. A test that starts a load without the plugin has it taken
when the load starts.
"""

from __future__ import annotations

import os
import select

__all__ = ["controller_has_ended", "duplicate_controller_pidfd", "watch_controller"]

_pidfd: int | None = None


def watch_controller() -> None:
    """Remember the parent of this process, which is the controller, until this process ends.

    A kernel without pidfds, or a policy that refuses them, leaves the controller unwatched.
    """
    global _pidfd  # noqa: PLW0603 - a process has one parent
    if _pidfd is None:
        try:
            _pidfd = os.pidfd_open(os.getppid())
        except OSError:
            _pidfd = None


def duplicate_controller_pidfd() -> int | None:
    """Return a new descriptor that turns readable when the controller ends; ``None`` where none is watched."""
    if "PYTEST_XDIST_WORKER" in os.environ:
        watch_controller()
    return None if _pidfd is None else os.dup(_pidfd)


def controller_has_ended() -> bool:
    """Return whether a watched controller has ended; ``False`` where none is watched."""
    if _pidfd is None:
        return False
    poll = select.poll()
    poll.register(_pidfd, select.POLLIN)
    return bool(poll.poll(0))
