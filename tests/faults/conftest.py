"""``--faults=full``: the whole matrix instead of each trigger and each load once, and its table."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.faults.nursery import Nursery
from tests.faults.table import render

PROPERTY = "fault_run"


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("faults")
    group.addoption("--faults", choices=("quick", "full"), default="quick", help="how much of the fault matrix to run")
    group.addoption("--faults-repeats", type=int, default=20, metavar="N", help="with --faults=full: runs of each pair")
    group.addoption("--faults-triggers", default="", metavar="A,B", help="with --faults=full: only these triggers")
    group.addoption("--faults-loads", default="", metavar="A,B", help="with --faults=full: only these loads")
    group.addoption("--faults-containers", default="", metavar="A,B", help="with --faults=full: only held by these")
    group.addoption(
        "--faults-start",
        choices=("exec", "fork"),
        help="whether each pytest is a new program (default), or forked from one that has imported everything "
        "(default with --faults=full)",
    )
    group.addoption("--faults-out", type=Path, metavar="FILE", help="append one JSON line a run to this file")


class Results:
    """What the matrix gave, one entry a run; under xdist the controller's, from its workers' reports."""

    def __init__(self, path: Path | None) -> None:
        self.entries: list[dict[str, Any]] = []
        self._path = path

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Keep the entry that a finished run left in its report."""
        found = [value for name, value in report.user_properties if name == PROPERTY]
        if report.when != "teardown" or not found:
            return
        entry = json.loads(str(found[0]))
        self.entries.append(entry)
        if self._path is not None:
            with self._path.open("a") as file:
                file.write(json.dumps(entry) + "\n")

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """The table."""
        if self.entries:
            terminalreporter.section("fault matrix")
            for line in render(self.entries):
                terminalreporter.write_line(line)


def pytest_configure(config: pytest.Config) -> None:
    if config.getoption("--faults", default="quick") == "full" and not hasattr(config, "workerinput"):
        config.pluginmanager.register(Results(config.getoption("--faults-out")))


@pytest.fixture(scope="session")
def nursery(request: pytest.FixtureRequest) -> Iterator[Nursery | None]:
    """Where the pytests are forked, unless each is to be a new program."""
    option = request.config.getoption
    if (option("--faults-start") or ("fork" if option("--faults") == "full" else "exec")) == "exec":
        yield None
        return
    nursery = Nursery()
    yield nursery
    nursery.close()
