"""The user's plan: options, settings, markers, cells, their order, and the results that exist already."""
