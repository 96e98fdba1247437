"""Load: star-schema Parquet comes to the warehouse."""
