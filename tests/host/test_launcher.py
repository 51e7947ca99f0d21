"""Launchers are recognised by what they set, and only by that."""

from __future__ import annotations

import pytest

from pytest_parallel_energy.host.launcher import rank_from
from pytest_parallel_energy.records.job_part import REPEATED_KEYS

TORCHRUN = {
    "TORCHELASTIC_RUN_ID": "none", "RANK": "3", "LOCAL_RANK": "1", "WORLD_SIZE": "4", "LOCAL_WORLD_SIZE": "2",
    "GROUP_RANK": "1", "GROUP_WORLD_SIZE": "2", "MASTER_ADDR": "node1", "MASTER_PORT": "29500",
}  # fmt: skip
OPEN_MPI = {
    "OMPI_COMM_WORLD_RANK": "1", "OMPI_COMM_WORLD_LOCAL_RANK": "1", "OMPI_COMM_WORLD_SIZE": "2",
    "OMPI_COMM_WORLD_LOCAL_SIZE": "2", "PMIX_NAMESPACE": "1234",
}  # fmt: skip
SRUN = {
    "SLURM_JOB_ID": "7", "SLURM_STEP_ID": "0", "SLURM_PROCID": "3", "SLURM_LOCALID": "0", "SLURM_NODEID": "1",
    "SLURM_STEP_NUM_TASKS": "4", "SLURM_STEP_TASKS_PER_NODE": "3,1", "SLURM_STEP_NUM_NODES": "2",
}  # fmt: skip
HYDRA = {"PMI_RANK": "0", "PMI_SIZE": "2", "MPI_LOCALRANKID": "0", "MPI_LOCALNRANKS": "2", "PMI_PORT": "n:1"}
DEEPSPEED = {
    "CROSS_RANK": "0", "CROSS_SIZE": "1", "LOCAL_SIZE": "2", "RANK": "1", "LOCAL_RANK": "1", "WORLD_SIZE": "2",
    "MASTER_ADDR": "n", "MASTER_PORT": "1",
}  # fmt: skip


@pytest.mark.parametrize(
    ("environ", "launcher", "place", "measures"),
    [
        (TORCHRUN, "torchrun", (3, 4, 1, 2, 1, 2), False),
        (DEEPSPEED, "deepspeed", (1, 2, 1, 2, 0, 1), False),
        (OPEN_MPI, "mpirun", (1, 2, 1, 2, None, None), False),
        (HYDRA, "mpiexec", (0, 2, 0, 2, None, None), True),
        (SRUN, "srun", (3, 4, 0, 1, 1, 2), True),
    ],
)
def test_each_launcher_is_recognised(environ, launcher, place, measures):
    """The variables of each launcher give rank, size, local rank, local size, node and nodes."""
    found = rank_from(environ)
    assert found.launcher == launcher
    assert (found.rank, found.size, found.local_rank, found.local_size, found.node, found.nodes) == place
    assert found.measures is measures


@pytest.mark.parametrize("environ", [TORCHRUN, OPEN_MPI, SRUN, HYDRA, DEEPSPEED])
def test_a_variable_that_is_missing_or_broken_is_no_launcher(environ):
    """Half of a launcher's environment, as a shell may have inherited it, is not taken for a rank."""
    assert rank_from({}) is None
    for name in environ:
        if "RANK" in name or "PROCID" in name or "SIZE" in name:
            rank_from({**environ, name: "x"})  # never an error
    counters = [name for name in environ if name in {"RANK", "OMPI_COMM_WORLD_RANK", "SLURM_PROCID", "PMI_RANK"}]
    assert rank_from({key: value for key, value in environ.items() if key not in counters}) is None


def test_a_single_process_is_not_a_rank():
    """A launcher of one process changes nothing: ``srun --pty bash`` must not silence a session."""
    assert rank_from({**SRUN, "SLURM_STEP_NUM_TASKS": "1"}) is None
    assert rank_from({**TORCHRUN, "WORLD_SIZE": "1"}) is None


def test_a_batch_script_is_not_a_rank():
    """Sbatch sets SLURM_PROCID without a step: pytest in a batch script measures."""
    assert rank_from({name: value for name, value in SRUN.items() if name != "SLURM_STEP_ID"}) is None


def test_torchrun_inside_srun_decides():
    """The innermost launcher started the ranks."""
    assert rank_from({**SRUN, **TORCHRUN}).launcher == "torchrun"


def test_two_jobs_have_two_keys():
    """The key is the same in all ranks of a job, and tells two jobs on one machine apart."""
    other_rank = {**TORCHRUN, "RANK": "0", "LOCAL_RANK": "0", "GROUP_RANK": "0"}
    other_job = {**TORCHRUN, "MASTER_PORT": "29501"}
    assert rank_from(TORCHRUN).job == rank_from(other_rank).job != rank_from(other_job).job


@pytest.mark.parametrize("launched", [TORCHRUN, DEEPSPEED])
def test_jobs_of_slurm_at_one_address_have_keys_of_their_own(launched):
    """The id of the Slurm job tells successive jobs apart; its steps and components are parts of one job."""
    first, step = {**launched, "SLURM_JOB_ID": "7"}, {**launched, "SLURM_JOB_ID": "7", "SLURM_STEP_ID": "3"}
    second = {**launched, "SLURM_JOB_ID": "8"}
    assert rank_from(first).job == rank_from(step).job != rank_from(second).job
    assert rank_from({**second, "SLURM_HET_JOB_ID": "7"}).job == rank_from(first).job


def test_keys_of_addresses_are_known_as_such():
    """A later job may have them again, unlike those with an id."""
    assert rank_from(TORCHRUN).job.startswith(REPEATED_KEYS)
    assert rank_from(DEEPSPEED).job.startswith(REPEATED_KEYS)
    for unique in (OPEN_MPI, SRUN, {**TORCHRUN, "TORCHELASTIC_RUN_ID": "mine"}):
        assert not rank_from(unique).job.startswith(REPEATED_KEYS)
