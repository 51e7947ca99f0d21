"""What a run is compared with, what closes the gate, what is written, and what other plugins hear of it."""

from __future__ import annotations

import json
from xml.etree import ElementTree as ET

import pytest

STUDY = """
import os

def test_a(energy_meter, record_metric):
    sum(range(1000))
    record_metric("answer", float(os.environ.get("ANSWER", "42")))
"""
FIVE = "--energy-repeats=5"


@pytest.fixture
def study(project, monkeypatch):
    """A test with a metric that the environment sets, and a way to run it."""
    project.tests(STUDY)

    def run(*arguments, answer=42.0):
        monkeypatch.setenv("ANSWER", str(answer))
        return project.run(FIVE, *arguments)

    return run


def test_a_worse_run_closes_the_gate(study):
    """Against a saved baseline a worse metric gives exit status 1, a section that says which, and no traceback."""
    study("--energy-save-baseline=main").assert_outcomes(passed=5)
    result = study("--energy-compare=main", "--energy-compare-fail=answer:5%", answer=50.0)
    result.assert_outcomes(passed=5, errors=1)
    assert result.ret == 1
    result.stdout.fnmatch_lines(["*= energy compared =*", "baseline main -> *", "*+19.0 %*worse*", "verdicts: 1 worse"])
    result.stdout.fnmatch_lines(["ERROR energy gate*1 regression (test_a)*", "*5 passed, 1 error in *"])
    result.stdout.no_fnmatch_line("*Traceback*")


def test_sessions_are_pooled_in_a_baseline(study):
    """Three runs are three sessions; a fourth one is compared with all of them, and not within one session."""
    for number, answer in enumerate((42.0, 42.1, 41.9), 1):
        result = study("--energy-add-baseline=main", answer=answer)
        result.stdout.fnmatch_lines([f"*baseline: *main.jsonl, which now holds {number} session{'s' * (number > 1)}"])
    result = study("--energy-compare=main", "--energy-compare-fail=answer:5%", answer=50.0)
    assert result.ret == 1
    result.stdout.fnmatch_lines(["*+19.0 %*worse*", "ERROR energy gate*1 regression (test_a)*"])
    result.stdout.no_fnmatch_line("*within one session*")


def test_a_closed_gate_is_in_junit_xml(project, study):
    """A closed gate is a failed test case of its own beside those of the tests."""
    study("--energy-save-baseline")
    study("--energy-compare-fail=answer:5%", "--junit-xml=junit.xml", answer=50.0)
    suite = ET.parse(project.path / "junit.xml").getroot().find("testsuite")
    assert (suite.get("tests"), suite.get("failures")) == ("6", "1")
    (case,) = [case for case in suite if case.get("name") == "gate"]
    assert "1 regression (test_a)" in case.find("failure").get("message")


def test_a_gate_that_cannot_fail_is_announced(study):
    """One repeat cannot fail a gate: the run says so before it starts, and fails at its end where that is asked for."""
    study("--energy-save-baseline")
    result = study("-k", "rep0", "--energy-compare-fail=answer:5%", "--energy-compare-inconclusive=fail")
    assert result.ret == 1
    result.stdout.fnmatch_lines(["warning: the gate answer:5% cannot fail*", "*1 inconclusive verdict*"])


def test_a_misspelled_quantity_is_refused_before_the_run(study):
    """A gate for a quantity that the baseline does not have is a usage error with the nearest name."""
    study("--energy-save-baseline")
    result = study("--energy-compare-fail=anser:5%")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: no record has a quantity 'anser'*did you mean 'answer'*"])


def test_a_run_that_measures_nothing_closes_the_gate(project, study):
    """Where a baseline is there and the run has no experiment, the gate has nothing to compare and fails."""
    study("--energy-save-baseline")
    project.tests("def test_plain():\n    pass\n")
    result = project.run("--energy-compare-fail=answer:5%")
    assert result.ret == 1
    result.stdout.fnmatch_lines(["*this run measured nothing*", "ERROR energy gate*", "*1 passed, 1 error in *"])
    assert project.run("--energy-compare-fail=answer:5%", "--energy-disable").ret == 0


def test_the_same_run_keeps_it_open(study):
    """Without a regression the exit status stays 0, and the verdict is there."""
    study("--energy-save-baseline")
    result = study("--energy-compare-fail=answer:5%")
    assert result.ret == 0
    result.stdout.fnmatch_lines(["baseline default -> *", "verdicts: 1 no change"])


def test_alone_the_option_compares_with_the_run_before(project, study):
    """--energy-compare= without a baseline takes the latest run, not the one that is running."""
    study()
    before = project.run_folder.name
    result = study("--energy-compare=")
    result.stdout.fnmatch_lines([f"{before} -> {project.run_folder.name}"])


def test_a_failed_test_stays_a_failed_test(project):
    """A gate that is open does not hide a failure, and a failed run is compared all the same."""
    project.tests("def test_a(energy_meter):\n    assert False\n")
    project.run("--energy-save-baseline")
    result = project.run("--energy-compare-fail=total_j:5%")
    assert result.ret == 1
    result.stdout.fnmatch_lines(["*= energy compared =*"])


@pytest.mark.parametrize("option", ["--energy-compare=main", "--energy-compare-fail=total_j:5%"])
def test_a_missing_baseline_warns_or_fails(study, option):
    """Where nothing is there to compare with, the run says so; when asked, it refuses before anything runs."""
    result = study(option)
    assert result.ret == 0
    result.stdout.fnmatch_lines(["problem: nothing to compare with: no *"])
    result = study(option.replace("main", "other"), "--energy-baseline-missing=fail", "--energy-dir=elsewhere")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: --energy-compare: no *"])
    result.stdout.no_fnmatch_line("*passed*")


def test_reports_are_written_where_asked(project, study):
    """Each report lands in the run's folder or at its path, and the terminal says where."""
    result = study("--energy-report=md", "--energy-report=openmetrics:out/metrics.txt", "--energy-report=term")
    assert (project.run_folder / "report.md").read_text().startswith("## Energy:")
    assert (project.path / "out" / "metrics.txt").read_text().endswith("# EOF\n")
    result.stdout.fnmatch_lines(["report: *report.md", "report: out/metrics.txt"])


def test_an_html_report_of_a_real_run(project, study):
    """The HTML report of a run shows its cell and its sensors."""
    pytest.importorskip("altair", reason="the extra report is not installed")
    study("--energy-report=html")
    text = (project.run_folder / "report.html").read_text()
    assert "test_a" in text
    assert "Environment and sensors" in text


def test_one_report_that_fails_stops_no_other(project, study):
    """An unwritable path is a problem below the table; the tests and the other reports are not touched."""
    (project.path / "file").write_text("")
    result = study("--energy-report=md:file/x.md", "--energy-report=json")
    assert result.ret == 0
    result.stdout.fnmatch_lines(["problem: file/x.md cannot be written: *", "report: *report.json"])
    assert json.loads((project.run_folder / "report.json").read_text())["format_version"] == 1


def test_settings_come_from_the_ini_file_too(project, study):
    """Reports, thresholds and factors have their ini twins."""
    project.ini("energy_report = md json", "energy_price = 0.31 EUR/kWh; contract", "energy_pue = 1.2")
    result = study()
    assert {path.name for path in project.run_folder.iterdir()} >= {"report.md", "report.json"}
    result.stdout.fnmatch_lines([
        "price: * EUR at 0.31 EUR/kWh (contract), facility overhead included, from estimated joules"
    ])


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("--energy-report=htm", "*there is no report 'htm': did you mean 'html'*"),
        ("--energy-compare-fail=total_j", "*'total_j' is not a threshold*"),
        ("--energy-baseline-missing=x", "*invalid value 'x'; * warn*"),
        ("--energy-save-baseline=../x", "*cannot name a baseline*"),
        ("--energy-price=0.3", "*no currency*"),
        ("--energy-pue=0.5", "*1 or more*"),
        ("--energy-carbon-intensity=5 lb/kWh", "*no unit 'lb/kWh'*"),
    ],
)
def test_a_wrong_value_is_refused_at_once(study, option, message):
    """A value that cannot be is one usage error that names the option; nothing runs."""
    result = study(option)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"ERROR: {option.partition('=')[0]}: {message}"])


def test_disabled_compares_and_writes_nothing(project, study):
    """The suite as a fast functional test leaves nothing behind."""
    result = study("--energy-disable", "--energy-compare=nothing", "--energy-report=md", "--energy-save-baseline")
    assert result.ret == 0
    assert not (project.path / "energy-results").exists()


def test_github_gets_a_summary_and_annotations(project, study, monkeypatch):
    """In a step of GitHub Actions the job summary is appended, and a regression is an annotation."""
    summary = project.path / "summary.md"
    summary.write_text("# before\n")
    study("--energy-save-baseline")
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(summary))
    result = study("--energy-compare-fail=answer:5%", answer=50.0)
    assert summary.read_text().startswith("# before\n## Energy:")
    result.stdout.fnmatch_lines(["::error title=Energy regression in test_a*::answer +19.0 %25*"])


def test_other_plugins_hear_of_each_record(project, study):
    """pytest_energy_record is called once a record, after it is on the disk."""
    project.pytester.makeconftest("""
        import pathlib
        def pytest_energy_record(config, record):
            lines = pathlib.Path("energy-results/latest/records.jsonl").read_text()
            assert record.record_id in lines
            with open("heard.txt", "a") as file:
                file.write(f"{record.status} {record.metrics['answer']}\\n")
    """)
    study()
    assert (project.path / "heard.txt").read_text().splitlines() == ["passed 42.0"] * 5


def test_a_hook_that_fails_costs_no_record(project, study):
    """An exception in somebody's hook is a problem below the table: all tests pass, all records are kept."""
    project.pytester.makeconftest("def pytest_energy_record(record):\n    raise RuntimeError('no server')\n")
    result = study()
    result.assert_outcomes(passed=5)
    assert result.ret == 0
    result.stdout.fnmatch_lines(["problem: a hook pytest_energy_record failed: RuntimeError: no server"])
    assert len(project.records()) == 5


def test_the_controller_of_xdist_concludes(project, study):
    """Under xdist there is one comparison, of all workers' records, and the hook runs in one process."""
    project.pytester.makeconftest("""
        import os
        def pytest_energy_record(config, record):
            with open("heard.txt", "a") as file:
                file.write(f"{os.getpid()}\\n")
    """)
    study("--energy-save-baseline")
    (project.path / "heard.txt").unlink()
    result = study("-p", "xdist", "-n2", "--energy-compare-fail=answer:5%", answer=50.0)
    assert result.ret == 1
    result.stdout.fnmatch_lines(["verdicts: 1 worse"])
    assert len(project.records()) == 5
    heard = (project.path / "heard.txt").read_text().split()
    assert len(heard) == 5
    assert len(set(heard)) == 1


def test_a_limit_fails_the_test_that_breaks_it(project):
    """A test above its own limit fails with one sentence; its record says so, with its energy."""
    project.tests("""
        import pytest
        @pytest.mark.limit_energy("1 mJ")
        def test_over(energy_meter):
            sum(range(3_000_000))
        @pytest.mark.limit_energy("1 GJ")
        @pytest.mark.limit_power("1 MW")
        def test_under(energy_meter):
            sum(range(1000))
    """)
    result = project.run()
    result.assert_outcomes(passed=1, failed=1)
    over, under = project.records()
    assert over["status"] == "failed"
    assert "is above the limit of 1.00 mJ" in over["reason"]
    assert over["energy"]["total_j"] > 0.001
    assert under["status"] == "passed"
    result.stdout.no_fnmatch_line("*Traceback*")


@pytest.mark.parametrize(
    ("marker", "message"),
    [
        ('limit_energy("5")', "*'5' is not an energy*"),
        ('limit_energy("5 J", kind="gpus")', "*did you mean 'gpu'*"),
        ('limit_energy("5 J", of="gpu")', "*has no argument 'of'*"),
        ("limit_power(250)", "*takes one quantity*"),
    ],
)
def test_a_wrong_limit_fails_its_test_alone(project, marker, message):
    """A limit that is not understood fails that test with the reason, and no other."""
    project.tests(f"""
        import pytest
        @pytest.mark.{marker}
        def test_wrong():
            pass
        def test_other(energy_meter):
            pass
    """)
    result = project.run()
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines([message])
