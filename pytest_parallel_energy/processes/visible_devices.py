"""The environment variables that select the GPUs of a training or load."""

from __future__ import annotations

import re
from collections.abc import Sequence

from ..errors import ConfigError

__all__ = ["DEVICE_VARIABLES", "device_environment", "device_list"]

_DEVICE = re.compile(r"[0-9]+|GPU-[0-9a-fA-F-]+|MIG-[0-9a-zA-Z/-]+")
DEVICE_VARIABLES = ("CUDA_VISIBLE_DEVICES", "CUDA_DEVICE_ORDER")
"""The variables that select the GPUs of a process and the order of their indices."""


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
