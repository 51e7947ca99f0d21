"""A small project whose tests run in all ranks of a launcher and wait for each other: no rank can be skipped."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

__all__ = ["RankProject"]

PACKAGE_ROOT = Path(__file__).parents[2]

MEETING = '''
"""Lets all ranks of a job wait for each other through files, as a collective operation does."""
import os, pathlib, time
from pytest_parallel_energy.host.launcher import rank_from

def meet(name, limit_s=20.0):
    rank = rank_from(os.environ)
    folder = pathlib.Path(__file__).parent / "meetings"
    folder.mkdir(exist_ok=True)
    (folder / f"{name}-{rank.rank}").touch()
    deadline_s = time.monotonic() + limit_s
    while len(list(folder.glob(f"{name}-*"))) < rank.size:
        assert time.monotonic() < deadline_s, f"rank {rank.rank} waited {limit_s} s for the others"
        time.sleep(0.02)
    return rank
'''

ALL_RANKS = """
from meeting import meet

def test_together(energy_meter):
    rank = meet("body")
    sum(i * i for i in range(300_000))
    assert energy_meter.total_j > 0
    print("meter says", repr(energy_meter.total_j))
"""


@dataclass(frozen=True, slots=True)
class RankProject:
    """The folder of the project, and the launchers that run pytest or a training in it."""

    path: Path

    @classmethod
    def create(cls, path: Path, tests: str = ALL_RANKS) -> RankProject:
        """Write the project."""
        (path / "meeting.py").write_text(MEETING)
        (path / "test_it.py").write_text(tests)
        (path / "pytest.ini").write_text("[pytest]\naddopts = -p no:cacheprovider\n")
        return cls(path)

    @property
    def environment(self) -> dict[str, str]:
        """The environment of a launcher."""
        return {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")} | self.changes

    @property
    def changes(self) -> dict[str, str]:
        """The variables that a launcher needs: the plugin, a host lock of its own, and the estimate as the sensor."""
        return {
            "PYTHONPATH": os.pathsep.join([str(PACKAGE_ROOT), os.environ.get("PYTHONPATH", "")]),
            "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
            "PYTEST_ENERGY_HOST_LOCK_DIR": str(self.path),
            "PYTEST_ENERGY_SENSORS": "estimate",
            "OMP_NUM_THREADS": "1",
        }

    def pytest(self, *arguments: str) -> list[str]:
        """Return the command of pytest in this project."""
        return [sys.executable, "-m", "pytest", "-q", "-s", "-p", "pytest_parallel_energy.plugin", *arguments]

    def launch(self, launcher: list[str], command: list[str], timeout_s: float = 90.0) -> subprocess.CompletedProcess:
        """Run a command under a launcher to its end, and return its exit code and output."""
        return subprocess.run(
            [*launcher, *command],
            cwd=self.path,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=timeout_s,
            check=False,
        )

    def records(self) -> list[dict]:
        """Return the records of all runs of the project."""
        files = [file for file in self.path.glob("energy-results/*/records.jsonl") if not file.parent.is_symlink()]
        return [json.loads(line) for file in sorted(files) for line in file.read_text().splitlines()]
