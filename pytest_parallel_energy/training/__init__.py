"""Workloads: the registry of trainings, the foreground run, the metrics in its log."""
