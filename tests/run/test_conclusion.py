"""The end of a run: comparison, gate, baseline and reports, of records on the disk."""

from __future__ import annotations

import pytest

from pytest_parallel_energy.errors import ConfigError
from pytest_parallel_energy.plan.option_values import PARSERS
from pytest_parallel_energy.plan.options import OPTIONS
from pytest_parallel_energy.plan.settings import Settings
from pytest_parallel_energy.records.record import HostPart
from pytest_parallel_energy.records.store import RunStore
from pytest_parallel_energy.run.conclusion import conclude, find_reference
from pytest_parallel_energy.run.conclusion_settings import wants_conclusion


@pytest.fixture
def keep_run(tmp_path, make_record):
    """Write a finished run of ten repetitions with so many joules each."""

    def keep(joules):
        store = RunStore.create(tmp_path / "results")
        for repetition in range(10):
            store.append(make_record(joules + repetition * 0.1, repetition=repetition))
        store.finish(0)
        return store.folder

    return keep


@pytest.fixture(autouse=True)
def not_on_github(monkeypatch):
    monkeypatch.delenv("GITHUB_ACTIONS", raising=False)


def settings_of(**texts):
    """Settings as the command line would give them."""
    kinds = {option.field: option for option in OPTIONS}

    def value(field, given):
        parse = PARSERS[kinds[field].kind]
        return tuple(map(parse, given)) if isinstance(given, tuple) else parse(given)

    return Settings(**{field: value(field, given) for field, given in texts.items()})


def test_nothing_is_wanted_by_default():
    """A suite that asks for nothing does not pay for a conclusion."""
    assert not wants_conclusion(settings_of())
    assert wants_conclusion(settings_of(compare=""))
    assert wants_conclusion(settings_of(save_baseline=""))
    assert wants_conclusion(settings_of(price="0.30 EUR/kWh"))


def test_a_regression_closes_the_gate(tmp_path, keep_run):
    """The run before is the reference although another run is the latest afterwards."""
    keep_run(100.0)
    settings = settings_of(compare="latest", compare_fail=("total_j:5%",))
    reference = find_reference(settings, tmp_path / "results", HostPart())
    worse = keep_run(130.0)
    conclusion = conclude(settings, tmp_path / "results", worse, reference, width=100)
    assert conclusion.failed
    assert any("+29.9 %" in line.text for line in conclusion.comparison)
    assert conclusion.problems == ()


def test_the_same_energy_passes_the_gate(tmp_path, keep_run):
    """Equal runs are compared and pass."""
    keep_run(100.0)
    settings = settings_of(compare="latest", compare_fail=("total_j:5%",))
    reference = find_reference(settings, tmp_path / "results", HostPart())
    conclusion = conclude(settings, tmp_path / "results", keep_run(100.0), reference, width=100)
    assert not conclusion.failed
    assert conclusion.comparison


def test_a_missing_reference(tmp_path):
    """A problem by default; an error before hours of training when it must exist."""
    settings = settings_of(compare="latest")
    reference = find_reference(settings, tmp_path, HostPart())
    assert reference.path is None
    assert "nothing to compare with" in reference.problem
    with pytest.raises(ConfigError, match="--energy-compare"):
        find_reference(settings_of(compare="latest", baseline_missing="fail"), tmp_path, HostPart())


def test_one_report_that_fails_does_not_cost_the_others(tmp_path, keep_run):
    """The baseline and the readable report are written; the one without a folder is named as a problem."""
    folder = keep_run(100.0)
    (tmp_path / "file").write_text("")
    settings = settings_of(report=(f"json:{tmp_path}/file/out.json", f"json:{tmp_path}/out.json"), save_baseline="main")
    conclusion = conclude(settings, tmp_path / "results", folder, None, width=80)
    assert (tmp_path / "out.json").is_file()
    assert any(sentence.startswith("baseline: ") for sentence in conclusion.written)
    assert len(conclusion.problems) == 1
    assert "file/out.json" in conclusion.problems[0]


def test_a_report_that_fails_in_an_unknown_way_costs_no_other(tmp_path, keep_run):
    """A path that the operating system cannot have raises ValueError; the other report is written."""
    folder = keep_run(100.0)
    settings = settings_of(report=(f"json:{tmp_path}/a\0b", f"json:{tmp_path}/good.json"))
    conclusion = conclude(settings, tmp_path / "results", folder, None, width=80)
    assert any("a report failed: ValueError" in problem for problem in conclusion.problems)
    assert (tmp_path / "good.json").is_file()
