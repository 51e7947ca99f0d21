"""The loop that every PyTorch workload trains with, and the predictions of a classifier."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from plain_lines import say, say_metrics
from torch import Tensor, nn

__all__ = ["Batches", "Recipe", "TrainedEpochs", "predictions", "train_epochs"]

Batches = Iterable[tuple[Tensor, Tensor]]
"""Inputs and labels, batch by batch."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """The parts of a training that do not change between epochs.

    Args:
        optimizer: over the model's parameters.
        epochs: passes over the training data, 1 or more.
        loss_of: the loss of the model's answers and the labels.
        after_step: called after each step, for schedules that move by steps.
        after_epoch: called after each epoch; the text it returns, such as ``validation accuracy 0.5``, is printed
            with the epoch's loss.
    """

    optimizer: torch.optim.Optimizer
    epochs: int
    loss_of: Callable[[Tensor, Tensor], Tensor] = F.cross_entropy
    after_step: Callable[[], object] = lambda: None
    after_epoch: Callable[[], str | None] = lambda: None


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainedEpochs:
    """A finished training.

    Args:
        loss: mean loss over the samples of the last epoch.
        samples: number of samples that all epochs together trained on.
        seconds: duration of all epochs, in seconds, with whatever ``after_epoch`` does.
    """

    loss: float
    samples: int
    seconds: float


def train_epochs(model: nn.Module, batches_of_epoch: Callable[[], Batches], recipe: Recipe) -> TrainedEpochs:
    """Train for all epochs, print the loss of each and, at the end, ``train_loss``: the loss of the last one.

    Args:
        model: maps a batch's inputs to answers, such as logits.
        batches_of_epoch: returns the batches of a new epoch; called once per epoch.
        recipe: the optimizer, the number of epochs and the rest that stays the same.

    Raises:
        ValueError: the recipe has less than one epoch.
    """
    if recipe.epochs < 1:
        raise ValueError(f"a training needs at least one epoch, not {recipe.epochs}")
    started, samples, loss = time.monotonic(), 0, 0.0
    for epoch in range(1, recipe.epochs + 1):
        title, epoch_started = f"epoch {epoch}/{recipe.epochs}", time.monotonic()
        loss, count = _train_epoch(model, batches_of_epoch(), recipe, title)
        samples += count
        seconds = time.monotonic() - epoch_started
        words = recipe.after_epoch()
        say(f"{title}: loss {loss:.4f}, {f'{words}, ' if words else ''}{seconds:.1f} s")
    say_metrics(train_loss=loss)
    return TrainedEpochs(loss=loss, samples=samples, seconds=time.monotonic() - started)


def _train_epoch(model: nn.Module, batches: Batches, recipe: Recipe, title: str) -> tuple[float, int]:
    """Return the mean loss and the number of samples; print the loss of the first step and then once per second."""
    model.train()
    started, total, samples, next_line_s = time.monotonic(), 0.0, 0, 0.0
    for step, (inputs, labels) in enumerate(batches, 1):
        loss = recipe.loss_of(model(inputs), labels)
        recipe.optimizer.zero_grad()
        loss.backward()
        recipe.optimizer.step()
        recipe.after_step()
        total, samples = total + loss.item() * len(labels), samples + len(labels)
        if (now_s := time.monotonic() - started) >= next_line_s:
            say(f"{title} step {step}: loss {loss.item():.4f}")
            next_line_s = now_s + 1.0
    return total / max(samples, 1), samples


@torch.no_grad()
def predictions(model: nn.Module, inputs: Tensor, *, batch_size: int = 256) -> Tensor:
    """Return the most likely class of each input, as integers on the CPU."""
    model.eval()
    return torch.cat([model(part).argmax(dim=1) for part in inputs.split(batch_size)]).cpu()
