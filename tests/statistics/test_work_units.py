"""Energy per unit of work is a quantity like any other: compared, gated, and only between equal boundaries."""

from __future__ import annotations

import pytest
from copied import replace

from pytest_parallel_energy.errors import ConfigError
from pytest_parallel_energy.records.energy_values import WindowResult
from pytest_parallel_energy.records.record import Milestone
from pytest_parallel_energy.statistics.measured_as import measured_as
from pytest_parallel_energy.statistics.quantities import (
    check_quantities,
    known_quantities,
    parse_threshold,
    resolution_of,
    unit_of,
    value_of,
)


@pytest.fixture
def record(make_record):
    made = make_record(100.0)
    milestones = (
        Milestone(metric="accuracy", target=0.9, seconds=3.0, joules=40.0, u95_j=2.0),
        Milestone(metric="f1", target=0.9),
    )
    energy = replace(made.energy, window_s=5.0)
    return replace(made, work={"sample": 50.0}, metrics={"steps": 20.0}, milestones=milestones, energy=energy)


def test_values(record):
    """Per unit of the registry, per unit that the test counted, until a value was reached, times seconds."""
    values = {name: value_of(record, name) for name in ("j_per_sample", "j_per_step", "j_to_accuracy", "edp_js")}
    assert values == {"j_per_sample": 2.0, "j_per_step": 5.0, "j_to_accuracy": 40.0, "edp_js": 500.0}
    assert value_of(record, "j_to_f1") is None
    assert value_of(record, "j_per_token") is None
    assert [unit_of(name) for name in ("j_per_sample", "j_to_accuracy", "edp_js")] == ["J", "J", "J s"]


def test_what_is_unknown_stays_unknown(record):
    """Without a total there is no energy per anything."""
    unknown = replace(record, energy=WindowResult())
    assert value_of(unknown, "j_per_sample") is None
    assert value_of(unknown, "edp_js") is None


def test_windows_of_epochs_are_a_unit(make_record):
    """A test that trains by itself has epochs by the names of its windows."""
    made = make_record(100.0)
    windows = tuple(WindowResult(name=f"epoch {n}", window_s=1.0, total_j=20.0) for n in (1, 2, 3, 4))
    made = replace(made, energy=replace(made.energy, windows=windows))
    assert value_of(made, "j_per_epoch") == 25.0


def test_they_are_measured_as_the_total(record):
    """Boundary and quality are those of the total, so that a gate compares like with like; resolution scales."""
    assert measured_as(record, "j_per_sample") == measured_as(record)
    assert resolution_of(record, "j_per_sample") == pytest.approx(resolution_of(record, "total_j") / 50)


def test_a_gate_knows_them(record):
    """A threshold on a unit that no record has names the nearest quantity."""
    check_quantities([parse_threshold("j_per_sample:5%"), parse_threshold("edp_js:5%")], [record])
    assert {"j_per_sample", "j_per_step", "j_to_accuracy", "edp_js"} <= set(known_quantities([record]))
    with pytest.raises(ConfigError, match="'j_per_sample'"):
        check_quantities([parse_threshold("j_per_sampel:5%")], [record])
