"""The lines that a training prints: people read them, and so do the patterns in ``workloads.json``.

Every line is flushed at once, so that a log that is cut off by a kill still says how far the training came.
"""

from __future__ import annotations

__all__ = ["say", "say_applied", "say_metrics"]


def say(text: str) -> None:
    """Print one line and flush it."""
    print(text, flush=True)


def say_applied(**values: object) -> None:
    """Print the values that are really in use, read from the live objects, not from the command line.

    ``say_applied(learning_rate=0.1)`` prints ``config: learning_rate=0.1``; floats in the shortest form that reads
    back exactly.
    """
    for name, value in values.items():
        say(f"config: {name}={value!r}")


def say_metrics(**values: float) -> None:
    """Print one ``name: value`` line per metric, with six significant digits."""
    for name, value in values.items():
        say(f"{name}: {value:.6g}")
