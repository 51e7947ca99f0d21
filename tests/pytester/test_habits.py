"""No surprise for a pytest user: options and other plugins mean what they always mean."""

from __future__ import annotations

from xml.etree import ElementTree as ET

import pytest

TWO = """
import pytest

def test_one(energy_meter):
    pass

@pytest.mark.workload("toy/net")
@pytest.mark.background_load("toy/net", epochs=1)
def test_two(train):
    train()
"""


@pytest.mark.parametrize(
    "options",
    [("--collect-only",), ("--fixtures",), ("--help",), ("--markers",), ("--setup-plan",), ("--fixtures-per-test",)],
)
def test_what_runs_nothing_starts_nothing(project, options):
    """Looking opens no sensor, starts no process and makes no folder."""
    project.tests(TWO)
    result = project.run(*options)
    assert result.ret == 0
    assert not (project.path / "energy-results").exists()


@pytest.mark.parametrize(
    "options",
    [
        ("-q",),
        ("-qq",),
        ("-v",),
        ("--no-summary",),
        ("--no-header",),
        ("-p", "no:cacheprovider"),
        ("-p", "no:terminal"),
        ("-p", "no:junitxml"),
        ("-W", "error"),
        ("-x",),
        ("--strict-markers",),
        ("-s",),
        ("--import-mode=importlib",),
    ],
    ids=" ".join,
)
def test_usual_options(project, options):
    """Records are kept and nothing breaks under the usual options."""
    project.tests("def test_one(energy_meter):\n    pass\n")
    result = project.run(*options)
    assert result.ret == 0
    assert "INTERNALERROR" not in result.stdout.str() + result.stderr.str()
    assert len(project.records()) == 1


def test_without_the_timeout_plugin(project):
    """pytest-timeout may be switched off."""
    project.tests("def test_one(energy_meter):\n    pass\n")
    project.plugins = ("-p", "pytest_parallel_energy.plugin")
    project.run().assert_outcomes(passed=1)


def test_a_test_runs_exactly_once(project):
    """Measuring does not run a test twice, nor on a failure."""
    project.tests(
        """
        def test_one(energy_meter):
            with open("runs", "a") as runs:
                runs.write("x")
            assert 0
        """
    )
    project.run().assert_outcomes(failed=1)
    assert (project.path / "runs").read_text() == "x"


def test_exitfirst_stops(project):
    """-x ends the session after the first failure, with both records so far."""
    project.tests(
        """
        def test_a(energy_meter):
            pass

        def test_b(energy_meter):
            assert 0

        def test_c(energy_meter):
            pass
        """
    )
    project.run("-x").assert_outcomes(passed=1, failed=1)
    assert [record["status"] for record in project.records()] == ["passed", "failed"]


def test_last_failed(project):
    """--lf runs the cell that failed, and only it."""
    project.tests(
        """
        import pytest

        @pytest.mark.mutate(x=[1, 2, 3])
        def test_it(hyperparameters):
            assert hyperparameters["x"] != 2
        """
    )
    project.run().assert_outcomes(passed=2, failed=1)
    project.run("--lf").assert_outcomes(failed=1)


def test_expected_failures(project):
    """Xfail stays xfail; the record says what happened."""
    project.tests("import pytest\n@pytest.mark.xfail(strict=True)\ndef test_it(energy_meter):\n    assert 0\n")
    project.run().assert_outcomes(xfailed=1)
    assert [record["status"] for record in project.records()] == ["xfailed"]


def test_reruns(project):
    """pytest-rerunfailures: each run of the test has a record and a case in JUnit with its own figures."""
    pytest.importorskip("pytest_rerunfailures")
    project.tests(
        """
        import os

        def test_it(energy_meter):
            if not os.path.exists("seen"):
                open("seen", "w").close()
                raise OSError
        """
    )
    project.run("-p", "pytest_rerunfailures", "--reruns=2", "--junitxml=out.xml").assert_outcomes(passed=1)
    assert [record["status"] for record in project.records()] == ["failed", "passed"]
    cases = ET.parse(project.path / "out.xml").iter("testcase")
    assert [len(case.findall(".//property[@name='energy.total_j']")) for case in cases] == [1, 1]


KEYWORDS = """
import pytest

@pytest.mark.workload("toy/net")
def test_alone(train):
    train()

@pytest.mark.workload("toy/net")
@pytest.mark.background_load("toy/net", epochs=1)
def test_together(train):
    train()
"""


def test_keywords_match_marker_names_as_pytest_defines_them(project):
    """-k matches parts of marker names: "background" selects the tests with a load, "workload" every training."""
    project.tests(KEYWORDS)
    looks = ("--energy-disable", "--collect-only", "-q")
    for option, word, names in (
        ("-k", "not background", ["test_alone"]),
        ("-k", "background", ["test_together"]),
        ("-k", "workload", ["test_alone", "test_together"]),
        ("-m", "workload", ["test_alone", "test_together"]),
    ):
        lines = project.run(option, word, *looks).outlines
        found = [name for name in ("test_alone", "test_together") if any(f"::{name}" in line for line in lines)]
        assert found == names, (option, word)


def test_other_plugins_see_every_marker_while_pytest_selects_by_keyword(project):
    """A conftest.py that reads the workload marker during collection finds it, also with -k."""
    project.tests(KEYWORDS)
    (project.path / "conftest.py").write_text(
        "def pytest_collection_modifyitems(items):\n"
        "    print('workloads', [item.get_closest_marker('workload').args[0] for item in items])\n"
    )
    result = project.run("-k", "test_", "--collect-only", "-q", "-s")
    result.stdout.fnmatch_lines(["*workloads*'toy/net', 'toy/net'*"])


def test_a_fixture_of_the_same_name(project):
    """A suite's own fixture called train is no experiment, and is left alone."""
    project.tests(
        """
        import pytest

        @pytest.fixture
        def train():
            return 42

        def test_it(train):
            assert train == 42
        """
    )
    project.run().assert_outcomes(passed=1)
    assert not (project.path / "energy-results").exists()
