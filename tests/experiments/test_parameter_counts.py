"""The networks are those of the papers: their parameter counts agree."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch", reason="the experiments extra is not installed")

from resnet_cifar import cifar_resnet  # noqa: E402 - after the skip
from roberta import RobertaClassifier, RobertaShape  # noqa: E402
from text_cnn import TextCnn  # noqa: E402


def parameters(model):
    return sum(parameter.numel() for parameter in model.parameters())


def millions(model):
    return round(parameters(model) / 1e6, 2)


@pytest.mark.parametrize(
    ("name", "paper"), [("resnet20", 0.27), ("resnet32", 0.46), ("resnet44", 0.66), ("resnet56", 0.85)]
)
def test_resnets_for_cifar(name, paper):
    """He et al. 2015, table 6."""
    assert millions(cifar_resnet(name)) == paper


def test_resnet20_layers():
    """6 n + 2 weighted layers, n = 3: 19 convolutions and one linear layer; shortcuts of option A have none."""
    layers = [
        module for module in cifar_resnet("resnet20").modules() if isinstance(module, torch.nn.Conv2d | torch.nn.Linear)
    ]
    assert len(layers) == 20


def test_vulberta_mlp():
    """124.8 M with RoBERTa-base's shape, 50 000 tokens and 1024 positions (the published checkpoint)."""
    with torch.device("meta"):  # shapes without memory: the real thing is half a gigabyte
        assert round(parameters(RobertaClassifier(RobertaShape())) / 1e6, 1) == 124.8


def test_vulberta_cnn():
    """38.4 M of the token embedding and 2.0 M of filters and hidden layers."""
    with torch.device("meta"):
        model = TextCnn()
    assert round((parameters(model) - model.words.weight.numel()) / 1e6, 1) == 2.0
