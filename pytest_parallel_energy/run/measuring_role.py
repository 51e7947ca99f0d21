"""The part of this process: whether it measures, and its share of the CPU threads.

It does not measure as a further rank of a launcher, nor below a pytest that measures.
"""

from __future__ import annotations

import os
from contextlib import ExitStack
from functools import cached_property
from typing import TYPE_CHECKING

from ..errors import ConfigError
from .own_variables import own_variables

if TYPE_CHECKING:
    from ..host.launcher import Rank
    from ..plan.settings import Settings

__all__ = ["MeasuringRole"]


class MeasuringRole:
    """The part that this process has among those that run the same tests or train for them.

    Args:
        settings: the user's.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._announced = ExitStack()

    @cached_property
    def rank(self) -> Rank | None:
        """The place of this process among the ranks of a launcher; ``None`` outside of one."""
        from ..host.launcher import rank_from

        return rank_from(os.environ)

    @cached_property
    def measuring_parent(self) -> int | None:
        """The process id of the pytest that started this one and measures it; ``None`` without one."""
        from ..host.measuring_parent import measuring_parent

        return measuring_parent(os.environ)

    @property
    def measures(self) -> bool:
        """``False`` under ``--energy-disable``, below a pytest that measures, and where another rank measures."""
        if self.settings.disable or self.measuring_parent is not None:
            return False
        return self.rank is None or self.rank.measures

    @property
    def unmeasured_reason(self) -> str:
        """The reason why this process measures nothing, for the stand-ins of windows and loads."""
        if self.settings.disable:
            return "not measured (--energy-disable)"
        if self.measuring_parent is not None:
            return f"measured by the pytest that started this one (process {self.measuring_parent})"
        return "measured by local rank 0 of this node"

    @property
    def threads(self) -> int:
        """CPU threads of the foreground training.

        Half of the cores by default, alone and beside a load alike: were the budget to change with the load, the
        comparison would measure the budget (two unbudgeted trainings on two cores take 5 times as long, not 2).
        """
        return max(1, self._node_threads // (self.rank.local_size if self.rank else 1))

    @property
    def _node_threads(self) -> int:
        """CPU threads of all ranks of this node together, which are one training."""
        return self.settings.threads or max(1, _cores() // 2)

    def load_threads(self, loads: int) -> int:
        """Return the CPU threads of each of ``loads`` background loads: a share of the rest, at least 1."""
        return max(1, (_cores() - self._node_threads) // max(1, loads))

    def announce_measuring(self) -> None:
        """Tell the processes that this one starts that it measures them, until the run is closed."""
        from ..host.measuring_parent import MEASURED_BY

        # a session inside another one's process (pytester does that) puts its variable back
        self._announced.enter_context(own_variables({MEASURED_BY: str(os.getpid())}))

    def check_ranks(self) -> None:
        """Check that the tests may run in the ranks of a launcher.

        Raises:
            ConfigError: ``--energy-ranks=refuse``, or an option that only the rank that measures could obey.
        """
        if self.rank is None:
            return
        if self.settings.ranks == "refuse":
            raise ConfigError(
                f"--energy-ranks=refuse: pytest runs as {self.rank}; start pytest without the launcher, or let the "
                "first rank of each node measure it: --energy-ranks=node"
            )
        if self.settings.budget is not None:
            raise ConfigError(
                f"--energy-budget: pytest runs as {self.rank}, and the budget would stop only the rank that measures, "
                "while the others wait for it; leave the option out"
            )

    def end_announcement(self) -> None:
        """Leave the environment as it was before the announcement."""
        self._announced.close()


def _cores() -> int:
    """Return the number of cores that this process may use (``taskset`` may leave fewer than the machine has)."""
    return len(os.sched_getaffinity(0))
