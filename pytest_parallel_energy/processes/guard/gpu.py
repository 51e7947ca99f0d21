"""GPU memory and utilisation of the load, through NVIDIA's own library and ctypes: the guard has no packages.

Struct layouts and function names: nvml.h of driver 12 and newer.
"""

from __future__ import annotations

import ctypes
from typing import Any, NamedTuple

from .ring import RingSample, UtilisationRing

__all__ = ["Gpus", "open_gpus"]

_LIBRARY = "libnvidia-ml.so.1"
_MOST_PROCESSES = 256
_SUCCESS, _NOT_FOUND, _INSUFFICIENT_SIZE, _FUNCTION_NOT_FOUND = 0, 6, 7, 13
_NO_VALUE = 0xFFFF_FFFF_FFFF_FFFF


class _Memory(ctypes.Structure):
    _fields_ = (("total", ctypes.c_ulonglong), ("free", ctypes.c_ulonglong), ("used", ctypes.c_ulonglong))


class _Process(ctypes.Structure):
    _fields_ = (
        ("pid", ctypes.c_uint),
        ("used", ctypes.c_ulonglong),
        ("gpu_instance", ctypes.c_uint),
        ("compute_instance", ctypes.c_uint),
    )


class _Utilisation(ctypes.Structure):
    _fields_ = (
        ("pid", ctypes.c_uint),
        ("at_us", ctypes.c_ulonglong),
        ("sm", ctypes.c_uint),
        ("memory", ctypes.c_uint),
        ("encoder", ctypes.c_uint),
        ("decoder", ctypes.c_uint),
    )


class _Use(NamedTuple):
    memory_bytes: int
    percent: float | None


class Gpus:
    """The GPUs that a load may see."""

    def __init__(self, library: ctypes.CDLL, devices: list[ctypes.c_void_p]) -> None:
        self._library = library
        self._devices = devices
        self._rings = [UtilisationRing() for _ in devices]

    def _call(self, name: str, *arguments: Any) -> int:
        """Call a function of the library, and return its result; a driver may lack the function."""
        function = getattr(self._library, name, None)
        return _FUNCTION_NOT_FOUND if function is None else int(function(*arguments))

    def free_bytes(self) -> int | None:
        """Return the memory that is free on the fullest of them; ``None`` when it cannot be read."""
        free = []
        for device in self._devices:
            memory = _Memory()
            if self._call("nvmlDeviceGetMemoryInfo", device, ctypes.byref(memory)) != _SUCCESS:
                return None
            free.append(int(memory.free))
        return min(free, default=None)

    def total_bytes(self) -> int | None:
        """Return the memory of the smallest of them."""
        totals = []
        for device in self._devices:
            memory = _Memory()
            if self._call("nvmlDeviceGetMemoryInfo", device, ctypes.byref(memory)) != _SUCCESS:
                return None
            totals.append(int(memory.total))
        return min(totals, default=None)

    def use(self, pids: set[int]) -> _Use:
        """Return what processes hold and use now.

        ``percent`` is the utilisation by all of them together since the last call, on average over the devices;
        ``None`` when no device has a new sample.
        """
        held = 0
        percents = []
        for number, device in enumerate(self._devices):
            held += self._held(device, pids)
            percent = self._percent(number, device, pids)
            if percent is not None:
                percents.append(percent)
        return _Use(memory_bytes=held, percent=sum(percents) / len(percents) if percents else None)

    def _held(self, device: ctypes.c_void_p, pids: set[int]) -> int:
        count = ctypes.c_uint(_MOST_PROCESSES)
        found = (_Process * _MOST_PROCESSES)()
        result = self._call("nvmlDeviceGetComputeRunningProcesses_v3", device, ctypes.byref(count), found)
        if result not in {_SUCCESS, _INSUFFICIENT_SIZE}:
            return 0
        mine = (process for process in found[: min(count.value, _MOST_PROCESSES)] if process.pid in pids)
        return sum(int(process.used) for process in mine if process.used != _NO_VALUE)

    def _percent(self, number: int, device: ctypes.c_void_p, pids: set[int]) -> float | None:
        ring = self._rings[number]
        count = ctypes.c_uint(_MOST_PROCESSES)
        found = (_Utilisation * _MOST_PROCESSES)()
        since_us = ctypes.c_ulonglong(ring.last_us)
        result = self._call("nvmlDeviceGetProcessUtilization", device, found, ctypes.byref(count), since_us)
        if result == _NOT_FOUND:
            return ring.note_idle()
        if result != _SUCCESS:
            return None
        entries = found[: min(count.value, _MOST_PROCESSES)]
        return ring.percent((RingSample(entry.pid, entry.sm, entry.at_us) for entry in entries), pids)


def open_gpus(visible: str | None, library: str = _LIBRARY) -> Gpus | None:
    """Open the GPUs named by ``CUDA_VISIBLE_DEVICES``, all when it is ``None``.

    ``None`` when there is no NVIDIA driver, no such device, or only MIG instances (whose processes NVML names by their
    parent).
    """
    try:
        nvml = ctypes.CDLL(library)
        if nvml.nvmlInit_v2() != _SUCCESS:
            return None
        devices = [device for number in range(_count(nvml)) if (device := _device(nvml, number)) is not None]
        if visible is not None:
            words = [word.strip() for word in visible.split(",")]
            devices = [device for word in words if (device := _named(nvml, devices, word)) is not None]
    except (OSError, AttributeError):  # there is no such library, or it lacks one of the functions
        return None
    return Gpus(nvml, devices) if devices else None


def _count(nvml: ctypes.CDLL) -> int:
    count = ctypes.c_uint()
    return count.value if nvml.nvmlDeviceGetCount_v2(ctypes.byref(count)) == _SUCCESS else 0


def _device(nvml: ctypes.CDLL, number: int) -> ctypes.c_void_p | None:
    device = ctypes.c_void_p()
    return device if nvml.nvmlDeviceGetHandleByIndex_v2(number, ctypes.byref(device)) == _SUCCESS else None


def _named(nvml: ctypes.CDLL, devices: list[ctypes.c_void_p], word: str) -> ctypes.c_void_p | None:
    """Return a device by its index or by the beginning of its UUID."""
    if not word:
        return None
    if word.isdigit():
        return devices[int(word)] if int(word) < len(devices) else None
    for device in devices:
        uuid = ctypes.create_string_buffer(96)
        if nvml.nvmlDeviceGetUUID(device, uuid, 96) == _SUCCESS and uuid.value.decode().startswith(word):
            return device
    return None
