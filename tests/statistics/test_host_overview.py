"""The overview of the hosts of a run."""

from __future__ import annotations

import pytest

from pytest_parallel_energy.records.record import HostPart, MeterPart, Status
from pytest_parallel_energy.records.run_info import FleetHost, RunInfo
from pytest_parallel_energy.reports.markdown import markdown_report
from pytest_parallel_energy.reports.report import Report
from pytest_parallel_energy.statistics.host_overview import host_overview

ALPHA = HostPart(machine_id="a", hostname="alpha", cpu="EPYC 7763", sockets=2, threads=256)
BETA = HostPart(machine_id="b", hostname="beta", cpu="EPYC 9654", sockets=1, threads=192)


def sample(make_record):
    flagged = MeterPart(flags=("the window was short",))
    return [
        make_record(100.0, host=ALPHA),
        make_record(101.0, host=ALPHA, status=Status.FAILED, repetition=1),
        make_record(200.0, lr=0.5, host=BETA, meter=flagged),
    ]


def test_each_host_counts_its_own_records(make_record):
    """Cells, attempts, failures and remarks; the clock where the controller compared it."""
    alpha, beta = host_overview(sample(make_record), [FleetHost(hostname="beta", clock_offset_s=300.0)])
    assert (alpha.name, alpha.cells, alpha.attempts, alpha.failed, alpha.flagged) == ("alpha", 1, 2, 1, 0)
    assert (beta.name, beta.attempts, beta.failed, beta.flagged) == ("beta", 1, 0, 1)
    assert (alpha.clock_offset_s, beta.clock_offset_s) == (None, 300.0)
    assert alpha.sensors == ("powercap",)
    assert alpha.host_class == "2 x EPYC 7763, 256 threads"


def test_markdown_has_a_table_per_class_and_an_overview(make_record):
    """A report of one host has neither."""
    info = RunInfo(run_id="run", started_at="2026", fleet=(FleetHost(hostname="beta", clock_offset_s=300.0),))
    text = markdown_report(Report(records=tuple(sample(make_record)), info=info))
    assert "| beta | 1 | 1 | 0 | 1 | powercap | +300.0 s | 1 x EPYC 9654, 192 threads |" in text
    first, second = text.index("### 2 x EPYC 7763"), text.index("### 1 x EPYC 9654")
    assert first < text.index("lr=0.0123") < second < text.index("lr=0.5")
    alone = markdown_report(Report(records=tuple(sample(make_record)[:2])))
    assert "Hosts" not in alone
    assert "###" not in alone


def test_the_page_has_a_table_of_the_hosts(make_record):
    """With the clock, where it was compared; a page of one host has none."""
    pytest.importorskip("jinja2")
    from pytest_parallel_energy.reports.html.document import html_report

    info = RunInfo(run_id="run", started_at="2026", fleet=(FleetHost(hostname="beta", clock_offset_s=300.0),))
    records = tuple(sample(make_record))
    assert 'id="hosts-section"' in (page := html_report(Report(records=records, info=info)))
    assert "+300.0" in page
    assert "Cells on 2 x EPYC 7763, 256 threads" in page
    assert "Cells on 1 x EPYC 9654, 192 threads" in page
    assert 'id="hosts-section"' not in html_report(Report(records=records[:2]))
