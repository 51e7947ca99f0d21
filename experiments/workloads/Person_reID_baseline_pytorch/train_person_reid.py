"""Train DenseNet-121, HRNet-W18 or PCB to find a person again in the pictures of other cameras (Market-1501).

An own implementation after the repository layumi/Person_reID_baseline_pytorch: SGD with Nesterov momentum, 60 epochs,
batches of 32, learning rate 0.05 (pcb: 0.02), a tenth of it for the trunk, which is expected to be pre-trained
(--checkpoint); both rates are divided by ten after two thirds of the epochs.
Without --data the script trains on painted people.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np
import torch
from torch import nn

sys.path.append(str(Path(__file__).parents[1] / "shared"))  # the modules that several workloads use

from checkpoints import add_checkpoint_flags, load_checkpoint, save_checkpoint
from data_cache import cached_folder
from flags import add_fraction, add_number, add_whole_number, script_parser
from image_preparation import PixelScale, augmented
from labelled_set import LabelledSet, shuffled_batches
from market1501 import Crops, read_market1501
from painted_people import SET_NAME, write_people
from plain_lines import say, say_applied, say_metrics
from reid_networks import IMAGE_HEIGHTS, ReidNetwork, reid_loss, reid_network
from retrieval import RetrievalScores, score_retrieval
from run_setup import Setup, add_common_flags, run_main, set_up
from training_loop import Batches, Recipe, train_epochs

_RATES = {"densenet121": 0.05, "hrnet18": 0.05, "pcb": 0.02}
_LEAST_HEIGHT = 64  # the networks halve a picture five times


def main() -> None:
    arguments = build_parser().parse_args()
    if arguments.lr is None:
        arguments.lr = _RATES[arguments.name]
    setup = set_up(arguments)
    crops = _crops(setup, arguments)
    scale = PixelScale.of(crops["train"].images, setup.device)
    model = reid_network(
        arguments.name, identities=len(np.unique(crops["train"].identities)), dropout=arguments.droprate
    )
    model.to(setup.device)
    load_checkpoint(model, arguments)
    say(f"model: {arguments.name}, {sum(parameter.numel() for parameter in model.parameters())} parameters")
    untrained = _scores(model, crops, scale)
    say(f"before training: rank-1 {untrained.rank_1:.4f}, mAP {untrained.mean_ap:.4f}, {untrained.queries} queries")
    _train(model, crops["train"], scale, arguments)
    save_checkpoint(model, arguments, setup)
    scores = _scores(model, crops, scale)
    say_metrics(rank_1=scores.rank_1, rank_5=scores.rank_5, mAP=scores.mean_ap)
    say_metrics(untrained_rank_1=untrained.rank_1, untrained_mAP=untrained.mean_ap)


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the flags; without ``--lr`` and ``--height`` the network's published values are used."""
    parser = script_parser(__doc__)
    parser.add_argument(
        "-n", "--name", choices=sorted(IMAGE_HEIGHTS), default="densenet121", help="network (default: densenet121)"
    )
    add_whole_number(parser, "--total_epoch", default=60, about="passes over the training pictures")
    add_number(parser, "--lr", default=None, about="learning rate of the head", shown="0.05; pcb: 0.02")
    add_fraction(parser, "--droprate", default=0.5, about="dropout before each classifier")
    add_whole_number(parser, "--batchsize", default=32, about="pictures per step", least=2)
    add_number(parser, "--trunk_lr_factor", default=0.1, about="learning rate of the trunk, in units of --lr")
    add_whole_number(
        parser,
        "--height",
        default=None,
        about="height of the pictures in pixels, twice their width",
        least=_LEAST_HEIGHT,
        shown="256; pcb: 384",
    )
    add_whole_number(
        parser, "--limit", default=None, about="train on N pictures, taking each person in turn", least=2, shown="all"
    )
    add_common_flags(parser, seed=1334, data_variable="EXPERIMENTS_MARKET1501")
    add_checkpoint_flags(parser)
    return parser


def _crops(setup: Setup, arguments: argparse.Namespace) -> dict[str, Crops]:
    folder = setup.data or cached_folder(SET_NAME, write_people, fallback=setup.output_dir)
    crops = read_market1501(folder, height=arguments.height or IMAGE_HEIGHTS[arguments.name], limit=arguments.limit)
    say(f"data: {'painted people' if setup.data is None else 'Market-1501'} in {folder}")
    say("data: " + ", ".join(f"{len(some.identities)} {part}" for part, some in crops.items()) + " pictures")
    return crops


def _train(model: ReidNetwork, crops: Crops, scale: PixelScale, arguments: argparse.Namespace) -> None:
    # bytes until they are needed: the real set is 5 GB as floats
    _, numbers = np.unique(crops.identities, return_inverse=True)
    train = LabelledSet(inputs=torch.tensor(crops.images), labels=torch.tensor(numbers))
    generator = torch.Generator().manual_seed(arguments.seed)
    groups = [
        {"params": model.parts.parameters(), "lr": arguments.lr},
        {"params": model.trunk.parameters(), "lr": arguments.lr * arguments.trunk_lr_factor},
    ]
    optimizer = torch.optim.SGD(groups, momentum=0.9, weight_decay=5e-4, nesterov=True)
    say_applied(
        epochs=arguments.total_epoch,
        learning_rate=optimizer.param_groups[0]["lr"],
        dropout=next(module.p for module in model.parts.modules() if isinstance(module, nn.Dropout)),
        optimizer=type(optimizer).__name__,
    )
    schedule = torch.optim.lr_scheduler.StepLR(optimizer, max(arguments.total_epoch * 2 // 3, 1))

    def batches() -> Batches:
        shuffled = shuffled_batches(train, arguments.batchsize, generator)
        return (
            (augmented(scale(images), generator), identities.to(scale.mean.device)) for images, identities in shuffled
        )

    train_epochs(
        model,
        batches,
        Recipe(optimizer=optimizer, epochs=arguments.total_epoch, loss_of=reid_loss, after_epoch=schedule.step),
    )


def _scores(model: ReidNetwork, crops: dict[str, Crops], scale: PixelScale) -> RetrievalScores:
    query, gallery = (_features(model, crops[part].images, scale) for part in ("query", "gallery"))
    return score_retrieval(
        query @ gallery.T,
        query_identities=crops["query"].identities,
        query_cameras=crops["query"].cameras,
        gallery_identities=crops["gallery"].identities,
        gallery_cameras=crops["gallery"].cameras,
    )


@torch.no_grad()
def _features(model: ReidNetwork, images: np.ndarray, scale: PixelScale) -> np.ndarray:
    model.eval()
    parts = torch.tensor(images).split(64)
    vectors: np.ndarray = torch.cat([model.features(scale(part)) for part in parts]).cpu().numpy()
    return vectors


if __name__ == "__main__":
    run_main(main)
