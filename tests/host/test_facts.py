from __future__ import annotations

import hashlib
import subprocess
from pathlib import Path

import psutil
import pytest

from pytest_parallel_energy.host.facts import git_commit, host_facts

CPUINFO = """\
processor\t: 0
model name\t: AMD EPYC 7763 64-Core Processor
physical id\t: 0
flags\t\t: fpu vme {flag}

processor\t: 1
model name\t: AMD EPYC 7763 64-Core Processor
physical id\t: 1
flags\t\t: fpu vme {flag}
"""


def _root(tmp_path: Path, flag: str = "sse") -> Path:
    files = {
        "proc/cpuinfo": CPUINFO.format(flag=flag),
        "etc/machine-id": "0123456789abcdef0123456789abcdef\n",
        "sys/devices/system/cpu/cpu0/cpufreq/scaling_governor": "performance\n",
        "sys/devices/system/cpu/cpu1/cpufreq/scaling_governor": "powersave\n",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def test_facts_are_read_from_the_system(tmp_path):
    """Processor, sockets, governor and machine come from the system's files."""
    host = host_facts(root=_root(tmp_path), source=tmp_path)
    assert host.cpu == "AMD EPYC 7763 64-Core Processor"
    assert host.sockets == 2
    assert host.governor == "performance+powersave"
    assert host.virtualised is False
    assert host.memory_bytes == psutil.virtual_memory().total
    assert host.python.startswith("3.")


def test_a_hypervisor_is_seen(tmp_path):
    """The processor's hypervisor flag marks a virtual machine."""
    assert host_facts(root=_root(tmp_path, "hypervisor")).virtualised is True


def test_the_machine_id_is_not_given_away(tmp_path):
    """The record holds a hash of the machine's id, the same each time, and not the id or its plain hash."""
    first, second = (host_facts(root=_root(tmp_path)).machine_id for _ in range(2))
    secret = "0123456789abcdef0123456789abcdef"
    assert first == second
    assert len(first) == 16
    assert first not in {secret[:16], hashlib.sha256(secret.encode()).hexdigest()[:16]}


def test_what_cannot_be_known_is_none(tmp_path):
    """On a system without these files the fields are None, and nothing raises."""
    host = host_facts(root=tmp_path, source=tmp_path)
    assert (host.machine_id, host.sockets, host.governor, host.virtualised) == (None, None, None, None)


@pytest.fixture
def repository(tmp_path):
    """A repository with one commit, and that commit."""
    folder = tmp_path / "repository"

    def git(*arguments):
        command = ["git", "-c", "user.name=n", "-c", "user.email=e@example.org", "-C", str(folder), *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    folder.mkdir()
    git("init", "-q")
    git("commit", "-q", "--allow-empty", "-m", "first")
    return folder, git


def test_the_commit_is_what_git_says(repository):
    """On a branch, in a folder below, detached, and after packing, the commit is the one that git names."""
    folder, git = repository
    (folder / "below").mkdir()
    head = git("rev-parse", "HEAD")
    assert git_commit(folder) == head
    assert git_commit(folder / "below") == head
    git("pack-refs", "--all")
    assert git_commit(folder) == head
    git("checkout", "-q", "--detach")
    assert git_commit(folder) == head


def test_a_linked_worktree_has_its_own_commit(repository, tmp_path):
    """In a linked worktree the commit is that of its own branch."""
    _, git = repository
    git("worktree", "add", "-q", str(tmp_path / "linked"))
    assert git_commit(tmp_path / "linked") == git("rev-parse", "linked")


def test_no_repository_or_no_commit_is_none(tmp_path):
    """Outside a repository, before the first commit, and with a broken one, there is no commit and no error."""
    assert git_commit(tmp_path) is None
    subprocess.run(["git", "init", "-q", str(tmp_path / "new")], check=True)
    assert git_commit(tmp_path / "new") is None
    (tmp_path / ".git").write_text("gitdir: nowhere\n")
    assert git_commit(tmp_path) is None
