"""Train a network that finds people again in other cameras' pictures: DenseNet-121, HRNet-W18 or PCB on Market-1501.

60 epochs, batches of 32, learning rate 0.05, a tenth of it for the trunk (which is expected to be pre-trained:
``--checkpoint``), both
divided by ten after two thirds of the epochs: the values of the widely used PyTorch baseline. Without ``--data`` it
trains on painted people.
"""

from __future__ import annotations

import argparse

import numpy as np
import torch
from checkpoints import add_checkpoint_flags, load_checkpoint, save_checkpoint
from classification import train_epoch
from data_cache import cached_folder
from image_preparation import PixelScale, augmented
from labelled_set import LabelledSet, shuffled_batches
from market1501 import Crops, read_market1501
from painted_people import SET_NAME, write_people
from plain_lines import say, say_applied, say_metrics
from reid_networks import IMAGE_HEIGHTS, ReidNetwork, reid_loss, reid_network
from retrieval import RetrievalScores, score_retrieval
from run_setup import Setup, add_common_flags, run_main, set_up
from torch import nn


def main() -> None:
    arguments = build_parser().parse_args()
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
    """The flags, with the published values as defaults."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-n", "--name", choices=sorted(IMAGE_HEIGHTS), default="densenet121")
    parser.add_argument("--total_epoch", type=int, default=60)
    parser.add_argument("--lr", type=float, default=0.05, help="learning rate of the head")
    parser.add_argument("--droprate", type=float, default=0.5)
    parser.add_argument("--batchsize", type=int, default=32)
    parser.add_argument("--trunk_lr_factor", type=float, default=0.1, help="the trunk's learning rate in units of --lr")
    parser.add_argument(
        "--height", type=_height, help="of the pictures in pixels, twice their width, at least 64; 256, pcb: 384"
    )
    parser.add_argument("--limit", type=int, help="train on LIMIT images only, taking each person in turn")
    add_common_flags(parser, seed=1334, data_variable="EXPERIMENTS_MARKET1501")
    add_checkpoint_flags(parser)
    return parser


def _height(text: str) -> int:
    height = int(text)
    if height < 64:
        raise argparse.ArgumentTypeError(f"the networks halve a picture five times: 64 pixels at least, not {height}")
    return height


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
    )
    schedule = torch.optim.lr_scheduler.StepLR(optimizer, max(arguments.total_epoch * 2 // 3, 1))
    for epoch in range(1, arguments.total_epoch + 1):
        title = f"epoch {epoch}/{arguments.total_epoch}"
        batches = shuffled_batches(train, arguments.batchsize, generator)
        pairs = ((augmented(scale(images), generator), who.to(scale.mean.device)) for images, who in batches)
        result = train_epoch(model, pairs, optimizer, title=title, loss_of=reid_loss)
        schedule.step()
        say(f"{title}: loss {result.loss:.4f}, {result.seconds:.1f} s")
    say_metrics(train_loss=result.loss)


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
