"""The processors of this machine: family for the table of coefficients, hypervisor flag, names.

Model numbers: Linux ``arch/x86/include/asm/intel-family.h``; AMD "Processor Programming Reference" of each family;
Arm part numbers: ``arch/arm64/include/asm/cputype.h``.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

__all__ = ["BUSY_FIELDS", "TICK_S", "CpuInfo", "family_of", "is_virtual", "read_cpu_info"]

TICK_S = 1 / os.sysconf("SC_CLK_TCK")
"""Seconds per tick of ``/proc/stat`` (USER_HZ, proc(5)): 0.01 on every supported machine."""
BUSY_FIELDS = (1, 2, 3, 6, 7)
"""Words of the first line of ``/proc/stat`` (proc(5)): user, nice, system, irq, softirq; not idle, iowait or steal.
User and nice contain the time of guests already."""

_INTEL_6 = {
    42: "Sandy Bridge", 45: "Sandy Bridge", 58: "Ivy Bridge", 62: "Ivy Bridge",
    60: "Haswell", 63: "Haswell", 69: "Haswell", 70: "Haswell",
    61: "Broadwell", 71: "Broadwell", 79: "Broadwell", 86: "Broadwell",
    106: "Ice Lake", 108: "Ice Lake", 143: "Sapphire Rapids", 207: "Emerald Rapids",
    173: "Granite Rapids", 174: "Granite Rapids", 158: "Coffee Lake",
}  # fmt: skip
_INTEL_SKYLAKE_SP = 85
_CASCADE_LAKE_STEPPINGS = range(5, 10)
"""Model 85: steppings up to 4 are Skylake-SP, 5 to 7 Cascade Lake, 10 and 11 Cooper Lake (not in the table)."""


class CpuInfo(NamedTuple):
    """Content of ``/proc/cpuinfo``; all processors are assumed to be of one model."""

    threads: int
    vendor: str = ""
    family: int | None = None
    model: int | None = None
    stepping: int | None = None
    name: str = ""
    sockets: int | None = None
    """Processor packages; ``None`` where the kernel does not number them (Arm)."""
    threads_per_core: int | None = None
    """Hardware threads of a core that are in use; ``None`` where the kernel does not say."""
    hypervisor: bool | None = None
    """Set by hypervisors for their guests: CPUID leaf 1, ECX bit 31, "hypervisor" among the flags (Linux
    ``arch/x86/include/asm/cpufeatures.h``); ``None`` where processors have no such flags (Arm)."""


def read_cpu_info(proc_root: Path = Path("/proc")) -> CpuInfo:
    """Read the first processor of ``cpuinfo``, and count all; at least 1 thread even where the file is unusual.

    Raises:
        OSError: there is no such file.
    """
    text = (proc_root / "cpuinfo").read_text(encoding="utf-8", errors="replace")
    fields: dict[str, str] = {}
    threads, names, packages = 0, set(), set()
    for line in text.splitlines():
        key, colon, value = line.partition(":")
        if colon:
            threads += key.strip() == "processor"
            fields.setdefault(key.strip(), value.strip())
            if key.strip() == "physical id":
                packages.add(value.strip())
            if key.strip() == "model name":
                names.add(value.strip())
    return CpuInfo(
        threads=max(threads, 1),
        vendor=fields.get("vendor_id", fields.get("CPU implementer", "")),
        family=_int(fields.get("cpu family")),
        model=_int(fields.get("model", fields.get("CPU part"))),
        stepping=_int(fields.get("stepping")),
        name=min(names, default=""),
        sockets=len(packages) or None,
        threads_per_core=_threads_per_core(fields),
        hypervisor="hypervisor" in fields["flags"].split() if "flags" in fields else None,
    )


def family_of(cpu: CpuInfo) -> str | None:
    """Return the family's name in the table of coefficients, ``None`` when it is not in the table.

    >>> family_of(CpuInfo(threads=2, vendor="GenuineIntel", family=6, model=207))
    'Emerald Rapids'
    """
    if cpu.vendor == "GenuineIntel" and cpu.family == 6:  # noqa: PLR2004 - all Intel since 1995
        return _intel(cpu)
    if cpu.vendor == "AuthenticAMD" and "EPYC" in cpu.name:
        return _epyc(cpu.family, cpu.model if cpu.model is not None else -1)
    if (cpu.vendor, cpu.model) == ("0x41", 0xD0C):
        return "Neoverse N1"
    return None


def is_virtual(sysfs_root: Path) -> bool:
    """Return whether this machine is virtual: RAPL then reports at best a share of the host's energy.

    For a root other than ``/sys`` (a host's tree mounted into a container) the ``proc`` in the same folder decides.
    """
    proc_root = sysfs_root.parent / "proc"
    try:
        return read_cpu_info(proc_root).hypervisor is True
    except OSError:
        return False


def _intel(cpu: CpuInfo) -> str | None:
    if cpu.model == _INTEL_SKYLAKE_SP:
        stepping = cpu.stepping or 0
        if stepping in _CASCADE_LAKE_STEPPINGS:
            return "Cascade Lake"
        return "Skylake-SP" if stepping < _CASCADE_LAKE_STEPPINGS.start else None
    return _INTEL_6.get(-1 if cpu.model is None else cpu.model)


def _epyc(family: int | None, model: int) -> str | None:
    generations = (
        (0x17, range(0x10), "EPYC 1"),
        (0x17, range(0x30, 0x40), "EPYC 2"),
        (0x19, range(0x10), "EPYC 3"),
        (0x19, range(0x10, 0x20), "EPYC 4"),
        (0x19, range(0xA0, 0xB0), "EPYC 4"),
        (0x1A, range(0x20), "EPYC 5"),
    )
    return next((name for number, models, name in generations if family == number and model in models), None)


def _threads_per_core(fields: dict[str, str]) -> int | None:
    siblings, cores = _int(fields.get("siblings")), _int(fields.get("cpu cores"))
    return siblings // cores if siblings and cores else None


def _int(text: str | None) -> int | None:
    try:
        return None if text is None else int(text, 0)
    except ValueError:
        return None
