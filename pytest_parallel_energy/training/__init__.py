"""The registry of workloads, the foreground training, and the metrics in its log."""
