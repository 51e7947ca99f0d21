"""``--faults=full``: the whole matrix instead of each trigger and each load once, and its table."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.faults.table import render


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("faults")
    group.addoption("--faults", choices=("quick", "full"), default="quick", help="how much of the fault matrix to run")
    group.addoption("--faults-repeats", type=int, default=20, metavar="N", help="with --faults=full: runs of each pair")
    group.addoption("--faults-triggers", default="", metavar="A,B", help="with --faults=full: only these triggers")
    group.addoption("--faults-loads", default="", metavar="A,B", help="with --faults=full: only these loads")
    group.addoption("--faults-out", type=Path, metavar="FILE", help="append one JSON line a run to this file")


class Results:
    """What the matrix gave, one entry a run."""

    def __init__(self, path: Path | None) -> None:
        self.entries: list[dict[str, object]] = []
        self._path = path

    def add(self, entry: dict[str, object]) -> None:
        self.entries.append(entry)
        if self._path is not None:
            with self._path.open("a") as file:
                file.write(json.dumps(entry) + "\n")


RESULTS = pytest.StashKey[Results]()


def pytest_configure(config: pytest.Config) -> None:
    config.stash[RESULTS] = Results(config.getoption("--faults-out", default=None))


@pytest.fixture
def fault_results(request: pytest.FixtureRequest) -> Results:
    return request.config.stash[RESULTS]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    if config.getoption("--faults", default="quick") == "full" and config.stash[RESULTS].entries:
        terminalreporter.section("fault matrix")
        for line in render(config.stash[RESULTS].entries):
            terminalreporter.write_line(line)
