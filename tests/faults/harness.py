"""Real pytest processes with a real load, ended in every way; then: is anything left?

Survivors are looked for from outside, by three signs that do not depend on each other: pids that were below the pytest
process or its guard before the trigger, the token in a process's arguments, and the token in its environment.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pytest_parallel_energy.processes.guard import cgroup
from pytest_parallel_energy.processes.guard.procfs import all_pids, descendants, read_file, read_stat
from pytest_parallel_energy.testing.misbehaving import MISBEHAVING, misbehaving_argv
from tests.faults.nursery import ROOT, Forked, Nursery, heed_signals

PROCESSES = {
    "tree": 11,
    "daemon": 2,
    "daemon-bare": 2,
    "leader-gone": 3,
    "stopped": 2,
    "zombies": 1,
    "vfork": 2,
    "own-namespace": 3,
    "own-subreaper": 3,
    "bomb": 151,
    "setsid-bomb": 151,
    "keep-descriptors": 2,
    "own-group": 2,
    "crash": 0,
    "exit-at-once": 0,
    "kill-parent": 0,
    "full-disk": 0,
}
"""How many processes each load has when it is up; 1 where nothing stands, 0 where it comes and goes."""

MEMORY_MIB = int(os.environ.get("LOAD_MEMORY_MIB", "256"))
"""The load ``memory`` is up when so much of it is resident."""

# Without the host lock: these sessions are killed, and nothing that they measure is looked at.
PLUGIN = ("-p", "pytest_parallel_energy.plugin", "--energy-coverage-min=0", "--energy-host-lock=off")
FINE_S = 0.1
"""For so long after the trigger the harness looks every millisecond, then seldom enough to leave the CPU to others."""

FULL_DISK = "full-disk"
"""A load that prints all the time, whose log the disk does not take."""

LOADS = sorted({*MISBEHAVING, FULL_DISK} - {"sleep"})

CONFTEST = """
import json, os, signal, sys, threading, time
from pathlib import Path
import pytest
from pytest_parallel_energy.load.background import BackgroundLoad
from pytest_parallel_energy.load.request import LoadSettings
from pytest_parallel_energy.processes.command import Command
from pytest_parallel_energy.processes.rules import Ready, RoundRules

CASE = json.loads(os.environ["FAULT_CASE"])
FOLDER = Path(CASE["folder"])

def tell(name, **values):
    (FOLDER / (name + ".new")).write_text(json.dumps(values))
    (FOLDER / (name + ".new")).rename(FOLDER / name)

def await_up():
    end_s = time.monotonic() + 300  # should the harness itself be killed, this session ends
    while not (FOLDER / "up").exists() and time.monotonic() < end_s:
        time.sleep(0.002)

def make_load():
    return BackgroundLoad(
        Command(argv=tuple(CASE["argv"])), name="fault", folder=FOLDER / "load",
        settings=LoadSettings(
            ready=Ready(kind=CASE["ready"], pattern="^(a+)+$"), container=CASE["container"], grace_s=CASE["grace_s"],
            max_processes=None, rounds=RoundRules(vain_after=10**6),
        ),
    )

@pytest.fixture
def load():
    load = make_load()
    if CASE["block_signals"]:
        signal.pthread_sigmask(signal.SIG_SETMASK, signal.valid_signals())
        for number in (signal.SIGCHLD, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
    tell("starting", owner=os.getpid(), parent=os.getppid())
    if CASE["thread"]:
        thread = threading.Thread(target=load.start)
        thread.start()
        thread.join()
    else:
        load.start()
    tell("ready", owner=os.getpid(), parent=os.getppid(), guard=load._child.guard_pid, init=load._child.init_pid,
         container=load._child.container, reaction_s=None)
    await_up()
    if CASE["break_setup"]:
        raise RuntimeError("set-up fails on purpose")
    yield load
    load.stop()
    if CASE["stop_twice"]:
        load.stop()
"""

PLUGIN_FIXTURE = """
@pytest.fixture
def load(background_load):
    tell("starting", owner=os.getpid(), parent=os.getppid())
    load = background_load(CASE["argv"], ready="started", grace=CASE["grace_s"])
    tell("ready", owner=os.getpid(), parent=os.getppid(), guard=load._child.guard_pid, init=load._child.init_pid)
    await_up()
    return load
"""

TEST_HEAD = """
import ctypes, os, sys, time
from conftest import tell

def wait():
    end_s = time.monotonic() + 300  # should the harness itself be killed, this session ends
    while time.monotonic() < end_s:
        time.sleep(0.1)

def test_it(load):
"""


@dataclass
class Case:
    """One run: what the test does, with which load, held by what."""

    body: str
    kind: str = "plain"
    container: str = "auto"
    options: tuple[str, ...] = ()
    ready: str = "started"
    grace_s: float = 0.5
    thread: bool = False
    break_setup: bool = False
    stop_twice: bool = False
    block_signals: bool = False
    """Whether pytest blocks every signal and ignores some before it starts the load, which inherits both."""
    xdist: bool = False
    plugin: bool = False
    """Whether the load is started by the plugin's own fixture, with all that goes with it."""


@dataclass
class Run:
    """A running pytest, with what it told."""

    folder: Path
    token: str
    process: subprocess.Popen[bytes] | Forked
    told: dict[str, Any] = field(default_factory=dict)
    known: set[tuple[int, int]] = field(default_factory=set)
    spared: set[int] = field(default_factory=set)

    def wait_for(self, name: str, timeout_s: float = 30.0) -> dict[str, Any]:
        """What the run told under ``name``."""
        deadline_s = time.monotonic() + timeout_s
        path = self.folder / name
        while not path.exists():
            if time.monotonic() > deadline_s or self.process.poll() is not None:
                raise AssertionError(f"pytest never told {name!r}:\n{self.output()}")
            time.sleep(0.005)
        self.told |= json.loads(path.read_text())
        return self.told

    def output(self) -> str:
        """What pytest printed."""
        return (self.folder / "output.txt").read_text(errors="replace")

    def wait_until_up(self, kind: str) -> None:
        """Let the test go on once all processes of the load are there."""
        self.wait_for("ready")
        deadline_s = time.monotonic() + 10
        while self._count() < PROCESSES.get(kind, 1) and time.monotonic() < deadline_s:
            time.sleep(0.01)
        if PROCESSES.get(kind, 1) and not self._count():
            raise AssertionError(f"no process of the load {kind} was ever there")
        while kind == "memory" and self._resident_mib() < MEMORY_MIB and time.monotonic() < deadline_s:
            time.sleep(0.01)
        self.look()
        (self.folder / "up").touch()

    def _count(self) -> int:
        return sum(1 for _ in self._loads())

    def _loads(self) -> Iterator[int]:
        """The processes of the load: the token is their last argument."""
        word = b"\0" + self.token.encode() + b"\0"
        for pid in all_pids():
            with contextlib.suppress(OSError):
                if read_file(pid, "cmdline").endswith(word):
                    yield pid

    def _resident_mib(self) -> float:
        pages = 0
        for pid in self._loads():
            with contextlib.suppress(OSError):
                pages += int(read_file(pid, "statm").split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 2**20

    def look(self) -> None:
        """Remember every process that belongs to the run now."""
        for pid in [self.process.pid, *descendants(self.process.pid), *self._marked()]:
            stat = read_stat(pid)
            if stat is not None and pid not in self.spared:
                self.known.add((pid, stat.start_ticks))

    def _marked(self) -> Iterator[int]:
        word = self.token.encode()
        for pid in all_pids():
            if pid == os.getpid() or pid in self.spared:
                continue
            with contextlib.suppress(OSError):
                if word in read_file(pid, "cmdline") or word in read_file(pid, "environ"):
                    yield pid

    def left(self, *, but: set[int] | None = None) -> list[str]:
        """Who is left, for people; zombies have ended."""
        living = {
            pid for pid, ticks in self.known if (stat := read_stat(pid)) is not None and stat.start_ticks == ticks
        }
        found = []
        for pid in sorted((living | set(self._marked())) - self.spared - (but or set())):
            stat = read_stat(pid)
            if stat is not None and stat.state not in "ZX":
                with contextlib.suppress(OSError):
                    arguments = read_file(pid, "cmdline").replace(b"\0", b" ").decode(errors="replace")
                    found.append(f"{pid} ({stat.state}, child of {stat.parent}) {arguments[:150]}")
        return found

    def _first_known(self, but: set[int]) -> list[str]:
        """One that was there before and still is: cheap, where :meth:`left` looks at the whole machine."""
        for pid, ticks in [*self.known]:
            if pid not in self.spared and pid not in but:
                stat = read_stat(pid)
                if stat is not None and stat.start_ticks == ticks and stat.state not in "ZX":
                    return [f"{pid} ({stat.state}, child of {stat.parent})"]
                self.known.discard((pid, ticks))
        return []

    def owners(self) -> set[int]:
        """The pytest processes: controller and worker."""
        return {self.process.pid, *(self.told[name] for name in ("owner", "parent") if name in self.told)} - {
            os.getpid()
        }

    def wait_until_gone(self, timeout_s: float = 10.0, *, but: set[int] | None = None) -> tuple[list[str], float]:
        """Survivors after at most ``timeout_s``, and the seconds until there were none."""
        began_s = time.monotonic()
        while left := self._first_known(but or set()) or self.left(but=but):
            if time.monotonic() - began_s > timeout_s:
                self.look()  # for the end, which kills them
                return self.left(but=but) or left, time.monotonic() - began_s
            if self.process.returncode is None:
                self.process.poll()
            time.sleep(0.001 if time.monotonic() - began_s < FINE_S else 0.005)
        return [], time.monotonic() - began_s

    def end(self) -> None:
        """Kill whatever is left, so that one failed case does not spoil the machine."""
        for pid, ticks in self.known:
            stat = read_stat(pid)
            if stat is not None and stat.start_ticks == ticks and pid not in self.spared:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        for pid in self.spared:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.process.wait(10)


def groups_left(run: Run) -> list[str]:
    """Cgroups that were made for this run and are still there."""
    owner = f"{run.told.get('owner')} "
    return [f"the group {folder}" for folder, cookie in cgroup.groups() if cookie.startswith(owner)]


@contextlib.contextmanager
def started(case: Case, folder: Path, nursery: Nursery | None = None) -> Iterator[Run]:
    """A pytest process that runs ``case``; forked by ``nursery`` where there is one."""
    token = f"fault-{secrets.token_hex(8)}"
    write_test(case, folder)
    heed_signals()
    start = execute if nursery is None else nursery.start
    process = start(arguments_of(case, folder), folder=folder, environment=environment_of(case, folder, token))
    run = Run(folder=folder, token=token, process=process)
    try:
        yield run
    except BaseException:
        run.look()
        raise
    finally:
        run.end()


def write_test(case: Case, folder: Path) -> None:
    """The test, its conftest, and a disk that is full where the case wants one."""
    (folder / "conftest.py").write_text(CONFTEST + (PLUGIN_FIXTURE if case.plugin else ""))
    body = "\n".join("    " + line for line in case.body.splitlines())
    (folder / "test_case.py").write_text(TEST_HEAD + body + "\n")
    if case.kind == FULL_DISK:
        (folder / "load").mkdir()
        (folder / "load" / "round-1.log").symlink_to("/dev/full")


def arguments_of(case: Case, folder: Path) -> list[str]:
    """What follows ``python -m pytest``."""
    return [
        *("-q", "-c", os.devnull, f"--rootdir={folder}"),
        *("-p", "no:cacheprovider", *(("-p", "xdist", "-n", "1") if case.xdist else ())),
        *(PLUGIN if case.plugin else ()),
        *case.options,
        str(folder / "test_case.py"),
    ]


def environment_of(case: Case, folder: Path, token: str) -> dict[str, str]:
    """Ours without pytest's, with the case and its load."""
    facts = {
        "argv": misbehaving_argv("flood" if case.kind == FULL_DISK else case.kind, token),
        "folder": str(folder),
        "container": case.container,
        "ready": case.ready,
        "grace_s": case.grace_s,
        "thread": case.thread,
        "break_setup": case.break_setup,
        "stop_twice": case.stop_twice,
        "block_signals": case.block_signals,
    }
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST", "COV"))}
    return environment | {
        "FAULT_CASE": json.dumps(facts),
        "PYTHONPATH": os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH", "")])),
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
    }


def execute(arguments: Sequence[str], *, folder: Path, environment: Mapping[str, str]) -> subprocess.Popen[bytes]:
    """A ``python -m pytest ARGUMENTS`` in ``folder``, which prints to ``output.txt`` there."""
    with (folder / "output.txt").open("wb") as output:
        return subprocess.Popen(
            [sys.executable, "-m", "pytest", *arguments],
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
