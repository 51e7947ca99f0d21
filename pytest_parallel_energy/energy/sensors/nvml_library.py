"""NVIDIA's library as its official binding, ``nvidia-ml-py``, loads it; and what is known of all its power readings."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

from ...errors import SensorError, SensorUnavailableError

__all__ = ["NVML_GAIN_RATIO", "NVML_OFFSET_W", "POWER_INSTANT_FIELD", "NvmlLibrary"]

POWER_INSTANT_FIELD = 186
"""``NVML_FI_DEV_POWER_INSTANT`` (nvml.h, version 13)."""
NVML_GAIN_RATIO = 0.037
NVML_OFFSET_W = 5.9
"""Standard deviations over 19 cards against an external meter (artefact of arXiv 2312.02741)."""


class NvmlLibrary:
    """The loaded library, shared by the sensors of one opening and shut down with the last of them."""

    def __init__(self, binding: Any) -> None:
        self._binding = binding
        self._users = 0
        # the binding's other error: the driver is too old for a function; it is not an NVMLError
        mismatch = getattr(binding, "NVMLLibraryMismatchError", binding.NVMLError)
        self._errors: tuple[type[Exception], ...] = (binding.NVMLError, mismatch)

    @classmethod
    def load(cls) -> NvmlLibrary:
        """Load and initialise.

        Raises:
            SensorUnavailableError: the binding or the driver is not there, or does not answer.
        """
        try:
            with warnings.catch_warnings():
                # the distribution "pynvml" shadows nvidia-ml-py and warns at import: fatal under -W error
                warnings.simplefilter("ignore")
                import pynvml
        except ImportError as error:
            raise SensorUnavailableError(
                "the Python package nvidia-ml-py is not installed", "pip install nvidia-ml-py"
            ) from error
        try:
            pynvml.nvmlInit()
        except pynvml.NVMLError as error:
            raise SensorUnavailableError(f"no NVIDIA driver answers: {error}") from error
        return cls(pynvml)

    def call(self, name: str, *arguments: Any) -> Any:
        """Return the result of ``pynvml.<name>``.

        Raises:
            SensorError: the driver refused, or the library is too old to have the function.
        """
        try:
            return getattr(self._binding, name)(*arguments)
        except self._errors as error:
            raise SensorError(str(error)) from error
        except AttributeError as error:
            raise SensorError(f"the installed nvidia-ml-py has no {name}") from error

    def maybe(self, name: str, *arguments: Any) -> Any:
        """Return the same, or ``None`` where the device or the driver does not support the call."""
        with suppress(SensorError):
            return self.call(name, *arguments)
        return None

    def fields(self, handle: Any, ids: Sequence[int | tuple[int, int]]) -> Mapping[int, tuple[float, int]]:
        """Return the field values that the device supports, with the driver's time stamps in nanoseconds, in one call.

        ``ids`` are field numbers, or pairs of field and scope.
        """
        values = self.call("nvmlDeviceGetFieldValues", handle, ids)
        return {value.fieldId: (_decode(value), value.timestamp * 1000) for value in values if value.nvmlReturn == 0}

    def use(self) -> None:
        """Count one more user."""
        self._users += 1

    def release(self) -> None:
        """Count one user less; the last one shuts the library down."""
        self._users -= 1
        if self._users <= 0:
            with suppress(SensorError):
                self.call("nvmlShutdown")


_VALUE_FIELDS = ("dVal", "uiVal", "ulVal", "ullVal", "sllVal", "siVal", "usVal")
"""The member of NVML's value union by ``nvmlValueType_t``."""


def _decode(value: Any) -> float:
    return getattr(value.value, _VALUE_FIELDS[value.valueType])  # type: ignore[no-any-return] # ctypes has no types
