"""The guard at its edges: odd surroundings that pytest may be started in, and loads that make it hard."""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from copied import replace
from polling import eventually

from pytest_parallel_energy.errors import ConfigError, ProcessError
from pytest_parallel_energy.processes.child import start_supervised
from pytest_parallel_energy.processes.command import Command
from pytest_parallel_energy.processes.guard import gpu, logs
from pytest_parallel_energy.processes.guard.procfs import read_stat
from pytest_parallel_energy.processes.rules import Ready, Supervision
from pytest_parallel_energy.testing.misbehaving import misbehaving_argv
from tests.processes.containers import works

ROOT = Path(__file__).parents[2]
SLEEP = "import time; time.sleep(60)"
STARTED = """
import os, sys
from pytest_parallel_energy.processes.child import start_supervised
from pytest_parallel_energy.processes.command import Command
from pytest_parallel_energy.processes.rules import Ready, Supervision
"""


def run(code, *arguments, timeout_s=40, **options):
    """Run a script that uses the package; its standard error goes along with its output."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)} | options.pop("env", {})
    argv = [sys.executable, "-c", STARTED + code, *arguments]
    return subprocess.run(
        argv, env=environment, capture_output=True, text=True, check=False, timeout=timeout_s, **options
    )


def alive(pid):
    stat = read_stat(pid)
    return stat is not None and stat.state not in "ZX"


def python(code, *arguments):
    return Command(argv=(sys.executable, "-I", "-S", "-c", code, *arguments))


def test_no_byte_code_is_written_where_python_writes_none(tmp_path):
    """The guard writes no ``__pycache__`` when its owner was told not to."""
    package = tmp_path / "pytest_parallel_energy"
    shutil.copytree(ROOT / "pytest_parallel_energy", package, ignore=shutil.ignore_patterns("__pycache__"))
    code = "with start_supervised(Command(argv=('true',))) as child: child.wait(20)"
    result = run(code, env={"PYTHONPATH": str(tmp_path), "PYTHONDONTWRITEBYTECODE": "1"})
    assert result.returncode == 0, result.stderr
    assert not list(package.rglob("__pycache__"))


def test_byte_code_goes_where_python_puts_it(tmp_path):
    """The guard keeps its byte code in the folder that its owner uses for it."""
    code = "with start_supervised(Command(argv=('true',))) as child: child.wait(20)"
    result = run(code, env={"PYTHONPYCACHEPREFIX": str(tmp_path), "PYTHONDONTWRITEBYTECODE": ""})
    assert result.returncode == 0, result.stderr
    assert list(tmp_path.rglob("core.*.pyc"))


@pytest.mark.parametrize("pattern", ["^(a+)+$", "(.*)*accuracy: ([0-9.]+)"])
def test_a_pattern_that_backtracks_keeps_no_guard_alive(pattern, tmp_path):
    """The guard ends within seconds of its owner, whatever the readiness pattern does with the load's output."""
    load = "import time\nwhile True: print('a' * 40 + 'b', flush=True); time.sleep(0.01)"
    code = f"""
child = start_supervised(
    Command(argv=(sys.executable, "-I", "-S", "-u", "-c", sys.argv[1])),
    Supervision(ready=Ready(kind="pattern", pattern={pattern!r})),
)
child.await_ready(1.0)
print(child.guard_pid, child.pid, flush=True)
os.kill(os.getpid(), 9)
"""
    result = run(code, load)
    pids = [int(word) for word in result.stdout.split()]
    assert len(pids) == 2, result.stderr
    try:
        eventually(lambda: not any(map(alive, pids)), timeout_s=3.0)
    finally:
        for pid in filter(alive, pids):
            os.kill(pid, signal.SIGKILL)


def test_a_pattern_that_needs_too_long_is_told():
    """The search for such a pattern is given up, and the flags say why the load never becomes ready."""
    load = "import time\nwhile True: print('a' * 40 + 'b', flush=True); time.sleep(0.01)"
    supervision = Supervision(ready=Ready(kind="pattern", pattern="^(a+)+$"), grace_s=0)
    with start_supervised(python(load), supervision) as child:
        eventually(lambda: any("needs too long" in flag for flag in child.status().flags), timeout_s=20)


def test_a_pattern_is_matched_within_lines():
    """The ends of a pattern are the ends of a line, wherever in the output it is."""
    load = "import time; print('first line\\nepoch 1\\nlast line', flush=True); time.sleep(60)"
    with start_supervised(
        python(load), Supervision(ready=Ready(kind="pattern", pattern="^epoch 1$"), grace_s=0)
    ) as child:
        assert child.await_ready(10)


def test_blocked_and_ignored_signals_are_not_inherited():
    """A command runs to its end, with no signal blocked or ignored, whatever pytest blocked and ignored."""
    # 32 and 33 are glibc's own: its posix_spawn, which subprocess uses from Python 3.13 on, ignores them in the child.
    own = 3 << 31
    masks = "open('/proc/self/status') if line[:6] in ('SigBlk', 'SigIgn')"
    show = f"print(*[int(line[7:], 16) & ~{own} for line in {masks}])"
    code = """
import signal
signal.pthread_sigmask(signal.SIG_SETMASK, signal.valid_signals())
for number in (signal.SIGCHLD, signal.SIGUSR1, signal.SIGTERM, signal.SIGHUP):
    signal.signal(number, signal.SIG_IGN)
with start_supervised(Command(argv=(sys.executable, "-I", "-S", "-c", sys.argv[1]))) as child:
    outcome = child.wait(10)
    print(outcome and (outcome.exit_code, outcome.status.tail.split()))
    if outcome is None:
        os.kill(child.guard_pid, 9)
"""
    result = run(code, show)
    ignored_by_python = (1 << (signal.SIGPIPE - 1)) | (1 << (signal.SIGXFSZ - 1))
    assert result.stdout.strip() == f"(0, ['0', '{ignored_by_python}'])", result.stderr


def test_a_process_without_standard_streams_can_start_a_child(tmp_path):
    """Where descriptors 0 to 2 are closed, pipes get those numbers; they are moved out of the way."""
    code = """
for fd in range(3):
    os.close(fd)
with start_supervised(Command(argv=("true",))) as child:
    outcome = child.wait(20)
with open(sys.argv[1], "w") as file:
    file.write(f"{outcome.exit_code} {outcome.stopped}")
"""
    run(code, str(tmp_path / "result"))
    assert (tmp_path / "result").read_text() == "0 exited"


SECCOMP = """
import ctypes, struct
libc = ctypes.CDLL(None, use_errno=True)
# seccomp(2): load the number of the system call; pidfd_open (434) fails with EPERM, everything else is allowed
program = b"".join(struct.pack("HBBI", *step) for step in [
    (0x20, 0, 0, 0), (0x15, 0, 1, 434), (0x06, 0, 0, 0x00050001), (0x06, 0, 0, 0x7FFF0000),
])
buffer = ctypes.create_string_buffer(program, len(program))
class Filter(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("steps", ctypes.c_void_p))
assert libc.prctl(38, 1, 0, 0, 0) == 0
assert libc.prctl(22, 2, ctypes.byref(Filter(4, ctypes.addressof(buffer))), 0, 0) == 0
"""


@pytest.mark.parametrize("kind", ["auto", "subreaper"])
def test_a_refused_pidfd_is_no_reason_to_fail(kind, tmp_path):
    """Where a seccomp filter refuses ``pidfd_open`` the pipes tell the same: the load ends with its guard."""
    code = """
try:
    os.pidfd_open(os.getpid())
except PermissionError:
    print("refused")
with start_supervised(Command(argv=("sleep", "60")), Supervision(container=sys.argv[1])) as child:
    os.kill(child.guard_pid, 9)
    outcome = child.wait(10)
    print(outcome.stopped, os.path.exists(f"/proc/{child.pid}"))
"""
    result = run(SECCOMP + code, kind)
    assert result.stdout.split() == ["refused", "lost", "False"], result.stderr


def test_leftovers_are_killed_without_pidfds(tmp_path):
    """The kill of leftover processes works where a seccomp filter refuses ``pidfd_open``."""
    realm = f"edge{secrets.token_hex(4)}"
    environment = {"PYTEST_PARALLEL_ENERGY_REALM": realm}
    cookie = run("from pytest_parallel_energy.processes.cookie import Cookie; print(Cookie.mine())", env=environment)
    marked = {**os.environ, "PYTEST_PARALLEL_ENERGY_COOKIE": cookie.stdout.strip()}
    with subprocess.Popen(["sleep", "60"], env=marked) as process:
        code = (
            "from pytest_parallel_energy.processes.leftovers import sweep_leftovers; print(len(sweep_leftovers()[0]))"
        )
        result = run(SECCOMP + code, env=environment)
        try:
            assert process.wait(5) == -signal.SIGKILL, result.stderr
        finally:
            process.kill()
    assert result.stdout.split() == ["1"]


@pytest.mark.skipif(not works("namespace"), reason="this machine allows no PID namespace")
@pytest.mark.parametrize("what", ["the host's /proc", "an empty /proc"])
def test_a_proc_of_another_namespace_is_told(what):
    """A container without its own ``/proc`` gets one message at once, with the command that helps."""
    code = """
from pytest_parallel_energy.errors import ProcessError
from pytest_parallel_energy.processes.guard.container import enter_namespace
from pytest_parallel_energy.processes.guard.kernel import CLONE_NEWNS, MS_REC, MS_SLAVE, mount, unshare
enter_namespace(user=os.geteuid() != 0)
pid = os.fork()
if pid == 0:
    if sys.argv[1] == "an empty /proc":
        unshare(CLONE_NEWNS)
        mount("", "/", "", MS_REC | MS_SLAVE)
        mount("tmpfs", "/proc", "tmpfs", 0)
    try:
        start_supervised(Command(argv=("true",)))
    except ProcessError as error:
        print(error, flush=True)
    os._exit(0)
os.waitpid(pid, 0)
"""
    began_s = time.monotonic()
    result = run(code, what)
    assert "does not show the processes of this PID namespace" in result.stdout, result.stderr
    assert "mount -t proc proc /proc" in result.stdout
    assert time.monotonic() - began_s < 10


def test_a_driver_without_a_symbol_ends_no_load(tmp_path):
    """A function that the NVIDIA driver lacks means that a figure is unknown, not that the guard fails."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        pytest.skip("there is no C compiler here")
    source = tmp_path / "old.c"
    source.write_text(
        "int nvmlInit_v2(void){return 0;}\nint nvmlDeviceGetCount_v2(unsigned *n){*n=1;return 0;}\n"
        "int nvmlDeviceGetHandleByIndex_v2(unsigned i, void **d){*d=(void*)1;return 0;}\n"
    )
    library = tmp_path / "old.so"
    subprocess.run([compiler, "-shared", "-fPIC", "-o", library, source], check=True)
    gpus = gpu.open_gpus(None, str(library))
    assert (gpus.use({1}).memory_bytes, gpus.use({1}).percent, gpus.free_bytes()) == (0, None, None)
    assert gpu.open_gpus("GPU-1", str(library)) is None


def test_a_log_that_cannot_be_removed_ends_no_load(tmp_path):
    """Where the disk refuses to remove an old log, the next round's log is opened all the same."""
    folder = tmp_path / "logs"
    folder.mkdir()
    (folder / "round-21.log").mkdir()  # unlink(2) fails with EISDIR, as it does with EROFS or EIO on a broken disk
    read, write = os.pipe()
    kept = logs.Logs(read, {"log": str(folder), "marks": True, "log_limit_bytes": 10, "log_tail_bytes": 10})
    kept.open(101)
    kept.close()
    assert (folder / "round-101.log").exists()
    os.close(read)
    os.close(write)


@pytest.mark.parametrize("grace_s", [float("nan"), float("inf"), -1.0])
def test_a_grace_that_never_ends_is_refused(grace_s):
    """A grace is finite: the guard could never end it otherwise."""
    with pytest.raises(ConfigError, match="finite"):
        Supervision(grace_s=grace_s)
    with start_supervised(Command(argv=("sleep", "60")), Supervision(grace_s=0)) as child:
        with pytest.raises(ProcessError, match="finite"):
            child.stop(grace_s)
        assert child.alive


def test_a_probe_that_meets_itself_is_not_a_server():
    """A connection of a socket to its own port is not a sign that the load listens there."""
    from pytest_parallel_energy.processes.guard.readiness import is_served

    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with socket.socket() as probe:
            assert is_served(probe, port)
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind(("127.0.0.1", port))
        assert not is_served(probe, port)


def test_an_abandoned_child_was_forced():
    """A child that nobody waited for was killed by force, and its guard is collected when the next one starts."""
    child = start_supervised(Command(argv=("sleep", "60")))
    child.abandon()
    assert child.outcome.stopped == "forced"
    eventually(lambda: not alive(child.pid) and not alive(child.guard_pid))
    with start_supervised(Command(argv=("true",))) as other:
        other.wait(20)
    assert read_stat(child.guard_pid) is None


def test_a_guard_that_had_to_be_killed_is_forced():
    """A stop that had to kill the guard says that force was used."""
    child = start_supervised(Command(argv=misbehaving_argv("plain", secrets.token_hex(8))), Supervision(grace_s=0.1))
    child.STOP_MARGIN_S = 0.1
    child._guard.wake = lambda: None  # the signal that stopped it came again
    os.kill(child.guard_pid, signal.SIGSTOP)
    assert child.stop().stopped == "forced"
    assert not alive(child.guard_pid)


@pytest.mark.skipif(not works("namespace"), reason="this machine allows no PID namespace")
def test_shared_memory_of_the_host_is_visible():
    """A training reads what lies in the host's ``/dev/shm``; what it creates there is its own and vanishes."""
    name = f"energy-{secrets.token_hex(8)}"
    data, folder = Path("/dev/shm", name), Path("/dev/shm", f"{name}-folder")
    data.write_text("seen")
    folder.mkdir()
    (folder / "inside").write_text("as well")
    code = """
import sys
name = "/dev/shm/" + sys.argv[1]
print(open(name).read(), open(name + "-folder/inside").read())
open(name + "-new", "w").write("private")
"""
    try:
        with start_supervised(python(code, name), Supervision(container="namespace")) as child:
            outcome = child.wait(20)
        assert (outcome.exit_code, outcome.status.tail) == (0, "seen as well\n")
        assert data.read_text() == "seen"
        assert not Path("/dev/shm", f"{name}-new").exists()
    finally:
        data.unlink()
        shutil.rmtree(folder)


@pytest.mark.skipif(not works("namespace"), reason="this machine allows no PID namespace")
@pytest.mark.parametrize("by_rule", [False, True])
@pytest.mark.parametrize(("setting", "answer", "kept"), [(None, "EROFS", "seen"), ("writable", "written", "changed")])
def test_shared_memory_of_the_host_is_read_only(setting, answer, kept, by_rule, monkeypatch):
    """A load cannot change data that lay in the host's ``/dev/shm`` before it started, unless the user allows it."""
    name = f"energy-{secrets.token_hex(8)}"
    data, folder = Path("/dev/shm", name), Path("/dev/shm", f"{name}-folder")
    data.write_text("seen")
    folder.mkdir()
    monkeypatch.delenv("PYTEST_ENERGY_SHARED_MEMORY", raising=False)
    rules = Supervision(container="namespace")
    if setting and by_rule:
        monkeypatch.setenv("PYTEST_ENERGY_SHARED_MEMORY", "read-only")
        rules = replace(rules, shared_memory=setting)
    elif setting:
        monkeypatch.setenv("PYTEST_ENERGY_SHARED_MEMORY", setting)
    code = """
import errno, sys
name = "/dev/shm/" + sys.argv[1]
for path in (name, name + "-folder/new"):
    try:
        open(path, "w").write("changed")
        print("written")
    except OSError as error:
        print(errno.errorcode[error.errno])
open(name + "-own", "w").write("private")
"""
    try:
        with start_supervised(python(code, name), rules) as child:
            outcome = child.wait(20)
        assert (outcome.exit_code, outcome.status.tail.split()) == (0, [answer, answer])
        assert data.read_text() == kept
        assert not Path("/dev/shm", f"{name}-own").exists()
    finally:
        data.unlink()
        shutil.rmtree(folder)


def test_a_shared_memory_setting_with_a_typing_mistake_is_refused(monkeypatch):
    """The message names the variable, its value and what it may be."""
    monkeypatch.setenv("PYTEST_ENERGY_SHARED_MEMORY", "writeable")
    with pytest.raises(ConfigError, match=r"PYTEST_ENERGY_SHARED_MEMORY.*'writeable'.*read-only.*writable"):
        start_supervised(Command(argv=("true",)))


@pytest.mark.skipif(not works("namespace"), reason="this machine allows no PID namespace")
@pytest.mark.parametrize(
    "code",
    [
        "open('/dev/shm/made-later')",
        "from multiprocessing.shared_memory import SharedMemory; SharedMemory('made-later')",
    ],
)
def test_a_failure_in_shared_memory_has_a_hint(code):
    """Where the log of a command that failed names shared memory, a flag says what of it the command could see."""
    command = Command(argv=(sys.executable, "-c", code))
    with start_supervised(command, Supervision(container="namespace")) as child:
        outcome = child.wait(20)
    assert outcome.exit_code == 1
    assert any("/dev/shm" in flag and "--energy-shared-memory=writable" in flag for flag in outcome.flags)
    with start_supervised(python("print('/dev/shm')"), Supervision(container="namespace")) as child:
        assert not child.wait(20).flags


@pytest.mark.skipif(os.geteuid() != 0 or shutil.which("setpriv") is None, reason="needs root and setpriv")
def test_a_process_that_cannot_be_signalled_is_named():
    """A load that took another user's rights (EPERM) makes no guard fail: the outcome names it as left."""
    load = "import os, time; os.setresuid(65534, 65534, 65534); print('up', flush=True); time.sleep(9)"
    code = """
child = start_supervised(
    Command(argv=(sys.executable, "-I", "-S", "-c", sys.argv[1])),
    Supervision(container="subreaper", ready=Ready(kind="pattern", pattern="up"), grace_s=0.2),
)
print(child.await_ready(10))
outcome = child.stop()
print(outcome.stopped, *outcome.stuck, child.guard_pid, sep=chr(10))
"""
    argv = ["setpriv", "--bounding-set=-kill", "--inh-caps=-kill", sys.executable, "-c", STARTED + code, load]
    result = subprocess.run(
        argv,
        capture_output=True,
        text=True,
        check=False,
        timeout=40,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert result.returncode == 0, result.stderr
    ready, stopped, stuck, guard_pid = result.stdout.splitlines()
    assert (ready, stopped) == ("True", "forced")
    assert "belongs to user 65534" in stuck
    eventually(lambda: not alive(int(guard_pid)), timeout_s=15)  # it goes on until the last process has ended


@pytest.mark.parametrize("kind", [kind for kind in ("namespace", "subreaper") if works(kind)])
@pytest.mark.parametrize("call", ["setpgrp", "setsid"])
def test_a_training_may_leave_its_group(kind, call):
    """A training that begins with ``os.setpgrp()`` or ``os.setsid()`` runs, and is stopped as any other."""
    code = f"import os, time; os.{call}(); print('up', flush=True); time.sleep(60)"
    supervision = Supervision(container=kind, ready=Ready(kind="pattern", pattern="up"))
    with start_supervised(python(code), supervision) as child:
        assert child.await_ready(10)
        assert child.stop().stopped == "graceful"


def test_a_stopped_command_is_flagged():
    """A command that a signal stopped has a flag that says for how long."""
    with start_supervised(python(SLEEP), Supervision(grace_s=0)) as child:
        os.kill(child.pid, signal.SIGSTOP)
        eventually(lambda: any("the command was stopped by a signal" in flag for flag in child.status().flags), 8)


def test_a_stopped_owner_is_flagged():
    """A pytest that a signal stopped during a run has a flag: its clock went on."""
    code = """
with start_supervised(Command(argv=("sleep", "4.5"))) as child:
    print("up", flush=True)
    outcome = child.wait(20)
print(outcome.flags)
"""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen([sys.executable, "-c", STARTED + code], env=environment, stdout=subprocess.PIPE) as process:
        assert process.stdout.readline() == b"up\n"
        os.kill(process.pid, signal.SIGSTOP)
        time.sleep(2.5)
        os.kill(process.pid, signal.SIGCONT)
        assert b"pytest was stopped by a signal for" in process.stdout.read()


def test_a_command_that_runs_once_is_not_measured_by_its_guard():
    """The guard reads neither memory nor GPU of a command whose record has no field for them."""
    with start_supervised(python("import time; time.sleep(1.3)"), Supervision()) as child:
        status = child.wait(20).status
    assert (status.memory_bytes, status.gpu_memory_bytes, status.stalled_s) == (None, None, 0.0)


def test_gone_and_dead_processes_are_not_stopped():
    """A look at the moment at which a round ends counts no time as stopped by a signal."""
    from pytest_parallel_energy.processes.guard.pulse import Pulse

    pulse = Pulse({"nvml": "", "env": {}, "marks": True})
    with subprocess.Popen(["true"]) as gone:
        pass
    with subprocess.Popen(["true"]) as zombie:
        eventually(lambda: read_stat(zombie.pid).state == "Z")
        for pids in ([gone.pid], [zombie.pid], [gone.pid, zombie.pid]):
            pulse.beat(1.0, pids, paced=False)
    assert pulse.stalled_s == 0


def test_remains_that_end_slowly_end_no_load():
    """A round's processes that SIGKILL does not end at once put the next round off, and the init still listens."""
    from pytest_parallel_energy.processes.guard.container import Container
    from pytest_parallel_energy.processes.guard.init import Init
    from pytest_parallel_energy.processes.guard.lines import LineReader, send
    from pytest_parallel_energy.processes.guard.messages import (
        AnswerScript,
        InitArmed,
        RemainsKilled,
        RoundRequested,
    )
    from pytest_parallel_energy.processes.guard.spawn import InitPipes

    (control, control_write), (orders, orders_write), (reports, reports_write) = (os.pipe() for _ in range(3))
    pid = os.fork()
    if pid == 0:
        try:
            for fd in (control_write, orders_write, reports):
                os.close(fd)
            pipes = InitPipes(control=control, guard=-1, lifelines=[control], orders=orders, reports=reports_write)
            pipes.marks_read, pipes.marks = os.pipe()
            pipes.wake_read, _wake = os.pipe()
            pipes.answers, pipes.answers_write = os.pipe()
            began_s = time.monotonic()

            def kill(_pid, *, spare, deadline_s):  # as in the kernel's D state: nothing happens for 2.3 s
                time.sleep(max(0.0, min(0.05, deadline_s - time.monotonic())))
                return time.monotonic() - began_s > 2.3

            init = Init({}, pipes, Container(kind="subreaper"), kill)
            init.prepare()
            os.write(pipes.marks, b"ready\n")
            init.run()
        finally:
            os._exit(0)
    for fd in (control, orders, reports_write):
        os.close(fd)
    reader = LineReader(reports)
    heard = [*reader.read()]
    assert send(orders_write, AnswerScript(text="it listens"))
    while not heard or not isinstance(heard[-1], RoundRequested):
        heard += reader.read()
        assert not reader.ended
    assert [type(report) for report in heard] == [InitArmed, RemainsKilled, RoundRequested]
    assert heard[1].seconds > 2
    os.close(orders_write)  # the guard is gone
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    for fd in (control_write, reports):
        os.close(fd)
