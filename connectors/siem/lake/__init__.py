"""The embedded SIEM: Parquet partitions and DuckDB."""
