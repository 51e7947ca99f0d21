"""Values that were measured in different ways are never compared, averaged or drawn as one."""

from __future__ import annotations

import pytest
from copied import replace

from pytest_parallel_energy.records.record import Attribution, DomainEnergy, WindowResult
from pytest_parallel_energy.statistics.compare import Verdict, compare_runs
from pytest_parallel_energy.statistics.gate import closing_reasons
from pytest_parallel_energy.statistics.grouping import group_cells
from pytest_parallel_energy.statistics.measured_as import measured_as
from pytest_parallel_energy.statistics.quantities import parse_threshold

JOULES = (100.0, 100.4, 99.7, 100.2, 99.9)
TOTAL = (parse_threshold("total_j:5%"),)
PACKAGE = ("package-0", "cpu", 1.0)
DRAM = ("dram-0", "dram", 0.16)
ESTIMATE = ("server-estimate", "server", 1.0)


def measured(joules, *domains, quality="counter", boundary="CPU packages"):
    parts = tuple(
        DomainEnergy(
            name=name,
            kind=kind,
            joules=joules * share,
            u95_j=joules * 0.01,
            quality=quality,
            mean_w=joules * share / 10,
            update_interval_s=0.001,
        )
        for name, kind, share in domains
    )
    total_j = sum(part.joules for part in parts)
    return WindowResult(
        window_s=10.0,
        total_j=total_j,
        total_u95_j=total_j * 0.01,
        quality=quality,
        boundary=boundary,
        domains=parts,
        cpu_j=joules if PACKAGE in domains else None,
        mean_w=total_j / 10,
    )


@pytest.fixture
def run(make_record):
    """A maker of named runs: one repetition per energy."""

    def make(name, energies, **fields):
        return name, [make_record(energy=energy, repetition=i, **fields) for i, energy in enumerate(energies)]

    return make


COUNTER = [measured(joules, PACKAGE) for joules in JOULES]
WITH_DRAM = [measured(joules, PACKAGE, DRAM, boundary="CPU packages + DRAM") for joules in JOULES]
ESTIMATED = [measured(joules * 0.067, ESTIMATE, quality="estimated", boundary="whole server") for joules in JOULES]


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        (COUNTER, ESTIMATED, ("counter of package-0 (CPU packages)", "estimated of server-estimate (whole server)")),
        (ESTIMATED, COUNTER, ("estimated of server-estimate (whole server)", "counter of package-0 (CPU packages)")),
        (WITH_DRAM, COUNTER, ("counter of dram-0 + package-0", "counter of package-0 (CPU packages)")),
    ],
    ids=["counter lost", "counter found", "DRAM vanished"],
)
def test_another_way_of_measuring_has_no_verdict(run, old, new, words):
    """Both means are shown with how they were measured; there is no change, no p value, and the gate closes."""
    comparison = compare_runs(run("old", old), run("new", new), TOTAL)
    (row,) = comparison.rows
    assert row.verdict is Verdict.NOT_COMPARABLE
    assert row.change is None
    assert row.p is None
    assert row.old_mean == pytest.approx(sum(energy.total_j for energy in old) / 5)
    assert row.new_mean == pytest.approx(sum(energy.total_j for energy in new) / 5)
    before, after = row.reason.split(", now as ")
    assert words[0] in before
    assert words[1] in after
    assert closing_reasons(comparison) == ("nothing to compare between old and new",)


def test_what_was_measured_alike_is_still_compared(run):
    """A vanished DRAM zone changes the total, not the joules of the packages nor the seconds."""
    thresholds = [parse_threshold(text) for text in ("total_j:5%", "cpu_j:5%", "seconds:5%")]
    rows = compare_runs(run("old", WITH_DRAM), run("new", COUNTER), thresholds).rows
    assert {row.quantity: row.verdict for row in rows} == {
        "total_j": Verdict.NOT_COMPARABLE,
        "cpu_j": Verdict.NO_CHANGE,
        "seconds": Verdict.NO_CHANGE,
    }


def test_shares_by_different_methods_are_not_compared(run):
    """A share by Shapley's method and a marginal one differ on equal totals."""
    sides = [
        run(method, COUNTER, attribution=Attribution(foreground_j=joules, method=method))
        for method, joules in (("shapley", 50.0), ("marginal", 60.0))
    ]
    foreground, total = compare_runs(*sides, [parse_threshold("foreground_j:5%"), *TOTAL]).rows
    assert foreground.verdict is Verdict.NOT_COMPARABLE
    assert foreground.reason.endswith(
        "attributed by shapley, now as counter of package-0 (CPU packages), attributed by marginal"
    )
    assert total.verdict is Verdict.NO_CHANGE


def test_a_sensor_lost_in_the_middle_of_a_run(run):
    """Repetitions before the loss are compared; those after it are a row of their own, without a verdict."""
    comparison = compare_runs(run("old", COUNTER), run("new", [*COUNTER[:3], *ESTIMATED[3:]]), TOTAL)
    like, other = comparison.rows
    assert (like.verdict, len(like.old_values), len(like.new_values)) == (Verdict.NO_CHANGE, 5, 3)
    assert (other.verdict, other.old_values, len(other.new_values)) == (Verdict.NOT_COMPARABLE, (), 2)
    assert "estimated of server-estimate (whole server) in the newer run alone" in other.reason
    assert like.name != other.name


def test_a_mean_is_over_one_way_of_measuring(run):
    """A cell whose sensor was lost is two cells, named by what they were measured with; no mean is over both."""
    _, records = run("new", [*COUNTER[:3], *ESTIMATED[3:]])
    first, second = group_cells(records)
    assert (first.n, second.n) == (3, 2)
    assert first.energy().value == pytest.approx(100.0, rel=0.01)
    assert second.energy().value == pytest.approx(6.7, rel=0.01)
    assert first.name.endswith("(counter of package-0; CPU packages)")
    assert second.name.endswith("(estimated of server-estimate; whole server)")


def test_an_attempt_without_a_total_stays_in_its_cell(run):
    """A missing value makes the mean unknown, as before; it does not make another cell."""
    missing = replace(COUNTER[0], total_j=None, quality="missing")
    _, records = run("new", [missing, *COUNTER])
    (cell,) = group_cells(records)
    assert cell.n == 6
    assert cell.energy().value is None


def test_other_code_is_another_cell(run):
    """Records of one identity whose code differs are not averaged; between two runs the change of code is remarked."""
    _, before = run("old", COUNTER, code="aaaa")
    _, after = run("new", [measured(j * 1.5, PACKAGE) for j in JOULES], code="bbbb")
    first, second = group_cells([*before, *after])
    assert [cell.n for cell in (first, second)] == [5, 5]
    assert first.name.endswith("(code aaaa)")
    comparison = compare_runs(("old", before), ("new", after), TOTAL)
    assert [row.verdict for row in comparison.rows] == [Verdict.WORSE]
    assert any("the code of test_resnet20[lr=0.0123] changed" in remark for remark in comparison.remarks)
    mixed = compare_runs(("old", before), ("new", [*before, *after]), TOTAL)
    assert [row.verdict for row in mixed.rows] == [Verdict.NO_CHANGE]
    assert len(mixed.only_new) == 1


def test_two_tests_are_never_one_row(run):
    """Two tests that train the same workload with the same values keep a row each, also in a comparison."""
    tests = [f"test_cache.py::test_with_cache_{state}[rep0]" for state in ("on", "off")]
    records = [
        r
        for i, test in enumerate(tests)
        for r in run("x", [measured(j * (1 + 2 * i), PACKAGE) for j in JOULES], nodeid=test)[1]
    ]
    assert [cell.energy().value for cell in group_cells(records)] == pytest.approx([100.04, 300.12])
    assert [row.verdict for row in compare_runs(("a", records), ("b", records), TOTAL).rows] == [Verdict.NO_CHANGE] * 2


def test_time_and_metrics_have_no_way_of_measuring(make_record):
    """They are comparable whatever the sensors are."""
    record = make_record(energy=COUNTER[0])
    assert measured_as(record, "seconds") is None
    assert measured_as(record, "test_accuracy") is None
    assert str(measured_as(record)) == "counter of package-0 (CPU packages)"
    assert str(measured_as(record, "cpu_j")) == "counter of package-0"


def test_by_workload_matches_across_tests(run):
    """Two tests that train the same are compared only on request; records of schema version 1 match only each other."""
    same = {"foreground_id": "f", "loads_id": "l"}
    old = run("old", COUNTER, cell="a", nodeid="t.py::test_a[rep0]", **same)
    new = run("new", COUNTER, cell="b", nodeid="t.py::test_b[rep0]", **same)
    found = compare_runs(old, new, TOTAL)
    assert (found.rows, found.only_old, found.only_new) == ((), ("test_a",), ("test_b",))
    assert [row.verdict for row in compare_runs(old, new, TOTAL, by="workload").rows] == [Verdict.NO_CHANGE]
    first = run("first", COUNTER, cell="f", nodeid="t.py::test_a[rep0]", schema_version=1)
    assert [row.verdict for row in compare_runs(first, first, TOTAL).rows] == [Verdict.NO_CHANGE]
    crossed = compare_runs(first, old, TOTAL)
    assert [row.reason for row in crossed.rows] == ["recorded by versions of this plugin with other identities"]
    assert any("5 records are of schema version 1" in remark for remark in crossed.remarks)
