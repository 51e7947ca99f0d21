"""Processes of dead sessions are found and ended, and nobody else's."""

from __future__ import annotations

import contextlib
import os
import secrets
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from polling import eventually
from running import running

from pytest_parallel_energy.processes.cookie import REALM_VARIABLE, VARIABLE, Cookie
from pytest_parallel_energy.processes.guard import cgroup
from pytest_parallel_energy.processes.guard.procfs import all_pids, read_stat
from pytest_parallel_energy.processes.leftovers import find_leftovers, sweep_leftovers
from pytest_parallel_energy.testing.misbehaving import misbehaving_argv
from tests.processes.containers import works


@pytest.fixture
def token(monkeypatch):
    token = f"left-{secrets.token_hex(8)}"
    monkeypatch.setenv(REALM_VARIABLE, token)
    yield token
    for pid in marked(token):
        os.kill(pid, signal.SIGKILL)


def marked(token):
    found = []
    for pid in all_pids():
        with contextlib.suppress(OSError):
            if token.encode() in Path(f"/proc/{pid}/cmdline").read_bytes() and read_stat(pid).state not in "ZX":
                found.append(pid)
    return found


def mine_of(token):
    return [one for one in find_leftovers() if token in one.command]


def dead_owner():
    """A cookie whose owner has just ended."""
    code = "from pytest_parallel_energy.processes.cookie import Cookie; print(Cookie.mine())"
    root = Path(__file__).parents[2]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(root), os.environ.get("PYTHONPATH", "")])}
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
    return result.stdout.strip()


def start(token, kind, cookie):
    environment = {**os.environ, VARIABLE: cookie} if cookie else dict(os.environ)
    return running(misbehaving_argv(kind, token), env=environment, start_new_session=True)


@pytest.mark.parametrize(("kind", "count"), [("plain", 1), ("tree", 11), ("daemon", 2)])
def test_a_dead_sessions_processes_are_ended(token, kind, count):
    """What carries the cookie of a dead owner is found with its command, and ended."""
    with start(token, kind, dead_owner()) as process:
        eventually(lambda: len(marked(token)) == count)
        # A daemon forks twice: for a moment there are others.
        mine = eventually(lambda: found if len(found := mine_of(token)) == count else ())
        ended, left = sweep_leftovers()
        assert mine
        assert token in " ".join(one.command for one in ended)
        assert token not in " ".join(one.command for one in left)
        assert process.wait(10) == -signal.SIGKILL
    assert marked(token) == []


def test_children_without_the_cookie_are_ended_too(token):
    """A child that emptied its environment goes with the parent that still has the cookie."""
    code = """
import os, sys, time
if os.fork() == 0:
    os.execve(sys.executable, [sys.executable, "-c", "import time; time.sleep(60)", sys.argv[1]], {})
time.sleep(60)
"""
    environment = {**os.environ, VARIABLE: dead_owner()}
    with running([sys.executable, "-c", code, token], env=environment, start_new_session=True):
        eventually(lambda: len(marked(token)) == 2)
        sweep_leftovers()
        assert marked(token) == []


@pytest.mark.parametrize("whose", ["living owner", "no cookie", "nonsense", "another namespace"])
def test_others_are_left_alone(token, whose):
    """A process of a living session, of no session, or of another PID namespace is never touched."""
    dead = Cookie.parse(dead_owner())
    cookie = {
        "living owner": str(Cookie.mine()),
        "no cookie": "",
        "nonsense": "1 2 3",
        "another namespace": f"{dead.owner_pid} {dead.owner_start_ticks} pid:[1] ab",
    }[whose]
    with start(token, "plain", cookie) as process:
        eventually(lambda: marked(token))
        sweep_leftovers()
        assert process.poll() is None


def test_a_guard_at_work_is_left_to_it(token):
    """What a dying session's guard is just ending is not reported as left behind."""
    code = "import sys, time; time.sleep(0.4)"
    environment = {**os.environ, VARIABLE: dead_owner()}
    argv = [sys.executable, "-c", code, "guard/__main__.py", token]
    with running(argv, env=environment, start_new_session=True) as process:
        ended, left = sweep_leftovers()
        assert token not in " ".join(one.command for one in (*ended, *left))
        assert process.wait(10) == 0


@pytest.mark.parametrize(
    ("container", "kind"), [("subreaper", "daemon"), ("cgroup", "daemon"), ("cgroup", "daemon-bare")]
)
def test_guard_and_init_killed_together_are_swept(token, container, kind):
    """The one case that guard and init cannot catch without a namespace is caught by the sweep.

    In a cgroup even a daemon that emptied its environment: the group is known by its owner's cookie, and goes too.
    """
    if not works(container):
        pytest.skip(f"no {container} can be had here")
    owner = f"""
import os, signal, sys, time
from pytest_parallel_energy.processes.command import Command
from pytest_parallel_energy.processes.guard import cgroup
from pytest_parallel_energy.processes.guard.procfs import read_stat
from pytest_parallel_energy.processes.child import start_supervised
from pytest_parallel_energy.processes.rules import Supervision
child = start_supervised(Command(argv={misbehaving_argv(kind, token)!r}), Supervision(container={container!r}))
def daemons():
    stats = {{pid: read_stat(pid) for pid in child.status().pids if pid != child.pid}}
    return [pid for pid, stat in stats.items() if stat is not None and stat.parent == child.init_pid]
while not daemons():
    time.sleep(0.01)
for pid in (child.guard_pid, child.init_pid):
    os.kill(pid, signal.SIGSTOP)
for pid in (child.init_pid, child.guard_pid):  # the other way round, the guard's end wakes the init
    os.kill(pid, signal.SIGKILL)
os._exit(0)
"""
    root = Path(__file__).parents[2]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(root), os.environ.get("PYTHONPATH", "")])}
    subprocess.run([sys.executable, "-c", owner], env=environment, check=True)
    eventually(lambda: len(marked(token)) == 1)  # the daemon; the first process of the load dies with its init
    sweep_leftovers()
    assert marked(token) == []
    assert [owner for _folder, owner in cgroup.groups() if token in owner] == []
