"""Callbacks for Transformers and Lightning, with the real libraries: a window per epoch."""

from __future__ import annotations

import subprocess
import sys

import pytest

from pytest_parallel_energy.energy.callbacks import lightning_callback, transformers_callback
from pytest_parallel_energy.energy.meter import EnergyMeter

pytestmark = [
    pytest.mark.filterwarnings("default"),  # of the libraries
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]


@pytest.fixture
def meter():
    with EnergyMeter("estimate") as opened:
        yield opened


def test_importing_the_module_imports_neither():
    """A script that has the callbacks' module has not loaded torch, Transformers or Lightning."""
    code = (
        "import sys, pytest_parallel_energy.energy.callbacks\n"
        "print({'torch', 'transformers', 'lightning', 'pytorch_lightning'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def lightning_module(torch, lightning, fail_at=None):
    class Line(lightning.LightningModule):
        def __init__(self):
            super().__init__()
            self.layer = torch.nn.Linear(1, 1)

        def training_step(self, batch, _index):
            if self.current_epoch == fail_at:
                raise ZeroDivisionError("diverged")
            return ((self.layer(batch) - batch) ** 2).mean()

        def validation_step(self, batch, _index):
            return self.layer(batch).mean()

        def configure_optimizers(self):
            return torch.optim.SGD(self.parameters(), lr=0.01)

    return Line()


def lightning_trainer(lightning, folder, callback):
    return lightning.Trainer(
        max_epochs=3, callbacks=[callback], accelerator="cpu", default_root_dir=folder, logger=False,
        enable_checkpointing=False, enable_progress_bar=False, enable_model_summary=False,
    )  # fmt: skip


def test_lightning(meter, tmp_path):
    """Three epochs, each with its validation as a part; the sanity check before the first is none."""
    torch = pytest.importorskip("torch")
    lightning = pytest.importorskip("lightning.pytorch")
    data = torch.utils.data.DataLoader(torch.ones(8, 1), batch_size=4)
    trainer = lightning_trainer(lightning, tmp_path, lightning_callback(meter))
    with meter.window("training") as window:
        trainer.fit(lightning_module(torch, lightning), data, data)
    epochs = window.result.windows
    assert [epoch.name for epoch in epochs] == ["epoch 1", "epoch 2", "epoch 3"]
    assert [[part.name for part in epoch.windows] for epoch in epochs] == [["validation"]] * 3
    assert meter.open_windows == []


def test_lightning_that_fails(meter, tmp_path):
    """The window of the epoch that failed is closed."""
    torch = pytest.importorskip("torch")
    lightning = pytest.importorskip("lightning.pytorch")
    data = torch.utils.data.DataLoader(torch.ones(8, 1), batch_size=4)
    trainer = lightning_trainer(lightning, tmp_path, lightning_callback(meter))
    with pytest.raises(ZeroDivisionError), meter.window("training") as window:
        trainer.fit(lightning_module(torch, lightning, fail_at=1), data)
    assert [epoch.name for epoch in window.result.windows] == ["epoch 1", "epoch 2"]
    assert meter.open_windows == []


def test_transformers(meter, tmp_path):
    """A Trainer with a model of a few parameters: a window per epoch."""
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    pytest.importorskip("accelerate")
    config = transformers.BertConfig(
        vocab_size=10, hidden_size=8, num_hidden_layers=1, num_attention_heads=1, intermediate_size=8
    )
    model = transformers.BertForSequenceClassification(config)
    data = [{"input_ids": torch.ones(4, dtype=torch.long), "labels": torch.tensor(1)} for _ in range(8)]
    arguments = transformers.TrainingArguments(
        output_dir=str(tmp_path), num_train_epochs=2, per_device_train_batch_size=4, report_to=[], use_cpu=True,
        save_strategy="no", disable_tqdm=True,
    )  # fmt: skip
    trainer = transformers.Trainer(
        model=model, args=arguments, train_dataset=data, callbacks=[transformers_callback(meter)]
    )
    with meter.window("training") as window:
        trainer.train()
    assert [epoch.name for epoch in window.result.windows] == ["epoch 1", "epoch 2"]
    assert meter.open_windows == []
