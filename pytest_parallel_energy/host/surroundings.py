"""What around the sensors makes numbers worse: virtualisation, containers, governors, other load, clashing packages."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from .cpu_info import read_cpu_info
from .governor import read_governors

__all__ = ["Finding", "Surroundings", "clashing_packages", "installed_distributions", "look_around"]

_CLASHING = ("pynvml", "nvidia-ml-py3")
"""Distributions that install the same module as nvidia-ml-py."""
_BUSY_RATIO = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that a user should know."""

    text: str
    remedy: str = ""


def installed_distributions() -> Iterator[str]:
    """The names of all installed distributions."""
    # heavy, and this module is loaded with every RAPL sensor
    from importlib import metadata

    for distribution in metadata.distributions():
        if distribution.name:
            yield distribution.name


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """Where to look; the defaults are this machine."""

    sysfs_root: Path = Path("/sys")
    proc_root: Path = Path("/proc")
    root: Path = Path("/")
    installed: Callable[[], Iterable[str]] = installed_distributions


def look_around(where: Surroundings, *, busy_ratio: float | None = None) -> tuple[Finding, ...]:
    """Everything worth a line; empty on bare metal with a quiet machine and a fixed frequency.

    Args:
        where: the places to look at.
        busy_ratio: share of the CPU that others used during the look, where it was measured.
    """
    return (
        *_virtualisation(where),
        *_container(where),
        *_governor(where),
        *_load(busy_ratio),
        *_packages(where),
    )


def clashing_packages(installed: Iterable[str]) -> tuple[str, ...]:
    """Installed distributions that overwrite ``nvidia-ml-py``'s module."""
    names = {name.lower().replace("_", "-") for name in installed}
    return tuple(name for name in _CLASHING if name in names)


def _virtualisation(where: Surroundings) -> Iterator[Finding]:
    try:
        virtual = read_cpu_info(where.proc_root).hypervisor
    except OSError:
        return
    if virtual:
        yield Finding(
            text="this is a virtual machine: RAPL is absent, stands still, or is a share of the host's (apportioned)",
            remedy="measure on the host, or on bare metal",
        )


def _container(where: Surroundings) -> Iterator[Finding]:
    if any((where.root / mark).exists() for mark in (".dockerenv", "run/.containerenv")):
        yield Finding(
            text="this is a container: Docker masks /sys/class/powercap, and other containers' use is in the joules",
            remedy="docker run -v /sys/class/powercap:/sys/class/powercap:ro --gpus all …",
        )


def _governor(where: Surroundings) -> Iterator[Finding]:
    governors = set(read_governors(where.sysfs_root).values())
    if governors and governors != {"performance"}:
        yield Finding(
            text=f"CPU governor {', '.join(sorted(governors))}: the frequency follows the load, repeats vary more",
            remedy="pytest --energy-governor=performance (as root)",
        )


def _load(busy_ratio: float | None) -> Iterator[Finding]:
    if busy_ratio is not None and busy_ratio > _BUSY_RATIO:
        yield Finding(
            text=f"the machine was {busy_ratio:.0%} busy while nothing was measured: others' work is in the joules",
            remedy="end it, or look with: top",
        )


def _packages(where: Surroundings) -> Iterator[Finding]:
    for name in clashing_packages(where.installed()):
        yield Finding(
            text=f"the package {name} clashes with nvidia-ml-py: both install the module pynvml",
            remedy=f"pip uninstall {name} && pip install --force-reinstall nvidia-ml-py",
        )
