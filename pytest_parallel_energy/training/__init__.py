"""The registry of workloads, the foreground training, and what its log says."""
