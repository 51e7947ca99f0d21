"""What the whole test suite shares: a time limit for each test, and a maker of records."""

from __future__ import annotations

import itertools
import os
import signal
from collections.abc import Callable
from typing import Any

import pytest

from pytest_parallel_energy.records.record import (
    DomainEnergy,
    HostPart,
    LoadReport,
    Record,
    Status,
    WindowResult,
    WorkloadPart,
)

RecordMaker = Callable[..., Record]
BOUNDARY = "CPU packages; without DRAM, GPU, board, power supply"


def energy_part(total_j: float | None = 1234.5, **fields: Any) -> WindowResult:
    known = total_j is not None
    defaults: dict[str, Any] = {
        "window_s": 62.1,
        "total_j": total_j,
        "total_u95_j": total_j * 0.04 if known else None,
        "quality": "counter" if known else "missing",
        "boundary": BOUNDARY,
        "cpu_j": total_j,
        "mean_w": total_j / 62.1 if known else None,
        "domains": (
            DomainEnergy(
                name="package-0",
                kind="cpu",
                joules=total_j,
                u95_j=total_j * 0.04 if known else None,
                quality="counter" if known else "missing",
                source="powercap",
                reason=None if known else "permission denied",
            ),
        ),
    }
    return WindowResult(**(defaults | fields))


@pytest.fixture
def make_record() -> RecordMaker:
    """A maker of whole records; fields of the energy by ``total_j`` and ``energy``, all others by name."""
    counter = itertools.count()

    def make(
        total_j: float | None = 1234.5, *, lr: float = 0.0123, load: bool = False, energy: Any = None, **fields: Any
    ) -> Record:
        number = next(counter)
        parameters = f"lr={lr}" + ("-bg=VulBERTa/mlp" if load else "")
        background = (
            LoadReport(
                name="VulBERTa/mlp",
                repository="VulBERTa",
                model="mlp",
                rounds_completed=12,
                coverage_ratio=0.984,
                stop="graceful",
            ),
        )
        repetition = fields.get("repetition", 0)
        defaults: dict[str, Any] = {
            "record_id": f"record-{number}",
            "run_id": "run",
            "nodeid": f"experiments/test_resnet.py::test_resnet20[{parameters}-rep{repetition}]",
            "cell": f"cell-{parameters}",
            "status": Status.PASSED,
            "started_at": "2026-01-02T03:04:05+00:00",
            "duration_s": 63.0,
            "workload": WorkloadPart(
                repository="pytorch_resnet_cifar10",
                model="resnet20",
                hyperparameters={"learning_rate": lr, "epochs": 2},
                mutated=("learning_rate",),
                metrics={"test_accuracy": 0.4321},
            ),
            "energy": energy if energy is not None else energy_part(total_j),
            "background": background if load else (),
            "host": HostPart(machine_id="machine-a", hostname="alpha", cpu="EPYC 7763", sockets=2, threads=256),
        }
        return Record(**(defaults | fields))

    return make


@pytest.fixture
def heeded_signals():
    """Make Ctrl-C, SIGQUIT and SIGHUP act here and in what is started here, also below a shell's ``&`` or ``nohup``."""
    ignored = [n for n in (signal.SIGINT, signal.SIGQUIT, signal.SIGHUP) if signal.getsignal(n) == signal.SIG_IGN]
    for number in ignored:
        signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
    yield
    for number in ignored:
        signal.signal(number, signal.SIG_IGN)


_MISSING = ("not installed", "could not import", "needs a C compiler")
"""Beginnings of reasons for which a test is skipped because a program or package is absent."""


def _fail_if_required(report: pytest.TestReport | pytest.CollectReport) -> None:
    """Turn a skip for an absent program into a failure where all of them are required, as in ``.ci/run``."""
    if report.skipped and os.environ.get("REQUIRE_INTEGRATIONS") and isinstance(report.longrepr, tuple):
        reason = report.longrepr[2]
        if any(words in reason for words in _MISSING):
            report.outcome = "failed"
            report.longrepr = f"{reason.removeprefix('Skipped: ')}, but REQUIRE_INTEGRATIONS is set"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport():
    report = yield
    _fail_if_required(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report():
    report = yield
    _fail_if_required(report)
    return report


def pytest_collection_modifyitems(items):
    """A limit for the tests here; the reference experiments train for as long as their authors wish."""
    for item in items:
        if item.get_closest_marker("timeout") is None:
            item.add_marker(pytest.mark.timeout(120))
