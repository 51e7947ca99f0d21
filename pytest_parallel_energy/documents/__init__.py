"""JSON, TOML and YAML documents with line numbers and typed access."""
