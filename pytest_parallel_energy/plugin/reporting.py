"""What becomes of records: kept at once, summed up at the end."""

from __future__ import annotations

import os
from collections.abc import Generator
from typing import TYPE_CHECKING, Any

import pytest

from ..errors import ParallelEnergyError, RecordError
from .collection import FINISHED_INPUT, RECORD_PROPERTY, RUN_INPUT

if TYPE_CHECKING:
    from ..records.record import Record
    from ..run.conclusion import Conclusion, Reference
    from .collection import Items

__all__ = ["Reporting"]

_WIDTH = 80
"""Where there is no terminal to ask."""
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

    def __init__(self, collection: Items) -> None:
        self._collection = collection
        self.records: list[Record] = []
        self.problems: list[str] = []
        self._reference: Reference | None = None
        self._conclusion: Conclusion | None = None
        self._told = False

    def pytest_sessionstart(self, session: pytest.Session) -> None:
        """Find what the run will be compared with, before hours of training, and before the run itself is the latest.

        Raises:
            pytest.UsageError: there is none, and ``--energy-baseline-missing=fail``; or SciPy is missing for a gate.
        """
        settings = self._collection.settings_if_any
        if settings is None or settings.disable or session.config.option.collectonly:
            return
        if settings.compare is None and not settings.compare_fail:
            return
        from ..run.conclusion import find_reference

        energy = self._collection.session
        try:
            self._reference = find_reference(settings, energy.results_dir, energy.host)
        except ParallelEnergyError as error:
            raise pytest.UsageError(str(error)) from error

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
        from ..records.codec import decode
        from ..reports.junit import junit_properties

        report.user_properties[:] = [pair for pair in report.user_properties if pair[0] != RECORD_PROPERTY]
        for text in carried:
            record = decode(str(text).encode())
            self._keep(record)
        self._begin_progress()
        report.user_properties.extend(junit_properties(record))

    def _begin_progress(self) -> None:
        """Under xdist: tell where the run is, once it is known that it measures."""
        manager = self._collection.config.pluginmanager
        if manager.hasplugin("dsession") and not manager.hasplugin("parallel_energy_progress"):
            from .live_progress import LiveProgress

            manager.register(LiveProgress(self._collection, None, os.dup(1)), "parallel_energy_progress")

    def _keep(self, record: Record) -> None:
        try:
            self._collection.session.open_store().append(record)
        except RecordError as error:
            self.problems.append(str(error))
        self._pass_on(record)

    def _pass_on(self, record: Record) -> None:
        """Give the record to other plugins; what they do wrong costs nobody a record or the session."""
        self.records.append(record)
        config = self._collection.config
        try:
            config.hook.pytest_energy_record(config=config, record=record)
        except Exception as error:  # noqa: BLE001 - somebody else's code; said below the table
            self.problems.append(f"a hook pytest_energy_record failed: {type(error).__name__}: {error}")

    # Inside the terminal's wrapper, which prints the summary, and around Running's, which was registered later.
    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_sessionfinish(
        self, session: pytest.Session, exitstatus: int | pytest.ExitCode
    ) -> Generator[None, Any, Any]:
        """After the last experiment has ended: adopt what crashed, close the results folder, compare and report.

        A gate that closed sets the session's exit status, where it would be 0.
        """
        try:
            return (yield)
        finally:
            if self._collection.has_session and self._collection.session.has_store:
                self._close(int(exitstatus))
                self._conclude()
                if self._conclusion and self._conclusion.failed and exitstatus == pytest.ExitCode.OK:
                    session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def _close(self, exit_status: int) -> None:
        from ..reports.csv_table import write_summary

        store = self._collection.session.open_store()
        try:
            for record in store.adopt_unfinished():
                self._pass_on(record)
            store.finish(exit_status)
            write_summary(store.folder)
        except RecordError as error:
            self.problems.append(str(error))
        self.problems.extend(store.problems)

    def _conclude(self) -> None:
        """Do what was asked for with the whole run; a suite that asked for nothing does not pay for it."""
        from ..run.conclusion import conclude, wants_conclusion

        settings, energy, config = self._collection.settings, self._collection.session, self._collection.config
        if not wants_conclusion(settings):
            return
        shown = config.pluginmanager.has_plugin("terminalreporter")
        width = config.get_terminal_writer().fullwidth if shown else _WIDTH
        try:
            self._conclusion = conclude(
                settings, energy.results_dir, energy.open_store().folder, self._reference, width=width
            )
        except ParallelEnergyError as error:
            self.problems.append(str(error))
        else:
            self.problems.extend(self._conclusion.problems)

    def pytest_report_collectionfinish(self, config: pytest.Config) -> list[str]:
        """Say what will measure, what was left out and why, and where the results go."""
        collection = self._collection
        if config.option.collectonly or not (collection.has_session and collection.session.has_store):
            return []
        from ..console.listings import header_lines

        return header_lines(collection.session)

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Print the table."""
        if self._told or not (self.records or self.problems):
            return
        from ..reports.terminal_table import render_table

        self._told = True
        terminalreporter.section("energy")
        width = terminalreporter.config.get_terminal_writer().fullwidth
        for line in render_table(self.records, width=width):
            terminalreporter.write_line(line.text, **_MARKUP.get(line.severity, {}))
        self._tell_loads(terminalreporter)
        for problem in self.problems:
            terminalreporter.write_line(f"problem: {problem}", red=True)
        if self._conclusion is not None:
            self._tell_conclusion(terminalreporter, self._conclusion)
        terminalreporter.write_line(f"results: {self._collection.session.open_store().folder}")

    def _tell_loads(self, terminalreporter: pytest.TerminalReporter) -> None:
        from ..reports.load_lines import render_loads

        lines = render_loads(self.records)
        if lines:
            terminalreporter.write_line("")
            terminalreporter.write_line("background loads:", bold=True)
        for line in lines:
            terminalreporter.write_line(f"  {line.text}", **_MARKUP.get(line.severity, {}))

    @staticmethod
    def _tell_conclusion(terminalreporter: pytest.TerminalReporter, conclusion: Conclusion) -> None:
        for sentence in conclusion.costs:
            terminalreporter.write_line(sentence)
        if conclusion.comparison:
            terminalreporter.section("energy compared", "=", red=conclusion.failed, bold=conclusion.failed)
        for line in conclusion.comparison:
            terminalreporter.write_line(line.text, **_MARKUP.get(line.severity, {}))
        for sentence in (*conclusion.written, *conclusion.annotations):
            terminalreporter.write_line(sentence)

    def pytest_unconfigure(self, config: pytest.Config) -> None:
        """Print the table after all where pytest prints no summary: a session that SIGTERM or SIGHUP ended."""
        terminal = config.pluginmanager.get_plugin("terminalreporter")
        if terminal is not None and not config.option.no_summary:
            self.pytest_terminal_summary(terminal)
