"""The CPU governor is restored, whatever ends the session that set it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from polling import eventually

from pytest_parallel_energy.host.governor import Governor, read_governors

ROOT = Path(__file__).parents[2]
USERS_CHOICE = {"cpu0": "powersave", "cpu1": "schedutil"}
SESSION = """
import sys, time
from pathlib import Path
from pytest_parallel_energy.host.governor import Governor
with Governor("performance", sysfs_root=Path(sys.argv[1])) as governor:
    restorer = getattr(governor, "_restorer", None)
    print(restorer.pid if restorer else 0, flush=True)
    time.sleep(60)
"""


@pytest.fixture
def cpus(tmp_path):
    for cpu, governor in USERS_CHOICE.items():
        folder = tmp_path / "devices/system/cpu" / cpu / "cpufreq"
        folder.mkdir(parents=True)
        (folder / "scaling_governor").write_text(f"{governor}\n")
        (folder / "scaling_available_governors").write_text("performance powersave schedutil\n")
    return tmp_path


def start_session(cpus):
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    argv = [sys.executable, "-c", SESSION, str(cpus)]
    process = subprocess.Popen(argv, env=environment, stdout=subprocess.PIPE, start_new_session=True)
    return process, int(process.stdout.readline())


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGABRT, signal.SIGSEGV, signal.SIGQUIT, signal.SIGTERM])
def test_governor_is_restored_after_a_kill(cpus, number, heeded_signals):
    """A signal that ends the session at once leaves no CPU with the governor of the measurement."""
    process, _restorer = start_session(cpus)
    with process:
        assert set(read_governors(cpus).values()) == {"performance"}
        os.killpg(process.pid, number)
    eventually(lambda: read_governors(cpus) == USERS_CHOICE)
    eventually(lambda: [path.name for path in cpus.iterdir()] == ["devices"])


def test_a_forgotten_governor_is_not_the_users_choice(cpus):
    """When everything of a session was killed, the next one restores what the user had before."""
    process, restorer = start_session(cpus)
    with process:
        if restorer:
            os.kill(restorer, signal.SIGKILL)
        process.kill()
    assert set(read_governors(cpus).values()) == {"performance"}
    with Governor("performance", sysfs_root=cpus):
        assert set(read_governors(cpus).values()) == {"performance"}
    assert read_governors(cpus) == USERS_CHOICE


def test_what_the_user_set_meanwhile_stays(cpus):
    """A governor that the user changed during a run is not overwritten when the run is killed."""
    process, restorer = start_session(cpus)
    with process:
        (cpus / "devices/system/cpu/cpu0/cpufreq/scaling_governor").write_text("schedutil\n")
        process.kill()
    eventually(lambda: read_governors(cpus) == {"cpu0": "schedutil", "cpu1": "schedutil"})
    eventually(lambda: not Path(f"/proc/{restorer}").exists() or not restorer)


def test_restore_twice_leaves_no_process(cpus):
    """The process that would restore has ended when the governor was restored; a second call does nothing."""
    governor = Governor("performance", sysfs_root=cpus)
    governor.set()
    restorer = governor._restorer.pid
    governor.restore()
    governor.restore()
    assert not Path(f"/proc/{restorer}").exists()
    assert read_governors(cpus) == USERS_CHOICE


def test_a_file_of_another_kind_is_not_read(cpus):
    """A symbolic link or a FIFO in place of the kept choices is not followed, and does not hang."""
    os.mkfifo(cpus / "pytest-parallel-energy-governor.json")
    with Governor("performance", sysfs_root=cpus) as governor:
        assert governor.problem is None
    assert read_governors(cpus) == USERS_CHOICE
