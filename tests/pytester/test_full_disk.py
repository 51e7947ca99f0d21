"""Whole sessions on a disk that fills: on a small tmpfs in a mount namespace of its own."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

import pytest

from pytest_parallel_energy.records.reader import read_records

SUITE = """
import os, pathlib, pytest

DISK = pathlib.Path(os.environ["SMALL_DISK"])

def fill():
    with (DISK / "ballast").open("ab", buffering=0) as file:
        for size in (65536, 4096, 1):
            try:
                while True:
                    file.write(bytes(size))
            except OSError:
                pass

def test_1(energy_meter): pass

def test_2(energy_meter): fill()

def test_3(energy_meter): pass

def test_4(energy_meter): pass

def test_5(energy_meter): pass

def test_6(energy_meter): pass

def test_7(energy_meter): pass

def test_8(energy_meter): pass
"""

FREED = """
import os, pathlib, pytest

@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish():
    (pathlib.Path(os.environ["SMALL_DISK"]) / "ballast").unlink(missing_ok=True)
"""


@pytest.fixture
def small_disk(project, monkeypatch):
    """Run pytest with its results on a disk of 512 KiB; gives the result and a copy of that disk."""
    trial = ["unshare", "-m", "mount", "-t", "tmpfs", "-o", "size=64k", "none", "/mnt"]
    if shutil.which("unshare") is None or subprocess.run(trial, check=False, capture_output=True).returncode:
        pytest.skip("a tmpfs cannot be mounted here: that takes root and mount namespaces")
    disk, copy, spare = (project.path / name for name in ("disk", "copy", "spare"))
    disk.mkdir()
    spare.mkdir()
    monkeypatch.setenv("SMALL_DISK", str(disk))
    monkeypatch.setenv("TMPDIR", str(spare))
    project.tests(SUITE)

    def run(*arguments):
        mount = 'mount -t tmpfs -o size=512k none "$0" || exit 99'
        script = f'{mount}; "$@"; status=$?; cp -a "$0" "$SMALL_COPY"; exit $status'
        command = [sys.executable, "-m", "pytest", *project.plugins, "-p", "no:cacheprovider", "-p", "no:randomly"]
        return subprocess.run(
            ["unshare", "-m", "sh", "-c", script, str(disk), *command, f"--energy-dir={disk / 'results'}", *arguments],
            cwd=project.path, env=os.environ | {"SMALL_COPY": str(copy)}, capture_output=True, text=True, check=False,
        )  # fmt: skip

    return run, copy / "results", spare


def names(records):
    return sorted((record.nodeid.rpartition("::")[2], record.status.value) for record in records)


ALL_PASSED = [(f"test_{number}", "passed") for number in range(1, 9)]


@pytest.mark.parametrize("workers", [(), ("-p", "xdist", "-n1")], ids=["plain", "xdist"])
def test_a_disk_that_stays_full_loses_and_invents_nothing(small_disk, workers):
    """Eight tests pass: what the disk did not take is saved elsewhere, and no attempt is read as crashed."""
    run, results, spare = small_disk
    result = run(*workers)
    assert result.returncode == 0, result.stdout
    assert "8 passed" in result.stdout
    assert "they were saved to" in result.stdout
    (saved,) = spare.glob("pytest-energy-*.jsonl")
    kept = read_records(results).records
    assert names(kept + read_records(saved).records) == ALL_PASSED
    assert len(kept) < 8


@pytest.mark.parametrize("workers", [(), ("-p", "xdist", "-n1")], ids=["plain", "xdist"])
def test_a_disk_that_is_freed_before_the_end_holds_each_record_once(small_disk, project, workers):
    """A record that waited for room is written as it is, not behind an invented crashed one."""
    (project.path / "conftest.py").write_text(FREED)
    run, results, spare = small_disk
    result = run(*workers)
    assert result.returncode == 0, result.stdout
    assert not list(spare.glob("pytest-energy-*.jsonl"))
    assert names(read_records(results).records) == ALL_PASSED
    assert (results / "latest" / "records.jsonl").read_bytes().count(b"\n") == 8
    assert (results / "latest" / "summary.csv").exists()
    assert '"exit_status": 0' in (results / "latest" / "run.json").read_text()
