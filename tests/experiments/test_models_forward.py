"""What goes into the networks and what comes out."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch", reason="the experiments extra is not installed")

from resnet_cifar import cifar_resnet  # noqa: E402 - after the skip
from roberta import PAD, RobertaClassifier, RobertaShape  # noqa: E402

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
