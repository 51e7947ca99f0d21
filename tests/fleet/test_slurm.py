"""The plugin under a real Slurm."""

from __future__ import annotations

import sys

from rank_project import RankProject

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


def test_srun_on_two_nodes_gives_a_record_per_node(slurm, tmp_path):
    """Each node's first rank measures it; no rank waits for the other; merge adds the nodes of the job up."""
    ranks = RankProject.create(tmp_path)
    # both nodes of the cluster are this machine: a host name of its own makes each of them a machine
    as_node = ["unshare", "--uts", "sh", "-c", 'hostname "$SLURMD_NODENAME"; exec "$@"', "sh"]
    environment = f"--export=ALL,{','.join(f'{name}={value}' for name, value in ranks.changes.items())}"
    srun = ["srun", "--unbuffered", "-N2", "-n2", f"--chdir={tmp_path}", environment, *as_node]
    printed = slurm.run(*srun, *ranks.pytest(), timeout_s=90)
    assert printed.count("1 passed") == 2
    records = ranks.records()
    assert sorted(record["job"]["node"] for record in records) == [0, 1]
    assert {record["job"]["nodes"] for record in records} == {2}
    assert {record["host"]["hostname"] for record in records} == {"n1", "n2"}
    merge = [sys.executable, "-m", "pytest_parallel_energy", "merge"]
    merged = slurm.run(*merge, f"{tmp_path}/energy-results", "-o", f"{tmp_path}/all")
    total_j = sum(record["energy"]["total_j"] for record in records)
    assert f"2 of 2 nodes: {total_j:.6g} J" in merged
