"""The memory of a load, and what is free for its next round."""

from __future__ import annotations

import subprocess
import sys

import pytest

from pytest_parallel_energy.processes.guard.memory import HeldMemory, free_ram_bytes
from pytest_parallel_energy.processes.guard.procfs import descendants, memory_bytes

MIB = 1 << 20
FORKED = """
import os, sys, time
held = bytearray(os.urandom(1 << 20) * 100)
for _ in range(4):
    if os.fork() == 0:
        time.sleep(60)
        os._exit(0)
print("up", flush=True)
sys.stdin.read()
"""


def test_memory_that_forked_workers_share_counts_once():
    """Four workers that a fork made share the 100 MiB of their parent: about that is held, and not 500 MiB."""
    parent = subprocess.Popen([sys.executable, "-c", FORKED], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        assert parent.stdout.readline() == b"up\n"
        pids = [parent.pid, *descendants(parent.pid)]
        held = HeldMemory()
        assert held.read_bytes(pids) == pytest.approx(110 * MIB, rel=0.2)
        assert sum(map(memory_bytes, pids)) > 450 * MIB
    finally:
        for pid in pids[1:]:
            subprocess.run(["kill", "-9", str(pid)], check=True)
        parent.communicate()


def test_reading_memory_takes_little_time():
    """A second look right after a costly one is left out, and says so."""
    held = HeldMemory()
    assert held.read_bytes([1, 1]) is not None
    assert held.read_bytes([1, 1]) is None


@pytest.fixture
def machine(tmp_path):
    """A machine with 8 GiB free; returns the arguments of ``free_ram_bytes``."""
    (tmp_path / "meminfo").write_text("MemTotal: 1 kB\nMemAvailable: 8388608 kB\n")
    (tmp_path / "membership").write_text("0::/outer/inner\n")
    (tmp_path / "cgroups/outer/inner").mkdir(parents=True)
    return tmp_path / "meminfo", tmp_path / "membership", tmp_path / "cgroups"


def test_without_limit_the_machine_decides(machine):
    """A cgroup whose limit is ``max`` has none."""
    (machine[2] / "outer/memory.max").write_text("max\n")
    (machine[2] / "outer/memory.current").write_text("5\n")
    assert free_ram_bytes(*machine) == 8 << 30


def test_the_tightest_cgroup_decides(machine):
    """A limit of any group above counts; pages of files that can be dropped are free."""
    for name, limit, used in (("outer", 2 << 30, 1 << 30), ("outer/inner", 6 << 30, 1 << 30)):
        folder = machine[2] / name
        (folder / "memory.max").write_text(f"{limit}\n")
        (folder / "memory.current").write_text(f"{used}\n")
        (folder / "memory.stat").write_text(f"anon 5\ninactive_file {256 * MIB}\n")
    assert free_ram_bytes(*machine) == (1 << 30) + 256 * MIB


def test_the_first_version_of_cgroups_counts_too(machine):
    """Its controllers have folders and names of their own."""
    machine[1].write_text("5:cpu:/x\n4:memory:/job\n0::/\n")
    folder = machine[2] / "memory" / "job"
    folder.mkdir(parents=True)
    (folder / "memory.limit_in_bytes").write_text(f"{3 << 30}\n")
    (folder / "memory.usage_in_bytes").write_text(f"{1 << 30}\n")
    (folder / "memory.stat").write_text("total_inactive_file 0\n")
    assert free_ram_bytes(*machine) == 2 << 30
