"""Pytest as one of several ranks of a real launcher: one rank measures the node, and no rank waits for its siblings."""

from __future__ import annotations

import shutil

import pytest
from rank_project import RankProject

MPIRUN = ["mpirun", "--allow-run-as-root", "--oversubscribe", "-n", "2"]
needs_mpirun = pytest.mark.skipif(shutil.which("mpirun") is None, reason="not installed: mpirun (Open MPI)")


@pytest.fixture
def ranks(tmp_path):
    return RankProject.create(tmp_path)


@needs_mpirun
def test_mpirun_of_two_ranks_gives_one_record(ranks):
    """Both ranks run the test's body at the same time; local rank 0 writes the only record, with its place."""
    done = ranks.launch(MPIRUN, ranks.pytest())
    assert done.returncode == 0, done.stdout
    assert done.stdout.count("1 passed") == 2
    assert done.stdout.count("meter says measured by local rank 0 of this node") == 1
    assert "rank 0 of 2 (mpirun), local rank 0 of 2" in done.stdout
    (record,) = ranks.records()
    job = record["job"]
    assert job["key"].startswith("mpirun-")
    assert (job["launcher"], job["rank"], job["size"], job["local_size"]) == ("mpirun", 0, 2, 2)


TORCHRUN = ["torchrun", "--standalone", "--nproc-per-node=2"]
COLLECTIVE = """
import datetime
import pytest

torch = pytest.importorskip("torch")

def test_all_reduce(energy_meter):
    torch.distributed.init_process_group("gloo", timeout=datetime.timedelta(seconds=40))
    total = torch.ones(1)
    torch.distributed.all_reduce(total)
    torch.distributed.destroy_process_group()
    assert total.item() == 2.0
    assert energy_meter.total_j > 0

def test_again(energy_meter, background_load):
    load = background_load(["sleep", "60"], ready="started")
    assert load.alive
    assert energy_meter.total_j > 0
"""


def torchrun(command: list[str]) -> list[str]:
    """Return the command for torchrun, which starts Python itself."""
    return [*TORCHRUN, *command[1:]]


def test_torchrun_of_two_ranks_reduces_together(ranks):
    """A collective operation inside the measured test ends, and only local rank 0 writes records and starts loads."""
    pytest.importorskip("torch")
    (ranks.path / "test_it.py").write_text(COLLECTIVE)
    done = ranks.launch(torchrun(ranks.pytest()), [])
    assert done.returncode == 0, done.stdout
    assert done.stdout.count("2 passed") == 2
    records = ranks.records()
    assert [record["job"]["rank"] for record in records] == [0, 0]
    assert [len(record["background"]) for record in records] == [0, 1]
    assert len({record["job"]["key"] for record in records}) == 1


@needs_mpirun
def test_ranks_can_be_refused(ranks):
    """Under --energy-ranks=refuse each rank says why nothing ran."""
    done = ranks.launch(MPIRUN, ranks.pytest("--energy-ranks=refuse"))
    assert done.returncode == 4, done.stdout
    assert "--energy-ranks=refuse: pytest runs as rank 0 of 2 (mpirun), local rank 0 of 2" in done.stdout
    assert ranks.records() == []


@needs_mpirun
def test_a_budget_in_ranks_is_refused(ranks):
    """A budget would stop only the rank that measures, and the others would wait for it."""
    done = ranks.launch(MPIRUN, ranks.pytest("--energy-budget=5kJ"))
    assert done.returncode == 4, done.stdout
    assert "--energy-budget: pytest runs as rank" in done.stdout


def test_a_rank_that_dies_ends_the_job(ranks):
    """When another rank is killed, the launcher ends the rank that measures, which keeps a record of its attempt."""
    pytest.importorskip("torch")
    (ranks.path / "test_it.py").write_text("""
import os, signal, time
from meeting import meet

def test_death(energy_meter):
    if meet("body").rank == 1:
        time.sleep(1)
        os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(60)
""")
    done = ranks.launch(torchrun(ranks.pytest()), [], timeout_s=50)
    assert done.returncode != 0, done.stdout
    assert [record["status"] for record in ranks.records()] == ["interrupted"]


@needs_mpirun
def test_a_rank_that_hangs_times_out(ranks):
    """A rank that never arrives lets the others time out; the record says so, and the job ends."""
    (ranks.path / "test_it.py").write_text("""
import os, time
import pytest
from meeting import meet

@pytest.mark.timeout(5 if os.environ["OMPI_COMM_WORLD_RANK"] == "0" else 100)
def test_hang(energy_meter):
    if meet("body").rank == 1:
        time.sleep(100)
    meet("end", limit_s=100)
""")
    done = ranks.launch(MPIRUN, [*ranks.pytest(), "-p", "pytest_timeout"], timeout_s=50)
    assert done.returncode != 0, done.stdout
    assert [record["status"] for record in ranks.records()] == ["timeout"]
