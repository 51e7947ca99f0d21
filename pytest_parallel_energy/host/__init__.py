"""The machine: measurement lock, cool-down, CPU governor, CPU times, and facts for the record."""
