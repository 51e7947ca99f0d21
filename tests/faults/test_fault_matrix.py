"""The fault matrix: whatever ends a session, nothing that it started is left."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest

from pytest_parallel_energy.testing.misbehaving import MISBEHAVING
from tests.faults.harness import Case, started
from tests.faults.triggers import TRIGGERS

CONTAINERS = ("auto", "subreaper")
LOADS = sorted(set(MISBEHAVING) - {"sleep"})
# Each trigger and each load at least once: the two lists side by side, the shorter one again from its start.
COUNT = max(len(TRIGGERS), len(LOADS))
PAIRS = [
    (trigger, kind, CONTAINERS[number % 2])
    for number, trigger, kind in zip(range(COUNT), itertools.cycle(TRIGGERS), itertools.cycle(LOADS), strict=False)
]


def run_case(trigger_name: str, kind: str, container: str, folder: Path) -> tuple[list[str], float]:
    """Survivors, and seconds from the trigger until the load was gone."""
    trigger = TRIGGERS[trigger_name]
    case = trigger.case()
    case.kind, case.container = kind, container
    with started(case, folder) as run:
        if trigger.wait_for != "starting":
            run.wait_until_up(kind)
        run.wait_for(trigger.wait_for)
        run.look()
        spared = trigger.act(run) or set()
        survivors, seconds = run.wait_until_gone(but=run.owners())
        return survivors or run.wait_until_gone(but=spared)[0], seconds


@pytest.mark.parametrize(("trigger", "kind", "container"), PAIRS)
def test_nothing_is_left(trigger, kind, container, tmp_path):
    """Nothing is left after this trigger under this load, held in this way."""
    survivors, _seconds = run_case(trigger, kind, container, tmp_path)
    assert survivors == []


def test_harness_sees_what_is_left(tmp_path):
    """The proof is worth something: a daemon that nobody guards is found."""
    body = """
import subprocess
subprocess.Popen(CASE["argv"], start_new_session=True)
tell("loose")
os._exit(0)
"""
    with started(Case(body="from conftest import CASE" + body, kind="daemon"), tmp_path) as run:
        run.wait_until_up("daemon")
        run.wait_for("loose")
        assert run.wait_until_gone(0.5)[0] != []
