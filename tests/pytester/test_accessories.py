"""Traces, folders and experiment.json accompany a record; where they cannot be written, the record says so."""

from __future__ import annotations

import pytest

WORKERS = pytest.mark.parametrize("workers", [(), ("-p", "xdist", "-n1")], ids=["plain", "xdist"])


@WORKERS
@pytest.mark.parametrize("name", ["trace.csv.gz", "experiment.json"])
def test_a_file_that_cannot_be_written_is_a_remark(project, workers, name):
    """A folder stands where the file should be: the test passes with its joules, and a flag says what is missing."""
    project.tests(
        f"""
        import pathlib, time, pytest

        @pytest.mark.workload("toy/net", profile="quick")
        def test_it(train):
            folder = train().log.parent
            time.sleep(0.3)
            (folder / "{name}").unlink(missing_ok=True)
            (folder / "{name}").mkdir()
        """
    )
    result = project.run("--energy-interval=0.05s", "--energy-sensors=estimate", *workers)
    result.assert_outcomes(passed=1)
    (record,) = project.records()
    assert record["status"] == "passed"
    assert record["energy"]["total_j"] > 0
    said = [*record["meter"]["flags"], result.stdout.str()]
    assert any(name in text and "cannot be written" in text for text in said)


@WORKERS
def test_a_folder_that_cannot_be_made_is_a_remark(project, workers):
    """A file stands where the experiments' folders should be: measured all the same, without logs."""
    project.tests(
        """
        import pathlib, pytest

        def test_first(energy_meter):
            (experiments,) = pathlib.Path("energy-results").glob("2*/experiments")
            experiments.rename(experiments.with_name("moved"))
            experiments.write_text("")

        @pytest.mark.workload("toy/net", profile="quick")
        def test_second(train):
            assert train().metrics["accuracy"] == 0.75
        """
    )
    result = project.run("-p", "no:randomly", *workers)
    result.assert_outcomes(passed=2)
    _, second = project.records()
    assert (second["status"], second["folder"]) == ("passed", None)
    assert second["energy"]["total_j"] > 0
    assert any("were not kept" in flag for flag in second["meter"]["flags"])


@WORKERS
def test_a_secret_in_a_failure_is_masked_in_every_file(project, workers, monkeypatch):
    """A failure's text and a label name a secret; no file of the run holds it, and the rest of the text is there."""
    monkeypatch.setenv("TOY_API_KEY", "s3cr3t-value")
    project.tests(
        """
        import os

        def test_it(energy_meter):
            raise ConnectionError("refused for " + os.environ["TOY_API_KEY"])
        """
    )
    result = project.run("--energy-tag=api_key=s3cr3t-value", "--energy-report=md", *workers)
    result.assert_outcomes(failed=1)
    (record,) = project.records()
    assert "refused for ***" in record["reason"]
    assert record["labels"] == {"api_key": "***"}
    (run,) = project.path.glob("energy-results/2*")
    files = [path for path in run.rglob("*") if path.is_file()]
    assert [path.name for path in files if b"s3cr3t-value" in path.read_bytes()] == []
    assert len(files) > 2
