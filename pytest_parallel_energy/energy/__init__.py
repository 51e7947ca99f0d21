"""The energy meter, its windows, uncertainty and attribution; works in a plain script, without pytest."""
