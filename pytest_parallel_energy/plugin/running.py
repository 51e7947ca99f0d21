"""The hooks that run one experiment: its window, its outcome, its records, and signals and timeouts that end it."""

from __future__ import annotations

import contextlib
import itertools
import os
import signal
import threading
import traceback
from collections.abc import Generator, Sequence
from types import FrameType
from typing import TYPE_CHECKING, Any

import pytest

from ..errors import ParallelEnergyError
from ..processes.controller import controller_has_ended
from ..records.record import Record, Status
from ..run.experiment import Experiment
from ..run.ready_host import ReadyHost
from .collection import HOST_INPUT
from .fixtures import EXPERIMENT, fail_with_message, message_only
from .report_records import SessionFacts, attach_facts, attach_records

if TYPE_CHECKING:
    from ..plan.limits import Limit
    from .collection import Items

__all__ = ["Running"]

_ENDING_SIGNALS = (signal.SIGTERM, signal.SIGHUP)
_TIMEOUT_LEAD_S = 0.5
"""The record is written so many seconds before a timeout ends the process: a write and a sync take milliseconds."""
_REASON_LENGTH = 500
_HEARTBEAT_S = 1.0
_BEATS_PER_TEMPERATURE = 5
"""Reading a GPU takes milliseconds under the driver's lock, and temperatures change slowly."""
_BEATS_PER_RECORD = 10
"""Up to so many seconds of a crashed attempt's energy are missing; a snapshot costs about a millisecond."""


class Running:
    """The hooks around each experiment, registered only if there is one, so that other suites do not pay for them.

    Args:
        collection: what is known about the items.
        experiments: the number of experiments in the session.
    """

    def __init__(self, collection: Items, experiments: int) -> None:
        self._collection = collection
        self._untold: int | None = experiments if hasattr(collection.config, "workerinput") else None
        self._experiment: Experiment | None = None
        self._limits: tuple[Limit, ...] = ()
        self._handlers: dict[int, Any] = {}
        self._exit_timer: threading.Timer | None = None
        self._ready_host = ReadyHost(collection.session, self._print_line)
        self._host_flags: tuple[str, ...] = ()
        self._refusal: str | None = None
        self._ended = threading.Event()
        self._heartbeat: threading.Thread | None = None
        self._pid = os.getpid()

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Generator[None, Any, Any]:
        """Prepare the host before a measured test; outermost, so that no timeout counts this time."""
        if not self._collection.is_experiment(item) or not self._collection.session.measures:
            return (yield)
        self._refusal, self._host_flags = None, ()
        if controller_has_ended():  # a worker's queue is not empty yet, but no report reaches anyone any more
            pytest.exit("the controller of pytest-xdist has ended")
        try:
            self._host_flags = self._ready_host.enter(self._collection.settings_of(item))
        except ParallelEnergyError as error:
            self._refusal = str(error)
        try:
            return (yield)
        finally:
            self._ready_host.leave()

    def _print_line(self, line: str) -> None:
        terminal = self._collection.config.pluginmanager.get_plugin("terminalreporter")
        if terminal is not None:
            terminal.ensure_newline()
            terminal.write_line(f"energy: {line}", yellow=True)

    # --- one item ----------------------------------------------------------------------------------------------

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        """Begin the experiment before the fixtures are set up."""
        if not self._collection.is_experiment(item):
            return
        self._handle_signals()
        if self._refusal is not None:
            pytest.fail(self._refusal, pytrace=False)
        collection = self._collection
        try:
            experiment = Experiment(collection.session, collection.cell_of(item))
            self._limits = collection.limits_of(item)
            item.stash[EXPERIMENT] = experiment
            experiment.begin(self._host_flags)
            if experiment.measured:
                self._experiment = experiment
                self._start_heartbeat()
        except ParallelEnergyError as error:
            fail_with_message(error)

    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_runtest_call(self) -> Generator[None, Any, Any]:
        """Open the window around the test's call alone: last of the wrappers, hence the innermost."""
        experiment = self._experiment
        if experiment is None:
            return (yield)
        with message_only():
            experiment.open_window()
        try:
            outcome = yield
        except BaseException:
            with contextlib.suppress(ParallelEnergyError):  # report the test's own failure
                experiment.close_window()
            raise
        with message_only():
            experiment.close_window()
            experiment.check(self._limits)
        return outcome

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Note how each phase ended; the report of the tear-down carries the records."""
        report = yield
        experiment = self._experiment
        if experiment is None:
            return report
        self._note(experiment, report, call)
        if self._untold is not None and report.when == "setup":
            self._tell_controller(report, self._untold, item.session.items)
        if report.when == "teardown":
            self._experiment = None
            try:
                records = experiment.finish()
                self._keep_on_own_host(records)
                attach_records(report, records, as_text=self._reports_leave_process())
            except Exception:  # noqa: BLE001 - an error of the plugin fails this test; it must not end the session
                report.outcome = "failed"
                report.longrepr = f"the record could not be made:\n{traceback.format_exc()}"
        return report

    def _keep_on_own_host(self, records: Sequence[Record]) -> None:
        """Put the records on a disk of this host, in a worker on another host than the controller."""
        worker_input = getattr(self._collection.config, "workerinput", {})
        if HOST_INPUT not in worker_input or not records:
            return
        from ..records.worker_file import WorkerFile

        worker = f"{worker_input[HOST_INPUT]}-{worker_input['workerid']}"
        with contextlib.suppress(ParallelEnergyError):  # a full disk: the records still reach the controller
            WorkerFile(self._collection.session.run_folder, worker).append(records)

    def _tell_controller(self, report: pytest.TestReport, experiments: int, items: Sequence[pytest.Item]) -> None:
        """Send what a session without xdist prints before its experiments."""
        from ..console.session_header import header_lines

        self._untold = None
        quiet = self._collection.config.get_verbosity() < 0
        with contextlib.suppress(ParallelEnergyError):  # the experiments themselves report it
            header = header_lines(self._collection.session, quiet=quiet)
            if sweeping := self._collection.config.pluginmanager.get_plugin("parallel_energy_sweeping"):
                header += sweeping.pytest_report_collectionfinish(items)
            attach_facts(report, SessionFacts(header=tuple(header), experiments=experiments))

    def _reports_leave_process(self) -> bool:
        """Return whether reports are sent to another process: by a worker of xdist, or by a forked child."""
        return os.getpid() != self._pid or hasattr(self._collection.config, "workerinput")

    @staticmethod
    def _note(experiment: Experiment, report: pytest.TestReport, call: pytest.CallInfo[None]) -> None:
        if call.excinfo is None:
            return
        if report.skipped and not hasattr(report, "wasxfail"):
            experiment.discard()
            return
        # The end of a training's log is for the terminal; the record names the file.
        text = call.excinfo.exconly().strip().removeprefix("Failed: ").partition("\nIts log ")[0]
        status = Status.TIMEOUT if text.startswith("Timeout (>") else Status.FAILED
        if report.skipped:
            status = Status.XFAILED
        where = "" if report.when == "call" else f"{report.when}: "
        experiment.attempt.note(status, f"{where}{' '.join(text.split())}"[:_REASON_LENGTH])

    # --- what ends a session early -----------------------------------------------------------------------------

    @pytest.hookimpl(tryfirst=True, optionalhook=True)
    def pytest_timeout_set_timer(self, item: pytest.Item, settings: Any) -> bool | None:
        """Before pytest-timeout's thread method ends the process with ``os._exit``, keep what is known.

        Its signal method is replaced, because it prints the stacks of this plugin's threads.
        """
        if not self._collection.is_experiment(item):
            return None
        if settings.method == "signal" and threading.current_thread() is threading.main_thread():
            from .timeout_alarm import set_alarm

            return set_alarm(item, settings)
        if settings.method != "thread":
            return None
        delay_s = max(settings.timeout - _TIMEOUT_LEAD_S, settings.timeout * 0.9)
        self._exit_timer = threading.Timer(delay_s, self._record_timeout, (item, settings.timeout))
        self._exit_timer.daemon = True
        self._exit_timer.start()
        return None

    @pytest.hookimpl(tryfirst=True, optionalhook=True)
    def pytest_timeout_cancel_timer(self) -> None:
        """Cancel the timer: the item ended in time."""
        if self._exit_timer is not None:
            self._exit_timer.cancel()
            self._exit_timer = None

    def _record_timeout(self, item: pytest.Item, timeout_s: float) -> None:
        experiment = self._experiment
        if experiment is not None and experiment.cell.nodeid == item.nodeid:
            experiment.record_before_exit(Status.TIMEOUT, f"Timeout (>{timeout_s}s), which ended the process")

    def _start_heartbeat(self) -> None:
        if self._heartbeat is None:
            self._heartbeat = threading.Thread(target=self._run_heartbeat, name="energy-heartbeat", daemon=True)
            self._heartbeat.start()

    def _run_heartbeat(self) -> None:
        """Note the temperatures, and every ten seconds the joules so far, in case the process is killed."""
        for count in itertools.count(1):
            if self._ended.wait(_HEARTBEAT_S):
                return
            experiment = self._experiment
            if experiment is None:
                continue
            if count % _BEATS_PER_TEMPERATURE == 0:
                experiment.attempt.note_temperatures()
            if count % _BEATS_PER_RECORD == 0:
                with contextlib.suppress(ParallelEnergyError):  # a full disk: the record itself will say so
                    experiment.keep_heartbeat()

    def _handle_signals(self) -> None:
        """Make SIGTERM and SIGHUP end the session with tear-down, records and JUnit. pytest handles SIGINT."""
        if self._handlers or threading.current_thread() is not threading.main_thread():
            return
        for number in _ENDING_SIGNALS:
            if signal.getsignal(number) == signal.SIG_DFL:
                self._handlers[number] = signal.signal(number, _end_session)

    # Last of the wrappers, hence the innermost: it runs right after the fixtures' tear-down, before the reports.
    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_sessionfinish(self) -> Generator[None, Any, Any]:
        """Keep the record of an interrupted experiment, after its fixtures were torn down; close the sensors."""
        try:
            return (yield)
        finally:
            with contextlib.ExitStack() as last:  # each of these is done even if another one fails
                last.callback(self._close_session)
                last.callback(self._ready_host.leave)
                last.callback(self._restore_signals)
                last.callback(self._keep_interrupted)
                last.callback(self._stop_heartbeat)

    def _stop_heartbeat(self) -> None:
        self._ended.set()
        if self._heartbeat is not None:
            self._heartbeat.join()

    def _keep_interrupted(self) -> None:
        experiment, self._experiment = self._experiment, None
        if experiment is None:
            return
        experiment.attempt.note(Status.INTERRUPTED, "the session was interrupted")
        try:
            experiment.finish_interrupted()
        except ParallelEnergyError as error:
            self._print_line(f"the record of {experiment.cell.nodeid} could not be kept: {error}")

    def _close_session(self) -> None:
        try:
            self._collection.session.close()
        except ParallelEnergyError as error:  # a sensor of a plug-in; the records are kept
            self._print_line(str(error))

    def _restore_signals(self) -> None:
        for number, handler in self._handlers.items():
            signal.signal(number, handler)
        self._handlers.clear()


def _end_session(number: int, _frame: FrameType | None) -> None:
    pytest.exit(f"ended by {signal.Signals(number).name}", returncode=128 + number)
