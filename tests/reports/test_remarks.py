from __future__ import annotations

import json

import pytest
from copied import replace

from pytest_parallel_energy.records.record import (
    Attribution,
    HostPart,
    LoadReport,
    MeterPart,
    Phase,
    Status,
    WindowResult,
    WorkloadPart,
)
from pytest_parallel_energy.reports.html.document import html_report
from pytest_parallel_energy.reports.json_report import json_report
from pytest_parallel_energy.reports.markdown import markdown_report
from pytest_parallel_energy.reports.remarks import remarks
from pytest_parallel_energy.reports.report import Report
from pytest_parallel_energy.reports.terminal_table import render_table

SENTENCES = (
    "learning_rate was 0.05, the training applied 0.02",
    "toy/net: 2 of 5 rounds failed (exit 137 × 2)",
    "toy/net: restarted",
    "no idle leg",
)
"""What the record below must say in each report."""


@pytest.fixture
def record(make_record):
    """A passed attempt with a remark of the training, of its load and of the meter."""
    load = LoadReport(
        name="toy/net", rounds_completed=3, rounds_failed=2, exit_codes=(0, 137, 0, 137, 0), flags=("restarted",)
    )
    workload = WorkloadPart(repository="r", model="m", hyperparameters={}, flags=SENTENCES[:1])
    return make_record(workload=workload, background=(load,), meter=MeterPart(flags=SENTENCES[3:]))


def _terminal(report):
    return "\n".join(line.text for line in render_table(report.records, width=200))


def _json(report):
    return "\n".join(json.loads(json_report(report))["cells"][0]["remarks"])


@pytest.mark.parametrize("write", [_terminal, html_report, markdown_report, _json])
def test_each_report_shows_each_remark(write, record):
    """Terminal, HTML, Markdown and JSON say the same about an attempt."""
    text = write(Report(records=(record,))).replace("\\", "")
    assert [sentence for sentence in SENTENCES if sentence not in text] == []
    assert "No remarks." not in text


@pytest.mark.parametrize("write", [_terminal, html_report, markdown_report, _json])
def test_failures_warm_ups_and_missing_sensors_are_remarks(write, make_record):
    """Each report says why an attempt failed, which were warm-ups, and why a sensor is missing."""
    records = (
        make_record(phase=Phase.WARMUP),
        make_record(None),
        make_record(50.0, status=Status.TIMEOUT, reason="stopped after 60 s"),
    )
    text = write(Report(records=records)).replace("\\", "")
    assert "timeout: stopped after 60 s" in text
    assert "package-0 is missing: permission denied" in text
    assert "left out of the mean" in text


def test_the_attempts_table_has_the_same_remarks(record):
    """The HTML report repeats the remarks in the row of their attempt."""
    text = html_report(Report(records=(record,)))
    row = text[text.index('id="attempts"') :]
    assert [sentence for sentence in SENTENCES if sentence not in row] == []


def test_an_own_implementation_names_the_repository_that_it_follows(make_record):
    """The terminal's table and the Markdown report say once per workload that the repository itself did not run."""
    work = replace(make_record().workload, repository="resnets", after="akamaster/pytorch_resnet_cifar10")
    records = tuple(make_record(workload=work, lr=lr) for lr in (0.1, 0.2))
    sentence = "resnets: an own implementation after akamaster/pytorch_resnet_cifar10"
    assert [line.text for line in render_table(records, width=120)].count(sentence) == 1
    text = markdown_report(Report(records=records)).replace("\\", "")
    assert text.count(f"- {sentence}\n") == 1
    assert "own implementation" not in markdown_report(Report(records=(make_record(),)))


@pytest.mark.parametrize("write", [_terminal, markdown_report, _json])
def test_several_versions_in_one_cell_are_a_remark(write, make_record):
    """Attempts of one cell under another plugin, Python or kernel, or with an old identity, are pointed out."""
    hosts = [HostPart(plugin_version=number, python="3.12", kernel=f"6.{number}") for number in ("1.0", "1.1")]
    records = tuple(make_record(host=host, repetition=i, schema_version=1) for i, host in enumerate(hosts))
    text = " ".join(write(Report(records=records)).replace("\\", "").split())
    assert "several versions of this plugin: 1.0, 1.1" in text
    assert "several versions of the kernel: 6.1.0, 6.1.1" in text
    assert "versions of Python" not in text
    assert "recorded by an earlier version" in text


@pytest.mark.parametrize(
    ("method", "split_u95_j", "expected"),
    [
        ("marginal", 38.0, "known to ± 38 % only: run the same training alone"),
        ("shapley", 33.0, "known to ± 33 % only: its energy alone"),
        ("shapley", 9.0, None),
    ],
)
def test_a_wide_share_is_a_remark(make_record, method, split_u95_j, expected):
    """A share that the legs cannot narrow says so; the usual width does not."""
    shares = Attribution(foreground_j=100.0, low_j=50.0, high_j=150.0, split_u95_j=split_u95_j, method=method)
    found = [text for text in remarks(make_record(load=True, attribution=shares)) if "share of the energy" in text]
    assert len(found) == (expected is not None)
    assert expected is None or expected in found[0]


def test_a_wide_share_of_an_estimate_needs_no_other_run(make_record):
    """Running the training alone would not narrow it."""
    shares = Attribution(foreground_j=100.0, split_u95_j=70.0, method="share of CPU time")
    estimate = WindowResult(total_j=500.0, quality="estimated")
    found = remarks(make_record(load=True, attribution=shares, energy=estimate))
    assert any(text.endswith("± 70 % only: an estimate from CPU time cannot be split better") for text in found)
