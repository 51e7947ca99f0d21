"""The foreground training: a real child and its log."""

from __future__ import annotations

import json
import shutil
import signal
import threading
from pathlib import Path

import psutil
import pytest
from copied import replace
from polling import eventually

from pytest_parallel_energy.errors import ConfigError, RegistryError, TrainingError
from pytest_parallel_energy.training.foreground import Training, read_training, run_training
from pytest_parallel_energy.training.registry import load_registry
from pytest_parallel_energy.training.workload import Profile

DATA = Path(__file__).parent / "data"


@pytest.fixture
def workload():
    return load_registry([DATA / "registry.json"]).workload("tiny/logistic")


def with_args(workload, *args):
    """The workload with further arguments of its script."""
    profile = Profile(hyperparameters=workload.hyperparameters, args=args)
    return replace(workload, profiles={"special": profile})


def run(workload, folder, **keywords):
    profile = keywords.pop("profile", "special" if "special" in workload.profiles else None)
    training = Training(workload=workload, values=workload.values(**keywords), threads=1, profile=profile)
    return read_training(run_training(training, folder))


def test_a_training_trains(workload, tmp_path):
    """It passes, has learnt something, keeps its log, and shows that the values asked for were applied."""
    result = run(workload, tmp_path, learning_rate=0.0625)
    assert result.status == "passed"
    assert result.reason is None
    assert result.exit_code == 0
    assert result.metrics["accuracy"] > 0.85
    assert result.applied == {"epochs": 20, "learning_rate": 0.0625, "tag": "plain"}
    assert result.flags == ()
    assert result.train_s > 0
    assert result.log.read_text().startswith("config: epochs=20")
    assert result.environment["OMP_NUM_THREADS"] == "1"
    assert json.loads((tmp_path / "outputs" / "seen.json").read_text())["threads"] == "1"
    result.raise_for_status()


def test_a_value_that_was_not_applied_is_flagged(workload, tmp_path):
    """Asked for 0.0625, trained with 0.02: the run passes and carries the difference."""
    result = run(with_args(workload, "--ignore-lr"), tmp_path, learning_rate=0.0625)
    assert result.status == "passed"
    assert result.applied["learning_rate"] == 0.02
    assert result.flags == ("learning_rate: asked for 0.0625, applied 0.02",)


def test_an_exit_code_is_a_failure_whatever_the_log_says(workload, tmp_path):
    """Metrics were printed, the exit code is 3: failed, with the last line of the log; they are kept."""
    result = run(with_args(workload, "--exit-code", "3"), tmp_path)
    assert result.status == "failed"
    assert result.exit_code == 3
    assert result.reason.startswith("exit code 3; its log says: accuracy: ")
    assert "accuracy" in result.metrics
    with pytest.raises(TrainingError, match=r"(?s)exit code 3.*training\.log"):
        result.raise_for_status()


def test_exit_code_zero_without_the_metrics_is_a_failure(workload, tmp_path):
    """A training that reports nothing has not succeeded."""
    silent = with_args(workload, "--silent")
    result = run(silent, tmp_path / "a")
    assert result.status == "failed"
    assert result.reason == "exit code 0, but it does not report accuracy"
    any_of_them = run(replace(silent, required_metrics=None), tmp_path / "b")
    assert any_of_them.reason == "exit code 0, but it reports none of accuracy, train_loss"
    assert run(replace(silent, required_metrics=()), tmp_path / "c").status == "passed"


def test_a_training_that_takes_too_long_is_stopped(workload, tmp_path):
    """After its timeout the child is gone, and the result says so without an exit code."""
    slow = with_args(workload, "--sleep", "600")
    training = Training(workload=slow, values=slow.values(), threads=1, profile="special", timeout_s=0.5)
    result = read_training(run_training(training, tmp_path))
    assert (result.status, result.exit_code) == ("timeout", None)
    assert result.reason == "still running after 0.5 s, stopped"
    assert result.train_s < 60
    with pytest.raises(ConfigError, match="above 0 seconds"):
        replace(training, timeout_s=0)


def test_a_signal_is_named(workload, tmp_path):
    """A training that the kernel ends says which signal, and what SIGKILL usually means."""
    checkout = tmp_path / "checkout"
    checkout.mkdir()
    (checkout / "train.py").write_text("import os; os.kill(os.getpid(), 9)")
    result = run(replace(workload, path=checkout), tmp_path / "run")
    assert result.exit_code == -9
    assert result.reason == "ended by SIGKILL (the kernel does this when memory runs out); its log says: (it is empty)"


def test_a_missing_checkout_is_refused_before_anything_is_made(workload, tmp_path):
    """The repository went away since the registry was read: one clear message, no folder."""
    gone = replace(workload, path=tmp_path / "gone")
    with pytest.raises(RegistryError, match="there is no folder"):
        run(gone, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_shell_script_is_a_workload_too(workload, tmp_path):
    """Anything executable trains: here a script that calls the real one from its own folder."""
    checkout = tmp_path / "checkout"
    shutil.copytree(DATA / "tiny", checkout)
    (checkout / "train.sh").write_text('#!/bin/sh\nexec python3 train.py "$@"\n')
    (checkout / "train.sh").chmod(0o755)
    result = run(replace(workload, path=checkout, script="train.sh"), tmp_path / "run")
    assert result.status == "passed", result.log.read_text()


def test_an_interrupted_training_leaves_nothing(workload, tmp_path, heeded_signals):
    """Ctrl-C while it trains: the interrupt goes on, and every process of the training is gone."""
    slow = with_args(workload, "--sleep", "600")
    training = Training(workload=slow, values=slow.values(), threads=1, profile="special")
    log = tmp_path / "training.log"

    def interrupt():
        eventually(lambda: log.exists() and log.stat().st_size)
        signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)

    threading.Thread(target=interrupt).start()
    with pytest.raises(KeyboardInterrupt):
        read_training(run_training(training, tmp_path))
    left = [one for one in psutil.process_iter(["cmdline"]) if str(tmp_path) in " ".join(one.info["cmdline"] or [])]
    assert left == []


def test_the_child_s_cpu_time_is_kept(workload, tmp_path):
    """The seconds of CPU that the training and its children used."""
    assert 0 < run(workload, tmp_path).cpu_s < 60
