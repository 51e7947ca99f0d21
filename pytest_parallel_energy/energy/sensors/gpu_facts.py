"""Facts of the NVIDIA GPUs for the record: they are part of what a measurement can be compared with."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ...errors import SensorError, SensorUnavailableError
from ...records.record import GpuPart
from ...units import W_PER_MW
from .presence import nvml_is_loadable

if TYPE_CHECKING:
    from .nvml_devices import GpuIdentity
    from .nvml_library import NvmlLibrary

__all__ = ["read_gpus"]


def read_gpus(environment: Mapping[str, str] = os.environ) -> tuple[GpuPart, ...]:
    """Return the GPUs that CUDA would show to this process; empty without a GPU or a working driver.

    Takes about 0.1 ms on a machine without NVIDIA's library; with it, the time that ``nvmlInit`` takes.
    """
    try:
        nvml_is_loadable()
    except SensorUnavailableError:
        return ()
    from .nvml import list_gpus
    from .nvml_devices import visible_gpus
    from .nvml_library import NvmlLibrary

    try:
        library = NvmlLibrary.load()
    except SensorUnavailableError:
        return ()
    library.use()
    try:
        gpus = list_gpus(library)
        visible = visible_gpus([gpu for gpu, _ in gpus], environment).gpus
        handles = {gpu.index: handle for gpu, handle in gpus}
        driver = _text(library.maybe("nvmlSystemGetDriverVersion"))
        return tuple(_part(library, handles[gpu.index], gpu, driver) for gpu in visible)
    except SensorError:
        return ()
    finally:
        library.release()


def _part(library: NvmlLibrary, handle: Any, gpu: GpuIdentity, driver: str | None) -> GpuPart:
    memory = library.maybe("nvmlDeviceGetMemoryInfo", handle)
    limit_mw = library.maybe("nvmlDeviceGetEnforcedPowerLimit", handle)
    return GpuPart(
        uuid=gpu.uuid,
        name=gpu.name,
        memory_bytes=None if memory is None else memory.total,
        power_limit_w=None if limit_mw is None else limit_mw * W_PER_MW,
        driver=driver,
    )


def _text(value: str | bytes | None) -> str | None:
    return value.decode() if isinstance(value, bytes) else value
