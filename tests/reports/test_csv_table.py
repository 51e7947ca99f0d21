from __future__ import annotations

import csv
import io
import math
from xml.etree import ElementTree as ET

import pytest

from pytest_parallel_energy.records.record import LoadReport, WorkloadPart
from pytest_parallel_energy.reports.csv_table import summary_csv
from pytest_parallel_energy.reports.junit import junit_properties


def _rows(records):
    return list(csv.DictReader(io.StringIO(summary_csv(records), newline="")))


def test_columns_have_their_prefixes(make_record):
    """Hyperparameters, metrics, energy and load stand under the prefixes that users know."""
    (row,) = _rows([make_record(load=True)])
    assert row["hyperparam_learning_rate"] == "0.0123"
    assert row["perf_test_accuracy"] == "0.4321"
    assert row["energy_total_j"] == "1234.5"
    assert row["energy_quality"] == "counter"
    assert row["bg_model"] == "mlp"
    assert row["bg_rounds_completed"] == "12"
    assert row["host_machine_id"] == "machine-a"
    assert row["status"] == "passed"


def test_unknown_is_empty(make_record):
    """Unknown joules are an empty field, and 0 J is 0."""
    missing, zero = _rows([make_record(None), make_record(0.0)])
    assert missing["energy_total_j"] == ""
    assert float(zero["energy_total_j"]) == 0.0


def test_floats_are_exact(make_record):
    """A value read back from the file is the value that was measured."""
    value = math.pi * 1e-7
    (row,) = _rows([make_record(value, lr=0.1 + 0.2)])
    assert float(row["energy_total_j"]) == value
    assert float(row["hyperparam_learning_rate"]) == 0.1 + 0.2


def test_records_with_other_columns_share_one_table(make_record):
    """Each row has all columns; groups stay together, in the order record, workload, metrics, energy, load, host."""
    other = WorkloadPart(repository="r", model="m", hyperparameters={"dropout": 'a,b\n"c"'}, metrics={"f1": None})
    records = [make_record(load=True), make_record(workload=other, labels={"branch": "x"})]
    first, second = _rows(records)
    assert first["hyperparam_dropout"] == ""
    assert second["hyperparam_dropout"] == 'a,b\n"c"'
    assert second["perf_f1"] == ""
    prefixes = [name.partition("_")[0] for name in first]
    order = [
        name for name in dict.fromkeys(prefixes) if name in {"label", "hyperparam", "perf", "energy", "bg", "host"}
    ]
    assert order == ["label", "hyperparam", "perf", "energy", "bg", "host"]


def test_a_second_load_has_its_own_columns(make_record):
    """Two loads do not overwrite each other."""
    loads = (LoadReport(name="a", hyperparameters={"epochs": 1}), LoadReport(name="b"))
    (row,) = _rows([make_record(background=loads)])
    assert (row["bg_name"], row["bg2_name"], row["bg_hyperparam_epochs"]) == ("a", "b", "1")


def test_no_records_give_the_head():
    """An empty run still has a table that a program can read."""
    assert summary_csv([]).startswith("record_id,run_id,nodeid,cell,")


def test_junit_properties_are_text_under_one_prefix(make_record):
    """All names begin with "energy.", all values are text, and no name stands twice."""
    properties = junit_properties(make_record(load=True))
    found = dict(properties)
    assert len(found) == len(properties)
    assert all(name.startswith("energy.") and isinstance(value, str) for name, value in properties)
    assert found["energy.total_j"] == "1234.5"
    assert found["energy.seconds"] == "62.1"
    assert found["energy.quality"] == "counter"
    assert found["energy.metric.test_accuracy"] == "0.4321"
    assert found["energy.background.coverage_ratio"] == "0.984"


def test_unknown_joules_have_no_junit_property(make_record):
    """Missing energy leaves the property out and says missing."""
    found = dict(junit_properties(make_record(None)))
    assert "energy.total_j" not in found
    assert found["energy.quality"] == "missing"


@pytest.mark.parametrize("odd", ["<&>\"'", "ü–±"])
def test_junit_values_survive_xml(make_record, odd):
    """Properties written as XML attributes are read back as they were."""
    record = make_record(background=(LoadReport(name=odd),))
    element = ET.Element("p", dict(junit_properties(record)))
    assert ET.fromstring(ET.tostring(element)).get("energy.background.name") == odd


def test_values_of_a_test_that_trains_by_itself_are_columns(make_record):
    """A sweep inside the process has its exact values in the columns of hyperparameters."""
    record = make_record(workload=None, hyperparameters={"depth": 0.1 + 0.2}, mutated=("depth",))
    (row,) = csv.DictReader(io.StringIO(summary_csv([record])))
    assert float(row["hyperparam_depth"]) == 0.1 + 0.2
    assert row["workload_mutated"] == "depth"
