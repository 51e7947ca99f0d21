"""Four small networks on handwritten digits: a CNN, an LSTM, forward-forward, a siamese network.

Without a data set the digits are those that come with scikit-learn, in MNIST's format; for MNIST itself set
``EXPERIMENTS_MNIST`` to the folder with the four idx files, plain or gzipped.
"""

from __future__ import annotations

import pytest

CHANCE = 0.1  # ten digits


@pytest.mark.quick
@pytest.mark.workload("examples/mnist", profile="quick")
@pytest.mark.mutate("learning_rate", "batch_size", samples=2, seed=0)
def test_mnist_alone(train, energy_meter):
    """Two convolutions; the learning rate and the batch size are drawn together."""
    result = train()
    assert result.metrics["test_accuracy"] > 5 * CHANCE
    assert energy_meter.total_j > 0


@pytest.mark.quick
@pytest.mark.workload("examples/mnist", profile="quick")
@pytest.mark.background_load("bug-localization-by-dnn-and-rvsm/default", profile="quick")
def test_mnist_beside_bug_localization(train, background_load, energy_meter):
    """The same network while scikit-learn fits in a loop."""
    result = train()
    assert result.metrics["test_accuracy"] > 5 * CHANCE
    assert background_load.alive
    assert energy_meter.total_j > 0


@pytest.mark.quick
@pytest.mark.workload("examples/mnist_rnn", profile="quick")
def test_mnist_rnn_alone(train, energy_meter):
    """An LSTM that reads an image row by row."""
    result = train()
    assert result.metrics["test_accuracy"] > 2 * CHANCE
    assert energy_meter.total_j > 0


@pytest.mark.quick
@pytest.mark.workload("examples/mnist_ff", profile="quick")
def test_mnist_ff_alone(train, energy_meter):
    """The forward-forward algorithm: layers that learn without back-propagation between them."""
    result = train()
    assert result.metrics["test_accuracy"] > 2 * CHANCE
    assert energy_meter.total_j > 0


@pytest.mark.quick
@pytest.mark.workload("examples/siamese", profile="quick")
def test_siamese_alone(train, energy_meter):
    """Do two images show the same digit? Every second pair does."""
    result = train()
    assert result.metrics["test_accuracy"] > 0.6
    assert energy_meter.total_j > 0
