"""The supervised child, with real processes."""

from __future__ import annotations

import contextlib
import os
import secrets
import signal
import sys
import threading
from pathlib import Path

import pytest
from polling import eventually

from pytest_parallel_energy.errors import ConfigError, ProcessError
from pytest_parallel_energy.processes.child import Supervised, start_supervised
from pytest_parallel_energy.processes.command import Command
from pytest_parallel_energy.processes.cookie import VARIABLE, Cookie
from pytest_parallel_energy.processes.guard.container import choose
from pytest_parallel_energy.processes.guard.procfs import all_pids, read_stat
from pytest_parallel_energy.processes.rules import Ready, Supervision
from pytest_parallel_energy.testing.misbehaving import misbehaving_argv
from tests.processes.containers import ALL, works

KINDS = [kind for kind in ALL if works(kind)]


@pytest.fixture(params=KINDS)
def kind(request):
    return request.param


@pytest.fixture
def token():
    return f"test-{secrets.token_hex(8)}"


def marked(token):
    """Living processes that have ``token`` among their arguments."""
    found = []
    for pid in all_pids():
        with contextlib.suppress(OSError):
            if token.encode() in Path(f"/proc/{pid}/cmdline").read_bytes() and read_stat(pid).state not in "ZX":
                found.append(pid)
    return found


def python(code, *arguments):
    return Command(argv=(sys.executable, "-I", "-S", "-c", code, *arguments))


@pytest.mark.parametrize(
    ("code", "exit_code"), [("pass", 0), ("raise SystemExit(3)", 3), ("import os; os.kill(os.getpid(), 9)", -9)]
)
def test_exit_code_is_the_commands(code, exit_code, kind):
    """The outcome tells the exit code, or the signal, that ended the command."""
    with start_supervised(python(code), Supervision(container=kind)) as child:
        outcome = child.wait(20)
    assert (outcome.exit_code, outcome.stopped, outcome.container, outcome.stuck) == (exit_code, "exited", kind, ())


def test_output_is_in_the_log(tmp_path, kind):
    """Standard output and error are in one file, in order, complete."""
    log = tmp_path / "training.log"
    code = "import sys\nfor i in range(20000): print(i)\nsys.stdout.flush(); print('end', file=sys.stderr)"
    with start_supervised(python(code), Supervision(log=log, container=kind)) as child:
        child.wait(20)
    assert log.read_text().split() == [*map(str, range(20000)), "end"]


def test_cpu_seconds_hold_what_has_ended(kind):
    """CPU time of grandchildren that ended, that nobody waited for, and that were killed, is in the sum."""
    code = """
import os, time
read, write = os.pipe()
for number in range(2):
    if os.fork() == 0:
        if number and os.fork() == 0:
            os.setsid()
        while time.process_time() < 0.2:
            pass
        os.write(write, b"x")
        os._exit(0) if number == 0 else time.sleep(60)
for _ in range(3):
    os.read(read, 1)
"""
    with start_supervised(python(code), Supervision(container=kind)) as child:
        outcome = child.wait(20)
    assert 0.55 < outcome.cpu_s < 1.5  # three times 0.2 s, and what Python takes to start


def test_daemon_does_not_outlive_the_command(kind, token):
    """When the command ends, what it left in other sessions is ended too."""
    with start_supervised(Command(argv=misbehaving_argv("leader-gone", token)), Supervision(container=kind)) as child:
        outcome = child.wait(20)
    assert outcome.exit_code == 0
    assert marked(token) == []


@pytest.mark.parametrize(
    ("load", "stopped"), [("plain", "graceful"), ("ignore-signals", "forced"), ("stopped", "graceful")]
)
def test_stop_asks_first(kind, token, load, stopped, tmp_path):
    """A load that honours SIGTERM is stopped gracefully, also one that sleeps in SIGSTOP; only the other by force."""
    child = start_supervised(Command(argv=misbehaving_argv(load, token)), Supervision(container=kind, grace_s=0.3))
    if load == "stopped":
        eventually(lambda: [read_stat(pid).state for pid in marked(token)] == ["T", "T"])
    elif load == "ignore-signals":
        ignored = 1 << (signal.SIGTERM - 1)
        eventually(lambda: marked(token) and ignored & signal_mask(marked(token)[0]))
    outcome = child.stop()
    assert (outcome.stopped, marked(token)) == (stopped, [])
    assert not child.alive


def signal_mask(pid):
    text = Path(f"/proc/{pid}/status").read_text()
    return int(text.split("SigIgn:")[1].split()[0], 16)


def test_stop_twice_is_one_stop(kind):
    """A second stop gives the same outcome."""
    child = start_supervised(Command(argv=("sleep", "60")), Supervision(container=kind))
    assert child.stop() is child.stop()


def test_a_killed_guard_takes_the_load_along(kind, token):
    """SIGKILL of the guard ends all processes of the load, and the outcome says that nobody saw how."""
    child = start_supervised(Command(argv=misbehaving_argv("daemon", token)), Supervision(container=kind))
    eventually(lambda: len(marked(token)) == 2)
    os.kill(child.guard_pid, signal.SIGKILL)
    outcome = child.wait(10)
    assert (outcome.stopped, outcome.exit_code, outcome.cpu_s) == ("lost", None, None)
    eventually(lambda: marked(token) == [])
    assert child.status() is None


def test_a_killed_init_takes_the_load_along(kind, token):
    """SIGKILL of the process that holds the load ends the load, and the outcome has a flag."""
    child = start_supervised(Command(argv=misbehaving_argv("daemon", token)), Supervision(container=kind))
    eventually(lambda: len(marked(token)) == 2)
    os.kill(child.init_pid, signal.SIGKILL)
    outcome = child.wait(10)
    assert marked(token) == []
    assert any("unexpectedly" in flag for flag in outcome.flags)


def test_a_stopped_guard_is_woken_to_stop(token):
    """A guard in SIGSTOP does not keep the load alive."""
    child = start_supervised(Command(argv=misbehaving_argv("plain", token)), Supervision(grace_s=0.1))
    child.STOP_MARGIN_S = 0.1
    os.kill(child.guard_pid, signal.SIGSTOP)
    child.stop()
    assert marked(token) == []


def test_a_child_is_stopped_while_another_thread_waits(token):
    """Who waits for the end does not keep others from asking or stopping."""
    child = start_supervised(Command(argv=misbehaving_argv("plain", token)))
    outcomes = []
    waiting = threading.Thread(target=lambda: outcomes.append(child.wait()))
    waiting.start()
    assert child.status().running
    assert child.stop().stopped == "graceful"
    waiting.join(10)
    assert outcomes == [child.outcome]


def test_a_fork_of_the_owner_may_not_stop(token):
    """Leaving the context in a fork of the owner does nothing to the load."""
    with start_supervised(Command(argv=misbehaving_argv("plain", token))) as child:
        pid = os.fork()
        if pid == 0:
            try:
                child.__exit__(None, None, None)
                os._exit(0)
            finally:
                os._exit(1)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
        assert child.alive
        assert marked(token)


def test_a_command_that_is_not_there_is_refused():
    """An unknown program is one clear error, and nothing runs."""
    with pytest.raises(ProcessError, match=r"no-such-program.*No such file"):
        start_supervised(Command(argv=("no-such-program", "x"), env={"PATH": "/usr/bin:/bin"}))


def test_a_folder_that_is_not_there_is_refused(tmp_path):
    """An unknown folder, of the command or of its log, is one clear error."""
    with pytest.raises(ProcessError, match="no such folder"):
        start_supervised(Command(argv=("true",), cwd=tmp_path / "nowhere"))
    with pytest.raises(ProcessError, match="no such folder"):
        start_supervised(Command(argv=("true",)), Supervision(log=tmp_path / "nowhere" / "log"))


def test_a_script_that_is_not_executable_is_refused(tmp_path):
    """A file without the right to execute is one clear error."""
    script = tmp_path / "train.sh"
    script.write_text("#!/bin/sh\n")
    with pytest.raises(ProcessError, match="Permission denied"):
        start_supervised(Command(argv=(str(script),)))


def test_a_full_disk_stops_nothing():
    """The command runs to its end though the disk takes none of its output, and the loss is counted."""
    with start_supervised(python("print('x' * 100000)"), Supervision(log=Path("/dev/full"))) as child:
        outcome = child.wait(20)
    assert outcome.exit_code == 0
    assert outcome.status.lost_log_bytes == 100001
    assert outcome.status.tail.startswith("xxx")


def test_a_flood_is_bounded(tmp_path):
    """A log of any length takes its limit and its tail on disk; the end of it is there."""
    log = tmp_path / "log"
    code = "import os\nfor _ in range(64): os.write(1, b'x' * (1 << 20))\nprint('the end')"
    with start_supervised(python(code), Supervision(log=log, log_limit_bytes=1 << 20, log_tail_bytes=4096)) as child:
        outcome = child.wait(30)
    assert outcome.status.log_bytes == (64 << 20) + 8
    assert log.stat().st_size < (1 << 20) + 4096 + 100
    assert log.read_bytes().endswith(b"xxxthe end\n")
    assert b"bytes left out" in log.read_bytes()


def test_cookie_names_the_owner():
    """Each child carries who started it; the parse of what is written is what was written."""
    code = f"import os; print(os.environ[{VARIABLE!r}])"
    with start_supervised(python(code)) as child:
        cookie = Cookie.parse(child.wait(20).status.tail.strip())
    assert cookie.owner_pid == os.getpid()
    assert cookie.owner_lives()
    assert Cookie.parse(str(cookie)) == cookie


def test_a_pid_used_again_is_not_the_owner():
    """The same pid with another start time is somebody else."""
    mine = Cookie.mine()
    assert mine.owner_lives()
    assert not Cookie.parse(str(mine).replace(str(mine.owner_start_ticks), "1")).owner_lives()


@pytest.mark.skipif("namespace" not in KINDS, reason="this machine allows no PID namespace")
def test_namespace_has_its_own_proc_and_shared_memory(token):
    """Inside, the first process is 1, and shared memory is private and vanishes."""
    code = "import os, sys; print(os.getppid(), len(os.listdir('/dev/shm'))); open('/dev/shm/' + sys.argv[1], 'w')"
    with start_supervised(python(code, token), Supervision(container="namespace")) as child:
        outcome = child.wait(20)
    assert outcome.status.tail.split()[0] == "1"
    assert not Path("/dev/shm", token).exists()


def test_pids_are_the_owners(kind, token):
    """The pids that are told are those that the owner sees, also out of a namespace."""
    with start_supervised(Command(argv=misbehaving_argv("tree", token)), Supervision(container=kind)) as child:
        eventually(lambda: len(marked(token)) == 11)
        status = child.status()
        assert sorted(status.pids) == sorted(marked(token))
        assert child.pid == status.leader
        assert status.leader in status.pids


def test_unknown_container_is_refused():
    """A container that does not exist is refused by name."""
    with pytest.raises(OSError, match="no container of the kind 'jail'"):
        choose("jail", str(Cookie.mine()))


@pytest.mark.parametrize(
    ("ready", "code"),
    [
        (Ready(kind="started"), "import time; time.sleep(60)"),
        (Ready(kind="seconds", seconds=0.05), "import time; time.sleep(60)"),
        (
            Ready(kind="pattern", pattern="epoch [0-9]+"),
            "import time; print('x\\nepoch 12', flush=True); time.sleep(60)",
        ),
        (Ready(kind="activity"), "while True: pass"),
    ],
    ids=lambda value: value.kind if isinstance(value, Ready) else "",
)
def test_ready_is_seen(ready, code):
    """Each sign of readiness is seen."""
    with start_supervised(python(code), Supervision(ready=ready, grace_s=0)) as child:
        assert child.await_ready(20)


def test_ready_by_port():
    """A port that accepts is a sign of readiness."""
    code = "import socket, time, sys; s = socket.create_server(('127.0.0.1', int(sys.argv[1]))); time.sleep(60)"
    import socket

    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with start_supervised(python(code, str(port)), Supervision(ready=Ready(kind="port", port=port))) as child:
        assert child.await_ready(20)


def test_not_ready_is_told():
    """A child that shows no sign is not ready; nor is one that ended."""
    supervision = Supervision(ready=Ready(kind="pattern", pattern="never"), grace_s=0)
    with start_supervised(Command(argv=("sleep", "60")), supervision) as child:
        assert not child.await_ready(0.1)
    with start_supervised(Command(argv=("true",)), supervision) as child:
        assert not child.await_ready(20)


@pytest.mark.parametrize(
    "wrong", [{"kind": "magic"}, {"kind": "pattern"}, {"kind": "port"}, {"kind": "seconds", "seconds": -1}]
)
def test_impossible_readiness_is_refused(wrong):
    """A readiness that can never be is refused when it is written."""
    with pytest.raises(ConfigError):
        Ready(**wrong)


def test_lifetime_is_kept(token):
    """A guard with a longest lifetime ends its load then, whatever the owner does."""
    child = start_supervised(Command(argv=misbehaving_argv("plain", token)), Supervision(lifetime_s=0.2))
    assert child.wait(20).stopped == "forced"
    assert marked(token) == []


def test_process_limit_is_set():
    """RLIMIT_NPROC is the child's own."""
    code = "import resource; print(resource.getrlimit(resource.RLIMIT_NPROC)[0])"
    with start_supervised(python(code), Supervision(max_processes=4321)) as child:
        assert child.wait(20).status.tail.strip() == "4321"


def test_wait_that_is_too_short_says_so():
    """Waiting gives nothing while the command runs; the caller then stops it."""
    with start_supervised(Command(argv=("sleep", "60"))) as child:
        assert child.wait(0.05) is None
        assert child.status().running


def test_signals_of_the_command_are_the_defaults():
    """The command inherits none of Python's ignored signals: a broken pipe ends it as in a shell."""
    code = "import signal; print([int(signal.getsignal(n)) for n in (signal.SIGPIPE, signal.SIGXFSZ)])"
    import subprocess

    with start_supervised(Command(argv=("sh", "-c", f'exec "{sys.executable}" -c "{code}"'))) as child:
        inside = child.wait(20).status.tail
    assert inside == subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout


def test_public_class_is_named():
    """The handle has the documented type."""
    with start_supervised(Command(argv=("true",))) as child:
        assert isinstance(child, Supervised)
