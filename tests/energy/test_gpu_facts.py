"""The GPUs of the machine are facts of its records and part of a cell's identity."""

from __future__ import annotations

import subprocess
import sys

import pytest

from pytest_parallel_energy.plan.settings import Settings
from pytest_parallel_energy.records.cell import host_class
from pytest_parallel_energy.run.session import Run


def host_of(tmp_path):
    return Run(Settings(), tmp_path).host


def test_the_gpus_are_facts_of_the_host(nvml, tmp_path):
    """Name, UUID and power limit of every GPU are in the host part of the records."""
    nvml.gpu(name="H100", limit_mw=700_000)
    nvml.gpu(name="L4")
    first, second = host_of(tmp_path).gpus
    assert (first.name, first.uuid, first.power_limit_w) == ("H100", "GPU-000-aaaa", 700.0)
    assert second.name == "L4"


def test_machines_that_differ_in_their_gpus_differ_in_class(nvml, tmp_path):
    """Another GPU, and a second one, give another host class; without a GPU the class is what it was before."""
    without = host_class(host_of(tmp_path))
    nvml.gpu(name="H100")
    one = host_class(host_of(tmp_path))
    nvml.gpu(name="H100")
    two = host_class(host_of(tmp_path))
    nvml.gpus[1]["name"] = "L4"
    nvml.save()
    mixed = host_class(host_of(tmp_path))
    assert [one, two, mixed] == [
        f"{without}, H100",
        f"{without}, H100, H100",
        f"{without}, H100, L4",
    ]


def test_only_visible_gpus_count(nvml, tmp_path, monkeypatch):
    """A GPU that CUDA hides from this process does no work in its experiments."""
    nvml.gpu(name="H100")
    nvml.gpu(name="L4")
    monkeypatch.setenv("CUDA_DEVICE_ORDER", "PCI_BUS_ID")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")
    assert [gpu.name for gpu in host_of(tmp_path).gpus] == ["L4"]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert host_of(tmp_path).gpus == ()


@pytest.mark.parametrize("failing", ["nvmlInitWithFlags", "nvmlDeviceGetName"])
def test_a_driver_that_refuses_costs_no_experiment(nvml, tmp_path, failing):
    """A driver that does not answer leaves the GPUs unknown."""
    nvml.gpu(name="H100")
    assert len(host_of(tmp_path).gpus) == 1
    nvml.errors[failing] = 999
    nvml.save()
    assert host_of(tmp_path).gpus == ()


def test_a_machine_without_gpu_library_does_not_load_the_binding(tmp_path):
    """The facts of a machine without NVIDIA's library cost no import of ``pynvml``."""
    code = (
        "import sys, pathlib, ctypes\n"
        "from pytest_parallel_energy.plan.settings import Settings\n"
        "from pytest_parallel_energy.run.session import Run\n"
        "try:\n    ctypes.CDLL('libnvidia-ml.so.1'); print('gpu')\n"
        "except OSError:\n"
        "    print(Run(Settings(), pathlib.Path.cwd()).host.gpus, 'pynvml' in sys.modules)\n"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert run.stdout in {"() False\n", "gpu\n"}
