"""The plugin under a real Slurm."""

from __future__ import annotations

import json
import shlex
import sys

from polling import eventually
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
    assert slurm.run("srun", "--quiet", "--unbuffered", "-n1", sys.executable, "-c", SHOW_RANK).strip() == "None"


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


SWEEP = """
import time
import pytest

@pytest.mark.energy(repeats=2)
@pytest.mark.parametrize("value", ["a", "b", "c", "d"])
def test_value(value, energy_meter):
    time.sleep(1.5 if value in "bd" else 0.1)
"""


def passed(folder) -> int:
    """Return the number of passed records in a results folder."""
    files = folder.glob("*/records.jsonl")
    return sum(file.read_text().count('"status":"passed"') for file in files if not file.parent.is_symlink())


def batch_script(ranks, *options: str) -> str:
    """Return a batch script that runs a shard in a results folder of its own; pytest takes the place of the shell."""
    lines = [f"export {name}={shlex.quote(value)}" for name, value in ranks.changes.items()]
    # both nodes are this machine, so each of them gets a host lock of its own
    lines += [
        'export PYTEST_ENERGY_HOST_LOCK_DIR="$PWD/lock-$SLURMD_NODENAME"',
        'mkdir -p "$PYTEST_ENERGY_HOST_LOCK_DIR"',
    ]
    lines.append('export PYTEST_ENERGY_DIR="$PWD/shard-$SLURM_ARRAY_TASK_ID"')
    return "\n".join(["#!/bin/sh", *lines, f"exec {shlex.join(ranks.pytest(*options))}", ""])


def test_an_array_of_shards_is_cancelled_resumed_and_merged(slurm, tmp_path):
    """Each cell is measured once, although Slurm cancelled one task of the array in the middle."""
    ranks = RankProject.create(tmp_path, SWEEP)
    script = tmp_path / "sweep.sh"
    script.write_text(batch_script(ranks, "--energy-shard=auto"))
    submit = ["sbatch", "--parsable", f"--chdir={tmp_path}", f"--output={tmp_path}/job-%a.out"]
    job = slurm.run(*submit, "--array=1-2", str(script)).strip()
    cancelled = tmp_path / "shard-2"
    eventually(lambda: passed(cancelled) >= 1, 60, 0.1)
    slurm.run("scancel", f"{job}_2")
    eventually(lambda: slurm.run("squeue", "-h").strip() == "", 60, 0.3)
    output = (tmp_path / "job-2.out").read_text()
    assert "ended by SIGTERM" in output, output
    assert 1 <= passed(cancelled) < 4
    script.write_text(batch_script(ranks, "--energy-shard=2/2", f"--energy-dir={cancelled}", "--energy-resume"))
    slurm.run(*submit, "--wait", str(script), timeout_s=60)
    merge = [sys.executable, "-m", "pytest_parallel_energy", "merge"]
    merged = slurm.run(*merge, str(tmp_path / "shard-1"), str(cancelled), "-o", f"{tmp_path}/all")
    assert "study" not in merged, merged
    records = [json.loads(line) for line in (tmp_path / "all" / "records.jsonl").read_text().splitlines()]
    names = [record["nodeid"] for record in records if record["status"] == "passed"]
    assert sorted(names) == [f"test_it.py::test_value[{value}-rep{n}]" for value in "abcd" for n in (0, 1)]
    assert {record["slurm"]["partition"] for record in records} == {"main"}
    assert not any(record["slurm"]["exclusive"] for record in records)  # one CPU of this machine per node
    assert {record["slurm"]["array_task"] for record in records} >= {1, 2}


LONG = """
import pathlib, time
import pytest

@pytest.mark.parametrize("value", ["a", "b"])
def test_value(value, energy_meter):
    pathlib.Path(f"began-{value}").touch()
    while value == "b" and not pathlib.Path("short").exists():
        time.sleep(0.05)
"""


def test_a_time_limit_ends_in_a_record_and_the_requeued_job_resumes(slurm, tmp_path):
    """The script of the job is the same the second time: --energy-resume starts the run or resumes it."""
    ranks = RankProject.create(tmp_path, LONG)
    script = tmp_path / "job.sh"
    script.write_text(batch_script(ranks, "--energy-resume"))
    submit = ["sbatch", "--parsable", f"--chdir={tmp_path}", f"--output={tmp_path}/job-%j.out", str(script)]
    job = slurm.run(*submit).strip()
    assert eventually((tmp_path / "began-b").exists, 60, 0.1)
    slurm.run("scontrol", "update", f"JobId={job}", "EndTime=now+1")
    assert eventually(lambda: slurm.state_of(job) == "TIMEOUT", 90, 0.3)
    assert "ended by SIGTERM" in (tmp_path / f"job-{job}.out").read_text()
    results = tmp_path / "shard-"
    records = [json.loads(line) for line in (results / "latest" / "records.jsonl").read_text().splitlines()]
    assert [(record["nodeid"][-3:], record["status"]) for record in records] == [
        ("[a]", "passed"),
        ("[b]", "interrupted"),
    ]
    (tmp_path / "short").touch()
    again = slurm.run(*submit[:1], "--wait", *submit[1:], timeout_s=90).strip()
    output = (tmp_path / f"job-{again}.out").read_text()
    assert "1 passed, 1 deselected" in output, output
    assert passed(results) == 2


GATEWAY = """#!/bin/sh
# starts Python on {node} for pytest-xdist: a step of this job on that node
exec srun --quiet --unbuffered --overlap -w {node} -N1 -n1 unshare --uts sh -c '
hostname {node}; export PYTEST_ENERGY_HOST_LOCK_DIR="$PWD/lock-{node}"; mkdir -p "$PYTEST_ENERGY_HOST_LOCK_DIR"
exec "$0" "$@"' {python} "$@"
"""


def test_gateways_of_srun_share_a_sweep_between_the_nodes_of_an_allocation(slurm, tmp_path):
    """One session in one job measures on both nodes, each cell once."""
    ranks = RankProject.create(tmp_path, SWEEP)
    workers = []
    for node in ("n1", "n2"):
        gateway = tmp_path / f"gateway-{node}"
        gateway.write_text(GATEWAY.format(node=node, python=shlex.quote(sys.executable)))
        gateway.chmod(0o755)
        workers += ["--tx", f"popen//python={gateway}"]
    script = tmp_path / "job.sh"
    script.write_text(batch_script(ranks, "-p", "xdist", "--dist=load", *workers))
    slurm.run(
        *("sbatch", "--wait", "-N2", "--exclusive", f"--chdir={tmp_path}", f"--output={tmp_path}/job.out", str(script)),
        timeout_s=110,
        check=False,
    )
    output = (tmp_path / "job.out").read_text()
    assert "8 passed" in output, output
    records = [json.loads(line) for line in (tmp_path / "shard-/latest/records.jsonl").read_text().splitlines()]
    names = sorted(record["nodeid"] for record in records)
    assert names == [f"test_it.py::test_value[{value}-rep{n}]" for value in "abcd" for n in (0, 1)]
    assert {record["host"]["hostname"] for record in records} == {"n1", "n2"}
    assert {record["slurm"]["node"] for record in records} == {"n1", "n2"}
