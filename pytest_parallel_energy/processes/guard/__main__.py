"""``python -I -S .../guard/__main__.py CONTROL EVENTS [PIDFD …]``: file descriptors that the owner passed."""

from __future__ import annotations

import importlib
import os
import pathlib
import sys

if __name__ == "__main__":
    # At the end of the path: nothing of ours may shadow the standard library.
    sys.path.append(str(pathlib.Path(__file__).resolve().parent.parent))
    status = importlib.import_module("guard.core").main(sys.argv[1:])
    os._exit(status)  # a regular exit of the interpreter would take ten milliseconds
