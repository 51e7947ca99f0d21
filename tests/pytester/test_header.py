"""The header of a session that measures: complete, short with -q, and the same under xdist."""

from __future__ import annotations

import pytest

TWO = """
def test_a(energy_meter): pass
def test_b(energy_meter): pass
"""


def _header(result):
    return [line for line in result.outlines if line.startswith("energy: ")]


def test_the_header_names_the_sensors_and_the_reasons(project):
    """Sensors in use, those that are not and why, threads and folder: a line each."""
    project.tests(TWO)
    lines = _header(project.run())
    assert lines[0].startswith("energy: sensor ")
    assert lines[-1].startswith("energy: results in ")
    assert "(s)" not in "".join(lines)


def test_quiet_has_one_line(project):
    """With -q the header is one line."""
    project.tests(TWO)
    (line,) = _header(project.run("-q"))
    assert line.startswith("energy: estimate (estimated); ")
    assert f"results in {project.run_folder}" in line


@pytest.mark.parametrize("quiet", [[], ["-q"]])
def test_xdist_prints_the_same_header_once(project, quiet):
    """The controller prints what its workers found, once, and the same as without xdist."""
    pytest.importorskip("xdist")
    project.tests(TWO)
    alone, divided = (_header(project.run(*quiet, *more)) for more in ([], ["-p", "xdist", "-n2"]))
    assert [line.partition("results in")[0] for line in divided] == [line.partition("results in")[0] for line in alone]


def test_xdist_prints_no_header_where_nothing_is_measured(project):
    """A suite without experiments has no header."""
    pytest.importorskip("xdist")
    project.tests("def test_a(): pass")
    assert _header(project.run("-p", "xdist", "-n2")) == []
