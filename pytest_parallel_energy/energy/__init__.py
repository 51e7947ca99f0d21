"""Joules: sensors, the meter and its windows, uncertainty, attribution. Works in a plain script, without pytest."""
