"""Train one of four small networks on handwritten digits: a CNN, an LSTM, forward-forward or a siamese network.

Own implementations after the repository pytorch/examples, with its defaults: 14 epochs of Adadelta with a learning
rate of 1.0 (mnist_rnn: 0.1) that is multiplied by 0.7 after each epoch, and batches of 64; mnist_ff: 1000 iterations
of Adam per layer, over all images at once, with a learning rate of 0.03.
Without --data the script trains on the digits that come with scikit-learn, in MNIST's format.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import nn

sys.path.append(str(Path(__file__).parents[1] / "shared"))  # the modules that several workloads use

from checkpoints import add_checkpoint_flags, load_checkpoint, save_checkpoint
from data_cache import cached_folder
from flags import add_number, add_whole_number, script_parser
from forward_forward import ForwardForward
from idx_files import Digits, read_mnist
from image_preparation import PixelScale, normalised
from labelled_set import LabelledSet, shuffled_batches
from mnist_networks import MnistCnn, MnistRnn
from plain_lines import say, say_applied, say_metrics
from run_setup import Setup, add_common_flags, run_main, set_up
from siamese import Siamese, draw_pairs
from small_digits import SET_NAME, write_small_digits
from training_loop import Batches, Recipe, predictions, train_epochs

_SHRINK = 0.7
_RATES = {"mnist": 1.0, "mnist_rnn": 0.1, "mnist_ff": 0.03, "siamese": 1.0}
_EPOCHS = {"mnist": 14, "mnist_rnn": 14, "mnist_ff": 1000, "siamese": 14}


def main() -> None:
    arguments = build_parser().parse_args()
    if arguments.learning_rate is None:
        arguments.learning_rate = _RATES[arguments.name]
    if arguments.epochs is None:
        arguments.epochs = _EPOCHS[arguments.name]
    setup = set_up(arguments)
    train, test = _digit_sets(setup, limit=arguments.limit)
    model = _model(arguments).to(setup.device)
    load_checkpoint(model, arguments)
    say(f"model: {arguments.name}, {sum(parameter.numel() for parameter in model.parameters())} parameters")
    _TRAININGS[arguments.name](model, train, test, arguments)
    save_checkpoint(model, arguments, setup)


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the flags; without a learning rate or epochs the network's published values are used."""
    parser = script_parser(__doc__)
    parser.add_argument("-n", "--name", choices=sorted(_RATES), default="mnist", help="network (default: mnist)")
    add_whole_number(
        parser,
        *("-e", "--epochs"),
        default=None,
        about="passes over the training digits; mnist_ff: iterations per layer",
        shown="14; mnist_ff: 1000",
    )
    add_number(
        parser,
        *("-l", "--learning-rate"),
        default=None,
        about="learning rate of the first epoch",
        shown="1; mnist_rnn: 0.1; mnist_ff: 0.03",
    )
    add_whole_number(
        parser, "-b", "--batch-size", default=64, about="digits per step; mnist_ff takes all at once", least=2
    )
    add_whole_number(parser, "--width", default=64, about="channels of the siamese network's first stage")
    add_number(
        parser, "--amplitude", default=1.0, about="brightness of mnist_ff's label pixels, in units of the brightest"
    )
    add_whole_number(parser, "--limit", default=None, about="train on the first N digits only", least=2, shown="all")
    add_common_flags(parser, seed=1, data_variable="EXPERIMENTS_MNIST")
    add_checkpoint_flags(parser)
    return parser


def _digit_sets(setup: Setup, *, limit: int | None) -> tuple[LabelledSet, LabelledSet]:
    folder = setup.data
    if folder is None:
        folder = cached_folder(SET_NAME, write_small_digits, fallback=setup.output_dir)
    train, test = read_mnist(folder)
    train = Digits(images=train.images[:limit], labels=train.labels[:limit])
    say(f"data: {'small digits of scikit-learn' if setup.data is None else 'MNIST'} in {folder}")
    say(f"data: {len(train.labels)} training, {len(test.labels)} test digits")
    scale = PixelScale.of(train.images[:, None], setup.device)
    known, unseen = (normalised(part.images[:, None], part.labels, scale=scale) for part in (train, test))
    return known, unseen


def _model(arguments: argparse.Namespace) -> nn.Module:
    makers: dict[str, Callable[[], nn.Module]] = {
        "mnist": MnistCnn,
        "mnist_rnn": MnistRnn,
        "mnist_ff": lambda: ForwardForward(arguments.amplitude),
        "siamese": lambda: Siamese(arguments.width),
    }
    return makers[arguments.name]()


def _train_classifier(model: nn.Module, train: LabelledSet, test: LabelledSet, arguments: argparse.Namespace) -> None:
    _train(model, lambda _: train, F.cross_entropy, arguments)
    right = predictions(model, test.inputs) == test.labels.cpu()
    say_metrics(test_accuracy=right.double().mean().item())


def _train_siamese(model: nn.Module, train: LabelledSet, test: LabelledSet, arguments: argparse.Namespace) -> None:
    _train(
        model,
        lambda generator: draw_pairs(train, len(train), generator),
        F.binary_cross_entropy_with_logits,
        arguments,
    )
    pairs = draw_pairs(test, 4 * len(test), torch.Generator().manual_seed(0))
    model.eval()
    with torch.no_grad():
        answers = torch.cat([model(part) > 0 for part in pairs.inputs.split(256)])
    say_metrics(test_accuracy=(answers == (pairs.labels > 0)).double().mean().item())


def _train(
    model: nn.Module,
    data_of_epoch: Callable[[torch.Generator], LabelledSet],
    loss_of: Callable[[torch.Tensor, torch.Tensor], torch.Tensor],
    arguments: argparse.Namespace,
) -> None:
    generator = torch.Generator().manual_seed(arguments.seed)
    optimizer = torch.optim.Adadelta(model.parameters(), lr=arguments.learning_rate)
    _say_config(arguments, optimizer)
    schedule = torch.optim.lr_scheduler.ExponentialLR(optimizer, _SHRINK)

    def batches() -> Batches:
        return shuffled_batches(data_of_epoch(generator), arguments.batch_size, generator)

    train_epochs(
        model,
        batches,
        Recipe(optimizer=optimizer, epochs=arguments.epochs, loss_of=loss_of, after_epoch=schedule.step),
    )


def _train_forward_forward(
    model: ForwardForward, train: LabelledSet, test: LabelledSet, arguments: argparse.Namespace
) -> None:
    """Train layer after layer, each on the output of the finished layers below it."""
    generator = torch.Generator().manual_seed(arguments.seed)
    right, wrong = model.layer_inputs(train.inputs, train.labels, generator)
    for number, layer in enumerate(model.layers, 1):
        optimizer = torch.optim.Adam(layer.parameters(), lr=arguments.learning_rate)
        if number == 1:
            _say_config(arguments, optimizer)
        for iteration in range(1, arguments.epochs + 1):
            loss = layer.loss(right, wrong)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            if iteration == 1 or iteration % 20 == 0:
                say(f"layer {number} iteration {iteration}/{arguments.epochs}: loss {loss.item():.4f}")
        right, wrong = layer(right).detach(), layer(wrong).detach()
    found = predictions(model, test.inputs) == test.labels.cpu()
    say_metrics(train_loss=loss.item(), test_accuracy=found.double().mean().item())


def _say_config(arguments: argparse.Namespace, optimizer: torch.optim.Optimizer) -> None:
    say_applied(
        epochs=arguments.epochs,
        learning_rate=optimizer.param_groups[0]["lr"],
        batch_size=arguments.batch_size,
        optimizer=type(optimizer).__name__,
    )


_TRAININGS: dict[str, Callable[..., None]] = {
    "mnist": _train_classifier,
    "mnist_rnn": _train_classifier,
    "mnist_ff": _train_forward_forward,
    "siamese": _train_siamese,
}


if __name__ == "__main__":
    run_main(main)
