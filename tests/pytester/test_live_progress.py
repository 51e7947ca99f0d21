"""The live line, the heartbeat and status.json, on real terminals and pipes."""

from __future__ import annotations

import json
import os
import pty
import re
import select
import sys
import termios
import threading

import pytest
from running import running

SLOW = """
import pytest, time

@pytest.mark.parametrize("n", [1, 2])
def test_slow(energy_meter, n):
    time.sleep(1.6)
"""


def on_a_terminal(project, *arguments):
    """What pytest writes to a terminal of 100 columns, and its exit status."""
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (30, 100))
    command = [sys.executable, "-m", "pytest", *project.plugins, *arguments]
    env = {**os.environ, "TERM": "xterm", "COLUMNS": "100"}
    with running(command, cwd=project.path, stdin=theirs, stdout=theirs, stderr=theirs, env=env) as child:
        os.close(theirs)
        written = b""
        while select.select([ours], [], [], 60)[0]:
            try:
                chunk = os.read(ours, 65536)
            except OSError:
                break
            if not chunk:
                break
            written += chunk
        os.close(ours)
        return written.decode(), child.wait(60)


def test_the_live_line(project):
    """On a terminal: drawn below the cursor with save and restore, erased before pytest prints, gone at the end."""
    project.tests(SLOW)
    written, status = on_a_terminal(project)
    assert status == 0
    drawn = re.findall(r"\x1bD\x1b\[A\x1b7\x1b\[999;1H\x1b\[2K(.*?)\x1b8", written)
    assert any(re.match(r"experiment 1 of 2: test_slow\[1\], [\d.]+ m?s", line) for line in drawn)
    assert any(re.match(r"experiment 2 of 2: .*; about .* left", line) for line in drawn)
    assert all("\n" not in line and len(line) < 100 for line in drawn)
    last = written.rindex("\x1b7")
    assert written[last:].startswith("\x1b7\x1b[999;1H\x1b[2K\x1b8")
    assert "2 passed" in written[last:]


def test_the_live_line_counts_under_xdist(project):
    """The controller collects nothing, and still knows how many experiments there are and which one runs."""
    pytest.importorskip("xdist")
    project.tests(SLOW)
    written, status = on_a_terminal(project, "-p", "xdist", "-n2")
    assert status == 0
    drawn = re.findall(r"\x1b\[2K(experiment .*?)\x1b8", written)
    assert any(re.match(r"experiment 1 of 2: test_slow\[[12]\], [\d.]+ m?s", line) for line in drawn)
    assert any(re.match(r"experiment 2 of 2: .*; about .* left", line) for line in drawn)
    assert "of ?" not in written


def test_without_a_terminal_there_are_no_escape_codes(project):
    """A pipe gets plain text, and within a minute no heartbeat."""
    project.tests(SLOW)
    result = project.run()
    assert "\x1b" not in result.stdout.str()
    assert "experiment 1 of 2" not in result.stdout.str()
    status = json.loads((project.run_folder / "status.json").read_text())
    assert (status["state"], status["finished"], status["total"], status["current"]) == ("finished", 2, 2, None)
    assert status["finished_j"] == pytest.approx(sum(one["energy"]["total_j"] for one in project.records()))


def test_off_means_off(project):
    """--energy-progress=off draws nothing on a terminal; status.json is still written."""
    project.tests(SLOW)
    written, status = on_a_terminal(project, "--energy-progress=off")
    assert status == 0
    assert "\x1b[999;1H" not in written
    assert (project.run_folder / "status.json").exists()


@pytest.mark.parametrize("how", ["auto", "heartbeat"])
def test_the_heartbeat(how, request, monkeypatch):
    """Without a terminal one plain line a beat, with what the thread sees of the run."""
    from pytest_parallel_energy.plan.settings import Settings
    from pytest_parallel_energy.plugin.live_progress import LiveProgress, Pace

    class Collection:
        settings = Settings(progress=how)
        config = request.config

        class session:  # noqa: N801 - an attribute, as the real one has it
            has_store = False

    reading, writing = os.pipe()
    live = LiveProgress(Collection(), {"t.py::test_a", "t.py::test_b"}, writing, Pace(heartbeat_s=0.05, status_s=9))
    try:
        live.pytest_runtest_logstart(nodeid="t.py::test_a")
        assert select.select([reading], [], [], 30)[0]
        said = os.read(reading, 4096).decode()
    finally:
        live.pytest_sessionfinish()
        os.close(reading)
    assert re.match(r"\nenergy: experiment 1 of 2: test_a, \d+ ms\n", said)
    assert "energy-progress" not in {thread.name for thread in threading.enumerate()}
