"""NVML's other power scopes (nvml.h): 1, the module around a GPU; 2, the GPU's memory.

The module of Grace-Hopper and Grace-Blackwell holds CPU, GPU and memory: where it can be read, it stands for the CPU
too, which has no RAPL. The memory is a part of the board: it is shown, and not added. Neither has an energy counter of
its own, so that the instant power is integrated; only the energy that the driver of a Grace-Hopper counts for its GPU
is that of the module (Zeus pull request 172).
"""

from __future__ import annotations

from typing import Any

from ...errors import SensorError
from ...records.energy_values import Quality
from ...units import J_PER_MJ, W_PER_MW
from ..sensor import Reading, SensorDescription
from .nvml_devices import GpuIdentity
from .nvml_library import NVML_GAIN_RATIO, NVML_OFFSET_W, POWER_INSTANT_FIELD, NvmlLibrary

__all__ = ["NvmlScopeSensor", "counts_module", "find_scopes"]

_MODULE_SCOPE = 1
_MEMORY_SCOPE = 2
_MODULE_NAMES = ("GH200", "GB200", "GB300")
"""Other boards may answer for this scope too, with what their module is; their CPU is not on it."""
_MODULE_COUNTER_NAME = "GH200"


class NvmlScopeSensor:
    """The power of one scope of a GPU."""

    def __init__(self, library: NvmlLibrary, handle: Any, gpu: GpuIdentity, scope: int) -> None:
        self._library = library
        self._handle = handle
        self._scope = scope
        self._open = True
        is_module = scope == _MODULE_SCOPE
        counter_call = "nvmlDeviceGetTotalEnergyConsumption"
        self._has_counter = is_module and counts_module(gpu) and library.maybe(counter_call, handle) is not None
        self._description = SensorDescription(
            name=f"{'module' if is_module else 'gpu-memory'}-{gpu.index}",
            kind="module" if is_module else "gpu-memory",
            device=gpu.uuid,
            parts=gpu.mig_uuids,
            source="nvml",
            quality=Quality.COUNTER if self._has_counter else Quality.INTEGRATED,
            joules_per_count=J_PER_MJ if self._has_counter else None,
            covers="CPU-GPU modules" if is_module else "GPU memories",
            contains=frozenset({"cpu", "dram", "gpu"}) if is_module else frozenset(),
            update_interval_s=0.1,
            gain_ratio=NVML_GAIN_RATIO,
            offset_w=NVML_OFFSET_W,
        )
        library.use()

    @property
    def description(self) -> SensorDescription:
        """The description of this scope."""
        return self._description

    def read(self) -> Reading:
        """Return its current power, or the energy counter of a module.

        Raises:
            SensorError: the driver refused, or the sensor is closed.
        """
        if not self._open:
            raise SensorError("the sensor is closed")
        if self._has_counter:
            return Reading(counter=self._library.call("nvmlDeviceGetTotalEnergyConsumption", self._handle))
        fields = self._library.fields(self._handle, ((POWER_INSTANT_FIELD, self._scope),))
        if POWER_INSTANT_FIELD not in fields:
            raise SensorError("the driver returned no value")
        power_mw, at_ns = fields[POWER_INSTANT_FIELD]
        return Reading(power_w=power_mw * W_PER_MW, sensor_ns=at_ns)

    def close(self) -> None:
        """Release the library."""
        if self._open:
            self._open = False
            self._library.release()


def counts_module(gpu: GpuIdentity) -> bool:
    """Return whether the energy counter of a GPU counts its whole module: CPU, GPU and memory."""
    return _MODULE_COUNTER_NAME in gpu.name


def find_scopes(library: NvmlLibrary, handle: Any, gpu: GpuIdentity) -> tuple[NvmlScopeSensor, ...]:
    """Return the module of a GPU, where it contains a CPU, and the GPU's memory; each where its power can be read."""
    on_module = any(name in gpu.name for name in _MODULE_NAMES)
    scopes = [_MODULE_SCOPE, _MEMORY_SCOPE] if on_module else [_MEMORY_SCOPE]
    found = []
    for scope in scopes:
        sensor = NvmlScopeSensor(library, handle, gpu, scope)
        try:
            sensor.read()
        except SensorError:
            sensor.close()
        else:
            found.append(sensor)
    return tuple(found)
