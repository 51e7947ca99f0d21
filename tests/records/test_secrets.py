"""Secrets: the training gets them, files that others may read do not."""

from __future__ import annotations

import json
import os
import stat

import pytest
from copied import replace

from pytest_parallel_energy.load.background import BackgroundLoad
from pytest_parallel_energy.plan.settings import Settings
from pytest_parallel_energy.processes.command import Command
from pytest_parallel_energy.records.masking import is_private, mask_arguments, mask_environment, mask_text
from pytest_parallel_energy.records.record import HostPart, WorkloadPart
from pytest_parallel_energy.records.run_info import RunInfo, run_json
from pytest_parallel_energy.records.store import RunStore
from pytest_parallel_energy.run.record_parts import trained_part
from pytest_parallel_energy.statistics.baseline import save_baseline
from pytest_parallel_energy.training.foreground import TrainingResult
from pytest_parallel_energy.training.workload import OUTPUT_VARIABLE, thread_environment

SECRET = "s3cr3t"


@pytest.mark.parametrize(
    "name",
    ["HF_TOKEN", "API_KEY", "AWS_SECRET_ACCESS_KEY", "PGPASSWORD", "MYSQL_PWD", "apiKey", "wandbApiKey", "GH_PAT",
     "DB_PASSPHRASE", "OPENAI_APIKEY", "GOOGLE_APPLICATION_CREDENTIALS", "GITHUBTOKEN"],
)  # fmt: skip
def test_secret_variables_are_masked(name):
    """Names that look like secrets, as variables, assignments and options."""
    option = f"--{name.lower().replace('_', '-')}" if "_" in name else f"--{name}"
    assert mask_environment({name: SECRET}) == {name: "***"}
    assert mask_arguments([f"{name}={SECRET}", option, SECRET, f"{option}={SECRET} x"]) == (
        f"{name}=***", option, "***", f"{option}=***",
    )  # fmt: skip
    assert SECRET not in mask_arguments(["sh", "-c", f"{name}={SECRET} exec python train.py {option} '{SECRET}'"])[2]


def test_addresses_and_headers_are_masked():
    """The password of an address, and a header for curl."""
    assert mask_arguments(["postgres://me:pw@host/db", "-H", "Authorization: Bearer abc"]) == (
        "postgres://me:***@host/db", "-H", "Authorization: ***",
    )  # fmt: skip
    assert mask_environment({"DATABASE_URL": "mysql://me:pw@host"}) == {"DATABASE_URL": "mysql://me:***@host"}


def test_what_a_training_needs_is_kept():
    """Numbers of tokens and keys, the working directory and test ids are no secrets."""
    harmless = {"TOKENIZERS_PARALLELISM": "false", "MAX_TOKENS": "512", "PWD": "/x", "NUM_KEYS": "7", "KEY_DIM": "64",
                "PATH": "/a:/b", "MONKEY": "chimp"}  # fmt: skip
    assert mask_environment(harmless) == harmless
    words = (
        "python",
        "train.py",
        "--token-dim",
        "64",
        "--lr=0.1",
        "t.py::test_a[key-3]",
        "http://h:80/x",
        "--keys",
        "a",
    )
    assert mask_arguments(words) == words


def test_run_json_masks_the_command_line():
    """The command of the session and its settings, also in the report that is made from ``run.json``."""
    info = RunInfo(
        run_id="r", started_at="", arguments=("--wandb-key", SECRET, f"--token={SECRET}"), settings={"api_key": SECRET}
    )
    text = run_json(info)
    assert SECRET not in text
    assert json.loads(text)["arguments"] == ["--wandb-key", "***", "--token=***"]


def test_labels_are_masked():
    """``--energy-tag`` in records, in the settings and the command line of ``run.json``."""
    settings = Settings(tag=(("api_key", SECRET), ("machine", "big")))
    assert settings.labels() == {"api_key": "***", "machine": "big"}
    arguments = (f"--energy-tag=api_key={SECRET}", "--energy-tag", f"api_key={SECRET}")
    text = run_json(RunInfo(run_id="r", started_at="", arguments=arguments, settings=settings.as_text()))
    assert SECRET not in text
    assert "machine=big" in text


def test_reasons_are_masked():
    """Assignments, addresses and values of secret variables; names of exceptions and plain words are kept."""
    environment = {"HF_TOKEN": "hf_12345", "EPOCHS": "300000"}
    text = "exit code 1: login with hf_12345 at https://me:pw@hub failed; --password abc PGPASSWORD=abc"
    assert mask_text(text, environment) == (
        "exit code 1: login with *** at https://me:***@hub failed; --password *** PGPASSWORD=***"
    )
    for harmless in ("KeyError: 'epochs'", "the log has no match for 'loss'", "300000 epochs", "AuthError: see below"):
        assert mask_text(harmless, environment) == harmless


def _trained(environment):
    part = WorkloadPart(repository="r", model="m", hyperparameters={})
    result = TrainingResult(
        status="passed", reason=None, exit_code=0, train_s=1.0, metrics={}, applied={}, flags=(), log="x",
        output_dir="o",
        command=("train", "--api-key", SECRET), environment=environment, cpu_s=1.0,
    )  # fmt: skip
    return trained_part(part, result, "train.log"), result


def test_a_record_masks_what_the_training_got():
    """The record masks command and environment; the result itself, which the test sees, is unchanged."""
    part, result = _trained({"HF_TOKEN": SECRET, "LR": "3"})
    assert part.command == ("train", "--api-key", "***")
    assert part.environment == {"HF_TOKEN": "***", "LR": "3"}
    assert result.environment["HF_TOKEN"] == SECRET


def _mode(path):
    return stat.S_IMODE(path.stat().st_mode)


def test_records_with_an_environment_are_private(tmp_path, make_record):
    """Files with variables of the user are readable by the user alone; without any the umask decides."""
    own = {**thread_environment(2), OUTPUT_VARIABLE: "x"}
    open_store, store = RunStore.create(tmp_path / "open"), RunStore.create(tmp_path / "private")
    part = WorkloadPart(repository="r", model="m", hyperparameters={}, environment=own)
    public = make_record(workload=part, host=HostPart(machine_id="m"))
    private = replace(public, workload=replace(part, environment={**own, "ACCOUNT": "x"}))
    assert not is_private(public)
    for target, record in ((open_store, public), (store, private)):
        folder = target.experiment_folder("a")
        target.append(replace(record, folder=target.relative(folder)))
        target.finish(0)
    umask = os.umask(0)
    os.umask(umask)
    for name in ("records.jsonl", "experiments/a/experiment.json"):
        assert _mode(open_store.folder / name) == 0o666 & ~umask & (0o644 if name == "records.jsonl" else 0o666)
        assert _mode(store.folder / name) == 0o600
    (baseline,) = save_baseline(tmp_path, [private])
    assert _mode(baseline) == 0o600


def test_a_loop_script_is_private_and_its_load_gets_the_secret(tmp_path):
    """``loop.sh`` exports the true value, for its user alone; the report masks it."""
    command = Command(argv=("/bin/sh", "-c", 'echo "$API_KEY"; sleep 0.05', "--token", SECRET), env={"API_KEY": SECRET})
    with BackgroundLoad(command, name="n", folder=tmp_path / "load") as load:
        assert _mode(load.script) == 0o600
        report = load.report()
    assert SECRET in (tmp_path / "load" / "round-1.log").read_text()
    assert report.command[-2:] == ("--token", "***")
