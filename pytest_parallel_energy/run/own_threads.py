"""The thread budget in pytest's own process, for tests that train there."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from .own_variables import own_variables

__all__ = ["own_threads"]

_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


@contextmanager
def own_threads(threads: int) -> Iterator[None]:
    """Limit the threads of this process until the context ends, and restore the former numbers.

    PyTorch and the libraries that threadpoolctl knows are limited where they (and threadpoolctl) are loaded; what is
    imported later reads the number from the environment.

    Args:
        threads: 1 or more.
    """
    with contextlib.ExitStack() as restored:
        restored.enter_context(own_variables(dict.fromkeys(_VARIABLES, str(threads))))
        if (torch := sys.modules.get("torch")) is not None:
            restored.callback(torch.set_num_threads, torch.get_num_threads())
            torch.set_num_threads(threads)
        if (pools := sys.modules.get("threadpoolctl")) is not None:
            restored.enter_context(pools.threadpool_limits(limits=threads))
        yield
