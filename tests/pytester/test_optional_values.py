"""Options whose value may be left out: a value follows ``=``, so that a test path after the option stays a path."""

from __future__ import annotations

import pytest

PLAIN = """
def test_it():
    pass
"""


@pytest.fixture
def tests_folder(project):
    """A folder with one test, and a conftest.py that must be loaded before the command line is parsed."""
    folder = project.path / "checks"
    folder.mkdir()
    (folder / "test_inner.py").write_text(PLAIN)
    (folder / "conftest.py").write_text("def pytest_addoption(parser):\n    parser.addoption('--of-the-folder')\n")
    (project.path / "test_outer.py").write_text(PLAIN)
    return "checks/"


@pytest.mark.parametrize(
    "option", ["--energy-resume", "--energy-compare", "--energy-save-baseline", "--energy-add-baseline"]
)
def test_a_path_after_the_option_is_a_path(project, tests_folder, option):
    """Only the folder that was named runs, and its conftest.py is known early enough to add options."""
    result = project.run(option, tests_folder, "--of-the-folder=1", "-v")
    result.assert_outcomes(passed=1)
    assert "test_inner.py::test_it" in result.stdout.str()


def test_a_path_after_energy_list(project, tests_folder):
    """--energy-list prints the workloads; the folder after it is not the name of a list."""
    result = project.run("--energy-list", tests_folder)
    assert result.ret == 0
    assert "toy/net" in result.stdout.str()


def test_a_path_after_the_option_in_addopts(project, tests_folder):
    """Addopts of the ini file come before the command line, and mean the same."""
    project.run("-o", "addopts=--energy-resume", tests_folder, "-v").assert_outcomes(passed=1)


def test_the_value_follows_an_equals_sign(project, tests_folder):
    """--energy-resume=RUN takes the run, and says that there is no such run."""
    result = project.run("--energy-resume=nowhere", tests_folder)
    assert "there is no run 'nowhere'" in result.stdout.str() + result.stderr.str()
