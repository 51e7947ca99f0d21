"""Makes the training scripts' modules importable, as they are for a script that runs beside them."""

from __future__ import annotations

import sys
from pathlib import Path

EXPERIMENTS = Path(__file__).parents[2] / "experiments"
sys.path.insert(0, str(EXPERIMENTS / "workloads"))
