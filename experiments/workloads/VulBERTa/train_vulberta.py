"""Train a classifier of C functions, VulBERTa-MLP or VulBERTa-CNN: is this function vulnerable?

An own implementation after the repository ICL-ml4csec/VulBERTa (Hanif and Maffeis, arXiv 2205.12424): a RoBERTa
encoder (GELU activations) with an MLP head, or a TextCNN. AdamW, 10 epochs, batches of 4 and a learning rate that
falls from 3e-5 to zero are the published values; they are meant for pre-trained weights (--checkpoint).
Without --data the script trains on generated functions.
"""

from __future__ import annotations

import argparse
import math
import random
import sys
from pathlib import Path

import torch
from torch import nn

sys.path.append(str(Path(__file__).parents[1] / "shared"))  # the modules that several workloads use

from binary_scores import accuracy, f1_score
from c_functions import draw_functions
from c_tokens import CVocabulary, c_units
from checkpoints import add_checkpoint_flags, load_checkpoint, save_checkpoint
from data_cache import cached_folder
from defect_data import READERS, Functions, write_d2a, write_devign
from flags import add_number, add_whole_number, script_parser
from labelled_set import LabelledSet, shuffled_batches
from plain_lines import say, say_applied, say_metrics
from roberta import RobertaClassifier, RobertaShape
from run_setup import Setup, add_common_flags, run_main, set_up
from text_cnn import TextCnn
from training_loop import Recipe, predictions, train_epochs

_TRAIN_FUNCTIONS = 1024
_DEV_FUNCTIONS = 256


def main() -> None:
    arguments = build_parser().parse_args()
    setup = set_up(arguments)
    train, dev = _functions(setup, arguments)
    train_units = [c_units(code) for code in train.code]
    vocabulary = CVocabulary.learn(train_units, arguments.vocabulary)
    train_set = _token_set(train_units, train, vocabulary, arguments.length, setup)
    dev_set = _token_set([c_units(code) for code in dev.code], dev, vocabulary, arguments.length, setup)
    model = _model(arguments, len(vocabulary)).to(setup.device)
    load_checkpoint(model, arguments)
    say(f"model: {arguments.name}, {sum(parameter.numel() for parameter in model.parameters())} parameters")
    _train(model, train_set, arguments)
    save_checkpoint(model, arguments, setup)
    answers = predictions(model, dev_set.inputs).tolist()
    say_metrics(accuracy=accuracy(answers, dev.labels), f1=f1_score(answers, dev.labels))


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the flags; the defaults are the published values."""
    parser = script_parser(__doc__)
    parser.add_argument("-n", "--name", choices=["mlp", "cnn"], default="mlp", help="network (default: mlp)")
    parser.add_argument(
        "-d", "--dataset", choices=sorted(READERS), default="d2a", help="format of the data set (default: d2a)"
    )
    add_whole_number(parser, "--epochs", default=10, about="passes over the training functions")
    add_number(parser, "--learning_rate", default=3e-5, about="learning rate of the first step")
    add_number(parser, "--weight_decay", default=0.0, about="decoupled weight decay of AdamW")
    add_whole_number(parser, "--batch_size", default=4, about="functions per step", least=2)
    add_whole_number(parser, "--layers", default=12, about="encoder layers (mlp)")
    add_whole_number(parser, "--width", default=768, about="length of a token's vector; mlp: a multiple of --heads")
    add_whole_number(parser, "--heads", default=12, about="attention heads (mlp)")
    add_whole_number(parser, "--length", default=1024, about="tokens read per function", least=8)
    add_whole_number(parser, "--vocabulary", default=50_000, about="number of different tokens", least=16)
    add_whole_number(parser, "--limit", default=None, about="train on the first N functions only", least=2, shown="all")
    add_common_flags(parser, seed=42, data_variable="EXPERIMENTS_VULBERTA")
    add_checkpoint_flags(parser)
    return parser


def _functions(setup: Setup, arguments: argparse.Namespace) -> tuple[Functions, Functions]:
    folder = setup.data
    if folder is None:
        name = f"{arguments.dataset}-functions-v1-{_TRAIN_FUNCTIONS}-{_DEV_FUNCTIONS}"
        write = {"d2a": write_d2a, "devign": write_devign}[arguments.dataset]

        def write_generated(place: Path) -> None:
            rng = random.Random(7)
            write(place, draw_functions(_TRAIN_FUNCTIONS, rng), draw_functions(_DEV_FUNCTIONS, rng))

        folder = cached_folder(name, write_generated, fallback=setup.output_dir)
    train, dev = READERS[arguments.dataset](folder)
    train = Functions(code=train.code[: arguments.limit], labels=train.labels[: arguments.limit])
    say(f"data: {'generated functions' if setup.data is None else arguments.dataset} in {folder}")
    say(f"data: {len(train.labels)} training, {len(dev.labels)} development functions")
    return train, dev


def _token_set(
    units: list[list[str]], functions: Functions, vocabulary: CVocabulary, length: int, setup: Setup
) -> LabelledSet:
    numbers = torch.tensor([vocabulary.encode(function, length) for function in units], device=setup.device)
    return LabelledSet(inputs=numbers, labels=torch.tensor(functions.labels, device=setup.device))


def _model(arguments: argparse.Namespace, vocabulary: int) -> nn.Module:
    if arguments.name == "cnn":
        return TextCnn(vocabulary, arguments.width)
    shape = RobertaShape(
        vocabulary=vocabulary,
        layers=arguments.layers,
        width=arguments.width,
        heads=arguments.heads,
        length=arguments.length,
    )
    return RobertaClassifier(shape)


def _train(model: nn.Module, train: LabelledSet, arguments: argparse.Namespace) -> None:
    generator = torch.Generator().manual_seed(arguments.seed)
    optimizer = torch.optim.AdamW(model.parameters(), lr=arguments.learning_rate, weight_decay=arguments.weight_decay)
    group = optimizer.param_groups[0]
    say_applied(
        epochs=arguments.epochs,
        learning_rate=group["lr"],
        weight_decay=group["weight_decay"],
        optimizer=type(optimizer).__name__,
    )
    steps = arguments.epochs * math.ceil(len(train) / arguments.batch_size)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: max(1 - step / steps, 0.0))
    recipe = Recipe(optimizer=optimizer, epochs=arguments.epochs, after_step=schedule.step)
    result = train_epochs(model, lambda: shuffled_batches(train, arguments.batch_size, generator), recipe)
    say_metrics(samples_per_second=result.samples / result.seconds)


if __name__ == "__main__":
    run_main(main)
