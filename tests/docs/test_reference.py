"""The generated pages of the documentation say what the code does."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

pytest.importorskip("griffe", reason="griffe is not installed")

from pytest_parallel_energy import __all__ as public_names
from pytest_parallel_energy.plan.options import MARKERS, OPTIONS
from pytest_parallel_energy.plugin.fixtures import FIXTURES
from tools.reference_pages import reference_pages

ROOT = Path(__file__).parents[2]
_INTERNAL = frozenset({
    "PYTEST_ENERGY_MEASURED_BY",
    "PARALLEL_ENERGY_SUPERVISED",
    "PARALLEL_ENERGY_COOKIE",
    "PARALLEL_ENERGY_REALM",
    "PARALLEL_ENERGY_LOCK",
    "PARALLEL_ENERGY_",
})
"""Variables between processes of the plugin, which no user sets or reads."""


@pytest.fixture(scope="module")
def pages():
    return reference_pages()


def test_every_option_has_a_section_with_its_three_names(pages):
    """Command line, ini file and environment."""
    page = pages["reference/options.md"]
    for option in OPTIONS:
        assert f"`{option.flag}" in page
        assert f"`{option.ini_name}`" in page
        assert f"`{option.variable}`" in page


def test_every_marker_and_fixture_is_described(pages):
    """Those that the plugin registers, and no others."""
    page = pages["reference/markers-and-fixtures.md"]
    assert set(re.findall(r"^### `(\w+)`", page, re.MULTILINE)) == {*MARKERS, *FIXTURES}


def test_every_variable_that_the_code_reads_is_listed(pages):
    """Variables of the plugin, of its children, and of the reference workloads."""
    sources = [*(ROOT / "pytest_parallel_energy").rglob("*.py"), *(ROOT / "experiments").rglob("*.py")]
    used = {
        name
        for source in sources
        for name in re.findall(
            r"\b(?:PYTEST_ENERGY|PARALLEL_ENERGY|EXPERIMENTS)_[A-Z0-9_]*", source.read_text(encoding="utf-8")
        )
    }
    listed = set(re.findall(r"`([A-Z0-9_]+)`", pages["reference/environment.md"]))
    assert used - _INTERNAL <= listed


def test_every_public_name_has_an_entry(pages):
    """The page of the Python interface is that of ``__all__``."""
    page = pages["reference/api.md"]
    listed = set(re.findall(r"^::: pytest_parallel_energy\.(\w+)$", page, re.MULTILINE))
    assert listed == set(public_names) - {"__version__"}


def test_fields_of_a_record_are_listed(pages):
    """With their types and meanings; the names of the parts of a record are headings."""
    page = pages["reference/record.md"]
    for name in ("Record", "WindowResult", "DomainEnergy", "LoadReport", "WorkloadPart", "HostPart", "Attribution"):
        assert f"## {name}\n" in page
    assert "| `total_u95_j` |" in page


def test_messages_can_be_searched(pages):
    """A message stands as the code has it, with its variable parts left out."""
    assert "can be read only by root (since Linux 5.10, CVE-2020-8694)" in pages["reference/messages.md"]
