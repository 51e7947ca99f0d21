"""The parts of the plugin that hold state: collecting cells, running experiments, reporting records."""
