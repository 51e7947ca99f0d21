"""What the background load costs, beside a plain shell loop in the same run.

    python benchmarks/load.py [--minutes 10]

Prints: the gap between two rounds, how long stopping takes, how long starting takes, and the CPU time and memory of
the guard and its init. A ratio or a difference against the shell loop is what can be compared between machines.
"""

from __future__ import annotations

import argparse
import itertools
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from pytest_parallel_energy.load.background import BackgroundLoad
from pytest_parallel_energy.load.request import LoadSettings
from pytest_parallel_energy.processes.command import Command
from pytest_parallel_energy.processes.rules import Ready

ROUND = """
import sys, time
began = time.monotonic()
time.sleep(0.05)
open(sys.argv[1], "a").write(f"{began} {time.monotonic()}\\n")
"""
IGNORE = (
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); time.sleep(600)"
)
GRACE_S = 0.2
TRAINING = """
import time
began = time.monotonic()
step = 0
while time.monotonic() < began + 5:
    step += 1
    time.sleep(0.08)
    until = time.monotonic() + 0.02
    while time.monotonic() < until: pass
    print(f"step {step} loss {1 / step}", flush=True)
"""
STARTED = LoadSettings(ready=Ready(kind="started"), grace_s=GRACE_S)
SHELL_LOOP = "while true; do {command}; done"


def python(code: str, *arguments: str) -> Command:
    """A command that runs a line of Python."""
    return Command(argv=(sys.executable, "-I", "-S", "-c", code, *arguments))


def gaps_ms(times: Path) -> list[float]:
    """Milliseconds between the end of a round and the beginning of the next, as the rounds themselves saw it."""
    rounds = [tuple(map(float, line.split())) for line in times.read_text().splitlines()]
    return [1e3 * (after[0] - before[1]) for before, after in itertools.pairwise(rounds)]


def shell_loop(command: Command) -> subprocess.Popen[bytes]:
    """What people write without this package."""
    line = SHELL_LOOP.format(command=command.shell_line())
    return subprocess.Popen(["sh", "-c", line], stdout=subprocess.DEVNULL, start_new_session=True)


def wait_for_lines(path: Path, count: int) -> None:
    """Return when a file has so many lines."""
    while not path.exists() or len(path.read_text().splitlines()) < count:
        time.sleep(0.05)


def gap(folder: Path, rounds: int) -> None:
    """Rounds of 50 ms, one after the other."""
    plain, ours = folder / "plain", folder / "ours"
    process = shell_loop(python(ROUND, str(plain)))
    wait_for_lines(plain, rounds)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    with BackgroundLoad(python(ROUND, str(ours)), name="gap", folder=folder / "gap", settings=STARTED):
        wait_for_lines(ours, rounds)
    plain_ms, ours_ms = statistics.median(gaps_ms(plain)), statistics.median(gaps_ms(ours))
    difference = f"{ours_ms - plain_ms:+.1f} ms"
    print(f"gap of {rounds} rounds, median: shell {plain_ms:.1f} ms, background load {ours_ms:.1f} ms: {difference}")


def stopping(folder: Path, repeats: int) -> None:
    """From the request until nothing is left."""
    plain_ms, graceful_ms, forced_ms = [], [], []
    for number in range(repeats):
        process = shell_loop(Command(argv=("sleep", "600")))
        time.sleep(0.05)
        began_s = time.monotonic()
        os.killpg(process.pid, signal.SIGTERM)
        process.wait()
        plain_ms.append(1e3 * (time.monotonic() - began_s))
        sleeper = Command(argv=("sleep", "600"))
        load = BackgroundLoad(sleeper, name="stop", folder=folder / f"graceful-{number}", settings=STARTED).start()
        time.sleep(0.05)
        began_s = time.monotonic()
        assert load.stop().stop == "graceful"
        graceful_ms.append(1e3 * (time.monotonic() - began_s))
        settings = LoadSettings(ready=Ready(kind="pattern", pattern="deaf"), grace_s=GRACE_S)
        load = BackgroundLoad(
            python(IGNORE), name="stop", folder=folder / f"forced-{number}", settings=settings
        ).start()
        began_s = time.monotonic()
        assert load.stop().stop == "forced"
        forced_ms.append(1e3 * (time.monotonic() - began_s - GRACE_S))
    for name, times_ms in (("shell loop, SIGTERM", plain_ms), ("background load, graceful", graceful_ms),
                           (f"background load, forced, beyond its grace of {GRACE_S} s", forced_ms)):  # fmt: skip
        print(
            f"stop, {name}, {repeats} times: median {statistics.median(times_ms):.1f} ms, worst {max(times_ms):.1f} ms"
        )


def starting(folder: Path, repeats: int) -> None:
    """From start() to its return."""
    for ready in (Ready(kind="started"), Ready(kind="activity")):
        kind = ready.kind
        found_ms: list[float] = []
        for number in range(repeats):
            settings = LoadSettings(ready=ready, grace_s=0)
            command = python("while True: pass")
            load = BackgroundLoad(command, name=kind, folder=folder / f"{kind}-{number}", settings=settings)
            began_s = time.monotonic()
            load.start()
            found_ms.append(1e3 * (time.monotonic() - began_s))
            load.stop()
        print(f"start until ready ({kind}), {repeats} times: median {statistics.median(found_ms):.0f} ms, "
              f"worst {max(found_ms):.0f} ms; a fixed wait, as in the old loop: 30000 ms")  # fmt: skip


def memory_mib(pid: int, kind: str) -> float:
    """Memory of a process, as the kernel counts it."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith(f"{kind}:"):
            return int(line.split()[1]) / 1024
    return float("nan")


def supervisor(folder: Path, minutes: float) -> None:
    """What guard and init themselves use beside a training that prints ten lines a second."""
    for title, intensity in (("at full intensity", 1.0), ("at intensity 0.5", 0.5)):
        settings = LoadSettings(ready=Ready(kind="started"), intensity=intensity)
        command = python(TRAINING)
        with BackgroundLoad(command, name="cost", folder=folder / f"cost-{intensity}", settings=settings) as load:
            child = load._child  # noqa: SLF001 - a benchmark looks inside
            assert child is not None
            assert child.init_pid is not None
            pids = (child.guard_pid, child.init_pid)
            began_s = time.monotonic()
            time.sleep(60 * minutes)
            passed_s = time.monotonic() - began_s
            own_s = [own_cpu_s(pid) for pid in pids]
            pss = sum(memory_mib(pid, "Pss") for pid in pids)
            rss = [memory_mib(pid, "Rss") for pid in pids]
        rounds = load.report().rounds_completed
        print(f"supervisor {title}, {passed_s:.0f} s, {rounds} rounds:")
        print(f"  CPU: guard {own_s[0]:.2f} s, init {own_s[1]:.2f} s = {100 * sum(own_s) / passed_s:.2f} % of a core")
        print(f"  memory: resident {rss[0]:.1f} + {rss[1]:.1f} MiB; proportional share {pss:.1f} MiB")


def own_cpu_s(pid: int) -> float:
    """User and system time of a process without its children."""
    text = Path(f"/proc/{pid}/stat").read_bytes()
    fields = text[text.rindex(b")") + 2 :].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--minutes", type=float, default=10, help="how long to watch the supervisor, for each of two loads"
    )
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument("--repeats", type=int, default=20)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        gap(folder, options.rounds)
        stopping(folder, options.repeats)
        starting(folder, options.repeats)
        if options.minutes:
            supervisor(folder, options.minutes)


if __name__ == "__main__":
    main()
