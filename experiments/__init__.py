"""The reference experiments. In a wheel they are ``pytest_parallel_energy.experiments``.

``pytest --pyargs pytest_parallel_energy.experiments -k resnet20`` runs them from there.
"""
