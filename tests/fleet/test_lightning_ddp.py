"""Lightning's ``ddp``, which runs the command line of pytest once more for the second rank."""

from __future__ import annotations

import importlib.util

import pytest
from rank_project import RankProject

pytestmark = pytest.mark.skipif(
    not all(map(importlib.util.find_spec, ("lightning", "torch"))), reason="not installed: lightning or torch"
)

TRAINING = """
import pathlib
import time

import lightning.pytorch as pl
import torch

class Line(pl.LightningModule):
    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(1, 1)

    def training_step(self, batch, _index):
        return ((self.layer(batch) - batch) ** 2).mean()

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.01)

def test_ddp(energy_meter, tmp_path):
    data = torch.utils.data.DataLoader(torch.ones(8, 1), batch_size=4)
    trainer = pl.Trainer(
        max_epochs=1, accelerator="cpu", devices=2, strategy="ddp", logger=False, default_root_dir=tmp_path,
        enable_checkpointing=False, enable_progress_bar=False,
    )
    trainer.fit(Line(), data)
    assert trainer.world_size == 2
    assert energy_meter.total_j > 0
    print("rank", trainer.global_rank, "has", repr(energy_meter.total_j), flush=True)
    # the process of rank 0 ends the other one, which may be behind on a busy machine
    pathlib.Path(f"rank-{trainer.global_rank}").touch()
    while not pathlib.Path("rank-1").exists():
        time.sleep(0.05)
"""


def test_the_second_pytest_measures_nothing(tmp_path):
    """Both ranks pass and neither waits for the other's lock; the first one keeps the only record."""
    project = RankProject.create(tmp_path, TRAINING)
    done = project.launch([], project.pytest(), timeout_s=110)
    assert done.returncode == 0, done.stdout
    assert "rank 1 has measured by the pytest that started this one" in done.stdout
    (record,) = project.records()
    assert record["energy"]["total_j"] > 0
