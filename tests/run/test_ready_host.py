"""The state of the host before a measured test."""

from __future__ import annotations

import fcntl

import pytest

from pytest_parallel_energy.run.ready_host import ReadyHost


def is_free(folder):
    """Whether another process could take the lock in ``folder`` now."""
    with (folder / "pytest-parallel-energy.lock").open() as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True


def test_one_test_at_a_time(world, tmp_path):
    """While a test is measured the lock is held; afterwards it is free."""
    run = world.new_run(host_lock_dir=str(tmp_path))
    ready = ReadyHost(run, pytest.fail)
    ready.enter(run.settings)
    assert not is_free(tmp_path)
    ready.leave()
    assert is_free(tmp_path)


def test_idle_power_is_measured_once_per_run(world, tmp_path):
    """The first test waits for it, the second uses it."""
    run = world.new_run(host_lock_dir=str(tmp_path), idle=2.0)
    ready = ReadyHost(run, pytest.fail)
    started_ns = world.clock()
    ready.enter(run.settings)
    ready.leave()
    assert world.clock() - started_ns >= 2_000_000_000
    assert world.meter.idle.mean_w == pytest.approx(100.0)
    second_ns = world.clock()
    ready.enter(run.settings)
    ready.leave()
    assert world.clock() == second_ns


def test_the_governor_is_set_and_put_back(world, tmp_path):
    """For the test that requires it, as long as the lock is held."""
    policy = tmp_path / "devices" / "system" / "cpu" / "cpu0" / "cpufreq"
    policy.mkdir(parents=True)
    (policy / "scaling_available_governors").write_text("performance powersave\n")
    (policy / "scaling_governor").write_text("powersave\n")
    run = world.new_run(host_lock_dir=str(tmp_path), sysfs_root=str(tmp_path), governor="performance")
    ready = ReadyHost(run, pytest.fail)
    assert ready.enter(run.settings) == ()
    assert (policy / "scaling_governor").read_text().strip() == "performance"
    assert run.host_now().governor == "performance"
    ready.leave()
    assert (policy / "scaling_governor").read_text().strip() == "powersave"
