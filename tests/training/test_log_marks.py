"""Moments in a log: the guard notes when each piece of output arrived, and lines that name epochs cut the time."""

from __future__ import annotations

import itertools
import re
import sys
import time

import pytest

from pytest_parallel_energy.processes.child import start_supervised
from pytest_parallel_energy.processes.command import Command
from pytest_parallel_energy.processes.guard.output_times import OutputTimes
from pytest_parallel_energy.processes.rules import Supervision
from pytest_parallel_energy.training import log_search
from pytest_parallel_energy.training.log_marks import EpochMarks, MarkedLog, Targets, read_log_marks

EPOCH = re.compile("epoch (\\d+)")


def marked_log(folder, *pieces, end_s):
    """A log and its times: each piece is the seconds at which it arrived, and its bytes."""
    log, times = folder / "training.log", folder / "training.times"
    log.write_bytes(b"".join(data for _, data in pieces))
    entries, total = [], 0
    for at_s, data in pieces:
        total += len(data)
        entries.append(f"{total} {at_s}\n")
    times.write_text("".join(entries))
    return MarkedLog(log=log, times=times, start_s=100.0, end_s=end_s)


def spans(marks):
    return [(span.name, span.start_s, span.end_s) for span in marks.epochs]


SUMMARY = (
    (101.0, b"loading\n"),
    (110.0, b"epoch 1: loss 3\n"),
    (120.0, b"epoch 2: loss 2\nepoch"),
    (130.0, b" 3: loss 1\n"),
)


def test_lines_at_the_end_of_epochs(tmp_path):
    """The first epoch begins with the training; a line that arrived in two pieces counts when it is complete."""
    marks = read_log_marks(marked_log(tmp_path, *SUMMARY, end_s=131.0), EpochMarks(pattern=EPOCH), Targets())
    assert spans(marks) == [("1", 100.0, 110.0), ("2", 110.0, 120.0), ("3", 120.0, 130.0)]
    assert marks.flags == ()


def test_lines_at_the_beginning_of_epochs(tmp_path):
    """Of several lines that name an epoch the first one counts; the last epoch ends with the training."""
    log = marked_log(
        tmp_path,
        (105.0, b"\x1b[32mepoch 1\x1b[0m batch 0\rep"),
        (108.0, b"och 1 batch 9"),
        (110.0, b"\repoch 2 batch 0\r\n"),
        (115.0, b"epoch 2 batch 9\n"),
        end_s=121.0,
    )
    marks = read_log_marks(log, EpochMarks(pattern=EPOCH, line="begins"), Targets())
    assert spans(marks) == [("1", 105.0, 110.0), ("2", 110.0, 121.0)]


def test_the_wrong_kind_of_line_is_noticed(tmp_path):
    """A training that runs on for most of an epoch after its last line printed it at the beginning."""
    marks = read_log_marks(marked_log(tmp_path, *SUMMARY, end_s=139.0), EpochMarks(pattern=EPOCH), Targets())
    (flag,) = marks.flags
    assert '"line": "begins"' in flag


def test_a_log_without_epochs_is_a_remark(tmp_path):
    """The pattern is named."""
    marks = read_log_marks(marked_log(tmp_path, (101.0, b"x\n"), end_s=102.0), EpochMarks(pattern=EPOCH), Targets())
    assert marks.epochs == ()
    assert "epoch (" in marks.flags[0]


@pytest.mark.parametrize("lower", [False, True])
def test_the_moment_at_which_a_metric_reached_its_value(tmp_path, lower):
    """The first line that reaches it counts; a value that is not reached has no moment."""
    log = marked_log(
        tmp_path,
        (101.0, b"a: 0.5\n"),
        (102.0, b"a: nan\na: 0.7\n"),
        (103.0, b"a: 0.9\n"),
        (104.0, b"a: 0.2\n"),
        end_s=105.0,
    )
    patterns = {"a": re.compile("a: (\\S+)")}
    lower_names = frozenset({"a"} if lower else ())
    targets = [Targets(patterns=patterns, values={"a": value}, lower=lower_names) for value in (0.3, 0.7, 0.1, 0.95)]
    found = [read_log_marks(log, None, each).reached[0].at_s for each in targets]
    assert found == ([104.0, 101.0, None, 101.0] if lower else [101.0, 102.0, 101.0, None])


def test_a_log_with_a_gap_is_refused(tmp_path):
    """Where the middle of a log was left out, no line can be given a time."""
    log = marked_log(tmp_path, *SUMMARY, end_s=131.0)
    log.log.write_bytes(log.log.read_bytes()[:-5])
    marks = read_log_marks(log, EpochMarks(pattern=EPOCH), Targets())
    assert marks.epochs == ()
    assert re.search("holds .* of the .* bytes", marks.flags[0])


def test_lines_know_where_they_end(tmp_path, monkeypatch):
    """Also across blocks, with carriage returns, without an end, and in both halves of a log that is too large."""
    log = tmp_path / "log"
    log.write_bytes(b"one\r\ntwo\rthree\n\nfour")
    for block in (6, 7, 9, 1000):
        monkeypatch.setattr(log_search, "_BLOCK_BYTES", block)
        assert list(log_search.lines(log)) == [(3, "one"), (8, "two"), (14, "three"), (20, "four")]
    monkeypatch.setattr(log_search, "MOST_BYTES", 10)
    assert [text for _, text in log_search.lines(log)] == ["one", "four"]


def test_the_guard_notes_when_output_arrived(tmp_path):
    """A real child prints three lines 0.2 s apart; their times are in order and lie within its life."""
    code = "import time\nfor i in range(3):\n    print('line', i, flush=True)\n    time.sleep(0.2)"
    log, times = tmp_path / "log", tmp_path / "times"
    began_s = time.monotonic()
    with start_supervised(Command(argv=(sys.executable, "-c", code)), Supervision(log=log, log_times=times)) as child:
        assert child.wait(30) is not None
    entries = [line.split() for line in times.read_text().splitlines()]
    at_s = [float(text) for end, text in entries if int(end) in {7, 14, 21}]
    assert began_s < at_s[0] < at_s[1] < at_s[2] < time.monotonic()
    assert all(later - earlier >= 0.15 for earlier, later in itertools.pairwise(at_s))


def test_times_of_endless_output_stay_bounded(tmp_path, monkeypatch):
    """Full entries are thinned: later times only, none after a later one, and the last one stays."""
    monkeypatch.setattr("pytest_parallel_energy.processes.guard.output_times._MOST_ENTRIES", 8)
    kept = OutputTimes()
    for number in range(1, 101):
        kept.note(number * 10, number * 0.01)
    kept.write(str(tmp_path / "times"))
    entries = [line.split() for line in (tmp_path / "times").read_text().splitlines()]
    assert len(entries) <= 9
    assert int(entries[-1][0]) == 1000
    assert all(float(at_s) >= int(end) / 1000 - 1e-9 for end, at_s in entries[:-1])
