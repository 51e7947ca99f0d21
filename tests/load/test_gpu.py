"""What a load holds and uses of a GPU, on a stand-in that is compiled against the real header.

Its GPU is as busy as the load's CPU, so that the control loop is closed through real processes.
"""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from polling import eventually

from pytest_parallel_energy.load.background import BackgroundLoad
from pytest_parallel_energy.load.request import AutoBatch, LoadSettings
from pytest_parallel_energy.processes.command import Command
from pytest_parallel_energy.processes.guard.gpu import open_gpus
from pytest_parallel_energy.processes.rules import Ready

GIB = 1 << 30


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    compiler = shutil.which("gcc") or shutil.which("cc")
    spec = importlib.util.find_spec("nvidia")
    places = [] if spec is None else [Path(place) for place in spec.submodule_search_locations or ()]
    headers = [header for place in places for header in sorted(place.rglob("nvml.h"))]
    if compiler is None or not headers:
        pytest.skip("the NVML stand-in needs a C compiler and the nvidia-nvml-dev package")
    path = tmp_path_factory.mktemp("nvml") / "libnvidia-ml.so.1"
    source = Path(__file__).with_name("nvml_of_cpu.c")
    command = [compiler, "-shared", "-fPIC", "-Wall", "-Werror", f"-I{headers[0].parent}", "-o", str(path), str(source)]
    subprocess.run(command, check=True, timeout=60)
    return str(path)


@pytest.fixture
def state(tmp_path, monkeypatch):
    path = tmp_path / "nvml.txt"
    path.write_text(f"1 0 {80 * GIB} {60 * GIB}")
    monkeypatch.setenv("FAKE_NVML_STATE", str(path))
    return path


BUSY = Command(argv=(sys.executable, "-I", "-S", "-c", "while True: pass"))


def busy_pid(load):
    """The pid of the round, whose parent is the script."""
    return max(eventually(lambda: load.pids if len(load.pids) > 1 else ()))


def test_memory_that_is_held_is_told(tmp_path, library, state):
    """The record says how much GPU memory the load's own processes held at most, whatever it was allowed."""
    settings = LoadSettings(ready=Ready(kind="started"), nvml=library, grace_s=0)
    with BackgroundLoad(BUSY, name="n", folder=tmp_path / "b", settings=settings) as load:
        state.write_text(f"{busy_pid(load)} {3 * GIB} {80 * GIB} {60 * GIB}")
        eventually(lambda: load.report().gpu_memory_bytes)
    assert load.report().gpu_memory_bytes == 3 * GIB


def test_what_is_held_is_looked_for_on_the_loads_own_gpus(tmp_path, library, state, monkeypatch):
    """The load's devices count, not those that pytest sees."""
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    settings = LoadSettings(ready=Ready(kind="started"), nvml=library, devices="0", grace_s=0)
    with BackgroundLoad(BUSY, name="n", folder=tmp_path / "b", settings=settings) as load:
        state.write_text(f"{busy_pid(load)} {3 * GIB} {80 * GIB} {60 * GIB}")
        eventually(lambda: load.report().gpu_memory_bytes)


def test_rounds_shorter_than_a_look_are_seen(tmp_path, library, state):
    """What a load of short rounds holds is known too."""
    state.write_text("0 0 0 0")
    brief = Command(argv=(sys.executable, "-I", "-S", "-c", "import time; time.sleep(0.3)"))
    settings = LoadSettings(ready=Ready(kind="started"), grace_s=0)
    with BackgroundLoad(brief, name="n", folder=tmp_path / "b", settings=settings) as load:
        eventually(lambda: load.report().memory_bytes)


def test_a_target_utilisation_is_reached(tmp_path, library, state):
    """The control loop brings a load that would use all of the GPU to a sixth of it, and tells the error."""
    settings = LoadSettings(ready=Ready(kind="started"), nvml=library, target_gpu_utilisation=16, grace_s=0)
    with BackgroundLoad(BUSY, name="n", folder=tmp_path / "b", settings=settings) as load:
        state.write_text(f"{busy_pid(load)} {GIB} {80 * GIB} {60 * GIB}")
        eventually(lambda: (level := load.report().level_reached) is not None and abs(level - 16) < 4)
        shares = load._child.status().share_ran
    report = load.report()
    assert (report.level, report.level_asked) == ("target_gpu_utilisation", 16)
    assert report.level_reached == pytest.approx(16, abs=5)
    assert report.level_u95 > 0
    assert 0.02 < shares < 0.8


def test_batch_follows_the_gpu(tmp_path, library, state):
    """A batch that needs more than is free is smaller in the next round."""
    code = "import sys, time; print(sys.argv[1], flush=True); time.sleep(1.6)"
    settings = LoadSettings(
        ready=Ready(kind="started"), nvml=library, batch=AutoBatch(first=64, placeholder="1000003"), grace_s=0
    )
    command = Command(argv=(sys.executable, "-I", "-S", "-c", code, "1000003"))
    with BackgroundLoad(command, name="n", folder=tmp_path / "b", settings=settings) as load:
        state.write_text(f"{busy_pid(load)} {8 * GIB} {80 * GIB} {4 * GIB}")
        sizes = eventually(lambda: sizes if len(sizes := load.report().batch_sizes) > 1 else ())
    assert sizes[:2] == (64, 28)  # 8 GiB for 64, and nine tenths of 4 GiB are free


@pytest.mark.parametrize(
    ("visible", "found"),
    [(None, True), ("0", True), ("GPU-12", True), ("7", False), ("GPU-9", False), ("", False)],
)
def test_devices_are_found_as_the_load_sees_them(library, state, visible, found):
    """An index or the beginning of a UUID names a device; what the load cannot see is not looked at."""
    gpus = open_gpus(visible, library)
    assert (gpus is not None) is found
    if gpus is not None:
        assert (gpus.total_bytes(), gpus.free_bytes()) == (80 * GIB, 60 * GIB)


def test_no_driver_is_no_gpu(library, tmp_path, monkeypatch):
    """Without a driver, or without the library, there is no GPU and no error."""
    monkeypatch.setenv("FAKE_NVML_STATE", str(tmp_path / "nothing"))
    assert open_gpus(None, library) is None
    assert open_gpus(None, str(tmp_path / "no-library.so")) is None
