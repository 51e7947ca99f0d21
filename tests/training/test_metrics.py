"""What a log says."""

from __future__ import annotations

import re
import tempfile
import time
import tracemalloc
from pathlib import Path

import pytest

from pytest_parallel_energy.training.hyperparameter import Hyperparameter
from pytest_parallel_energy.training.metrics import LogMetric, read_log_file

ACCURACY = {"accuracy": re.compile(r"^accuracy: (\S+)$", re.MULTILINE)}


def read_log(text, patterns, hyperparameters, values):
    """Read a log with this text, as a training leaves it."""
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder, "log")
        log.write_bytes(text.encode())
        return read_log_file(log, patterns, hyperparameters, values)


def rate(kind="float"):
    return {"lr": Hyperparameter(name="lr", flag="--lr", kind=kind, applied=re.compile(r"lr=(\S+)"))}


def test_the_last_match_of_a_metric_counts():
    """Trainings print a metric each epoch; the last one is the result."""
    assert read_log("accuracy: 0.1\naccuracy: 0.9\n", ACCURACY, {}, {}).metrics == {"accuracy": 0.9}


def test_colours_and_redrawn_lines_do_not_hide_a_metric():
    """Progress bars and colour codes are taken out before the patterns look."""
    log = "50 %\raccuracy: 0.1\r100 %\r\n\x1b[32maccuracy: 0.7\x1b[0m\r\n"
    assert read_log(log, ACCURACY, {}, {}).metrics == {"accuracy": 0.7}


@pytest.mark.parametrize("text", ["nan", "inf", "oops", "1,5"])
def test_a_metric_that_is_no_finite_number_is_missing_and_flagged(text):
    """Unknown is not zero, and a diverged loss is not a number."""
    reading = read_log(f"accuracy: {text}\n", ACCURACY, {}, {})
    assert reading.metrics == {}
    assert reading.flags == (f"accuracy: the log shows {text!r}, which is not a finite number",)


def test_the_first_match_of_an_applied_value_counts():
    """A schedule moves the rate later; what was applied at the start is compared."""
    reading = read_log("lr=0.1\nlr=0.01\n", {}, rate(), {"lr": 0.1})
    assert reading.applied == {"lr": 0.1}
    assert reading.flags == ()


@pytest.mark.parametrize(
    ("asked", "shown", "same"),
    [
        (0.1, "0.1", True),
        (0.1, "0.100000", True),
        (1e-05, "1e-05", True),
        (0.012345678, "0.01235", True),
        (0.012345678, "1.2346e-02", True),
        (0.1, "0.10000000149011612", True),
        (0.062, "0.02", False),
        (1.0347e-05, "0.000010", False),
        (0.0512, "0.05", False),
        (0.012345678, "0.01236", False),
    ],
)
def test_asked_and_applied_are_compared_as_far_as_the_log_shows(asked, shown, same):
    """A log with three or more digits agrees when they agree; fewer digits are no proof of the same value."""
    flags = read_log(f"lr={shown}", {}, rate(), {"lr": asked}).flags
    assert flags == (() if same else (f"lr: asked for {asked!r}, applied {shown}",))


def test_an_applied_value_of_each_type():
    """Whole numbers written as floats, booleans and texts are understood; what is not is flagged."""
    assert read_log("lr=10.000", {}, rate("int"), {"lr": 10}).applied == {"lr": 10}
    assert read_log("lr=True", {}, rate("bool"), {"lr": True}).flags == ()
    assert read_log("lr=b", {}, rate("str"), {"lr": "a"}).flags == ("lr: asked for 'a', applied b",)
    assert read_log("lr=x", {}, rate("int"), {"lr": 1}).flags == (
        "lr: the log shows 'x', which is not a value of type int",
    )


def test_a_log_that_does_not_show_the_value_is_flagged():
    """Silence is not proof; a value that was left to the training is not missed."""
    assert read_log("", {}, rate(), {"lr": 0.1}).flags == ("lr: the log does not show which value was applied",)
    assert read_log("", {}, rate(), {"lr": None}).flags == ()
    assert read_log("lr=0.3", {}, rate(), {"lr": None}).applied == {"lr": 0.3}


def test_a_log_of_broken_bytes_or_none_at_all_is_read(tmp_path):
    """Bytes that are not UTF-8 do not hide a metric; a missing log is flagged."""
    (tmp_path / "log").write_bytes(b"\xff\xfe\naccuracy: 0.5\n")
    assert read_log_file(tmp_path / "log", ACCURACY, {}, {}).metrics == {"accuracy": 0.5}
    assert "cannot be read" in read_log_file(tmp_path / "none", ACCURACY, {}, {}).flags[0]


def test_a_huge_log_is_read_at_both_ends(tmp_path):
    """Of 100 MB the beginning (what was applied) and the end (the result) count, and a flag says so."""
    with (tmp_path / "log").open("wb") as stream:
        stream.write(b"lr=0.1\naccuracy: 0.2\n")
        stream.seek(100_000_000)
        stream.write(b"\naccuracy: 0.8\n")
    reading = read_log_file(tmp_path / "log", ACCURACY, rate(), {"lr": 0.1})
    assert reading.metrics == {"accuracy": 0.8}
    assert reading.applied == {"lr": 0.1}
    assert any("first and last" in flag for flag in reading.flags)


def metric(pattern):
    return {"accuracy": re.compile(pattern, re.MULTILINE)}


def test_a_pattern_that_backtracks_without_end_is_stopped_and_named(tmp_path):
    """The reading ends at the deadline; the other patterns keep their matches."""
    (tmp_path / "log").write_text("a" * 60 + "!\nloss: 0.5\n")
    patterns = {"trap": re.compile(r"^((?:a+)+)$", re.MULTILINE), "loss": re.compile(r"loss: (\S+)")}
    started = time.monotonic()
    reading = read_log_file(tmp_path / "log", patterns, {}, {}, deadline_s=0.3)
    assert time.monotonic() - started < 10
    assert reading.metrics == {"loss": 0.5}
    (flag,) = reading.flags
    assert flag.startswith("trap: its metric pattern was stopped after 0.3 s")


def test_an_applied_pattern_that_is_stopped_is_named_once(tmp_path):
    """It is not said, in addition, that the log does not show the value: nobody looked to the end."""
    (tmp_path / "log").write_text("a" * 60 + "!\n")
    known = {"lr": Hyperparameter(name="lr", flag="--lr", kind="float", applied=re.compile(r"^((?:a+)+)$"))}
    (flag,) = read_log_file(tmp_path / "log", {}, known, {"lr": 0.1}, deadline_s=0.2).flags
    assert flag.startswith("lr: its applied pattern was stopped")


@pytest.mark.parametrize("size", [60_000, 1_000_000, 3_000_000])
def test_a_long_line_costs_little_and_is_flagged(tmp_path, size):
    """``.*accuracy`` on one long line took time that grew with the square of its length."""
    (tmp_path / "log").write_text("x" * size + "\naccuracy: 0.5\n")
    started = time.monotonic()
    reading = read_log_file(tmp_path / "log", metric(r".*accuracy: ([0-9.]+)"), {}, {})
    assert time.monotonic() - started < 5
    assert reading.metrics == {"accuracy": 0.5}
    assert "first 8192 characters of long lines" in reading.flags[0]


def test_a_log_larger_than_the_limit_is_read_at_both_ends_in_little_memory(tmp_path):
    """200 MB of binary output cost neither memory nor minutes, and a flag tells what was not searched."""
    with (tmp_path / "log").open("wb") as log:
        log.write(b"lr=0.1\n")
        log.seek(200_000_000)
        log.write(b"\naccuracy: 0.5\n")
    tracemalloc.start()
    reading = read_log_file(tmp_path / "log", ACCURACY, rate(), {"lr": 0.1})
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 5_000_000
    assert (reading.metrics, reading.applied) == ({"accuracy": 0.5}, {"lr": 0.1})
    assert any("only its first and last 33554432 bytes" in flag for flag in reading.flags)


def test_a_match_across_the_border_of_two_blocks_is_found(tmp_path):
    """Blocks end at the end of a line, also where a progress bar only writes carriage returns."""
    filler = "step 1 of many\r" * 69_905  # a block of 1 MiB ends inside the next line
    (tmp_path / "log").write_text(filler + "accuracy: 0.25\rdone\n", newline="")
    assert read_log_file(tmp_path / "log", ACCURACY, {}, {}).metrics == {"accuracy": 0.25}


def test_a_log_that_is_not_a_file_is_a_flag(tmp_path):
    """A device or a folder is named; it is never read."""
    assert "is not a plain file" in read_log_file(Path("/dev/zero"), ACCURACY, {}, {}).flags[0]


@pytest.mark.parametrize(
    ("pick", "expected"),
    [("last", 2.0), ("first", 1.0), ("min", -3.0), ("max", 4.0), ("mean", 1.0), ("each", 2.0)],
)
def test_which_match_counts(tmp_path, pick, expected):
    """Of all matches that are finite numbers; ``each`` keeps them all beside the last."""
    log = tmp_path / "training.log"
    log.write_text("".join(f"loss: {value}\n" for value in (1, 4, "nan", -3, 2)))
    metric = LogMetric(re.compile("^loss: (\\S+)$", re.MULTILINE), pick)
    reading = read_log_file(log, {"loss": metric}, {}, {})
    assert reading.metrics == {"loss": expected}
    assert reading.series == ({"loss": (1.0, 4.0, -3.0, 2.0)} if pick == "each" else {})
    assert reading.flags == ()
