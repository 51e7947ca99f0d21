"""The command line; works without pytest."""
