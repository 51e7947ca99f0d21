"""The GPUs that this process would use: ``CUDA_VISIBLE_DEVICES`` in each of its forms, against what NVML lists.

Source: CUDA C++ Programming Guide, "CUDA Environment Variables": a comma-separated list of indices, ``GPU-<uuid>``
(or a unique beginning of one) or ``MIG-…``; what stands behind the first invalid entry is invisible; an empty list
hides all.
NVML counts in PCI order, CUDA by default with the fastest first.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

__all__ = ["GpuIdentity", "Visible", "visible_gpus"]


@dataclass(frozen=True, slots=True, kw_only=True)
class GpuIdentity:
    """One GPU as NVML lists it, with the MIG instances on it."""

    index: int
    uuid: str
    name: str
    mig_uuids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Visible:
    """The GPUs to measure, in NVML's order, and what a reader must know about the choice."""

    gpus: tuple[GpuIdentity, ...]
    notes: tuple[str, ...] = ()


def visible_gpus(gpus: Sequence[GpuIdentity], environment: Mapping[str, str]) -> Visible:
    """Return the GPUs that CUDA would show. Without the variable all are visible."""
    wanted = environment.get("CUDA_VISIBLE_DEVICES")
    if wanted is None:
        return Visible(gpus=tuple(gpus))
    chosen: dict[int, GpuIdentity] = {}
    notes: list[str] = []
    for entry in (part.strip() for part in wanted.split(",")):
        if not entry and not chosen:
            break
        gpu = _match(entry, gpus)
        if gpu is None:
            notes.append(
                f"CUDA_VISIBLE_DEVICES={wanted!r}: {entry!r} is not a GPU of this machine; "
                "CUDA ignores it and every entry after it"
            )
            break
        chosen[gpu.index] = gpu
        if entry.isdecimal() and _order_is_open(gpus, environment):
            notes.append(
                "the GPUs differ and CUDA_DEVICE_ORDER is not PCI_BUS_ID: CUDA may number them differently from NVML, "
                "so the measured GPU may not be the one in use; set CUDA_DEVICE_ORDER=PCI_BUS_ID"
            )
        if entry.startswith("MIG-"):
            notes.append(f"gpu-{gpu.index} is shared through MIG: its energy is that of the whole board")
    return Visible(gpus=tuple(chosen[index] for index in sorted(chosen)), notes=tuple(dict.fromkeys(notes)))


def _match(entry: str, gpus: Sequence[GpuIdentity]) -> GpuIdentity | None:
    if entry.isdecimal():
        return next((gpu for gpu in gpus if gpu.index == int(entry)), None)
    if entry.startswith("MIG-GPU-"):
        # the form of drivers before 470: MIG-GPU-<uuid>/<GPU instance>/<compute instance>
        entry = entry.removeprefix("MIG-").partition("/")[0]
    if entry.startswith("MIG-"):
        found = [gpu for gpu in gpus if any(uuid.startswith(entry) for uuid in gpu.mig_uuids)]
    elif entry.startswith("GPU-"):
        found = [gpu for gpu in gpus if gpu.uuid.startswith(entry)]
    else:
        found = []
    return found[0] if len(found) == 1 else None


def _order_is_open(gpus: Sequence[GpuIdentity], environment: Mapping[str, str]) -> bool:
    return environment.get("CUDA_DEVICE_ORDER") != "PCI_BUS_ID" and len({gpu.name for gpu in gpus}) > 1
