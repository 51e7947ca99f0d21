"""NVIDIA GPUs through NVML and its official binding, ``nvidia-ml-py``.

The energy counter where there is one (Volta and newer), else the instant power, integrated. Field values are read in
one batch per device, because each call takes the driver's lock. ``nvmlDeviceGetPowerUsage`` averages over a second on
Ampere and newer except GA100, so that it is the last resort (nvml.h, version 13).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ...errors import SensorError, SensorUnavailableError
from ...processes.guard.ring import RingSample
from ...records.energy_values import Quality
from ...units import J_PER_MJ, W_PER_MW
from ..sensor import Observation, Reading, Sensor, SensorDescription
from .nvml_devices import GpuIdentity, visible_gpus
from .nvml_library import NVML_GAIN_RATIO, NVML_OFFSET_W, POWER_INSTANT_FIELD, NvmlLibrary
from .nvml_scopes import counts_module, find_scopes

__all__ = ["NvmlSensor", "list_gpus", "open_nvml"]

_TOTAL_ENERGY = 83


@dataclass(frozen=True, slots=True, kw_only=True)
class _Timing:
    averaging_s: float | None
    update_s: float | None


_UNKNOWN = _Timing(averaging_s=None, update_s=None)
_FULL_TIME = _Timing(averaging_s=0.1, update_s=0.1)
_QUARTER_TIME = _Timing(averaging_s=0.025, update_s=0.1)
_TIMINGS = {
    4: _Timing(averaging_s=0.01, update_s=0.02),
    5: _Timing(averaging_s=0.01, update_s=0.02),
    6: _FULL_TIME,
    7: _FULL_TIME,
    8: _FULL_TIME,
    9: _QUARTER_TIME,
}
"""By NVML architecture number (Pascal 4 … Hopper 9): table of arXiv 2312.02741. Others: not known, measure."""
_GA100_NAMES = ("A100", "A800", "A30")
_AVERAGED = _Timing(averaging_s=1.0, update_s=0.1)


class NvmlSensor:
    """One GPU board: its energy counter and its instant power, in one call."""

    def __init__(self, library: NvmlLibrary, handle: Any, gpu: GpuIdentity, notes: Sequence[str] = ()) -> None:
        self._library = library
        self._handle = handle
        self._open = True
        self._read, self._description = _capabilities(library, handle, gpu, tuple(notes))
        library.use()

    @property
    def description(self) -> SensorDescription:
        """The description of this board."""
        return self._description

    def read(self) -> Reading:
        """Return the counter in millijoules, and the power.

        Raises:
            SensorError: the driver refused ("GPU is lost" among others), or the sensor is closed.
        """
        if not self._open:
            raise SensorError("the sensor is closed")
        return self._read()

    def observe(self) -> Observation:
        """Return temperature, throttling and processes, each ``None`` or empty where the board does not report it."""
        ask = self._library.maybe
        processes = [
            *(ask("nvmlDeviceGetComputeRunningProcesses", self._handle) or ()),
            *(ask("nvmlDeviceGetGraphicsRunningProcesses", self._handle) or ()),
        ]
        return Observation(
            temperature_c=ask("nvmlDeviceGetTemperature", self._handle, 0),
            throttle=_throttle_words(ask("nvmlDeviceGetCurrentClocksThrottleReasons", self._handle)),
            process_ids=tuple(sorted({process.pid for process in processes})),
        )

    def utilisation(self, last_us: int) -> Sequence[RingSample]:
        """Return the use by process since a time stamp of the driver (``nvmlDeviceGetProcessUtilization``).

        Raises:
            SensorError: no process used it, or the driver does not report it (under MIG, for example).
        """
        samples = self._library.call("nvmlDeviceGetProcessUtilization", self._handle, last_us)
        return [RingSample(pid=sample.pid, sm_percent=sample.smUtil, at_us=sample.timeStamp) for sample in samples]

    def close(self) -> None:
        """Release the library."""
        if self._open:
            self._open = False
            self._library.release()


def open_nvml(environment: Mapping[str, str] = os.environ) -> tuple[Sensor, ...]:
    """Open every GPU that CUDA would show to this process.

    Raises:
        SensorUnavailableError: no driver, no GPU, or none visible.
    """
    library = NvmlLibrary.load()
    library.use()
    try:
        gpus = list_gpus(library)
        visible = visible_gpus([gpu for gpu, _ in gpus], environment)
        handles = {gpu.index: handle for gpu, handle in gpus}
        boards = [NvmlSensor(library, handles[gpu.index], gpu, visible.notes) for gpu in visible.gpus]
        scopes = [scope for gpu in visible.gpus for scope in find_scopes(library, handles[gpu.index], gpu)]
        sensors: tuple[Sensor, ...] = (*boards, *scopes)
    except SensorError as error:
        raise SensorUnavailableError(f"the NVIDIA driver reports: {error}") from error
    finally:
        library.release()
    if not sensors:
        raise SensorUnavailableError(
            "CUDA_VISIBLE_DEVICES hides every GPU" if gpus else "the driver lists no GPU",
            "unset CUDA_VISIBLE_DEVICES" if gpus else "",
        )
    return sensors


def list_gpus(library: NvmlLibrary) -> list[tuple[GpuIdentity, Any]]:
    """Return all GPUs of the machine with their handles.

    Raises:
        SensorError: the driver refused.
    """
    gpus = []
    for index in range(library.call("nvmlDeviceGetCount")):
        handle = library.call("nvmlDeviceGetHandleByIndex", index)
        identity = GpuIdentity(
            index=index,
            uuid=_text(library.call("nvmlDeviceGetUUID", handle)),
            name=_text(library.call("nvmlDeviceGetName", handle)),
            mig_uuids=_mig_uuids(library, handle),
        )
        gpus.append((identity, handle))
    return gpus


def _mig_uuids(library: NvmlLibrary, handle: Any) -> tuple[str, ...]:
    mode = library.maybe("nvmlDeviceGetMigMode", handle)
    if mode is None or not mode[0]:
        return ()
    uuids = []
    for index in range(library.maybe("nvmlDeviceGetMaxMigDeviceCount", handle) or 0):
        instance = library.maybe("nvmlDeviceGetMigDeviceHandleByIndex", handle, index)
        uuid = None if instance is None else library.maybe("nvmlDeviceGetUUID", instance)
        if uuid is not None:
            uuids.append(_text(uuid))
    return tuple(uuids)


def _capabilities(
    library: NvmlLibrary, handle: Any, gpu: GpuIdentity, notes: tuple[str, ...]
) -> tuple[Callable[[], Reading], SensorDescription]:
    """Return the function that reads this board, and its description; tried once, at opening."""
    try:
        fields = library.fields(handle, (_TOTAL_ENERGY, POWER_INSTANT_FIELD))
    except SensorError:
        fields = {}
    timing = _timing(library, handle, gpu.name)
    counter_call = library.maybe("nvmlDeviceGetTotalEnergyConsumption", handle)
    if counts_module(gpu):  # the counter is read as that of the module, which is a sensor of its own
        fields = {field: value for field, value in fields.items() if field != _TOTAL_ENERGY}
        counter_call = None
    if _TOTAL_ENERGY in fields:
        read = _field_reader(library, handle, counter=True)
    elif counter_call is not None:
        read = _call_reader(library, handle, "nvmlDeviceGetTotalEnergyConsumption")
    elif POWER_INSTANT_FIELD in fields:
        read = _field_reader(library, handle, counter=False)
    else:
        # last resort; where not even this answers, every reading fails, and the domain is missing with the reason
        read, timing = _call_reader(library, handle, "nvmlDeviceGetPowerUsage"), _AVERAGED
    has_counter = _TOTAL_ENERGY in fields or counter_call is not None
    limits_mw = library.maybe("nvmlDeviceGetPowerManagementLimitConstraints", handle)
    return read, SensorDescription(
        name=f"gpu-{gpu.index}",
        kind="gpu",
        device=gpu.uuid,
        parts=gpu.mig_uuids,
        source="nvml",
        quality=Quality.COUNTER if has_counter else Quality.INTEGRATED,
        covers="GPU boards",
        joules_per_count=J_PER_MJ if has_counter else None,
        update_interval_s=timing.update_s,
        averaging_s=timing.averaging_s,
        gain_ratio=NVML_GAIN_RATIO,
        offset_w=NVML_OFFSET_W,
        max_w=limits_mw[1] * W_PER_MW if limits_mw and limits_mw[1] else None,
        notes=notes,
    )


def _field_reader(library: NvmlLibrary, handle: Any, *, counter: bool) -> Callable[[], Reading]:
    def read() -> Reading:
        fields = library.fields(handle, (_TOTAL_ENERGY, POWER_INSTANT_FIELD))
        energy_mj, power_mw = fields.get(_TOTAL_ENERGY), fields.get(POWER_INSTANT_FIELD)
        if (energy_mj if counter else power_mw) is None:
            raise SensorError("the driver returned no value")
        return Reading(
            counter=int(energy_mj[0]) if counter and energy_mj is not None else None,
            power_w=None if power_mw is None else power_mw[0] * W_PER_MW,
            sensor_ns=None if power_mw is None else power_mw[1],
        )

    return read


def _call_reader(library: NvmlLibrary, handle: Any, name: str) -> Callable[[], Reading]:
    if name == "nvmlDeviceGetPowerUsage":
        return lambda: Reading(power_w=library.call(name, handle) * W_PER_MW)
    return lambda: Reading(counter=library.call(name, handle))


def _timing(library: NvmlLibrary, handle: Any, name: str) -> _Timing:
    if any(model in name for model in _GA100_NAMES):
        return _QUARTER_TIME
    return _TIMINGS.get(library.maybe("nvmlDeviceGetArchitecture", handle) or 0, _UNKNOWN)


_THROTTLE = {
    0x04: "software power cap",
    0x08: "hardware slowdown",
    0x20: "software thermal slowdown",
    0x40: "hardware thermal slowdown",
    0x80: "hardware power brake",
}
"""``nvmlClocksEventReasons`` that cost speed (nvml.h); idle and application clocks are none."""


def _throttle_words(bits: int | None) -> tuple[str, ...]:
    return tuple(words for bit, words in _THROTTLE.items() if bits is not None and bits & bit)


def _text(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else value
