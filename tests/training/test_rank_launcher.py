"""Trainings that a launcher starts as several ranks: the command, the share of threads, and the port."""

from __future__ import annotations

import json
import sys

import pytest

from pytest_parallel_energy.errors import RegistryError
from pytest_parallel_energy.training.registry import load_registry


@pytest.fixture
def registered(tmp_path):
    """A function that registers a script with a launcher, and returns the workload."""
    (tmp_path / "train.py").write_text("print('accuracy: 0.5')\n")

    def register(launcher, **entry):
        entry = {"path": ".", "models": ["default"], "train_script": "train.py", "launcher": launcher} | entry
        if "command" in entry:
            del entry["train_script"]
        (tmp_path / "registry.json").write_text(json.dumps({"models": {"own": entry}}))
        return load_registry([tmp_path / "registry.json"]).get("own/default")

    return register


def command_of(workload, tmp_path, threads=4):
    return workload.command(workload.values(), output_dir=tmp_path / "out", threads=threads)


@pytest.mark.parametrize(
    ("words", "entry", "ranks"),
    [
        (["torchrun", "--nproc-per-node=2"], {}, 2),
        (["torchrun", "--nproc_per_node", "4"], {}, 4),
        (["torchrun"], {"env": {"PET_NPROC_PER_NODE": "2"}}, 2),
        (["torchrun", "--nproc-per-node=auto"], {"ranks": 2}, 2),
        (["accelerate", "launch", "--num_processes=2"], {}, 2),
        (["mpirun", "-np", "2"], {}, 2),
        (["srun", "-n2"], {}, 2),
        (["srun", "--ntasks=2"], {}, 2),
        (["torchrun"], {}, 1),
    ],
)
def test_ranks_divide_the_thread_budget(registered, tmp_path, words, entry, ranks):
    """The number of ranks is read from the words, the environment or the entry."""
    command = command_of(registered(words, **entry), tmp_path)
    assert command.env["OMP_NUM_THREADS"] == str(4 // ranks)


def test_each_rank_has_at_least_one_thread(registered, tmp_path):
    """More ranks than threads do not give a budget of zero."""
    assert command_of(registered(["mpirun", "-n", "8"]), tmp_path).env["OMP_NUM_THREADS"] == "1"


def test_the_interpreter_follows_only_launchers_that_need_it(registered, tmp_path):
    """Torchrun runs the script by itself; mpirun is given the interpreter."""
    script = str(tmp_path / "train.py")
    torchrun = command_of(registered(["/x/torchrun", "--standalone"]), tmp_path).argv
    assert torchrun == ("/x/torchrun", "--standalone", script)
    assert command_of(registered(["/x/mpirun", "-n", "2"]), tmp_path).argv[-2:] == (sys.executable, script)
    module = command_of(registered(["{python}", "-m", "torch.distributed.run", "--nproc-per-node=2"]), tmp_path).argv
    assert module == (sys.executable, "-m", "torch.distributed.run", "--nproc-per-node=2", script)
    words = registered(["/x/torchrun"], command=["{python}", "train.py", "--threads={threads}"], ranks=2)
    assert command_of(words, tmp_path).argv == ("/x/torchrun", "train.py", "--threads=2")


def test_each_run_has_a_port_of_its_own(registered, tmp_path):
    """As variable, as placeholder, and as the option of launchers that read nothing else; the user's port stays."""
    torchrun = registered(["torchrun", "--master-port={port}"])
    ports = [command_of(torchrun, tmp_path).env["MASTER_PORT"] for _ in range(3)]
    assert len(set(ports)) > 1
    command = command_of(torchrun, tmp_path)
    assert f"--master-port={command.env['MASTER_PORT']}" in command.argv
    accelerate = command_of(registered(["accelerate", "launch", "--cpu"]), tmp_path)
    assert accelerate.argv[1:4] == ("launch", f"--main_process_port={accelerate.env['MASTER_PORT']}", "--cpu")
    own = command_of(registered(["accelerate", "launch", "--main-process-port=7"]), tmp_path).argv
    assert own[1:3] == ("launch", "--main-process-port=7")
    assert command_of(registered(["torchrun"], env={"MASTER_PORT": "7"}), tmp_path).env["MASTER_PORT"] == "7"


@pytest.mark.parametrize(
    ("launcher", "entry", "message"),
    [
        ("torchrun --standalone", {}, "must be a list of words"),
        ([], {}, "must name"),
        (["torchrun", "--nproc-per-node=auto"], {}, 'as in "ranks": 2'),
        (["torchrun", "--nproc-per-node=0"], {}, 'as in "ranks": 2'),
        (["torchrun"], {"ranks": 0}, 'as in "ranks": 2'),
        (["torchrun", "--lr={lr}"], {}, "placeholder"),
        (["torchrun"], {"python": "python3"}, "chooses the interpreter"),
    ],
)
def test_a_launcher_that_cannot_work_is_refused(registered, launcher, entry, message):
    """The registry is refused when it is read, with the remedy."""
    with pytest.raises(RegistryError, match=message):
        registered(launcher, **entry)


def test_a_launcher_that_is_missing_is_named(registered):
    """Before anything starts."""
    with pytest.raises(RegistryError, match="no-such-launcher"):
        registered(["no-such-launcher"]).check()
