"""SQL: questions to events and states, beside DuckDB on its own tables."""
