"""The networks are those of the papers: their parameter counts agree."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch", reason="the experiments extra is not installed")

from densenet import DenseNetTrunk
from forward_forward import ForwardForward
from hrnet import HrNetTrunk
from mnist_networks import MnistCnn, MnistRnn
from reid_networks import reid_network
from resnet_cifar import cifar_resnet
from resnet_imagenet import resnet18_trunk, resnet50_trunk
from roberta import RobertaClassifier, RobertaShape
from siamese import Siamese
from text_cnn import TextCnn
from transformer import EncoderLayer


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


@pytest.mark.parametrize(
    ("trunk", "features", "published"),
    [
        pytest.param(DenseNetTrunk, 1024, 7_978_856, id="densenet121"),
        pytest.param(HrNetTrunk, 2048, 21_299_004, id="hrnet-w18"),
        pytest.param(resnet18_trunk, 512, 11_689_512, id="resnet18"),
        pytest.param(resnet50_trunk, 2048, 25_557_032, id="resnet50"),
    ],
)
def test_trunks_for_large_images(trunk, features, published):
    """With a linear layer to ImageNet's 1000 classes, the counts of the published models, to the last parameter."""
    with torch.device("meta"):
        assert parameters(trunk()) + features * 1000 + 1000 == published


@pytest.mark.parametrize(("name", "published"), [("densenet121", 7.86), ("hrnet18", 20.69), ("pcb", 27.82)])
def test_reid_networks_with_the_identities_of_market1501(name, published):
    """751 people in training; DenseNet-121's trunk alone is 6.95 M."""
    with torch.device("meta"):
        assert millions(reid_network(name, identities=751, dropout=0.5)) == published


@pytest.mark.parametrize(
    ("network", "published"),
    [
        pytest.param(MnistCnn, 1_199_882, id="mnist"),
        pytest.param(MnistRnn, 26_602, id="mnist_rnn"),
        pytest.param(ForwardForward, 643_000, id="mnist_ff"),
        pytest.param(Siamese, 11_432_897, id="siamese"),
    ],
)
def test_networks_of_the_examples(network, published):
    """The layers of PyTorch's examples; the siamese network has ResNet-18's trunk on one channel."""
    assert parameters(network()) == published


def test_mrt_oast_encoder():
    """Two layers of width 128 and inner width 512: each 4 (128² + 128) + 2 · 128 · 512 + 640 + 4 · 128."""
    assert 2 * parameters(EncoderLayer(128, 8, 512, 0.2)) == 396_544
