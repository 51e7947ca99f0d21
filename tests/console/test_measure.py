"""The subcommand ``measure``: the command runs under a guard, and figures are reported on every orderly end."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import secrets
import shutil
import signal
import subprocess
import sys

import pytest
from polling import eventually

from pytest_parallel_energy.console.cli import main
from pytest_parallel_energy.processes.guard.procfs import all_pids, read_file, read_stat
from pytest_parallel_energy.testing.misbehaving import misbehaving_argv

MEASURE = (sys.executable, "-m", "pytest_parallel_energy", "measure", "--sensors", "estimate")
BUSY = "import time\nend_s = time.process_time() + 0.4\nwhile time.process_time() < end_s: pass"


def marked(token):
    """Return the living processes with ``token`` as their last argument, without the measuring one."""
    found = []
    for pid in all_pids():
        with contextlib.suppress(OSError):
            words = read_file(pid, "cmdline").split(b"\0")
            stat = read_stat(pid)
            if token.encode() in words and b"measure" not in words and stat is not None and stat.state not in "ZX":
                found.append(pid)
    return found


@pytest.fixture
def token():
    token = f"measure-{secrets.token_hex(8)}"
    yield token
    for pid in marked(token):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


@contextlib.contextmanager
def measuring(argv, **options):
    """Yield a running ``measure``, killed at the end."""
    process = subprocess.Popen(argv, stderr=subprocess.PIPE, text=True, **options)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("kind", ["tree", "daemon"])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP], ids=lambda number: number.name)
def test_a_request_to_end_ends_the_command_and_prints_the_figures(number, kind, token, heeded_signals):
    """SIGTERM and SIGHUP leave no process, and the figures up to then are reported."""
    with measuring([*MEASURE, "--", *misbehaving_argv(kind, token)]) as process:
        eventually(lambda: len(marked(token)) >= 2)
        process.send_signal(number)
        errors = process.communicate(timeout=30)[1]
        assert process.returncode == 128 + number, errors
    assert "boundary: " in errors
    assert "CPU time: " in errors
    assert marked(token) == []


@pytest.mark.parametrize("kind", ["ignore-signals", "daemon"])
def test_a_killed_measurement_leaves_no_process(kind, token):
    """SIGKILL of ``measure`` ends the command and what it started."""
    with measuring([*MEASURE, "--", *misbehaving_argv(kind, token)]) as process:
        eventually(lambda: len(marked(token)) >= (2 if kind == "daemon" else 1))
        process.kill()
        eventually(lambda: not marked(token), timeout_s=5)


@pytest.mark.skipif(shutil.which("timeout") is None, reason="coreutils' timeout is not installed")
def test_a_timeout_leaves_no_process_and_prints_the_figures(token):
    """``timeout 5 pytest-parallel-energy measure -- …`` ends everything; timeout's exit status is 124."""
    with measuring(["timeout", "5", *MEASURE, "--", *misbehaving_argv("daemon", token)]) as process:
        errors = process.communicate(timeout=40)[1]
        assert process.returncode == 124
    assert "boundary: " in errors
    assert marked(token) == []


def test_what_the_command_leaves_running_is_killed(token):
    """A background process of the command ends with it."""
    line = '"$@" >/dev/null 2>&1 & sleep 0.3'
    run = subprocess.run(
        [*MEASURE, "--", "sh", "-c", line, "sh", *misbehaving_argv("daemon", token)],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    assert marked(token) == []


def test_ctrl_c_reaches_the_command_from_the_terminal(heeded_signals):
    """The command has the terminal: it reads from it, gets Ctrl-C from it, and the figures follow."""
    code = """
import sys, time
print('terminal', open('/dev/tty').isatty(), flush=True)
try:
    print('read', sys.stdin.readline().strip(), flush=True)
    while True:
        time.sleep(0.05)  # not in a read: Python would notice a signal that comes just before the call only after it
except KeyboardInterrupt:
    print('interrupted', flush=True)
    raise SystemExit(5)
"""
    pid, terminal = pty.fork()
    if pid == 0:
        os.execv(sys.executable, [*MEASURE, "--", sys.executable, "-c", code])
    seen = b""

    def read_until(word):
        nonlocal seen
        while word not in seen:
            seen += os.read(terminal, 4096)

    try:
        read_until(b"terminal True")
        os.write(terminal, b"hello\n")
        read_until(b"read hello")
        os.write(terminal, b"\x03")
        with contextlib.suppress(OSError):  # Linux tells the end of a terminal as EIO
            read_until(b"nothing prints this")
        status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    finally:
        os.close(terminal)
    assert b"interrupted" in seen
    assert b"CPU time: " in seen
    assert status == 5


def test_standard_input_is_the_commands():
    """A pipe into ``measure`` is read by the command."""
    run = subprocess.run([*MEASURE, "--", "cat"], input="through\n", capture_output=True, text=True, check=True)
    assert run.stdout == "through\n"


def test_the_commands_own_share_is_reported(tmp_path):
    """CPU seconds and share are those of the command with its children; the share is a part of the total."""
    report = tmp_path / "energy.json"
    argv = [*MEASURE, "-r", "2", "--json", "-o", str(report), "--", "sh", "-c", '"$0" -c "$1"', sys.executable, BUSY]
    run = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=90)
    assert (run.returncode, run.stderr) == (0, "")
    found = json.loads(report.read_text())
    assert found["command"][0] == "sh"
    assert len(found["runs"]) == 2
    for each in found["runs"]:
        assert each["exit_status"] == 0
        assert 0.4 <= each["cpu_s"] < 10
        assert each["machine_cpu_s"] > 0.3
        assert 0 < each["attribution"]["foreground_j"] <= each["energy"]["total_j"]
    totals_j = [each["energy"]["total_j"] for each in found["runs"]]
    assert found["mean_j"] == pytest.approx(sum(totals_j) / 2)


def test_repeats_are_printed_with_their_mean(capfd):
    """``-r 2`` prints both runs, their mean and range, and returns the first status that is not 0."""
    assert main(["measure", "--sensors", "estimate", "-r", "2", "--", sys.executable, "-c", "raise SystemExit(3)"]) == 3
    errors = capfd.readouterr().err
    assert "run 1:" in errors
    assert "run 2:" in errors
    assert "2 runs: mean " in errors


def test_a_report_that_cannot_be_written_is_refused_before_the_command_runs(tmp_path, capsys):
    """The message names the file; the command has not run."""
    ran = tmp_path / "ran"
    assert main(["measure", "-o", str(tmp_path / "no" / "file"), "--", "touch", str(ran)]) == 2
    assert "no/file" in capsys.readouterr().err
    assert not ran.exists()


@pytest.mark.parametrize("count", ["0", "-1", "two"])
def test_a_number_of_runs_below_1_is_refused(count, capsys):
    """The message shows the value."""
    with pytest.raises(SystemExit) as ended:
        main(["measure", f"--repeat={count}", "--", "true"])
    assert ended.value.code == 2
    assert repr(count) in capsys.readouterr().err
