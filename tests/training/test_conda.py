"""Trainings in a conda environment, by its interpreter and through ``conda run``, of which there is a stand-in here.

It was written after conda's ``main_run.py`` and ``wrap_subprocess_call``: a shell script starts the program, the
output is passed on when it has ended unless a flag says otherwise, and its exit code is conda's. The same trainings ran
with conda's own code, its main branch of August 2026.
"""

from __future__ import annotations

import json
import signal
import sys
import threading
from pathlib import Path

import psutil
import pytest
from copied import replace
from polling import eventually

from pytest_parallel_energy.errors import RegistryError
from pytest_parallel_energy.records.log_end import telling_line
from pytest_parallel_energy.training.foreground import Training, read_training, run_training
from pytest_parallel_energy.training.registry import load_registry
from pytest_parallel_energy.training.workload import Profile

DATA = Path(__file__).parent / "data"
CONDA = """\
#!{python}
import argparse, os, shlex, subprocess, sys, tempfile

parser = argparse.ArgumentParser()
parser.add_argument("-n", "--name", required=True)
parser.add_argument("-s", "--no-capture-output", "--live-stream", dest="live", action="store_true")
parser.add_argument("words", nargs=argparse.REMAINDER)
assert sys.argv[1] == "run"
options = parser.parse_args(sys.argv[2:])
with tempfile.NamedTemporaryFile("w", delete=False) as script:
    bin = shlex.quote(os.path.join(os.path.dirname(__file__), "envs", options.name, "bin"))
    script.write(f"export PATH={{bin}}:$PATH\\n{{shlex.join(options.words)}}\\nstatus=$?\\nexit $status\\n")
pipe = None if options.live else subprocess.PIPE
child = subprocess.Popen(["sh", script.name], stdin=pipe, stdout=pipe, stderr=pipe, text=True)
out, err = child.communicate()
print(out or "", end="")
print(err or "", end="", file=sys.stderr)
if child.returncode:
    words = " ".join(options.words)
    error = f"ERROR conda.cli.main_run:execute(148): `conda run {{words}}` failed. (See above for error)"
    print(error, file=sys.stderr)
os.unlink(script.name)
sys.exit(child.returncode)
"""


@pytest.fixture(params=["conda run", "interpreter"])
def workload(request, tmp_path):
    """The small training, in an environment that is called ``energy``."""
    interpreter = tmp_path / "envs" / "energy" / "bin" / "python"
    interpreter.parent.mkdir(parents=True)
    interpreter.symlink_to(sys.executable)
    conda = tmp_path / "conda"
    conda.write_text(CONDA.format(python=sys.executable))
    conda.chmod(0o755)
    through = (str(conda), "run", "--no-capture-output", "-n", "energy", "python")
    tiny = load_registry([DATA / "registry.json"]).workload("tiny/logistic")
    return replace(tiny, python=through if request.param == "conda run" else (str(interpreter),))


def training_of(workload, *args, **values):
    """The workload with further arguments of its script."""
    profiles = {"special": Profile(hyperparameters=workload.hyperparameters, args=args)}
    special = replace(workload, profiles=profiles)
    return Training(workload=special, values=special.values(**values), threads=1, profile="special")


def test_a_training_in_a_conda_environment(workload, tmp_path):
    """It learns something, and values and variables reach it as they are."""
    result = read_training(run_training(training_of(workload, tag="a b' $(x) é *"), tmp_path / "run"))
    assert (result.status, result.exit_code, result.flags) == ("passed", 0, ())
    assert result.metrics["accuracy"] > 0.85
    assert result.applied["tag"] == "a b' $(x) é *"
    assert '"threads": "1"' in (tmp_path / "run" / "outputs" / "seen.json").read_text()


def test_a_training_that_fails_in_a_conda_environment(workload, tmp_path):
    """Its own exit code and its own last line, whatever conda says after it."""
    training = training_of(workload, "--exit-code", "3", tag="two\nlines")
    result = read_training(run_training(training, tmp_path / "run"))
    assert (result.status, result.exit_code) == ("failed", 3)
    assert result.reason.startswith("exit code 3; its log says: accuracy: ")


def test_a_training_that_is_interrupted_in_a_conda_environment(workload, tmp_path):
    """Its lines are in the log at once, and afterwards neither conda, nor its shell, nor the training runs."""
    log = tmp_path / "run" / "training.log"

    def interrupt():
        eventually(lambda: log.exists() and "config: epochs=20" in log.read_text())
        signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)

    threading.Thread(target=interrupt).start()
    with pytest.raises(KeyboardInterrupt):
        run_training(training_of(workload, "--sleep", "600"), tmp_path / "run")
    commands = [" ".join(process.info["cmdline"] or ()) for process in psutil.process_iter(["cmdline"])]
    assert [command for command in commands if str(tmp_path) in command] == []


@pytest.mark.parametrize("flag", ["--no-capture-output", "--live-stream", "-s"])
@pytest.mark.parametrize("key", ["python", "command"])
def test_conda_must_pass_the_log_on_at_once(tmp_path, key, flag):
    """Otherwise all lines have the time of the end, epochs have none, and a training that is stopped leaves no log."""

    def read(*options):
        words = ["/opt/conda/bin/conda", "run", *options, "python"]
        entry = {"path": ".", "models": ["default"]}
        entry |= (
            {"python": words, "train_script": "train.py"} if key == "python" else {"command": [*words, "-s", "x.py"]}
        )
        return load_registry([written(tmp_path, entry)])

    read("--cwd", "-s", flag, "-n", "energy")
    for options in (("-n", "energy"), ("-p", flag), ("-v", "-n", flag)):
        with pytest.raises(RegistryError, match=r"keeps the log back.*--no-capture-output.*bin/python"):
            read(*options)


def written(folder, entry):
    """Write a registry of one entry and return its path."""
    (folder / "registry.json").write_text(json.dumps({"models": {"own": entry}}))
    return folder / "registry.json"


def test_the_words_of_conda_are_not_the_reason_of_a_failure(tmp_path):
    """Not even where the arguments that it repeats look like an error."""
    log = tmp_path / "training.log"
    log.write_text(
        "the loss is nan\n\nERROR conda.cli.main_run:execute(148): `conda run python train.py --tag\n"
        "ValueError: not mine\n` failed. (See above for error)\n"
    )
    assert telling_line(log) == "the loss is nan"
