"""The HTML report: one file that needs no network, with its charts, its style and its script inside."""
