"""The guard's parts that need no process: the clocks are arguments."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_parallel_energy.processes.guard import cgroup
from pytest_parallel_energy.processes.guard.batch import Batch, ran_out_of_memory
from pytest_parallel_energy.processes.guard.duty import Duty, LevelTally
from pytest_parallel_energy.processes.guard.lines import LineReader, LineWriter
from pytest_parallel_energy.processes.guard.logfile import RingLog
from pytest_parallel_energy.processes.guard.memory import free_ram_bytes
from pytest_parallel_energy.processes.guard.messages import LoopsInVain
from pytest_parallel_energy.processes.guard.procfs import descendants
from pytest_parallel_energy.processes.guard.rounds import Rounds

MIB = 1 << 20


@pytest.mark.parametrize("share", [0.05, 0.25, 0.5, 0.9, 0.98])
@pytest.mark.parametrize("late_s", [0.0, 0.003, 0.01])
def test_duty_reaches_its_share(share, late_s):
    """The share of time that runs is the one asked for, also when the timer is late each time."""
    duty, now_s, chance = Duty(share), 0.0, random.Random(1)
    duty.begin(now_s)
    while now_s < 30:
        now_s = duty.switch(now_s) + chance.random() * late_s
    duty.pause(now_s)
    assert duty.reached() == pytest.approx(share, abs=0.01)


def test_duty_does_not_count_pauses():
    """Time between rounds counts neither way."""
    duty = Duty(0.5)
    assert duty.reached() is None
    duty.begin(0.0)
    duty.pause(1.0)
    duty.begin(100.0)
    duty.pause(101.0)
    assert duty.reached() == 1.0


def test_steering_reaches_a_target():
    """A load whose utilisation is 80 % of its share is steered to 40 % by a share of a half."""
    duty = Duty(1.0)
    for _ in range(60):
        duty.steer(80 * duty.share, 40)
    assert duty.share == pytest.approx(0.5, abs=0.01)
    for _ in range(60):
        duty.steer(0, 100)
    assert duty.share == 1.0


def test_level_tally_has_an_error():
    """The mean has an interval as soon as there are two readings, and none before."""
    tally = LevelTally()
    assert (tally.mean(), tally.u95()) == (None, None)
    tally.add(50)
    assert (tally.mean(), tally.u95()) == (50, None)
    tally.add(60)
    assert tally.mean() == 55
    assert tally.u95() == pytest.approx(10)


def test_batch_is_the_one_asked_for_where_it_fits():
    """With enough memory nothing changes."""
    batch = Batch(64)
    assert batch.fit(8000 * MIB) == 64
    batch.learn(1000 * MIB)
    assert batch.fit(8000 * MIB) == 64
    assert batch.sizes == [64]


def test_batch_shrinks_to_what_fits_and_grows_back():
    """Two rounds tell the fixed part and the slope; the size follows the memory below its ceiling."""
    batch = Batch(64)
    batch.learn((200 + 64 * 10) * MIB)
    first = batch.fit(500 * MIB)
    assert 0 < first < 64
    batch.learn((200 + first * 10) * MIB)
    assert batch.fit(500 * MIB) == (450 - 200) // 10
    assert batch.fit(10_000 * MIB) == 64
    assert batch.fit(None) == 64


def test_batch_halves_after_running_out_of_memory():
    """Each round out of memory halves the ceiling; at 1 there is nothing left to halve."""
    batch = Batch(5)
    assert [batch.halve(), batch.halve(), batch.halve()] == [True, True, False]
    assert batch.sizes == [5, 2, 1]


def test_batch_only_shrinks_after_it_is_frozen():
    """Once the window opened, free memory does not make it grow."""
    batch = Batch(64)
    batch.learn(640 * MIB)
    batch.fit(320 * MIB)
    batch.freeze()
    frozen = batch.size
    assert batch.fit(10_000 * MIB) == frozen
    shrunk = batch.fit(100 * MIB)
    assert shrunk < frozen
    assert batch.fit(10_000 * MIB) == shrunk


@given(
    first=st.integers(1, 4096), rounds=st.lists(st.tuples(st.integers(0, 1 << 40), st.integers(0, 1 << 40)), max_size=8)
)
def test_batch_stays_in_its_bounds(first, rounds):
    """Whatever is read, the size is from 1 to the one asked for."""
    batch = Batch(first)
    for free, held in rounds:
        assert 1 <= batch.fit(free) <= first
        batch.learn(held)


@pytest.mark.parametrize(
    ("code", "tail", "out"),
    [
        (1, b"torch.OutOfMemoryError: CUDA out of memory. Tried to allocate", True),
        (1, b"MemoryError\n", True),
        (137, b"", True),
        (1, b"ValueError: no", False),
        (0, b"we are never out of memory", False),
    ],
)
def test_out_of_memory_is_recognised(code, tail, out):
    """A failed round whose log speaks of memory, or that the kernel killed, ran out of it; one that passed did not."""
    assert ran_out_of_memory(code, tail) is out


def test_free_memory_is_read(tmp_path):
    """The kernel's estimate of available memory, in bytes; unknown where there is none."""
    (tmp_path / "meminfo").write_text("MemTotal:  10 kB\nMemAvailable:   7 kB\n")
    assert free_ram_bytes(tmp_path / "meminfo", tmp_path / "none") == 7 * 1024
    assert free_ram_bytes(tmp_path / "nothing") is None


def test_a_full_pipe_cuts_no_line():
    """What the pipe does not take now is written when it is read, in order."""
    read, write = os.pipe()
    os.set_blocking(read, False)
    os.set_blocking(write, False)
    reader, writer = LineReader(read), LineWriter(write)
    messages = [LoopsInVain(rounds=number, code=1, tail="x" * 50_000) for number in range(5)]
    for message in messages:
        writer.send(message)
    assert writer.pending
    found = []
    while len(found) < 5:
        writer.flush()
        found += reader.read()
    assert found == messages
    assert not writer.pending
    os.close(read)
    writer.send(messages[0])
    assert not writer.pending  # nobody reads any more
    os.close(write)


def test_rounds_are_judged_and_put_off():
    """Bad rounds double the wait, a good one ends it, and what was broken off is neither."""
    rounds = Rounds(min_round_s=0.1, backoff_s=1.0, backoff_max_s=3.0)
    delays, good_s = [], []
    for start, length, code in [(0, 1, 0), (2, 1, 5), (4, 0.01, 0), (6, 1, 1), (8, 1, 0)]:
        rounds.begin(start)
        good_s.append(rounds.good_s(start + length))
        rounds.end(start + length, code)
        delays.append(rounds.delay_s())
    rounds.begin(10)
    rounds.break_off(12.5)
    assert delays == [0, 1, 2, 3, 0]
    assert rounds.good_s(15) is None
    figures = rounds.figures(20)
    assert (figures["completed"], figures["failed"], figures["exit_codes"]) == (3, 2, [0, 5, 0, 1, 0])
    assert figures["ran_s"] == pytest.approx(6.51)
    assert good_s == pytest.approx([1, 2, 0.01, 1, 1])  # what has run well before a bad round counts no more
    assert figures["ended_s"] == pytest.approx(4.01)
    assert figures["gap_s"] == pytest.approx(1.99)  # the time after the stop is none


@given(
    chunks=st.lists(st.binary(max_size=60), max_size=30),
    limit=st.integers(0, 100),
    tail=st.integers(1, 50),
)
def test_log_keeps_its_head_and_its_tail(tmp_path_factory, chunks, limit, tail):
    """Whatever is written, the file begins with the first bytes, ends with the last, and is bounded."""
    path = tmp_path_factory.mktemp("log") / "log"
    log = RingLog(str(path), limit_bytes=limit, tail_bytes=tail)
    for chunk in chunks:
        log.write(chunk)
    log.close()
    whole, kept = b"".join(chunks), path.read_bytes()
    assert kept.startswith(whole[:limit])
    assert kept.endswith(whole[-min(tail, len(whole)) :] if whole else b"")
    assert len(kept) <= limit + tail + 60
    if len(whole) <= limit + tail:
        assert kept == whole


def test_a_list_of_children_longer_than_a_page_is_whole():
    """The kernel gives such a list a page at a time: nobody may be missing from what is stopped, counted and killed."""
    code = """
import os, signal, time
for _ in range(1200):
    if os.fork() == 0:
        signal.pause()
print("up", flush=True)
signal.pause()
"""
    argv = [sys.executable, "-I", "-S", "-c", code]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, start_new_session=True) as process:
        try:
            assert process.stdout.readline() == b"up\n"
            assert len(descendants(process.pid)) == 1200
        finally:
            os.killpg(process.pid, signal.SIGKILL)


def test_members_of_a_group_that_cannot_be_seen_are_nobody(tmp_path):
    """A member of a PID namespace beside ours is listed as 0; what is below pid 0 is the whole machine."""
    (tmp_path / "cgroup.procs").write_text("0\n17\n0\n")
    assert cgroup.members(str(tmp_path)) == [17]
