"""The console script: start-up, help texts, mistakes, pipes."""

from __future__ import annotations

import subprocess
import sys

import pytest

from pytest_parallel_energy import __version__
from pytest_parallel_energy.console.cli import COMMANDS, main

SCRIPT = (sys.executable, "-m", "pytest_parallel_energy")
LOADED = """
import sys
from pytest_parallel_energy.console.cli import main
try:
    main(sys.argv[1:])
except SystemExit:
    pass
print(*sorted(sys.modules), file=sys.stderr)
"""


def loaded_modules(*arguments):
    run = subprocess.run(
        [sys.executable, "-c", LOADED, *arguments], capture_output=True, text=True, check=True, timeout=60
    )
    return set(run.stderr.splitlines()[-1].split())


def ours(modules):
    prefix = "pytest_parallel_energy."
    return {name.removeprefix(prefix) for name in modules if name.startswith(prefix)}


@pytest.mark.parametrize("option", ["--version", "--help"])
def test_the_version_loads_next_to_nothing(option):
    """Neither pytest nor any package below the command line is imported to print the version or the overview."""
    modules = loaded_modules(option)
    heavy = {"pytest", "msgspec", "psutil", "scipy"}
    if sys.version_info < (3, 14):  # from 3.14 on, argparse imports dataclasses for the colours of its help
        heavy.add("dataclasses")
    assert not modules & heavy
    assert ours(modules) == {"console", "console.cli", "console.plain_output", "errors"}


def test_only_the_subcommand_that_runs_is_loaded():
    """``list columns`` needs neither a sensor nor another subcommand nor pytest."""
    modules = loaded_modules("list", "columns")
    assert "pytest" not in modules
    found = ours(modules)
    assert {name for name in found if name.startswith("console.")} == {
        "console.cli", "console.ini_models", "console.listings", "console.plain_output",
    }  # fmt: skip
    assert not {name for name in found if name.startswith(("energy.", "load."))}


def test_the_version_is_printed(capsys):
    """``--version`` prints name and version."""
    with pytest.raises(SystemExit) as ended:
        main(["--version"])
    assert ended.value.code == 0
    assert capsys.readouterr().out == f"pytest-parallel-energy {__version__}\n"


@pytest.mark.parametrize("command", COMMANDS)
def test_each_help_has_an_example(command, capsys):
    """Each subcommand says what it does, describes every argument, and shows a command line."""
    with pytest.raises(SystemExit) as ended:
        main([command, "--help"])
    assert ended.value.code == 0
    text = capsys.readouterr().out
    description, _, rest = text.partition("\n\n")[2].partition("\n\n")
    assert description.split()[0] in {"Report", "List", "Run", "Show", "Compare", "Write", "Convert", "Merge", "Kill"}
    assert f"pytest-parallel-energy {command}" in rest.partition("example")[2]


def test_a_misspelt_command_names_the_nearest(capsys):
    """A typing mistake is answered with the right command and status 2."""
    with pytest.raises(SystemExit) as ended:
        main(["comapre", "a", "b"])
    assert ended.value.code == 2
    assert "there is no command 'comapre'; did you mean 'compare'?" in capsys.readouterr().err


def test_the_reader_of_a_pipe_may_leave(tmp_path):
    """When the reader closes the pipe, as ``head`` does, the command ends without a traceback."""
    child = subprocess.Popen(
        [*SCRIPT, "list", "columns"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=tmp_path
    )
    child.stdout.close()
    errors = child.stderr.read()
    child.stderr.close()
    assert (child.wait(timeout=60), errors) == (141, "")


@pytest.mark.parametrize(
    "arguments", [("test_it.py", "-k", "test_a"), ("-k", "test_a", "test_it.py")], ids=["file first", "option first"]
)
def test_plan_passes_options_on(tmp_path, arguments):
    """``plan`` gives files and options, in any order, to pytest and returns pytest's exit status."""
    (tmp_path / "test_it.py").write_text("def test_a(energy_meter): pass\ndef test_b(energy_meter): pass\n")
    run = subprocess.run(
        [*SCRIPT, "plan", *arguments],
        cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert run.returncode == 0, run.stdout + run.stderr
    assert "test_a" in run.stdout
    assert "test_b" not in run.stdout.partition("deselected")[2]


def test_measure_returns_the_status_of_the_command(capfd):
    """``measure`` leaves standard output to the command, prints energy on standard error, returns the exit status."""
    assert main(["measure", "--sensors", "estimate", "--", sys.executable, "-c", "print('out'); exit(3)"]) == 3
    captured = capfd.readouterr()
    assert captured.out == "out\n"
    assert "boundary: " in captured.err


def test_measure_without_a_command_says_how(capsys):
    """The message shows the form of the command line."""
    assert main(["measure"]) == 2
    assert "measure -- COMMAND ARGUMENTS" in capsys.readouterr().err
