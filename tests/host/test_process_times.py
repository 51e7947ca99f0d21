"""CPU seconds of this process and its descendants between two moments, with real processes."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import threading
import time

import pytest
from polling import eventually

from pytest_parallel_energy.host.process_times import FOREGROUND, ProcessTimes

BURN = "import sys, time\nwhile time.process_time() < float(sys.argv[1]): pass\nprint(flush=True)\nsys.stdin.read()"


def burn(seconds):
    """Use the CPU in this thread."""
    until_s = time.thread_time() + seconds
    while time.thread_time() < until_s:
        pass


class Worker:
    """A child that uses so many CPU seconds on request, and waits."""

    def __init__(self):
        code = (
            "import sys, time\nfor line in sys.stdin:\n    until = time.process_time() + float(line)\n"
            "    while time.process_time() < until: pass\n    print(time.process_time(), flush=True)\n"
        )
        argv = [sys.executable, "-I", "-S", "-c", code]
        self.process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def work(self, seconds):
        self.process.stdin.write(f"{seconds}\n")
        self.process.stdin.flush()
        return float(self.process.stdout.readline())

    def end(self):
        self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()


@pytest.fixture
def start():
    """Starts workers that have ended with the test."""
    with contextlib.ExitStack() as stack:

        def make():
            worker = Worker()
            stack.callback(worker.end)
            return worker

        yield make


def used_s(times, owner=FOREGROUND):
    times.look(thorough=True)
    return times.used_s().get(owner, 0.0)


def test_threads_of_this_process_count():
    """Two threads that use 0.1 s each count 0.2 s."""
    times = ProcessTimes()
    threads = [threading.Thread(target=burn, args=(0.1,)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert used_s(times) == pytest.approx(0.2, abs=0.1)


def test_a_living_child_counts_as_a_difference(start):
    """A worker that lived before counts for what it used since, as it used it."""
    worker = start()
    worker.work(0.5)
    times = ProcessTimes()
    worker.work(0.3)
    assert used_s(times) == pytest.approx(0.3, abs=0.1)


def test_an_ended_child_counts_for_its_time_inside_alone(start):
    """The kernel adds the whole life of a reaped child to its parent; 0.5 s of it were before."""
    worker = start()
    worker.work(0.5)
    times = ProcessTimes()
    worker.work(0.2)
    worker.end()
    assert used_s(times) == pytest.approx(0.2, abs=0.1)


def test_a_child_within_one_look_counts():
    """A child that began and ended between two looks is in its parent's account."""
    times = ProcessTimes()
    subprocess.run([sys.executable, "-c", BURN, "0.3"], check=True, stdin=subprocess.DEVNULL)
    assert used_s(times) == pytest.approx(0.3, abs=0.1)


def test_a_child_that_nobody_waits_for_does_not_count_backwards(start):
    """Where SIGCHLD is ignored, a long earlier life is in no account: it is not taken away from the rest."""
    code = (
        "import signal, subprocess, sys, time\nsignal.signal(signal.SIGCHLD, signal.SIG_IGN)\n"
        f"child = subprocess.Popen([sys.executable, '-c', {BURN!r}, '0.5'], stdin=subprocess.PIPE, "
        "stdout=subprocess.PIPE)\nchild.stdout.readline()\nprint(flush=True)\nsys.stdin.readline()\n"
        "child.kill()\ntime.sleep(0.1)\nwhile time.process_time() < 0.4: pass\nprint(time.process_time(), flush=True)\n"
        "sys.stdin.read()"
    )
    parent = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    parent.stdout.readline()
    times = ProcessTimes()
    parent.stdin.write("\n")
    parent.stdin.flush()
    parent.stdout.readline()
    assert 0.2 <= used_s(times) <= 0.5
    parent.communicate()


def test_an_orphan_stays_ours():
    """A process whose parent has ended counts on, found by what was seen before or by the marker."""
    code = (
        "import subprocess, sys\np = subprocess.Popen([sys.executable, '-c', sys.argv[1], '0.4'], "
        "start_new_session=True, stdout=subprocess.DEVNULL)\nprint(p.pid, flush=True)"
    )
    times = ProcessTimes(marker="RIG=one")
    parent = subprocess.run(
        [sys.executable, "-c", code, BURN.replace("sys.stdin.read()", "time.sleep(60)")],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        env={**os.environ, "RIG": "one"},
    )
    orphan = int(parent.stdout.split()[0])
    try:
        assert eventually(lambda: seconds if (seconds := used_s(times)) > 0.4 else None) < 0.8
        unmarked = ProcessTimes(marker="RIG=two")
        assert used_s(unmarked) < 0.2
    finally:
        os.kill(orphan, 9)


def test_an_orphan_of_a_fork_is_ours():
    """A fork of this process that runs on without its parent carries no marker and counts all the same."""
    times = ProcessTimes()
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        if os.fork() == 0:
            os.setsid()
            burn(0.3)
            os.write(writer, b"%d" % os.getpid())
            time.sleep(60)
        os._exit(0)
    os.waitpid(child, 0)
    orphan = int(os.read(reader, 20))
    try:
        assert used_s(times) == pytest.approx(0.3, abs=0.15)
    finally:
        os.kill(orphan, 9)
        os.close(reader)
        os.close(writer)


def test_loads_have_owners_of_their_own(start):
    """A child that holds a load, and all below it, is the load's; also after it has ended."""
    worker, load = start(), start()
    load.work(0.3)
    times = ProcessTimes(lambda: {load.process.pid: "load"})
    load.work(0.2)
    worker.work(0.1)
    times.look()
    load.work(0.1)
    load.end()
    assert used_s(times, "load") == pytest.approx(0.3, abs=0.1)
    assert used_s(times) == pytest.approx(0.1, abs=0.1)


def test_a_process_of_others_is_nobody_s():
    """A process that was started with another environment and without this one as ancestor is not counted."""
    code = "import subprocess, sys\nprint(subprocess.Popen(sys.argv[1:], env={}, stdout=-3).pid, flush=True)"
    burner = [sys.executable, "-c", BURN.replace("sys.stdin.read()", "time.sleep(60)"), "0.3"]
    helper = subprocess.run([sys.executable, "-c", code, *burner], stdout=subprocess.PIPE, text=True, check=True)
    stranger = int(helper.stdout.split()[0])
    try:
        times = ProcessTimes(marker="RIG=one")
        time.sleep(0.3)
        assert used_s(times) < 0.2
    finally:
        os.kill(stranger, 9)
