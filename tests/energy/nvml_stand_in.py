"""Builds the C stand-in for NVML and drives it by its state file."""

from __future__ import annotations

import ctypes
import importlib.util
import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

import pytest

SOURCE = Path(__file__).with_name("nvml_fake.c")


def header_folder() -> Path | None:
    """Where the nvidia-nvml-dev package keeps nvml.h."""
    spec = importlib.util.find_spec("nvidia")
    places = [] if spec is None else [Path(place) for place in spec.submodule_search_locations or ()]
    found = [header.parent for place in places for header in sorted(place.rglob("nvml.h"))]
    return found[0] if found else None


def build(folder: Path) -> Path:
    """The compiled library; skips the test without a compiler or header."""
    compiler = shutil.which("gcc") or shutil.which("cc")
    header = header_folder()
    if compiler is None or header is None:
        pytest.skip("the NVML stand-in needs a C compiler and the nvidia-nvml-dev package")
    library = folder / "libnvidia-ml.so.1"
    command = [compiler, "-shared", "-fPIC", "-Wall", "-Werror", f"-I{header}", "-Wl,-soname,libnvidia-ml.so.1"]
    subprocess.run([*command, "-o", str(library), str(SOURCE)], check=True, timeout=60)
    return library


@dataclass
class StandIn:
    """The GPUs of one test: change a value, ``save()``, and the library shows it at its next call."""

    library: ctypes.CDLL | None
    state: Path
    clock_us: int = 1_000_000
    gpus: list[dict[str, object]] = field(default_factory=list)
    errors: dict[str, int] = field(default_factory=dict)

    def gpu(self, **settings: object) -> dict[str, object]:
        index = len(self.gpus)
        gpu: dict[str, object] = {"uuid": f"GPU-{index}{index}{index}-aaaa", "name": "H100", "arch": 9,
                                  "power_mw": 300_000, "limit_mw": 700_000}  # fmt: skip
        self.gpus.append(gpu | settings)
        self.save()
        return self.gpus[-1]

    def save(self) -> None:
        lines = [f"clock_us {self.clock_us}"]
        lines += [
            f"gpu {index} " + " ".join(f"{key}={value}" for key, value in gpu.items())
            for index, gpu in enumerate(self.gpus)
        ]
        lines += [f"error {name} {code}" for name, code in self.errors.items()]
        self.state.write_text("\n".join(lines) + "\n", encoding="ascii")

    def pass_time(self, seconds: float) -> None:
        self.clock_us += round(seconds * 1e6)
        self.save()

    def now_ns(self) -> int:
        return self.clock_us * 1000
