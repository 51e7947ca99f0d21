"""The plan of a run: options, settings, markers, cells and their order."""
