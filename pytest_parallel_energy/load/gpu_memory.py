"""The limit of a load's GPU memory, which PyTorch's allocator enforces where it has the option."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Mapping
from pathlib import Path

from ..errors import ConfigError
from ..processes.command import Command
from ..processes.ranges import SHARE

__all__ = ["check_allocator", "memory_environment"]

_FRACTION = "per_process_memory_fraction"
_ALLOCATOR_VARIABLES = ("PYTORCH_ALLOC_CONF", "PYTORCH_CUDA_ALLOC_CONF")
"""The name since PyTorch 2.9, and the older name, which newer versions read as well."""
_PYTHON = re.compile(r"python[0-9.]*")
_ENOUGH = (2, 10)
"""The first release after the option was added (pytorch/pytorch#161035, merged in September 2025)."""
_LOOK_S = 60.0
# Importing PyTorch would take seconds; its CUDA allocator is a library of some MB that contains the options' names.
_LOOK = f"""
import importlib.metadata, importlib.util, pathlib
spec = importlib.util.find_spec("torch")
if spec is None or not spec.origin:
    print("none")
else:
    files = (pathlib.Path(spec.origin).parent / "lib").glob("libc10_cuda*")
    knows = any(b"{_FRACTION}" in file.read_bytes() for file in files)
    try:
        version = importlib.metadata.version("torch")
    except importlib.metadata.PackageNotFoundError:
        version = "unknown"
    print(version, knows)
"""


def memory_environment(
    fraction: float | None, env: Mapping[str, str] = os.environ, *, driver: Path = Path("/proc/driver/nvidia/version")
) -> dict[str, str]:
    """Return the variables that limit PyTorch's allocator to a share of the GPU's memory; empty for ``None``.

    The allocator enforces the limit, the GPU does not: memory that a process takes without PyTorch is not counted.
    The record contains the memory that the load really held.

    Args:
        fraction: above 0, up to 1.
        env: the variables that are set already; other settings of the allocator are kept.
        driver: exists where an NVIDIA driver is loaded.

    Raises:
        ConfigError: outside the range, or there is no NVIDIA GPU whose memory could be limited.
    """
    if fraction is None:
        return {}
    SHARE.check("gpu_memory_fraction", fraction)
    if not driver.exists():
        raise ConfigError(
            f"gpu_memory_fraction={fraction:g} cannot be enforced: there is no NVIDIA GPU here ({driver} is not there)"
        )
    found = {}
    for name in _ALLOCATOR_VARIABLES:
        others = [part for part in env.get(name, "").split(",") if part and not part.startswith(_FRACTION)]
        found[name] = ",".join([*others, f"{_FRACTION}:{fraction:g}"])
    return found


def check_allocator(command: Command, fraction: float | None) -> None:
    """Refuse a share of the GPU's memory that the PyTorch of a load's interpreter does not know how to keep.

    An older PyTorch would end at its first use of the GPU, with "Unrecognized CachingAllocator option". A program that
    is not a Python interpreter, such as a launcher or a shell script, is not checked.

    Args:
        command: of one round of the load.
        fraction: the share; ``None`` checks nothing.

    Raises:
        ConfigError: the interpreter has no PyTorch, or one whose allocator lacks the option.
    """
    program = command.argv[0]
    if fraction is None or not _PYTHON.fullmatch(Path(program).name):
        return
    asked = (
        f"gpu_memory_fraction={fraction:g} needs a PyTorch whose allocator has the option {_FRACTION!r} (2.10 or newer)"
    )
    try:
        done = subprocess.run(
            [program, "-c", _LOOK],
            cwd=command.cwd,
            env={**os.environ, **command.env},
            capture_output=True,
            text=True,
            timeout=_LOOK_S,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):  # the start of the load says what is wrong with its program
        return
    version, _, knows = done.stdout.strip().partition(" ")
    if version == "none":
        raise ConfigError(f"{asked}, and {program} has no PyTorch: install it there, or leave gpu_memory_fraction out")
    if knows != "True" and _release(version) < _ENOUGH:
        raise ConfigError(
            f"{asked}, and {program} has PyTorch {version}: update it there, or leave gpu_memory_fraction out"
        )


def _release(version: str) -> tuple[int, ...]:
    """Return the first two numbers of a version; zeros for an unknown one."""
    found = re.match(r"([0-9]+)\.([0-9]+)", version)
    return (int(found[1]), int(found[2])) if found else (0, 0)
