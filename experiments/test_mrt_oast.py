"""MRT-OAST: are two functions clones? A transformer reads their syntax trees.

Without a data set the functions are those of Python's own standard library, rewritten; for the real sets set
``EXPERIMENTS_MRT_OAST`` to a folder with one ``…_with_AST+OAST.csv`` and its train, valid and test pairs.
"""

from __future__ import annotations

import pytest

CHANCE = 0.5  # every second pair are clones


@pytest.mark.quick
@pytest.mark.workload("MRT-OAST/default", profile="quick")
@pytest.mark.mutate("learning_rate", "dropout", samples=1, seed=0)
def test_mrt_oast_alone(train, energy_meter):
    """Accuracy as well as F1, because calling every pair a clone has F1 0.67."""
    result = train()
    assert result.metrics["test_accuracy"] > CHANCE + 0.1
    assert energy_meter.total_j > 0


@pytest.mark.quick
@pytest.mark.workload("MRT-OAST/default", profile="quick")
@pytest.mark.background_load("MRT-OAST/default", profile="quick")
def test_mrt_oast_beside_itself(train, background_load, energy_meter):
    """Two concurrent trainings of one repository: each has its own output folder."""
    result = train()
    assert result.metrics["test_accuracy"] > CHANCE + 0.1
    assert background_load.alive
    assert energy_meter.total_j > 0
