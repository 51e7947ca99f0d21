"""Whole sessions that run one shard of a sweep each, and their merge."""

from __future__ import annotations

import json

import pytest

from pytest_parallel_energy.console.cli import main

SWEEP = """
import pytest

@pytest.mark.energy(repeats=2)
@pytest.mark.parametrize("value", ["a", "b", "c"])
def test_value(value, energy_meter):
    pass

def test_plain():
    pass
"""


@pytest.fixture
def sweep(project):
    project.ini("energy_idle = 0", "energy_sensors = estimate")
    project.tests(SWEEP)
    return project


def run_info(folder):
    return json.loads((folder / "latest" / "run.json").read_text())


def test_shards_split_by_cell_and_merge_to_the_whole(sweep, capsys):
    """Both repetitions of a cell stay in one shard; the shards share a study; merge has nothing to report."""
    for shard, count in ((1, 2), (2, 1)):
        result = sweep.run(f"--energy-shard={shard}/2", f"--energy-dir=s{shard}")
        result.assert_outcomes(passed=2 * count + 1, deselected=6 - 2 * count)
        result.stdout.fnmatch_lines([f"energy: shard {shard}/2 of study *: * experiment* left to *"])
    first, second = (run_info(sweep.path / name)["study"] for name in ("s1", "s2"))
    assert first["id"] == second["id"]
    assert first["cells"] == second["cells"] == [f"test_it.py::test_value[{value}]" for value in "abc"]
    capsys.readouterr()
    assert main(["merge", "s1", "s2", "-o", "all"]) == 0
    printed = "".join(capsys.readouterr())
    assert "6 records" in printed
    assert "study" not in printed


def test_merge_reports_what_is_missing(sweep, capsys):
    """A missing shard is named, with its cells; two runs of one shard are named too."""
    sweep.run("--energy-shard=1/2", "--energy-dir=s1")
    sweep.run("--energy-shard=1/2", "--energy-dir=again")
    assert main(["merge", "s1", "again", "-o", "all"]) == 0
    printed = " ".join("".join(capsys.readouterr()).split())
    assert "shard 2/2 is missing" in printed
    assert "shard 1/2 occurs 2 times" in printed
    assert "1 of 3 cells have no measurement that passed: test_it.py::test_value[b]" in printed


def test_shards_of_different_studies_are_named(sweep, capsys):
    """Another test on one host makes another study, whose shards do not belong together."""
    sweep.run("--energy-shard=1/2", "--energy-dir=s1")
    sweep.tests(SWEEP.replace('"c"', '"c", "d"'))
    sweep.run("--energy-shard=2/2", "--energy-dir=s2")
    assert main(["merge", "s1", "s2", "-o", "all"]) == 0
    assert "shards of different studies" in " ".join("".join(capsys.readouterr()).split())


def test_times_of_the_history_balance_the_shards(sweep):
    """The slow cell is alone in its shard; times come from --energy-history only."""
    sweep.tests(SWEEP.replace("    pass\n\ndef", "    __import__('time').sleep(0.5 * (value == 'b'))\n\ndef"))
    sweep.run("--energy-dir=past")
    history = f"--energy-history={sweep.path / 'past' / 'latest'}"
    result = sweep.run("--energy-shard=1/2", "--energy-dir=s1", history)
    result.assert_outcomes(passed=3, deselected=4)
    result.stdout.no_fnmatch_line("*test_value?a*")
    records = (sweep.path / "s1" / "latest" / "records.jsonl").read_text().splitlines()
    assert {json.loads(line)["nodeid"][:23] for line in records} == {"test_it.py::test_value["}
    assert all("[b-" in json.loads(line)["nodeid"] for line in records)


def test_another_shard_is_not_resumed(sweep):
    """Two shards that share a results folder cannot resume each other's run."""
    sweep.run("--energy-shard=1/2")
    result = sweep.run("--energy-shard=2/2", "--energy-resume")
    assert result.ret == 4
    result.stderr.fnmatch_lines(["*--energy-resume: * is shard 1/2 of the study *, and this session is shard 2/2 of *"])
    sweep.run("--energy-shard=1/2", "--energy-resume").assert_outcomes(passed=1, deselected=6)


def test_a_resumed_shard_stays_a_shard(sweep):
    """Without the option, resuming runs what is left of the shard and nothing of the others."""
    sweep.run("--energy-shard=2/2")
    result = sweep.run("--energy-resume")
    result.assert_outcomes(passed=1, deselected=6)
    result.stdout.fnmatch_lines(["energy: shard 2/2 of study *"])


def test_a_shard_outside_of_the_range_is_refused(sweep):
    """The message names the option and the range."""
    result = sweep.run("--energy-shard=3/2")
    assert result.ret == 4
    result.stderr.fnmatch_lines(["*--energy-shard: there is no shard 3 of 2; shards count from 1 to 2"])


def test_workers_of_xdist_tell_the_controller_their_study(sweep):
    """The run.json that the controller writes holds the study that only its workers know."""
    pytest.importorskip("xdist")
    result = sweep.run("-p", "xdist", "-n1", "--energy-shard=1/2")
    assert result.ret == 0
    assert run_info(sweep.path / "energy-results")["study"]["shard"] == 1
