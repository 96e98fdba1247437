"""`totesys lakehouse`, and the Iceberg catalog of a local stack."""
