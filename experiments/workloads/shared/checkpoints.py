"""Checkpoints: start from the weights in a file, and write the trained weights to one."""

from __future__ import annotations

import argparse
import pickle
from pathlib import Path

import torch
from data_errors import DataError
from plain_lines import say
from run_setup import Setup
from torch import nn

__all__ = ["add_checkpoint_flags", "load_checkpoint", "save_checkpoint"]


def add_checkpoint_flags(parser: argparse.ArgumentParser) -> None:
    """Add ``--checkpoint PATH`` and ``--save``."""
    parser.add_argument(
        "--checkpoint",
        type=Path,
        metavar="FILE",
        help="start from this state_dict, a file written by torch.save (default: random weights)",
    )
    parser.add_argument("--save", action="store_true", help="write model.pt into --output-dir after training")


def load_checkpoint(model: nn.Module, arguments: argparse.Namespace) -> None:
    """Load ``--checkpoint`` into the model if it was given; only tensors are read, and no code from the file runs.

    Raises:
        DataError: the file is missing, damaged, or belongs to another model.
    """
    path: Path | None = arguments.checkpoint
    if path is None:
        return
    try:
        model.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
    except (OSError, RuntimeError, EOFError, TypeError, AttributeError, pickle.UnpicklingError) as error:
        raise DataError(f"--checkpoint: {path} is not a state_dict of this model: {_first_line(error)}") from error
    say(f"checkpoint: {path}")


def save_checkpoint(model: nn.Module, arguments: argparse.Namespace, setup: Setup) -> None:
    """Write ``model.pt`` into the output folder when ``--save`` was given."""
    if arguments.save:
        path = setup.output_dir / "model.pt"
        path.parent.mkdir(parents=True, exist_ok=True)
        torch.save(model.state_dict(), path)
        say(f"saved: {path}")


def _first_line(error: Exception) -> str:
    lines = str(error).splitlines()
    return lines[0] if lines else type(error).__name__
