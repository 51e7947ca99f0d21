"""The link to the latest run, per host."""

from __future__ import annotations

import socket

import pytest
from copied import replace

from pytest_parallel_energy.plan.finished import find_run
from pytest_parallel_energy.records.latest_link import latest_run
from pytest_parallel_energy.records.record import HostPart
from pytest_parallel_energy.records.store import RunStore


def run_on(monkeypatch, base, hostname, *, described=True):
    """Make a run as if on a host of that name, and return its folder."""
    monkeypatch.setattr(socket, "gethostname", lambda: hostname)
    store = RunStore.create(base)
    if described:
        store.write_run(replace(store.info, host=HostPart(hostname=hostname)))
    store.finish(0)
    return store.folder


@pytest.mark.parametrize("described", [True, False])
def test_each_host_has_a_link_of_its_own(tmp_path, monkeypatch, described):
    """The first host of a folder owns ``latest``; neither changes the other's link, also before run.json names it."""
    first = run_on(monkeypatch, tmp_path, "alpha", described=described)
    second = run_on(monkeypatch, tmp_path, "beta")
    assert (tmp_path / "latest").resolve() == first
    assert (tmp_path / "latest-beta").resolve() == second
    assert latest_run(tmp_path).resolve() == second
    assert find_run(tmp_path, "latest") == second
    again = run_on(monkeypatch, tmp_path, "alpha")
    assert (tmp_path / "latest").resolve() == again
    assert find_run(tmp_path, "latest") == again
    assert (tmp_path / "latest-beta").resolve() == second


def test_a_host_without_a_run_of_its_own_sees_the_other(tmp_path, monkeypatch):
    """``report`` on the login node shows what the compute node ran last."""
    first = run_on(monkeypatch, tmp_path, "alpha")
    monkeypatch.setattr(socket, "gethostname", lambda: "login")
    assert latest_run(tmp_path).resolve() == first


def test_a_link_to_a_removed_run_is_taken_over(tmp_path, monkeypatch):
    """Whose it was cannot be known any more."""
    (tmp_path / "latest").symlink_to("gone")
    second = run_on(monkeypatch, tmp_path, "beta")
    assert (tmp_path / "latest").resolve() == second
