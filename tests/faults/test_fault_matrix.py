"""The fault matrix: whatever ends a session, nothing that it started is left."""

from __future__ import annotations

import itertools
import json
import os
import shutil
from pathlib import Path

import pytest

from tests.faults.conftest import PROPERTY
from tests.faults.harness import LOADS, Case, groups_left, started
from tests.faults.nursery import Nursery
from tests.faults.triggers import TRIGGERS
from tests.processes.containers import works

CONTAINERS = ("auto", "subreaper", *(("cgroup",) if works("cgroup") else ()))
# Each trigger and each load at least once: the two lists side by side, the shorter one again from its start.
COUNT = max(len(TRIGGERS), len(LOADS))
PAIRS = [
    (trigger, kind, CONTAINERS[number % len(CONTAINERS)])
    for number, trigger, kind in zip(range(COUNT), itertools.cycle(TRIGGERS), itertools.cycle(LOADS), strict=False)
]


def run_case(
    trigger_name: str,
    kind: str,
    container: str,
    folder: Path,
    *,
    nursery: Nursery | None = None,
    plugin: bool = False,
) -> tuple[list[str], float]:
    """Survivors, and seconds from the trigger until the load was gone."""
    trigger = TRIGGERS[trigger_name]
    case = trigger.case()
    case.kind, case.container, case.plugin = kind, container, plugin
    with started(case, folder, nursery) as run:
        if trigger.wait_for != "starting":
            run.wait_until_up(kind)
        if trigger.wait_for != "ready":  # the test has done something since
            run.wait_for(trigger.wait_for)
            run.look()
        spared = trigger.act(run) or set()
        survivors, seconds = run.wait_until_gone(but=run.owners())
        # A worker whose controller was killed is xdist's: it ends itself within some seconds.
        return survivors or run.wait_until_gone(30.0, but=spared)[0] or groups_left(run), seconds


def pytest_generate_tests(metafunc):
    if "kind" not in metafunc.fixturenames:
        return
    pairs = PAIRS
    option = metafunc.config.getoption
    if option("--faults") == "full":
        axes = (
            option(f"--faults-{axis}").split(",") if option(f"--faults-{axis}") else every
            for axis, every in (("triggers", TRIGGERS), ("loads", LOADS), ("containers", CONTAINERS))
        )
        pairs = [*itertools.product(*axes)] * option("--faults-repeats")
    ids = [f"{'-'.join(pair)}-{number}" for number, pair in enumerate(pairs)]
    metafunc.parametrize(("trigger", "kind", "container"), pairs, ids=ids)


def test_nothing_is_left(trigger, kind, container, tmp_path, nursery, record_property):
    """Nothing is left after this trigger under this load, held in this way."""
    survivors, seconds = run_case(trigger, kind, container, tmp_path, nursery=nursery)
    held = "namespace" if container == "auto" else container
    entry = {"trigger": trigger, "load": kind, "container": held, "seconds": seconds, "survivors": survivors}
    record_property(PROPERTY, json.dumps(entry | {"uid": os.geteuid()}))
    shutil.rmtree(tmp_path)
    assert survivors == []


@pytest.mark.parametrize(
    "trigger", ["sigkill", "sigterm", "ctrl-c", "ctrl-c-twice-0.05s", "timeout-thread", "os-exit", "xdist-group-killed"]
)
def test_nothing_is_left_by_the_plugin(trigger, tmp_path):
    """The same with the plugin's own fixture, its signal handlers and its record-keeping around it."""
    survivors, _seconds = run_case(trigger, "daemon", "auto", tmp_path, plugin=True)
    assert survivors == []


def test_nothing_is_left_by_a_pattern_that_backtracks(tmp_path):
    """A readiness pattern that takes for ever on the load's output does not keep guard and load alive."""
    survivors, seconds = run_case("sigkill-before-ready", "backtrack", "auto", tmp_path)
    assert survivors == []
    assert seconds < 2.0


def test_a_load_without_the_plugin_ends_with_the_controller(tmp_path):
    """A load that a test starts by itself does not wait for its xdist worker to notice that the controller is dead."""
    survivors, seconds = run_case("xdist-controller-killed", "plain", "auto", tmp_path)
    assert survivors == []
    assert seconds < 2.0


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
