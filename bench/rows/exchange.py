"""Exchange: out to Arrow and Parquet, and in again."""
