"""The lakehouse service: the star as Iceberg tables, committed run by run."""
