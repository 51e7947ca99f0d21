"""Energy meters behind one small face, each in a process of its own; started by accuracy.py and overhead.py.

As a script it is the child: it makes the meter, says ``ready``, waits for a line, measures, and prints JSON.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Sequence
from typing import Protocol


class Tool(Protocol):
    """One meter."""

    def measure(self, body: Callable[[], None]) -> float | None:
        """Joules of the CPU packages while the body runs."""
        ...

    def empty(self) -> None:
        """One window around nothing."""
        ...

    def close(self) -> None:
        """Stop what runs."""
        ...


TOOLS = ("ours", "zeus", "pyjoules", "codecarbon")
_J_PER_KWH = 3_600_000.0


class Ours:
    """pytest-parallel-energy's meter."""

    def __init__(self, interval_s: float) -> None:
        from pytest_parallel_energy import EnergyMeter

        self._meter = EnergyMeter("powercap", interval_s=interval_s).open()

    def measure(self, body: Callable[[], None]) -> float | None:
        """Joules of the packages."""
        window = self._meter.begin(edges=True)
        body()
        return window.end().cpu_j

    def empty(self) -> None:
        """One window around nothing."""
        self._meter.begin().close()

    def close(self) -> None:
        """Stop what runs."""
        self._meter.close()


class Zeus:
    """zeus.monitor.ZeusMonitor."""

    def __init__(self, _interval_s: float) -> None:
        from zeus.monitor import ZeusMonitor

        self._monitor = ZeusMonitor(gpu_indices=[])

    def measure(self, body: Callable[[], None]) -> float | None:
        """Joules of the packages."""
        self._monitor.begin_window("w", sync_execution=False)
        body()
        energy = self._monitor.end_window("w", sync_execution=False).cpu_energy
        return None if energy is None else sum(energy.values())

    def empty(self) -> None:
        """One window around nothing."""
        self._monitor.begin_window("e", sync_execution=False)
        self._monitor.end_window("e", sync_execution=False)

    def close(self) -> None:
        """Nothing to do."""


class PyJoules:
    """pyJoules' EnergyMeter."""

    def __init__(self, _interval_s: float) -> None:
        from pyJoules.device import DeviceFactory
        from pyJoules.device.rapl_device import RaplPackageDomain
        from pyJoules.energy_meter import EnergyMeter

        self._meter = EnergyMeter(DeviceFactory.create_devices([RaplPackageDomain(0), RaplPackageDomain(1)]))

    def measure(self, body: Callable[[], None]) -> float | None:
        """Joules of the packages (it gives microjoules)."""
        self._meter.start()
        body()
        self._meter.stop()
        return sum(sum(sample.energy.values()) for sample in self._meter.get_trace()) / 1e6

    def empty(self) -> None:
        """One window around nothing."""
        self._meter.start()
        self._meter.stop()

    def close(self) -> None:
        """Nothing to do."""


class CodeCarbon:
    """codecarbon's OfflineEmissionsTracker, tasks for windows."""

    def __init__(self, interval_s: float) -> None:
        from codecarbon import OfflineEmissionsTracker

        self._tracker = OfflineEmissionsTracker(
            country_iso_code="USA",
            save_to_file=False,
            log_level="critical",
            measure_power_secs=interval_s,
            allow_multiple_runs=True,
        )

    def measure(self, body: Callable[[], None]) -> float | None:
        """Joules of the CPU (it gives kWh)."""
        self._tracker.start()
        body()
        self._tracker.stop()
        return float(self._tracker.final_emissions_data.cpu_energy) * _J_PER_KWH

    def empty(self) -> None:
        """One task around nothing."""
        self._tracker.start_task()
        self._tracker.stop_task()

    def close(self) -> None:
        """Stop what runs."""
        self._tracker.stop()


MAKERS: dict[str, Callable[[float], Tool]] = {
    "ours": Ours,
    "zeus": Zeus,
    "pyjoules": PyJoules,
    "codecarbon": CodeCarbon,
}


def main(arguments: Sequence[str] | None = None) -> None:
    """The child: accuracy of one window, or the mean cost of many empty ones."""
    parser = argparse.ArgumentParser()
    parser.add_argument("tool", choices=TOOLS)
    parser.add_argument("--seconds", type=float, default=1.0)
    parser.add_argument("--interval", type=float, default=1.0)
    parser.add_argument("--empty", type=int, default=0, help="measure the cost of so many empty windows instead")
    options = parser.parse_args(arguments)
    tool = MAKERS[options.tool](options.interval)
    print("ready", flush=True)
    sys.stdin.readline()
    if options.empty:
        tool.empty()
        started_s = time.perf_counter()
        for _ in range(options.empty):
            tool.empty()
        print(json.dumps({"us": (time.perf_counter() - started_s) / options.empty * 1e6}))
        return
    spans_s: list[float] = []

    def body() -> None:
        started_s = time.monotonic()
        time.sleep(options.seconds)
        spans_s.append(time.monotonic() - started_s)

    try:
        joules, problem = tool.measure(body), None
    except Exception as error:  # noqa: BLE001 - what a peer raises is the finding
        joules, problem = None, f"{type(error).__name__}: {error}"
    print(json.dumps({"joules": joules, "seconds": spans_s[0] if spans_s else None, "problem": problem}), flush=True)


if __name__ == "__main__":
    main()
