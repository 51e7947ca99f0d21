"""Set-up of every training script: common flags, seed, device, output folder."""

from __future__ import annotations

import argparse
import os
import random
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from data_errors import DataError
from flags import add_whole_number
from plain_lines import say, say_applied

if TYPE_CHECKING:
    import torch

__all__ = ["OUTPUT_VARIABLE", "Setup", "add_common_flags", "run_main", "set_up"]

OUTPUT_VARIABLE = "PARALLEL_ENERGY_OUTPUT_DIR"


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """Device, folders and seed of this run.

    Args:
        device: the torch device; ``None`` where PyTorch is not used.
        output_dir: this run's own folder, made when something is written.
        data: the user's data path, or ``None`` for the generated set.
        seed: the seed that was applied.
    """

    device: torch.device | None
    output_dir: Path
    data: Path | None
    seed: int


def add_common_flags(
    parser: argparse.ArgumentParser, *, seed: int, data_variable: str, uses_torch: bool = True
) -> None:
    """Add ``--seed --data --output-dir`` and, where PyTorch trains, ``--device``: the same in every script."""
    add_whole_number(parser, "--seed", default=seed, about="seed of weights, batches and dropout", least=0)
    parser.add_argument(
        "--data",
        type=Path,
        default=os.environ.get(data_variable) or None,
        metavar="PATH",
        help=f"the real data set (default: ${data_variable}, else a small generated set in the same format)",
    )
    parser.add_argument(
        "--output-dir",
        type=Path,
        default=os.environ.get(OUTPUT_VARIABLE) or "output",
        metavar="FOLDER",
        help=f"folder for the files of this run (default: ${OUTPUT_VARIABLE}, else output)",
    )
    if uses_torch:
        parser.add_argument(
            "--device",
            choices=["auto", "cpu", "cuda"],
            default="auto",
            help="device that trains; auto: a GPU if PyTorch finds one, else the CPU (default: auto)",
        )


def set_up(arguments: argparse.Namespace) -> Setup:
    """Seed all random generators, choose the device and print both.

    Raises:
        DataError: the data path does not exist, or ``--device cuda`` was given and PyTorch finds no CUDA device.
    """
    data = None if arguments.data is None else Path(arguments.data)
    if data is not None and not data.exists():
        raise DataError(f"--data: {data} does not exist")
    output_dir = Path(arguments.output_dir)
    random.seed(arguments.seed)
    device = _seeded_device(arguments) if "device" in arguments else None
    say_applied(seed=arguments.seed)
    return Setup(device=device, output_dir=output_dir, data=data, seed=arguments.seed)


def run_main(main: Callable[[], None]) -> None:
    """Run a script's ``main``; turn a :class:`DataError` into one line on stderr and exit code 2."""
    try:
        main()
    except DataError as error:
        print(f"error: {error}", file=sys.stderr, flush=True)
        sys.exit(2)


def _seeded_device(arguments: argparse.Namespace) -> torch.device:
    # cuBLAS repeats its results only with a fixed workspace, chosen before CUDA starts:
    # https://docs.nvidia.com/cuda/cublas/#results-reproducibility
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    import torch

    torch.manual_seed(arguments.seed)
    torch.use_deterministic_algorithms(True, warn_only=True)
    available = torch.cuda.is_available()
    if arguments.device == "cuda" and not available:
        raise DataError("--device cuda: this PyTorch sees no CUDA device; use --device cpu or install a CUDA build")
    device = torch.device("cuda" if available and arguments.device != "cpu" else "cpu")
    say(f"device: {device}")
    return device
