"""Modules that a session imports: a suite pays only for what it uses."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PLUGINS = ("-p", "no:cacheprovider", "-p", "pytest_timeout", "-p", "pytest_parallel_energy.plugin")
AT_START = {
    "pytest_parallel_energy",
    "pytest_parallel_energy.plan",
    "pytest_parallel_energy.plan.options",
    "pytest_parallel_energy.plugin",
    "pytest_parallel_energy.plugin.fixtures",
}
PRINT_MODULES = """
import json, sys

def pytest_unconfigure(config):
    print("modules:", json.dumps(sorted(sys.modules)), file=sys.__stderr__)
"""


def plain_environment() -> dict[str, str]:
    """Return an environment that sets no option of the plugin, whatever the user has set."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_ENERGY_")}
    return {**inherited, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTHONPATH": str(ROOT)}


def modules_of(folder: Path, test: str) -> set[str]:
    """Return the modules that a pytest process with one test has imported at its end."""
    (folder / "conftest.py").write_text(PRINT_MODULES)
    (folder / "test_one.py").write_text(test)
    environment = plain_environment()
    if "energy_meter" in test:
        environment["PYTEST_ENERGY_SENSORS"] = "estimate"
        environment["PYTEST_ENERGY_HOST_LOCK_DIR"] = str(folder)  # a wait for another session imports psutil
    command = [sys.executable, "-m", "pytest", "-q", *PLUGINS]
    done = subprocess.run(command, cwd=folder, env=environment, check=True, capture_output=True, text=True)
    line = next(line for line in done.stderr.splitlines() if line.startswith("modules: "))
    return set(json.loads(line.removeprefix("modules: ")))


def test_an_unused_plugin_imports_its_start_only(tmp_path):
    """A suite without experiments imports five small modules of the package, and no library for it."""
    modules = modules_of(tmp_path, "def test_one():\n    pass\n")
    assert {name for name in modules if name.startswith("pytest_parallel_energy")} == AT_START
    assert not modules & {"msgspec", "psutil", "pynvml", "scipy", "altair", "jinja2", "statistics"}


def test_pytest_rewrites_one_small_module_of_the_package(tmp_path):
    """It leaves the byte code of the installer to the others: parsing takes a second where none may be written."""
    (tmp_path / "conftest.py").write_text(
        "import sys\n\n"
        "def pytest_unconfigure(config):\n"
        "    modules = {name: module for name, module in sys.modules.items() if name.startswith('pytest_parallel')}\n"
        "    assert 'pytest_parallel_energy.run.attempt' in modules\n"
        "    for name, module in modules.items():\n"
        "        if type(module.__loader__).__name__ == 'AssertionRewritingHook':\n"
        "            print('rewritten:', name)\n"
    )
    (tmp_path / "test_one.py").write_text("def test_one(energy_meter):\n    pass\n")
    # as pytest marks the files of an installed plugin, which those of an editable installation are not
    (tmp_path / "marked.py").write_text("import pytest\npytest.register_assert_rewrite('pytest_parallel_energy')\n")
    environment = {**plain_environment(), "PYTHONPATH": f"{ROOT}{os.pathsep}{tmp_path}"}
    environment |= {"PYTEST_ENERGY_SENSORS": "estimate", "PYTEST_ENERGY_HOST_LOCK_DIR": str(tmp_path)}
    command = [sys.executable, "-m", "pytest", "-q", "-s", "-p", "marked", *PLUGINS]
    done = subprocess.run(command, cwd=tmp_path, env=environment, check=True, capture_output=True, text=True)
    names = {line.partition(": ")[2] for line in done.stdout.splitlines() if line.startswith("rewritten: ")}
    assert names == {"pytest_parallel_energy"}
    assert "PYTEST_DONT_REWRITE" in (ROOT / "pytest_parallel_energy" / "__init__.py").read_text(encoding="utf-8")


def test_a_measured_session_imports_no_report_and_no_gpu_library(tmp_path):
    """One measured test without a GPU imports neither the statistics and reports nor the back ends of GPUs."""
    modules = modules_of(tmp_path, "def test_one(energy_meter):\n    pass\n")
    assert "pytest_parallel_energy.energy.sensors.estimate" in modules
    unused = {"scipy", "altair", "jinja2", "numpy", "psutil", "pynvml", "amdsmi"}
    assert not modules & unused
    if not Path("/dev/nvidiactl").exists():
        assert "pytest_parallel_energy.energy.sensors.nvml" not in modules


@pytest.mark.parametrize("option", [(), ("--collect-only",)], ids=["run", "collect"])
def test_the_reporting_plugin_is_there_when_there_is_something_to_report(tmp_path, option):
    """A session without experiments registers no plugin that reports; one with an experiment does, before it runs."""
    (tmp_path / "conftest.py").write_text(
        "def pytest_unconfigure(config):\n"
        "    names = [name for name, _ in config.pluginmanager.list_name_plugin() if 'parallel_energy_' in name]\n"
        "    print('plugins:', *names)\n"
    )
    (tmp_path / "test_one.py").write_text("def test_one(energy_meter):\n    pass\n")
    environment = plain_environment()
    command = [sys.executable, "-m", "pytest", "-q", *PLUGINS, *option]
    done = subprocess.run(command, cwd=tmp_path, env=environment, check=True, capture_output=True, text=True)
    names = next(line for line in done.stdout.splitlines() if "plugins:" in line).partition(":")[2].split()
    running = ["parallel_energy_reporting", "parallel_energy_running", "parallel_energy_progress"]
    assert names == ([] if option else running)
