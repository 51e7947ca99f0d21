"""The records of a session: kept at once, summed up at the end."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import threading
from collections import Counter
from collections.abc import Generator, Iterator, Sequence
from types import FrameType
from typing import TYPE_CHECKING, Any

import pytest

from ..errors import ParallelEnergyError, RecordError, printable
from .collection import FINISHED_INPUT, LEFTOVERS_OUTPUT, REFUSAL_OUTPUT, RUN_INPUT, STUDY_OUTPUT
from .report_records import SessionFacts, detach_facts, detach_records

if TYPE_CHECKING:
    from ..records.record import Record
    from ..run.closing import Closed
    from ..run.conclusion import Conclusion, Reference
    from .collection import Items
    from .plain_terminal import PlainTerminal

__all__ = ["Reporting"]

_WIDTH = 80
"""Used without a terminal."""
_MARKUP = {
    "head": {"bold": True},
    "good": {"green": True},
    "warn": {"yellow": True},
    "bad": {"red": True},
}


class Reporting:
    """The keeper of this session's records, which also reports them. A worker of pytest-xdist has none.

    Args:
        collection: the facts about the items, with the session whose store keeps the records.
    """

    def __init__(self, collection: Items) -> None:
        self._collection = collection
        self.records: list[Record] = []
        self.problems: list[str] = []
        self._reference: Reference | None = None
        self._conclusion: Conclusion | None = None
        self._gate_failed = False
        self._unstored: list[Record] = []
        """Records for which no results folder could be made."""
        self._handlers: dict[int, Any] = {}
        self._locked = False
        self._table_printed = False

    def pytest_sessionstart(self, session: pytest.Session) -> None:
        """Find the reference of the comparison, before hours of training, and before the run itself is the latest.

        Raises:
            pytest.UsageError: there is none and ``--energy-baseline-missing=fail``, it cannot be judged by a gate, or
                SciPy is missing for a gate.
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
        """Give a worker of xdist the run's results folder; from now on a signal may have records to save."""
        session = self._collection.session
        self._handle_signals()
        node.workerinput[RUN_INPUT] = str(session.run_folder)
        if session.resumed_folder is not None:
            node.workerinput[FINISHED_INPUT] = session.finished.to_plain()
            with contextlib.suppress(RecordError):  # closing the run writes it again, and says what is wrong
                session.describe_resumed_run()

    def pytest_runtest_logstart(self) -> None:
        """Under xdist, lock the run once a worker has begun it: a resume must not take it for one of a dead session."""
        if self._locked or not self._collection.config.pluginmanager.hasplugin("dsession"):
            return
        run = self._collection.session
        if run.has_store:
            self._locked = True
            with contextlib.suppress(RecordError):  # keeping the first record says what is wrong
                run.open_store()

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        """Report the leftover processes that a worker killed or could not kill, and note the part of the sweep.

        Raises:
            pytest.UsageError: the worker could not run at all: a sensor is missing, or an option is wrong.
        """
        output = getattr(node, "workeroutput", {})
        if REFUSAL_OUTPUT in output:
            raise pytest.UsageError(output[REFUSAL_OUTPUT])
        if STUDY_OUTPUT in output:
            from ..records.run_info import StudyPart

            self._collection.session.note_study(StudyPart(**output[STUDY_OUTPUT]))
        lines = output.get(LEFTOVERS_OUTPUT, ())
        self.problems.extend(line for line in lines if line not in self.problems)

    def _handle_signals(self) -> None:
        """Make SIGTERM and SIGHUP end xdist's controller in order, as they end a session without xdist."""
        if self._handlers or threading.current_thread() is not threading.main_thread():
            return
        for number in (signal.SIGTERM, signal.SIGHUP):
            if signal.getsignal(number) == signal.SIG_DFL:
                self._handlers[number] = signal.signal(number, self._end_session)

    def _end_session(self, number: int, _frame: FrameType | None) -> None:
        if self._collection.session.has_store:
            pytest.exit(f"ended by {signal.Signals(number).name}", returncode=128 + number)
        # a suite that measures nothing ends as it would without this plugin
        signal.signal(number, signal.SIG_DFL)
        signal.raise_signal(number)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Write the records that a report carries to the disk; JUnit gets their figures instead."""
        if facts := detach_facts(report):
            self._show_facts(facts, report.nodeid)
        records = detach_records(report)
        if not records:
            return
        from ..reports.junit import junit_properties

        for record in records:
            self.keep(record)
        report.user_properties.extend(junit_properties(records[-1]))

    def _show_facts(self, facts: SessionFacts, nodeid: str) -> None:
        """Print the header and begin the progress under xdist: once, although each worker sends the facts."""
        manager = self._collection.config.pluginmanager
        if manager.hasplugin("parallel_energy_progress"):
            return
        from .live_progress import LiveProgress

        terminal = manager.get_plugin("terminalreporter")
        if terminal is not None:
            terminal.ensure_newline()
            for line in facts.header:
                terminal.write_line(line)
        live = LiveProgress(self._collection, facts.experiments, os.dup(1))
        live.pytest_runtest_logstart(nodeid=nodeid)
        manager.register(live, "parallel_energy_progress")

    def keep(self, record: Record) -> None:
        """Put a record on the disk and announce it; what goes wrong is reported at the end."""
        try:
            store = self._collection.session.open_store()
        except RecordError as error:
            self._unstored.append(record)
            self.problems.append(str(error))
        else:
            try:
                store.append(record)
            except RecordError as error:
                self.problems.append(str(error))
        self._announce(record)

    def _announce(self, record: Record) -> None:
        """Give the record to other plugins; an error in one of them must not lose a record or end the session."""
        self.records.append(record)
        config = self._collection.config
        try:
            config.hook.pytest_energy_record(config=config, record=record)
        except Exception as error:  # noqa: BLE001 - another plugin's code; reported below the table
            self.problems.append(f"a hook pytest_energy_record failed: {type(error).__name__}: {error}")

    # Inside the terminal's wrapper, which prints the summary, and around Running's, which was registered later.
    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> Generator[None, Any, Any]:
        """Close the run after the last experiment has ended, compare and report.

        A gate that failed, or that could not judge, sets the session's exit status where it would be 0.
        """
        try:
            return (yield)
        finally:
            has_session = self._collection.has_session
            if has_session and (self._unstored or self._collection.session.has_store):
                closed = self._close(int(session.exitstatus))  # a resume with nothing left to do has succeeded by now
                for record in closed.adopted:
                    self._announce(record)
                self.problems.extend(closed.problems)
                if self._collection.session.has_store:
                    self._conclude()
                gated = bool(self._collection.settings.compare_fail)
                failed = self._gate_failed or (gated and not closed.complete)
                if self._conclusion and self._conclusion.failed:
                    self._show_closed_gate(self._conclusion)
                if failed and session.exitstatus == pytest.ExitCode.OK:
                    session.exitstatus = pytest.ExitCode.TESTS_FAILED
            elif self._reference is not None and self._reference.path is not None:
                self._close_empty_gate(session, self._reference)
            for number, handler in self._handlers.items():
                signal.signal(number, handler)
            self._handlers.clear()

    def _close_empty_gate(self, session: pytest.Session, reference: Reference) -> None:
        """Close the gate of a run that measured nothing, so that there is nothing to compare."""
        settings = self._collection.settings
        if not settings.compare_fail or settings.plan:
            return
        from ..run.conclusion import Conclusion

        reason = f"nothing to compare with {reference.name}: this run measured nothing"
        self._show_closed_gate(Conclusion(closed=(reason,)))
        if session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def _show_closed_gate(self, conclusion: Conclusion) -> None:
        """Count the closed gate as an error: in pytest's last line, its short summary and ``junit.xml``."""
        from ..reports.junit import add_gate_case

        config = self._collection.config
        message = "; ".join(conclusion.closed)
        terminal = config.pluginmanager.get_plugin("terminalreporter")
        if terminal is not None:
            report = pytest.TestReport(
                nodeid="energy gate",
                location=("energy gate", None, "energy gate"),
                keywords={},
                outcome="failed",
                longrepr=f"The energy gate is closed: {message}",
                when="teardown",
            )
            terminal.stats.setdefault("error", []).append(report)
        if xml_path := config.getoption("xmlpath", None):
            try:
                add_gate_case(config.invocation_params.dir / xml_path, message)
            except ParallelEnergyError as error:
                self.problems.append(str(error))

    def _close(self, exit_status: int) -> Closed:
        """Close the run, whose folder a worker of xdist may have made without a record of it having arrived."""
        from ..run.closing import Closed, close_run, save_unstored

        run = self._collection.session
        unstored = save_unstored(run.run_folder.name, self._unstored)
        if unstored.problems:
            return unstored
        try:
            store = run.open_store()
        except RecordError as error:
            return Closed(problems=(str(error),), complete=False)
        return close_run(store, exit_status)

    def _conclude(self) -> None:
        """Compare and report the whole run, as the user asked; a suite that asked for nothing does not pay for it."""
        from ..run.conclusion_settings import wants_conclusion

        settings, energy, config = self._collection.settings, self._collection.session, self._collection.config
        if not wants_conclusion(settings):
            return
        from ..run.conclusion import conclude

        shown = config.pluginmanager.has_plugin("terminalreporter")
        width = config.get_terminal_writer().fullwidth if shown else _WIDTH
        try:
            self._conclusion = conclude(settings, energy.results_dir, energy.run_folder, self._reference, width=width)
        except Exception as error:  # noqa: BLE001 - a fault of the conclusion must not become pytest's INTERNALERROR
            own = isinstance(error, ParallelEnergyError)
            self.problems.append(str(error) if own else f"no conclusion: {type(error).__name__}: {error}")
            self._gate_failed = bool(settings.compare_fail)
        else:
            self.problems.extend(self._conclusion.problems)
            self._gate_failed = self._conclusion.failed

    def pytest_report_collectionfinish(self, config: pytest.Config, items: Sequence[pytest.Item]) -> list[str]:
        """Print which sensors measure, what was left out and why, where the results go, and what a gate cannot show."""
        collection = self._collection
        if not config.pluginmanager.hasplugin("parallel_energy_running"):
            return []
        from ..console.session_header import header_lines, rank_words

        if (rank := collection.session.rank) is not None and not collection.session.measures:
            return [f"energy: {rank_words(rank)}; {collection.session.unmeasured_reason}"]
        if collection.session.measuring_parent is not None:
            return [f"energy: {collection.session.unmeasured_reason}; this session measures nothing of its own"]
        if not collection.session.has_store:
            return []

        quiet = config.get_verbosity() < 0
        return [*header_lines(collection.session, quiet=quiet), *self._gate_warnings(items)]

    def _gate_warnings(self, items: Sequence[pytest.Item]) -> Iterator[str]:
        """Yield what the gate cannot show with the repeats that will run."""
        if self._reference is None:
            return
        from ..run.conclusion import gate_warnings
        from ..statistics.grouping import short_name

        counts = Counter(
            short_name(item.nodeid)
            for item in items
            if self._collection.is_experiment(item) and not re.search(r"warmup\d+\]$", item.nodeid)
        )
        repeats = min(counts.values(), default=self._collection.settings.repeats)
        for sentence in gate_warnings(self._collection.settings, self._reference, repeats):
            yield f"warning: {sentence}"

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter, exitstatus: int) -> None:
        """Print the table, and after Ctrl-C how to resume the run."""
        self._print_summary(terminalreporter, terminalreporter.config.get_terminal_writer().fullwidth)
        if exitstatus == pytest.ExitCode.INTERRUPTED and self._table_printed and self._collection.session.has_store:
            terminalreporter.write_line("interrupted: the same command with --energy-resume runs what is missing")

    def _print_summary(self, terminal: pytest.TerminalReporter | PlainTerminal, width: int) -> None:
        if self._table_printed or not (self.records or self.problems):
            return
        from ..reports.terminal_table import render_table
        from ..reports.window_lines import scope_sentences

        self._table_printed = True
        terminal.section("energy")
        for line in render_table(self.records, width=width):
            terminal.write_line(line.text, **_MARKUP.get(line.severity, {}))
        for sentence in scope_sentences(self._collection.session.scopes):
            terminal.write_line(printable(sentence))
        for problem in self.problems:
            terminal.write_line(printable(f"problem: {problem}"), red=True)
        if self._conclusion is not None:
            self._print_conclusion(terminal, self._conclusion)
        terminal.write_line(f"results: {self._collection.session.run_folder}")

    @staticmethod
    def _print_conclusion(terminal: pytest.TerminalReporter | PlainTerminal, conclusion: Conclusion) -> None:
        for sentence in conclusion.costs:
            terminal.write_line(sentence)
        if conclusion.comparison:
            terminal.section("energy compared", "=", red=conclusion.failed, bold=conclusion.failed)
        for line in conclusion.comparison:
            terminal.write_line(line.text, **_MARKUP.get(line.severity, {}))
        for sentence in (*conclusion.written, *conclusion.annotations):
            terminal.write_line(sentence)

    def pytest_unconfigure(self, config: pytest.Config) -> None:
        """Print the table where pytest prints no summary; free the run.

        A session that SIGTERM or SIGHUP ended has none, and neither has one whose terminal reporter another plugin
        replaced.
        """
        if self._collection.has_session:
            self._collection.session.release_store()
        if not config.pluginmanager.hasplugin("terminal") or config.option.no_summary:  # -p no:terminal
            return
        terminal = config.pluginmanager.get_plugin("terminalreporter")
        if terminal is not None:
            self._print_summary(terminal, terminal.config.get_terminal_writer().fullwidth)
        else:
            from .plain_terminal import PlainTerminal

            plain = PlainTerminal()
            self._print_summary(plain, plain.width)
