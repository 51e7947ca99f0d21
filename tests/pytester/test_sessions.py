"""Whole sessions: what a user writes, what runs, and what is kept."""

from __future__ import annotations

import json
import re
import textwrap
from xml.etree import ElementTree as ET

import pytest

FULL = """
import pytest

@pytest.mark.workload("toy/net")
@pytest.mark.mutate("learning_rate", samples=2, seed=0)
@pytest.mark.background_load("toy/net", epochs=1)
def test_beside(train, background_load, energy_meter):
    result = train()
    assert result.metrics["accuracy"] == 0.75
    assert result.log.read_text().count("epoch")
    assert background_load.alive
    assert energy_meter.total_j > 0
"""

METERED = """
def test_metered(energy_meter, record_metric):
    with energy_meter.window("part") as part:
        sum(range(300_000))
    record_metric("answer", 42)
    assert part.total_j <= energy_meter.total_j
"""


def test_the_main_job(project):
    """Two mutated trainings beside a load pass, and each leaves a complete record."""
    project.tests(FULL)
    project.run().assert_outcomes(passed=2)
    records = project.records()
    assert len(records) == 2
    assert len({record["workload"]["hyperparameters"]["learning_rate"] for record in records}) == 2
    for record in records:
        assert next(iter(record)) == "schema_version"
        assert record["status"] == "passed"
        asked = record["workload"]["hyperparameters"]["learning_rate"]
        assert record["workload"]["applied"]["learning_rate"] == asked
        assert record["workload"]["mutated"] == ["learning_rate"]
        assert record["workload"]["metrics"] == {"accuracy": 0.75}
        assert record["workload"]["environment"]["OMP_NUM_THREADS"]
        assert record["energy"]["total_j"] > 0
        assert record["energy"]["quality"] in {"counter", "integrated", "apportioned", "estimated"}
        (load,) = record["background"]
        assert load["coverage_ratio"] > 0
        assert load["stop"] in {"graceful", "forced"}
        folder = project.run_folder / record["folder"]
        assert re.fullmatch(rf"test_\w+-{record['cell']}-rep0", folder.name)
        assert json.loads((folder / "experiment.json").read_text())["record_id"] == record["record_id"]
        assert (folder / "training.log").exists()
        assert (folder / "background" / "loop.sh").exists()
        assert (folder / "background" / "round-1.log").exists()


def test_ids_can_be_typed(project):
    """Ids name values, background and repetition, and -k finds a value by name:value."""
    project.tests(FULL)
    listed = project.run("--collect-only", "-q").stdout.str()
    ids = re.findall(r"test_beside\[(.*)\]", listed)
    assert len(ids) == 2
    assert all(re.fullmatch(r"learning_rate=[\d.e-]+-bg=toy/net-rep0", one) for one in ids)
    assert not (project.path / "energy-results").exists()
    value = ids[0].removeprefix("learning_rate=").removesuffix("-bg=toy/net-rep0")
    selected = project.run("--collect-only", "-q", "-k", f"learning_rate:{value}").stdout.str()
    assert re.findall(r"test_beside\[(.*)\]", selected) == [ids[0]]


def test_repeats_and_warmups(project):
    """Each cell is repeated as often as asked, warm-ups first and recorded as such."""
    project.tests(METERED)
    result = project.run("--energy-repeats=2", "--energy-warmup=1")
    result.assert_outcomes(passed=3)
    assert [record["phase"] for record in project.records()] == ["warmup", "measured", "measured"]
    assert [record["repetition"] for record in project.records()] == [0, 0, 1]
    assert len({record["cell"] for record in project.records()}) == 1


def test_windows_nest_and_metrics_are_kept(project):
    """A window inside the test and a number that the test recorded stand in the record."""
    project.tests(METERED)
    project.run().assert_outcomes(passed=1)
    (record,) = project.records()
    assert [window["name"] for window in record["energy"]["windows"]] == ["part"]
    assert record["metrics"] == {"answer": 42.0}


def test_the_window_is_the_call_alone(project):
    """Set-up and tear-down are outside the window."""
    project.tests(
        """
        import time
        import pytest

        @pytest.fixture
        def slow():
            time.sleep(1.0)
            yield
            time.sleep(1.0)

        def test_short(slow, energy_meter):
            pass
        """
    )
    project.run().assert_outcomes(passed=1)
    (record,) = project.records()
    assert record["energy"]["window_s"] < 1.0
    assert record["duration_s"] > 2.0


def test_a_failing_test_is_recorded(project):
    """A failed assertion fails the test, and its energy is kept."""
    project.tests("def test_no(energy_meter):\n    assert sum(range(10**6)) == 0\n")
    project.run().assert_outcomes(failed=1)
    (record,) = project.records()
    assert record["status"] == "failed"
    assert "AssertionError" in record["reason"]
    assert record["energy"]["total_j"] is not None


def test_a_failing_setup_is_recorded(project):
    """A fixture that fails leaves a record without a window."""
    project.tests(
        """
        import pytest

        @pytest.fixture
        def broken():
            raise ValueError("no data")

        def test_it(energy_meter, broken):
            pass
        """
    )
    project.run().assert_outcomes(errors=1)
    (record,) = project.records()
    assert (record["status"], record["energy"]["total_j"]) == ("failed", None)
    assert record["reason"].startswith("setup: ValueError: no data")


def test_a_skipped_test_leaves_nothing(project):
    """A skip is no attempt."""
    project.tests("import pytest\ndef test_it(energy_meter):\n    pytest.skip('later')\n")
    project.run().assert_outcomes(skipped=1)
    assert project.records() == []
    assert not list((project.run_folder / "experiments").glob("*"))


def test_a_training_that_fails_fails_the_test(project):
    """The exit code counts; the message holds the log's last line and no traceback of ours."""
    project.tests('import pytest\n@pytest.mark.workload("toy/broken")\ndef test_it(train):\n    train()\n')
    result = project.run()
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*out of luck*"])
    assert "pytest_parallel_energy/" not in result.stdout.str().replace(str(project.path), "")
    (record,) = project.records()
    assert record["status"] == "failed"
    assert record["workload"]["exit_code"] == 1


def test_retries_are_records_of_their_own(project, monkeypatch):
    """A failed attempt keeps its record and its joules; the next attempt's are apart."""
    monkeypatch.setenv("TOY_MARKER", str(project.path / "marker"))
    project.tests(
        'import pytest\n@pytest.mark.workload("toy/flaky")\ndef test_it(train):\n    assert train().attempts == 2\n'
    )
    project.run("--energy-max-retries=2").assert_outcomes(passed=1)
    first, second = project.records()
    assert [(r["attempt"], r["status"]) for r in (first, second)] == [(1, "failed"), (2, "passed")]
    assert first["energy"]["total_j"] > 0
    assert second["folder"].endswith("-try2")
    assert first["cell"] == second["cell"]


@pytest.mark.parametrize(
    ("body", "windows"),
    [
        (
            """
            with energy_meter.window("mine") as mine:
                assert train().attempts == 2
            assert mine.total_j > 0
            """,
            ["mine"],
        ),
        (
            """
            train("toy/net")
            assert train().attempts == 2
            """,
            ["train toy/net", "train toy/flaky", "train toy/flaky"],
        ),
    ],
    ids=["inside a window of the test's", "after another training"],
)
def test_a_retry_does_not_cut_what_is_measured_as_a_whole(project, monkeypatch, body, windows):
    """One record with all joules, each training as an inner window, and a flag that says why it holds more."""
    monkeypatch.setenv("TOY_MARKER", str(project.path / "marker"))
    project.tests(f"""
        import pytest

        @pytest.mark.workload("toy/flaky")
        def test_it(train, energy_meter):
{textwrap.indent(textwrap.dedent(body), " " * 12)}
        """)
    project.run("--energy-max-retries=1").assert_outcomes(passed=1)
    (record,) = project.records()
    assert (record["attempt"], record["status"]) == (1, "passed")
    assert [inner["name"] for inner in record["energy"]["windows"]] == windows
    assert all(0 <= inner["start_s"] <= record["energy"]["window_s"] for inner in record["energy"]["windows"])
    assert any("retried" in flag and "first time fails" in flag for flag in record["meter"]["flags"])
    logs = sorted(path.read_text() for path in project.run_folder.glob("experiments/*/**/training.log"))
    assert sum("first time fails" in log for log in logs) == 1


@pytest.mark.parametrize("how", [(), ("--energy-disable",)], ids=["measured", "disabled"])
def test_a_training_of_a_fixture_is_tried_again(project, monkeypatch, how):
    """What a fixture trains is outside of the window, which opens with the test and not with a retry."""
    monkeypatch.setenv("TOY_MARKER", str(project.path / "marker"))
    project.tests("""
        import pytest

        @pytest.fixture
        def pretrained(train):
            return train("toy/flaky")

        def test_it(pretrained, energy_meter):
            assert pretrained.attempts == 2
        """)
    project.run("--energy-max-retries=1", *how).assert_outcomes(passed=1)
    if not how:
        (record,) = project.records()
        assert record["energy"]["windows"] == []
        assert any("retried" in flag for flag in record["meter"]["flags"])


def test_a_window_that_was_never_closed_ends_with_its_test(project):
    """It is in the record of its own test, and not the parent of what the next test measures."""
    project.tests(
        """
        def test_forgets(energy_meter):
            window = energy_meter.window("forgotten")
            window.__enter__()
            globals()["kept"] = window

        def test_next(energy_meter):
            with energy_meter.window("inner"):
                pass
        """
    )
    project.run().assert_outcomes(passed=2)
    names = [[inner["name"] for inner in record["energy"]["windows"]] for record in project.records()]
    assert names == [["forgotten"], ["inner"]]
    assert all(record["energy"]["start_s"] == 0 for record in project.records())


def test_a_test_timeout_is_recorded_as_one(project):
    """pytest-timeout's signal method fails the test; the record says timeout, and the child is gone."""
    project.tests('import pytest\n@pytest.mark.workload("toy/slow")\ndef test_it(train):\n    train()\n')
    project.run("--timeout=3").assert_outcomes(failed=1)
    (record,) = project.records()
    assert record["status"] == "timeout"


def test_the_thread_method_leaves_a_record(project):
    """pytest-timeout's thread method ends the process; the record was written before."""
    project.tests('import pytest\n@pytest.mark.workload("toy/slow")\ndef test_it(train):\n    train()\n')
    result = project.run("--timeout=4", "--timeout-method=thread")
    assert result.ret == 1
    (record,) = project.records()
    assert record["status"] == "timeout"
    assert record["energy"]["total_j"] > 0


def test_junit_properties(project):
    """JUnit gets the figures, and not the record itself; nothing warns under xunit2."""
    project.tests(METERED)
    project.run("--junitxml=out.xml", "-W", "error").assert_outcomes(passed=1)
    properties = {one.get("name"): one.get("value") for one in ET.parse(project.path / "out.xml").iter("property")}
    assert float(properties["energy.total_j"]) > 0
    assert properties["energy.quality"]
    assert "energy.record" not in properties


def test_files_of_a_run(project):
    """The results folder holds the documented files, and git ignores it."""
    project.tests(METERED)
    project.run("--energy-name=first", "--energy-tag=who=me").assert_outcomes(passed=1)
    folder = project.run_folder
    assert "first" in folder.name
    assert {"run.json", "records.jsonl", "summary.csv", "experiments"} <= {path.name for path in folder.iterdir()}
    assert (folder.parent / ".gitignore").read_text().strip().endswith("*")
    assert project.records()[0]["labels"] == {"who": "me"}
    assert json.loads((folder / "run.json").read_text())["exit_status"] == 0


def test_the_table(project):
    """The terminal shows the cell, its joules with an interval, the quality, and where the results are."""
    project.tests(METERED)
    output = project.run().stdout.str()
    section = output[output.index(" energy ") :]
    assert "test_metered" in section
    assert "±" in section
    assert str(project.run_folder) in section


def test_disable(project):
    """--energy-disable trains, but measures nothing, starts no load, repeats nothing and writes nothing."""
    project.tests(FULL)
    project.run("--energy-disable", "--energy-repeats=5").assert_outcomes(passed=2)
    assert not (project.path / "energy-results").exists()


def test_measure_all(project):
    """--energy measures tests that ask for nothing."""
    project.tests("def test_plain():\n    pass\n")
    project.run("--energy").assert_outcomes(passed=1)
    assert len(project.records()) == 1


def test_a_suite_without_experiments_is_left_alone(project):
    """Nothing is printed and nothing written."""
    project.tests("def test_plain():\n    pass\n")
    result = project.run()
    result.assert_outcomes(passed=1)
    # the project's ini file has a setting that only the plugin knows
    without = project.pytester.runpytest_subprocess("-p", "pytest_timeout", "-W", "ignore::pytest.PytestConfigWarning")

    def lines(run):
        kept = [line for line in run.outlines if not line.startswith("plugins: ")]
        return [re.sub(r"in [\d.]+s", "in …", line) for line in kept]

    assert lines(result) == lines(without)
    assert not (project.path / "energy-results").exists()


def test_alone_against_beside(project):
    """parametrize(indirect) gives the cell alone and beside a load, as two cells."""
    project.tests(
        """
        import pytest

        @pytest.mark.workload("toy/net")
        @pytest.mark.parametrize("background_load", [None, "toy/net"], indirect=True)
        def test_it(train, background_load):
            train()
            assert len(background_load) in (0, 1)
        """
    )
    project.run().assert_outcomes(passed=2)
    alone, beside = project.records()
    assert (len(alone["background"]), len(beside["background"])) == (0, 1)
    assert alone["cell"] != beside["cell"]


def test_a_plain_command_as_load(project):
    """A command is a load too, started from the test."""
    project.tests(
        """
        import sys

        def test_it(background_load):
            load = background_load([sys.executable, "-c", "import time; print('$(date) \\" x'); time.sleep(0.2)"])
            assert load.alive
        """
    )
    project.run("--energy-coverage-min=0").assert_outcomes(passed=1)
    (record,) = project.records()
    assert record["background"][0]["repository"] is None


def test_a_marked_load_runs_unasked(project):
    """The marker is enough: the fixture need not stand in the test's arguments."""
    project.tests(
        """
        import pytest

        @pytest.mark.background_load("toy/net")
        def test_it(energy_meter):
            sum(range(10**7))
        """
    )
    project.run().assert_outcomes(passed=1)
    (record,) = project.records()
    assert record["background"][0]["repository"] == "toy"


def test_under_xdist(project):
    """Workers measure, the controller keeps: one store, every record."""
    pytest.importorskip("xdist")
    project.tests(METERED + "\ndef test_other(energy_meter):\n    pass\n")
    project.run("-p", "xdist", "-n2").assert_outcomes(passed=2)
    assert len(project.records()) == 2
    assert len({record["run_id"] for record in project.records()}) == 1
    assert len(list((project.path / "energy-results").glob("2*"))) == 1


def test_values_are_never_interpreted(project):
    """A value full of shell syntax reaches the training, and the load, letter by letter."""
    nasty = """it's "$(touch pwned)"; `touch pwned` \\n $HOME & | > x"""
    project.tests(
        f"""
        import pytest
        NASTY = {nasty!r}

        @pytest.mark.workload("toy/net", caption=NASTY)
        @pytest.mark.background_load("toy/net", caption=NASTY, epochs=1)
        def test_it(train, background_load):
            assert f"config: caption={{NASTY}}" in train().log.read_text().splitlines()
            assert f"config: caption={{NASTY}}" in (background_load.log_dir / "round-1.log").read_text().splitlines()
        """
    )
    project.run().assert_outcomes(passed=1)
    assert not list(project.path.rglob("pwned"))


def test_energy_list_and_doctor(project):
    """The answers come without running a test."""
    project.tests("def test_never():\n    assert 0\n")
    listed = project.run("--energy-list")
    assert listed.ret == 0
    listed.stdout.fnmatch_lines(["toy/net*quick*accuracy*", "*learning_rate*0.1*log_uniform(0.01, 1.0)"])
    assert project.run("--energy-list=columns").stdout.str().count("energy_total_j") == 1
    assert project.run("--energy-list=sensors").ret == 0
    doctor = project.run("--energy-doctor")
    measured = "verdict: energy is measured on this machine" in doctor.stdout.str()
    assert doctor.ret == (0 if measured else 1)
    doctor.stdout.fnmatch_lines(["*powercap*", "verdict: energy *"])
    assert not (project.path / "energy-results").exists()


def test_a_tests_own_parameters_make_cells(project):
    """What the test's own parametrize varies is never pooled: each value is a cell, and a repetition of it the same."""
    project.tests(
        """
        import pytest

        @pytest.mark.parametrize("size", [1, 2, object()])
        def test_it(size, energy_meter):
            pass
        """
    )
    project.run("--energy-repeats=2").assert_outcomes(passed=6)
    cells = [record["cell"] for record in project.records()]
    assert len(set(cells)) == 3
    assert all(cells.count(cell) == 2 for cell in cells)
