"""What becomes of records: kept at once, summed up at the end."""

from __future__ import annotations

from collections.abc import Generator
from typing import TYPE_CHECKING, Any

import pytest

from ..errors import RecordError
from .collection import FINISHED_INPUT, RECORD_PROPERTY, RUN_INPUT

if TYPE_CHECKING:
    from ..results.record import Record
    from .collection import Collection

__all__ = ["Reporting"]

_MARKUP = {
    "head": {"bold": True},
    "good": {"green": True},
    "warn": {"yellow": True},
    "bad": {"red": True},
}


class Reporting:
    """Keeps the records of this session, and tells about them. Only in the process that reports: not in a worker.

    Args:
        collection: gives the session, whose store keeps the records.
    """

    def __init__(self, collection: Collection) -> None:
        self._collection = collection
        self.records: list[Record] = []
        self.problems: list[str] = []
        self._told = False

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: Any) -> None:
        """Tell a worker of xdist which results folder is the run's."""
        session = self._collection.session
        node.workerinput[RUN_INPUT] = str(session.run_folder)
        if session.resumed_folder is not None:
            node.workerinput[FINISHED_INPUT] = session.finished.to_plain()

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Put the records that a report carries on the disk; JUnit gets their figures instead."""
        carried = [text for name, text in report.user_properties if name == RECORD_PROPERTY]
        if not carried:
            return
        from ..results.codec import decode
        from ..results.junit import junit_properties

        report.user_properties[:] = [pair for pair in report.user_properties if pair[0] != RECORD_PROPERTY]
        for text in carried:
            record = decode(str(text).encode())
            self._keep(record)
        report.user_properties.extend(junit_properties(record))

    def _keep(self, record: Record) -> None:
        self.records.append(record)
        try:
            self._collection.session.store.append(record)
        except RecordError as error:
            self.problems.append(str(error))

    # Inside the terminal's wrapper, which prints the summary, and around Running's, which was registered later.
    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_sessionfinish(self, exitstatus: int | pytest.ExitCode) -> Generator[None, Any, Any]:
        """After the last experiment has ended: adopt what crashed or was interrupted, and close the results folder."""
        try:
            return (yield)
        finally:
            if self._collection.has_session and self._collection.session.has_store:
                self._close(int(exitstatus))

    def _close(self, exit_status: int) -> None:
        store = self._collection.session.store
        try:
            self.records.extend(store.adopt_unfinished())
            store.finish(exit_status)
        except RecordError as error:
            self.problems.append(str(error))
        self.problems.extend(store.problems)

    def pytest_report_collectionfinish(self, config: pytest.Config) -> list[str]:
        """Say what will measure, what was left out and why, and where the results go."""
        collection = self._collection
        if config.option.collectonly or not (collection.has_session and collection.session.has_store):
            return []
        from ..answers import header_lines

        return header_lines(collection.session)

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Print the table."""
        if self._told or not (self.records or self.problems):
            return
        from ..results.table import render_table

        self._told = True
        terminalreporter.section("energy")
        width = terminalreporter.config.get_terminal_writer().fullwidth
        for line in render_table(self.records, width=width):
            terminalreporter.write_line(line.text, **_MARKUP.get(line.severity, {}))
        for problem in self.problems:
            terminalreporter.write_line(f"problem: {problem}", red=True)
        terminalreporter.write_line(f"results: {self._collection.session.store.folder}")

    def pytest_unconfigure(self, config: pytest.Config) -> None:
        """Print the table after all where pytest prints no summary: a session that SIGTERM or SIGHUP ended."""
        terminal = config.pluginmanager.get_plugin("terminalreporter")
        if terminal is not None and not config.option.no_summary:
            self.pytest_terminal_summary(terminal)
