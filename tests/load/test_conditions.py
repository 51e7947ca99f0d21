"""Under which conditions a load runs: intensity, devices, memory, batch."""

from __future__ import annotations

import itertools
import math
import sys
import time
import venv

import pytest
from polling import eventually

from pytest_parallel_energy.errors import ConfigError, LoadError
from pytest_parallel_energy.load.background import BackgroundLoad
from pytest_parallel_energy.load.conditions import CONDITIONS, LoadConditions, read_count, split_conditions
from pytest_parallel_energy.load.gpu_memory import check_allocator, memory_environment
from pytest_parallel_energy.load.request import AutoBatch, LoadSettings
from pytest_parallel_energy.load.script import loop_script
from pytest_parallel_energy.plan.options import MARKERS
from pytest_parallel_energy.processes.command import Command
from pytest_parallel_energy.processes.rules import Ready, Supervision
from pytest_parallel_energy.processes.visible_devices import device_environment, device_list

STARTED = Ready(kind="started")


def python(code, *arguments):
    return Command(argv=(sys.executable, "-I", "-S", "-c", code, *arguments))


@pytest.mark.parametrize("container", ["auto", "subreaper"])
def test_intensity_is_held_and_told(tmp_path, container):
    """A load at a third of its time runs a third of its time, and the report says what was reached."""
    code = "import os\nos.fork()\nwhile True: pass"
    settings = LoadSettings(ready=STARTED, intensity=0.33, container=container)
    with BackgroundLoad(python(code), name="n", folder=tmp_path, settings=settings) as load:
        load.window_opened()
        time.sleep(2)
        load.window_closed()
    report = load.report()
    assert (report.level, report.level_asked) == ("intensity", 0.33)
    assert report.level_reached == pytest.approx(0.33, abs=0.06)
    assert report.coverage_ratio > 0.99  # it ran all the time, as slowly as it was asked to
    assert report.stop == "graceful"


def test_a_paced_load_goes_on_from_round_to_round(tmp_path):
    """A stop that meets the end of a round must not hold the next one for ever."""
    settings = LoadSettings(ready=STARTED, intensity=0.5, grace_s=0.5)
    code = "import time\nend_s = time.process_time() + 0.02\nwhile time.process_time() < end_s: pass"
    with BackgroundLoad(python(code), name="n", folder=tmp_path, settings=settings) as load:
        eventually(lambda: load.rounds_completed >= 20, timeout_s=60)
        assert load.report().stalled_s == 0


@pytest.mark.parametrize("whom", ["0", "os.getpid()"], ids=["its group", "itself"])
def test_a_load_that_was_stopped_from_outside_is_not_covered(tmp_path, whom):
    """A load that stops itself does nothing: that time is no coverage."""
    code = f"import os, signal; os.kill({whom}, signal.SIGSTOP)"
    settings = LoadSettings(ready=STARTED, grace_s=0.2)
    with BackgroundLoad(python(code), name="n", folder=tmp_path, settings=settings) as load:
        load.window_opened()
        eventually(lambda: (load.report().stalled_s or 0) > 1.5)
        assert load.coverage_ratio < 0.6
        with pytest.raises(LoadError, match=r"0 failed, stopped by a signal for [0-9.]+ s\."):
            load.check_coverage()
    with pytest.raises(LoadError, match="the test itself stopped it, which a lower coverage_min allows"):
        load.check_coverage()


def test_a_load_that_hangs_is_not_covered(tmp_path):
    """A load that worked until it was ready, and then waits for ever, runs in name alone."""
    code = "import time\nwhile time.process_time() < 1: pass\nprint('up', flush=True)\ntime.sleep(600)"
    settings = LoadSettings(ready=Ready(kind="pattern", pattern="up"), grace_s=0.2)
    with BackgroundLoad(python(code), name="n", folder=tmp_path, settings=settings) as load:
        load.window_opened()
        eventually(lambda: (load.report().hung_s or 0) > 3)
        assert load.coverage_ratio < 0.6
        with pytest.raises(LoadError, match=r"0 failed, hung \(no CPU or GPU use\) for [0-9.]+ s\."):
            load.check_coverage()


def test_a_load_that_never_used_the_cpu_does_not_hang(tmp_path):
    """Of a load that sleeps from its start nothing else can be expected."""
    settings = LoadSettings(ready=STARTED, grace_s=0.2)
    with BackgroundLoad(python("import time; time.sleep(600)"), name="n", folder=tmp_path, settings=settings) as load:
        load.window_opened()
        time.sleep(4.5)
        assert load.coverage_ratio > 0.95
        assert load.report().hung_s == 0


def test_a_pause_is_not_a_hang(monkeypatch):
    """Three looks without work make a hang, a shorter pause does not; a busy GPU is work too."""
    from pytest_parallel_energy.processes.guard import activity

    used = iter([1.0, 1.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0])
    watched = activity.Activity()
    monkeypatch.setattr(watched, "_used_s", lambda _pids: next(used))
    seconds = [watched.look(1.0, [], None) for _ in range(10)]
    assert seconds == [0, 0, 0, 0, 0, 0, 0, 3.0, 1.0, 0]
    assert [watched.look(1.0, [], 50.0) for _ in range(3)] == [0, 0, 0]


@pytest.mark.parametrize(
    ("given", "shown"),
    [(1, "1"), ("0,2", "0,2"), (["GPU-8a2c-11", "GPU-9"], "GPU-8a2c-11,GPU-9"), ("MIG-ab/1/0", "MIG-ab/1/0")],
)
def test_devices_are_shown_to_the_load(tmp_path, given, shown):
    """A load sees the devices that it was given, by index, UUID or instance, and the script says so."""
    conditions, rest = split_conditions({"devices": given, "epochs": 1})
    assert rest == {"epochs": 1}
    code = "import os, time; print(os.environ['CUDA_VISIBLE_DEVICES'], flush=True); time.sleep(0.1)"
    settings = LoadSettings(ready=STARTED, **conditions.as_fields())
    with BackgroundLoad(python(code), name="n", folder=tmp_path, settings=settings) as load:
        eventually(lambda: load.rounds_completed)
    assert (tmp_path / "round-1.log").read_text() == f"{shown}\n"
    assert f"export CUDA_VISIBLE_DEVICES={shown}\n" in load.script.read_text()
    assert load.report().devices == shown


@pytest.mark.parametrize("wrong", ["gpu0", "0;1", "-1", ["MIG-a", "MIG-b"], "0,,1"])
def test_devices_that_are_none_are_refused(wrong):
    """What CUDA would silently read as "no device" is refused."""
    with pytest.raises(ConfigError):
        device_list(wrong)


def test_indices_count_in_bus_order():
    """Indices mean what NVML means by them; UUIDs need no order."""
    assert device_environment("0")["CUDA_DEVICE_ORDER"] == "PCI_BUS_ID"
    assert device_environment("GPU-1") == {"CUDA_VISIBLE_DEVICES": "GPU-1"}
    assert device_environment("") == {"CUDA_VISIBLE_DEVICES": ""}
    assert device_environment(None) == {}


def test_memory_fraction_is_the_allocators(tmp_path):
    """The share is set for PyTorch's allocator beside what a user has set, in place of an older share."""
    driver = tmp_path / "version"
    driver.touch()
    env = {"PYTORCH_CUDA_ALLOC_CONF": "expandable_segments:True,per_process_memory_fraction:0.9"}
    found = memory_environment(0.25, env, driver=driver)
    assert found["PYTORCH_CUDA_ALLOC_CONF"] == "expandable_segments:True,per_process_memory_fraction:0.25"
    assert found["PYTORCH_ALLOC_CONF"] == "per_process_memory_fraction:0.25"


@pytest.mark.parametrize(
    ("version", "library", "message"),
    [
        ("2.13.0+cu130", b"", None),
        ("2.9.0a0+git1", b"backend per_process_memory_fraction", None),
        ("2.8.0", b"backend", r"has PyTorch 2\.8\.0: update it there"),
        ("2.9.1+cpu", None, r"has PyTorch 2\.9\.1\+cpu: update it there"),
        (None, None, "has no PyTorch: install it there"),
    ],
)
def test_memory_fraction_needs_a_pytorch_that_knows_it(tmp_path, version, library, message):
    """The interpreter of the load decides, by the release of its PyTorch or by the options that its allocator has."""
    site = tmp_path / "site"
    (site / "torch" / "lib").mkdir(parents=True)
    if version is not None:
        (site / "torch" / "__init__.py").write_text("raise SystemExit('imported')")
        (site / "torch-1.dist-info").mkdir()
        (site / "torch-1.dist-info" / "METADATA").write_text(f"Name: torch\nVersion: {version}\n")
    if library is not None:
        (site / "torch" / "lib" / "libc10_cuda.so").write_bytes(library)
    venv.create(tmp_path / "venv")
    program = str(tmp_path / "venv" / "bin" / "python")
    command = Command(argv=(program, "train.py"), cwd=tmp_path, env={"PYTHONPATH": str(site)})
    check_allocator(command, None)
    check_allocator(Command(argv=("torchrun", "train.py"), env={"PYTHONPATH": str(site)}), 0.3)
    if message is None:
        check_allocator(command, 0.3)
    else:
        with pytest.raises(ConfigError, match=rf"gpu_memory_fraction=0\.3 needs a PyTorch.*2\.10 or newer.*{message}"):
            check_allocator(command, 0.3)


@pytest.mark.parametrize("fraction", [0.5, 0, 1.5])
def test_memory_fraction_without_a_gpu_is_refused(tmp_path, fraction):
    """Where nothing can enforce it, a share of GPU memory is refused, and says why."""
    with pytest.raises(ConfigError, match=r"cannot be enforced: there is no NVIDIA GPU|a share above 0, up to 1"):
        memory_environment(fraction, {}, driver=tmp_path / "no driver")


@pytest.mark.parametrize(
    "wrong",
    [
        {"intensity": 0},
        {"intensity": 1.1},
        {"intensity": "half"},
        {"devices": "gpu0"},
        {"ready": "soon"},
        {"gpu_memory_fraction": 2},
        {"target_gpu_utilisation": 0},
        {"ready_timeout": 0},
        {"grace": -1},
        {"grace": float("inf")},
        {"intensity": float("nan")},
        {"grace": "soon"},
        {"ready": -1},
        {"intensity": 0.5, "target_gpu_utilisation": 60},
    ],
)
def test_conditions_that_cannot_be_are_refused(wrong):
    """A condition is refused where it is written, with its name and its value."""
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        split_conditions(wrong)


@pytest.mark.parametrize(
    ("field", "inside", "outside"),
    [
        ("intensity", [1e-9, 1], [0, 1.001, -0.5, math.nan]),
        ("gpu_memory_fraction", [1e-9, 1], [0, 1.001, math.nan]),
        ("target_gpu_utilisation", [1e-9, 100], [0, 100.1, math.nan]),
        ("grace_s", [0, 1e9], [-1e-9, math.inf, math.nan]),
        ("ready_timeout_s", [1e-9, math.inf], [0, -1, math.nan]),
    ],
)
def test_ranges_end_where_the_words_say(field, inside, outside):
    """Conditions, settings of a load and supervision refuse the same values, whichever of them is built first."""
    for value in inside:
        assert LoadConditions(**{field: value}).as_fields() == {field: value}
    kinds = [LoadConditions]
    kinds += [] if field == "gpu_memory_fraction" else [LoadSettings]
    kinds += [Supervision] if field in {"intensity", "grace_s"} else []
    for kind, value in itertools.product(kinds, outside):
        with pytest.raises(ConfigError, match=r"must be (a share|a time|above 0 %)"):
            kind(**{field: value})


def test_conditions_are_apart_from_hyperparameters():
    """What is no condition is a hyperparameter; None says nothing; the automatic batch is a condition."""
    keywords = {"intensity": 0.5, "devices": None, "ready": "3 s", "grace": "1 min", "lr": 0.1, "batch_size": "auto"}
    conditions, rest = split_conditions(keywords)
    assert conditions == LoadConditions(
        intensity=0.5, ready=Ready(kind="seconds", seconds=3), grace_s=60.0, auto_batch=True
    )
    assert list(conditions.as_fields()) == ["auto_batch", "grace_s", "intensity", "ready"]
    assert rest == {"lr": 0.1}
    assert split_conditions({"batch_size": 32}) == (LoadConditions(), {"batch_size": 32})


def test_how_many_is_a_whole_number():
    """2.0 is 2, as a program may write it; a part of a load, or none, is refused."""
    assert read_count(2.0) == 2
    for wrong in (0, -1, 1.5, True, "2", None):
        with pytest.raises(ConfigError, match="n is a whole number of 1 or more"):
            read_count(wrong)


def test_the_marker_names_each_condition():
    """What ``pytest --markers`` says of a load has all of its conditions."""
    assert all(f"{name}=" in MARKERS["background_load"] for name in CONDITIONS)


OUT_OF_MEMORY = """
import sys, time
batch = int(sys.argv[1].removeprefix("--batch="))
print("batch", batch, flush=True)
time.sleep(0.05)
if batch > 20:
    sys.exit("torch.OutOfMemoryError: CUDA out of memory")
"""


def test_batch_is_halved_until_it_fits(tmp_path):
    """Rounds out of memory halve the batch until a round passes; the report has all sizes; start waits for it."""
    settings = LoadSettings(batch=AutoBatch(first=128, placeholder="1000003"))
    command = python(OUT_OF_MEMORY, "--batch=1000003")
    with BackgroundLoad(command, name="n", folder=tmp_path, settings=settings) as load:
        assert load.rounds_completed >= 1
    report = load.report()
    assert report.batch_sizes == (128, 64, 32, 16)
    assert report.exit_codes[:4] == (1, 1, 1, 0)
    assert (tmp_path / "round-4.log").read_text() == "batch 16\n"


def test_a_batch_that_changes_in_the_window_is_flagged(tmp_path):
    """The batch is part of the condition: a change while it is measured stands in the flags."""
    full = str(tmp_path / "full")
    code = f"import pathlib\nout = pathlib.Path({full!r}).exists()" + OUT_OF_MEMORY.replace("batch > 20", "out")
    settings = LoadSettings(ready=STARTED, batch=AutoBatch(first=8, placeholder="1000003"))
    with BackgroundLoad(python(code, "--batch=1000003"), name="n", folder=tmp_path / "b", settings=settings) as load:
        eventually(lambda: load.rounds_completed)
        load.window_opened()
        (tmp_path / "full").touch()
        eventually(lambda: len(load.report().batch_sizes) > 1)
        load.window_closed()
    assert any("batch size changed during the window: 8, 4" in flag for flag in load.report().flags)


def test_script_with_a_batch_runs_by_hand(tmp_path):
    """By hand the script uses the size that was asked for; the rest of the line stays quoted."""
    command = Command(argv=("/bin/echo", "$x", "--batch=1000003", "1000003"), cwd=tmp_path)
    text = loop_script(command, name="n", folder=tmp_path, batch=AutoBatch(first=64, placeholder="1000003"))
    assert "batch=64\n" in text
    assert """/bin/echo '$x' --batch="$batch" "$batch"\n""" in text


def test_a_target_without_a_gpu_is_refused():
    """A utilisation that nobody can measure is refused when it is asked for."""
    from pytest_parallel_energy.load.request import DRIVER

    if DRIVER.exists():
        pytest.skip("there is an NVIDIA GPU here")
    with pytest.raises(ConfigError, match="no NVIDIA GPU"):
        LoadSettings(target_gpu_utilisation=60)
