"""Experiment files as values."""
