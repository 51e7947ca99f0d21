"""The energy of a job over its nodes: added up, and never smaller because a node is missing."""

from __future__ import annotations

import itertools
import json
from datetime import UTC, datetime, timedelta

import pytest
from copied import replace

from pytest_parallel_energy.console.cli import main
from pytest_parallel_energy.records.energy_values import DomainEnergy, WindowResult
from pytest_parallel_energy.records.record import HostPart, JobPart, Status
from pytest_parallel_energy.records.store import RunStore
from pytest_parallel_energy.reports.board_lines import cell_boards, node_sentences, node_table
from pytest_parallel_energy.reports.json_report import json_report
from pytest_parallel_energy.reports.markdown import markdown_report
from pytest_parallel_energy.reports.report import Report
from pytest_parallel_energy.statistics.grouping import group_cells
from pytest_parallel_energy.statistics.node_totals import node_totals


@pytest.fixture
def node(make_record):
    """A maker of the record of one node of a job of two nodes with two ranks each."""

    def make(number, total_j, *, u95_j=4.0, window_s=10.0, source="powercap", **fields):
        record = make_record(total_j, nodeid="test_it.py::test_x", cell=f"of-host-{number}", **fields)
        domains = tuple(replace(domain, source=source) for domain in record.energy.domains)
        energy = replace(record.energy, total_u95_j=u95_j, window_s=window_s, domains=domains)
        job = JobPart(launcher="srun", key="srun-7.0", rank=2 * number, size=4, local_size=2, node=number, nodes=2)
        host = HostPart(machine_id=f"machine-{number}", hostname=f"n{number}")
        return replace(record, energy=energy, job=job, host=host)

    return make


def test_joules_add_and_the_longest_time_counts(node):
    """Sensors of the same model err together: their half-widths add."""
    (total,) = node_totals([node(0, 100.0, window_s=10.0), node(1, 50.0, u95_j=3.0, window_s=12.0)])
    assert (total.total_j, total.u95_j, total.window_s, total.recorded_nodes) == (150.0, 7.0, 12.0, 2)
    assert str(total).startswith("test_it.py::test_x, job srun-7.0, 2 of 2 nodes: 150 J ± 7 J in 12 s")


def test_sensors_of_different_models_are_independent(node):
    """Their half-widths add in quadrature."""
    (total,) = node_totals([node(0, 100.0, u95_j=4.0), node(1, 50.0, u95_j=3.0, source="nvml")])
    assert total.u95_j == pytest.approx(5.0)


def test_a_missing_node_makes_the_total_incomplete(node):
    """There is no sum over the nodes that happen to be there."""
    (total,) = node_totals([node(0, 100.0)])
    assert total.total_j is None
    assert total.u95_j is None
    assert "1 of 2 nodes: the total is incomplete: the records cover 2 of 4 ranks" in str(total)


def test_an_unknown_energy_makes_the_total_incomplete(node):
    """A node whose sensor failed is named."""
    (total,) = node_totals([node(0, 100.0), node(1, None)])
    assert total.total_j is None
    assert total.problems == ("the energy of n1 is unknown",)


def test_nodes_that_measured_different_things_have_no_total(node):
    """A counter and an estimate, or totals with and without DRAM, are shown side by side and not added."""
    estimated = node(1, 50.0)
    estimated = replace(estimated, energy=replace(estimated.energy, quality="estimated"))
    (total,) = node_totals([node(0, 100.0), estimated])
    assert total.total_j is None
    (problem,) = total.problems
    assert problem.startswith("the nodes did not measure the same: n0 100 J (counter of ")
    assert ", n1 50 J (estimated of " in problem
    with_dram = replace(estimated, energy=replace(estimated.energy, quality="counter", boundary="CPU packages + DRAM"))
    (total,) = node_totals([node(0, 100.0), with_dram])
    assert total.total_j is None
    other_sockets = replace(node(1, 50.0), energy=replace(node(1, 50.0).energy, domains=()))
    (total,) = node_totals([node(0, 100.0), other_sockets])
    assert total.total_j == 150.0


def test_one_machine_is_not_counted_twice(node):
    """Two nodes of a scheduler may be one machine, which each of them measures as a whole."""
    first, second = node(0, 100.0), node(1, 100.0)
    (total,) = node_totals([first, replace(second, host=first.host)])
    assert total.total_j is None
    assert "the same machine" in total.problems[0]


def test_the_attempt_that_passed_counts(node):
    """A node that was tried again is added once."""
    failed = replace(node(0, 1000.0), status=Status.FAILED)
    (total,) = node_totals([failed, node(0, 100.0), node(1, 50.0)])
    assert total.total_j == 150.0


AT_ONE_PORT = "torchrun-none-n0:29500"


def of_run(record, run, start_s, duration_s=60.0, key=AT_ONE_PORT):
    """The record as a run has it that a clock saw so many seconds after midnight."""
    started_at = (datetime(2026, 1, 2, tzinfo=UTC) + timedelta(seconds=start_s)).isoformat()
    job = replace(record.job, key=key, launcher="torchrun")
    run_id = f"{record.host.hostname}-{run}"
    return replace(record, job=job, run_id=run_id, started_at=started_at, duration_s=duration_s)


@pytest.mark.parametrize("skew_s", [0.0, 20.0, -20.0])
@pytest.mark.parametrize("order", list(itertools.permutations(range(4))))
def test_two_jobs_at_one_port_have_two_totals(node, skew_s, order):
    """Torchrun without an id gives both the same key; clocks may differ, and the order does not count."""
    records = [
        of_run(node(0, 100.0), 1, 0.0),
        of_run(node(1, 50.0), 1, 1.0 + skew_s),
        of_run(node(0, 1000.0), 2, 65.0),
        of_run(node(1, 500.0), 2, 64.0 + skew_s),
    ]
    totals = node_totals([records[place] for place in order])
    assert {total.started_at: total.total_j for total in totals} == {
        min(one.started_at, other.started_at): joules
        for one, other, joules in ((records[0], records[1], 150.0), (records[2], records[3], 1500.0))
    }
    assert all(f"job {AT_ONE_PORT} of 2026-01-0" in str(total) for total in totals)


def test_two_jobs_of_which_nodes_are_missing_are_not_one(node):
    """The first node of one job and the second node of the next have no total, in one clock or nearly so."""
    lost = [of_run(node(0, 100.0), 1, 0.0), of_run(node(1, 500.0), 2, 55.0)]
    totals = node_totals(lost)
    assert [total.total_j for total in totals] == [None, None]
    assert "1 of 2 nodes: the total is incomplete: the records cover 2 of 4 ranks; other records with this" in str(
        totals[0]
    )
    complete = node_totals([*lost, of_run(node(0, 1000.0), 2, 56.0)])
    assert sorted(total.total_j or 0.0 for total in complete) == [0.0, 1500.0]
    grown = [replace(record, job=replace(record.job, size=size)) for record, size in zip(lost, (4, 8), strict=True)]
    assert [total.total_j for total in node_totals([replace(each, started_at="") for each in grown])] == [None, None]


def test_a_key_with_an_id_is_one_job_whatever_the_clocks_say(node):
    """Nodes without a common time still have a total; a job that Slurm started again has one per start."""
    apart = [of_run(node(0, 100.0), 1, 0.0, key="srun-7.0"), of_run(node(1, 50.0), 1, 9000.0, key="srun-7.0")]
    (total,) = node_totals(apart)
    assert (total.total_j, total.started_at) == (150.0, None)
    again = [of_run(node(0, 100.0), 1, 0.0, key="srun-7.0")]
    again += [of_run(node(number, 50.0), 2, 900.0, key="srun-7.0") for number in (0, 1)]
    assert [total.total_j for total in node_totals(again)] == [None, 100.0]


def test_records_without_a_time_are_joined_as_far_as_their_ranks_allow(node):
    """A time that cannot be read tells nothing apart."""
    unknown = [replace(of_run(node(number, 50.0), 1, 0.0), started_at="") for number in (0, 1)]
    (total,) = node_totals(unknown)
    assert total.total_j == 100.0


def test_a_job_on_one_node_has_no_total(node, make_record):
    """Its record holds the energy of all ranks already."""
    record = node(0, 100.0)
    assert node_totals([replace(record, job=replace(record.job, size=2)), make_record()]) == ()


def test_merge_prints_the_total(node, tmp_path, capsys, monkeypatch):
    """Records of two nodes, merged from two folders of results."""
    monkeypatch.chdir(tmp_path)
    for number, joules in ((0, 100.0), (1, 50.0)):
        store = RunStore.create(tmp_path / f"n{number}")
        store.append(node(number, joules))
        store.finish(0)
    assert main(["merge", "n0", "n1", "-o", "all"]) == 0
    assert "2 of 2 nodes: 150 J" in "".join(capsys.readouterr())
    assert main(["merge", "n1", "-o", "half"]) == 0
    assert "the total is incomplete" in "".join(capsys.readouterr())


def test_reports_show_each_node(node):
    """Markdown has a row per node and one for the total; the terminal has a sentence; a lost node is no smaller sum."""
    records = [node(0, 100.0, window_s=10.0), node(1, 50.0, window_s=12.0)]
    rows = list(node_table(records))
    assert [row.split("|")[2].strip() for row in rows[2:]] == ["n0 (rank 0)", "n1 (rank 2)", "**2 of 2 nodes**"]
    assert "150.0 ± 8.0 J" in rows[-1]
    assert "incomplete: the records cover 2 of 4 ranks" in list(node_table(records[:1]))[-1]
    (sentence,) = node_sentences(records)
    assert "n0 100.0 ± 4.0 J in 10.0 s; n1 50.0 ± 4.0 J in 12.0 s" in sentence
    text = markdown_report(Report(records=tuple(records)))
    assert "### Nodes" in text
    (total,) = json.loads(json_report(Report(records=tuple(records))))["nodes"]
    assert [part["host"] for part in total["members"]] == ["n0", "n1"]


def test_boards_stand_side_by_side(make_record):
    """Two counted boards are shown with their joules, so that a straggler is seen; one board is not."""

    def record(*boards):
        domains = tuple(
            DomainEnergy(name=f"gpu-{n}", kind="gpu", joules=joules, quality="counter")
            for n, joules in enumerate(boards)
        )
        return make_record(energy=WindowResult(total_j=sum(boards), quality="counter", domains=domains))

    (cell,) = group_cells([record(100.0, 60.0), record(120.0, 60.0)])
    assert cell_boards(cell) == "gpu-0 110 J, gpu-1 60.0 J"
    (cell,) = group_cells([record(100.0)])
    assert cell_boards(cell) == ""
