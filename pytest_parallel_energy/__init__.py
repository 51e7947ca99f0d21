"""Energy experiments on neural-network training, written as pytest tests."""

__version__ = "0.1.0"
