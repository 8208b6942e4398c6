"""The log and the states as DuckDB relations."""
