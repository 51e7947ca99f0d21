"""The background load, with real processes."""

from __future__ import annotations

import contextlib
import itertools
import os
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from copied import replace
from polling import eventually

from pytest_parallel_energy.errors import ConfigError, LoadError
from pytest_parallel_energy.load.background import BackgroundLoad
from pytest_parallel_energy.load.request import LoadSettings, parse_ready
from pytest_parallel_energy.load.script import loop_script
from pytest_parallel_energy.processes.command import Command
from pytest_parallel_energy.processes.rules import Ready, RoundRules
from pytest_parallel_energy.testing.misbehaving import misbehaving_argv

HOSTILE = [
    "it's",
    'say "hi"',
    "a b",
    "$(touch pwned)",
    "`touch pwned`",
    "; touch pwned",
    "new\nline",
    "-n",
    "",
    "A=b",
    "*",
    "\\n",
    "é",
    "$HOME",
    "!x",
]
SHOW = "import sys; print(sys.argv[1:]); sys.stdout.flush(); sum(range(4 * 10**6))"
AT_ONCE = LoadSettings(ready=Ready(kind="started"), grace_s=0.5)


def python(code, *arguments, **changes):
    return Command(argv=(sys.executable, "-I", "-S", "-c", code, *arguments), **changes)


def test_rounds_are_counted_and_logged(tmp_path):
    """Round after round runs, each with its own log; the load is seen to work before start returns."""
    with BackgroundLoad(python(SHOW, "7"), name="n", folder=tmp_path / "background") as load:
        assert load.alive
        eventually(lambda: load.rounds_completed >= 3)
    report = load.report()
    assert report.rounds_completed >= 3
    assert report.rounds_failed == 0
    assert set(report.exit_codes) == {0}
    assert (tmp_path / "background" / "round-2.log").read_text() == "['7']\n"
    assert report.cpu_s > 0
    assert report.stop == "graceful"
    assert report.ready_s is not None
    assert not load.alive


@pytest.mark.parametrize("value", HOSTILE)
def test_values_are_literal(tmp_path, value):
    """No value is interpreted by the shell, neither as an argument, nor as a variable, nor as a folder."""
    folder = tmp_path / "it's a $(touch pwned) folder"
    (folder / "work dir").mkdir(parents=True)
    code = "import os, sys; print(repr((sys.argv[1:], os.environ['VALUE'], os.getcwd()))); sum(range(4 * 10**6))"
    command = python(code, value, value, env={"VALUE": value, "PYTHONUTF8": "1"}, cwd=folder / "work dir")
    with BackgroundLoad(command, name=f"{value}\ntouch pwned", folder=folder, settings=AT_ONCE) as load:
        eventually(lambda: load.rounds_completed)
    shown = eval((folder / "round-1.log").read_text(encoding="utf-8"))
    assert shown == ([value, value], value, str(folder / "work dir"))
    assert not list(tmp_path.rglob("pwned"))


def test_script_runs_by_hand(tmp_path):
    """The script that ran under supervision runs in a person's shell as well, and spares the recorded logs."""
    folder = tmp_path / "by hand"
    load = BackgroundLoad(python(SHOW, "it's $(x)"), name="n", folder=folder, settings=AT_ONCE)
    load.start()
    load.stop()
    recorded = {log: log.stat().st_mtime_ns for log in folder.glob("round-*.log")}
    shell = subprocess.Popen(["sh", str(load.script)], stdout=subprocess.PIPE, start_new_session=True)
    try:
        eventually((folder / "by-hand-3.log").exists)
    finally:
        os.killpg(shell.pid, signal.SIGKILL)
        output, _ = shell.communicate()
    assert {log: log.stat().st_mtime_ns for log in folder.glob("round-*.log")} == recorded
    assert (folder / "by-hand-1.log").read_text() == '["it\'s $(x)"]\n'
    assert b"round 2: " in output


def test_script_is_readable(tmp_path):
    """The script says what it is, and holds the command on a line of its own."""
    text = loop_script(Command(argv=("train", "--lr", "0.1"), cwd=tmp_path), name="a/b", folder=tmp_path)
    assert "# Background load: a/b" in text
    assert "while true; do" in text
    assert "    train --lr 0.1\n" in text


def test_a_program_named_like_a_builtin_is_the_program(tmp_path):
    """A program's name is looked up once, so that no builtin or function of the shell runs instead of it."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in ("train", "exit", "A=b"):
        (folder / name).write_text(f"#!/bin/sh\necho the program {name}\nsleep 0.05\n")
        (folder / name).chmod(0o755)
        command = Command(argv=(name,), env={"PATH": f"{folder}:{os.environ['PATH']}"})
        with BackgroundLoad(command, name=name, folder=tmp_path / f"load-{name}", settings=AT_ONCE) as load:
            eventually(lambda load=load: load.rounds_completed)
        assert (load.log_dir / "round-1.log").read_text() == f"the program {name}\n"


def test_a_crashed_round_is_followed_by_the_next(tmp_path):
    """A round that fails is counted, kept with its exit code, and does not end the load."""
    code = """
import pathlib, sys, time
count = pathlib.Path(sys.argv[1])
before = len(count.read_text()) if count.exists() else 0
count.write_text("x" * (before + 1))
time.sleep(0.05)
sys.exit(7 if before % 2 else 0)
"""
    settings = LoadSettings(ready=Ready(kind="started"), rounds=RoundRules(backoff_s=0.01))
    with BackgroundLoad(
        python(code, str(tmp_path / "count")), name="n", folder=tmp_path / "b", settings=settings
    ) as load:
        eventually(lambda: load.rounds_failed >= 2 and load.rounds_completed >= 3)
    report = load.report()
    assert report.exit_codes[:4] == (0, 7, 0, 7)
    assert report.gap_s >= 0.01


def test_ready_after_seconds_counts_all_good_rounds(tmp_path):
    """Rounds shorter than the time that was asked for are a load that runs as well."""
    settings = LoadSettings(ready=Ready(kind="seconds", seconds=0.6), ready_timeout_s=30, grace_s=0)
    with BackgroundLoad(python("import time; time.sleep(0.2)"), name="n", folder=tmp_path, settings=settings) as load:
        assert load.rounds_completed >= 1


def test_ready_after_a_time_is_waited_for_that_long(tmp_path):
    """The time that was asked for comes on top of the longest wait."""
    settings = LoadSettings(ready=Ready(kind="seconds", seconds=1.0), ready_timeout_s=0.7, grace_s=0)
    with BackgroundLoad(python("import time; time.sleep(60)"), name="n", folder=tmp_path, settings=settings) as load:
        assert load.alive


def test_cpu_seconds_of_a_load_that_had_to_be_killed_are_known(tmp_path):
    """What a namespace's end kills is accounted to nobody: it is read before."""
    code = "import signal; signal.signal(15, signal.SIG_IGN); print('up', flush=True)\nwhile True: pass"
    settings = LoadSettings(ready=Ready(kind="pattern", pattern="up"), grace_s=0.5)
    with BackgroundLoad(python(code), name="n", folder=tmp_path, settings=settings) as load:
        eventually(lambda: load.report().cpu_s > 0.3)
    report = load.report()
    assert report.stop == "forced"
    assert report.cpu_s > 0.3


def test_figures_are_those_of_the_attempt(tmp_path):
    """A load that goes on beside the next attempt does not count its rounds twice."""
    with BackgroundLoad(python("import time; time.sleep(0.1)"), name="n", folder=tmp_path, settings=AT_ONCE) as load:
        eventually(lambda: load.rounds_completed >= 3)
        first = load.report()
        load.begin_attempt()
        eventually(lambda: load.rounds_completed >= 1)
    second = load.report()
    logs = len(list(tmp_path.glob("round-*.log")))
    assert first.rounds_completed >= 3
    assert first.rounds_completed + second.rounds_completed in {logs, logs - 1}
    assert len(second.exit_codes) == second.rounds_completed
    assert second.uptime_s <= load._child.status().ran_s - first.uptime_s


def test_a_crash_loop_backs_off(tmp_path):
    """The wait between rounds doubles while they fail, up to its limit."""
    settings = LoadSettings(ready=Ready(kind="started"), rounds=RoundRules(backoff_s=0.05, backoff_max_s=0.2))
    with BackgroundLoad(Command(argv=("false",)), name="n", folder=tmp_path, settings=settings) as load:
        eventually(lambda: load.rounds_failed >= 5)
        began_s = time.monotonic()
        before = load.rounds_failed
        eventually(lambda: load.rounds_failed >= before + 3)
        assert time.monotonic() - began_s >= 0.39
    assert load.report().gap_s >= 0.2


def test_coverage_is_the_share_that_ran(tmp_path):
    """Rounds that run almost all the time cover almost all the window; the check is content."""
    load = BackgroundLoad(python("import time; time.sleep(0.2)"), name="n", folder=tmp_path, settings=AT_ONCE)
    assert load.start().coverage_ratio is None
    with contextlib.closing(contextlib.ExitStack()) as stack:
        stack.callback(load.stop)
        load.window_opened()
        eventually(lambda: load.rounds_completed >= 3)
        load.window_closed()
        ratio = load.coverage_ratio
        load.check_coverage()
    assert 0.8 < ratio <= 1
    assert load.coverage_ratio == ratio
    spans_s = load.report().round_spans_s
    assert spans_s[0][0] <= 0 < spans_s[0][1]  # it ran when the window opened
    assert all(end > begin and later[0] >= end for (begin, end), later in itertools.pairwise(spans_s))
    assert load.report().coverage_ratio == ratio


def test_a_script_needs_a_list_of_words_alone():
    """Without name, folder or window calls: the load is covered from its start, and its folder is gone afterwards."""
    with BackgroundLoad(["python", "-c", "import time; time.sleep(0.2)"], settings=AT_ONCE) as load:
        assert repr(load) == f"<background load 'python', running, logs in {load.log_dir}>"
        assert load.command.argv[0] == sys.executable
        eventually(lambda: load.rounds_completed >= 2)
        assert load.script.is_file()
    assert 0.5 < load.coverage_ratio <= 1
    assert load.report().rounds_completed >= 2
    assert not load.log_dir.exists()
    assert "stopped (" in repr(load)


def test_a_command_in_one_text_is_refused_with_its_words():
    """No shell splits it; the message shows the list to write."""
    with pytest.raises(ConfigError, match=r"write \['python', 'x.py'\]"):
        BackgroundLoad("python x.py")


def test_a_load_that_fails_is_not_covered(tmp_path):
    """A load that crashes all the time covers little, and the experiment is refused with the log's tail."""
    code = "import sys; print('out of luck'); sys.exit(9)"
    with BackgroundLoad(python(code), name="n", folder=tmp_path, settings=AT_ONCE) as load:
        load.window_opened()
        eventually(lambda: load.rounds_failed >= 4)
        load.window_closed()
        with pytest.raises(LoadError, match=r"(?s)ran .*% of the window, and must run 90%.*out of luck"):
            load.check_coverage()


def test_a_load_killed_from_outside_is_not_covered(tmp_path):
    """Nobody knows how long a load ran whose guard was killed: coverage is unknown, never 0 or 1."""
    with BackgroundLoad(Command(argv=("sleep", "60")), name="n", folder=tmp_path, settings=AT_ONCE) as load:
        load.window_opened()
        os.kill(load._child.guard_pid, signal.SIGKILL)
        eventually(lambda: not load.alive)
        load.window_closed()
        assert load.coverage_ratio is None
        with pytest.raises(LoadError, match="killed externally"):
            load.check_coverage()
    assert load.report().stop == "lost"


@pytest.mark.parametrize(("kind", "code"), [("crash", "7"), ("exit-at-once", "0")])
def test_looping_in_vain_is_told_within_seconds(tmp_path, kind, code):
    """A load that fails at once, or succeeds without doing anything, is refused with its code and its log."""
    load = BackgroundLoad(
        Command(argv=misbehaving_argv(kind, "t")), name="n", folder=tmp_path,
        settings=LoadSettings(rounds=RoundRules(min_round_s=5.0)),
    )  # fmt: skip
    began_s = time.monotonic()
    with pytest.raises(LoadError, match=rf"loops in vain: 3 rounds.*last exit code {code}"):
        load.start()
    assert time.monotonic() - began_s < 10
    assert not load.alive


def test_trouble_after_a_good_start_is_told(tmp_path):
    """A load that was ready and then crashes again and again says so by itself, with its log, as often as one asks."""
    (tmp_path / "fine").touch()
    code = """
import os, sys, time
if os.path.exists(sys.argv[1]):
    print("up", flush=True)
    time.sleep(60)
sys.exit("out of luck")
"""
    settings = LoadSettings(
        ready=Ready(kind="pattern", pattern="up"), rounds=RoundRules(min_round_s=5.0, backoff_s=0.05)
    )
    command = python(code, str(tmp_path / "fine"))
    with BackgroundLoad(command, name="n", folder=tmp_path / "background", settings=settings) as load:
        assert load.trouble() is None
        (tmp_path / "fine").unlink()
        eventually(lambda: marked_round(load)).send_signal(signal.SIGKILL)
        told = eventually(load.trouble)
        assert "'n' loops in vain: 3 rounds in a row failed" in told
        assert "out of luck" in told
        assert load.alive
    assert load.trouble() is None


def test_a_guard_that_was_killed_is_told(tmp_path):
    """Somebody killed the guard: the load is gone, and says so."""
    with BackgroundLoad(python("import time; time.sleep(60)"), name="n", folder=tmp_path, settings=AT_ONCE) as load:
        os.kill(load._child.guard_pid, signal.SIGKILL)
        assert eventually(load.trouble) == "the background load 'n' has ended"
        with pytest.raises(LoadError, match="its rounds are unknown"):
            _ = load.rounds_completed
    report = load.report()
    assert (report.rounds_completed, report.rounds_failed, report.stop) == (None, None, "lost")


def test_a_stop_between_two_rounds_is_no_failed_round(tmp_path):
    """The script asks for the next round just when it is told to stop: that is nobody's failure."""
    settings = replace(AT_ONCE, rounds=RoundRules(min_round_s=0))
    for number in range(20):
        with BackgroundLoad(
            Command(argv=("true",)), name="n", folder=tmp_path / str(number), settings=settings
        ) as load:
            eventually(lambda load=load: load.rounds_completed >= 2)
        report = load.report()
        assert (report.rounds_failed, set(report.exit_codes)) == (0, {0})


def test_a_script_that_was_killed_while_it_waited_left_no_round(tmp_path):
    """The round that it had asked for does not begin without it."""
    rules = RoundRules(backoff_s=1.0, backoff_max_s=1.0, vain_after=10**6)
    settings = LoadSettings(ready=Ready(kind="started"), rounds=rules, grace_s=0.5)
    with BackgroundLoad(python("raise SystemExit(1)"), name="n", folder=tmp_path, settings=settings) as load:
        eventually(lambda: load.rounds_failed == 1)
        time.sleep(0.6)  # the script is started again so much later than the round would begin
        os.kill(load._child.status().leader, signal.SIGKILL)
        seen = []
        eventually(lambda: seen.append(load._child.status()) or seen[-1].failed >= 2)
    assert not [status for status in seen if status.running and not status.pids]
    assert any("started again" in flag for flag in load.report().flags)


def marked_round(load):
    """The process of the present round, as soon as it runs."""
    found = [one for one in psutil.Process(load._child.pid).children() if one.cmdline()[1:2] == ["-I"]]
    return found[0] if found else None


def test_not_ready_in_time_is_told(tmp_path):
    """A load that shows no sign of work is refused, and stopped."""
    settings = LoadSettings(ready_timeout_s=0.3)
    load = BackgroundLoad(Command(argv=("sleep", "60")), name="n", folder=tmp_path, settings=settings)
    with pytest.raises(LoadError, match=r"was not ready \(activity\) within 0.3 s"):
        load.start()
    assert not load.alive


@pytest.mark.parametrize(
    ("program", "why"),
    [
        ("no-such-program", "is not in the PATH"),
        ("./nothing", "does not exist"),
        ("./plain.txt", "is not executable"),
    ],
)
def test_a_program_that_cannot_run_is_refused(tmp_path, program, why):
    """What cannot be executed is refused before anything is written or started."""
    (tmp_path / "plain.txt").write_text("x")
    load = BackgroundLoad(Command(argv=(program,), cwd=tmp_path), name="n", folder=tmp_path / "b")
    with pytest.raises(LoadError, match=why):
        load.start()
    assert not (tmp_path / "b").exists()


def test_a_load_that_kills_its_parent_goes_on(tmp_path):
    """A round that kills the loop script does not end the load: the script is started again, with the next number."""
    command = python("import os, time; time.sleep(0.05); os.kill(os.getppid(), 9); time.sleep(60)")
    with BackgroundLoad(command, name="n", folder=tmp_path, settings=AT_ONCE) as load:
        eventually((tmp_path / "round-3.log").exists)
    assert any("loop script ended" in flag for flag in load.report().flags)
    assert load.report().rounds_failed >= 2


def test_what_a_round_left_is_gone_before_the_next(tmp_path):
    """Daemons of a round do not pile up: when a round begins, it is alone."""
    code = "import os, time\nif os.fork() == 0:\n os.setsid(); time.sleep(60)\ntime.sleep(0.05)"
    with BackgroundLoad(python(code), name="n", folder=tmp_path, settings=AT_ONCE) as load:
        eventually(lambda: load.rounds_completed >= 4)
        assert len(load.pids) <= 3


def test_an_unwritable_folder_is_refused(tmp_path):
    """A folder that cannot be made is one clear error."""
    (tmp_path / "file").write_text("x")
    load = BackgroundLoad(Command(argv=("true",)), name="n", folder=tmp_path / "file" / "b")
    with pytest.raises(LoadError, match="cannot be written"):
        load.start()


def test_variables_have_shell_names(tmp_path):
    """A variable that no shell can export is refused by name."""
    with pytest.raises(ConfigError, match=r"'A-B' cannot be the name"):
        loop_script(Command(argv=("x",), env={"A-B": "1"}, cwd=tmp_path), name="n", folder=tmp_path)


def test_a_load_starts_once(tmp_path):
    """A load that was stopped is not started again: its record is closed."""
    load = BackgroundLoad(Command(argv=("sleep", "60")), name="n", folder=tmp_path, settings=AT_ONCE)
    load.start()
    load.stop()
    with pytest.raises(LoadError, match="was started before"):
        load.start()


@pytest.mark.parametrize("text", ["", "soon", "port:x", "sometimes"])
def test_unknown_readiness_is_refused(text):
    """A readiness that nobody understands is refused with what would be right."""
    with pytest.raises(ConfigError, match="it is 'auto'"):
        parse_ready(text)


@pytest.mark.parametrize("wrong", [{"coverage_min_ratio": 1.5}, {"ready_timeout_s": 0}, {"grace_s": -1}])
def test_settings_outside_their_range_are_refused(wrong):
    """Numbers that cannot be meant are refused."""
    with pytest.raises(ConfigError):
        LoadSettings(**wrong)


def test_quotes_are_the_shells(tmp_path):
    """The command's line is what shlex would read back."""
    argv = ("/bin/echo", *HOSTILE)
    text = loop_script(Command(argv=argv, cwd=tmp_path), name="n", folder=Path("/x"))
    body = text.split("train() {\n")[1].split("\n}\n")[0]
    assert tuple(shlex.split(body)) == argv


SHOW_FOLDER = (
    "import os, sys; open('new', 'x').close(); print(repr((sys.argv[1:], os.environ['OUT'], os.getcwd())));"
    "sys.stdout.flush(); sum(range(4 * 10**6))"
)


@pytest.mark.parametrize("value", ["a b", "it's", "$(touch pwned)", '"$output"', "é"])
def test_each_round_gets_its_copy_of_the_template(tmp_path, value):
    """In arguments, in the environment and as working directory; no part of a path is interpreted by the shell."""
    folder = tmp_path / f"load {value}"
    template = folder / "outputs" / "template"
    (template / "inner").mkdir(parents=True)
    (template / "inner" / "kept").write_text(value)
    command = python(
        SHOW_FOLDER, f"--out={template}/x:{template}", value, env={"OUT": str(template), "PYTHONUTF8": "1"},
        cwd=template / "inner",
    )  # fmt: skip
    settings = replace(AT_ONCE, template=template)
    with BackgroundLoad(command, name="n", folder=folder, settings=settings) as load:
        eventually(lambda: load.rounds_completed >= 4)
        number = load.rounds_completed
    for completed in (1, number):
        own = folder / "outputs" / f"round-{completed}"
        shown = eval((folder / f"round-{completed}.log").read_text(encoding="utf-8"))
        assert shown == ([f"--out={own}/x:{own}", value], str(own), str(own / "inner"))
        assert (own / "inner" / "kept").read_text() == value
    assert not (template / "inner" / "new").exists()
    assert not (folder / "outputs" / "round-2").exists()
    assert not list(tmp_path.rglob("pwned"))


def test_running_the_script_by_hand_leaves_the_folders_of_rounds_alone(tmp_path):
    """Rounds by hand have folders of their own, and remove only those."""
    template = tmp_path / "load" / "outputs" / "template"
    template.mkdir(parents=True)
    command = python("import sys, time; open(sys.argv[1], 'w').close()", f"{template}/made", cwd=tmp_path)
    settings = replace(AT_ONCE, template=template)
    with BackgroundLoad(command, name="n", folder=tmp_path / "load", settings=settings) as load:
        eventually(lambda: load.rounds_completed >= 1)
        script = load.script
    recorded = sorted((tmp_path / "load" / "outputs").glob("round-*"))
    child = subprocess.Popen(["/bin/sh", str(script)], stdout=subprocess.DEVNULL, start_new_session=True)
    try:
        eventually((tmp_path / "load" / "outputs" / "by-hand-6").exists)
    finally:
        os.killpg(child.pid, signal.SIGKILL)
        child.wait()
    assert sorted((tmp_path / "load" / "outputs").glob("round-*")) == recorded
    assert not (tmp_path / "load" / "outputs" / "by-hand-2").exists()


def test_rounds_that_fail_in_the_window_fail_the_test_and_rounds_before_it_do_not(tmp_path):
    """A load whose rounds failed only before the window has trained; one that fails in it has not."""
    broken = tmp_path / "broken"
    broken.touch()
    code = "import os, sys; sum(range(10**6)); sys.exit('broken' if os.path.exists(sys.argv[1]) else 0)"
    settings = replace(AT_ONCE, rounds=RoundRules(backoff_s=0.01, backoff_max_s=0.01))
    with BackgroundLoad(python(code, str(broken)), name="n", folder=tmp_path / "load", settings=settings) as load:
        eventually(lambda: load.rounds_failed >= 1)
        broken.unlink()
        eventually(lambda: load.rounds_completed >= 1)
        load.window_opened()
        eventually(lambda: load.rounds_completed >= 3)
        load.window_closed()
        load.check_rounds()
        broken.touch()
        eventually(lambda: load.status().exit_codes[-1] == 1)
        load.window_opened()
        failed = load.rounds_failed
        eventually(lambda: load.rounds_failed >= failed + 1)
        load.window_closed()
        with pytest.raises(LoadError, match=r"(?s)did not train: .* exit code 1.*round-\d+\.log ends with:\nbroken"):
            load.check_rounds()
