"""Cheap checks for the hardware and the libraries of each back end, made before the back end is imported.

A script that measures one window would otherwise import back ends and bindings that cannot work on its machine.
"""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from typing import Any

from ...errors import SensorUnavailableError

__all__ = ["amd_binding", "nvml_is_loadable", "open_plain", "perf_folder", "powercap_folder"]

_NVML_LIBRARY = "libnvidia-ml.so.1"
"""The name that nvidia-ml-py loads on Linux."""


def open_plain(path: Path) -> int:
    """Open a plain file for reading, and return its descriptor. A FIFO or device in its place does not block.

    Raises:
        OSError: it cannot be opened, or is not a plain file.
    """
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY)
    if stat.S_ISREG(os.fstat(fd).st_mode):
        return fd
    os.close(fd)
    raise OSError(errno.EINVAL, "it is not a plain file", str(path))


def powercap_folder(sysfs_root: Path) -> Path:
    """Return the folder of the powercap zones.

    Raises:
        SensorUnavailableError: it does not exist.
    """
    base = sysfs_root / "class" / "powercap"
    if not base.is_dir():
        raise SensorUnavailableError(
            f"RAPL is not available (unsupported CPU, virtual machine, or container): {base} does not exist",
            "on Intel or AMD hardware: modprobe intel_rapl_msr",
        )
    return base


def perf_folder(sysfs_root: Path) -> Path:
    """Return the folder of the power PMU.

    Raises:
        SensorUnavailableError: it does not exist.
    """
    base = sysfs_root / "bus" / "event_source" / "devices" / "power"
    if not base.is_dir():
        raise SensorUnavailableError(f"the kernel has no power PMU: {base} does not exist", "modprobe rapl")
    return base


def nvml_is_loadable() -> None:
    """Check that the NVIDIA driver's library can be loaded; the import of its binding takes longer than this.

    Raises:
        SensorUnavailableError: it cannot be loaded.
    """
    if os.name != "posix":
        return
    import ctypes

    try:
        ctypes.CDLL(_NVML_LIBRARY)
    except OSError as error:
        raise SensorUnavailableError(f"no NVIDIA driver answers: {_NVML_LIBRARY} cannot be loaded") from error


def amd_binding() -> Any:
    """Import and return ``amdsmi``.

    Raises:
        SensorUnavailableError: it is not installed, or it cannot be loaded.
    """
    try:
        import amdsmi
    except ImportError as error:
        raise SensorUnavailableError("amdsmi is not installed (it is part of ROCm)") from error
    except Exception as error:  # amdsmi searches for its library at import, and raises errors of any type
        raise SensorUnavailableError(f"amdsmi cannot be loaded: {error}") from error
    return amdsmi
