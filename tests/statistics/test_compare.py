from __future__ import annotations

import csv
import io
import json

import pytest

from pytest_parallel_energy.errors import ConfigError, RecordError
from pytest_parallel_energy.plan.limits import broken_limits, energy_limit, power_limit
from pytest_parallel_energy.records.record import DomainEnergy, HostPart, Status, WindowResult
from pytest_parallel_energy.records.store import RunStore
from pytest_parallel_energy.reports.compare_text import FORMATS, comparison_lines
from pytest_parallel_energy.statistics import stats
from pytest_parallel_energy.statistics.baseline import find_run, save_baseline
from pytest_parallel_energy.statistics.compare import Verdict, compare_runs
from pytest_parallel_energy.statistics.quantities import parse_threshold

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
        return name, [make_record(energy=_energy(v, **options), repetition=i, **fields) for i, v in enumerate(values)]

    return make


def _only(old, new, thresholds=FIVE_PERCENT):
    (row,) = compare_runs(old, new, thresholds).rows
    return row


def test_a_clear_rise_is_worse(run):
    """Five quiet repeats that rise by 10 % are worse, with p, effect and interval beside it."""
    row = _only(run(TIGHT), run([value * 1.1 for value in TIGHT]))
    assert row.verdict is Verdict.WORSE
    assert row.change_ratio == pytest.approx(0.1)
    assert row.p == pytest.approx(2 / 252)
    assert row.difference.cliffs_delta == 1.0
    assert row.difference.ratio_low < 1.1 < row.difference.ratio_high


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


def test_three_repeats_can_never_fire(run):
    """With three against three no test can reach 5 %, and the verdict says how many would do."""
    row = _only(run(TIGHT[:3]), run([value * 2 for value in TIGHT[:3]]))
    assert row.verdict is Verdict.INCONCLUSIVE
    assert row.reason == "n too small: 3 and 3, need 4"


def test_one_repeat_is_inconclusive(run):
    """A single pair of numbers proves nothing."""
    assert _only(run([100.0]), run([200.0])).reason == "n too small: 1 and 1, need 4"


def test_noise_is_inconclusive_and_says_how_many(run):
    """A spread that hides 5 % is not called no change."""
    row = _only(run([80.0, 120.0, 95.0, 110.0, 90.0]), run([85.0, 118.0, 99.0, 104.0, 92.0]))
    assert row.verdict is Verdict.INCONCLUSIVE
    assert row.reason.startswith("too noisy: need ")
    assert int(row.reason.split()[-1]) > 50


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


def test_many_cells_need_more_repeats(run, make_record):
    """Holm's correction: what is sure for one cell is not sure for the luckiest of a hundred."""
    old = ("a", [make_record(energy=_energy(v), lr=i) for i in range(100) for v in TIGHT])
    new = ("b", [make_record(energy=_energy(v * 1.1), lr=i) for i in range(100) for v in TIGHT])
    rows = compare_runs(old, new, FIVE_PERCENT).rows
    assert {row.verdict for row in rows} == {Verdict.INCONCLUSIVE}
    assert rows[0].reason == "n too small: 5 and 5, need 8"


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
    assert row.reason == "other values, load or threads"


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
    assert row.reason == "no value in the newer run"
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
    assert "pip install 'pytest-parallel-energy[report]'" in row.reason
    assert row.change_ratio == pytest.approx(0.1)


@pytest.mark.parametrize(
    "wrong", ["", "total_j", "total_j:", ":5%", "total_j:0", "total_j:x%", "totl_j:5%", "total_j:5%%", "total_j:nan"]
)
def test_a_wrong_threshold_is_refused(wrong):
    """What is no threshold is an error that shows one."""
    with pytest.raises(ConfigError, match=r"threshold|known"):
        parse_threshold(wrong)


def test_the_table_fits_and_counts(run, make_record):
    """At 80 and 120 columns no line is too long; verdicts are coloured and counted."""
    comparison = compare_runs(run(TIGHT, "old-run"), run([v * 1.1 for v in TIGHT], "new-run"), FIVE_PERCENT)
    for width in (60, 80, 120, 160):
        lines = comparison_lines(comparison, width=width)
        assert all(len(line.text) <= width for line in lines)
        assert lines[-1].text == "verdicts: 1 worse"
        assert lines[-1].severity == "bad"
        (row,) = [line for line in lines if "lr=0.0123" in line.text]
        assert row.severity == "bad"
        assert "+10.0 %" in row.text


def test_each_format_holds_the_verdict(run):
    """CSV, JSON and Markdown tell the same story; unknown is empty or null."""
    comparison = compare_runs(run(TIGHT), run([v * 1.1 for v in TIGHT]), FIVE_PERCENT)
    (row,) = csv.DictReader(io.StringIO(FORMATS["csv"]([comparison])))
    content = json.loads(FORMATS["json"]([comparison]))
    assert row["verdict"] == content["comparisons"][0]["rows"][0]["verdict"] == "worse"
    assert float(row["holm_p"]) == content["comparisons"][0]["rows"][0]["holm_p"]
    assert content["format_version"] == 1
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
