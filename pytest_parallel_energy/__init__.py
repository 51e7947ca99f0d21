"""Energy experiments on neural-network training, written as pytest tests.

Tests use the fixtures and markers of the plugin. The classes below them also work in a plain script:
``from pytest_parallel_energy import EnergyMeter, BackgroundLoad``.

PYTEST_DONT_REWRITE spares this module pytest's rewriting of assertions, of which it has none, and the finder below
spares the other modules.
"""

from __future__ import annotations

import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence
    from importlib.machinery import ModuleSpec

    from .energy.meter import EnergyMeter
    from .energy.sensor import Observation, Observer, Reading, Sensor, SensorDescription
    from .errors import ParallelEnergyError, SensorError, SensorUnavailableError
    from .load.background import BackgroundLoad
    from .mutation.distributions import choice, int_uniform, log_uniform, uniform
    from .processes.command import Command
    from .records.energy_values import DomainEnergy, Quality, WindowResult
    from .records.record import Record

__version__ = "0.2.0"

__all__ = [
    "BackgroundLoad",
    "Command",
    "DomainEnergy",
    "EnergyMeter",
    "Observation",
    "Observer",
    "ParallelEnergyError",
    "Quality",
    "Reading",
    "Record",
    "Sensor",
    "SensorDescription",
    "SensorError",
    "SensorUnavailableError",
    "WindowResult",
    "__version__",
    "choice",
    "int_uniform",
    "log_uniform",
    "uniform",
]

_HOMES = {
    "BackgroundLoad": "load.background",
    "Command": "processes.command",
    "DomainEnergy": "records.energy_values",
    "EnergyMeter": "energy.meter",
    "Observation": "energy.sensor",
    "Observer": "energy.sensor",
    "ParallelEnergyError": "errors",
    "Quality": "records.energy_values",
    "Reading": "energy.sensor",
    "Record": "records.record",
    "Sensor": "energy.sensor",
    "SensorDescription": "energy.sensor",
    "SensorError": "errors",
    "SensorUnavailableError": "errors",
    "WindowResult": "records.energy_values",
    "choice": "mutation.distributions",
    "int_uniform": "mutation.distributions",
    "log_uniform": "mutation.distributions",
    "uniform": "mutation.distributions",
}


class _PlainFinder:
    """A finder of this package's modules for ``sys.meta_path``.

    pytest takes each module of a plugin for one with assertions, and parses and compiles it itself. Under
    ``PYTHONDONTWRITEBYTECODE``, as in most container images, it does so in every session, although the installer has
    compiled the modules.
    """

    @staticmethod
    def find_spec(name: str, path: Sequence[str] | None = None, _target: object = None) -> ModuleSpec | None:
        """Return the module as Python itself finds it; ``None`` for others, and for the experiments, which assert."""
        if not name.startswith(f"{__name__}.") or name.startswith(f"{__name__}.experiments"):
            return None
        from importlib.machinery import PathFinder

        return PathFinder.find_spec(name, path)


if any(type(finder).__name__ == "AssertionRewritingHook" for finder in sys.meta_path):
    sys.meta_path.insert(0, _PlainFinder())


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used, so that loading the plugin costs a suite nothing."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
