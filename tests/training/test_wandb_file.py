"""Metrics from the files of wandb's offline runs: stored ones of two versions, damaged ones, and a real run."""

from __future__ import annotations

import json
import struct
import zlib
from pathlib import Path

import pytest

from pytest_parallel_energy.training.foreground import Training, read_training, run_training
from pytest_parallel_energy.training.metric_files import MetricFile, read_metric_files
from pytest_parallel_energy.training.registry import load_registry
from pytest_parallel_energy.training.wandb_file import wandb_documents

DATA = Path(__file__).parent / "data"
STORED = ("wandb-0.16.6.wandb", "wandb-0.31.0.wandb")
"""Offline runs that logged SCRIPT's values with these versions of wandb."""
SCRIPT = """
import wandb

with wandb.init(project="p", settings=wandb.Settings(console="off", disable_git=True)) as run:
    for epoch, accuracy in enumerate((0.5, 0.9, 0.8)):
        run.log({"loss": 1 / (epoch + 1), "val/acc": accuracy, "test": {"f1": accuracy / 2}, "long": "x" * 40_000})
    run.summary["best"] = 0.9
"""
WANTED = {
    "last": MetricFile(file="wandb/*run-*/*.wandb", key="val/acc"),
    "best": MetricFile(file="wandb/*run-*/*.wandb", key="val/acc", pick="max"),
    "loss": MetricFile(file="wandb/*run-*/*.wandb", key="loss", pick="mean"),
    "inner": MetricFile(file="wandb/*run-*/*.wandb", key="test.f1"),
    "summary": MetricFile(file="wandb/*run-*/*.wandb", key="best"),
}
EXPECTED = {"last": 0.8, "best": 0.9, "loss": (1 + 1 / 2 + 1 / 3) / 3, "inner": 0.4, "summary": 0.9}


def offline_run(folder: Path, content: bytes) -> Path:
    """Put a file where an offline run leaves it below its output folder, and return its path."""
    run = folder / "wandb" / "offline-run-20261125_024919-f8axga3i"
    run.mkdir(parents=True)
    (run / "run-f8axga3i.wandb").write_bytes(content)
    return run / "run-f8axga3i.wandb"


def record(content: bytes, kind: int = 1) -> bytes:
    """Return a fragment with its check sum and size."""
    return struct.pack("<IHB", zlib.crc32(content, zlib.crc32(bytes([kind]))), len(content), kind) + content


@pytest.mark.parametrize("stored", STORED)
def test_metrics_of_an_offline_run(tmp_path, stored):
    """Logged values by step, in an object, and the summary's own, as two versions of wandb wrote them."""
    offline_run(tmp_path, (DATA / stored).read_bytes())
    metrics, flags = read_metric_files(tmp_path, WANTED)
    assert flags == []
    assert metrics == pytest.approx(EXPECTED)


@pytest.mark.parametrize("stored", STORED)
def test_a_run_that_was_killed_keeps_the_steps_before(tmp_path, stored):
    """At whichever byte the file ends, what was read is the beginning of the steps, and nothing is invented."""
    content = (DATA / stored).read_bytes()
    steps = wandb_documents(content, "history")
    assert [step["val/acc"] for step in steps] == [0.5, 0.9, 0.8]
    for size in range(7, len(content)):
        cut = wandb_documents(content[:size], "history")
        assert cut == steps[: len(cut)]
    assert wandb_documents(content + bytes(1000), "history") == steps


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "does not begin as the file of a wandb run does"),
        (b"{}", "does not begin as the file of a wandb run does"),
        (b":W&B\xe1\xbe\x00" + record(b"\x12\x7f"), "a field is longer than its message"),
        (b":W&B\xe1\xbe\x00" + record(b"\x12"), "is not a readable file of a wandb run"),
        (b":W&B\xe1\xbe\x00" + record(b"\x10\x01"), "is not a readable file of a wandb run"),
        (b":W&B\xe1\xbe\x00" + record(b"\x17"), "is not a readable file of a wandb run"),
        (b":W&B\xe1\xbe\x00" + record(b"abc")[:-1] + b"x", "check sum"),
        (b":W&B\xe1\xbe\x00" + record(b"\xf8\x01\x05"), "has no 'val/acc'"),
    ],
)
def test_a_file_that_is_not_one_of_wandb_is_refused_with_a_reason(tmp_path, content, words):
    """An empty, foreign or damaged file gives a flag, and no metric."""
    offline_run(tmp_path, content)
    metrics, flags = read_metric_files(tmp_path, {"acc": WANTED["last"]})
    assert metrics == {}
    assert words in flags[0]


def test_a_record_over_several_blocks(tmp_path):
    """A long record is in several fragments, each in a block of 32 KiB."""
    item = b"\x12\x07val/acc\x82\x01\x040.75"
    message = b"\x12" + bytes([len(item) + 2]) + b"\x0a" + bytes([len(item)]) + item
    long = b"\x82\x01" + b"\xc0\xb8\x02" + b"x" * 40_000 + message  # field 16: 40 000 bytes that nothing reads
    first = 32 * 1024 - 7 - 7
    content = b":W&B\xe1\xbe\x00" + record(long[:first], 2) + record(long[first:], 4) + record(message)
    offline_run(tmp_path, content)
    metrics, flags = read_metric_files(tmp_path, {"acc": WANTED["last"]})
    assert (metrics, flags) == ({"acc": 0.75}, [])
    assert len(wandb_documents(content, "history")) == 2


def test_a_key_with_dots_and_one_within_objects(tmp_path):
    """A key that itself contains dots counts first, then the keys of objects in objects."""
    (tmp_path / "results.json").write_text('{"a.b": 1, "a": {"b": 2, "c": 3}}')
    wanted = {key: MetricFile(file="results.json", key=key) for key in ("a.b", "a.c")}
    assert read_metric_files(tmp_path, wanted) == ({"a.b": 1.0, "a.c": 3.0}, [])


def test_metrics_of_a_real_offline_run(tmp_path):
    """A registered training that uses wandb as it does without a network, and is told its folder by WANDB_DIR."""
    pytest.importorskip("wandb", reason="wandb is not installed")
    (tmp_path / "checkout").mkdir()
    (tmp_path / "checkout" / "train.py").write_text(SCRIPT)
    files = {name: {"file": place.file, "key": place.key, "pick": place.pick} for name, place in WANTED.items()}
    entry = {
        "path": "checkout",
        "models": ["default"],
        "train_script": "train.py",
        "output": {"env": "WANDB_DIR"},
        "env": {"WANDB_MODE": "offline", "WANDB_SILENT": "true"},
        "performance_metrics": {"files": files},
    }
    (tmp_path / "registry.json").write_text(json.dumps({"models": {"own": entry}}))
    workload = load_registry([tmp_path / "registry.json"]).workload("own/default")
    result = read_training(run_training(Training(workload=workload, values={}, threads=1), tmp_path / "run"))
    assert (result.status, result.flags) == ("passed", ())
    assert result.metrics == pytest.approx(EXPECTED)
