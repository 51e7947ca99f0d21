"""Windows end after the GPU work that frameworks of this process have queued."""

from __future__ import annotations

import sys
import types

import pytest

from pytest_parallel_energy.energy.frameworks import wait_for_gpus
from pytest_parallel_energy.energy.meter import EnergyMeter
from pytest_parallel_energy.testing import FakeSensor, PowerProfile, VirtualClock


class Gpu:
    """A GPU with queued work: waiting for it lets the time pass that it takes."""

    def __init__(self):
        self.clock = VirtualClock()
        self.queued_s = 0.0
        self.context = True
        self.waits = 0

    def wait(self, *_):
        self.waits += 1
        self.clock.advance(self.queued_s)
        self.queued_s = 0.0


def torch_of(gpu):
    """PyTorch's functions that are used, as its documentation describes them."""
    return types.SimpleNamespace(
        cuda=types.SimpleNamespace(
            is_initialized=lambda: gpu.context,
            device_count=lambda: 2,
            memory_reserved=lambda device: 0 if device else 1024,
            synchronize=gpu.wait,
        )
    )


def jax_of(gpu):
    """JAX's functions that are used."""
    return types.SimpleNamespace(
        local_devices=lambda: [types.SimpleNamespace(platform="cpu"), types.SimpleNamespace(platform="gpu")],
        device_put=lambda _value, _device: types.SimpleNamespace(block_until_ready=gpu.wait),
    )


def cupy_of(gpu):
    """CuPy's functions that are used."""
    pool = types.SimpleNamespace(total_bytes=lambda: 1024 if gpu.context else 0)
    device = types.SimpleNamespace(synchronize=gpu.wait)
    return types.SimpleNamespace(
        get_default_memory_pool=lambda: pool, cuda=types.SimpleNamespace(Device=lambda: device)
    )


@pytest.fixture
def gpu(monkeypatch):
    for name in ("torch", "jax", "cupy"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    return Gpu()


@pytest.fixture(params=["torch", "jax", "cupy"])
def framework(request, gpu, monkeypatch):
    """A framework that this process has used on a GPU."""
    makers = {"torch": torch_of, "jax": jax_of, "cupy": cupy_of}
    monkeypatch.setitem(sys.modules, request.param, makers[request.param](gpu))
    bridge = types.SimpleNamespace(backends_are_initialized=lambda: gpu.context)
    monkeypatch.setitem(sys.modules, "jax._src.xla_bridge", bridge)
    return request.param


@pytest.mark.parametrize(("sync", "joules"), [(True, 300.0), (False, 100.0)])
def test_a_window_holds_the_work_that_it_queued(gpu, framework, sync, joules):
    """Three seconds of kernels at 100 W were queued within one second: the window ends when they have run."""
    with EnergyMeter([FakeSensor(PowerProfile.constant(100.0), clock=gpu.clock)], clock_ns=gpu.clock) as meter:
        with meter.window("step", sync=sync) as step:
            gpu.clock.advance(1.0)
            gpu.queued_s = 2.0
        assert step.result.total_j == pytest.approx(joules)
        assert step.result.synchronised == ((framework,) if sync else ())


def test_work_of_before_is_not_in_the_window(gpu, framework):
    """What was queued earlier has run when a window opens."""
    gpu.queued_s = 5.0
    with EnergyMeter([FakeSensor(PowerProfile.constant(100.0), clock=gpu.clock)], clock_ns=gpu.clock) as meter:
        with meter.window("step") as step:
            gpu.clock.advance(1.0)
        assert step.result.total_j == pytest.approx(100.0)


def test_a_framework_without_gpu_work_is_left_alone(gpu, framework):
    """Without a context nothing is waited for, and no context is made."""
    gpu.context = False
    assert wait_for_gpus() == ((), ())
    assert gpu.waits == 0


def test_only_used_devices_are_waited_for(gpu, monkeypatch):
    """A device on which PyTorch holds no memory would get a context by waiting for it."""
    monkeypatch.setitem(sys.modules, "torch", torch_of(gpu))
    wait_for_gpus()
    assert gpu.waits == 1


def test_a_failed_kernel_is_a_remark(gpu, monkeypatch):
    """The window ends all the same; the test meets the error where it next uses the GPU."""
    torch = torch_of(gpu)

    def fail(_device):
        raise RuntimeError("CUDA error: device-side assert triggered")

    torch.cuda.synchronize = fail
    monkeypatch.setitem(sys.modules, "torch", torch)
    with EnergyMeter([FakeSensor(PowerProfile.constant(100.0), clock=gpu.clock)], clock_ns=gpu.clock) as meter:
        with meter.window("step") as step:
            gpu.clock.advance(1.0)
        assert step.result.total_j == pytest.approx(100.0)
        assert any("the GPU work of torch could not be waited for: CUDA error" in flag for flag in step.flags)


def test_a_module_that_is_still_imported_is_no_problem(gpu, monkeypatch):
    """Frameworks are looked up in ``sys.modules``, where one may be half imported."""
    for name in ("torch", "jax", "cupy"):
        monkeypatch.setitem(sys.modules, name, types.ModuleType(name))
    assert wait_for_gpus() == ((), ())
