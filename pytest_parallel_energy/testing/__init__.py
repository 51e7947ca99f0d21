"""Stand-ins with known truth, for the tests of this package and of whoever builds on it."""

from __future__ import annotations

from .powercap_tree import FakeZone, PowercapTree
from .sensors import FakeSensor, Fault, FaultKind, PowerProfile, Traits, VirtualClock

__all__ = ["FakeSensor", "FakeZone", "Fault", "FaultKind", "PowerProfile", "PowercapTree", "Traits", "VirtualClock"]
