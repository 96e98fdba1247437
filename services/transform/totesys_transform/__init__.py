"""Transform: a run's CSV becomes star-schema Parquet."""
