"""Statistics over records: grouping into cells, comparison, effects, baselines."""
