"""The thread budget in pytest's own process."""

from __future__ import annotations

import os

import pytest

from pytest_parallel_energy.run.own_threads import own_threads


def test_the_environment_is_restored(monkeypatch):
    """Variables that were set get their value back, the others are gone again."""
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    monkeypatch.delenv("MKL_NUM_THREADS", raising=False)
    with own_threads(3):
        assert os.environ["OMP_NUM_THREADS"] == os.environ["MKL_NUM_THREADS"] == "3"
    assert os.environ["OMP_NUM_THREADS"] == "7"
    assert "MKL_NUM_THREADS" not in os.environ


def test_torch_gets_its_budget_and_its_former_number_back():
    """Where PyTorch is loaded."""
    torch = pytest.importorskip("torch")
    before = torch.get_num_threads()
    with own_threads(before + 1):
        assert torch.get_num_threads() == before + 1
    assert torch.get_num_threads() == before


def test_the_libraries_of_threadpoolctl_are_limited():
    """NumPy's BLAS, where threadpoolctl is loaded."""
    pytest.importorskip("numpy")
    pools = pytest.importorskip("threadpoolctl")

    def numbers():
        return {pool["num_threads"] for pool in pools.threadpool_info() if pool["user_api"] == "blas"}

    before = numbers()
    with own_threads(1):
        assert numbers() <= {1}
    assert numbers() == before
