"""CPU time of the machine, and the ancestry of processes."""

from __future__ import annotations

import os
import subprocess
import sys
import time

import psutil
import pytest

from pytest_parallel_energy.host.cpu_time import descends, machine_busy_s, pid_is_meant


def test_the_machine_s_time_is_that_of_psutil():
    """Busy seconds are user, nice, system and interrupts; idle, iowait and steal are left out."""
    times = psutil.cpu_times()
    expected_s = times.user + times.nice + times.system + times.irq + times.softirq
    assert machine_busy_s() == pytest.approx(expected_s, abs=os.cpu_count() * 2.0)


def test_busy_fields_are_chosen(tmp_path):
    """Each field of ``/proc/stat`` that is work counts once, in ticks."""
    (tmp_path / "stat").write_text("cpu  1 10 100 1000000 2000000 1000 10000 3000000 1 10\ncpu0 1 1\n")
    assert machine_busy_s(tmp_path) == pytest.approx(11111 / os.sysconf("SC_CLK_TCK"))


def test_work_makes_the_machine_busy():
    """A tenth of a CPU second of work is seen."""
    before_s, own_s = machine_busy_s(), time.process_time()
    while time.process_time() - own_s < 0.1:
        pass
    assert machine_busy_s() - before_s >= 0.08  # ticks are 10 ms


def test_descendants_are_found():
    """A grandchild descends from this process, this process does not descend from it, nor does a dead one."""
    code = "import subprocess, sys; p = subprocess.Popen(['sleep', '60']); print(p.pid, flush=True); p.wait()"
    child = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
    grandchild = int(child.stdout.readline())
    try:
        assert descends(grandchild, os.getpid())
        assert descends(grandchild, child.pid)
        assert descends(grandchild, grandchild)
        assert not descends(os.getpid(), grandchild)
    finally:
        psutil.Process(grandchild).kill()
        child.wait(timeout=30)
        child.stdout.close()
    assert not descends(grandchild, os.getpid())


@pytest.mark.parametrize(
    ("namespace", "opened", "meant"),
    [
        ("pid:[4026531836]", "/dev/null", True),
        ("pid:[4026532567]", "/dev/null", False),
        ("pid:[4026532567]", "/dev/nvidia0", True),
        (None, "/dev/nvidia0", False),
    ],
)
def test_pids_of_another_namespace_are_not_taken_for_ours(tmp_path, namespace, opened, meant):
    """In a container a pid that the driver reports is known only where that process has the driver's device open."""
    (tmp_path / "self/ns").mkdir(parents=True)
    if namespace is not None:
        (tmp_path / "self/ns/pid").symlink_to(namespace)
    (tmp_path / "77/fd").mkdir(parents=True)
    (tmp_path / "77/fd/3").symlink_to(opened)
    assert pid_is_meant(77, tmp_path) is meant
    assert pid_is_meant(78, tmp_path) is (namespace == "pid:[4026531836]")
