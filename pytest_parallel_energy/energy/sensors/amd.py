"""AMD GPUs through ``amdsmi``, where ROCm's Python package is installed.

The energy accumulator counts in steps of ``counter_resolution`` microjoules (amdsmi.h, ``amdsmi_get_energy_count``).
The MI100's is known to jump: a step that no power limit allows leaves the window missing. The MI250X is two GPUs on one
board, of which the first measures both: the second one's accumulator and power stay at 0 (Zeus pull request 203,
codecarbon issue 1097).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ...errors import SensorError, SensorUnavailableError
from ...records.energy_values import Quality
from ...units import J_PER_UJ
from ..sensor import Reading, Sensor, SensorDescription
from .presence import amd_binding

__all__ = ["AmdSensor", "open_amd"]

_GAIN_RATIO = 0.05
_OFFSET_W = 6.0
"""Assumed like NVIDIA's cards, because no comparison with an external meter is published."""
_POWER_FIELDS = ("current_socket_power", "socket_power", "average_socket_power")


class AmdSensor:
    """One GPU: its energy accumulator, else its socket power."""

    def __init__(
        self, binding: Any, handle: Any, index: int, release: Callable[[], None], *, notes: tuple[str, ...] = ()
    ) -> None:
        self._binding = binding
        self._handle = handle
        self._release: Callable[[], None] | None = release
        counter = self._maybe("amdsmi_get_energy_count")
        resolution_uj = counter["counter_resolution"] if counter else None
        self._has_counter = bool(resolution_uj and counter["energy_accumulator"])
        self._description = self._describe(index, resolution_uj, notes)

    @property
    def description(self) -> SensorDescription:
        """The description of this GPU."""
        return self._description

    def read(self) -> Reading:
        """Return the energy accumulator, or the power.

        Raises:
            SensorError: the library refused, or the sensor is closed.
        """
        if self._release is None:
            raise SensorError("the sensor is closed")
        if self._has_counter:
            return Reading(counter=self._ask("amdsmi_get_energy_count")["energy_accumulator"])
        power_w = _power_w(self._ask("amdsmi_get_power_info"))
        if power_w is None:
            raise SensorError("the GPU reports neither energy nor power")
        return Reading(power_w=power_w)

    def close(self) -> None:
        """Release the library."""
        release, self._release = self._release, None
        if release is not None:
            release()

    def _describe(self, index: int, resolution_uj: float | None, notes: tuple[str, ...]) -> SensorDescription:
        limit = self._maybe("amdsmi_get_power_cap_info")
        limit_uw = limit.get("max_power_cap") if limit else None
        uuid = self._maybe("amdsmi_get_gpu_device_uuid")
        return SensorDescription(
            name=f"gpu-{index}",
            kind="gpu",
            device=str(uuid) if uuid else None,
            source="amd",
            quality=Quality.COUNTER if self._has_counter else Quality.INTEGRATED,
            covers="GPU boards",
            joules_per_count=resolution_uj * J_PER_UJ if self._has_counter and resolution_uj else None,
            gain_ratio=_GAIN_RATIO,
            offset_w=_OFFSET_W,
            max_w=limit_uw * J_PER_UJ if isinstance(limit_uw, int) and limit_uw > 0 else None,
            notes=notes,
        )

    def _ask(self, name: str) -> Any:
        try:
            return getattr(self._binding, name)(self._handle)
        except self._binding.AmdSmiException as error:
            raise SensorError(str(error)) from error

    def _maybe(self, name: str) -> Any:
        try:
            return self._ask(name)
        except SensorError:
            return None


def open_amd(environment: Mapping[str, str] = os.environ) -> tuple[Sensor, ...]:
    """Open every AMD GPU that HIP would show to this process.

    Raises:
        SensorUnavailableError: no package, no driver, or no GPU.
    """
    binding = amd_binding()
    try:
        binding.amdsmi_init()
        handles = list(enumerate(binding.amdsmi_get_processor_handles()))
    except binding.AmdSmiException as error:
        raise SensorUnavailableError(f"no AMD GPU driver answers: {error}") from error
    shown = _visible(handles, environment)
    if not shown:
        binding.amdsmi_shut_down()
        hidden = "HIP_VISIBLE_DEVICES hides every GPU" if handles else "the driver lists no GPU"
        raise SensorUnavailableError(hidden)
    boards = _boards(binding, handles, shown)
    users = [len(boards)]

    def release() -> None:
        users[0] -= 1
        if users[0] == 0:
            binding.amdsmi_shut_down()

    handle_of = dict(handles)
    return tuple(
        AmdSensor(binding, handle_of[index], index, release, notes=notes) for index, notes in sorted(boards.items())
    )


def _boards(
    binding: Any, handles: Sequence[tuple[int, Any]], shown: Sequence[tuple[int, Any]]
) -> dict[int, tuple[str, ...]]:
    """Return the GPUs to read, with notes: a GPU that is measured by its sibling is replaced by that one."""
    silent = {index for index, handle in handles if _is_silent(binding, handle)}
    visible = {index for index, _ in shown}
    found: dict[int, tuple[str, ...]] = {index: () for index in visible if index not in silent}
    for index in sorted(visible & silent):
        sibling = index - 1
        if sibling < 0 or sibling in silent:
            found[index] = ()  # its readings fail, and say so
            continue
        words = f"gpu-{index} reports no energy: it is measured by its sibling gpu-{sibling} on the same board"
        if sibling not in visible:
            words += f", so that the energy of gpu-{sibling}, which is not visible here, is part of it"
        found[sibling] = (*found.get(sibling, ()), words)
    return found


def _is_silent(binding: Any, handle: Any) -> bool:
    """Return whether a GPU reports 0 for its energy and for its power, which no GPU that measures itself does."""
    try:
        counter = binding.amdsmi_get_energy_count(handle)
        info = binding.amdsmi_get_power_info(handle)
    except binding.AmdSmiException:
        return False
    return not counter["energy_accumulator"] and _power_w(info) is None


def _power_w(info: Mapping[str, Any]) -> float | None:
    """Return the power that a GPU reports, watts; ``None`` where it reports none, or 0."""
    powers = (info.get(field) for field in _POWER_FIELDS)
    return next((float(power) for power in powers if isinstance(power, int | float) and power > 0), None)


def _visible(handles: Sequence[tuple[int, Any]], environment: Mapping[str, str]) -> list[tuple[int, Any]]:
    """Return the GPUs of ``HIP_VISIBLE_DEVICES`` or ``ROCR_VISIBLE_DEVICES``, where they are indices; else all."""
    wanted = environment.get("HIP_VISIBLE_DEVICES", environment.get("ROCR_VISIBLE_DEVICES"))
    if wanted is None:
        return list(handles)
    entries = [entry.strip() for entry in wanted.split(",") if entry.strip()]
    if not all(entry.isdecimal() for entry in entries):
        return list(handles)
    return [(index, handle) for index, handle in handles if str(index) in entries]
