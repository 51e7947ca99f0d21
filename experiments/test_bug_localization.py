"""Bug localisation: which source files is this bug report about?

Without a data set the project and its reports are generated; for a real one set ``EXPERIMENTS_BUG_LOCALIZATION`` to a
``features.csv``. The similarity of the texts alone is the baseline that each training reports, and has to beat.
"""

from __future__ import annotations

import pytest

REPOSITORY = "bug-localization-by-dnn-and-rvsm/default"


@pytest.mark.quick
@pytest.mark.workload(REPOSITORY, profile="quick")
@pytest.mark.mutate("alpha", "max_iter", samples=1, seed=0)
def test_bug_localization_alone(train, energy_meter):
    """An MLP of 300 units on five features."""
    result = train()
    assert result.metrics["top_1"] > result.metrics["rvsm_top_1"]
    assert energy_meter.total_j > 0


@pytest.mark.quick
@pytest.mark.workload(REPOSITORY, profile="quick")
@pytest.mark.background_load("pytorch_resnet_cifar10/resnet32", profile="quick")
def test_bug_localization_beside_resnet32(train, background_load, energy_meter):
    """The same while a ResNet trains in a loop."""
    result = train()
    assert result.metrics["top_1"] > result.metrics["rvsm_top_1"]
    assert background_load.alive
    assert energy_meter.total_j > 0
