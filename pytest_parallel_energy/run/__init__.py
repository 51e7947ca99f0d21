"""The parts of a run: session, host preparation, experiment, loads, conclusion."""
