"""Train ResNet-20, 32, 44 or 56 on CIFAR-10, as He et al. 2015 (arXiv 1512.03385, section 4.2) did.

Momentum 0.9, batches of 128, a tenth of the training images kept for validation, learning rate divided by 10 at a
half and three quarters of the epochs. Without ``--data`` it trains on generated silhouettes in the same format.
"""

from __future__ import annotations

import argparse
import math

import torch
from checkpoints import add_checkpoint_flags, load_checkpoint, save_checkpoint
from cifar10 import Batch, read_cifar10
from classification import predictions, train_epoch
from data_cache import cached_folder
from image_preparation import PixelScale, augmented, normalised
from labelled_set import LabelledSet, shuffled_batches
from plain_lines import say, say_applied, say_metrics
from resnet_cifar import DEPTHS, cifar_resnet
from run_setup import Setup, add_common_flags, run_main, set_up
from silhouettes import SET_NAME, write_silhouettes
from torch import nn


def main() -> None:
    arguments = build_parser().parse_args()
    setup = set_up(arguments)
    train, validation, test = _image_sets(setup, limit=arguments.limit)
    model = cifar_resnet(arguments.name).to(setup.device)
    load_checkpoint(model, arguments)
    say(f"model: {arguments.name}, {sum(parameter.numel() for parameter in model.parameters())} parameters")
    best_accuracy = _train(model, train, validation, arguments)
    save_checkpoint(model, arguments, setup)
    say_metrics(best_val_accuracy=best_accuracy, test_accuracy=_accuracy(model, test))


def build_parser() -> argparse.ArgumentParser:
    """The flags, with the published values as defaults."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-n", "--name", choices=sorted(DEPTHS), default="resnet20")
    parser.add_argument("-e", "--epochs", type=int, default=200)
    parser.add_argument("--lr", type=float, default=0.1, help="learning rate at the start")
    parser.add_argument("--wd", type=float, default=1e-4, help="weight decay")
    parser.add_argument("-b", "--batch-size", type=int, default=128)
    parser.add_argument("--schedule", choices=["steps", "one-cycle"], default="steps")
    parser.add_argument("--limit", type=int, help="train on the first LIMIT images only")
    add_common_flags(parser, seed=1334, data_variable="EXPERIMENTS_CIFAR10")
    add_checkpoint_flags(parser)
    return parser


def _image_sets(setup: Setup, *, limit: int | None) -> tuple[LabelledSet, LabelledSet, LabelledSet]:
    folder = setup.data
    if folder is None:
        folder = cached_folder(SET_NAME, write_silhouettes, fallback=setup.output_dir)
    known, test = read_cifar10(folder)
    say(f"data: {'generated silhouettes' if setup.data is None else 'CIFAR-10'} in {folder}")
    validation_images = len(known.labels) // 10
    train = _part(known, slice(0, len(known.labels) - validation_images))
    validation = _part(known, slice(len(known.labels) - validation_images, None))
    train = _part(train, slice(0, limit))
    say(f"data: {len(train.labels)} training, {len(validation.labels)} validation, {len(test.labels)} test images")
    scale = PixelScale.of(train.images, setup.device)
    sets = [normalised(part.images, part.labels, scale=scale) for part in (train, validation, test)]
    return sets[0], sets[1], sets[2]


def _part(batch: Batch, rows: slice) -> Batch:
    return Batch(images=batch.images[rows], labels=batch.labels[rows])


def _train(model: nn.Module, train: LabelledSet, validation: LabelledSet, arguments: argparse.Namespace) -> float:
    """Train all epochs; the best validation accuracy seen, 0 to 1."""
    generator = torch.Generator().manual_seed(arguments.seed)
    optimizer = torch.optim.SGD(model.parameters(), lr=arguments.lr, momentum=0.9, weight_decay=arguments.wd)
    say_applied(
        epochs=arguments.epochs,
        learning_rate=optimizer.param_groups[0]["lr"],
        weight_decay=optimizer.param_groups[0]["weight_decay"],
        batch_size=arguments.batch_size,
    )
    schedule = _schedule(optimizer, arguments, steps=math.ceil(len(train) / arguments.batch_size))
    best_accuracy = 0.0
    for epoch in range(1, arguments.epochs + 1):
        batches = shuffled_batches(train, arguments.batch_size, generator)
        pairs = ((augmented(images, generator), labels) for images, labels in batches)
        title = f"epoch {epoch}/{arguments.epochs}"
        result = train_epoch(model, pairs, optimizer, title=title, after_step=schedule.step)
        accuracy = _accuracy(model, validation)
        best_accuracy = max(best_accuracy, accuracy)
        say(f"{title}: loss {result.loss:.4f}, validation accuracy {accuracy:.4f}, {result.seconds:.1f} s")
    say_metrics(train_loss=result.loss)
    return best_accuracy


def _schedule(
    optimizer: torch.optim.Optimizer, arguments: argparse.Namespace, *, steps: int
) -> torch.optim.lr_scheduler.LRScheduler:
    """A factor for the learning rate at each step; ``--lr`` is the highest rate in both schedules."""
    total = steps * arguments.epochs
    if arguments.schedule == "steps":
        milestones = [total // 2, total * 3 // 4]
        return torch.optim.lr_scheduler.MultiStepLR(optimizer, milestones)
    warm = max(total // 5, 1)
    return torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: min((step + 1) / warm, max((total - step) / (total - warm), 0.0))
    )


def _accuracy(model: nn.Module, data: LabelledSet) -> float:
    return (predictions(model, data.inputs) == data.labels.cpu()).double().mean().item()


if __name__ == "__main__":
    run_main(main)
