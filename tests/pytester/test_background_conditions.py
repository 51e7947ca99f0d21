"""What the marker and the fixture say about a load, from the test to its record."""

from __future__ import annotations

import secrets
from pathlib import Path

import pytest

from pytest_parallel_energy.load.request import DRIVER
from tests.processes.containers import works

BESIDE = """
import pytest

@pytest.mark.background_load("toy/net", {arguments})
def test_beside(background_load, energy_meter):
    import time
    time.sleep({seconds})
    assert background_load.alive
"""


def beside(project, arguments, seconds=1.2):
    project.tests(BESIDE.format(arguments=arguments, seconds=seconds))


def test_intensity_is_in_the_record(project):
    """A load at half of its time is recorded with what was asked and what was reached, and is another cell."""
    beside(project, "intensity=0.5, epochs=50")
    project.run().assert_outcomes(passed=1)
    slow = project.records()[0]
    (load,) = slow["background"]
    assert (load["level"], load["level_asked"], load["conditions"]) == ("intensity", 0.5, {"intensity": "0.5"})
    assert load["level_reached"] == pytest.approx(0.5, abs=0.15)
    beside(project, "epochs=50")
    project.run().assert_outcomes(passed=1)
    assert project.records()[0]["cell"] != slow["cell"]


def test_several_loads_have_their_own(project):
    """Three loads of one marker and one of another: four scripts, logs and counts."""
    project.tests("""
import pytest

@pytest.mark.background_load("toy/net", n=3, devices=0, epochs=2)
@pytest.mark.background_load("toy/net", devices="GPU-12ab", epochs=1)
def test_beside(background_load):
    assert len(background_load) == 4
    assert len({load.script for load in background_load}) == 4
    import time
    time.sleep(0.5)
""")
    project.run().assert_outcomes(passed=1)
    (record,) = project.records()
    assert [load["devices"] for load in record["background"]] == ["0", "0", "0", "GPU-12ab"]
    if not DRIVER.exists():
        assert "it was given the devices 0, but no NVIDIA driver is loaded here" in record["background"][0]["flags"]
    assert len({load["log_dir"] for load in record["background"]}) == 4
    assert all(load["rounds_completed"] >= 1 for load in record["background"])


def test_a_command_takes_conditions_and_nothing_else(project):
    """A plain command may be slowed down; a hyperparameter is refused by name."""
    project.tests("""
import sys

def test_slow(background_load):
    load = background_load([sys.executable, "-c", "while True: pass"], intensity=0.4)
    assert load.alive

def test_wrong(background_load):
    background_load(["true"], intensty=0.4)
""")
    result = project.run()
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(["*takes no 'intensty'; did you mean 'intensity'*"])


def test_a_marked_command(project):
    """The marker and a parameter take a command as the fixture does; a parametrised load may be several."""
    project.tests("""
import pytest, sys

BUSY = [sys.executable, "-c", "while True: pass"]

@pytest.mark.background_load(BUSY, intensity=0.4)
def test_marked(background_load):
    assert background_load.alive

@pytest.mark.parametrize("background_load", [BUSY, {"command": BUSY, "intensity": 0.4}], indirect=True)
def test_parameter(background_load):
    assert len(background_load) == 1

@pytest.mark.parametrize("background_load", [{"name": "toy/net", "n": 2, "epochs": 1}], indirect=True)
def test_two(background_load):
    assert len(background_load) == 2
""")
    project.run().assert_outcomes(passed=4)
    marked, plain, paced, two = project.records()
    assert [record["background"][0]["level_asked"] for record in (plain, paced)] == [None, 0.4]
    (load,) = marked["background"]
    assert (load["name"], load["level_asked"]) == (load["command"][0].rpartition("/")[2], 0.4)
    assert f"bg={load['name']}-rep0" in marked["nodeid"]
    assert len(two["background"]) == 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("intensity=2", "*background_load(intensity=2): a share above 0, up to 1*"),
        ("n=0", "*background_load(n=0): n is a whole number of 1 or more*"),
        ("grace=-1", "*background_load(grace=-1): a time of 0 or more*"),
        ("target_gpu_utilisation=200", "*background_load(target_gpu_utilisation=200): above 0 %, up to 100 %*"),
        ("intensity=0.5, target_gpu_utilisation=60", "*an intensity or a target_gpu_utilisation, not both*"),
        ("devices='gpu0'", "*background_load(devices='gpu0'): 'gpu0' names no GPU*"),
        ("ready='soon'", "*background_load(ready='soon'): readiness cannot be 'soon'*"),
        ("ready='pattern:('", "*readiness by pattern: '(' is not a regular expression: missing )*"),
        ("gpu_memory_fraction=0.5, epochs=1", "*gpu_memory_fraction=0.5 cannot be enforced: there is no NVIDIA GPU*"),
        ("batch_size='auto'", "*toy/net has no hyperparameter batch_size*"),
        ("target_gpu_utilisation=60", "*target_gpu_utilisation=60 cannot be held: there is no NVIDIA GPU*"),
    ],
)
def test_wrong_conditions_are_one_message(project, arguments, message):
    """A condition that cannot be is refused with its name and value; nothing runs."""
    if "GPU*" in message and DRIVER.exists():
        pytest.skip("there is an NVIDIA GPU here")
    beside(project, arguments)
    result = project.run()
    assert result.ret != 0
    result.stdout.fnmatch_lines([message])
    result.stdout.no_fnmatch_line("*INTERNALERROR*")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("['true'], epochs=1", "*a command as background load takes no 'epochs'; known: devices*"),
        ("['true'], batch_size='auto'", "*the plugin does not know the batch size of a command*"),
        ("[]", "*a list of words, the program first; the list is empty*"),
    ],
)
def test_wrong_marked_commands(project, arguments, message):
    """What only a training has is refused of a command by name; nothing runs."""
    project.tests(BESIDE.format(arguments=arguments, seconds=0).replace('"toy/net", ', ""))
    result = project.run()
    assert result.ret != 0
    result.stdout.fnmatch_lines([message])


def test_a_load_that_fails_in_the_window_fails_the_test(project):
    """Coverage under the limit fails the experiment with the reason, said once; the record keeps the figures.

    That the load loops in vain is told as soon as it does, while the test still runs.
    """
    project.tests("""
import pathlib, sys, time

CODE = '''
import pathlib, sys
if pathlib.Path("broken").exists(): sys.exit("no more")
while not pathlib.Path("broken").exists(): pass
'''

def test_beside(background_load):
    background_load([sys.executable, "-c", CODE])
    pathlib.Path("broken").touch()
    time.sleep(8)
""")
    result = project.run()
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines([
        "energy: *::test_beside*the background load * loops in vain: 3 rounds in a row failed*", "no more", "*F*",
        "*the background load * ran *% of the window, and must run 90%*", "*no more*",
    ])  # fmt: skip
    result.stdout.no_fnmatch_line("*During handling of the above exception*")
    (record,) = project.records()
    assert record["status"] == "failed"
    assert min(load["coverage_ratio"] for load in record["background"]) < 0.9


def test_a_wrong_call_shows_the_users_line_and_none_of_ours(project):
    """The error keeps its type, so that a test may expect it; where it was found does not matter to the user."""
    project.tests("""
import pytest
from pytest_parallel_energy.errors import LoadError

def test_wrong(background_load):
    background_load(["sleep", "9"], intensty=0.5)

def test_expected(background_load):
    with pytest.raises(LoadError, match="is not in the PATH"):
        background_load(["no-such-program"])
""")
    result = project.run()
    result.assert_outcomes(failed=1, passed=1)
    result.stdout.fnmatch_lines([">*background_load(*intensty=0.5)", "E*did you mean 'intensity'*"])
    result.stdout.no_fnmatch_line("*conditions.py*")
    result.stdout.no_fnmatch_line("*views.py*")


def test_a_load_in_vain_is_told_within_seconds(project):
    """A load that dies at once fails the test with the tail of its log, and leaves a record."""
    project.tests("""
import pytest

@pytest.mark.background_load("toy/broken", epochs=1)
def test_beside(background_load):
    pass
""")
    result = project.run()
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*background load 'toy/broken' loops in vain: 3 rounds in a row*", "*out of luck*"])
    (record,) = project.records()
    assert record["status"] == "failed"
    assert record["background"][0]["rounds_failed"] >= 3


@pytest.mark.skipif(not works("namespace"), reason="this machine allows no PID namespace")
def test_shared_memory_may_be_writable_by_setting_and_by_marker(project):
    """The ini setting reaches the loads and trainings of each test, and a marker's value those of its own test."""
    name = f"energy-{secrets.token_hex(8)}"
    data = Path("/dev/shm", name)
    project.tests(
        f"""
        import sys, pytest
        from pathlib import Path

        CODE = "import time\\nwith open({str(data)!r}, 'a') as file: file.write('load ')\\ntime.sleep(60)"

        @pytest.fixture
        def load(background_load):
            return background_load([sys.executable, "-c", CODE], ready="started")

        def test_ini(load):
            while "load" not in Path({str(data)!r}).read_text():
                pass

        @pytest.mark.workload("toy/net", profile="quick", caption={str(data)!r})
        def test_training(train):
            train()

        @pytest.mark.energy(shared_memory="read-only")
        @pytest.mark.workload("toy/net", profile="quick", caption={str(data)!r})
        def test_marker(train):
            train()
        """
    )
    with (project.path / "toy_training.py").open("a") as file:
        file.write("if options.caption: open(options.caption, 'a').write('training ')\n")
    project.ini("energy_shared_memory = writable")
    data.write_text("")
    try:
        result = project.run()
        result.assert_outcomes(passed=2, failed=1)
        assert data.read_text() == "load training "
    finally:
        data.unlink()
    assert "Read-only file system" in result.stdout.str()
    refused = project.run("--energy-shared-memory=writeable")
    assert refused.ret == pytest.ExitCode.USAGE_ERROR
    assert "writable" in refused.stderr.str()
