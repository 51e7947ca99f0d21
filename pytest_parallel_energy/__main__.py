"""``python -m pytest_parallel_energy``: the console script."""

from __future__ import annotations

import sys

from .console.cli import main

sys.exit(main())
