"""The plugin under a real Slurm."""

from __future__ import annotations

import sys

SHOW_RANK = """
import os
from pytest_parallel_energy.host.launcher import rank_from
print(rank_from(os.environ))
"""


def test_ranks_of_srun_are_recognised(slurm):
    """Srun on two nodes gives two ranks, each the first of its node."""
    printed = slurm.run("srun", "--unbuffered", "-N2", "-n2", sys.executable, "-c", SHOW_RANK)
    for rank in (0, 1):  # the lines of two tasks may be mixed
        assert f"rank {rank} of 2 (srun), local rank 0 of 1" in printed


def test_a_single_task_of_srun_is_not_a_rank(slurm):
    """A step of one task measures as any process does."""
    assert slurm.run("srun", "--unbuffered", "-n1", sys.executable, "-c", SHOW_RANK).strip() == "None"
