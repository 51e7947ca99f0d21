"""The hooks that this plugin offers to others.

PYTEST_DONT_REWRITE spares this module the rewriting of assertions by pytest: it has none.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from ..records.record import Record

__all__ = ["pytest_energy_record"]


@pytest.hookspec
def pytest_energy_record(config: pytest.Config, record: Record) -> None:
    """A record was put on the disk: one attempt of one experiment, whichever way it ended.

    Called in the process that reports (under xdist the controller), in the order of the records. An exception is shown
    as a problem below the table; the record is safe by then.
    """
