"""The plan of a run: options, settings, markers, cells and their order.

PYTEST_DONT_REWRITE spares this module the rewriting of assertions by pytest: it has none.
"""
