"""Background loads: the loop script, its rounds, readiness and coverage."""
