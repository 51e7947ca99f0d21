"""The files that trainings and loads wrote: which of them stay in the results folder."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Literal

__all__ = ["tidy_outputs"]


def tidy_outputs(
    folders: Iterable[Path], checkouts: Iterable[Path], keep: Literal["outputs", "failed", "none"], *, passed: bool
) -> None:
    """Remove the output folders of an attempt or a load, or only what in them is a copy of a checkout.

    Call this when nothing writes into them any more. What cannot be removed stays.

    Args:
        folders: those that may have a folder ``outputs``.
        checkouts: the folders of the workloads.
        keep: ``outputs`` of all attempts, of ``failed`` ones, or ``none``.
        passed: whether the attempt passed.
    """
    from ..training.checkout_copy import remove_copies

    stays = keep == "outputs" or (keep == "failed" and not passed)
    for outputs in (folder / "outputs" for folder in folders):
        if not outputs.is_dir():
            continue
        shutil.rmtree(outputs / "template", ignore_errors=True)  # of a load: what each round gets a copy of
        if not stays:
            shutil.rmtree(outputs, ignore_errors=True)
            continue
        for checkout in checkouts:
            remove_copies(outputs, checkout)
