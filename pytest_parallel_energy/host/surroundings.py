"""Conditions that make measurements worse: virtualisation, containers, governors, other load, package conflicts."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from msgspec import Struct

from .cpu_info import read_cpu_info
from .cpu_time import BUSY_HOST_RATIO
from .governor import read_governors

__all__ = ["Finding", "Surroundings", "clashing_packages", "installed_distributions", "look_around"]

_CLASHING = ("pynvml", "nvidia-ml-py3")
"""Distributions that install a module ``pynvml``, as nvidia-ml-py does."""


class Finding(Struct, frozen=True, kw_only=True):
    """One condition that a user should know about."""

    text: str
    remedy: str = ""


def installed_distributions() -> Iterator[str]:
    """Yield the names of all installed distributions."""
    # heavy, and needed by the doctor only
    from importlib import metadata

    for distribution in metadata.distributions():
        if distribution.name:
            yield distribution.name


class Surroundings(Struct, frozen=True, kw_only=True):
    """Places to look at; the defaults are those of this machine."""

    sysfs_root: Path = Path("/sys")
    proc_root: Path = Path("/proc")
    root: Path = Path("/")
    installed: Callable[[], Iterable[str]] = installed_distributions


def look_around(where: Surroundings, *, busy_ratio: float | None = None) -> tuple[Finding, ...]:
    """Return all findings; empty on an idle physical machine with a fixed CPU frequency.

    Args:
        where: the places to look at.
        busy_ratio: share of the CPU time, 0 to 1, that other programs used; ``None`` when it was not measured.
    """
    return (
        *_virtualisation(where),
        *_container(where),
        *_governor(where),
        *_load(busy_ratio),
        *_packages(where),
    )


def clashing_packages(installed: Iterable[str]) -> tuple[str, ...]:
    """Return the installed distributions that overwrite the module of ``nvidia-ml-py``."""
    names = {name.lower().replace("_", "-") for name in installed}
    return tuple(name for name in _CLASHING if name in names)


def _virtualisation(where: Surroundings) -> Iterator[Finding]:
    try:
        virtual = read_cpu_info(where.proc_root).hypervisor
    except OSError:
        return
    if virtual:
        yield Finding(
            text="this is a virtual machine: RAPL is absent, does not count, or is a share of the host's (apportioned)",
            remedy="measure on the host, or on bare metal",
        )


def _container(where: Surroundings) -> Iterator[Finding]:
    if any((where.root / mark).exists() for mark in (".dockerenv", "run/.containerenv")):
        yield Finding(
            text="this is a container: Docker hides /sys/class/powercap, and the joules include other containers",
            remedy="docker run -v /sys/class/powercap:/sys/class/powercap:ro --gpus all …",
        )


def _governor(where: Surroundings) -> Iterator[Finding]:
    governors = set(read_governors(where.sysfs_root).values())
    if governors and governors != {"performance"}:
        yield Finding(
            text=f"CPU governor {', '.join(sorted(governors))}: the frequency follows the load, repetitions vary more",
            remedy="pytest --energy-governor=performance (as root)",
        )


def _load(busy_ratio: float | None) -> Iterator[Finding]:
    if busy_ratio is not None and busy_ratio > BUSY_HOST_RATIO:
        yield Finding(
            text=f"other programs used {busy_ratio:.0%} of the CPU while nothing was measured: the joules include them",
            remedy="find them with 'top' and stop them",
        )


def _packages(where: Surroundings) -> Iterator[Finding]:
    for name in clashing_packages(where.installed()):
        yield Finding(
            text=f"the package {name} clashes with nvidia-ml-py: both install the module pynvml",
            remedy=f"pip uninstall {name} && pip install --force-reinstall nvidia-ml-py",
        )
