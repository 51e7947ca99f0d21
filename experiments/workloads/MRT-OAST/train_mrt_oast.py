"""Train a transformer that tells code clones from other pairs of functions by their syntax trees.

An own implementation after the repository MRT-OAST: a transformer with GELU activations, Adam, 10 epochs,
batches of 64, a learning rate that rises to 1e-4 during a fifth of the steps and then falls to a tenth of that.
Without --data the script trains on rewritten functions of Python's standard library, in the same file format.
"""

from __future__ import annotations

import argparse
import math
import sys
from pathlib import Path

import torch
from torch import nn

sys.path.append(str(Path(__file__).parents[1] / "shared"))  # the modules that several workloads use

from binary_scores import accuracy, f1_score
from bracket_trees import Tree, postorder, preorder
from checkpoints import add_checkpoint_flags, load_checkpoint, save_checkpoint
from clone_files import Key, Pair, read_clones
from data_cache import cached_folder
from flags import add_fraction, add_number, add_whole_number, script_parser
from labelled_set import LabelledSet, shuffled_batches
from plain_lines import say, say_applied, say_metrics
from run_setup import Setup, add_common_flags, run_main, set_up
from stdlib_clones import SET_NAME, write_stdlib_clones
from training_loop import Recipe, predictions, train_epochs
from tree_transformer import PAD, TreePairClassifier, TreeShape

_UNKNOWN = 1


def main() -> None:
    arguments = build_parser().parse_args()
    setup = set_up(arguments)
    trees, pairs = _clones(setup, arguments)
    train_trees = [trees[key] for pair in pairs["train"] for key in (pair.first, pair.second)]
    numbers = {
        label: number for number, label in enumerate(sorted({x for tree in train_trees for x in preorder(tree)}), 2)
    }
    sets = {part: _pair_set(some, trees, numbers, arguments.length, setup) for part, some in pairs.items()}
    shape = TreeShape(
        vocabulary=len(numbers) + 2, width=arguments.width, length=arguments.length, dropout=arguments.dropout
    )
    model = TreePairClassifier(shape).to(setup.device)
    load_checkpoint(model, arguments)
    say(f"model: MRT-OAST, {sum(parameter.numel() for parameter in model.parameters())} parameters")
    _train(model, sets["train"], sets["valid"], arguments)
    save_checkpoint(model, arguments, setup)
    answers, truths = predictions(model, sets["test"].inputs).tolist(), sets["test"].labels.tolist()
    say_metrics(test_accuracy=accuracy(answers, truths), f1=f1_score(answers, truths))


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the flags; the defaults are the published values."""
    parser = script_parser(__doc__)
    add_whole_number(parser, "--epochs", default=10, about="passes over the training pairs")
    add_number(parser, "--lr", default=1e-4, about="highest learning rate")
    add_fraction(parser, "--dropout", default=0.2, about="dropout of the encoder")
    add_number(parser, "--weight-decay", default=0.0, about="L2 penalty of Adam")
    add_whole_number(parser, "--batch-size", default=64, about="pairs per step", least=2)
    add_whole_number(parser, "--width", default=128, about="length of a node's vector, a multiple of 8", least=8)
    add_whole_number(parser, "--length", default=256, about="nodes read per tree")
    add_whole_number(parser, "--limit", default=None, about="train on the first N pairs only", least=2, shown="all")
    add_common_flags(parser, seed=1334, data_variable="EXPERIMENTS_MRT_OAST")
    add_checkpoint_flags(parser)
    return parser


def _clones(setup: Setup, arguments: argparse.Namespace) -> tuple[dict[Key, Tree], dict[str, list[Pair]]]:
    folder = setup.data
    if folder is None:
        folder = cached_folder(SET_NAME, write_stdlib_clones, fallback=setup.output_dir)
    trees, pairs = read_clones(folder)
    pairs["train"] = pairs["train"][: arguments.limit]
    say(f"data: {'rewritten functions of the standard library' if setup.data is None else 'MRT-OAST'} in {folder}")
    say("data: " + ", ".join(f"{len(some)} {part} pairs" for part, some in pairs.items()))
    return trees, pairs


def _pair_set(
    pairs: list[Pair], trees: dict[Key, Tree], numbers: dict[str, int], length: int, setup: Setup
) -> LabelledSet:
    def encoded(key: Key) -> list[list[int]]:
        orders = (list(preorder(trees[key])), postorder(trees[key]))
        cut = [[numbers.get(label, _UNKNOWN) for label in order[:length]] for order in orders]
        return [order + [PAD] * (length - len(order)) for order in cut]

    known = {key: encoded(key) for key in {key for pair in pairs for key in (pair.first, pair.second)}}
    inputs = torch.tensor([[known[pair.first], known[pair.second]] for pair in pairs], device=setup.device)
    labels = torch.tensor([int(pair.clones) for pair in pairs], device=setup.device)
    return LabelledSet(inputs=inputs, labels=labels)


def _train(model: nn.Module, train: LabelledSet, valid: LabelledSet, arguments: argparse.Namespace) -> None:
    generator = torch.Generator().manual_seed(arguments.seed)
    optimizer = torch.optim.Adam(model.parameters(), lr=arguments.lr, weight_decay=arguments.weight_decay)
    group = optimizer.param_groups[0]
    say_applied(
        epochs=arguments.epochs,
        learning_rate=group["lr"],
        dropout=next(module.p for module in model.modules() if isinstance(module, nn.Dropout)),
        weight_decay=group["weight_decay"],
        optimizer=type(optimizer).__name__,
    )
    steps = arguments.epochs * math.ceil(len(train) / arguments.batch_size)
    warm = max(steps // 5, 1)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: min((step + 1) / warm, max(1 - 0.9 * (step - warm) / (steps - warm + 1), 0.1))
    )

    def validate() -> str:
        right = accuracy(predictions(model, valid.inputs).tolist(), valid.labels.tolist())
        return f"validation accuracy {right:.4f}"

    recipe = Recipe(optimizer=optimizer, epochs=arguments.epochs, after_step=schedule.step, after_epoch=validate)
    train_epochs(model, lambda: shuffled_batches(train, arguments.batch_size, generator), recipe)


if __name__ == "__main__":
    run_main(main)
