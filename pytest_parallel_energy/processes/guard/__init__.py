"""The guard: a small program of its own, ``python -I -S``, standard library only.

It is started by :mod:`pytest_parallel_energy.processes.child`, and nothing here may import the rest of the
package: a guard has to start in milliseconds (hence named tuples, and no dataclasses, which import ``inspect``), and
must not depend on what the owner has installed.

::

    owner (pytest) ── control pipe, pidfd ──> guard ──> init ──> the load, in its own session
                                                └── log pipe <──────┘

The guard talks to the owner, keeps the log and the count of rounds, and holds the grace. The init owns the processes:
in a PID namespace it is PID 1, elsewhere a subreaper. Each of the two notices when the other, or the owner, is gone.
"""
