"""Deploys an environment: `python -m totesys_infra.deploy up|diff|smoke|rollback|down|access FILE.toml`."""
