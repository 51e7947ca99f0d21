from __future__ import annotations

import json

import pytest
from copied import replace
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_textfile

from pytest_parallel_energy.errors import ConfigError, RecordError
from pytest_parallel_energy.records.atomic_write import append_file
from pytest_parallel_energy.records.record import DomainEnergy, Phase, Status, WindowResult
from pytest_parallel_energy.records.run_info import RunInfo
from pytest_parallel_energy.records.trace import read_trace, thin, trace_csv_gz
from pytest_parallel_energy.reports.costs import (
    Factors,
    carbon_factor,
    cost_sentences,
    costs_of,
    price_factor,
    pue_factor,
)
from pytest_parallel_energy.reports.github import job_summary, regression_annotations
from pytest_parallel_energy.reports.markdown import markdown_report
from pytest_parallel_energy.reports.report import Report
from pytest_parallel_energy.reports.writers import REPORTS, parse_target, write_report
from pytest_parallel_energy.statistics.compare import compare_runs
from pytest_parallel_energy.statistics.quantities import parse_threshold

NASTY = 'experiments/t.py::test_a["x"|<b>\\é%,:]'


@pytest.fixture
def report(make_record):
    """A cell with three repeats and a warm-up, one beside a load, one without a sensor, one that failed."""
    records = [make_record(joules, repetition=i) for i, joules in enumerate((1234.5, 1250.0, 1240.0))]
    records += [
        make_record(999.0, phase=Phase.WARMUP),
        make_record(2234.5, load=True),
        make_record(None, lr=0.5),
        make_record(50.0, lr=0.7, status=Status.TIMEOUT, reason="stopped after 60 s"),
    ]
    return Report(records=tuple(records), info=RunInfo(run_id="20260102-x", started_at="2026-01-02"))


def _regressed(make_record, cells=1):
    def energy(joules):
        domain = DomainEnergy(name="p", kind="cpu", joules=joules, u95_j=1.0, mean_w=10.0, update_interval_s=0.001)
        return WindowResult(window_s=10.0, total_j=joules, total_u95_j=1.0, quality="counter", domains=(domain,))

    def run(factor):
        values = [(100 + i * 0.1) * factor for i in range(9)]
        return [
            make_record(energy=energy(v), lr=c, nodeid=f"t.py::test_a[c,{c}]") for c in range(cells) for v in values
        ]

    old, new = run(1), run(1.2)
    comparison = compare_runs(("old", old), ("new", new), (parse_threshold("total_j:5%"),))
    return Report(records=tuple(new), comparison=comparison)


def test_openmetrics_is_read_by_the_official_parser(report):
    """prometheus_client's strict parser takes the text, and each known number is in it."""
    text = REPORTS["openmetrics"][1](report)
    families = {family.name: family for family in parse_openmetrics(text)}
    joules = families["pytest_energy_joules"]
    assert joules.unit == "joules"
    totals = {s.labels["test"]: s.value for s in joules.samples if s.labels["part"] == "total"}
    assert totals["test_resnet20[lr=0.0123-bg=VulBERTa/mlp]"] == 2234.5
    assert "test_resnet20[lr=0.5]" not in totals
    attempts = {(s.labels["test"], s.labels["status"]): s.value for s in families["pytest_energy_attempts"].samples}
    assert attempts["test_resnet20[lr=0.7]", "timeout"] == 1


def test_the_textfile_collector_reads_it_too(report):
    """The same text is valid in Prometheus' older format."""
    text = REPORTS["openmetrics"][1](report)
    assert {family.name for family in parse_textfile(text)} >= {"pytest_energy_joules", "pytest_energy_attempts"}


def test_labels_of_any_text_survive_openmetrics(make_record):
    """Quotes, backslashes and line ends in a test's id come back as they were."""
    text = REPORTS["openmetrics"][1](Report(records=(make_record(nodeid='t.py::a["\\\n"]'),)))
    (sample, *_) = next(f for f in parse_openmetrics(text) if f.name == "pytest_energy_joules").samples
    assert sample.labels["test"] == 'a["\\\n"]'


def test_benchmark_json_is_custom_smaller_is_better(report):
    """Each entry has name, unit and value; a cell without known joules has no energy, one without success nothing."""
    entries = json.loads(REPORTS["gha-benchmark"][1](report))
    assert all({"name", "unit", "value"} <= set(entry) for entry in entries)
    names = [entry["name"] for entry in entries]
    assert len(set(names)) == len(names)
    assert "test_resnet20[lr=0.5] time" in names
    assert "test_resnet20[lr=0.5] energy" not in names
    assert not [name for name in names if "lr=0.7" in name]
    energy = next(entry for entry in entries if entry["name"] == "test_resnet20[lr=0.0123] energy")
    assert energy["unit"] == "J"
    assert energy["range"].startswith("± ")


def test_json_holds_statistics_and_null(report):
    """The JSON report has a version, statistics for each quantity, and null for what is unknown."""
    content = json.loads(REPORTS["json"][1](report))
    assert next(iter(content)) == "format_version"
    assert content["total_j"] is None
    first, *_ = content["cells"]
    assert first["n"] == 3
    assert first["warmups"] == 1
    assert first["quantities"]["total_j"]["statistics"]["mean"] == pytest.approx(1241.5)
    assert content["cells"][2]["mean_total_j"] is None


def test_markdown_has_a_row_a_cell_and_its_notes(report):
    """Markdown shows the cells, the notes and the facts of the run."""
    text = REPORTS["md"][1](report)
    rows = [line for line in text.splitlines() if line.startswith("| test")]
    assert len(rows) == 4
    assert all(row.count(" | ") == rows[0].count(" | ") for row in rows)
    assert "4 cells, 7 attempts, 1 not passed" in text
    assert "timeout: stopped after 60 s" in text
    assert "all attempts together: –" in text


def test_markdown_keeps_nasty_names_harmless(make_record):
    """No name ends a table cell, opens a tag or a link."""
    (row,) = [
        line
        for line in REPORTS["md"][1](Report(records=(make_record(nodeid=NASTY),))).splitlines()
        if line.startswith("| test")
    ]
    assert "<b>" not in row
    assert "\\|" in row


def test_the_job_summary_is_bounded(make_record):
    """A thousand cells with long names stay below GitHub's limit, and the rest is counted."""
    records = tuple(make_record(lr=i, nodeid=f"t.py::test_a[{'x' * 5000}-{i}]") for i in range(1000))
    text = job_summary(Report(records=records))
    assert len(text.encode()) < 1_000_000
    assert "more cells" in text


def test_annotations_name_each_regression(make_record):
    """A regression is one workflow command, with separators escaped; ten at most, the last counting the rest."""
    (line,) = regression_annotations(_regressed(make_record))
    assert line.startswith("::error title=Energy regression in test_a[c%2C0]::total_j +20.0 %25 (p = ")
    lines = list(regression_annotations(_regressed(make_record, cells=12)))
    assert len(lines) == 10
    assert lines[-1].endswith("::3 more are in the report")


def test_no_regression_has_no_annotation(report):
    """A run without a comparison annotates nothing."""
    assert list(regression_annotations(report)) == []


@pytest.mark.parametrize("kind", [kind for kind in REPORTS if kind != "html"])
def test_each_report_writes_an_empty_run(kind, tmp_path):
    """A run without records has reports, too."""
    text = write_report(Report(records=()), parse_target(kind), tmp_path).read_text()
    expected = {"csv": "record_id,", "json": '"cells": []', "gha-benchmark": "[]", "openmetrics": "# EOF"}
    assert expected.get(kind, "0 cells, 0 attempts") in text


@pytest.mark.parametrize("kind", [kind for kind in REPORTS if kind != "html"])
def test_each_report_takes_any_record(kind, tmp_path, make_record):
    """Nasty names, a single record and a comparison go through each writer."""
    report = _regressed(make_record)
    nasty = replace(report, records=(make_record(nodeid=NASTY, reason="\x00\x1b[31m"),))
    write_report(nasty, parse_target(f"{kind}:{tmp_path / 'deep' / 'x'}"), tmp_path)
    text = (tmp_path / "deep" / "x").read_text().replace("\\_", "_")  # as Markdown escapes it
    assert "test_a" in text
    assert "\x1b" not in text or kind == "csv"  # a spreadsheet's field holds the text as it is


def test_a_report_that_cannot_be_written_leaves_no_half(tmp_path, report):
    """An unwritable path is an error with its reason, and nothing is left."""
    (tmp_path / "file").write_text("")
    with pytest.raises(RecordError, match="cannot be written"):
        write_report(report, parse_target(f"md:{tmp_path / 'file' / 'x.md'}"), tmp_path)
    assert list(tmp_path.iterdir()) == [tmp_path / "file"]


def test_a_summary_is_appended(tmp_path):
    """Other steps' summaries stay."""
    path = tmp_path / "summary.md"
    append_file(path, "a\n")
    append_file(path, "b\n")
    assert path.read_text() == "a\nb\n"
    with pytest.raises(RecordError, match="cannot be written"):
        append_file(tmp_path, "x")


@pytest.mark.parametrize("wrong", ["htm", "", "html:", "term:x"])
def test_a_wrong_report_is_refused(wrong):
    """A misspelt type gives the right ones."""
    with pytest.raises(ConfigError, match=r"no report|not a report"):
        parse_target(wrong)


def test_costs_are_multiplications():
    """2 kWh at 400 g, 0.30 a kWh and a PUE of 1.5 are 1200 g and 0.90."""
    factors = Factors(
        carbon=carbon_factor("0.4 kg/kWh; Ember 2025"), price=price_factor("0.30 EUR/kWh"), pue=pue_factor("1.5; op")
    )
    cost = costs_of(7_200_000.0, factors)
    assert (cost.facility_j, cost.carbon_g, cost.price) == pytest.approx((10_800_000.0, 1200.0, 0.9))
    assert cost_sentences(7_200_000.0, factors) == (
        "facility energy: 1.08e+07 J at a PUE of 1.5 (op)",
        "carbon: 1.2e+03 g CO2e at 400 g/kWh (Ember 2025), facility overhead included",
        "price: 0.9 EUR at 0.3 EUR/kWh (no source given), facility overhead included",
    )


def test_an_estimate_is_named_with_its_total_and_costs(make_record):
    """A total, a price and grams of estimated joules say so; those of measured ones do not."""
    factors = Factors(price=price_factor("0.3 EUR/kWh"))
    for quality in ("counter", "estimated"):
        energy = WindowResult(total_j=1000.0, total_u95_j=1.0, quality=quality)
        text = markdown_report(Report(records=(make_record(energy=energy),), factors=factors))
        assert ("all attempts together: 1.00 kJ (estimated)" in text) == (quality == "estimated")
        assert ("from estimated joules" in text) == (quality == "estimated")


def test_without_factors_there_are_no_costs():
    """Nothing is guessed: no number, no sentence; unknown joules, unknown cost."""
    assert cost_sentences(1.0, Factors()) == ()
    assert costs_of(None, Factors(carbon=carbon_factor("400"))).carbon_g is None


@pytest.mark.parametrize(
    ("make", "wrong"),
    [
        (carbon_factor, "much"),
        (carbon_factor, "5 lb/kWh"),
        (carbon_factor, "-5"),
        (price_factor, "0.3"),
        (price_factor, "0.3 EUR"),
        (pue_factor, "0.9"),
        (pue_factor, "1.2 x"),
    ],
)
def test_a_wrong_factor_is_refused(make, wrong):
    """What is no factor is an error that shows one."""
    with pytest.raises(ConfigError, match="energy_"):
        make(wrong)


def test_a_trace_is_read_back(tmp_path):
    """What is written is read; unknown stays unknown; the same values give the same bytes."""
    points = [(0.1, (50.0, None)), (0.2, (51.5, 20.25))]
    data = trace_csv_gz(["package-0_w", "gpu-0_w"], points)
    assert data == trace_csv_gz(["package-0_w", "gpu-0_w"], points)
    (tmp_path / "trace.csv.gz").write_bytes(data)
    trace = read_trace(tmp_path / "trace.csv.gz")
    assert trace.names == ("package-0_w", "gpu-0_w")
    assert trace.offsets_s == (0.1, 0.2)
    assert trace.values == ((50.0, 51.5), (None, 20.25))


def test_a_torn_trace_is_read_as_far_as_it_goes(tmp_path):
    """A trace that a crash cut short gives what is whole, and what is no trace is an error."""
    points = [(i * 0.1, (float(i * i % 977),)) for i in range(20000)]
    data = trace_csv_gz(["package-0_w"], points)
    (tmp_path / "torn").write_bytes(data[: len(data) // 2])
    trace = read_trace(tmp_path / "torn")
    assert 1000 < len(trace.offsets_s) < 20000
    assert trace.values[0][:3] == (0.0, 1.0, 4.0)
    (tmp_path / "other").write_bytes(b"hello")
    with pytest.raises(RecordError, match="is not a trace"):
        read_trace(tmp_path / "other")


def test_thinning_keeps_peaks():
    """Ten thousand points become at most 400, with first, last, highest and lowest among them, in order."""
    offsets = [i * 0.1 for i in range(10_000)]
    values = [50.0 + (i % 7) for i in range(10_000)]
    values[4321], values[777] = 999.0, 1.0
    thinned = thin(offsets, values, 400)
    assert len(thinned) <= 400
    assert max(thinned, key=lambda point: point[1]) == pytest.approx((432.1, 999.0))
    assert 1.0 in {value for _, value in thinned}
    assert thinned == sorted(thinned)
    assert (thinned[0][0], thinned[-1][0]) == (offsets[0], offsets[-1])


def test_thinning_leaves_short_traces_alone():
    """What fits is not touched, unknown points are left out."""
    assert thin([0.0, 1.0, 2.0], [1.0, None, 3.0], 400) == [(0.0, 1.0), (2.0, 3.0)]
    assert thin([], [], 400) == []
