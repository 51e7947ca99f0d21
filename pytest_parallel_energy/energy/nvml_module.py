"""The module of Grace-Hopper and Grace-Blackwell: CPU, GPU and memory on one board, by NVML's power scope 1 (nvml.h).

It has no energy counter: its instant power is integrated. Where it can be read, it stands for the CPU too, which has no
RAPL.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..errors import SensorError
from ..units import W_PER_MW
from .result import Quality
from .sensor import Reading, SensorDescription

if TYPE_CHECKING:
    from .nvml import NvmlLibrary
    from .nvml_devices import GpuIdentity

__all__ = ["NvmlModuleSensor", "find_module"]

_POWER_INSTANT = 186
_MODULE_SCOPE = 1
_MODULE_NAMES = ("GH200", "GB200", "GB300")
"""Other boards may answer for this scope too, with what their module is; their CPU is not on it."""
_GAIN_RATIO = 0.037
_OFFSET_W = 5.9
"""Those of NVIDIA's boards (see nvml.py); nobody has published the module's."""


class NvmlModuleSensor:
    """The power of one module."""

    def __init__(self, library: NvmlLibrary, handle: Any, gpu: GpuIdentity) -> None:
        self._library = library
        self._handle = handle
        self._open = True
        self._description = SensorDescription(
            name=f"module-{gpu.index}",
            kind="module",
            device=gpu.uuid,
            source="nvml",
            quality=Quality.INTEGRATED,
            covers="CPU-GPU modules",
            contains=frozenset({"cpu", "dram", "gpu"}),
            update_interval_s=0.1,
            gain_ratio=_GAIN_RATIO,
            offset_w=_OFFSET_W,
        )
        library.use()

    @property
    def description(self) -> SensorDescription:
        """What this module is."""
        return self._description

    def read(self) -> Reading:
        """Its power now.

        Raises:
            SensorError: the driver refused, or the sensor is closed.
        """
        if not self._open:
            raise SensorError("the sensor is closed")
        fields = self._library.fields(self._handle, ((_POWER_INSTANT, _MODULE_SCOPE),))
        if _POWER_INSTANT not in fields:
            raise SensorError("the driver gave no value")
        power_mw, at_ns = fields[_POWER_INSTANT]
        return Reading(power_w=power_mw * W_PER_MW, sensor_ns=at_ns)

    def close(self) -> None:
        """Let go of the library."""
        if self._open:
            self._open = False
            self._library.release()


def find_module(library: NvmlLibrary, handle: Any, gpu: GpuIdentity) -> tuple[NvmlModuleSensor, ...]:
    """The module that a GPU is on, if it is one with a CPU and its power can be read."""
    if not any(name in gpu.name for name in _MODULE_NAMES):
        return ()
    sensor = NvmlModuleSensor(library, handle, gpu)
    try:
        sensor.read()
    except SensorError:
        sensor.close()
        return ()
    return (sensor,)
