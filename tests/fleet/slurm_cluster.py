"""A real Slurm cluster of two nodes on this machine: munged, slurmctld and two slurmd, from Debian's packages."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

__all__ = ["SlurmCluster", "missing_parts", "running_cluster"]

NODES = ("n1", "n2")
_START_S = 30.0
_POLL_S = 0.1
_PROGRAMS = ("munged", "slurmctld", "slurmd", "srun", "sbatch", "scancel", "scontrol", "sinfo")
_CONFIGURATION = """
ClusterName=energy
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={controller_port}
AuthType=auth/munge
CryptoType=crypto/munge
SlurmUser=root
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool-%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd-%n.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd-%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SwitchType=switch/none
MpiDefault=none
ReturnToService=2
KillWait=5
{nodes}
PartitionName=main Nodes=n[1-2] Default=YES MaxTime=INFINITE State=UP OverSubscribe=NO
"""


@dataclass(frozen=True, slots=True)
class SlurmCluster:
    """A cluster that is up; both nodes are this machine, with one CPU each."""

    folder: Path

    @property
    def environment(self) -> dict[str, str]:
        """The environment in which Slurm's commands find this cluster."""
        return os.environ | {"SLURM_CONF": str(self.folder / "slurm.conf")}

    def run(self, *command: str, timeout_s: float = 60.0, check: bool = True) -> str:
        """Run a command in the cluster's environment and return what it printed on stdout and stderr.

        Raises:
            AssertionError: it failed, and ``check`` is set.
        """
        done = subprocess.run(
            command,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=timeout_s,
            check=False,
        )
        assert done.returncode == 0 or not check, f"{command} ended with {done.returncode}: {done.stdout}"
        return done.stdout

    def state_of(self, job: str) -> str:
        """Return the state of a job, such as ``RUNNING``, ``COMPLETED`` or ``TIMEOUT``."""
        shown = self.run("scontrol", "show", "job", "-o", job)
        return shown.partition("JobState=")[2].split(maxsplit=1)[0]


def missing_parts() -> list[str]:
    """Return the reasons why no cluster can be started here; empty where one can."""
    missing = [f"{name} is not installed" for name in _PROGRAMS if shutil.which(name) is None]
    return missing if os.geteuid() == 0 else [*missing, "the daemons need root"]


@contextmanager
def running_cluster(folder: Path) -> Iterator[SlurmCluster]:
    """Start the daemons in ``folder``, yield the cluster when both nodes are idle, and stop the daemons."""
    folder.chmod(0o755)  # munged and slurmd look at every folder above their files
    for name in ("state", *(f"spool-{node}" for node in NODES)):
        (folder / name).mkdir()
    host, ports = socket.gethostname(), _free_ports(1 + len(NODES))
    nodes = "\n".join(
        f"NodeName={node} NodeHostname={host} NodeAddr=127.0.0.1 Port={port} CPUs=1 State=UNKNOWN"
        for node, port in zip(NODES, ports[1:], strict=True)
    )
    text = _CONFIGURATION.format(host=host, folder=folder, controller_port=ports[0], nodes=nodes)
    (folder / "slurm.conf").write_text(text)
    (folder / "cgroup.conf").write_text("CgroupPlugin=cgroup/v1\n")
    cluster = SlurmCluster(folder)
    with ExitStack() as daemons:
        if subprocess.run(["munge", "-n"], capture_output=True, check=False).returncode != 0:
            daemons.enter_context(_munged())
        commands = [["slurmctld", "-D"], *(["slurmd", "-D", "-N", node] for node in NODES)]
        for command in commands:
            daemons.enter_context(_daemon(command, cluster.environment, folder / f"{command[0]}-{command[-1]}.out"))
        _await_idle(cluster)
        yield cluster


@contextmanager
def _munged() -> Iterator[None]:
    run_folder = Path("/run/munge")
    run_folder.mkdir(exist_ok=True)
    shutil.chown(run_folder, "munge", "munge")
    with _daemon(["setpriv", "--reuid=munge", "--regid=munge", "--clear-groups", "munged", "-F"], dict(os.environ)):
        _await(lambda: subprocess.run(["munge", "-n"], capture_output=True, check=False).returncode == 0, "munged")
        yield


@contextmanager
def _daemon(command: list[str], environment: dict[str, str], output: Path | None = None) -> Iterator[None]:
    with (output or Path(os.devnull)).open("wb") as file:
        process = subprocess.Popen(command, env=environment, stdout=file, stderr=subprocess.STDOUT)
    try:
        yield
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _await_idle(cluster: SlurmCluster) -> None:
    def idle() -> bool:
        return cluster.run("sinfo", "-h", "-o", "%D %t", check=False).strip() == f"{len(NODES)} idle"

    try:
        _await(idle, "Slurm's nodes")
    except TimeoutError as error:
        logs = "\n".join(file.read_text(errors="replace")[-2000:] for file in cluster.folder.glob("*.log"))
        raise TimeoutError(f"{error}\n{logs}") from error


def _await(condition, subject: str) -> None:
    deadline_s = time.monotonic() + _START_S
    while not condition():
        if time.monotonic() > deadline_s:
            raise TimeoutError(f"{subject} did not come up within {_START_S:g} s")
        time.sleep(_POLL_S)


def _free_ports(count: int) -> list[int]:
    with ExitStack() as sockets:
        opened = [sockets.enter_context(socket.socket()) for _ in range(count)]
        for each in opened:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in opened]
