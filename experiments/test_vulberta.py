"""VulBERTa on C functions: is this function vulnerable?

Without a data set the functions are generated; for D2A set ``EXPERIMENTS_VULBERTA`` to the folder with
``d2a_lbv1_function_train.csv`` and ``d2a_lbv1_function_dev.csv``. The published learning rate is meant for pre-trained
weights; the ``quick`` profile trains a small model from nothing and has a range of its own.
"""

from __future__ import annotations

import pytest

CHANCE = 0.5  # half of the functions are vulnerable


@pytest.mark.quick
@pytest.mark.workload("VulBERTa/mlp", profile="quick")
@pytest.mark.mutate("learning_rate", samples=1, seed=0)
def test_vulberta_mlp_alone(train, energy_meter):
    """A RoBERTa-style encoder with an MLP on its first token."""
    result = train()
    assert result.metrics["accuracy"] > CHANCE + 0.1
    assert result.metrics["f1"] > 0.5
    assert energy_meter.total_j > 0


@pytest.mark.quick
@pytest.mark.workload("VulBERTa/mlp", profile="quick")
@pytest.mark.background_load("examples/mnist", profile="quick")
def test_vulberta_mlp_beside_mnist(train, background_load, energy_meter):
    """The same training while a small network learns digits in a loop."""
    result = train()
    assert result.metrics["accuracy"] > CHANCE + 0.1
    assert background_load.alive
    assert energy_meter.total_j > 0


@pytest.mark.quick
@pytest.mark.workload("VulBERTa/cnn", profile="quick")
def test_vulberta_cnn_alone(train, energy_meter):
    """The other published head: a TextCNN on the token embedding."""
    result = train()
    assert result.metrics["accuracy"] > CHANCE + 0.1
    assert energy_meter.total_j > 0
