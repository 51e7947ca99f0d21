"""The settings that a conclusion of the run depends on. Separate, because most runs need none of what it imports."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..plan.settings import Settings

__all__ = ["compares", "on_github", "wants_conclusion"]


def compares(settings: Settings) -> bool:
    """Return whether the run is compared with another one."""
    return settings.compare is not None or bool(settings.compare_fail)


def on_github(environ: Mapping[str, str] = os.environ) -> bool:
    """Return whether this process runs in a step of GitHub Actions, which shows a summary."""
    return environ.get("GITHUB_ACTIONS") == "true" and bool(environ.get("GITHUB_STEP_SUMMARY"))


def wants_conclusion(settings: Settings) -> bool:
    """Return whether the run ends with a comparison, a baseline, a report, or costs."""
    factors = (settings.carbon_intensity, settings.price, settings.pue)
    baselines = (settings.save_baseline, settings.add_baseline)
    saves = any(name is not None for name in baselines) or bool(settings.report)
    return compares(settings) or saves or any(factors) or on_github()
