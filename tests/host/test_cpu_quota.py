"""The hardware threads that this process may use: affinity and quotas of both versions of cgroups."""

from __future__ import annotations

import os

import pytest

from pytest_parallel_energy.host.cpu_quota import usable_threads

ALL = float(len(os.sched_getaffinity(0)))


@pytest.fixture
def trees(tmp_path):
    proc, groups = tmp_path / "proc", tmp_path / "cgroup"
    (proc / "self").mkdir(parents=True)
    groups.mkdir()

    def place(line, files):
        (proc / "self" / "cgroup").write_text(line)
        for path, text in files.items():
            (groups / path).parent.mkdir(parents=True, exist_ok=True)
            (groups / path).write_text(text)
        return usable_threads(proc, groups)

    return place


@pytest.mark.parametrize(
    ("line", "files", "threads"),
    [
        ("0::/a/b\n", {"a/b/cpu.max": "50000 100000\n"}, 0.5),
        ("0::/a/b\n", {"a/cpu.max": "20000 100000\n", "a/b/cpu.max": "max 100000\n"}, 0.2),
        ("0::/host/path/not/mounted\n", {"cpu.max": "50000 100000\n"}, 0.5),
        ("3:cpu,cpuacct:/c\n", {"cpu,cpuacct/c/cpu.cfs_quota_us": "30000", "cpu,cpuacct/c/cpu.cfs_period_us": "100000"},
         0.3),
        ("3:cpu:/c\n", {"cpu/c/cpu.cfs_quota_us": "-1", "cpu/c/cpu.cfs_period_us": "100000"}, ALL),
        ("0::/a\n", {"a/cpu.max": "max 100000\n"}, ALL),
        ("4:memory:/c\n", {"memory/c/cpu.max": "1 100000\n"}, ALL),
        ("0::/\n", {"cpu.max": "nonsense"}, ALL),
    ],
    ids=["v2", "a group above", "inside a container", "v1", "v1 without quota", "v2 without quota", "memory", "odd"],
)  # fmt: skip
def test_the_smallest_quota_counts(trees, line, files, threads):
    """The quota of the own group or one above it, in threads; without one the affinity."""
    assert trees(line, files) == pytest.approx(threads)


def test_no_proc(tmp_path):
    """Without the list of cgroups the affinity counts."""
    assert usable_threads(tmp_path, tmp_path) == ALL
