"""Training and scoring a classifier: the loop that the image and the code workloads share."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from plain_lines import say
from torch import Tensor, nn

__all__ = ["EpochResult", "predictions", "train_epoch"]


@dataclass(frozen=True, slots=True, kw_only=True)
class EpochResult:
    """One pass over the training data.

    Args:
        loss: mean loss over the samples.
        samples: how many there were.
        seconds: how long the pass took.
    """

    loss: float
    samples: int
    seconds: float


def train_epoch(
    model: nn.Module,
    batches: Iterable[tuple[Tensor, Tensor]],
    optimizer: torch.optim.Optimizer,
    *,
    title: str,
    loss_of: Callable[[Tensor, Tensor], Tensor] = F.cross_entropy,
    after_step: Callable[[], None] = lambda: None,
) -> EpochResult:
    """Train on every batch once, printing the loss after the first step and now and then.

    Args:
        model: from a batch's first part to answers, such as logits.
        batches: inputs and classes.
        optimizer: over the model's parameters.
        loss_of: the loss of the model's answers and the classes.
        title: opens each printed line, such as ``epoch 1/3``.
        after_step: called after each step, for schedules that move by steps.
    """
    model.train()
    started, total, samples, next_line_s = time.monotonic(), 0.0, 0, 0.0
    for step, (inputs, classes) in enumerate(batches, 1):
        loss = loss_of(model(inputs), classes)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        after_step()
        total, samples = total + loss.item() * len(classes), samples + len(classes)
        if (now_s := time.monotonic() - started) >= next_line_s:
            say(f"{title} step {step}: loss {loss.item():.4f}")
            next_line_s = now_s + 1.0
    return EpochResult(loss=total / max(samples, 1), samples=samples, seconds=time.monotonic() - started)


@torch.no_grad()
def predictions(model: nn.Module, inputs: Tensor, *, batch_size: int = 256) -> Tensor:
    """The most likely class of each input, as integers on the CPU."""
    model.eval()
    return torch.cat([model(part).argmax(dim=1) for part in inputs.split(batch_size)]).cpu()
