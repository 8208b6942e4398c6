"""The settled part of the log, kept as typed Parquet files."""
