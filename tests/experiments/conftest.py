"""Makes the modules of the training scripts importable: each script's own folder and the shared one."""

from __future__ import annotations

import csv
import os
import sys
from pathlib import Path

import pytest

EXPERIMENTS = Path(__file__).parents[2] / "experiments"
sys.path[:0] = [str(folder) for folder in sorted((EXPERIMENTS / "workloads").iterdir()) if folder.is_dir()]


@pytest.fixture(autouse=True, scope="session")
def one_thread_per_worker():
    """Keep PyTorch to one thread per worker of pytest-xdist: with more threads than cores, they wait for each other."""
    torch = sys.modules.get("torch")
    if torch is not None and "PYTEST_XDIST_WORKER" in os.environ:
        torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def csv_limit():
    """Restore the limit of the csv module, which the training scripts raise for their own process."""
    before = csv.field_size_limit()
    yield
    csv.field_size_limit(before)
