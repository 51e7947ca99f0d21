"""The cookie: the mark that every process of a session carries in its environment, with the session's owner.

A pid alone is not an identity: numbers are used again. The owner's pid counts together with its start time, and only
inside the PID namespace in which it was read.
"""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from msgspec import Struct

from .guard.procfs import read_stat

__all__ = ["REALM_VARIABLE", "VARIABLE", "Cookie", "own_pid_namespace"]

VARIABLE = "PYTEST_PARALLEL_ENERGY_COOKIE"
"""Name of the environment variable."""

REALM_VARIABLE = "PYTEST_PARALLEL_ENERGY_REALM"

_FIELDS = 4


class Cookie(Struct, frozen=True, kw_only=True):
    """The identity of the process that started another one.

    Args:
        owner_pid: pid of the owner.
        owner_start_ticks: its start, in clock ticks since boot.
        pid_namespace: the namespace in which ``owner_pid`` means something, such as ``pid:[4026531836]``.
        token: random part, one for each supervised child.
    """

    owner_pid: int
    owner_start_ticks: int
    pid_namespace: str
    token: str

    @classmethod
    def mine(cls) -> Cookie:
        """Return a new cookie of this process."""
        stat = read_stat("self")
        return cls(
            owner_pid=os.getpid(),
            owner_start_ticks=stat.start_ticks if stat is not None else 0,
            pid_namespace=own_pid_namespace(),
            token=secrets.token_hex(8),
        )

    @classmethod
    def parse(cls, text: str) -> Cookie | None:
        """Return the cookie written as ``text``; ``None`` when it is something else.

        >>> Cookie.parse("12 3400 pid:[4026531836] ab12").owner_pid
        12
        >>> Cookie.parse("something else") is None
        True
        """
        parts = text.split(" ")
        if len(parts) != _FIELDS or not (parts[0].isdigit() and parts[1].isdigit()):
            return None
        return cls(owner_pid=int(parts[0]), owner_start_ticks=int(parts[1]), pid_namespace=parts[2], token=parts[3])

    def __str__(self) -> str:
        return f"{self.owner_pid} {self.owner_start_ticks} {self.pid_namespace} {self.token}"

    def owner_lives(self) -> bool:
        """Return whether the very process that set this cookie is still alive; a zombie is not."""
        stat = read_stat(self.owner_pid)
        return stat is not None and stat.start_ticks == self.owner_start_ticks and stat.state not in "ZX"


def own_pid_namespace() -> str:
    """Return the PID namespace of this process, with the realm where one is set.

    A realm (a word) separates the sessions of one machine: those of another realm are left alone. Tests set it, so that
    concurrent test suites do not kill each other's processes.
    """
    realm = "".join(os.environ.get(REALM_VARIABLE, "").split())
    try:
        return f"{Path('/proc/self/ns/pid').readlink()}{realm}"
    except OSError:
        return realm
