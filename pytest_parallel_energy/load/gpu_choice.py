"""The environment variables that select a load's GPUs and limit its GPU memory."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from ..errors import ConfigError
from ..processes.ranges import SHARE

__all__ = ["DEVICE_VARIABLES", "device_environment", "device_list", "memory_environment"]

_DEVICE = re.compile(r"[0-9]+|GPU-[0-9a-fA-F-]+|MIG-[0-9a-zA-Z/-]+")
DEVICE_VARIABLES = ("CUDA_VISIBLE_DEVICES", "CUDA_DEVICE_ORDER")
"""The variables that select the GPUs of a process and the order of their indices."""
_FRACTION = "per_process_memory_fraction"
_ALLOCATOR_VARIABLES = ("PYTORCH_ALLOC_CONF", "PYTORCH_CUDA_ALLOC_CONF")
"""The name since PyTorch 2.9, and the older name, which newer versions read as well."""


def device_list(devices: str | int | Sequence[str | int]) -> str:
    """Return devices in the form of ``CUDA_VISIBLE_DEVICES``.

    >>> device_list(0), device_list("0, 1"), device_list(["GPU-8a2c", "MIG-12"]), device_list([])
    ('0', '0,1', 'GPU-8a2c,MIG-12', '')

    Args:
        devices: indices, UUIDs or their beginnings, MIG instances; nothing at all means no GPU.

    Raises:
        ConfigError: a word that names no device, or two MIG instances (CUDA gives a process one).
    """
    words = devices.split(",") if isinstance(devices, str) else [devices] if isinstance(devices, int) else devices
    names = [str(word).strip() for word in words]
    names = [] if names == [""] else names
    for name in names:
        if not _DEVICE.fullmatch(name):
            raise ConfigError(
                f"{name!r} names no GPU: write an index as 0, a UUID as GPU-8a2c…, or an instance as MIG-…"
            )
    if len(names) > 1 and any(name.startswith("MIG-") for name in names) and len({n[:4] for n in names}) == 1:
        raise ConfigError(f"a process can use one MIG instance, not {len(names)}: {', '.join(names)}")
    return ",".join(names)


def device_environment(devices: str | None) -> dict[str, str]:
    """Return the variables that show a process these devices only; empty for ``None``."""
    if devices is None:
        return {}
    order = {"CUDA_DEVICE_ORDER": "PCI_BUS_ID"} if re.match(r"[0-9]", devices) else {}
    return {"CUDA_VISIBLE_DEVICES": devices} | order


def memory_environment(
    fraction: float | None, env: Mapping[str, str] = os.environ, *, driver: Path = Path("/proc/driver/nvidia/version")
) -> dict[str, str]:
    """Return the variables that limit PyTorch's allocator to a share of the GPU's memory; empty for ``None``.

    The allocator enforces the limit, the GPU does not: memory that a process takes without PyTorch is not counted.
    The record contains the memory that the load really held.

    Args:
        fraction: above 0, up to 1.
        env: the variables that are set already; other settings of the allocator are kept.
        driver: exists where an NVIDIA driver is loaded.

    Raises:
        ConfigError: outside the range, or there is no NVIDIA GPU whose memory could be limited.
    """
    if fraction is None:
        return {}
    SHARE.check("gpu_memory_fraction", fraction)
    if not driver.exists():
        raise ConfigError(
            f"gpu_memory_fraction={fraction:g} cannot be enforced: there is no NVIDIA GPU here ({driver} is not there)"
        )
    found = {}
    for name in _ALLOCATOR_VARIABLES:
        others = [part for part in env.get(name, "").split(",") if part and not part.startswith(_FRACTION)]
        found[name] = ",".join([*others, f"{_FRACTION}:{fraction:g}"])
    return found
