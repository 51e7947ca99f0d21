from __future__ import annotations

import concurrent.futures
import csv
import io
import json
import random
import re

import pytest
from copied import replace

from pytest_parallel_energy.errors import ConfigError, RecordError
from pytest_parallel_energy.plan.limits import broken_limits, energy_limit, power_limit
from pytest_parallel_energy.records.record import (
    Attribution,
    DomainEnergy,
    HostPart,
    Status,
    WindowResult,
    WorkloadPart,
)
from pytest_parallel_energy.records.store import RunStore
from pytest_parallel_energy.reports.compare_text import FORMATS, comparison_lines
from pytest_parallel_energy.statistics import stats
from pytest_parallel_energy.statistics.baseline import add_to_baseline, find_run, save_baseline
from pytest_parallel_energy.statistics.compare import Verdict, compare_runs, default_threshold
from pytest_parallel_energy.statistics.gate import announce_weak_gate, closing_reasons
from pytest_parallel_energy.statistics.judgement import Evidence, change_of, judge
from pytest_parallel_energy.statistics.quantities import Threshold, parse_threshold, resolution_of

FIVE_PERCENT = (parse_threshold("total_j:5%"),)
TIGHT = [100.0, 100.4, 99.7, 100.2, 99.9]


def _energy(joules, *, interval_s=0.001, quality="counter"):
    domain = DomainEnergy(
        name="package-0",
        kind="cpu",
        joules=joules,
        u95_j=joules * 0.04,
        quality=quality,
        source="powercap",
        mean_w=joules / 10,
        update_interval_s=interval_s,
    )
    return WindowResult(
        window_s=10.0, total_j=joules, total_u95_j=joules * 0.04, quality=quality, domains=(domain,), mean_w=joules / 10
    )


@pytest.fixture
def run(make_record):
    """A maker of runs: one cell with the given joules, and whatever else its records should have."""

    def make(values, name="run", **fields):
        options = {name: fields.pop(name) for name in ("interval_s", "quality") if name in fields}
        return name, [
            make_record(**{"energy": _energy(v, **options), "repetition": i} | fields) for i, v in enumerate(values)
        ]

    return make


def _only(old, new, thresholds=FIVE_PERCENT):
    (row,) = compare_runs(old, new, thresholds).rows
    return row


def test_a_clear_rise_is_worse(run):
    """Five quiet repeats that rise by 10 % are worse, with their p value and an interval that holds the change."""
    row = _only(run(TIGHT), run([value * 1.1 for value in TIGHT]))
    assert row.verdict is Verdict.WORSE
    assert row.change_ratio == pytest.approx(0.1)
    assert row.p < 1e-6
    assert row.change.low < 0.1 < row.change.high


def test_a_clear_fall_is_better(run):
    """The same change downwards is better."""
    assert _only(run([value * 1.1 for value in TIGHT]), run(TIGHT)).verdict is Verdict.BETTER


def test_for_an_accuracy_a_fall_is_worse(run):
    """A negative threshold makes a fall the regression."""
    old, new = (
        (name, [record for joules in TIGHT for record in run([joules], metrics={"acc": joules * factor})[1]])
        for name, factor in (("a", 0.9), ("b", 0.7))
    )
    assert _only(old, new, [parse_threshold("acc:-5%")]).verdict is Verdict.WORSE
    assert _only(new, old, [parse_threshold("acc:-5%")]).verdict is Verdict.BETTER


def test_the_same_is_no_change(run):
    """Quiet repeats whose interval lies inside the threshold are no change, which is a finding."""
    assert _only(run(TIGHT), run([value * 1.001 for value in TIGHT])).verdict is Verdict.NO_CHANGE


def test_a_significant_change_below_the_threshold_is_no_change(run):
    """Two percent, however sure, are within five."""
    row = _only(run(TIGHT), run([value * 1.02 for value in TIGHT]))
    assert row.p < 0.05
    assert row.verdict is Verdict.NO_CHANGE


def test_three_repeats_can_fire(run):
    """Three quiet repeats in each run show a rise of 10 %."""
    row = _only(run(TIGHT[:3]), run([value * 1.1 for value in TIGHT[:3]]))
    assert row.verdict is Verdict.WORSE


def test_twenty_cells_of_five_repeats_can_fire(make_record):
    """Twenty cells that all rise by 50 % are all worse, although Holm corrects for twenty tests."""
    old, new = (
        (name, [make_record(energy=_energy(v * factor), lr=i) for i in range(20) for v in TIGHT])
        for name, factor in (("a", 1), ("b", 1.5))
    )
    found = compare_runs(old, new, FIVE_PERCENT)
    assert len(found.regressions) == 20


def test_one_repeat_is_inconclusive(run):
    """A single pair of numbers proves nothing, and the verdict says so."""
    assert _only(run([100.0]), run([200.0])).reason == "n too small: 1 and 1, need 3 or more"
    assert _only(run([100.0]), run([100.0])).verdict is Verdict.INCONCLUSIVE


def test_one_disturbed_reading_is_not_an_improvement(run):
    """Nine values near 100 with one at 200 against nine near 103: the interval holds 0, so nothing is better."""
    old = [100.0, 100.3, 99.8, 100.1, 99.9, 100.2, 99.7, 100.0, 200.0]
    row = _only(run(old), run([103.0, 103.2, 102.9, 103.1, 102.8, 103.3, 103.0, 103.1, 102.9]))
    assert row.verdict is Verdict.INCONCLUSIVE
    assert row.change.low < 0 < row.change.high


@pytest.mark.parametrize("seed", range(20))
def test_no_verdict_contradicts_its_interval(run, seed):
    """Whatever the spread, a verdict is on the side of the interval, and no change lies inside the threshold."""
    draw = random.Random(seed)
    for n in (2, 3, 5, 12):
        old, new = ([draw.gauss(mean, draw.choice([0.5, 2, 8])) for _ in range(n)] for mean in (100, 100 + 2 * seed))
        row = _only(run(old), run(new))
        if row.verdict is Verdict.WORSE:
            assert row.change.low > 0
            assert row.change.value >= 0.05
        elif row.verdict is Verdict.BETTER:
            assert row.change.high < 0
        elif row.verdict is Verdict.NO_CHANGE:
            assert -0.05 < row.change.low <= row.change.high < 0.05


def test_certain_but_wide_is_not_no_change(run):
    """A certain change whose interval reaches beyond the threshold is inconclusive, not unchanged."""
    row = _only(run([98.0, 101.0, 99.0, 102.0, 100.0]), run([102.0, 105.0, 103.0, 106.0, 104.0]))
    assert row.change.low > 0
    assert row.change.high > 0.05
    assert row.verdict is Verdict.INCONCLUSIVE


def test_a_threshold_can_be_of_the_near_end(run):
    """A change of 6 % that is known to 2 % passes ``5%`` and does not pass ``5%!``, one of 20 % passes both."""
    spread = [97.5, 101.5, 99.0, 102.0, 100.0]
    for factor, near_end in ((1.06, Verdict.INCONCLUSIVE), (1.2, Verdict.WORSE)):
        new = run([value * factor for value in spread])
        assert _only(run(spread), new).verdict is Verdict.WORSE
        assert _only(run(spread), new, [parse_threshold("total_j:5%!")]).verdict is near_end


def test_all_quantities_are_one_family(run):
    """The correction is over cells and quantities together: two quantities double the smallest p."""
    old, new = run(TIGHT), run([value * 1.02 for value in TIGHT])
    (alone,) = compare_runs(old, new, FIVE_PERCENT).rows
    both = compare_runs(old, new, [*FIVE_PERCENT, parse_threshold("mean_w:5%")]).rows
    assert [row.p for row in both] == pytest.approx([2 * alone.p, 2 * alone.p])


def _metric(run, values, better=None, name="elbo"):
    """Records that report a metric, with the direction that the registry gives it."""
    part = WorkloadPart(repository="r", model="m", hyperparameters={}, better={name: better} if better else {})
    return "run", [record for v in values for record in run([1.0], metrics={name: v}, workload=part)[1]]


def test_a_fall_of_a_negative_quantity_is_worse(run):
    """From -100 to -120 the evidence bound fell by 20 % of its size: worse, not better."""
    old, new = _metric(run, [-v for v in TIGHT]), _metric(run, [-1.2 * v for v in TIGHT])
    row = _only(old, new, [parse_threshold("elbo:-5%")])
    assert row.verdict is Verdict.WORSE
    assert row.change_ratio == pytest.approx(-0.2)
    assert row.change.low < -0.2 < row.change.high < 0


def test_a_percentage_is_refused_where_the_sign_changes(run):
    """From -1 to 1 there is no percentage; the reason names a threshold in the quantity's unit, which works."""
    old, new = _metric(run, [-1.0, -1.1, -0.9, -1.0]), _metric(run, [1.0, 1.1, 0.9, 1.0])
    row = _only(old, new, [parse_threshold("elbo:5%")])
    assert row.verdict is Verdict.INCONCLUSIVE
    assert "elbo:2.0abs" in row.reason
    row = _only(old, new, [parse_threshold("elbo:-0.5abs")])
    assert row.verdict is Verdict.BETTER
    assert row.change.value == pytest.approx(2.0)
    assert row.change_ratio is None


def test_the_registry_knows_the_direction(run):
    """A metric that is better higher is worse when it falls, whatever its name has in it."""
    old = _metric(run, [0.9 * v for v in TIGHT], "higher", "answer_accuracy")
    new = _metric(run, [0.7 * v for v in TIGHT], "higher", "answer_accuracy")
    assert _only(old, new, [default_threshold("answer_accuracy")]).verdict is Verdict.WORSE
    with pytest.raises(ConfigError, match="'answer_accuracy' is better higher: use 'answer_accuracy:-5%'"):
        compare_runs(old, new, [parse_threshold("answer_accuracy:5%")])


def test_an_unknown_direction_is_asked_for(run):
    """Without a registry entry no name decides what is worse."""
    records = _metric(run, TIGHT, name="test_accuracy")
    with pytest.raises(ConfigError, match="unknown whether more or less of 'test_accuracy' is worse"):
        compare_runs(records, records, [default_threshold("test_accuracy")])


@pytest.mark.parametrize("text", ["total_j:10", "total_j:1!", "seconds:2.5"])
def test_a_threshold_of_1_or_more_needs_a_unit(text):
    """10 would be 1000 %, and is meant as 10 %."""
    number = text.partition(":")[2].rstrip("!")
    with pytest.raises(ConfigError, match=f"has no unit: write '.*:{number}%!?' for percent"):
        parse_threshold(text)


@pytest.mark.parametrize(("wrong", "right"), [("second", "seconds"), ("acuracy", "accuracy")])
def test_an_unknown_quantity_is_an_error(run, wrong, right):
    """A quantity that no record has is refused with the nearest, and not compared as missing."""
    records = _metric(run, TIGHT, name="accuracy")
    with pytest.raises(ConfigError, match=f"did you mean '{right}'"):
        compare_runs(records, records, [parse_threshold(f"{wrong}:5%")])


def test_sessions_are_blocks(run):
    """Sessions that differ by 3 % widen the interval: a new session 5 % above four quiet ones is not yet worse."""
    levels = [1.0, 1.03, 0.97, 1.01]
    old = [r for i, level in enumerate(levels) for r in run([v * level for v in TIGHT], run_id=f"s{i}")[1]]
    row = _only(("old", old), run([v * 1.05 for v in TIGHT]))
    assert row.sessions == (4, 1)
    assert row.verdict is Verdict.INCONCLUSIVE
    pooled = [replace(record, run_id="one") for record in old]
    assert _only(("old", pooled), run([v * 1.05 for v in TIGHT])).verdict is Verdict.INCONCLUSIVE
    assert _only(("old", old), run([v * 1.3 for v in TIGHT])).verdict is Verdict.WORSE


def test_one_session_each_is_a_remark(run):
    """A comparison of two single sessions says what its interval does not hold, and drifting repeats are named."""
    drifting = [100.0 + i for i in range(12)]
    found = compare_runs(run(drifting), run(TIGHT), FIVE_PERCENT)
    assert "each run is one session" in found.remarks[0]
    assert "in the older run drift" in found.remarks[1]
    assert any("remark: each run is one session" in line.text for line in comparison_lines(found, width=200))


def test_a_verdict_on_two_single_sessions_says_so(run):
    """What differs between two sessions may be all of such a change; with several sessions the interval holds it."""
    for factor, verdict in ((1.2, Verdict.WORSE), (0.8, Verdict.BETTER), (1.0, Verdict.NO_CHANGE)):
        found = compare_runs(run(TIGHT), run([value * factor for value in TIGHT]), FIVE_PERCENT)
        (row,) = found.rows
        assert row.verdict is verdict
        assert row.reason.endswith(", within one session each")
    levels = {"a": 1.0, "b": 1.001, "c": 0.999, "d": 1.002}
    old = [r for name, level in levels.items() for r in run([value * level for value in TIGHT], run_id=name)[1]]
    row = _only(("old", old), run([value * 1.5 for value in TIGHT]))
    assert row.verdict is Verdict.WORSE
    assert "session" not in row.reason
    closed = closing_reasons(compare_runs(run(TIGHT), run([value * 1.2 for value in TIGHT]), FIVE_PERCENT))
    assert closed[0].endswith("), within one session each")


def test_no_change_needs_the_wider_interval(run):
    """An interval of 95 % that ends just inside the threshold is not enough: 97 % must lie inside it."""
    wide = change_of(TIGHT, [value * 1.03 for value in TIGHT], parse_threshold("total_j:5%"))
    assert wide.wide_low < wide.low < wide.value < wide.high < wide.wide_high
    for high, verdict in ((wide.high, Verdict.INCONCLUSIVE), (wide.wide_high, Verdict.NO_CHANGE)):
        threshold = Threshold(quantity="total_j", limit=high * 1.0001)
        evidence = Evidence(old=TIGHT, new=TIGHT, threshold=threshold, change=wide, p=0.2, family=1, resolution=0.0)
        assert judge(evidence)[0] is verdict


def test_falling_negative_values_keep_their_wide_interval_in_order():
    """The ends of both intervals of a negative quantity stand in the order of numbers."""
    change = change_of([-100.0, -101.0, -99.0], [-120.0, -121.0, -119.5], parse_threshold("elbo:-5%"))
    assert change.wide_low < change.low < change.value < change.high < change.wide_high < 0


def test_the_offset_of_a_card_counts_where_lengths_differ(run):
    """Integrated GPU power has an offset: 10 s more of it are 59 J that no run can tell from a regression."""
    card = DomainEnergy(
        name="g", kind="gpu", joules=9.0, u95_j=9.0, quality="integrated", mean_w=9.0, update_interval_s=0.1
    )

    def lasting(seconds, factor):
        part = WindowResult(window_s=seconds, quality="integrated", domains=(card,))
        return "run", [run([1.0], energy=replace(part, total_j=v * factor))[1][0] for v in TIGHT]

    row = _only(lasting(10.0, 1.0), lasting(20.0, 1.5))
    assert row.resolution == pytest.approx(0.9 + 59)
    assert row.verdict is Verdict.INCONCLUSIVE
    assert "resolution" in row.reason


def test_a_part_has_the_resolution_of_its_own_sensors(make_record):
    """The joules of the CPU are not made uncertain by the GPU, a share by half of its own interval is."""
    parts = [
        DomainEnergy(name="p", kind="cpu", joules=9.0, quality="counter", mean_w=100.0, update_interval_s=0.01),
        DomainEnergy(name="g", kind="gpu", joules=9.0, quality="counter", mean_w=100.0, update_interval_s=0.1),
    ]
    energy = WindowResult(window_s=10.0, total_j=18.0, cpu_j=9.0, gpu_j=9.0, quality="counter", domains=tuple(parts))
    shares = Attribution(foreground_j=8.0, low_j=6.0, high_j=10.0)
    record = make_record(energy=energy, attribution=shares)
    found = {name: resolution_of(record, name) for name in ("cpu_j", "gpu_j", "total_j", "foreground_j", "seconds")}
    assert found == pytest.approx({"cpu_j": 1.0, "gpu_j": 10.0, "total_j": 11.0, "foreground_j": 13.0, "seconds": 0.0})


def test_the_peak_has_the_resolution_of_a_power(make_record):
    """A peak is the power between two readings: late edges count against that time, not against the whole window."""
    parts = [
        DomainEnergy(
            name="p", kind="cpu", joules=900.0, quality="counter", mean_w=90.0, peak_w=200.0, update_interval_s=0.001,
            samples=10, u95_j=1.0,
        ),
        DomainEnergy(name="g", kind="gpu", joules=1.0, quality="integrated", mean_w=1.0, peak_w=300.0, samples=100),
    ]  # fmt: skip
    energy = WindowResult(window_s=10.0, total_j=901.0, peak_w=450.0, quality="integrated", domains=tuple(parts))
    assert resolution_of(make_record(energy=energy), "peak_w") == pytest.approx(0.2)
    estimated = WindowResult(window_s=10.0, total_j=901.0, peak_w=450.0, quality="estimated")
    assert resolution_of(make_record(energy=estimated), "peak_w") == pytest.approx(0.13 * 450.0)
    unknown = replace(energy, domains=(replace(parts[0], update_interval_s=None),))
    assert resolution_of(make_record(energy=unknown), "peak_w") is None


def test_noise_is_inconclusive_and_says_how_many(run):
    """A spread that hides 5 % is not called no change."""
    row = _only(run([80.0, 120.0, 95.0, 110.0, 90.0]), run([85.0, 118.0, 99.0, 104.0, 92.0]))
    assert row.verdict is Verdict.INCONCLUSIVE
    found = re.fullmatch(r"too noisy: need (\d+) to show 10 %", row.reason)
    assert int(found[1]) > 50


def test_a_change_below_the_resolution_is_inconclusive(run):
    """A change that is smaller than what the counter can tell never gets a verdict, whatever p says."""
    new = run([value * 1.03 for value in TIGHT], interval_s=0.9)
    row = _only(run(TIGHT, interval_s=0.9), new, [parse_threshold("total_j:2%")])
    assert row.p < 0.05
    assert row.verdict is Verdict.INCONCLUSIVE
    assert "resolution" in row.reason


def test_a_model_cannot_tell_ten_percent(run):
    """An estimate's shape is 13 % off: a rise of 10 % stays inconclusive, one of 50 % does not."""
    old = run(TIGHT, quality="estimated")
    assert _only(old, run([v * 1.1 for v in TIGHT], quality="estimated")).verdict is Verdict.INCONCLUSIVE
    assert _only(old, run([v * 1.5 for v in TIGHT], quality="estimated")).verdict is Verdict.WORSE


def test_many_cells_need_more_repeats(make_record):
    """Holm's correction: what is certain for one cell is not certain for the luckiest of a hundred."""
    noisy = [95.0, 105.0, 100.0, 98.0, 102.0]

    def runs(cells):
        return [
            (name, [make_record(energy=_energy(v * factor), lr=i) for i in range(cells) for v in noisy])
            for name, factor in (("a", 1), ("b", 1.1))
        ]

    assert _only(*runs(1)).verdict is Verdict.WORSE
    rows = compare_runs(*runs(100), FIVE_PERCENT).rows
    assert {row.verdict for row in rows} == {Verdict.INCONCLUSIVE}
    needs = [int(re.search(r"need (\d+)", row.reason)[1]) for row in rows]
    assert min(needs) > 5


def test_another_machine_is_not_comparable(run):
    """The same cell on another machine shows its numbers and no verdict."""
    other = HostPart(machine_id="machine-b", hostname="beta", cpu="EPYC 7763", sockets=2, threads=256)
    row = _only(run(TIGHT), run([v * 2 for v in TIGHT], host=other))
    assert row.verdict is Verdict.NOT_COMPARABLE
    assert row.reason == "another machine: alpha, now beta"
    assert row.change_ratio == pytest.approx(1.0)


def test_the_same_name_with_other_values_is_not_comparable(run):
    """Two cells that share only their name are shown side by side, not judged."""
    row = _only(run(TIGHT), run(TIGHT, cell="other"))
    assert row.verdict is Verdict.NOT_COMPARABLE
    assert row.reason == "other values, command, load or threads"


def test_unmatched_cells_are_named(run):
    """Cells of one run alone are listed, and never lost in silence."""
    found = compare_runs(run(TIGHT, lr=1), run(TIGHT, lr=2), FIVE_PERCENT)
    assert found.rows == ()
    assert found.only_old == ("test_resnet20[lr=1]",)
    assert found.only_new == ("test_resnet20[lr=2]",)


def test_missing_energy_is_inconclusive(run, make_record):
    """A run without a sensor cannot regress: no value is no 0."""
    row = _only(run(TIGHT), ("b", [make_record(None) for _ in range(5)]))
    assert row.verdict is Verdict.INCONCLUSIVE
    assert row.reason == "no value in the newer run; 5 attempts without a value"
    assert row.unknown == 5
    assert row.change_ratio is None


def test_failures_are_left_out(run):
    """Attempts that failed do not count as fast ones."""
    name, records = run(TIGHT)
    _, failed = run([1.0], status=Status.FAILED)
    assert _only((name, records), (name, [*records, *failed])).verdict is Verdict.NO_CHANGE


def test_a_constant_is_no_change(run):
    """A metric that is the same in each repeat needs no large sample to be unchanged."""
    old, new = (run([1.0, 1.0], metrics={"acc": 0.5}) for _ in range(2))
    assert _only(old, new, [parse_threshold("acc:-1%")]).verdict is Verdict.NO_CHANGE


def test_without_scipy_changes_are_shown_untested(run, monkeypatch):
    """Without the extra the change is there, the verdict is "not tested" and the hint names the package."""
    monkeypatch.setattr(stats, "have_scipy", lambda: False)
    row = _only(run(TIGHT), run([value * 1.1 for value in TIGHT]))
    assert row.verdict is Verdict.NOT_TESTED
    assert "pip install scipy" in row.reason
    assert row.change_ratio == pytest.approx(0.1)


@pytest.mark.parametrize(
    "wrong",
    [
        "",
        "total_j",
        "total_j:",
        ":5%",
        "total_j:0",
        "total_j:x%",
        "totl_j:5%",
        "total_j:5%%",
        "total_j:nan",
        "total_j:5!%",
    ],
)
def test_a_wrong_threshold_is_refused(wrong):
    """What is no threshold is an error that shows one."""
    with pytest.raises(ConfigError, match=r"threshold|known"):
        parse_threshold(wrong)


def test_a_gate_closes_for_each_of_its_reasons(run):
    """A regression, a cell that is missing and a run without anything to compare each close the gate."""
    same = run(TIGHT, lr=1)
    both = ("old", [*same[1], *run(TIGHT, lr=2, nodeid="t.py::test_b[lr=2]")[1]])
    assert closing_reasons(compare_runs(same, same, FIVE_PERCENT)) == ()
    (missing,) = closing_reasons(compare_runs(both, same, FIVE_PERCENT))
    assert missing == "1 cell of old not measured in run (test_b[lr=2])"
    (worse,) = closing_reasons(compare_runs(same, run([v * 2 for v in TIGHT], lr=1), FIVE_PERCENT))
    assert worse.startswith("1 regression (test_resnet20[lr=1]")
    assert "nothing to compare" in closing_reasons(compare_runs(same, ("new", []), FIVE_PERCENT))[-1]
    assert "nothing to compare" in closing_reasons(compare_runs(("a", []), ("b", []), FIVE_PERCENT))[-1]
    other = run(TIGHT, lr=1, host=HostPart(machine_id="machine-b"))
    assert "nothing to compare" in closing_reasons(compare_runs(same, other, FIVE_PERCENT))[-1]


def test_an_inconclusive_verdict_closes_the_gate_on_request(run):
    """One repeat proves nothing: by default a warning, with ``fail`` a closed gate."""
    found = compare_runs(run([100.0]), run([100.0]), FIVE_PERCENT)
    assert closing_reasons(found) == ()
    assert closing_reasons(found, inconclusive="fail") == ("1 inconclusive verdict",)


def test_a_gate_that_cannot_fail_is_announced(run, make_record):
    """Before the run it is said that one repeat cannot fail, and from which change on a noisy gate can."""
    (sentence,) = announce_weak_gate(run(TIGHT)[1], FIVE_PERCENT, 1)
    assert sentence.startswith("the gate total_j:5% cannot fail")
    assert "--energy-repeats=" in sentence
    noisy = [make_record(energy=_energy(v), lr=i) for i in range(20) for v in (90.0, 108.0, 101.0, 97.0, 104.0)]
    (sentence,) = announce_weak_gate(noisy, FIVE_PERCENT, 5)
    need = int(re.search(r"--energy-repeats=(\d+)", sentence)[1])
    assert need > 5
    assert announce_weak_gate(run(TIGHT)[1], FIVE_PERCENT, 5) == ()


def test_the_table_fits_and_counts(run, make_record):
    """At 80 and 120 columns no line is too long; verdicts are coloured and counted."""
    comparison = compare_runs(run(TIGHT, "old-run"), run([v * 1.1 for v in TIGHT], "new-run"), FIVE_PERCENT)
    for width in (60, 80, 120, 160):
        lines = comparison_lines(comparison, width=width)
        assert all(len(line.text) <= width for line in lines)
        assert lines[-1].text == "verdicts: 1 worse"
        assert lines[-1].severity == "bad"
        (row,) = [line for line in lines if "+10.0 %" in line.text]
        assert row.severity == "bad"
        assert any("lr=0.0123" in line.text for line in lines)
        if width >= 80:  # both means stay in the row, beside or below the name
            old, new = (f"{round(sum(TIGHT) / len(TIGHT) * factor):.0f} J" for factor in (1.0, 1.1))
            assert old in row.text
            assert new in row.text


def test_each_format_holds_the_verdict(run):
    """CSV, JSON and Markdown tell the same story; unknown is empty or null."""
    comparison = compare_runs(run(TIGHT), run([v * 1.1 for v in TIGHT]), FIVE_PERCENT)
    (row,) = csv.DictReader(io.StringIO(FORMATS["csv"]([comparison])))
    content = json.loads(FORMATS["json"]([comparison]))
    assert row["verdict"] == content["comparisons"][0]["rows"][0]["verdict"] == "worse"
    assert float(row["holm_p"]) == content["comparisons"][0]["rows"][0]["holm_p"]
    assert content["format_version"] == 2
    text = FORMATS["md"]([comparison])
    assert "**worse**" in text
    assert "lr=0.0123\\]" in text


def test_an_empty_comparison_is_written_too():
    """Nothing to compare is an answer in each format."""
    nothing = compare_runs(("a", []), ("b", []), FIVE_PERCENT)
    assert comparison_lines(nothing, width=80)[-1].text == "verdicts: nothing to compare"
    assert json.loads(FORMATS["json"]([nothing]))["comparisons"][0]["rows"] == []
    assert FORMATS["md"]([nothing])
    assert not FORMATS["csv"]([nothing])


def test_a_baseline_is_kept_by_machine(tmp_path, run):
    """A baseline lies under its machine's id and is found by name, the own machine's first."""
    _, here = run(TIGHT)
    other = HostPart(machine_id="machine-b")
    _, there = run(TIGHT[:2], host=other)
    paths = save_baseline(tmp_path, [*here, *there], "main")
    assert [path.relative_to(tmp_path).as_posix() for path in paths] == [
        "baselines/machine-a/main.jsonl",
        "baselines/machine-b/main.jsonl",
    ]
    assert find_run(tmp_path, "main", here[0].host).records == tuple(here)
    assert find_run(tmp_path, "main", other).records == tuple(there)
    assert find_run(tmp_path, "main", HostPart(machine_id="new")).records


def test_sessions_are_pooled_in_a_baseline(tmp_path, run, make_record):
    """Each run that is added is one more session; a resumed run replaces its own records."""
    sessions = {name: run([v * level for v in TIGHT], run_id=name)[1] for name, level in (("a", 1.0), ("b", 1.03))}
    host = sessions["a"][0].host
    for name in ("a", "b", "b"):
        (path,) = add_to_baseline(tmp_path, sessions[name], "main")
    assert find_run(tmp_path, "main", host).records == (*sessions["a"], *sessions["b"])
    row = _only(("main", find_run(tmp_path, "main", host).records), run(TIGHT, run_id="new"))
    assert row.sessions == (2, 1)
    with path.open("a") as file:
        file.write("{torn")
    with pytest.raises(RecordError, match="is damaged"):
        add_to_baseline(tmp_path, sessions["a"], "main")
    assert path.read_text().endswith("{torn")
    save_baseline(tmp_path, sessions["b"], "main")
    assert find_run(tmp_path, "main", host).records == tuple(sessions["b"])


def test_sessions_that_are_added_at_once_are_all_kept(tmp_path, run):
    """Two processes that add to one baseline at the same time do not overwrite each other's session."""
    names = [f"s{i}" for i in range(8)]
    runs = [run(TIGHT, run_id=name)[1] for name in names]
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda records: add_to_baseline(tmp_path, records, "main"), runs))
    found = find_run(tmp_path, "main", runs[0][0].host).records
    assert sorted({record.run_id for record in found}) == names
    assert len(found) == 8 * len(TIGHT)


def test_older_code_in_a_pooled_baseline_is_no_missing_cell(run):
    """Sessions before a change of the code are left out, and do not close the gate as cells that were not measured."""
    old = [r for code in ("first", "second") for r in run(TIGHT, run_id=code, code=code)[1]]
    found = compare_runs(("main", old), run(TIGHT, code="second"), FIVE_PERCENT)
    assert found.only_old == ()
    assert [row.verdict for row in found.rows] == [Verdict.NO_CHANGE]
    assert any("with other code" in remark for remark in found.remarks)
    assert closing_reasons(found) == ()


def test_a_run_is_found_by_id_beginning_path_and_latest(tmp_path, run):
    """A person may name a run in each way that is natural."""
    store = RunStore.create(tmp_path, name="nightly")
    _, records = run(TIGHT)
    for record in records:
        store.append(record)
    for wanted in (store.run_id, store.run_id[:18], "latest", str(store.folder), str(store.folder / "records.jsonl")):
        assert find_run(tmp_path, wanted).records == tuple(records)


def test_an_unknown_run_lists_what_there_is(tmp_path, run):
    """A wrong name gives the nearest right one."""
    save_baseline(tmp_path, run(TIGHT)[1], "main")
    with pytest.raises(ConfigError, match="did you mean 'main'"):
        find_run(tmp_path, "mian")
    with pytest.raises(ConfigError, match="no run or baseline"):
        find_run(tmp_path, "../*/[x]")


@pytest.mark.parametrize("name", ["", "../x", "a/b", ".hidden", "x" * 81])
def test_a_bad_baseline_name_is_refused(tmp_path, run, name):
    """A baseline's name never leaves its folder."""
    with pytest.raises(ConfigError, match="cannot name a baseline"):
        save_baseline(tmp_path, run(TIGHT)[1], name)


def test_an_unwritable_baseline_leaves_the_old_one(tmp_path, run):
    """A baseline that cannot be written is an error with its path."""
    (tmp_path / "baselines").write_text("")
    with pytest.raises(RecordError, match=r"main\.jsonl cannot be written"):
        save_baseline(tmp_path, run(TIGHT)[1], "main")


def test_limits_name_value_interval_and_limit():
    """A broken limit is one sentence with the number, its interval and its quality."""
    energy = WindowResult(total_j=612.0, total_u95_j=20.0, gpu_j=100.0, mean_w=61.2, peak_w=80.0, quality="counter")
    limits = (
        energy_limit("500 J"),
        energy_limit("200 J", kind="gpu"),
        power_limit("70 W"),
        power_limit("70 W", peak=True),
    )
    assert broken_limits(energy, limits) == (
        "total energy 612 J ± 20.0 J (counter) is above the limit of 500 J",
        "peak power 80.0 W (counter) is above the limit of 70.0 W",
    )


def test_a_limit_on_unknown_energy_is_broken():
    """What cannot be checked does not pass in silence."""
    (sentence,) = broken_limits(WindowResult(), (energy_limit("500 J", kind="gpu"),))
    assert sentence == "gpu energy is unknown (missing), so the limit of 500 J cannot be checked"


def test_a_limit_of_unknown_kind_is_refused():
    """A misspelt kind gives the right ones."""
    with pytest.raises(ConfigError, match="did you mean 'gpu'"):
        energy_limit("5 J", kind="gpus")
