from __future__ import annotations

import math
import subprocess
import sys

import pytest
from scipy import stats

from pytest_parallel_energy.records.cell import cell_id, host_class
from pytest_parallel_energy.records.record import GpuPart, HostPart, Phase, Status
from pytest_parallel_energy.statistics.grouping import group_cells, mean_of, t_quantile

LOAD = {"workload": "VulBERTa/mlp", "hyperparameters": {"epochs": 1}}


def test_a_cell_is_the_same_in_each_process():
    """The hash does not depend on the process, its hash seed or the order of names."""
    code = (
        "from pytest_parallel_energy.records.cell import cell_id\n"
        "print(cell_id('toy/net', {'b': 1, 'a': 0.1}, [{'x': 1, 'y': (1, 2)}], 'h'))"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()
    assert out == cell_id("toy/net", {"a": 0.1, "b": 1.0}, [{"y": [1, 2], "x": 1}], "h")
    assert len(out) == 12


@pytest.mark.parametrize(
    "other",
    [
        ("other/net", {"lr": 0.1}, [LOAD], "h"),
        ("toy/net", {"lr": 0.10000000000000002}, [LOAD], "h"),
        ("toy/net", {"lr": "0.1"}, [LOAD], "h"),
        ("toy/net", {"lr": 0.1, "x": None}, [LOAD], "h"),
        ("toy/net", {"lr": 0.1}, [], "h"),
        ("toy/net", {"lr": 0.1}, [LOAD, LOAD], "h"),
        ("toy/net", {"lr": 0.1}, [LOAD], "g"),
    ],
)
def test_each_part_makes_another_cell(other):
    """Workload, any value to its last digit, loads and host class all tell cells apart."""
    assert cell_id(*other) != cell_id("toy/net", {"lr": 0.1}, [LOAD], "h")


def test_true_is_not_one():
    """A switch and a number are different values, though Python calls them equal."""
    assert cell_id("w", {"x": True}, [], "h") != cell_id("w", {"x": 1}, [], "h")


def test_the_host_class_ignores_which_machine():
    """Two machines of one kind share a class; another GPU is another class."""
    gpu = GpuPart(uuid="GPU-1", name="H200")
    one = HostPart(machine_id="a", hostname="a", cpu="X", sockets=2, threads=8, gpus=(gpu,))
    two = HostPart(
        machine_id="b", hostname="b", cpu="X", sockets=2, threads=8, gpus=(GpuPart(uuid="GPU-2", name="H200"),)
    )
    assert host_class(one) == host_class(two) == "2 x X, 8 threads, H200"
    assert host_class(one) != host_class(HostPart(cpu="X", sockets=2, threads=8))
    assert host_class(HostPart()) == "unknown processor"


@pytest.mark.parametrize("degrees", [1, 2, 5, 30, 31, 60, 1000])
def test_the_quantiles_of_t_are_right(degrees):
    """The stored table and the expansion agree with SciPy to three decimals."""
    assert t_quantile(degrees) == pytest.approx(stats.t.ppf(0.975, degrees), abs=6e-4)


def test_spread_and_meter_add_in_quadrature():
    """Three repeats: Student's half-width of the mean, and the meter's, which does not average out."""
    mean = mean_of([(100.0, 4.0), (102.0, 4.0), (104.0, 4.0)])
    assert mean.value == pytest.approx(102.0)
    assert mean.u95 == pytest.approx(math.hypot(4.303 * 2.0 / math.sqrt(3), 4.0))


def test_one_repeat_has_the_meters_interval():
    """With one value there is no spread to know."""
    assert mean_of([(100.0, 4.0)]).u95 == pytest.approx(4.0)


def test_unknown_makes_unknown():
    """A mean never leaves out a value that is not known."""
    assert mean_of([(1.0, 0.1), (None, None)]).value is None
    assert mean_of([(1.0, None), (2.0, 0.1)]).u95 is None


def test_only_passed_and_measured_attempts_count(make_record):
    """Warm-ups and failures are kept in the cell and left out of its means."""
    (cell,) = group_cells([
        make_record(900.0, phase=Phase.WARMUP),
        make_record(50.0, status=Status.FAILED),
        make_record(100.0, repetition=1),
        make_record(102.0, repetition=2),
    ])
    assert (cell.n, len(cell.records), len(cell.failed), len(cell.warmups)) == (2, 4, 1, 1)
    assert cell.energy().value == pytest.approx(101.0)


def test_without_success_the_failures_show_their_energy(make_record):
    """A cell in which nothing passed still shows what it cost, with n = 0."""
    (cell,) = group_cells([make_record(50.0, status=Status.TIMEOUT)])
    assert cell.n == 0
    assert cell.energy().value == pytest.approx(50.0)


def test_cells_keep_the_order_of_the_run(make_record):
    """Cells appear as they first ran."""
    names = [cell.name for cell in group_cells([make_record(lr=2.0), make_record(lr=1.0), make_record(lr=2.0)])]
    assert names == ["test_resnet20[lr=2.0]", "test_resnet20[lr=1.0]"]
