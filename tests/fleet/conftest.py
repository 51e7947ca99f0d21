"""Real engines for the tests of sweeps over many hosts."""

from __future__ import annotations

import os

import pytest
from slurm_cluster import missing_parts, running_cluster


@pytest.fixture(scope="session")
def slurm(tmp_path_factory):
    """A Slurm cluster of two nodes; where .ci/run has installed Slurm, its absence is a failure."""
    if missing := missing_parts():
        reason = "; ".join(missing)
        if os.environ.get("PARALLEL_ENERGY_REQUIRE_SLURM"):
            pytest.fail(f"Slurm cannot be started: {reason}")
        pytest.skip(reason)
    with running_cluster(tmp_path_factory.mktemp("slurm")) as cluster:
        yield cluster
