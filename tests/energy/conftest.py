"""Stand-ins that several energy tests share."""

from __future__ import annotations

import ctypes

import pytest
from nvml_stand_in import StandIn, build


@pytest.fixture(scope="session")
def nvml_library(tmp_path_factory):
    """The stand-in for NVML, loaded before the bindings look for the real one: one library a process."""
    return ctypes.CDLL(str(build(tmp_path_factory.mktemp("nvml"))))


@pytest.fixture
def nvml(nvml_library, tmp_path, monkeypatch):
    """A driver without GPUs yet; gone again after the test."""
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.delenv("CUDA_DEVICE_ORDER", raising=False)
    stand_in = StandIn(library=nvml_library, state=tmp_path / "gpus.txt")
    stand_in.save()
    nvml_library.fake_set_state(str(stand_in.state).encode())
    yield stand_in
    nvml_library.fake_set_state(b"")
