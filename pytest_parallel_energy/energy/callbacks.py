"""Callbacks that measure each epoch of a Transformers or Lightning training; importing this module imports neither.

::

    from pytest_parallel_energy.energy.callbacks import lightning_callback, transformers_callback

    trainer = transformers.Trainer(..., callbacks=[transformers_callback(energy_meter)])
    trainer = lightning.Trainer(..., callbacks=[lightning_callback(energy_meter)])
"""

from __future__ import annotations

from typing import Any, Protocol

__all__ = ["lightning_callback", "transformers_callback"]


class PartMeter(Protocol):
    """An ``energy_meter`` of a test, or an ``EnergyMeter`` of a script."""

    def begin(self, name: str) -> Any:
        """Open a window, which has ``close``."""
        ...


class EpochWindows:
    """The windows of one training: its epochs, and its validations within them."""

    def __init__(self, meter: PartMeter) -> None:
        self._meter = meter
        self._open: dict[str, Any] = {}
        self._epochs = 0

    def begin_epoch(self) -> None:
        """Open the window of the next epoch; one that was left open (a training that failed) is closed first."""
        self.end("epoch")
        self._epochs += 1
        self._open["epoch"] = self._meter.begin(f"epoch {self._epochs}")

    def begin(self, name: str) -> None:
        """Open a window of that name."""
        self.end(name)
        self._open[name] = self._meter.begin(name)

    def end(self, name: str) -> None:
        """Close the window of that name; do nothing where none is open."""
        window = self._open.pop(name, None)
        if window is not None:
            window.close()

    def end_all(self) -> None:
        """Close all windows, the last one first."""
        for name in reversed(list(self._open)):
            self.end(name)


def transformers_callback(meter: PartMeter) -> Any:
    """Return a ``transformers.TrainerCallback`` that measures each epoch: ``epoch 1``, ``epoch 2`` and so on.

    In each process of a distributed training it measures only where the meter does. An evaluation at the end of an
    epoch is not part of it.

    Raises:
        ModuleNotFoundError: Transformers is not installed.
    """
    from transformers import TrainerCallback

    windows = EpochWindows(meter)

    class TransformersEpochs(TrainerCallback):  # type: ignore[misc, unused-ignore]
        """The epochs of a ``Trainer`` as windows of an energy meter."""

        def on_epoch_begin(self, *_arguments: Any, **_keywords: Any) -> None:
            windows.begin_epoch()

        def on_epoch_end(self, *_arguments: Any, **_keywords: Any) -> None:
            windows.end("epoch")

        def on_train_end(self, *_arguments: Any, **_keywords: Any) -> None:
            windows.end_all()

    return TransformersEpochs()


def lightning_callback(meter: PartMeter) -> Any:
    """Return a ``lightning.pytorch.Callback`` that measures each epoch, with its validation as a part of it.

    ``pytorch_lightning`` is used where ``lightning`` is not installed.

    Raises:
        ModuleNotFoundError: neither is installed.
    """
    try:
        from lightning.pytorch import Callback
    except ModuleNotFoundError:
        from pytorch_lightning import Callback

    windows = EpochWindows(meter)

    class LightningEpochs(Callback):  # type: ignore[misc, unused-ignore]
        """The epochs of a ``Trainer`` as windows of an energy meter."""

        def on_train_epoch_start(self, *_arguments: Any) -> None:
            windows.begin_epoch()

        def on_validation_start(self, trainer: Any, *_arguments: Any) -> None:
            if not trainer.sanity_checking:
                windows.begin("validation")

        def on_validation_end(self, *_arguments: Any) -> None:
            windows.end("validation")

        def on_train_epoch_end(self, *_arguments: Any) -> None:
            windows.end("epoch")

        def on_exception(self, *_arguments: Any) -> None:
            windows.end_all()

        def on_fit_end(self, *_arguments: Any) -> None:
            windows.end_all()

    return LightningEpochs()
