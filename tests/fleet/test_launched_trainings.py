"""Trainings that real launchers start as several processes: as foreground, as load, two at once, and hanging."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
from rank_project import RankProject
from test_ranks import needs_mpirun

TRAINING = """
import datetime, os, sys, time
import torch

torch.distributed.init_process_group("gloo", timeout=datetime.timedelta(seconds=60))
total = torch.ones(1)
torch.distributed.all_reduce(total)
rank = torch.distributed.get_rank()
if "--hang" in sys.argv and rank == 1:
    time.sleep(1000)
if "--die" in sys.argv and rank == 1:
    os.kill(os.getpid(), 9)
torch.distributed.barrier()
torch.distributed.destroy_process_group()
if rank == 0:
    print(f"ranks: {int(total.item())}", flush=True)
    print(f"threads: {os.environ['OMP_NUM_THREADS']}", flush=True)
"""
MPI_TRAINING = """
import os
size = os.environ.get("OMPI_COMM_WORLD_SIZE") or os.environ["SLURM_NTASKS"]
if (os.environ.get("OMPI_COMM_WORLD_RANK") or os.environ["SLURM_PROCID"]) == "0":
    print(f"ranks: {size}", flush=True)
    print(f"threads: {os.environ['OMP_NUM_THREADS']}", flush=True)
"""


def launched_project(path, launcher, tests, training=TRAINING, **entry):
    """Write a project whose registry starts the training with a launcher."""
    project = RankProject.create(path, tests)
    (path / "train.py").write_text(training)
    entry = {
        "path": ".",
        "train_script": "train.py",
        "models": ["default"],
        "launcher": launcher,
        "performance_metrics": {"log_patterns": {"ranks": "ranks: (\\d+)", "threads": "threads: (\\d+)"}},
    } | entry
    (path / "models.json").write_text(json.dumps({"models": {"ddp": entry}}))
    return project


def run_pytest(project, *arguments, timeout_s=110):
    """Run pytest in the project to its end."""
    return subprocess.run(
        project.pytest("--energy-models=models.json", "-p", "pytest_timeout", *arguments),
        cwd=project.path,
        env=project.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=timeout_s,
        check=False,
    )


FOREGROUND = """
def test_ranks(train):
    metrics = train("ddp/default").metrics
    assert (metrics["ranks"], metrics["threads"]) == (2, 2)
"""


def test_two_torchruns_at_once_do_not_clash(tmp_path):
    """Foreground and background are torchruns with a static rendezvous, each at its own port."""
    pytest.importorskip("torch")
    project = launched_project(
        tmp_path,
        ["torchrun", "--nproc-per-node=2"],
        "import pytest\n@pytest.mark.background_load('ddp/default', ready='started')\n" + FOREGROUND.strip(),
    )
    done = run_pytest(project, "--energy-threads=4", "--energy-coverage-min=0")
    assert done.returncode == 0, done.stdout
    (record,) = project.records()
    assert record["background"][0]["rounds_failed"] == 0
    (script,) = project.path.glob("energy-results/2*/**/loop.sh")
    assert f"MASTER_PORT={record['workload']['environment']['MASTER_PORT']}" not in script.read_text()
    assert "MASTER_PORT=" in script.read_text()


def test_a_rank_that_hangs_is_ended_with_all_others(tmp_path):
    """The timeout of the training ends the launcher and all ranks; no process is left."""
    pytest.importorskip("torch")
    project = launched_project(
        tmp_path,
        ["torchrun", "--standalone", "--nproc-per-node=2"],
        "def test_hang(train):\n    train('ddp/default', timeout_s=15)\n",
        required_args={"hang": "--hang"},
    )
    done = run_pytest(project)
    assert done.returncode == 1, done.stdout
    (record,) = project.records()
    assert record["status"] == "timeout"
    script = str(tmp_path / "train.py")
    assert not [process for process in psutil.process_iter(["cmdline"]) if script in (process.info["cmdline"] or ())]


@needs_mpirun
def test_mpirun_starts_the_training(tmp_path):
    """The interpreter follows the launcher's words."""
    launcher = ["mpirun", "--allow-run-as-root", "--oversubscribe", "-n", "2"]
    done = run_pytest(launched_project(tmp_path, launcher, FOREGROUND, MPI_TRAINING), "--energy-threads=4")
    assert done.returncode == 0, done.stdout


def test_srun_starts_the_training(slurm, tmp_path, monkeypatch):
    """Two tasks on two nodes of a cluster, which are one machine here: its ranks share the budget."""
    launcher = ["srun", "--quiet", "-N2", "-n2"]
    project = launched_project(tmp_path, launcher, FOREGROUND, MPI_TRAINING)
    monkeypatch.setenv("SLURM_CONF", slurm.environment["SLURM_CONF"])
    done = run_pytest(project, "--energy-threads=4")
    assert done.returncode == 0, done.stdout


def test_a_rank_that_dies_fails_the_training(tmp_path):
    """The launcher ends the other rank, the training has failed, and no process is left."""
    pytest.importorskip("torch")
    project = launched_project(
        tmp_path,
        ["torchrun", "--standalone", "--nproc-per-node=2"],
        "def test_death(train):\n    train('ddp/default', timeout_s=60)\n",
        required_args={"die": "--die"},
    )
    done = run_pytest(project)
    assert done.returncode == 1, done.stdout
    (record,) = project.records()
    assert record["status"] == "failed"
    assert record["workload"]["exit_code"] != 0
    script = str(tmp_path / "train.py")
    assert not [process for process in psutil.process_iter(["cmdline"]) if script in (process.info["cmdline"] or ())]


ACCELERATE = ["accelerate", "launch", "--multi_gpu", "--num_processes=2", "--mixed_precision=no", "--dynamo_backend=no"]
"""Accelerate's launcher for several processes, which runs them with gloo where there is no GPU."""
needs_accelerate = pytest.mark.skipif(
    not all(map(importlib.util.find_spec, ("accelerate", "torch"))), reason="not installed: accelerate or torch"
)


def accelerate():
    """Return the command of Accelerate's launcher with its path: a virtual environment need not be active."""
    return [str(Path(sys.executable).with_name("accelerate")), *ACCELERATE[1:]]


@needs_accelerate
def test_two_accelerates_at_once(tmp_path):
    """Foreground and load are real launches; each has its own port, and the ranks share the thread budget."""
    tests = "import pytest\n@pytest.mark.background_load('ddp/default', ready='started')\n" + FOREGROUND.strip()
    project = launched_project(tmp_path, accelerate(), tests)
    done = run_pytest(project, "--energy-threads=4", "--energy-coverage-min=0")
    assert done.returncode == 0, done.stdout
    (record,) = project.records()
    assert record["background"][0]["rounds_failed"] == 0
    assert any(word.startswith("--main_process_port=") for word in record["workload"]["command"])


@needs_accelerate
def test_pytest_inside_accelerate(tmp_path):
    """Its ranks are those of torchrun: the first one measures, and both reduce together."""
    project = RankProject.create(tmp_path, REDUCE)
    done = project.launch([*accelerate(), "-m"], project.pytest()[2:])
    assert done.returncode == 0, done.stdout
    assert done.stdout.count("1 passed") == 2
    (record,) = project.records()
    assert (record["job"]["launcher"], record["job"]["rank"], record["job"]["size"]) == ("torchrun", 0, 2)


REDUCE = """
import datetime, torch

def test_all_reduce(energy_meter):
    torch.distributed.init_process_group("gloo", timeout=datetime.timedelta(seconds=40))
    total = torch.ones(1)
    torch.distributed.all_reduce(total)
    torch.distributed.destroy_process_group()
    assert total.item() == 2.0
"""

BESIDE = """
import pytest

@pytest.mark.background_load("ddp/default", ready="started")
def test_beside(background_load, energy_meter):
    import time
    deadline_s = time.monotonic() + 60
    while background_load.rounds_completed < 1 and time.monotonic() < deadline_s:
        time.sleep(0.05)
    assert background_load.rounds_completed >= 1
    assert "ranks: 2" in next(iter(background_load.log_dir.glob("round-*.log"))).read_text()
"""


@needs_mpirun
def test_mpirun_starts_a_load(tmp_path):
    """Each round is a job of two ranks; the stop of the load ends the launcher and its ranks."""
    launcher = ["mpirun", "--allow-run-as-root", "--oversubscribe", "-n", "2"]
    project = launched_project(tmp_path, launcher, BESIDE, MPI_TRAINING)
    done = run_pytest(project, "--energy-coverage-min=0")
    assert done.returncode == 0, done.stdout
    (record,) = project.records()
    assert record["background"][0]["rounds_failed"] == 0


def test_srun_starts_a_load(slurm, tmp_path, monkeypatch):
    """Each round is a job step of two tasks, whose output arrives in the log of the round."""
    project = launched_project(tmp_path, ["srun", "--quiet", "-N2", "-n2"], BESIDE, MPI_TRAINING)
    monkeypatch.setenv("SLURM_CONF", slurm.environment["SLURM_CONF"])
    done = run_pytest(project, "--energy-coverage-min=0")
    assert done.returncode == 0, done.stdout
    (record,) = project.records()
    assert record["background"][0]["rounds_failed"] == 0
