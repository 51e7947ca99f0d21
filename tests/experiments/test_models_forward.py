"""What goes into the networks and what comes out."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch", reason="the experiments extra is not installed")

from forward_forward import ForwardForward, with_label
from hrnet import _enlarged
from labelled_set import LabelledSet, shuffled_batches
from mnist_networks import MnistRnn
from reid_networks import reid_loss, reid_network
from resnet_cifar import cifar_resnet
from roberta import PAD, RobertaClassifier, RobertaShape
from siamese import Siamese, draw_pairs
from tree_transformer import TreePairClassifier, TreeShape

TINY = RobertaShape(vocabulary=20, layers=2, width=16, heads=2, length=12)


def test_resnet_gives_logits():
    """Images of 32 × 32 become one logit a class."""
    assert cifar_resnet("resnet20")(torch.zeros(2, 3, 32, 32)).shape == (2, 10)


def test_padding_changes_no_answer():
    """A function has the same logits however much padding follows it."""
    torch.manual_seed(0)
    model = RobertaClassifier(TINY).eval()
    tokens = torch.tensor([[0, 7, 8, 9, 2]])
    padded = torch.cat([tokens, torch.full((1, 6), PAD)], dim=1)
    assert torch.allclose(model(tokens), model(padded), atol=1e-6)


@pytest.mark.parametrize(
    ("name", "stripes", "length"), [("densenet121", 1, 512), ("hrnet18", 1, 512), ("pcb", 6, 1536)]
)
def test_reid_networks_give_logits_and_features(name, stripes, length):
    """One classifier for each stripe, and one vector of length 1 for each image."""
    model = reid_network(name, identities=7, dropout=0.5).eval()
    images = torch.rand(2, 3, 96, 48) if name == "pcb" else torch.rand(2, 3, 64, 32)
    logits, features = model(images), model.features(images)
    assert logits.shape == (2, stripes, 7)
    assert reid_loss(logits, torch.tensor([0, 6])).item() > 0
    assert features.shape == (2, length)
    assert torch.allclose(features.norm(dim=1), torch.ones(2))


@pytest.mark.parametrize(("height", "width"), [(64, 32), (96, 48), (70, 50)])
def test_hrnet_takes_any_size(height, width):
    """Branches whose sizes are no multiples of each other still meet."""
    model = reid_network("hrnet18", identities=3, dropout=0.0).eval()
    assert model(torch.rand(1, 3, height, width)).shape == (1, 1, 3)


def test_enlarging_copies_pixels():
    """The way up in HRNet is nearest-neighbour interpolation, written so that its gradient repeats."""
    small, target = torch.rand(2, 3, 4, 2), torch.empty(2, 3, 8, 4)
    assert torch.equal(_enlarged(small, target), torch.nn.functional.interpolate(small, size=(8, 4), mode="nearest"))


def test_forward_forward_marks_the_label():
    """The label is the one bright pixel among the first ten; the image itself is left as it is."""
    images = torch.full((2, 784), 0.5)
    marked = with_label(images, torch.tensor([3, 0]), amplitude=2.0)
    assert marked[0, :10].tolist() == [0, 0, 0, 1, 0, 0, 0, 0, 0, 0]
    assert images.min() == 0.5
    assert ForwardForward()(images.view(2, 1, 28, 28)).shape == (2, 10)


def test_siamese_pairs_are_half_the_same():
    """Every second pair shows the same class, and labels agree with what is shown."""
    labels = torch.arange(40) % 4
    data = LabelledSet(inputs=labels[:, None, None, None].float().expand(40, 1, 32, 32), labels=labels)
    pairs = draw_pairs(data, 100, torch.Generator().manual_seed(1))
    same = pairs.inputs[:, 0, 0, 0] == pairs.inputs[:, 1, 0, 0]
    assert same.sum() == 50
    assert (same == (pairs.labels == 1)).all()
    assert Siamese(width=4)(pairs.inputs[:3]).shape == (3,)


def test_tree_pairs_are_compared_without_order():
    """Which of two functions comes first changes nothing."""
    torch.manual_seed(0)
    model = TreePairClassifier(TreeShape(vocabulary=9, width=16, heads=2, inner_width=8, vector=8, length=5)).eval()
    pairs = torch.randint(1, 9, (3, 2, 2, 5))
    assert torch.allclose(model(pairs), model(pairs.flip(1)), atol=1e-6)


@pytest.mark.parametrize(("count", "seen"), [(10, 10), (9, 8)])
def test_no_batch_holds_a_single_input(count, seen):
    """Batch normalisation cannot train on one: a rest of one is left out of the epoch."""
    data = LabelledSet(inputs=torch.arange(count), labels=torch.arange(count))
    batches = list(shuffled_batches(data, 4, torch.Generator().manual_seed(2)))
    assert sum(len(labels) for _, labels in batches) == seen
    assert min(len(labels) for _, labels in batches) > 1


def test_forward_forward_negatives_never_carry_the_right_label():
    """A negative image with its right label would teach the layers to be quiet for the truth."""
    labels = torch.arange(10).repeat(100)
    images = torch.rand(len(labels), 1, 28, 28)
    model = ForwardForward()
    right, wrong = model.layer_inputs(images, labels, torch.Generator().manual_seed(0))
    written = wrong[:, :10].argmax(dim=1)
    assert torch.equal(right[:, :10].argmax(dim=1), labels)
    assert not (written == labels).any()
    assert len(set(written[labels == 3].tolist())) == 9


def test_the_lstm_has_the_dropout_of_the_example():
    """0.25 before the first linear layer, 0.5 before the second."""
    rates = [module.p for module in MnistRnn().modules() if isinstance(module, torch.nn.Dropout)]
    assert rates == [0.25, 0.5]
