"""The settled part of the log, kept as typed tables in files of DuckDB's."""
