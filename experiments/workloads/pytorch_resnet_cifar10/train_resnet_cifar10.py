"""Train ResNet-20, 32, 44 or 56 to classify the images of CIFAR-10.

An own implementation after the repository akamaster/pytorch_resnet_cifar10 and He et al. 2015 (arXiv 1512.03385,
section 4.2): SGD with momentum 0.9, batches of 128, a tenth of the training images kept for
validation, a learning rate that is divided by 10 after one half and after three quarters of the epochs.
Without --data the script trains on generated silhouettes in CIFAR-10's format.
"""

from __future__ import annotations

import argparse
import math
import sys
from pathlib import Path

import torch
from torch import nn

sys.path.append(str(Path(__file__).parents[1] / "shared"))  # the modules that several workloads use

from checkpoints import add_checkpoint_flags, load_checkpoint, save_checkpoint
from cifar10 import Batch, read_cifar10
from data_cache import cached_folder
from flags import add_number, add_whole_number, script_parser
from image_preparation import PixelScale, augmented, normalised
from labelled_set import LabelledSet, shuffled_batches
from plain_lines import say, say_applied, say_metrics
from resnet_cifar import DEPTHS, cifar_resnet
from run_setup import Setup, add_common_flags, run_main, set_up
from silhouettes import SET_NAME, write_silhouettes
from training_loop import Batches, Recipe, predictions, train_epochs


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
    """Return the parser of the flags; the defaults are the published values."""
    parser = script_parser(__doc__)
    parser.add_argument("-n", "--name", choices=sorted(DEPTHS), default="resnet20", help="network (default: resnet20)")
    add_whole_number(parser, "-e", "--epochs", default=200, about="passes over the training images")
    add_number(parser, "--lr", default=0.1, about="highest learning rate")
    add_number(parser, "--wd", default=1e-4, about="weight decay")
    add_whole_number(parser, "-b", "--batch-size", default=128, about="images per step", least=2)
    parser.add_argument(
        "--schedule",
        choices=["steps", "one-cycle"],
        default="steps",
        help="steps: divide the learning rate by 10 twice; one-cycle: raise it, then lower it to 0 (default: steps)",
    )
    add_whole_number(parser, "--limit", default=None, about="train on the first N images only", least=2, shown="all")
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
    """Train for all epochs and return the best validation accuracy, 0 to 1."""
    generator = torch.Generator().manual_seed(arguments.seed)
    optimizer = torch.optim.SGD(model.parameters(), lr=arguments.lr, momentum=0.9, weight_decay=arguments.wd)
    say_applied(
        epochs=arguments.epochs,
        learning_rate=optimizer.param_groups[0]["lr"],
        weight_decay=optimizer.param_groups[0]["weight_decay"],
        batch_size=arguments.batch_size,
        optimizer=type(optimizer).__name__,
    )
    schedule = _schedule(optimizer, arguments, steps=math.ceil(len(train) / arguments.batch_size))
    accuracies: list[float] = []

    def batches() -> Batches:
        shuffled = shuffled_batches(train, arguments.batch_size, generator)
        return ((augmented(images, generator), labels) for images, labels in shuffled)

    def validate() -> str:
        accuracies.append(_accuracy(model, validation))
        return f"validation accuracy {accuracies[-1]:.4f}"

    recipe = Recipe(optimizer=optimizer, epochs=arguments.epochs, after_step=schedule.step, after_epoch=validate)
    train_epochs(model, batches, recipe)
    return max(accuracies)


def _schedule(
    optimizer: torch.optim.Optimizer, arguments: argparse.Namespace, *, steps: int
) -> torch.optim.lr_scheduler.LRScheduler:
    """Return the schedule that is moved after each step; ``--lr`` is the highest rate in both schedules."""
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
