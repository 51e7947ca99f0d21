"""Person re-identification on Market-1501: find a person again in the pictures of other cameras.

Without a data set the people are painted; for the real ones set ``EXPERIMENTS_MARKET1501`` to the folder with
``bounding_box_train``, ``query`` and ``bounding_box_test``. Colours alone find some people: each training also reports
the score of the untrained network, and has to beat it.
"""

from __future__ import annotations

import pytest


@pytest.mark.quick
@pytest.mark.workload("Person_reID_baseline_pytorch/densenet121", profile="quick")
@pytest.mark.mutate("learning_rate", samples=1, seed=0)
def test_reid_densenet121_alone(train, energy_meter):
    """DenseNet-121 with one vector of 512 for each picture."""
    result = train()
    assert result.metrics["mAP"] > 1.25 * result.metrics["untrained_mAP"]
    assert energy_meter.total_j > 0


@pytest.mark.quick
@pytest.mark.workload("Person_reID_baseline_pytorch/densenet121", profile="quick")
@pytest.mark.background_load("examples/mnist_rnn", profile="quick")
def test_reid_densenet121_beside_mnist_rnn(train, background_load, energy_meter):
    """The same network while a small LSTM trains in a loop."""
    result = train()
    assert result.metrics["mAP"] > 1.25 * result.metrics["untrained_mAP"]
    assert background_load.alive
    assert energy_meter.total_j > 0


@pytest.mark.quick
@pytest.mark.workload("Person_reID_baseline_pytorch/hrnet18", profile="quick")
def test_reid_hrnet18_alone(train, energy_meter):
    """HRNet-W18, which keeps its maps large."""
    result = train()
    assert result.metrics["mAP"] > 1.25 * result.metrics["untrained_mAP"]
    assert energy_meter.total_j > 0


@pytest.mark.quick
@pytest.mark.workload("Person_reID_baseline_pytorch/pcb", profile="quick")
def test_reid_pcb_alone(train, energy_meter):
    """PCB: six stripes of a ResNet-50, each with its own classifier."""
    result = train()
    assert result.metrics["mAP"] > 1.25 * result.metrics["untrained_mAP"]
    assert energy_meter.total_j > 0
