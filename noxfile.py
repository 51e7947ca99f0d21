"""Test sessions: every Python with the newest and the oldest dependencies, the wheel alone, the build, and linters.

``nox`` runs what a pull request needs; ``nox --list`` shows all sessions.
"""

from __future__ import annotations

import importlib.metadata
import json
import os
import tomllib
from pathlib import Path

import nox
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

nox.options.default_venv_backend = "venv"
nox.options.sessions = ["lint", "tests", "wheel"]

PYTHONS = ["3.11", "3.12", "3.13", "3.14"]
ROOT = Path(__file__).parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


@nox.session(python=PYTHONS)
def tests(session: nox.Session) -> None:
    """Run the tests with the newest dependencies; arguments after ``--`` go to pytest."""
    session.install("-c", "constraints.txt", "-e", ".[test,report]")
    session.run("pytest", *session.posargs)


@nox.session(python=PYTHONS)
def lowest(session: nox.Session) -> None:
    """Run the tests with the oldest dependencies that pyproject.toml allows and that install on this Python."""
    oldest = [requirement.replace(">=", "==") for requirement in PROJECT["dependencies"]]
    session.install("-c", "constraints.txt", "-e", ".[test,report]")
    session.install(*oldest)
    session.run("pytest", *session.posargs)


@nox.session(python="3.11")
def lowest_extras(session: nox.Session) -> None:
    """Run the tests with the oldest dependencies of the extras too, on the oldest Python, for which all have wheels.

    PyTorch alone is the one that constraints.txt names.
    """
    session.install("uv")
    extras = ".[test,report,experiments]"
    session.run(
        "uv", "pip", "install", "--resolution", "lowest-direct", "-c", "constraints.txt",
        "mlflow==2.14", "pyarrow==15", "pytest-rerunfailures==14", "-e", extras,
    )  # fmt: skip
    session.run("pytest", *session.posargs)


@nox.session
def wheel(session: nox.Session) -> None:
    """Build the wheel, install it, and use it from an empty folder where the source tree cannot be imported."""
    dist = Path(session.create_tmp()) / "dist"
    session.install("build")
    session.run("python", "-m", "build", "--wheel", "--outdir", str(dist), str(ROOT))
    session.install("--force-reinstall", *map(str, dist.glob("*.whl")))
    empty = Path(session.create_tmp()) / "empty"
    empty.mkdir(exist_ok=True)
    (empty / "test_wheel.py").write_text("def test_measured(energy_meter):\n    sum(range(10**6))\n", encoding="utf-8")
    session.chdir(empty)
    session.run("pytest-parallel-energy", "--version", env={"PYTHONPATH": ""})
    session.run("pytest-parallel-energy", "list", env={"PYTHONPATH": ""})
    session.run("pytest", "-p", "no:cacheprovider", "--energy-idle=0", "test_wheel.py", env={"PYTHONPATH": ""})


@nox.session
def build(session: nox.Session) -> None:
    """Build sdist and wheel into dist/, twice, and fail if the two builds differ in a byte."""
    session.install("build", "twine")
    stamp = session.run("git", "log", "-1", "--format=%ct", external=True, silent=True) or ""
    env = {"SOURCE_DATE_EPOCH": os.environ.get("SOURCE_DATE_EPOCH", stamp.strip())}
    again = Path(session.create_tmp()) / "again"
    for folder in (ROOT / "dist", again):
        session.run("python", "-m", "build", "--outdir", str(folder), env=env)
    for first in sorted((ROOT / "dist").iterdir()):
        if first.read_bytes() != (again / first.name).read_bytes():
            session.error(f"{first.name} is not reproducible: two builds of one commit differ")
    session.run("twine", "check", "--strict", *map(str, (ROOT / "dist").iterdir()))


@nox.session
def sbom(session: nox.Session) -> None:
    """Write the bill of materials (CycloneDX) of the package with its dependencies to build/sbom.cdx.json."""
    session.install("cyclonedx-bom")
    environment = Path(session.create_tmp()) / "environment"
    session.run("python", "-m", "venv", "--clear", "--without-pip", str(environment))  # pip is not a dependency
    python = str(environment / "bin" / "python")
    session.run("python", "-m", "pip", "--python", python, "install", "-q", str(ROOT))
    target = ROOT / "build" / "sbom.cdx.json"
    target.parent.mkdir(exist_ok=True)
    session.run(
        "cyclonedx-py", "environment", "--pyproject", str(ROOT / "pyproject.toml"), "--mc-type", "library",
        "--output-file", str(target), python,
    )  # fmt: skip
    complete_bill(target, next(environment.glob("lib/python3*/site-packages")))


def complete_bill(path: Path, site_packages: Path) -> None:
    """Name the version of the package, which cyclonedx-py does not compute, and remove dependencies of extras.

    cyclonedx-py lists requirements whose marker names an extra, such as the test requirements of psutil.
    """
    installed = {str(d.metadata["Name"]): d for d in importlib.metadata.distributions(path=[str(site_packages)])}
    bill = json.loads(path.read_text(encoding="utf-8"))
    package = bill["metadata"]["component"]
    package["version"] = installed[package["name"]].version
    package["purl"] = f"pkg:pypi/{package['name']}@{package['version']}"
    for entry in bill["dependencies"]:
        name = package["name"] if entry["ref"] == package["bom-ref"] else entry["ref"].partition("==")[0]
        requirements = map(Requirement, installed[name].requires or ())
        needed = {canonicalize_name(r.name) for r in requirements if not r.marker or r.marker.evaluate({"extra": ""})}
        refs = [ref for ref in entry.pop("dependsOn", []) if canonicalize_name(ref.partition("==")[0]) in needed]
        if refs:
            entry["dependsOn"] = refs
    path.write_text(json.dumps(bill, indent=2, sort_keys=True) + "\n", encoding="utf-8")


@nox.session
def docs(session: nox.Session) -> None:
    """Build the site of the documentation into site/, with broken links as errors."""
    session.install("-e", ".[docs,report]")
    session.run("mkdocs", "build", "--strict", *session.posargs)


@nox.session
def lint(session: nox.Session) -> None:
    """Check style, types, workflows and the citation file."""
    session.install("-c", "constraints.txt", "-e", ".[test,dev,report]")
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")
    session.run("mypy")
    session.run("zizmor", "--offline", "--persona=pedantic", ".github")
    session.run("jactionlint", "--strict-exit")
    session.run("shellcheck", ".ci/run")
    session.install("cffconvert")
    session.run("cffconvert", "--validate")
