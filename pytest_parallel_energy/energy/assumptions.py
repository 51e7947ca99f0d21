"""Physical assumptions for sensors that do not say better, each with its source."""

from __future__ import annotations

__all__ = ["COUNTER_UPDATE_S", "LEAST_POWER_W", "SLOWEST_UPDATE_S", "STILL_UPDATES", "STUCK_UPDATES", "USUAL_UPDATE_S"]

SLOWEST_UPDATE_S = 1.0
"""An unknown update interval, for the uncertainty: the slowest in common use (NVML's averaged power)."""
COUNTER_UPDATE_S = 0.5
"""An unknown update interval of a counter, for waiting: the slowest refresh of NVIDIA's open kernel driver
(nvrm_registry.h)."""
USUAL_UPDATE_S = 0.1
"""An unknown update interval of a counter, for finding one that is stuck: the usual one of GPUs (arXiv 2312.02741)."""
LEAST_POWER_W = 0.1
"""No device that has a counter draws less: a counter moves at least once while its quantum lasts at this power."""
STUCK_UPDATES = 50
"""A running counter that does not move for this many updates is stuck."""
STILL_UPDATES = 20
"""A counter that did not move in a whole window of this many updates is no measurement (KVM guests have such zones)."""
