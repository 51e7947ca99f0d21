"""Public fakes: for tests of what is built on this package."""
