"""ResNet on CIFAR-10: the energy of one short training, alone and with a concurrent training.

``pytest experiments/ -k resnet20`` runs the smallest network. Without a data set the images are generated silhouettes
in CIFAR-10's format; for the real ones set ``EXPERIMENTS_CIFAR10=/path/to/cifar-10-batches-py``.

The ``quick`` profile in ``workloads.json`` says what is cut down to make this a matter of seconds.
Leave ``profile="quick"`` out for the published training: 200 epochs.
"""

from __future__ import annotations

import pytest

CHANCE = 0.1  # ten classes


@pytest.mark.quick
@pytest.mark.workload("pytorch_resnet_cifar10/resnet20", profile="quick")
@pytest.mark.mutate("learning_rate", samples=1, seed=0, default=True)
def test_resnet20_alone(train, energy_meter):
    """The default learning rate, and one drawn from the registered range."""
    result = train()
    assert result.metrics["test_accuracy"] > 3 * CHANCE
    assert energy_meter.total_j > 0


@pytest.mark.quick
@pytest.mark.workload("pytorch_resnet_cifar10/resnet20", profile="quick")
@pytest.mark.mutate("learning_rate", samples=1, seed=0)
@pytest.mark.background_load("VulBERTa/mlp", profile="quick", epochs=1)
def test_resnet20_beside_vulberta(train, background_load, energy_meter):
    """The same draw while a RoBERTa-style classifier trains in a loop, until this training is done."""
    result = train()
    assert result.metrics["test_accuracy"] > 3 * CHANCE
    assert background_load.alive
    assert energy_meter.total_j > 0


@pytest.mark.quick
@pytest.mark.workload("pytorch_resnet_cifar10/resnet32", profile="quick")
def test_resnet32_alone(train, energy_meter):
    """32 layers: the same training, 0.46 M parameters."""
    result = train()
    assert result.metrics["test_accuracy"] > 2 * CHANCE
    assert energy_meter.total_j > 0


@pytest.mark.quick
@pytest.mark.workload("pytorch_resnet_cifar10/resnet44", profile="quick")
def test_resnet44_alone(train, energy_meter):
    """44 layers: 0.66 M parameters."""
    result = train()
    assert result.metrics["test_accuracy"] > 2 * CHANCE
    assert energy_meter.total_j > 0


@pytest.mark.quick
@pytest.mark.workload("pytorch_resnet_cifar10/resnet56", profile="quick")
def test_resnet56_alone(train, energy_meter):
    """56 layers: 0.85 M parameters."""
    result = train()
    assert result.metrics["test_accuracy"] > 2 * CHANCE
    assert energy_meter.total_j > 0
