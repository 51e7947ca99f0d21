"""GPU work that frameworks of this process have queued: a window that ends before it has run misses its energy.

PyTorch, JAX and CuPy return from a call while its kernels still wait (CUDA C++ Programming Guide, "Asynchronous
Concurrent Execution"). Only a framework that this process has imported and used on a GPU is waited for; none is
imported here, and no device gets a context that had none.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any, NamedTuple

__all__ = ["Waited", "wait_for_gpus"]


class Waited(NamedTuple):
    """The frameworks whose work was waited for, and what went wrong."""

    frameworks: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()


_NOTHING = Waited()


def wait_for_gpus() -> Waited:
    """Wait until the GPU work that this process has queued has run. It does nothing without such a framework."""
    loaded = [name for name in _WAITS if name in sys.modules]
    if not loaded:
        return _NOTHING
    frameworks, problems = [], []
    for name in loaded:
        try:
            if _WAITS[name](sys.modules[name]):
                frameworks.append(name)
        except Exception as error:  # noqa: BLE001 - a failed kernel is raised where the test next uses the GPU
            problems.append(f"the GPU work of {name} could not be waited for: {error}")
    return Waited(tuple(frameworks), tuple(problems))


def _wait_for_torch(torch: Any) -> bool:
    cuda = getattr(torch, "cuda", None)  # a module that is still being imported has no attributes
    if cuda is None or not cuda.is_initialized():
        return False
    used = [device for device in range(cuda.device_count()) if cuda.memory_reserved(device) > 0]
    for device in used:
        cuda.synchronize(device)
    return bool(used)


def _wait_for_jax(jax: Any) -> bool:
    bridge = sys.modules.get("jax._src.xla_bridge")
    if bridge is None or not bridge.backends_are_initialized():
        return False
    gpus = [device for device in jax.local_devices() if device.platform in {"gpu", "cuda", "rocm"}]
    for device in gpus:
        jax.device_put(0.0, device).block_until_ready()  # a device runs its work in the order of its queue
    return bool(gpus)


def _wait_for_cupy(cupy: Any) -> bool:
    pool = getattr(cupy, "get_default_memory_pool", None)
    if pool is None or pool().total_bytes() == 0:
        return False
    cupy.cuda.Device().synchronize()
    return True


_WAITS: dict[str, Callable[[Any], bool]] = {"torch": _wait_for_torch, "jax": _wait_for_jax, "cupy": _wait_for_cupy}
