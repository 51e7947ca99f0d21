"""The training scripts: what they say when they cannot train, and that a seed fixes every figure."""

from __future__ import annotations

import importlib
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="the experiments extra is not installed")
pytest.importorskip("sklearn", reason="the experiments extra is not installed")
pytest.importorskip("tree_sitter_c", reason="the experiments extra is not installed")

from data_errors import DataError

WORKLOADS = Path(__file__).parents[2] / "experiments" / "workloads"
RESNET = ["-e", "1", "--limit", "64", "--batch-size", "32"]
BERT = [
    "--epochs",
    "1",
    "--limit",
    "64",
    "--batch_size",
    "32",
    "--layers",
    "1",
    "--width",
    "16",
    "--heads",
    "2",
    "--length",
    "32",
    "--vocabulary",
    "200",
]
TINY = [
    pytest.param("train_resnet_cifar10", RESNET, id="resnet20"),
    pytest.param("train_vulberta", BERT, id="vulberta-mlp"),
    pytest.param("train_vulberta", [*BERT, "-n", "cnn", "-d", "devign"], id="vulberta-cnn"),
    pytest.param(
        "train_person_reid", ["--total_epoch", "1", "--limit", "16", "--batchsize", "8", "--height", "64"], id="reid"
    ),
    pytest.param("train_examples", ["-n", "mnist", "-e", "1", "--limit", "64"], id="mnist"),
    pytest.param("train_examples", ["-n", "mnist_rnn", "-e", "1", "--limit", "64"], id="mnist_rnn"),
    pytest.param("train_examples", ["-n", "mnist_ff", "-e", "2", "--limit", "64"], id="mnist_ff"),
    pytest.param("train_examples", ["-n", "siamese", "-e", "1", "--limit", "64", "--width", "4"], id="siamese"),
    pytest.param(
        "train_mrt_oast", ["--epochs", "1", "--limit", "32", "--width", "16", "--length", "16"], id="mrt-oast"
    ),
    pytest.param("train_bug_localization", ["--kfold", "2", "--max_iter", "2"], id="bug-localization"),
]
SCRIPTS = pytest.mark.parametrize("script", sorted({parameters.values[0] for parameters in TINY}))


@pytest.fixture(scope="session")
def cache(tmp_path_factory):
    """The generated sets, made once for all tests of this file."""
    return tmp_path_factory.mktemp("generated")


@pytest.fixture
def run_script(tmp_path, cache, monkeypatch, capsys):
    """Runs a script's ``main`` in this process, in an empty folder, and gives what it printed."""
    monkeypatch.setenv("EXPERIMENTS_CACHE", str(cache))
    monkeypatch.chdir(tmp_path)

    def start(script, *arguments):
        monkeypatch.setattr(sys, "argv", [f"{script}.py", *arguments])
        importlib.import_module(script).main()
        return capsys.readouterr().out

    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # two would wait for each other wherever the machine has other work
    yield start
    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(False)


def figures(log):
    """What does not depend on how fast the machine is."""
    slow = ("samples_per_second", "epoch", "data:")
    return [line for line in log.splitlines() if not line.startswith(slow)]


@pytest.mark.parametrize(("script", "arguments"), TINY)
def test_a_seed_fixes_every_figure(run_script, script, arguments, tmp_path):
    """Two runs with one seed print the same losses and scores, and nothing is written unasked."""
    first, again = (run_script(script, *arguments, "--seed", "5") for _ in range(2))
    assert figures(first) == figures(again)
    assert list(tmp_path.iterdir()) == []


def test_another_seed_gives_other_figures(run_script):
    """The seed really reaches weights and batches."""
    first, other = (figures(run_script("train_examples", "-e", "1", "--limit", "64", "--seed", seed)) for seed in "12")
    assert len(first) == len(other)
    assert first[-1] != other[-1]


@SCRIPTS
def test_a_folder_without_the_data_says_what_belongs_there(run_script, script, tmp_path):
    """An existing folder that is not the data set is named, in one line."""
    with pytest.raises(DataError) as raised:
        run_script(script, "--data", str(tmp_path))
    assert str(tmp_path) in str(raised.value)
    assert "\n" not in str(raised.value)


@SCRIPTS
def test_a_path_that_does_not_exist_is_named(run_script, script):
    """A wrong path is named before anything is generated or trained."""
    with pytest.raises(DataError, match=r"--data: /no/such/folder does not exist"):
        run_script(script, "--data", "/no/such/folder")


def test_the_data_path_may_stand_in_the_environment(run_script, monkeypatch):
    """``EXPERIMENTS_CIFAR10`` does what ``--data`` does."""
    monkeypatch.setenv("EXPERIMENTS_CIFAR10", "/no/such/folder")
    with pytest.raises(DataError, match="/no/such/folder"):
        run_script("train_resnet_cifar10")


@pytest.mark.skipif(not torch.cuda.is_available(), reason="this PyTorch sees no CUDA device")
@pytest.mark.parametrize(("script", "arguments"), [some for some in TINY if some.id != "bug-localization"])
def test_training_on_cuda(run_script, script, arguments):
    """Every network trains on a GPU when it is told to, and says so."""
    log = run_script(script, *arguments, "--device", "cuda")
    assert "device: cuda" in log
    assert "train_loss: " in log


def test_cuda_that_is_not_there_is_refused(run_script, monkeypatch):
    """``--device cuda`` never falls back in silence."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(DataError, match="sees no CUDA device"):
        run_script("train_resnet_cifar10", "--device", "cuda")


def test_training_goes_on_from_a_checkpoint(run_script, tmp_path):
    """The weights that ``--save`` wrote are those that ``--checkpoint`` starts from; another model's are refused."""
    run_script("train_resnet_cifar10", *RESNET, "--save", "--output-dir", "kept")
    assert "checkpoint: kept/model.pt" in run_script("train_resnet_cifar10", *RESNET, "--checkpoint", "kept/model.pt")
    with pytest.raises(DataError, match=r"kept/model\.pt is not a state_dict of this model"):
        run_script("train_resnet_cifar10", *RESNET, "-n", "resnet32", "--checkpoint", "kept/model.pt")


@pytest.mark.parametrize("content", [b"", b"no weights", b"\x80\x02c__builtin__\neval\nq\x00."])
def test_a_damaged_checkpoint_is_named(run_script, tmp_path, content):
    """A file that holds no weights, or code in place of them, is refused by name."""
    (tmp_path / "mine.pt").write_bytes(content)
    with pytest.raises(DataError, match=r"mine\.pt is not a state_dict"):
        run_script("train_resnet_cifar10", *RESNET, "--checkpoint", "mine.pt")


@SCRIPTS
def test_the_help_names_unit_range_and_default_of_every_flag(script):
    """A newcomer reads what is trained, after which repository, and what each flag takes when it is left out."""
    parser = importlib.import_module(script).build_parser()
    text = parser.format_help()
    assert "wn implementation" in text
    assert re.search(r"after\s+the\s+repository", text)
    for action in parser._actions:
        if action.dest not in {"help", "save"}:
            assert "(default: " in action.help, action.dest
            assert "None" not in action.help, action.dest
        if action.type not in {None, Path}:
            assert "or more" in action.help or " to " in action.help, action.dest


@pytest.mark.parametrize(
    ("script", "arguments"),
    [
        ("train_examples", ["-e", "0"]),
        ("train_examples", ["-n", "mnist_ff", "-e", "0"]),
        ("train_resnet_cifar10", ["-e", "0"]),
        ("train_vulberta", ["--epochs", "0"]),
        ("train_person_reid", ["--total_epoch", "-1"]),
        ("train_mrt_oast", ["--epochs", "one"]),
        ("train_bug_localization", ["--max_iter", "0"]),
        ("train_examples", ["-l", "-0.1"]),
        ("train_examples", ["-l", "nan"]),
        ("train_person_reid", ["--droprate", "1.5"]),
    ],
)
def test_values_that_train_nothing_are_refused(script, arguments, capsys):
    """No epoch, a negative rate or a dropout above 1 is an error that names flag and value, never another value."""
    with pytest.raises(SystemExit) as raised:
        importlib.import_module(script).build_parser().parse_args(arguments)
    assert raised.value.code == 2
    message = capsys.readouterr().err
    assert arguments[-2] in message
    assert f"not '{arguments[-1]}'" in message


@pytest.mark.parametrize("name", ["mnist", "mnist_ff"])
def test_a_learning_rate_of_zero_is_used(run_script, name):
    """Zero is a value like any other: it is applied, and the weights stay where they were."""
    log = run_script("train_examples", "-n", name, "-l", "0", "-e", "2", "--limit", "64", "--save")
    assert "config: learning_rate=0.0" in log
    trained = torch.load("output/model.pt", weights_only=True)
    other = run_script("train_examples", "-n", name, "-l", "0", "-e", "1", "--limit", "64", "--save")
    assert "config: learning_rate=0.0" in other
    for key, value in torch.load("output/model.pt", weights_only=True).items():
        assert torch.equal(value, trained[key]), key


@pytest.mark.parametrize(
    ("script", "arguments", "optimizer"),
    [
        ("train_vulberta", BERT, "AdamW"),
        ("train_mrt_oast", ["--epochs", "1", "--limit", "32", "--width", "16", "--length", "16"], "Adam"),
    ],
)
def test_the_optimizer_in_use_is_the_one_that_the_help_names(run_script, script, arguments, optimizer):
    """The log shows the class of the live optimizer; the description and the activation are named alike."""
    assert f"config: optimizer='{optimizer}'" in run_script(script, *arguments)
    words = importlib.import_module(script).__doc__.translate(str.maketrans(",.()", "    ")).split()
    assert {optimizer, "GELU"} <= set(words)


@pytest.mark.timeout(300)  # two networks of the size of ResNet-50
def test_pcb_has_its_own_published_learning_rate(run_script):
    """Sun et al. train PCB's head with 0.02 where the other networks use 0.05."""
    tiny = ["--total_epoch", "1", "--limit", "16", "--batchsize", "8", "--height", "64"]
    assert "config: learning_rate=0.02" in run_script("train_person_reid", *tiny, "-n", "pcb")
    assert "config: learning_rate=0.05" in run_script("train_person_reid", *tiny)


def test_as_a_program_an_error_is_one_line_and_exit_code_2():
    """What a person sees: one line on stderr, no traceback."""
    command = [
        sys.executable,
        str(WORKLOADS / "bug-localization-by-dnn-and-rvsm" / "train_bug_localization.py"),
        "--data",
        "/no/such/folder",
    ]
    result = subprocess.run(command, env=dict(os.environ), capture_output=True, text=True, timeout=100, check=False)
    assert result.returncode == 2
    assert result.stderr.splitlines() == ["error: --data: /no/such/folder does not exist"]
