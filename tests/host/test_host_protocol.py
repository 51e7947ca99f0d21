"""One measurement at a time, at rest, at a known frequency."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading

import pytest

from pytest_parallel_energy.energy.thermal import read_temperatures_c
from pytest_parallel_energy.errors import ConfigError, ParallelEnergyError
from pytest_parallel_energy.host.cooldown import CoolDown, Rest, parse_cool_down
from pytest_parallel_energy.host.governor import Governor, read_governors
from pytest_parallel_energy.host.lock import HostLock, lock_folder, parse_lock_mode

HOLDER = """
import sys, time
from pathlib import Path
from pytest_parallel_energy.host.lock import HostLock
with HostLock(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""

UNNAMED_HOLDER = """
import fcntl, sys, time
file = open(sys.argv[1])
fcntl.flock(file, fcntl.LOCK_EX)
print("held", flush=True)
time.sleep(60)
"""


@pytest.fixture
def holder(tmp_path):
    """Another process that holds the lock."""
    child = subprocess.Popen([sys.executable, "-c", HOLDER, str(tmp_path)], stdout=subprocess.PIPE)
    assert child.stdout.readline() == b"held\n"
    yield child
    child.kill()
    child.wait()
    child.stdout.close()


def test_refuse_names_the_holder(tmp_path, holder):
    """The message has the process, and what to do."""
    with pytest.raises(ParallelEnergyError, match=rf"process {holder.pid} of user .*--energy-host-lock=wait"):
        HostLock(tmp_path, mode="refuse").acquire()


def test_a_killed_holder_blocks_nobody(tmp_path, holder):
    """SIGKILL frees the lock at once."""
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    with HostLock(tmp_path, mode="refuse") as lock:
        assert lock.waited_s == 0.0


def test_waiting_tells_once_and_takes_over(tmp_path, holder):
    """After a second one line says whom it waits for; when that process ends, the lock is ours."""
    told = []
    lock = HostLock(tmp_path, tell=told.append)
    killer = threading.Timer(1.5, holder.kill)
    killer.start()
    with lock:
        assert lock.waited_s >= 1.0
    killer.join()
    assert len(told) == 1
    assert f"process {holder.pid}" in told[0]


def test_waiting_has_a_deadline(tmp_path, holder):
    """A deadline ends the wait with the ways out."""
    with pytest.raises(ParallelEnergyError, match=r"waited 1 s .*--energy-host-lock=off"):
        HostLock(tmp_path, deadline_s=1.0).acquire()


TAKES_IT = HOLDER.replace("time.sleep(60)", "pass")
OWN_PIDS = ("unshare", "--user", "--map-root-user", "--pid", "--fork", "--mount-proc")


def test_a_child_of_the_holder_passes(tmp_path):
    """A measured test that runs pytest itself does not wait for itself."""
    child = [sys.executable, "-c", TAKES_IT, str(tmp_path)]
    with HostLock(tmp_path):
        run = subprocess.run(child, capture_output=True, timeout=30, check=True)
    assert run.stdout == b"held\n"


def test_in_a_container_of_ours_a_child_passes_and_a_stranger_waits(tmp_path):
    """There the kernel does not name a holder outside: what the holder left in its children's environment counts."""
    if subprocess.run([*OWN_PIDS, "true"], capture_output=True, check=False).returncode:
        pytest.skip("no PID namespace can be had here")
    child = [*OWN_PIDS, sys.executable, "-c", TAKES_IT.replace("argv[1])", 'argv[1]), mode="refuse"'), str(tmp_path)]
    before = dict(os.environ)
    with HostLock(tmp_path):
        run = subprocess.run(child, capture_output=True, timeout=30, check=True)
        stranger = subprocess.run(child, capture_output=True, timeout=30, check=False, env=before, text=True)
    assert run.stdout == b"held\n"
    assert "is measuring on this host" in stranger.stderr
    assert dict(os.environ) == before


def test_who_held_it_before_does_not_pass(tmp_path):
    """The file may still name the holder before: a process must not take itself for the one that has the lock."""
    with HostLock(tmp_path) as lock:
        pass
    assert lock.path.read_text().split()[0] == str(os.getpid())
    taken = subprocess.Popen([sys.executable, "-c", UNNAMED_HOLDER, lock.path], stdout=subprocess.PIPE)
    try:
        assert taken.stdout.readline() == b"held\n"
        with pytest.raises(ParallelEnergyError, match=rf"process {taken.pid} of user"):
            HostLock(tmp_path, mode="refuse").acquire()
    finally:
        taken.kill()
        taken.wait()
        taken.stdout.close()


def test_off_locks_nothing(tmp_path, holder):
    """Switched off, nobody waits."""
    with HostLock(tmp_path, mode="off"):
        pass


def test_the_file_is_for_everybody_and_stays(tmp_path):
    """Any user may lock it, and it is never removed."""
    old = os.umask(0o077)
    try:
        with HostLock(tmp_path) as lock:
            assert lock.path.stat().st_mode & 0o777 == 0o666
            assert lock.path.read_text().split()[0] == str(os.getpid())
    finally:
        os.umask(old)
    assert lock.path.exists()


def test_releasing_twice_is_harmless(tmp_path):
    """And it can be taken again."""
    lock = HostLock(tmp_path)
    for _ in range(2):
        lock.acquire()
        lock.acquire()
        lock.release()
        lock.release()


def test_lock_folder_is_shared_and_sticky(tmp_path):
    """A folder that only its owner may write, or that anybody may clean out, is not chosen."""
    private, open_to_all, shared = (tmp_path / name for name in ("private", "open", "shared"))
    for folder, mode in ((private, 0o700), (open_to_all, 0o777), (shared, 0o1777)):
        folder.mkdir()
        folder.chmod(mode)
    assert lock_folder([tmp_path / "none", private, open_to_all, shared]) == shared
    with pytest.raises(ConfigError, match="sticky"):
        lock_folder([private])


def test_lock_modes():
    """An unknown word lists the known ones."""
    assert parse_lock_mode("refuse") == "refuse"
    with pytest.raises(ConfigError, match="wait"):
        parse_lock_mode("wate")


def test_a_symbolic_link_is_not_followed(tmp_path):
    """Nobody can point the lock at another file."""
    (tmp_path / "pytest-parallel-energy.lock").symlink_to(tmp_path / "victim")
    with pytest.raises(ConfigError, match="symbolic link"):
        HostLock(tmp_path).acquire()
    assert not (tmp_path / "victim").exists()


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("60", CoolDown(until="seconds", seconds=60.0)),
        ("2 min", CoolDown(until="seconds", seconds=120.0)),
        ("temp:50", CoolDown(until="temperature", temperature_c=50.0)),
        ("idle", CoolDown(until="idle")),
    ],
)
def test_cool_down_rules(text, rule):
    """Seconds, a temperature, or idle power."""
    assert parse_cool_down(text) == rule


@pytest.mark.parametrize("text", ["", "cold", "temp:", "temp:hot", "temp:-5", "idle:3"])
def test_bad_cool_down_rules(text):
    """The message shows the value."""
    with pytest.raises(ConfigError):
        parse_cool_down(text)


class Machine:
    """Cools from 80 °C by one degree a second, and from 200 W to 40 W in a minute."""

    def __init__(self, idle_w=40.0):
        self.now_s = 0.0
        self.rest = Rest(
            power_w=self._power_w,
            temperatures_c=lambda: {"gpu-0": 80.0 - self.now_s, "cpu-0": 30.0},
            idle_w=idle_w,
            idle_sigma_w=1.0,
            clock_s=lambda: self.now_s,
            sleep=self._sleep,
        )

    def _sleep(self, seconds):
        self.now_s += seconds

    def _power_w(self, seconds):
        self.now_s += seconds
        return max(40.0, 200.0 - 160 * self.now_s / 60)


def test_rest_of_a_fixed_time():
    """Seconds are seconds."""
    assert Machine().rest.take(CoolDown(until="seconds", seconds=60.0)).waited_s == 60.0


def test_rest_until_cool():
    """Until the hottest device is at 50 °C."""
    rested = Machine().rest.take(CoolDown(until="temperature", temperature_c=50.0))
    assert (rested.waited_s, rested.flag) == (30.0, None)


def test_rest_until_idle_power_is_back_for_five_seconds():
    """Within two standard deviations of idle, for five seconds."""
    rested = Machine().rest.take(CoolDown(until="idle"))
    assert rested.flag is None
    assert 62 < rested.waited_s < 66


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        (CoolDown(until="temperature", temperature_c=20.0, limit_s=10.0), "still at 70 °C"),
        (CoolDown(until="idle", limit_s=10.0), "not back at the idle 40.0 W"),
    ],
)
def test_rest_is_bounded_and_flagged(rule, words):
    """A machine that does not come to rest is measured anyway, and the record says so."""
    rested = Machine().rest.take(rule)
    assert words in rested.flag
    assert rested.waited_s < 12


def test_rest_without_means_is_flagged():
    """No temperature, no idle leg: left out, and said."""
    rest = Rest(power_w=lambda _: None, temperatures_c=dict)
    assert "no temperature" in rest.take(CoolDown(until="temperature", temperature_c=50.0)).flag
    assert "no idle power" in rest.take(CoolDown(until="idle")).flag


@pytest.fixture
def cpus(tmp_path):
    for number in range(3):
        folder = tmp_path / f"devices/system/cpu/cpu{number}/cpufreq"
        folder.mkdir(parents=True)
        (folder / "scaling_governor").write_text("schedutil\n" if number else "powersave\n")
        (folder / "scaling_available_governors").write_text("performance powersave schedutil\n")
    return tmp_path


def test_governor_is_set_and_restored(cpus):
    """Each CPU gets its own governor back."""
    before = read_governors(cpus)
    with Governor("performance", sysfs_root=cpus) as governor:
        assert set(read_governors(cpus).values()) == {"performance"}
        assert governor.problem is None
    assert read_governors(cpus) == before == {"cpu0": "powersave", "cpu1": "schedutil", "cpu2": "schedutil"}


def test_governor_that_cannot_be_set_says_why(cpus):
    """Half-done work is undone, and the problem names a command."""

    class ReadOnly(Governor):
        def _write(self, cpu, name):
            if cpu == "cpu2":
                raise PermissionError(13, "Permission denied")
            super()._write(cpu, name)

    before = read_governors(cpus)
    governor = ReadOnly("performance", sysfs_root=cpus)
    governor.set()
    assert "sudo cpupower frequency-set -g performance" in governor.problem
    assert read_governors(cpus) == before


def test_governor_unknown_to_the_kernel(cpus):
    """The message lists those that there are."""
    with pytest.raises(ConfigError, match="did you mean 'performance'"):
        Governor("performence", sysfs_root=cpus).set()


def test_machine_without_governor(tmp_path):
    """Virtual machines have none: said, not raised."""
    with Governor("performance", sysfs_root=tmp_path) as governor:
        assert "no frequency governor" in governor.problem


def test_temperatures(tmp_path):
    """CPU packages by their hwmon drivers; others are left out."""
    for number, (name, text) in enumerate((("coretemp", "51000"), ("nvme", "33000"), ("k10temp", "bad"))):
        chip = tmp_path / f"class/hwmon/hwmon{number}"
        chip.mkdir(parents=True)
        (chip / "name").write_text(f"{name}\n")
        (chip / "temp1_input").write_text(f"{text}\n")
    assert read_temperatures_c(sysfs_root=tmp_path) == {"cpu-0": 51.0}
