"""Train VulBERTa's classifier on C functions (Hanif and Maffeis, arXiv 2205.12424): is this function vulnerable?

A RoBERTa encoder with an MLP head, or a TextCNN. Adam, 10 epochs, batches of 4, a learning rate of 3e-5 that falls to
zero: the published values, meant for pre-trained weights (``--checkpoint``). Without ``--data`` it trains on
    generated functions.
"""

from __future__ import annotations

import argparse
import math
import random
import time
from pathlib import Path

import torch
from binary_scores import accuracy, f1_score
from c_functions import draw_functions
from c_tokens import CVocabulary, c_units
from checkpoints import add_checkpoint_flags, load_checkpoint, save_checkpoint
from classification import predictions, train_epoch
from data_cache import cached_folder
from defect_data import READERS, Functions, write_d2a, write_devign
from labelled_set import LabelledSet, shuffled_batches
from plain_lines import say, say_applied, say_metrics
from roberta import RobertaClassifier, RobertaShape
from run_setup import Setup, add_common_flags, run_main, set_up
from text_cnn import TextCnn
from torch import nn

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
    """The flags, with the published values as defaults."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-n", "--name", choices=["mlp", "cnn"], default="mlp")
    parser.add_argument("-d", "--dataset", choices=sorted(READERS), default="d2a")
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--learning_rate", type=float, default=3e-5)
    parser.add_argument("--weight_decay", type=float, default=0.0)
    parser.add_argument("--batch_size", type=int, default=4)
    parser.add_argument("--layers", type=int, default=12)
    parser.add_argument("--width", type=int, default=768)
    parser.add_argument("--heads", type=int, default=12)
    parser.add_argument("--length", type=int, default=1024, help="tokens of a function that are read")
    parser.add_argument("--vocabulary", type=int, default=50_000)
    parser.add_argument("--limit", type=int, help="train on the first LIMIT functions only")
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
    say_applied(epochs=arguments.epochs, learning_rate=group["lr"], weight_decay=group["weight_decay"])
    steps = arguments.epochs * math.ceil(len(train) / arguments.batch_size)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: max(1 - step / steps, 0.0))
    started, samples = time.monotonic(), 0
    for epoch in range(1, arguments.epochs + 1):
        title = f"epoch {epoch}/{arguments.epochs}"
        batches = shuffled_batches(train, arguments.batch_size, generator)
        result = train_epoch(model, batches, optimizer, title=title, after_step=schedule.step)
        samples += result.samples
        say(f"{title}: loss {result.loss:.4f}, {result.seconds:.1f} s")
    say_metrics(train_loss=result.loss, samples_per_second=samples / (time.monotonic() - started))


if __name__ == "__main__":
    run_main(main)
