"""Makes the training scripts' modules importable, as they are for a script that runs beside them."""

from __future__ import annotations

import csv
import sys
from pathlib import Path

import pytest

EXPERIMENTS = Path(__file__).parents[2] / "experiments"
sys.path.insert(0, str(EXPERIMENTS / "workloads"))


@pytest.fixture(autouse=True)
def csv_limit():
    """The trainings are scripts: what they set for their own process must not stay in this one."""
    before = csv.field_size_limit()
    yield
    csv.field_size_limit(before)
