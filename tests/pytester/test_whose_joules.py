"""Whole sessions on a machine whose power follows the CPU clocks of known processes: whose joules were they?"""

from __future__ import annotations

import os
from importlib.util import find_spec

import pytest
from truth_rig import WORKER, TruthRig

HEAD = """
import multiprocessing, os, subprocess, sys, threading, time
from concurrent.futures import ProcessPoolExecutor
import pytest
import worker
from worker import burn, child, join, mark

join("F")

def measured(name):
    class Measured:
        def __enter__(self):
            mark(name + "-begin")
        def __exit__(self, *_):
            mark(name + "-end")
    return Measured()

LOAD = [sys.executable, "-c", "import worker; worker.child(%s, 'B')"]
"""

PROCESSES = """
POOL = multiprocessing.get_context("fork").Pool(1)
POOL.apply(child, (0.6,))

@pytest.fixture(scope="module", autouse=True)
def pool_ends():
    yield
    POOL.terminate()
    POOL.join()

def test_persistent_pool(energy_meter):
    with measured("persistent_pool"):
        POOL.apply(burn, (0.8,))

def test_earlier_life(energy_meter, early):
    with measured("earlier_life"):
        early.communicate("0.5")

@pytest.fixture
def early():
    code = "import worker, sys; worker.child(0.6); print(flush=True); worker.burn(float(sys.stdin.read()))"
    process = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    process.stdout.readline()
    return process

def test_short_lived(energy_meter):
    with measured("short_lived"):
        for _ in range(5):
            subprocess.run([sys.executable, "worker.py", "F", "0.1"], check=True)

def test_threads(energy_meter):
    with measured("threads"):
        threads = [threading.Thread(target=burn, args=(0.4,)) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

def test_orphan(energy_meter):
    with measured("orphan"):
        subprocess.run("setsid python orphan.py > /dev/null 2>&1 &", shell=True, check=True)
        while not os.path.exists("orphan.done"):
            time.sleep(0.02)
    open("orphan.end", "w").close()

@pytest.mark.parametrize("method", ["forkserver", "spawn"])
def test_executor(energy_meter, method):
    with measured("executor-" + method):
        with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context(method)) as executor:
            executor.submit(child, 0.8).result()
"""


LOKY = """
from joblib import Parallel, delayed

def work():
    with Parallel(n_jobs=2) as parallel:
        parallel(delayed(child)(0.4) for _ in range(2))

def test_begun_before(energy_meter, workers):
    with measured("begun_before"):
        work()

@pytest.fixture
def workers():
    work()
"""

DATA_LOADER = """
from torch.utils.data import DataLoader, Dataset

class Slow(Dataset):
    def __len__(self):
        return 4
    def __getitem__(self, index):
        child(0.2)
        return index

def test_persistent_workers(energy_meter, loader):
    with measured("persistent_workers"):
        list(loader)

@pytest.fixture
def loader():
    loader = DataLoader(Slow(), num_workers=1, persistent_workers=True)
    list(loader)
    yield loader
    loader._iterator._shutdown_workers()
"""

LOADED = """
LOADS = {
    "rounds": [sys.executable, "-c", "import worker; worker.child(0.3, 'B')"],
    "niced": ["nice", "-n", "5", sys.executable, "-c", "import worker; worker.child(60, 'B')"],
    "threads": [sys.executable, "-c", "import worker; worker.two_threads('B')"],
}

@pytest.mark.energy(coverage_min=0)
@pytest.mark.parametrize("background_load", [None, *LOADS.values()], indirect=True, ids=["alone", *LOADS])
def test_work(energy_meter, background_load, request):
    with measured("work-" + request.node.callspec.id):
        burn(1.0)
"""

ORPHAN = """
import os, time, worker
worker.child(0.6)
open("orphan.done", "w").close()
until = time.monotonic() + 30
while not os.path.exists("orphan.end") and time.monotonic() < until:
    time.sleep(0.05)
"""


@pytest.fixture
def rigged(project, tmp_path_factory, monkeypatch):
    """Makes a project on a machine whose package's power follows known processes."""
    rigs = []

    def make(source, *watts, **machine):
        rig = TruthRig(tmp_path_factory.mktemp("rig"), *watts, **machine)
        rigs.append(rig)
        monkeypatch.setenv("PYTEST_ENERGY_SYSFS_ROOT", str(rig.sysfs))
        monkeypatch.setenv("TRUTH_RIG", str(rig.sets))
        monkeypatch.setenv("PYTHONPATH", f"{project.path}:{os.environ['PYTHONPATH']}")
        (project.path / "worker.py").write_text(WORKER)
        (project.path / "orphan.py").write_text(ORPHAN)
        project.ini("energy_sensors = powercap")
        project.tests(HEAD + source)
        return rig

    yield make
    for rig in rigs:
        rig.remove()


def records_by_name(project):
    return {
        record["nodeid"].partition("::test_")[2].replace("[", "-").rstrip("]"): record for record in project.records()
    }


def test_the_processes_of_a_test_are_its_own(project, rigged):
    """Threads, pools, short-lived, earlier started and orphaned children: their CPU time and joules are the test's."""
    rig = rigged(PROCESSES)
    with rig:
        project.run("--energy-idle=1", "-s").assert_outcomes(passed=7)
    for name, record in records_by_name(project).items():
        truth, found = rig.between(name), record["attribution"]
        assert found["foreground_cpu_s"] == pytest.approx(truth.cpu_s[0], abs=0.15, rel=0.1), name
        assert found["low_j"] <= truth.joules[0] <= found["high_j"], name


CONCAVE = {"curve": lambda watts: 60 * (watts / 60) ** 0.6}


@pytest.mark.parametrize(
    ("watts", "machine"),
    [((20.0, 20.0, 20.0), {}), ((20.0, 20.0, 20.0), CONCAVE), ((15.0, 30.0, 20.0), {})],
    ids=["linear", "concave", "unequal"],
)
def test_the_truth_lies_in_the_interval_next_to_loads(project, rigged, watts, machine):
    """Rounds of 0.3 s, a niced and a threaded load: the joules of the test lie between ``low_j`` and ``high_j``."""
    rig = rigged(LOADED, watts, **machine)
    with rig:
        project.run("--energy-idle=1").assert_outcomes(passed=4)
    for name, record in records_by_name(project).items():
        truth, found = rig.between(name), record["attribution"]
        assert found["method"] == ("alone above idle" if name == "work-alone" else "shapley")
        assert found["foreground_cpu_s"] == pytest.approx(truth.cpu_s[0], abs=0.15, rel=0.1), name
        # the guard and the loop script of a load are the load's too, and the rig does not know them
        least_s, most_s = 0.85 * truth.cpu_s[1] - 0.2, 1.5 * truth.cpu_s[1] + 0.5
        assert least_s <= found["background_cpu_s"] <= most_s, name
        assert found["low_j"] <= truth.joules[0] <= found["high_j"], name


@pytest.mark.parametrize(("library", "source"), [("joblib", LOKY), ("torch", DATA_LOADER)], ids=["loky", "data loader"])
def test_the_workers_of_libraries_are_the_test_s(project, rigged, monkeypatch, library, source):
    """Processes of loky and of a DataLoader that live on from before the window count for what they do inside."""
    if find_spec(library) is None:
        pytest.skip(f"{library} is not installed")
    monkeypatch.delenv("PYTHONWARNINGS", raising=False)  # warnings of their imports are not ours
    with (rig := rigged(source)):
        project.run("--energy-idle=1").assert_outcomes(passed=1)
    ((name, record),) = records_by_name(project).items()
    truth, found = rig.between(name), record["attribution"]
    assert found["foreground_cpu_s"] == pytest.approx(truth.cpu_s[0], abs=0.15, rel=0.1)
    assert found["low_j"] <= truth.joules[0] <= found["high_j"]
